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
"""

import pathlib
import re
import sys
from typing import Any, Dict, Iterator, List, Tuple

from absl import flags

from experiments import jobs, plans, representatives, staleness
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

# The folder of each plan's results.
_FOLDERS = {
  "paper": "paper",
  "short": "paper",
  "recent": "paper",
  "ahead": "paper",
  "enhancer": "enhancer",
  "why": "why",
  "choices": "choices",
}


def _work() -> Iterator[Tuple[str, str, Dict[str, Dict[str, Any]]]]:
  """Plans, networks, and what is to be made again of them."""
  for name, folder in _FOLDERS.items():
    for network in manifests.networks().values():
      recorded = pathlib.Path(_RESULTS.value) / folder / network.name
      if recorded.is_dir() and (name == "short") == (network.name == "dlib"):
        plan = plans.PLANS[name](network, "runs", "results")
        found = representatives.chosen(recorded, plan)
        if found:
          yield name, network.name, found


def _again(name: str, network: str, recorded: Dict[str, Dict[str, Any]]):
  """Makes results again; yields each one's name, the old and the new."""
  runs = pathlib.Path(_RUNS.value) / name / network
  output = runs / "results"
  info = manifests.networks()[network]
  plan = plans.PLANS[name](info, str(runs), str(output))
  only = "|".join(map(re.escape, recorded))
  jobs.carry_out(plan, runs, output, only, refresh=True)
  for job, old in recorded.items():
    yield job, old, results.read(str(plan[job].output))


def main():
  work = list(_work())
  if _DRY_RUN.value:
    for name, network, recorded in work:
      print(*(f"{name}/{network}/{job}" for job in recorded), sep="\n")
    return
  replays: List[Dict[str, Any]] = []
  if pathlib.Path(_OUTPUT.value).exists():
    earlier = results.read(_OUTPUT.value)["replays"]
    replays = [replay for replay in earlier if staleness.still(replay)]
  failed = 0
  for name, network, recorded in work:
    for job, old, new in _again(name, network, recorded):
      found = list(
        representatives.differences(*map(staleness.numbers, (old, new)))
      )
      made = staleness.made_by(old)
      if found:
        failed += 1
        print(f"{name}/{network}/{job}: {'; '.join(found[:3])}")
      else:
        after = provenance.digests({file for file, _ in made})
        before = sorted(made)
        replays.append(
          {"name": f"{name}/{network}/{job}", "before": before, "after": after}
        )
    results.write(_OUTPUT.value, {"replays": replays}, {})
  print(f"{len(replays)} results are the same to the digit.", file=sys.stderr)
  if failed:
    command_line.fail(f"{failed} results differ: record them anew.")


if __name__ == "__main__":
  command_line.run(main)
