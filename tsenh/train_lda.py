"""Fits regularised LDA, a transform coder that keeps what tells people apart.

  python -m tsenh.train_lda --bits=64
  python -m tsenh.train_lda --bits=64 --trellis
  python -m tsenh.train_lda --bits=64 --dim=48 --shrinkage=0

It makes the differences between photographs of one person alike in all
directions, keeps the leading ones in which people differ, and fits the entropy
tables of their integers. It needs --features with identities. The run folder
serves as a codec wherever one is named: --codec=runs/lda-64. The defaults are
those of the codecs ahead-64 to ahead-128 (docs/ahead.md); --shrinkage=0 is
plain LDA. Seconds.
"""

import math

from absl import flags

from tsenh.base import command_line
from tsenh.base.errors import Error
from tsenh.data import feature_sets
from tsenh.features import pca
from tsenh.training import command

_BITS = flags.DEFINE_float(
  "bits",
  None,
  "How many bits a training feature takes on average; the step follows.",
)
_STEP = command.define_step(
  "every direction, in standard deviations of the photographs of one person;"
  " in place of --bits",
  pca.MIN_STEP,
  required=False,
)
_DIM = flags.DEFINE_integer(
  "dim",
  None,
  "How many directions are kept; few bits are best spent on few. (default: half"
  " as many as --bits)",
  lower_bound=1,
)
_SHRINKAGE = flags.DEFINE_float(
  "shrinkage",
  0.6,
  "How much of the mean variance within people is added in every direction; 0"
  " is plain LDA.",
)
_DECODING = flags.DEFINE_enum(
  "decoding",
  "metric",
  ["metric", "least_squares"],
  "metric: decoded features are as far apart as the kept directions say;"
  " least_squares: they are as near to the features as they can be.",
)
_TRELLIS = command.define_trellis(False)
flags.adopt_module_key_flags(command)  # So that --help shows them.
flags.mark_flags_as_mutual_exclusive(["bits", "step"], required=True)
flags.register_validator(
  "bits",
  lambda value: value is None or 0 < value < math.inf,
  "expected a finite number above 0",
)
flags.register_validator(
  "shrinkage",
  lambda value: 0 <= value < math.inf,
  "expected a finite number, 0 or more",
)


def main():
  if _DIM.value is None and _BITS.value is None:
    raise Error("--step needs --dim.")
  training_set = feature_sets.load(command.FEATURES.value)
  if training_set.identities is None:
    raise Error(f"{command.FEATURES.value}: has no identities to learn from.")
  features = training_set.features

  from tsenh.features import lda

  dim = _DIM.value or min(
    max(1, round(_BITS.value / lda.BITS_PER_DIRECTION)), features.shape[1]
  )
  coder = lda.fit(
    _STEP.value or 1.0,
    dim,
    features,
    training_set.identities,
    _SHRINKAGE.value,
    _DECODING.value,
  )
  coder.trellis = _TRELLIS.value
  name = f"lda-{dim}-{coder.step:g}"
  if _BITS.value:
    coder.step = lda.step_for(_BITS.value, coder, features)
    name = f"lda-{_BITS.value:g}"
  command.fit(name, coder, training_set)


if __name__ == "__main__":
  command_line.run(main)
