"""Describes a training and a test set of features, for the figures.

  python -m experiments.studies.describe_features --output=features.json

writes histograms of several dimensions beside a fitted normal distribution (the
paper's Fig. 2), the eigenvalues of the covariance, and what an ideal coder
would need if the features were Gaussian with that covariance. Labels and pairs
have no part in it. Seconds.
"""

from absl import flags

from experiments.studies import gaussian
from tsenh.base import command_line, files, results
from tsenh.data import feature_sets, manifests

_OUTPUT = flags.DEFINE_string("output", None, "The JSON to write.")
_TRAINING_SET = flags.DEFINE_string(
  "training_set", manifests.default().training, "A feature set."
)
_TEST_SET = flags.DEFINE_string(
  "test_set", manifests.default().tests[0], "A feature set."
)
flags.mark_flag_as_required("output")


def main():
  files.check_output(_OUTPUT.value)
  names = (_TRAINING_SET.value, _TEST_SET.value)
  training, test = map(feature_sets.load, names)
  measured = {
    "study": "features described",
    "training_set": names[0],
    "test_set": names[1],
    "training": gaussian.describe(training.features),
    "test": gaussian.describe(test.features),
  }
  digests = (training.digest(), test.digest())
  results.write(_OUTPUT.value, measured, dict(zip(names, digests)))


if __name__ == "__main__":
  command_line.run(main)
