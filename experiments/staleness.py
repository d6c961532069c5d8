"""Says which results are older than the code and the data that made them.

Code changes more often than what it computes. So a result stays current when
one that was made by the same files as they were has been made again by these
files as they are, with the same numbers (experiments.replay).
"""

import functools
import json
from typing import Any, Dict, Iterable, List, Set, Tuple

from tsenh.base import provenance
from tsenh.data import manifests
from tsenh.training import run_folders

UNNAMED = "recorded before results named their code"
# What was made again: its `name`, and the digests of files `before`, as it was
# recorded, and `after`, as it was made again.
REPLAYS = provenance.ROOT / "experiments" / "results" / "replays.json"
# What may differ: where it was made, when, by which commit, and how fast; and
# what a training showed of its last epoch: its weights have a digest.
_OF_ITS_RUN = {
  *("command", "date", "versions", "git_commit", "git_dirty", "code"),
  *("codec", "enhancer", "network", "model", "commits"),
  *("wall_time_seconds", "last_epoch"),
}


@functools.cache
def _today(name: str) -> str:
  return provenance.digests([name]).get(name, "")


@functools.cache
def _digests() -> Dict[str, str]:
  """Today's digests of all that results name in `data`."""
  found = {name: info.digest for name, info in manifests.sets().items()}
  for name, folder in run_folders.shipped().items():
    config = run_folders.read_config(folder)
    found[f"codec {name}"] = config["codec_digest"]
  return found


def made_by(result: Dict[str, Any]) -> Set[Tuple[str, str]]:
  """Files and their digests: of a result, and of the runs that it measured."""
  parts = [result, result.get("training"), result.get("enhancer_training")]
  return {
    item for part in parts if part for item in part.get("code", {}).items()
  }


def still(replay: Dict[str, Any]) -> bool:
  """Whether a replay was made by files as they are today."""
  after = replay["after"]
  return all(_today(n) == after.get(n, "") for n, _ in replay["before"])


@functools.cache
def _replayed() -> List[Set[Tuple[str, str]]]:
  """What made the results that have been made again by today's code."""
  if not REPLAYS.exists():
    return []
  replays = json.loads(REPLAYS.read_text())["replays"]
  return [set(map(tuple, r["before"])) for r in replays if still(r)]


def numbers(result: Any) -> Any:
  """A result without what may differ from run to run."""
  if isinstance(result, dict):
    kept = {k: v for k, v in result.items() if k not in _OF_ITS_RUN}
    return {key: numbers(value) for key, value in kept.items()}
  return result


def covers(replayed: Set[Tuple[str, str]], made: Set[Tuple[str, str]]) -> bool:
  """Whether a result made again speaks for another.

  It does where that was made by no other code of `tsenh`, and where what has
  changed since is among its own.

  Args:
    replayed: what made the one, as `made_by` says.
    made: what made the other.
  """
  return all(
    item in replayed
    for item in made
    if item[0].startswith("tsenh/") or _today(item[0]) != item[1]
  )


def reasons(result: Dict[str, Any]) -> List[str]:
  """What has changed since a result was made: files, feature sets, codecs.

  Args:
    result: with `code`, the digests of files, and those of the runs that it
      measured in `training` and `enhancer_training` (shipped codecs of version
      0.1.0 name none: their own digest counts); and `data`, the digests of
      feature sets and shipped codecs. Others than these are left out. Times,
      those of a result with `benchmark`, no replay can confirm.
  """
  if "code" not in result:
    return [UNNAMED]
  made = made_by(result)
  found = sorted({name for name, digest in made if _today(name) != digest})
  if "benchmark" not in result and any(
    covers(replayed, made) for replayed in _replayed()
  ):
    found = []
  for name, digest in result.get("data", {}).items():
    if _digests().get(name, digest) != digest:
      kind = "" if name.startswith("codec ") else "feature set "
      found.append(kind + name)
  return found


def sentence(results: Iterable[Tuple[str, List[str]]]) -> str:
  """What a page says of files and their `reasons`; empty if all are current."""
  stale = [bool(why) for _, why in results]
  if not any(stale):
    return ""
  return (
    f"**Not current:** {sum(stale)} of {len(stale)} results were made by code"
    " or data that has changed since; `make release-check` lists them."
  )
