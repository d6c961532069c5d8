"""Fits the entropy tables of scalar quantization at one QP (SQ, Eq. 7-9).

  python -m tsenh.train_sq --qp=40 --output=runs/sq-40

SQ itself has nothing to train. The run folder holds its tables, counted on a
training set, and serves as a codec wherever one is named: --codec=runs/sq-40.
A small QP gives a high rate. Seconds.
"""

from absl import flags

from tsenh.base import command_line
from tsenh.features import sq
from tsenh.training import command

_QP = flags.DEFINE_integer(
  "qp",
  None,
  "Quantization parameter; six more double the step.",
  lower_bound=0,
  upper_bound=sq.MAX_QP,
)
_RECONSTRUCTION = flags.DEFINE_enum(
  "reconstruction",
  "lower",
  list(sq.RECONSTRUCTIONS),
  "Where in its step a value is decoded to: the lower edge, as in Eq. (9), or"
  " the middle. The bytes are the same.",
)
flags.adopt_module_key_flags(command)  # So that --help shows them.
flags.mark_flag_as_required("qp")


def main():
  training_set = command.training_set()
  dim = training_set.features.shape[1]
  codec = sq.ScalarQuantizer(_QP.value, dim, _RECONSTRUCTION.value)
  name = {"lower": "sq", "middle": "sq-mid"}[_RECONSTRUCTION.value]
  command.fit(f"{name}-{_QP.value}", codec, training_set)


if __name__ == "__main__":
  command_line.run(main)
