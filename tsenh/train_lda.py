"""Fits LDA, a transform coder that keeps what tells people apart.

  python -m tsenh.train_lda --step=2.8 --output=runs/lda-48-2.8

It whitens the differences between photographs of one person, keeps the leading
directions in which people differ, and fits the entropy tables of their
integers. It needs --features with identities. The run folder serves as a codec
wherever one is named: --codec=runs/lda-48-2.8. A small step gives a high rate;
few bits are best spent on few directions. Seconds.
"""

from absl import flags

from tsenh.base import command_line
from tsenh.base.errors import Error
from tsenh.data import feature_sets
from tsenh.features import pca
from tsenh.training import command

_STEP = command.define_step(
  "every direction, in standard deviations of the photographs of one person",
  pca.MIN_STEP,
)
_DIM = flags.DEFINE_integer(
  "dim", 48, "How many directions are kept.", lower_bound=1
)
flags.adopt_module_key_flags(command)  # So that --help shows them.


def main():
  training_set = feature_sets.load(command.FEATURES.value)
  if training_set.identities is None:
    raise Error(f"{command.FEATURES.value}: has no identities to learn from.")

  from tsenh.features import lda

  coder = lda.fit(
    _STEP.value, _DIM.value, training_set.features, training_set.identities
  )
  command.fit(f"lda-{_DIM.value}-{_STEP.value:g}", coder, training_set)


if __name__ == "__main__":
  command_line.run(main)
