"""Times students and their teacher on one core, and the chain at the edge.

  python -m experiments.benchmarks.students --output=students.json \
    --teacher_network=mobilefacenet128.param

Faces a second of each network as it is used, one face at a time on one thread,
the median of some rounds in turn; the bytes of its parameters and of its file;
the most memory that a process takes with it beside the runtime. The chain is
a face of 16 pixels to a feature, to the bytes of PRO's codec, and back.
"""

import concurrent.futures
import multiprocessing
import pathlib
import re
import time

import numpy as np
from absl import flags

from experiments.benchmarks import machine
from tsenh.base import command_line, files, results
from tsenh.recognition import face_networks
from tsenh.training import run_folders

_OUTPUT = flags.DEFINE_string("output", None, "The JSON to write.")
_TEACHER = flags.DEFINE_string(
  "teacher_network", None, "The network of the teacher's features."
)
_CODEC = flags.DEFINE_string("codec", "pro-1e-5", "Of the chain.")
_ROUNDS = flags.DEFINE_integer("rounds", 7, "Of each.", lower_bound=1)
flags.mark_flags_as_required(["output", "teacher_network"])

FACES = 2000  # Of a round; of the teacher a hundredth.


def _load(name: str):
  path = face_networks.find(name)
  preset = face_networks.PRESETS[face_networks.preset_of(path)]
  if path.endswith(".param"):
    preset = preset._replace(size=112)
  return face_networks.load(path, preset)


def _faces(network, count: int) -> np.ndarray:
  size = network.preprocessing.size
  return np.random.default_rng(0).integers(
    0, 256, [count, size, size, 3], np.uint8
  )


def _memory_now(key: str) -> float:
  """What the system says of this process: VmRSS, or VmHWM, the most; MiB."""
  text = pathlib.Path("/proc/self/status").read_text()
  return int(re.search(rf"{key}:\s+(\d+) kB", text)[1]) / 1024


def _memory(name: str) -> float:
  """MiB that a network adds to a process with its runtime alone."""
  spawn = multiprocessing.get_context("spawn")
  with concurrent.futures.ProcessPoolExecutor(1, spawn) as pool:
    return pool.submit(_added_memory, name).result()


def _added_memory(name: str) -> float:
  import tensorflow  # noqa: F401

  before = _memory_now("VmRSS")
  pathlib.Path("/proc/self/clear_refs").write_text("5")  # Forgets the most.
  network = _load(name)
  network(_faces(network, 64))
  return _memory_now("VmHWM") - before


def _chain(network):
  """From faces to bytes and back to features, by `--codec`."""
  from tsenh.features import compressor

  codec = compressor.load(_CODEC.value)
  sizes = []

  def run(faces):
    features = network(faces)
    data = codec.compress(features)
    sizes.append(len(data) / len(faces))
    return codec.decompress(data)

  return run, sizes


def main():
  files.check_output(_OUTPUT.value)
  import tensorflow as tf

  from tsenh.recognition import student

  tf.config.threading.set_intra_op_parallelism_threads(1)
  tf.config.threading.set_inter_op_parallelism_threads(1)
  names = [*face_networks.students(), _TEACHER.value]
  networks = {name: _load(name) for name in names}
  counts = {
    name: FACES if name != _TEACHER.value else FACES // 100 for name in names
  }
  faces = {name: _faces(networks[name], counts[name]) for name in names}
  seconds = {name: [] for name in names}
  small = next(name for name in names if "16" in name)
  chain, sizes = _chain(networks[small])
  seconds["chain"] = []
  runs = {**networks, "chain": chain}
  faces["chain"], counts["chain"] = faces[small], counts[small]
  with command_line.progress((_ROUNDS.value + 1) * len(runs), "round") as bar:
    for number in range(_ROUNDS.value + 1):
      for name, run in runs.items():
        began = time.perf_counter()
        run(faces[name])
        if number:  # The first one warms up.
          seconds[name].append(time.perf_counter() - began)
        bar.update()
  rows = []
  for name in names:
    teacher = name == _TEACHER.value
    row = {
      "network": "teacher" if teacher else name,
      "faces_per_second": float(counts[name] / np.median(seconds[name])),
      "slowest": float(counts[name] / max(seconds[name])),
      "fastest": float(counts[name] / min(seconds[name])),
      "memory_mib": _memory(name),
    }
    if not teacher:
      path = face_networks.students()[name]
      config = run_folders.read_config(path.parent)
      row["multiply_adds"] = config["multiply_adds"]
      program = path.read_bytes()
      row["parameters"], row["parameter_bytes"] = student.weight_bytes(program)
      row["file_bytes"] = len(program)
    rows.append(row)
  measured = {
    "benchmark": "students and their teacher on one core",
    "faces_at_a_time": 1,
    "rounds": _ROUNDS.value,
    "networks": rows,
    "chain": {
      "network": small,
      "codec": _CODEC.value,
      "faces_per_second": float(counts["chain"] / np.median(seconds["chain"])),
      "bytes_per_face": float(np.median(sizes)),
    },
    "machine": machine.describe(),
    "packages": machine.versions("tensorflow", "ncnn"),
  }
  results.write(_OUTPUT.value, measured, {})


if __name__ == "__main__":
  command_line.run(main)
