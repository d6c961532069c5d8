"""How time and memory of encode and decode grow, to ten million features.

  python -m experiments.benchmarks.growth --resume --output=growth.json

With the number of features, with their dimensions and with those of the code.
Each line is measured from .npy file to .tsf file and back, each way by its
command in a process of its own, start-up too. No codec is trained for this: its
weights are random, scaled so that an element of the code costs three bits or
so, and the features are random directions. After each line the result is
written, and --resume keeps what is there of today's code.
"""

import concurrent.futures
import multiprocessing
import pathlib
import tempfile
from typing import Any, Dict

import numpy as np
import tqdm
from absl import flags

from experiments import staleness
from experiments.benchmarks import machine, processes
from tsenh.base import command_line, files, results

_OUTPUT = flags.DEFINE_string("output", None, "The JSON to write.")
_RESUME = flags.DEFINE_bool(
  "resume",
  False,
  "Keep the lines that are in --output, if code has not changed.",
)
_NUM_FEATURES = flags.DEFINE_list(
  "num_features",
  ["10000", "100000", "1000000", "10000000"],
  "Numbers of features, of 128 dimensions with codes of 128.",
)
_DIMS = flags.DEFINE_list(
  "dims", ["64", "256", "512", "1024"], "Dimensions of a feature, codes of 128."
)
_CODE_DIMS = flags.DEFINE_list(
  "code_dims", ["32", "64", "256", "512"], "Of a code, features of 128."
)
_OTHERWISE = flags.DEFINE_integer(
  "otherwise", 500_000, "Features where it is not their number that grows."
)
_FOLDER = flags.DEFINE_string(
  "folder", None, "Where the files go, 11 GB in all. (default: the system's)"
)
flags.mark_flag_as_required("output")

_USUAL = 128  # Dimensions.
_DISTINCT = 1 << 14  # Features, which a file repeats.
_DEVIATION = 2.0  # Of an element of a code.
_COMMANDS = ("tsenh.encode", "tsenh.decode")


def make_codec(folder: pathlib.Path, faces: np.ndarray, code_dim: int) -> None:
  """Makes the run folder of a codec that is not trained.

  Args:
    folder: of the run.
    faces: float32 [n, dim], what its tables are for.
    code_dim: elements of a code.
  """
  from tsenh.coding import entropy
  from tsenh.features.pro import Codec
  from tsenh.training import run_folders

  codec = Codec(faces.shape[1], code_dim)
  arrays = codec.arrays()
  arrays["encoder/fc2/kernel"] *= _DEVIATION / codec.latent(faces).std()
  codec.assign(arrays)
  coder = entropy.fit_coder(codec.encode(faces))
  entropy.compiled()  # Once, and not while time is taken.
  config = {"kind": codec.KIND, **codec.architecture()}
  run_folders.start(folder, config)
  run_folders.finish(folder, config, codec, coder)


def measure(count: int, dim: int, code_dim: int) -> Dict[str, Any]:
  """One line: encode and decode, and the bytes that a feature takes."""
  random = np.random.default_rng(0)
  faces = random.standard_normal([_DISTINCT, dim], np.float32)
  faces /= np.linalg.norm(faces, axis=1, keepdims=True)
  with tempfile.TemporaryDirectory(dir=_FOLDER.value) as name:
    folder = pathlib.Path(name)
    # Where TensorFlow is imported, the peaks of all children begin.
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, spawn) as pool:
      pool.submit(make_codec, folder / "run", faces, code_dim).result()
    features, coded = folder / "features.npy", folder / "coded.tsf"
    processes.write_features(features, faces, count)
    found = {}
    for module, source, target in (
      (_COMMANDS[0], features, coded),
      (_COMMANDS[1], coded, folder / "decoded.npy"),
    ):
      way = module.rpartition(".")[2]
      arguments = (f"--codec={folder / 'run'}", f"--input={source}")
      found[way] = processes.run(
        count, module, *arguments, f"--output={target}"
      )
    found["bytes_per_feature"] = round(coded.stat().st_size / count, 2)
  return found


def main():
  files.check_output(_OUTPUT.value)
  other = _OTHERWISE.value
  lines = [(int(count), _USUAL, _USUAL) for count in _NUM_FEATURES.value]
  lines += [(other, int(dim), _USUAL) for dim in _DIMS.value]
  lines += [(other, _USUAL, int(dim)) for dim in _CODE_DIMS.value]
  keys = ("features", "dim", "code_dim")
  there = {}
  if _RESUME.value and pathlib.Path(_OUTPUT.value).exists():
    result = results.read(_OUTPUT.value)
    if not staleness.reasons(result):
      there = {tuple(row[key] for key in keys): row for row in result["lines"]}
  rows = [there[line] for line in lines if line in there]
  left = [line for line in lines if line not in there]
  for line in tqdm.tqdm(left, unit="line"):
    rows.append({**dict(zip(keys, line)), **measure(*line)})
    rows.sort(key=lambda row: lines.index(tuple(row[key] for key in keys)))
    measured = {
      "benchmark": "growth of the encode and decode commands",
      "machine": machine.describe(),
      "lines": rows,
    }
    results.write(_OUTPUT.value, measured, {}, *_COMMANDS)
  for row in rows:
    print(row)


if __name__ == "__main__":
  command_line.run(main)
