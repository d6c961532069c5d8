"""Kills commands, fills their disk, takes their memory; compares the bits.

  python -m experiments.faults --output=experiments/results/faults

Each task (experiments/faults/tasks.py) is run alone first. Then it is

* killed at random times and started again, over and over;
* run while a write fails (the disk is full, or broken) at steps spread over its
  run, while no file may grow beyond a size, and then again without;
* run with little address space (`ulimit -v`), and then again without.

Each time it must end with one sentence, leave nothing half written, and in the
end make the same bits as alone. A JSON for each of the three lists all trials;
those that are there already, of the same code, are not made again, so this can
be interrupted and started again at any time.
"""

import math
import pathlib
from typing import Any, Callable, Dict, List, Optional

import numpy as np
import tqdm
from absl import flags

from experiments import staleness
from experiments.faults import tasks, trials
from tsenh.base import command_line, results
from tsenh.base.errors import Error

_OUTPUT = flags.DEFINE_string("output", None, "Folder for the JSONs.")
_RUNS = flags.DEFINE_string(
  "runs", "runs/faults", "Folder for what is made and made again; 1 GB."
)
_ONLY = flags.DEFINE_list(
  "only", [], "Kinds and tasks, as kills,train_codec; all by default."
)
_KILLS = flags.DEFINE_integer("kills", 200, "Kills in all.", lower_bound=1)
_STEPS = flags.DEFINE_integer(
  "steps", 3, "Steps of a task that fail, for each error.", lower_bound=1
)
flags.mark_flag_as_required("output")

_ERRORS = ("ENOSPC", "EIO")
# Mebibytes of address space, and how far a file may grow.
_ADDRESS_SPACES = (64, 128, 256, 512, 1024, 1536, 2048, 3072, 4096)
_FILE_SHARES = (0.0, 0.3, 0.9)  # Of the longest output.
# What a smoke run starts meets the other faults in the other tasks.
_KILLED_ALONE = ("smoke",)

Trial = Callable[[], Dict[str, Any]]


def _kill(name: str, reference, work, made) -> Optional[Trial]:
  """Another chain of kills, until there are enough."""
  task = tasks.TASKS[name]
  total = sum(other.kills for other in tasks.TASKS.values())
  wanted = math.ceil(task.kills * _KILLS.value / total)
  left = wanted - sum(len(trial["kills"]) for trial in made)
  if left <= 0:
    return None
  task = task._replace(most=min(task.most, left))
  seed = [list(tasks.TASKS).index(name), len(made)]
  return lambda: trials.kill(task, reference, work, seed)


def _fail(name: str, reference, work, made) -> Optional[Trial]:
  """Failing steps, then files that may not grow."""
  task, count = tasks.TASKS[name], len(reference.steps)
  steps = np.unique(np.linspace(1, count, _STEPS.value).astype(int)).tolist()
  faults = [(trials.fail, error, at) for error in _ERRORS for at in steps]
  longest = max(map(_size, (work / "alone" / n for n in reference.digests)))
  sizes = [int(share * longest) for share in _FILE_SHARES]
  faults += [(trials.limit_files, size) for size in sizes]
  for function, *arguments in faults[len(made) :][:1]:
    return lambda: function(task, reference, work, *arguments)


def _starve(name: str, reference, work, made) -> Optional[Trial]:
  """One address space after the other."""
  for megabytes in _ADDRESS_SPACES[len(made) :][:1]:
    return lambda: trials.starve(tasks.TASKS[name], reference, work, megabytes)


def _size(path: pathlib.Path) -> int:
  return path.stat().st_size


_KINDS = {"kills": _kill, "errors": _fail, "memory": _starve}


def _earlier(path: pathlib.Path) -> List[Dict[str, Any]]:
  """The trials of a JSON, if they were made by code as it is today."""
  if not path.exists():
    return []
  found = results.read(str(path))
  return [] if staleness.reasons(found) else found["trials"]


def _record(kind: str, names: List[str], path, references) -> List[Dict]:
  """Makes the trials of a kind that are not there; returns all."""
  runs = pathlib.Path(_RUNS.value).resolve()
  made = _earlier(path)
  for name in names:
    if name in _KILLED_ALONE and kind != "kills":
      continue
    work = runs / name
    if name not in references:
      references[name] = trials.refer(tasks.TASKS[name], runs / "given", work)
    with tqdm.tqdm(desc=f"{kind}, {name}", unit="trial") as bar:
      while True:
        done = [trial for trial in made if trial["task"] == name]
        bar.update(len(done) - bar.n)
        trial = _KINDS[kind](name, references[name], work, done)
        if trial is None:
          break
        made.append({"task": name, **trial()})
        _write(path, kind, made)
  return made


def _write(path: pathlib.Path, kind: str, made) -> None:
  path.parent.mkdir(parents=True, exist_ok=True)
  measured = {"benchmark": f"faults: {kind}", "trials": made}
  results.write(str(path), measured, {}, *tasks.COMMANDS)


def main():
  wanted = set(_ONLY.value)
  unknown = wanted - _KINDS.keys() - tasks.TASKS.keys()
  if unknown:
    known = ", ".join([*_KINDS, *tasks.TASKS])
    raise Error(
      f"--only: no {', '.join(sorted(unknown))}; expected some of {known}."
    )
  kinds = [k for k in _KINDS if k in wanted] or list(_KINDS)
  names = [n for n in tasks.TASKS if n in wanted] or list(tasks.TASKS)
  tasks.prepare(pathlib.Path(_RUNS.value) / "given")
  found, references = 0, {}
  for kind in kinds:
    path = pathlib.Path(_OUTPUT.value) / f"{kind}.json"
    made = _record(kind, names, path, references)
    bad = [trial for trial in made if trial["findings"]]
    found += len(bad)
    for trial in bad:
      print(f"{kind}, {trial['task']}: {'; '.join(trial['findings'])}")
  if found:
    command_line.fail(f"{found} trials did not end as they should.")


if __name__ == "__main__":
  command_line.run(main)
