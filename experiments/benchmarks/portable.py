"""Measures how far two implementations of the shipped codecs are apart.

  python -m experiments.measure_portable --output=portable.json

LFW is encoded and decoded in TensorFlow (single precision) and in NumPy (double
precision, tsenh.portable): the largest difference of a decoded feature, how
many elements of the codes round to another integer, and how near to a half they
are.
"""

import numpy as np
import tqdm
from absl import flags

from tsenh import (
  checkpoints,
  cli,
  compression,
  features,
  files,
  portable,
  provenance,
  results,
)

_OUTPUT = flags.DEFINE_string("output", None, "The JSON to write.")
flags.mark_flag_as_required("output")


TEST_SETS = {"faces": "lfw", "dlib-faces": "dlib-lfw"}


def measure(name: str):
  folder = checkpoints.find(name)
  test_set = TEST_SETS[checkpoints.read_config(folder)["features"]]
  faces = features.load(test_set).features
  main, port = compression.load(name), portable.load(folder)
  codes = main.transform.encode(faces)
  values = main.transform.latent(faces).numpy()
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
  result = {
    "format": results.FORMAT,
    "benchmark": "NumPy against TensorFlow on lfw",
    "codecs": [measure(name) for name in tqdm.tqdm(checkpoints.shipped())],
    "date": provenance.now(),
    "versions": provenance.versions(),
    **provenance.source(),
  }
  files.write_json(_OUTPUT.value, result)


if __name__ == "__main__":
  cli.run(main)
