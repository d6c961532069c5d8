"""Measures how far two implementations of the shipped codecs are apart.

  python -m experiments.benchmarks.portable --output=portable.json

LFW is encoded and decoded in TensorFlow (single precision) and in NumPy (double
precision, tsenh.portable): the largest difference of a decoded feature, how
many elements of the codes round to another integer, and how near to a half they
are.
"""

import numpy as np
import tqdm
from absl import flags

from tsenh.base import command_line, files, results
from tsenh.data import feature_sets, manifests
from tsenh.training import run_folders

_OUTPUT = flags.DEFINE_string("output", None, "The JSON to write.")
flags.mark_flag_as_required("output")


def measure(name: str):
  from tsenh import portable
  from tsenh.features import compressor  # It imports TensorFlow.

  folder = run_folders.find(name)
  training_set = run_folders.read_config(folder)["features"]
  test_set = manifests.network_of(training_set).tests[0]
  faces = feature_sets.load(test_set).features
  main, port = compressor.load(name), portable.load(folder)
  codes = main.transform.encode(faces)
  values = main.transform.latent(faces)
  from_half = np.abs(np.abs(values - np.trunc(values)) - 0.5)
  other = portable.encode(port, faces) != codes
  decoded = main.transform.decode(codes).astype(np.float64)
  difference = np.abs(decoded - portable.decode(port, codes)).max(axis=1)
  relative = difference / np.linalg.norm(decoded, axis=1)
  return {
    "codec": name,
    "features": test_set,
    "codec_digest": main.transform.digest(),
    "largest_difference_over_length": float(relative.max()),
    "elements": codes.size,
    "elements_rounded_otherwise": int(other.sum()),
    "farthest_of_those_from_a_half": float(from_half[other].max(initial=0)),
    "elements_within_1e-4_of_a_half": int((from_half < 1e-4).sum()),
  }


def main():
  files.check_output(_OUTPUT.value)
  learned = [
    name
    for name, folder in run_folders.shipped().items()
    if run_folders.read_config(folder)["kind"] == "pro"
  ]
  measured = {
    "benchmark": "NumPy against TensorFlow on the test sets",
    "codecs": [measure(name) for name in tqdm.tqdm(learned)],
  }
  names = {codec["features"] for codec in measured["codecs"]}
  data = {name: manifests.sets()[name].digest for name in sorted(names)}
  results.write(_OUTPUT.value, measured, data)


if __name__ == "__main__":
  command_line.run(main)
