"""Fits PCA, the classical transform coder, with one quantization step.

  python -m tsenh.train_pca --step=0.1 --output=runs/pca-0.1

It finds the principal components of a training set and the entropy tables of
their integers. The run folder holds both, and serves as a codec wherever one is
named: --codec=runs/pca-0.1. A small step gives a high rate. Seconds.
"""

from absl import flags

from tsenh.base import command_line
from tsenh.data import feature_sets
from tsenh.features import pca
from tsenh.training import command

_STEP = command.define_step(
  "every component, in units of the features", pca.MIN_STEP
)
flags.adopt_module_key_flags(command)  # So that --help shows them.


def main():
  training_set = feature_sets.load(command.FEATURES.value)
  coder = pca.fit(_STEP.value, training_set.features)
  command.fit(f"pca-{_STEP.value:g}", coder, training_set)


if __name__ == "__main__":
  command_line.run(main)
