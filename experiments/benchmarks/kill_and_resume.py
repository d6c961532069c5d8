"""Kills training runs at random times, resumes them, and compares the bits.

  python -m experiments.benchmarks.kill_and_resume --output=kill_and_resume.json

Each trial starts the same training in a new folder, sends SIGKILL at a time
drawn uniformly between start and end, then resumes, and must end with the
weights, tables, optimiser state and test-set bitstream of the run that was left
alone. A run that is killed before its first checkpoint starts from nothing:
that proves no resuming and is counted apart. The run is made so long that its
first checkpoint comes within a seventh of it.
"""

import hashlib
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import tqdm
from absl import flags

from tsenh.base import command_line, files, results
from tsenh.data import feature_sets, manifests
from tsenh.data.feature_sets import FeatureSet
from tsenh.training import run_folders

_OUTPUT = flags.DEFINE_string("output", None, "The JSON to write.")
_TRIALS = flags.DEFINE_integer("trials", 20, "Kills.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Of the times.")
flags.mark_flag_as_required("output")

NUM_FEATURES = 3200  # 100 steps: a checkpoint is written much of the time.
# How much longer a run is than the time to its first checkpoint.
LENGTH = 7
SHARE = 0.8  # Of the runs that must be killed after it.
STATE = "training_state.npz"


def _train(folder: pathlib.Path, training_set: pathlib.Path, epochs: int):
  return [
    sys.executable,
    "-m",
    "tsenh.train_codec",
    "--lambda=1e-6",
    "--resume",
    f"--features={training_set}",
    f"--output={folder}",
    f"--epochs={epochs}",
  ]


def _length(root: pathlib.Path, training_set: pathlib.Path) -> int:
  """Epochs after which a run is `LENGTH` times its start-up long."""
  probe = 200
  start = time.monotonic()
  process = subprocess.Popen(
    _train(root / "probe", training_set, probe), stderr=subprocess.DEVNULL
  )
  while not (root / "probe" / STATE).exists() and process.poll() is None:
    time.sleep(0.01)
  first = time.monotonic() - start
  process.wait()
  config = run_folders.read_config(root / "probe")
  per_epoch = config["wall_time_seconds"] / probe
  return max(probe, int(LENGTH * first / per_epoch))


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
  coded = folder / "coded.tsf"
  _run_to_the_end(
    [
      sys.executable,
      "-m",
      "tsenh.encode",
      f"--codec={folder}",
      f"--input={manifests.default().tests[0]}",
      f"--output={coded}",
    ]
  )
  names = ("weights.npz", "tables.npz", STATE, "coded.tsf")
  return {
    name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
    for name in names
  }


def main():
  files.check_output(_OUTPUT.value)
  rng = np.random.default_rng(_SEED.value)
  name = manifests.default().training
  with tempfile.TemporaryDirectory() as temporary:
    root = pathlib.Path(temporary)
    training_set = root / "faces.npz"
    faces = feature_sets.load(name).features[:NUM_FEATURES]
    feature_sets.save(str(training_set), FeatureSet(faces))
    epochs = _length(root, training_set)
    seconds = _run_to_the_end(_train(root / "whole", training_set, epochs))
    expected = _digests(root / "whole")
    trials = []
    for trial in tqdm.trange(_TRIALS.value, unit="kill"):
      folder = root / f"trial-{trial}"
      command = _train(folder, training_set, epochs)
      after = float(rng.uniform(0, seconds))
      killed = _kill_after(command, after)
      config = run_folders.read_config(folder) or {}
      resumable = (folder / STATE).exists()
      leftovers = [path.name for path in folder.glob(".*.tmp")]
      _run_to_the_end(command)
      trials.append(
        {
          "killed_after_seconds": round(after, 3),
          "killed": killed,
          "after_first_checkpoint": killed and resumable,
          "epochs_done": config.get("epochs_done"),
          "status": config.get("status"),
          "killed_while_writing": leftovers,
          "identical": _digests(folder) == expected,
        }
      )
  resumed = [trial for trial in trials if trial["after_first_checkpoint"]]
  measured = {
    "benchmark": "kill and resume",
    "run_seconds": round(seconds, 2),
    "epochs": epochs,
    "digests": expected,
    "trials": trials,
    "num_resumed": len(resumed),
    "num_resumed_identical": sum(trial["identical"] for trial in resumed),
    "all_identical": all(trial["identical"] for trial in trials),
  }
  data = {name: manifests.sets()[name].digest}
  commands = ("tsenh.train_codec", "tsenh.encode")
  results.write(_OUTPUT.value, measured, data, *commands)
  print(
    f"{len(trials)} runs killed, {len(resumed)} of them after the first"
    f" checkpoint; {measured['num_resumed_identical']} of these resumed to the"
    " same bits"
  )
  if not measured["all_identical"]:
    command_line.fail("a resumed run differs from the one left alone.")
  if len(resumed) < SHARE * len(trials):
    command_line.fail("too few runs were killed after the first checkpoint.")


if __name__ == "__main__":
  command_line.run(main)
