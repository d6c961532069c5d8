"""Fuzzes every reader of foreign files with coverage-guided mutation.

  python -m experiments.fuzzing --output=experiments/results/fuzzing

Each reader (experiments/fuzzing/readers.py) gets --executions mutated inputs,
in rounds, each a process of its own; what is done is not done again, so it can
be stopped and started at any time. It stops at a finding: a foreign exception,
two implementations that do not agree, more than two seconds, more than 200 MB
above what the process had before, a file written elsewhere, anything unpickled.
The input is then in --runs, and its name on the screen. --keep puts the inputs
that cover the readers' lines, small ones alone, into tests/corpus, where a test
reads them.
"""

import pathlib
import re
import subprocess
import sys
from typing import Dict, List, Tuple

from absl import flags

from tsenh.base import command_line, results
from tsenh.base.errors import Error

_OUTPUT = flags.DEFINE_string("output", None, "Folder for a JSON a reader.")
_READER = flags.DEFINE_list("reader", [], "Which readers; all by default.")
_EXECUTIONS = flags.DEFINE_integer(
  "executions", 1_000_000, "Inputs for each reader.", lower_bound=1
)
_ROUND = flags.DEFINE_integer(
  "round", 100_000, "Inputs for each process.", lower_bound=1
)
_RUNS = flags.DEFINE_string("runs", "runs/fuzz", "Folder for what it finds.")
_KEEP = flags.DEFINE_bool("keep", False, "Renew tests/corpus.")
flags.mark_flag_as_required("output")

_SECONDS = 2
_MAX_LENGTH = 1 << 17  # Of an input, in bytes.
_MAX_KEPT = 1 << 12
_STAT = re.compile(r"^stat::(\w+):\s+(\d+)$", re.MULTILINE)


def fuzz(name: str, work: pathlib.Path, count: int, seed: int) -> Dict:
  """Runs one process; returns libFuzzer's statistics.

  Raises:
    Error: at a finding.
  """
  from experiments.fuzzing import readers

  corpus = work / "corpus"
  corpus.mkdir(parents=True, exist_ok=True)
  for seed_name, data in readers.READERS[name].seeds().items():
    (corpus / f"seed-{seed_name}").write_bytes(data)
  kept = [readers.CORPUS / name] if (readers.CORPUS / name).is_dir() else []
  process = subprocess.run(
    [
      *(sys.executable, "-m", "experiments.fuzzing.engine", name),
      *(f"-runs={count}", f"-seed={seed}", f"-timeout={_SECONDS}"),
      *(f"-max_len={_MAX_LENGTH}", "-print_final_stats=1", "-len_control=0"),
      *(f"-artifact_prefix={work}/", str(corpus), *map(str, kept)),
    ],
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
    errors="replace",
    check=False,
  )
  (work / "log").write_text(process.stdout)
  if process.returncode != 0:
    raise Error(
      f"{name}: stopped; {work}/log says why. An input that it names is a"
      " finding, until it is mended and taken away."
    )
  return {key: int(value) for key, value in _STAT.findall(process.stdout)}


def covered(name: str, inputs: List[pathlib.Path]) -> Tuple[Dict, List]:
  """Which lines of a reader's files inputs cover, and which inputs suffice.

  Args:
    name: of a reader.
    inputs: in the order in which they are tried.

  Returns:
    For each file its lines and how many of them were run, the lines of imports
    and definitions left out; and the inputs that each added some.
  """
  import coverage

  from experiments.fuzzing import readers
  from tsenh.base import provenance

  reader = readers.READERS[name]
  paths = {file: str(provenance.ROOT / file) for file in reader.files}
  reader.read(next(iter(reader.seeds().values())))
  seen, sufficient = {file: set() for file in paths}, []
  for path in inputs:
    measure = coverage.Coverage(data_file=None, include=list(paths.values()))
    measure.start()
    try:
      reader.read(path.read_bytes())
    finally:
      measure.stop()
    lines = {
      f: set(measure.get_data().lines(p) or ()) for f, p in paths.items()
    }
    if any(lines[file] - seen[file] for file in paths):
      sufficient.append(path)
      for file in paths:
        seen[file] |= lines[file]
  executable = {f: set(measure.analysis2(p)[1]) for f, p in paths.items()}
  counts = {f: [len(seen[f]), len(executable[f])] for f in paths}
  return counts, sufficient


def _findings(work: pathlib.Path) -> int:
  """Inputs at which libFuzzer stopped: crash-, timeout-, oom-, leak-."""
  return len([*work.glob("*-*")])


def _keep(name: str, inputs: List[pathlib.Path]) -> None:
  """Replaces the kept inputs of a reader."""
  from experiments.fuzzing import readers

  folder = readers.CORPUS / name
  kept = [path.read_bytes() for path in inputs]
  folder.mkdir(parents=True, exist_ok=True)
  for path in folder.iterdir():
    path.unlink()
  for number, data in enumerate(kept):
    (folder / f"{number:03d}").write_bytes(data)


def main():
  from experiments.fuzzing import readers

  names = _READER.value or list(readers.READERS)
  unknown = set(names) - readers.READERS.keys()
  if unknown:
    raise Error(
      f"--reader: no {', '.join(sorted(unknown))}; expected some of"
      f" {', '.join(readers.READERS)}."
    )
  output = pathlib.Path(_OUTPUT.value)
  for name in names:
    work, path = pathlib.Path(_RUNS.value) / name, output / f"{name}.json"
    earlier = results.read(str(path)) if path.exists() else {}
    rounds = earlier.get("rounds", [])
    done = sum(one["number_of_executed_units"] for one in rounds)
    with command_line.progress(_EXECUTIONS.value, "inputs", name) as bar:
      bar.update(done)
      while done < _EXECUTIONS.value:
        count = min(_ROUND.value, _EXECUTIONS.value - done)
        try:
          rounds.append(fuzz(name, work, count, seed=1 + len(rounds)))
        except Error:
          if rounds:
            _write(name, work, path, rounds)
          raise
        done += rounds[-1]["number_of_executed_units"]
        bar.update(rounds[-1]["number_of_executed_units"])
        _write(name, work, path, rounds)
    if _KEEP.value:
      small = [p for p in _inputs(work) if p.stat().st_size <= _MAX_KEPT]
      _keep(name, covered(name, small)[1])


def _inputs(work: pathlib.Path) -> List[pathlib.Path]:
  found = [path for path in (work / "corpus").iterdir() if path.is_file()]
  return sorted(found, key=lambda path: (path.stat().st_size, path.name))


def _write(name, work, path, rounds) -> None:
  inputs = _inputs(work)
  measured = {
    "benchmark": f"fuzzing of {name}",
    "executions": sum(one["number_of_executed_units"] for one in rounds),
    "findings": _findings(work),
    "inputs": len(inputs),
    "lines_covered": covered(name, inputs)[0],
    "peak_rss_above_base_mb": max(
      one["peak_rss_mb"] - one["base_rss_mb"] for one in rounds
    ),
    "rounds": rounds,
  }
  path.parent.mkdir(parents=True, exist_ok=True)
  results.write(str(path), measured, {}, "experiments.fuzzing.engine")


if __name__ == "__main__":
  command_line.run(main)
