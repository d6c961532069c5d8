"""Makes recorded results again with today's code, and compares all numbers.

  python -m experiments.replay

A result names the code that made it; when that changes, the result is no longer
current. Nearly always it would be the same to the digit. This shows it: of the
results of the plans that are not current, as few as speak for all the others
(experiments/staleness.py says when one does) are made again from nothing, with
all training that they need, in a folder of their own. What agrees to the digit
is written to experiments/results/replays.json, and is current again with all
that it speaks for; what differs is listed, exits with 1, and is to be recorded
anew. Takes some ten minutes for each network and plan, and can be interrupted.

What was made from images is made again where --shared has them: `lowres`, the
students of few pixels, and `expression`, half-hidden faces.
"""

import functools
import pathlib
import re
import sys
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Tuple

from absl import flags

from experiments import (
  image_plans,
  jobs,
  plans,
  representatives,
  staleness,
)
from tsenh.base import command_line, provenance, results
from tsenh.data import manifests

_RESULTS = flags.DEFINE_string(
  "results", "experiments/results", "Folder of the recorded results."
)
_RUNS = flags.DEFINE_string(
  "runs", "runs/replay", "Folder for what is trained and measured again."
)
_OUTPUT = flags.DEFINE_string(
  "output",
  str(staleness.REPLAYS.relative_to(provenance.ROOT)),
  "Where what agrees is written; staleness is judged by the default one.",
)
_DRY_RUN = flags.DEFINE_bool(
  "dry_run", False, "Print the names of the results that would be made again."
)

_SHARED = flags.DEFINE_string(
  "shared", "../shared", "Folder of images and networks that are not shipped."
)
# The folder of each plan's results.
_FOLDERS = {
  "paper": "paper",
  "short": "paper",
  "recent": "paper",
  "ahead": "paper",
  "enhancer": "enhancer",
  "why": "why",
  "choices": "choices",
  "grains": "grains",
  "ablation": "ablation",
}
_PLANS = flags.DEFINE_multi_enum(
  "plan",
  None,
  [*_FOLDERS, "lowres", "expression"],
  "Whose results are made again; may be repeated. (default: all)",
)


class _Work(NamedTuple):
  """Results of one folder.

  Attributes:
    name: of the plan, and of the network where it has one.
    make: the plan, by the folders of what is trained and of results.
    folder: of what is recorded, below --results.
  """

  name: str
  make: Callable[[str, str], Dict[str, jobs.Job]]
  folder: str


def _all_work() -> Iterator[_Work]:
  for name, folder in _FOLDERS.items():
    for network in manifests.networks().values():
      if (name == "short") == (network.name == "dlib"):
        make = functools.partial(plans.PLANS[name], network)
        yield _Work(f"{name}/{network.name}", make, f"{folder}/{network.name}")
  shared = pathlib.Path(_SHARED.value)
  images = {
    "lowres": (
      image_plans.lowres_plan,
      "images/faces64.npz",
      "faces/lfw_aligned.tar",
      "networks/mobilefacenet128.param",
    ),
    "expression": (
      image_plans.expression_plan,
      "images/ferplus.npz",
      "images/fer2013new.csv",
    ),
  }
  for name, (make, *needed) in images.items():
    paths = [shared / file for file in needed]
    if all(path.exists() for path in paths):
      yield _Work(name, functools.partial(make, *map(str, paths)), name)


def _again(work: _Work, recorded: Dict[str, Dict[str, Any]]):
  """Makes results again; yields each one's name, the old and the new."""
  runs = pathlib.Path(_RUNS.value) / work.name
  output = runs / "results"
  plan = work.make(str(runs), str(output))
  only = "|".join(map(re.escape, recorded))
  jobs.carry_out(plan, runs, output, only, refresh=True)
  for job, old in recorded.items():
    yield job, old, results.read(str(plan[job].output))


def _stale() -> Iterator[Tuple[_Work, Dict[str, Dict[str, Any]]]]:
  """What is to be made again."""
  for work in _all_work():
    recorded = pathlib.Path(_RESULTS.value) / work.folder
    plan = work.name.split("/")[0]
    if plan in (_PLANS.value or [plan]) and recorded.is_dir():
      found = representatives.chosen(recorded, work.make("runs", "results"))
      if found:
        yield work, found


def main():
  stale = list(_stale())
  if _DRY_RUN.value:
    for work, recorded in stale:
      print(*(f"{work.name}/{job}" for job in recorded), sep="\n")
    return
  replays: List[Dict[str, Any]] = []
  if pathlib.Path(_OUTPUT.value).exists():
    earlier = results.read(_OUTPUT.value)["replays"]
    replays = [replay for replay in earlier if staleness.still(replay)]
  failed = 0
  for work, recorded in stale:
    for job, old, new in _again(work, recorded):
      found = list(
        representatives.differences(*map(staleness.numbers, (old, new)))
      )
      made = staleness.made_by(old)
      if found:
        failed += 1
        print(f"{work.name}/{job}: {'; '.join(found[:3])}")
      else:
        after = provenance.digests({file for file, _ in made})
        before = sorted(made)
        replays.append(
          {"name": f"{work.name}/{job}", "before": before, "after": after}
        )
    results.write(_OUTPUT.value, {"replays": replays}, {})
  print(f"{len(replays)} results are the same to the digit.", file=sys.stderr)
  if failed:
    command_line.fail(f"{failed} results differ: record them anew.")


if __name__ == "__main__":
  command_line.run(main)
