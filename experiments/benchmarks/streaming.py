"""Trains from shards and from memory: the same bits, and what memory it takes.

  python -m experiments.benchmarks.streaming --output=streaming.json

For each size a training set is made of the default one's faces, with noise, so
that no two are alike; one epoch is trained from a .npy, which is memory-mapped,
from a .npz, which is in memory, and from shards. Peaks are of resident memory.
"""

import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
from absl import flags

from experiments.benchmarks import machine
from tsenh.base import command_line, files, results
from tsenh.data import feature_sets, manifests, shards
from tsenh.data.feature_sets import FeatureSet
from tsenh.data.shards import Shard

_OUTPUT = flags.DEFINE_string("output", None, "The JSON to write.")
_SIZES = flags.DEFINE_list(
  "sizes", ["100000", "400000", "1600000"], "Features of each set."
)
flags.mark_flag_as_required("output")

_NOISE = 0.01
_COMMAND = "tsenh.train_codec"


def _make(folder: pathlib.Path, count: int) -> None:
  """One set in three forms."""
  faces = feature_sets.load(manifests.default().training).features
  random = np.random.default_rng(0)
  features = np.empty([count, faces.shape[1]], np.float32)
  for start in range(0, count, len(faces)):
    rows = features[start : start + len(faces)]
    rows[:] = faces[: len(rows)]
    rows += _NOISE * random.standard_normal(rows.shape, np.float32)
  np.save(folder / "mapped.npy", features)
  feature_sets.save(str(folder / "memory.npz"), FeatureSet(features))
  path = str(folder / "shards")
  shards.write(path, [Shard(features, None, None)], count, "")


def _train(folder: pathlib.Path, name: str) -> dict:
  """One epoch: seconds, peak, and the digest of what came out."""
  command = [sys.executable, "-m", _COMMAND, "--lambda=1e-6", "--epochs=1"]
  command += [f"--features={folder / name}", f"--output={folder / 'run'}"]
  began = time.monotonic()
  process = subprocess.Popen(
    [*command, "--overwrite"], stderr=subprocess.DEVNULL
  )
  _, status, usage = os.wait4(process.pid, 0)
  process.returncode = os.waitstatus_to_exitcode(status)
  if process.returncode:
    command_line.fail(f"{' '.join(command)}: failed.")
  sha = hashlib.sha256()
  for file in ("weights.npz", "tables.npz"):
    sha.update((folder / "run" / file).read_bytes())
  return {
    "seconds": round(time.monotonic() - began, 1),
    "peak_mib": usage.ru_maxrss // 1024,
    "digest": sha.hexdigest(),
  }


def main():
  files.check_output(_OUTPUT.value)
  rows = []
  for count in map(int, _SIZES.value):
    with tempfile.TemporaryDirectory() as temporary:
      folder = pathlib.Path(temporary)
      _make(folder, count)
      found = {
        name.partition(".")[0]: _train(folder, name)
        for name in ("memory.npz", "mapped.npy", "shards")
      }
    rows.append(
      {
        "features": count,
        "mib": round(count * manifests.default().dim * 4 / 2**20),
        **found,
        "identical": len({run["digest"] for run in found.values()}) == 1,
      }
    )
    print(rows[-1], flush=True)
  name = manifests.default().training
  measured = {
    "benchmark": "training from shards",
    "machine": machine.describe(),
    "sets": rows,
    "all_identical": all(row["identical"] for row in rows),
  }
  data = {name: manifests.sets()[name].digest}
  results.write(_OUTPUT.value, measured, data, _COMMAND)
  if not measured["all_identical"]:
    command_line.fail("shards and memory give different bits.")


if __name__ == "__main__":
  command_line.run(main)
