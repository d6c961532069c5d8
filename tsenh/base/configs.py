"""`config.json` of a run, which somebody else may have made."""

import json
import math
import pathlib
from typing import Any, Callable, Dict, Iterable, Tuple

from tsenh.base.errors import Error

MAX_BYTES = 1 << 18  # A hundred times what a run writes.
MAX_CLIP = 1e9  # Its integers have 32 bits.


def _whole(least: int, most: int) -> Tuple[str, Callable[[Any], bool]]:
  # Not isinstance: True is an int.
  return (
    f"a whole number from {least} to {most}",
    lambda value: type(value) is int and least <= value <= most,
  )


def _positive(most: float) -> Tuple[str, Callable[[Any], bool]]:
  return (
    f"a number above 0, of {most:g} at the most",
    lambda value: type(value) in (int, float) and 0 < value <= most,
  )


def _one_of(*values: Any) -> Tuple[str, Callable[[Any], bool]]:
  words = " or ".join(json.dumps(value) for value in values)
  return words, lambda value: any(
    type(value) is type(known) and value == known for known in values
  )


# What each value that determines a codec or an enhancer has to be.
_DIMENSION = _whole(1, 2**32 - 1)
_RULES = {
  **dict.fromkeys(
    (
      *("feature_dim", "code_dim", "hidden_dim", "low_dim", "high_dim"),
      *("width", "code_channels"),
    ),
    _DIMENSION,
  ),
  "size": _whole(16, 1024),
  **dict.fromkeys(("clip", "low_clip", "high_clip"), _positive(MAX_CLIP)),
  "num_layers": _whole(2, 1000),
  "num_blocks": _whole(1, 1000),
  "gdn": _one_of("classic", "tfc"),
  "gdn_layers": _one_of(1, 2),
  **dict.fromkeys(("clip_enhanced", "trellis"), _one_of(False, True)),
  "qp": _whole(0, 63),
  "reconstruction": _one_of("lower", "middle"),
  "step": _positive(math.inf),
}


def read(path: pathlib.Path) -> Dict[str, Any]:
  """The JSON object in a file, which says the `status` of a run.

  Raises:
    Error: if there is none.
  """
  try:
    with open(path, "rb") as file:
      data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
      raise Error(f"{path}: larger than the configuration of any run.")
    config = json.loads(data)
  except Error:
    raise
  except (OSError, RecursionError, ValueError) as error:
    raise Error(f"{path}: not the configuration of a run ({error}).") from error
  if not isinstance(config, dict) or "status" not in config:
    raise Error(f"{path}: not the configuration of a run (it has no status).")
  return config


def check(config: Dict[str, Any], keys: Iterable[str], path) -> None:
  """Raises an Error unless all of these keys are there, with sound values.

  Args:
    config: of a run.
    keys: those of an architecture.
    path: of the file, for the message.
  """
  for key in keys:
    expected, is_sound = _RULES[key]
    if key not in config:
      raise Error(f"{path}: it does not say {key}; expected {expected}.")
    if not is_sound(config[key]):
      found = json.dumps(config[key])[:50]
      raise Error(f"{path}: {key} is {found}, expected {expected}.")
