"""The flags that the training commands share: the recipe, the run folder."""

import math
import pathlib
import sys
from typing import Any, Dict, Optional, Tuple

from absl import flags

from tsenh import runs

OUTPUT = flags.DEFINE_string(
  "output", None, "Run folder. (default: in runs/, named after the run)"
)
EPOCHS = flags.DEFINE_integer("epochs", 40, "Epochs.", lower_bound=1)
BATCH_SIZE = flags.DEFINE_integer(
  "batch_size", 32, "Features per update.", lower_bound=1
)
LEARNING_RATE = flags.DEFINE_float("learning_rate", 1e-4, "Adam's.")
ADAM_EPSILON = flags.DEFINE_float(
  "adam_epsilon", 1e-7, "Adam's epsilon; 1e-7 in Keras, 1e-8 in TensorFlow 1."
)
SEED = flags.DEFINE_integer(
  "seed",
  0,
  "Of the weights, the noise and the order of the features.",
  lower_bound=0,
  upper_bound=2**31 - 1,
)
RESUME = flags.DEFINE_bool(
  "resume",
  False,
  "Continue the run in the folder, if there is one, where it stopped; with more"
  " --epochs a finished one too.",
)
OVERWRITE = flags.DEFINE_bool(
  "overwrite", False, "Replace the run that is in the folder."
)

for _flag in (LEARNING_RATE, ADAM_EPSILON):
  flags.register_validator(
    _flag.name,
    lambda value: 0 < value < math.inf,
    "expected a finite number above 0",
  )


def begin(
  name: str, recipe: Dict[str, Any]
) -> Tuple[pathlib.Path, Optional[Dict[str, Any]]]:
  """Opens the run folder that these flags name, or runs/NAME.

  Args:
    name: of the run.
    recipe: see `runs.begin`.

  Returns:
    The folder, and the configuration to train with; None, and a word to the
    user, if the run is finished.

  Raises:
    Error: if there is a run that must not be replaced or continued.
  """
  folder = pathlib.Path(OUTPUT.value or f"runs/{name}")
  config = runs.begin(folder, recipe, RESUME.value, OVERWRITE.value)
  if config is None:
    print(f"{folder}: the run is finished.", file=sys.stderr)
  return folder, config


def recipe() -> Dict[str, Any]:
  """What these flags say of the trained bits."""
  return {
    flag.name: flag.value
    for flag in (EPOCHS, BATCH_SIZE, LEARNING_RATE, ADAM_EPSILON, SEED)
  }
