"""Describes a training and a test set of features, for the figures.

  python -m experiments.describe_features --output=features.json

writes histograms of several dimensions beside a fitted normal distribution (the
paper's Fig. 2), the eigenvalues of the covariance, and what an ideal coder
would need if the features were Gaussian with that covariance. Labels and pairs
have no part in it. Seconds.
"""

import sys

from absl import flags

from experiments import gaussian
from tsenh import cli, features, files, provenance, results

_OUTPUT = flags.DEFINE_string("output", None, "The JSON to write.")
_TRAINING_SET = flags.DEFINE_string("training_set", "faces", "A feature set.")
_TEST_SET = flags.DEFINE_string("test_set", "lfw", "A feature set.")
flags.mark_flag_as_required("output")


def main():
  files.check_output(_OUTPUT.value)
  sets = [features.load(s.value) for s in (_TRAINING_SET, _TEST_SET)]
  files.write_json(
    _OUTPUT.value,
    {
      "format": results.FORMAT,
      "study": "features described",
      "training_set": _TRAINING_SET.value,
      "test_set": _TEST_SET.value,
      "features_digests": [feature_set.digest() for feature_set in sets],
      "training": gaussian.describe(sets[0].features),
      "test": gaussian.describe(sets[1].features),
      "command": [
        *("python", "-m", "experiments.describe_features"),
        *sys.argv[1:],
      ],
      "date": provenance.now(),
      "versions": provenance.versions(),
      **provenance.source(),
    },
  )


if __name__ == "__main__":
  cli.run(main)
