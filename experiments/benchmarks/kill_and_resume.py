"""Kills training runs at random times, resumes them, and compares the bits.

  python -m experiments.kill_and_resume --output=kill_and_resume.json

Each trial starts the same training in a new folder, sends SIGKILL at a random
time between start and end, then resumes, and must end with the weights, tables,
optimiser state and LFW bitstream of the run that was left alone.
"""

import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import tqdm
from absl import flags

from tsenh import checkpoints, cli, features, files, provenance, results

_OUTPUT = flags.DEFINE_string("output", None, "The JSON to write.")
_TRIALS = flags.DEFINE_integer("trials", 20, "Kills.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Of the times.")
flags.mark_flag_as_required("output")

NUM_FEATURES = 3200
EPOCHS = 100  # Of 100 steps: a checkpoint is being written much of the time.


def _train(folder: pathlib.Path, training_set: pathlib.Path):
  return [
    *(sys.executable, "-m", "tsenh.train_codec", "--lambda=1e-6", "--resume"),
    *(f"--features={training_set}", f"--output={folder}"),
    f"--epochs={EPOCHS}",
  ]


def _run_to_the_end(command) -> float:
  start = time.monotonic()
  subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
  return time.monotonic() - start


def _kill_after(command, seconds: float) -> bool:
  """Whether the process was still running when its time came."""
  process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
  try:
    process.wait(seconds)
    return False
  except subprocess.TimeoutExpired:
    process.kill()
    process.wait()
    return True


def _digests(folder: pathlib.Path) -> dict:
  """SHA-256 of all that the run made, and of what it encodes."""
  coded = folder / "lfw.tsf"
  _run_to_the_end(
    [
      *(sys.executable, "-m", "tsenh.encode", f"--codec={folder}"),
      *("--input=lfw", f"--output={coded}"),
    ]
  )
  names = ("weights.npz", "tables.npz", "training_state.npz", "lfw.tsf")
  return {
    name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
    for name in names
  }


def main():
  files.check_output(_OUTPUT.value)
  rng = np.random.default_rng(_SEED.value)
  with tempfile.TemporaryDirectory() as name:
    root = pathlib.Path(name)
    training_set = root / "faces.npz"
    faces = features.load("faces").features[:NUM_FEATURES]
    features.save(str(training_set), features.FeatureSet(faces))
    seconds = _run_to_the_end(_train(root / "whole", training_set))
    expected = _digests(root / "whole")
    trials = []
    for trial in tqdm.trange(_TRIALS.value, unit="kill"):
      folder = root / f"trial-{trial}"
      after = float(rng.uniform(0, seconds))
      killed = _kill_after(_train(folder, training_set), after)
      config = checkpoints.read_config(folder) or {}
      leftovers = [path.name for path in folder.glob(".*.tmp")]
      _run_to_the_end(_train(folder, training_set))
      trials.append(
        {
          "killed_after_seconds": round(after, 3),
          "killed": killed,
          "epochs_done": config.get("epochs_done"),
          "status": config.get("status"),
          "killed_while_writing": leftovers,
          "identical": _digests(folder) == expected,
        }
      )
  result = {
    "format": results.FORMAT,
    "benchmark": "kill and resume",
    "run_seconds": round(seconds, 2),
    "epochs": EPOCHS,
    "digests": expected,
    "trials": trials,
    "all_identical": all(trial["identical"] for trial in trials),
    "date": provenance.now(),
    "versions": provenance.versions(),
    **provenance.source(),
  }
  files.write_json(_OUTPUT.value, result)
  print(json.dumps(trials, indent=1))
  if not result["all_identical"]:
    cli.fail("a resumed run differs from the one that was left alone.")


if __name__ == "__main__":
  cli.run(main)
