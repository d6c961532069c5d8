"""Measures what the paper's silent choices do to rate and accuracy.

  python -m experiments.studies.sensitivity --output=sensitivity.json

Each choice is varied alone from the default recipe, at the paper's four
lambdas, without the people of the validation set; rate, distortion and
verification are those of these people. Every run is first trained for as many
updates as 40 epochs of the whole training set are, then for twice as many, and
so on until doubling moves its rate by less than 2 % or --max_epochs is reached:
hours. Runs lie in --runs and are continued wherever the study was stopped.
"""

import concurrent.futures
import pathlib
import subprocess
import sys
from typing import Optional

import tqdm
from absl import flags

from experiments import published
from experiments.choices import held_in_epochs
from experiments.jobs import interruptible
from experiments.studies import network
from tsenh.base import command_line, files, results
from tsenh.base.errors import Error
from tsenh.training import run_folders

_OUTPUT = flags.DEFINE_string("output", None, "The JSON to write.")
_RUNS = flags.DEFINE_string(
  "runs", None, "Folder of the runs. (default: runs/sensitivity/NETWORK)"
)
_MAX_EPOCHS = flags.DEFINE_integer(
  "max_epochs", 368, "The longest run, in epochs of the training set."
)
_PROCESSES = flags.DEFINE_integer(
  "processes", 2, "Runs at a time; each takes one core.", lower_bound=1
)
_ONLY = flags.DEFINE_multi_string(
  "only",
  [],
  "Train these alone, e.g. default/1e-6, or default at all lambdas; the others"
  " are kept.",
)
flags.mark_flag_as_required("output")

VARIANTS = {
  "default": [],
  "distortion=sum": ["--distortion=sum"],
  "code_dim=64": ["--code_dim=64"],
  "hidden_dim=256": ["--hidden_dim=256"],
  "gdn_layers=2": ["--gdn_layers=2"],
  "gdn=tfc": ["--gdn=tfc"],
  "noise=before_clip": ["--noise=before_clip"],
  "adam_epsilon=1e-8": ["--adam_epsilon=1e-8"],
  # What chance alone does: the yardstick for the others.
  "seed=1": ["--seed=1"],
  "seed=2": ["--seed=2"],
}
TOLERANCE = 0.02  # Of the rate, when the length is doubled.


def folder(variant: str, lmbda: str) -> pathlib.Path:
  runs = _RUNS.value or f"runs/sensitivity/{network.chosen().name}"
  return pathlib.Path(runs) / f"{variant}-{lmbda}"


def records(variant: str, lmbda: str):
  """The validations of a run, by epoch."""
  found = run_folders.read_validation(folder(variant, lmbda))
  return {record["epoch"]: record for record in found}


def change(validations) -> Optional[float]:
  """How far the rate moved, relatively, in the last doubling."""
  rate = "entropy_bits_per_feature"
  doubled = [e for e in validations if e % 2 == 0 and e // 2 in validations]
  if not doubled:
    return None
  last = max(doubled)
  return validations[last][rate] / validations[last // 2][rate] - 1


def settled(validations) -> bool:
  moved = change(validations)
  return moved is not None and abs(moved) < TOLERANCE


def train(variant: str, lmbda: str, epochs: int) -> None:
  run = folder(variant, lmbda)
  run.mkdir(parents=True, exist_ok=True)
  with open(run.parent / f"{run.name}.log", "a") as log:
    code = subprocess.run(
      [
        sys.executable,
        "-m",
        "tsenh.train_codec",
        f"--lambda={lmbda}",
        f"--features={network.chosen().held_in}",
        f"--validation={network.chosen().validation}",
        f"--validate_every={held_in_epochs(network.chosen())}",
        f"--epochs={epochs}",
        *VARIANTS[variant],
        f"--output={run}",
        "--resume",
      ],
      stderr=log,
      check=False,
    ).returncode
  if code:
    raise Error(f"training failed; {log.name} says why.")


def write() -> None:
  runs = []
  for variant in VARIANTS:
    for lmbda in published.LAMBDAS:
      validations = records(variant, lmbda)
      if not validations:
        continue
      config = run_folders.read_config(folder(variant, lmbda))
      runs.append(
        {
          "variant": variant,
          "lambda": lmbda,
          "rate_change_when_doubled": change(validations),
          "settled": settled(validations),
          "seconds": config["wall_time_seconds"],
          "commits": config.get("commits"),
          "git_dirty": config["git_dirty"],
          "validations": list(validations.values()),
        }
      )
  measured = {
    "study": f"silent choices, one at a time, on {network.chosen().validation}",
    "paper_bits_per_dimension": [
      point.bits_per_dimension for point in published.TABLE_1["PRO"]
    ],
    "runs": runs,
  }
  results.write(_OUTPUT.value, measured, network.digests(), "tsenh.train_codec")


def main():
  files.check_output(_OUTPUT.value)
  jobs = [(v, lmbda) for v in VARIANTS for lmbda in published.LAMBDAS]
  if _ONLY.value:
    jobs = [job for job in jobs if {job[0], "/".join(job)} & {*_ONLY.value}]
    if not jobs:
      raise Error("--only: no run of that name.")
  epochs = held_in_epochs(network.chosen())
  while jobs and epochs <= _MAX_EPOCHS.value:
    todo = [job for job in jobs if epochs not in records(*job)]
    with interruptible(_PROCESSES.value) as pool:
      trained = [pool.submit(train, *job, epochs) for job in todo]
      for future in tqdm.tqdm(
        concurrent.futures.as_completed(trained),
        total=len(trained),
        unit="run",
        desc=f"{epochs} epochs",
      ):
        future.result()
        write()
    jobs = [job for job in jobs if not settled(records(*job))]
    epochs *= 2
  write()
  left = ["/".join(job) for job in jobs]
  print(f"not settled: {', '.join(left) or 'none'}")


if __name__ == "__main__":
  command_line.run(main)
