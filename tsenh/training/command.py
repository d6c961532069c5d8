"""What the training commands share: their training set and their run folder.

TensorFlow is imported where it is needed and no sooner, so that --help and a
wrong flag are answered at once.
"""

import math
import pathlib
import sys
from typing import Any, Callable, Dict, Optional, Tuple

from absl import flags

from tsenh.base import provenance
from tsenh.data import feature_sets, manifests, streams
from tsenh.data.feature_sets import FeatureSet
from tsenh.training import run_folders, runs
from tsenh.training.run_folders import Stored

FEATURES = flags.DEFINE_string(
  "features",
  manifests.default().training,
  "Training set: a .npz or .npy file, a folder of shards, or a shipped name.",
)
OUTPUT = flags.DEFINE_string(
  "output", None, "Run folder. (default: in runs/, named after the run)"
)
OVERWRITE = flags.DEFINE_bool(
  "overwrite", False, "Replace the run that is in the folder."
)


def training_set() -> FeatureSet:
  """What --features names; the features of shards stay on disk.

  Raises:
    Error: as `feature_sets.load` does.
  """
  return feature_sets.load(FEATURES.value, in_memory=False)


def define_step(
  about: str, least: float, required: bool = True
) -> flags.FlagHolder:
  """Defines --step of a transform coder.

  Args:
    about: what it is a step of, and its unit.
    least: the smallest step.
    required: whether it must be given.
  """
  step = flags.DEFINE_float("step", None, f"Quantization step of {about}.")
  if required:
    flags.mark_flag_as_required("step")
  flags.register_validator(
    "step",
    lambda value: value is None or least <= value < math.inf,
    f"expected a finite number, {least:g} or more",
  )
  return step


def define_trellis(default: bool) -> flags.FlagHolder:
  """Defines --trellis of a transform coder that spends bits on all elements."""
  return flags.DEFINE_bool(
    "trellis",
    default,
    "Find the integers of a feature together (trellis-coded quantization): a"
    " smaller error at the same bits.",
  )


def describe(model: Stored, training_set: FeatureSet) -> Dict[str, Any]:
  """What a model is, and what it is trained on, as config.json has it."""
  return {
    "kind": model.KIND,
    **model.architecture(),
    "features": FEATURES.value,
    "training_set_digest": training_set.digest(),
    "num_training_features": len(training_set.features),
    "versions": provenance.versions(),
  }


def open_run(
  name: str,
  recipe: Dict[str, Any],
  resume: bool = False,
  own_folder: Callable[[pathlib.Path], pathlib.Path] = lambda folder: folder,
) -> Tuple[pathlib.Path, Optional[Dict[str, Any]]]:
  """Opens the run folder that --output names, or runs/NAME.

  Args:
    name: of the run.
    recipe: see `runs.open_run`.
    resume: whether to continue the run that is there.
    own_folder: where this machine keeps the run of a folder.

  Returns:
    The folder, and the configuration to train with; None, and a word to the
    user, if the run is finished.

  Raises:
    Error: if there is a run that must not be replaced or continued.
  """
  folder = own_folder(pathlib.Path(OUTPUT.value or f"runs/{name}"))
  config = runs.open_run(folder, recipe, resume, OVERWRITE.value)
  if config is None:
    print(f"{folder}: the run is finished.", file=sys.stderr)
  return folder, config


def fit(name: str, codec: Stored, training_set: FeatureSet) -> None:
  """Makes the run of a codec that is fitted in one step, tables and all.

  Args:
    name: of the run.
    codec: encodes features to integers.
    training_set: what --features names.

  Raises:
    Error: as `open_run` does.
  """
  from tsenh.coding import entropy

  codes = streams.in_chunks(codec.encode, training_set.features)
  coder = entropy.fit_coder(codes)
  folder, config = open_run(name, describe(codec, training_set))
  run_folders.start(folder, config)
  run_folders.finish(
    folder, {**config, "code": provenance.code()}, codec, coder
  )
  bits = streams.mean(coder.bits, codes)
  print(
    f"{folder}: about {bits:.1f} bits per training feature", file=sys.stderr
  )
