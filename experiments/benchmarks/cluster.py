"""What the work of a cluster costs, in seconds of a core and in bytes.

  python -m experiments.benchmarks.cluster --photographs=samples/photos \
    --output=cluster.json

Measures one shard of each kind of work in this process, in seconds of
processor time over all threads; detectors on some photographs; and training on
two machines, two processes here, beside training on one.
"""

import json
import os
import pathlib
import socket
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
from tsenh.recognition import detection, pair_counts, photographs

_PHOTOGRAPHS = flags.DEFINE_string(
  "photographs", None, "A folder of photographs, not aligned."
)
_OUTPUT = flags.DEFINE_string("output", None, "The JSON to write.")
_FEATURES = flags.DEFINE_integer(
  "features", shards.ROWS_PER_SHARD, "Of the shard.", lower_bound=4096
)
_DETECTED = flags.DEFINE_integer(
  "detected", 40, "Photographs for each detector.", lower_bound=2
)
_EPOCHS = flags.DEFINE_integer(
  "epochs", 20, "Of the training on two machines.", lower_bound=1
)
flags.mark_flags_as_required(["photographs", "output"])

CODEC = "pro-1e-6"
_TRAINED_ON = 6400  # Features, 200 updates an epoch.
_COMMAND = "tsenh.train_codec"


def _spent(function, *arguments) -> float:
  """Seconds of processor time."""
  began = time.process_time()
  function(*arguments)
  return time.process_time() - began


def _shards(folder: pathlib.Path) -> dict:
  """Seconds of a core for each feature, or pair, and bytes for each feature."""
  from tsenh.features import bulk

  name = manifests.default().training
  faces = feature_sets.load(name)
  own = [array[: _FEATURES.value] for array in (faces.features, faces.names)]
  shard = Shard(*own, faces.identities[: _FEATURES.value])
  count = len(shard.features)
  source = str(folder / "set")
  shards.write(source, [shard], count, "")
  (tar,) = shards.paths(source)
  tsf, back = folder / "coded.tsf", folder / "back.tar"
  encoding = (CODEC, "shared", 1024, str(tar), str(tsf))
  decoding = (CODEC, None, 0, str(tsf), str(back))
  bulk.encode_shard(*encoding)  # Once for the start.
  bulk.decode_shard(*decoding)
  band = (source, 0, str(folder / "band.npz"))
  known = pair_counts.num_known(source)
  pair_counts.count_band(*band)
  width = min(pair_counts.BAND, known)
  pairs = width * (width - 1) // 2 + width * (known - width)
  return {
    "features_per_core_second": {
      "encode": count / _spent(bulk.encode_shard, *encoding),
      "decode": count / _spent(bulk.decode_shard, *decoding),
    },
    "pairs_per_core_second": pairs / _spent(pair_counts.count_band, *band),
    "bytes_per_feature": {
      "shard": tar.stat().st_size / count,
      "coded": tsf.stat().st_size / count,
    },
  }


def _detectors() -> dict:
  """Photographs for each second of a core, and their bytes."""
  listing = photographs.find(_PHOTOGRAPHS.value)
  entries = listing.entries[: _DETECTED.value]
  data = list(photographs.read(listing.source, entries))
  images = [photographs.decode(d) for d in data]
  rates = {}
  for name in detection.DETECTORS:
    detect = detection.detector(name)
    detect(images[0])
    rates[name] = len(images) / _spent(lambda: [*map(detect, images)])  # noqa: B023
  return {
    "photographs_per_core_second": rates,
    "bytes_per_photograph": sum(map(len, data)) / len(data),
    "pixels_per_photograph": sum(i[..., 0].size for i in images) / len(images),
  }


def _free_ports(count: int) -> list:
  sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
  ports = [s.getsockname()[1] for s in sockets]
  for s in sockets:
    s.close()
  return ports


def _machines(folder: pathlib.Path) -> dict:
  """How far the weights of two machines are from those of one."""
  path = folder / "small.npz"
  faces = feature_sets.load(manifests.default().training).features
  feature_sets.save(str(path), FeatureSet(faces[:_TRAINED_ON]))
  own = [f"--features={path}", f"--epochs={_EPOCHS.value}", "--lambda=1e-6"]
  command = [sys.executable, "-m", _COMMAND, *own]
  workers = [f"localhost:{port}" for port in _free_ports(2)]
  seconds = {}

  def wait(name, started):
    began = time.monotonic()
    if any(process.wait() for process in started):
      command_line.fail(f"training on {name} failed.")
    seconds[name] = time.monotonic() - began

  def start(name, environment, *more):
    return subprocess.Popen(
      [*command, f"--output={folder / name}", *more],
      env={**os.environ, **environment},
      stderr=subprocess.DEVNULL,
    )

  wait("one", [start("one", {})])
  together = []
  for index in range(2):
    task = {"type": "worker", "index": index}
    config = json.dumps({"cluster": {"worker": workers}, "task": task})
    together.append(start("two", {"TF_CONFIG": config}, "--distributed"))
  wait("two", together)
  one, two = (np.load(folder / name / "weights.npz") for name in ("one", "two"))
  apart = [np.square(one[key] - two[key]).sum() for key in one.files]
  whole = [np.square(one[key]).sum() for key in one.files]
  losses = [
    json.loads((folder / name / "config.json").read_text())["last_epoch"][
      "loss"
    ]
    for name in ("one", "two")
  ]
  return {
    "updates": _EPOCHS.value * (_TRAINED_ON // 32),
    "relative_difference_of_weights": float(np.sqrt(sum(apart) / sum(whole))),
    "relative_difference_of_loss": abs(losses[1] / losses[0] - 1),
    "seconds": seconds,
  }


def main():
  files.check_output(_OUTPUT.value)
  with tempfile.TemporaryDirectory() as temporary:
    folder = pathlib.Path(temporary)
    measured = {
      "benchmark": "the work of a cluster",
      "machine": machine.describe(),
      "libraries": machine.versions("apache-beam", "mtcnn", "dlib-bin"),
      "codec": CODEC,
      **_shards(folder),
      **_detectors(),
      "two_machines": _machines(folder),
    }
  name = manifests.default().training
  data = {name: manifests.sets()[name].digest}
  results.write(_OUTPUT.value, measured, data, _COMMAND)
  print(json.dumps(measured, indent=2))


if __name__ == "__main__":
  command_line.run(main)
