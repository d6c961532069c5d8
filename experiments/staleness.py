"""Says which results are older than the code and the data that made them."""

import functools
from typing import Any, Dict, Iterable, List, Tuple

from tsenh.base import provenance
from tsenh.data import manifests
from tsenh.training import run_folders

UNNAMED = "recorded before results named their code"


@functools.cache
def _changed(name: str, digest: str) -> bool:
  return bool(provenance.changed({name: digest}))


@functools.cache
def _digests() -> Dict[str, str]:
  """Today's digests of all that results name in `data`."""
  found = {name: info.digest for name, info in manifests.sets().items()}
  for name, folder in run_folders.shipped().items():
    config = run_folders.read_config(folder)
    found[f"codec {name}"] = config["codec_digest"]
  return found


def reasons(result: Dict[str, Any]) -> List[str]:
  """What has changed since a result was made: files, feature sets, codecs.

  Args:
    result: with `code`, the digests of files, and those of the runs that it
      measured in `training` and `enhancer_training` (shipped codecs of version
      0.1.0 name none: their own digest counts); and `data`, the digests of
      feature sets and shipped codecs. Others than these are left out.
  """
  if "code" not in result:
    return [UNNAMED]
  parts = [result, result.get("training"), result.get("enhancer_training")]
  made_by = [
    item for part in parts if part for item in part.get("code", {}).items()
  ]
  changed = (name for name, digest in made_by if _changed(name, digest))
  found = list(dict.fromkeys(changed))
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
