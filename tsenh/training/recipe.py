"""The flags of a training recipe, and training with what they say."""

import math
import pathlib
import sys
import typing
from typing import Any, Callable, Dict, Optional, Sequence, Tuple

import numpy as np
from absl import flags

from tsenh.base.command_line import THREAD_MODE
from tsenh.data.feature_sets import FeatureSet
from tsenh.training import command, run_folders

if typing.TYPE_CHECKING:  # It imports TensorFlow.
  from tsenh.coding.entropy import EntropyCoder
  from tsenh.training.machines import Machines
  from tsenh.training.samplers import Sampler

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
HIDDEN_DIM = flags.DEFINE_integer(
  "hidden_dim", 128, "Width of each hidden layer.", lower_bound=1
)
GDN = flags.DEFINE_enum(
  "gdn",
  "classic",
  ["classic", "tfc"],
  "classic: x / sqrt(beta + gamma x^2), the paper's; tfc: x / (beta + gamma"
  " |x|), today's default of tensorflow-compression.",
)
RESUME = flags.DEFINE_bool(
  "resume",
  False,
  "Continue the run in the folder, if there is one, where it stopped; with more"
  " --epochs a finished one too.",
)
DISTRIBUTED = flags.DEFINE_bool(
  "distributed",
  False,
  "Train on the machines that the environment variable TF_CONFIG names; all run"
  " this command and see the same folders (docs/cluster.md).",
)
# So that --help shows the others with these.
flags.adopt_module_key_flags(command)

for _flag in (LEARNING_RATE, ADAM_EPSILON):
  flags.register_validator(
    _flag.name,
    lambda value: 0 < value < math.inf,
    "expected a finite number above 0",
  )


def begin() -> None:
  """Joins the other machines, if there are some; before all else.

  Raises:
    Error: as `machines.join` does.
  """
  if DISTRIBUTED.value:
    from tsenh.training import machines

    machines.join()


def _machines() -> Optional["Machines"]:
  if not DISTRIBUTED.value:
    return None
  from tsenh.training import machines

  return machines.joined()


def open_run(
  name: str, model, training_set: FeatureSet, **choices
) -> Tuple[pathlib.Path, Optional[Dict[str, Any]]]:
  """Opens the run folder of a model that is trained by these flags.

  Args:
    name: of the run.
    model: as it is built, before training.
    training_set: what --features names.
    **choices: what else determines the trained bits, JSON.

  Returns:
    See `command.open_run`.
  """
  recipe = {
    **choices,
    **_recipe()._asdict(),
    **command.describe(model, training_set),
    "thread_mode": THREAD_MODE,
  }
  together = _machines()
  if together is None:
    return command.open_run(name, recipe, RESUME.value)
  from tsenh.training import machines

  recipe["machines"] = together.count
  return command.open_run(name, recipe, RESUME.value, machines.own_folder)


def train(
  model,
  loss_fn: Callable,
  metric_names: Sequence[str],
  examples: Dict[str, np.ndarray],
  folder: pathlib.Path,
  config: Dict[str, Any],
  description: str,
  noise_dim: int = 0,
  validate: Optional[Callable[[], Dict[str, Any]]] = None,
  validate_every: int = 1,
  training_variables: Optional[Dict[str, Any]] = None,
  sampler: Optional["Sampler"] = None,
  **seams,
) -> Dict[str, Any]:
  """Trains a model by these flags, from where its run folder stands.

  Args:
    model: has `named_variables`.
    loss_fn: see `Trainer`, as are `metric_names`, `examples` and `noise_dim`.
    metric_names: of what `loss_fn` returns.
    examples: arrays by name.
    folder: the run's.
    config: from `open_run`.
    description: see `runs.train`, as are `validate` and `validate_every`.
    noise_dim: of the noise.
    validate: gives metrics of the model as it is.
    validate_every: epochs between two calls of it.
    training_variables: see `Trainer`, as is `sampler`.
    sampler: picks the batches.
    **seams: see `Trainer`: `statistics`, `decay_epochs`, `xla`.

  Returns:
    The configuration brought up to date.
  """
  from tsenh.training import runs
  from tsenh.training.trainer import Trainer

  trainer = Trainer(
    model.named_variables(),
    loss_fn,
    metric_names,
    examples,
    _recipe(),
    noise_dim,
    training_variables,
    sampler,
    machines=_machines(),
    **seams,
  )
  return runs.train(
    trainer, folder, config, description, validate, validate_every
  )


def finish(
  folder: pathlib.Path,
  config: Dict[str, Any],
  model: run_folders.Stored,
  about: str,
  coder: Optional["EntropyCoder"] = None,
) -> None:
  """Completes a run and says so.

  Args:
    folder: the run's.
    config: from `train`.
    model: what was trained.
    about: what came out, for the user.
    coder: of a codec, with tables fitted to its codes.
  """
  run_folders.finish(folder, config, model, coder)
  seconds = config["wall_time_seconds"]
  print(f"{folder}: {about}, {seconds:.0f} s of training", file=sys.stderr)


def _recipe():
  """These flags as a `Recipe`."""
  from tsenh.training.trainer import Recipe

  return Recipe(
    epochs=EPOCHS.value,
    batch_size=BATCH_SIZE.value,
    learning_rate=LEARNING_RATE.value,
    adam_epsilon=ADAM_EPSILON.value,
    seed=SEED.value,
  )
