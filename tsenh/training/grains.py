"""The flags of the two grains of 2021: a coarse term beside the fine one."""

import math
from typing import Any, Dict

from absl import flags

from tsenh.base.errors import Error
from tsenh.data.feature_sets import FeatureSet
from tsenh.training import command

COARSE = flags.DEFINE_enum(
  "coarse",
  "none",
  ["none", "softmax", "margin", "contrastive"],
  "The coarse term, how well decoded features tell people apart. none: the"
  " paper of 2020; softmax: their person among all; margin: the same with an"
  " angular margin; contrastive: the pairs of a batch. All but none need"
  " --features with people of several photographs, of whom half of each batch"
  " is.",
)
COARSE_WEIGHT = flags.DEFINE_float(
  "coarse_weight", 1e-3, "With --coarse: what the coarse term is multiplied by."
)
FINE_WEIGHT = flags.DEFINE_float(
  "fine_weight",
  1.0,
  "With --coarse: what the fine term, the squared error, is multiplied by; 0 is"
  " the coarse term alone.",
)

for _flag in (COARSE_WEIGHT, FINE_WEIGHT):
  flags.register_validator(
    _flag.name,
    lambda value: 0 <= value < math.inf,
    "expected a finite number, 0 or more",
  )


def recipe(training_set: FeatureSet) -> Dict[str, Any]:
  """What a run says of these flags.

  Raises:
    Error: if weights are given with no coarse term, or the training set does
      not know its people.
  """
  weights = {flag.name: flag.value for flag in (COARSE_WEIGHT, FINE_WEIGHT)}
  if COARSE.value == "none":
    if COARSE_WEIGHT.present or FINE_WEIGHT.present:
      raise Error("--coarse_weight and --fine_weight go with --coarse.")
    return {"coarse": "none"}
  if training_set.identities is None:
    raise Error(f"{command.FEATURES.value}: has no identities for --coarse.")
  return {"coarse": COARSE.value, **weights}


def total(fine, coarse):
  """The weighted sum of both grains."""
  return FINE_WEIGHT.value * fine + COARSE_WEIGHT.value * coarse
