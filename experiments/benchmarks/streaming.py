"""Trains from shards and from memory: the same bits, and what memory it takes.

  python -m experiments.benchmarks.streaming --output=streaming.json

For each size a training set is made of the default one's faces, with noise, so
that no two are alike; one epoch is trained from a .npy, which is memory-mapped,
from a .npz, which is in memory, and from shards. Peaks are of resident memory.
"""

import concurrent.futures
import hashlib
import multiprocessing
import pathlib
import tempfile

import numpy as np
from absl import flags

from experiments.benchmarks import machine, processes
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


def _train(folder: pathlib.Path, name: str, count: int) -> dict:
  """One epoch: seconds, peak, and the digest of what came out."""
  arguments = ["--lambda=1e-6", "--epochs=1", "--overwrite"]
  arguments += [f"--features={folder / name}", f"--output={folder / 'run'}"]
  found = processes.run(count, _COMMAND, *arguments)
  sha = hashlib.sha256()
  for file in ("weights.npz", "tables.npz"):
    sha.update((folder / "run" / file).read_bytes())
  return {
    "seconds": found["seconds"],
    "peak_mib": found["peak_memory_mib"],
    "digest": sha.hexdigest(),
  }


def main():
  files.check_output(_OUTPUT.value)
  rows = []
  spawn = multiprocessing.get_context("spawn")
  for count in map(int, _SIZES.value):
    with tempfile.TemporaryDirectory() as temporary:
      folder = pathlib.Path(temporary)
      # A child's peak starts where its parent's is: not in this process.
      with concurrent.futures.ProcessPoolExecutor(1, spawn) as pool:
        pool.submit(_make, folder, count).result()
      found = {
        name.partition(".")[0]: _train(folder, name, count)
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
