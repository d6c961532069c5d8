"""Times the encode and decode commands on a large file of real features.

  python -m experiments.benchmarks.coding --output=coding.json

The shipped training set, repeated to --num_features, is encoded from a .npy
file and decoded to one, each by its command in a process of its own: seconds
and memory are the whole process's, start-up too.
"""

import os
import pathlib
import tempfile

from absl import flags

from experiments.benchmarks import processes
from tsenh.base import command_line, files, results
from tsenh.data import feature_sets, manifests
from tsenh.training import run_folders

_OUTPUT = flags.DEFINE_string("output", None, "The JSON to write.")
_CODEC = flags.DEFINE_string("codec", "pro-1e-6", "The codec.")
_NUM_FEATURES = flags.DEFINE_integer(
  "num_features", 10_000_000, "Features in the file.", lower_bound=1
)
_FOLDER = flags.DEFINE_string(
  "folder", None, "Where the files go, 12 GB in all. (default: the system's)"
)
flags.mark_flag_as_required("output")


def main():
  files.check_output(_OUTPUT.value)
  count = _NUM_FEATURES.value
  faces = feature_sets.load(manifests.default().training).features
  runs = {}
  with tempfile.TemporaryDirectory(dir=_FOLDER.value) as name:
    folder = pathlib.Path(name)
    processes.write_features(folder / "features.npy", faces, count)
    codec, coded = f"--codec={_CODEC.value}", f"{folder / 'coded.tsf'}"
    for packing in ("shared", "separate"):
      runs[packing] = {
        "encode": processes.run(
          count,
          "tsenh.encode",
          codec,
          f"--packing={packing}",
          f"--input={folder / 'features.npy'}",
          f"--output={coded}",
        ),
        "file_bytes": os.path.getsize(coded),
        "decode": processes.run(
          count,
          "tsenh.decode",
          codec,
          f"--input={coded}",
          f"--output={folder / 'decoded.npy'}",
        ),
      }
  measured = {
    "benchmark": "encode and decode commands, whole processes",
    "codec": _CODEC.value,
    "num_features": _NUM_FEATURES.value,
    **runs,
    "cores": os.cpu_count(),
  }
  name = manifests.default().training
  codec = run_folders.finished(_CODEC.value)[1]
  data = {
    name: manifests.sets()[name].digest,
    f"codec {_CODEC.value}": codec["codec_digest"],
  }
  commands = ("tsenh.encode", "tsenh.decode")
  results.write(_OUTPUT.value, measured, data, *commands)
  for packing, run in runs.items():
    for command in ("encode", "decode"):
      print(
        f"{packing} {command}: {run[command]['features_per_second']:,}"
        f" features/s, {run[command]['peak_memory_mib']} MiB"
      )


if __name__ == "__main__":
  command_line.run(main)
