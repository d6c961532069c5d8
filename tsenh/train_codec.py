"""Trains one feature codec (Sec. 3.1, Eq. 4-5) and fits its entropy tables.

  python -m tsenh.train_codec --lambda=1e-6

The defaults are the paper's recipe on the shipped training set: Glorot
initialisation, Adam 1e-4, batch 32, 40 epochs, clip 20, uniform noise for
rounding. A small lambda gives a high rate; the paper uses 1e-4 to 1e-7.
About a minute and a half on two cores.

All of a run lies in one folder (--output): weights, entropy tables,
config.json, TensorBoard scalars, and the state that --resume continues from.
"""

import math
import pathlib
import sys
import time
from typing import Any, Callable, Dict, Optional, Tuple

import numpy as np
import tensorflow as tf
from absl import flags

from tsenh import (
  checkpoints,
  cli,
  entropy,
  features,
  provenance,
  training,
  verification,
)
from tsenh.codec import DISTORTIONS, Codec, rate_distortion_loss
from tsenh.errors import Error
from tsenh.networks import GDN_FORMS

_LAMBDA = flags.DEFINE_float(
  "lambda", 1e-6, "Lagrangian multiplier of Eq. (5): weight of the rate."
)
_FEATURES = flags.DEFINE_string(
  "features", "faces", "Training set: a .npz or .npy file, or a shipped name."
)
_OUTPUT = flags.DEFINE_string(
  "output", None, "Run folder. (default: runs/pro-LAMBDA)"
)
_EPOCHS = flags.DEFINE_integer("epochs", 40, "Epochs.", lower_bound=1)
_BATCH_SIZE = flags.DEFINE_integer(
  "batch_size", 32, "Features per update.", lower_bound=1
)
_LEARNING_RATE = flags.DEFINE_float("learning_rate", 1e-4, "Adam's.")
_CODE_DIM = flags.DEFINE_integer(
  "code_dim", 128, "Dimensions of the latent code.", lower_bound=1
)
_HIDDEN_DIM = flags.DEFINE_integer(
  "hidden_dim", 128, "Width of the two hidden layers.", lower_bound=1
)
_CLIP = flags.DEFINE_float("clip", 20.0, "r_clip, the largest code element.")
_DISTORTION = flags.DEFINE_enum(
  "distortion",
  "mean",
  list(DISTORTIONS),
  "Reduction of the squared error of Eq. (5) over the feature's dimensions.",
)
_GDN = flags.DEFINE_enum(
  "gdn",
  "classic",
  list(GDN_FORMS),
  "classic: x / sqrt(beta + gamma x^2), the paper's; tfc: x / (beta + gamma"
  " |x|), today's default of tensorflow-compression.",
)
_GDN_LAYERS = flags.DEFINE_integer(
  "gdn_layers",
  1,
  "1: GDN between the two layers; 2: also behind the encoder's second and, as"
  " IGDN, before the decoder's first.",
  lower_bound=1,
  upper_bound=2,
)
_NOISE = flags.DEFINE_enum(
  "noise",
  "after_clip",
  ["after_clip", "before_clip"],
  "Where the uniform noise is added.",
)
_ADAM_EPSILON = flags.DEFINE_float(
  "adam_epsilon", 1e-7, "Adam's epsilon; 1e-7 in Keras, 1e-8 in TensorFlow 1."
)
_VALIDATION = flags.DEFINE_string(
  "validation",
  None,
  "Feature set with pairs, e.g. faces-validation, to measure rate and accuracy"
  " on while training: validation.json and TensorBoard scalars. Meant for"
  " --features=faces-train.",
)
_VALIDATE_EVERY = flags.DEFINE_integer(
  "validate_every", 5, "Epochs between two validations.", lower_bound=1
)
_SEED = flags.DEFINE_integer(
  "seed",
  0,
  "Of the weights, the noise and the order of the features.",
  lower_bound=0,
  upper_bound=2**31 - 1,
)
_RESUME = flags.DEFINE_bool(
  "resume",
  False,
  "Continue the run in the folder, if there is one, where it stopped; with more"
  " --epochs a finished one too.",
)
_OVERWRITE = flags.DEFINE_bool(
  "overwrite", False, "Replace the run that is in the folder."
)


flags.register_validator(
  "lambda",
  lambda value: 0 <= value < math.inf,
  "expected a finite number, 0 or more",
)
flags.register_validator(
  "learning_rate",
  lambda value: 0 < value < math.inf,
  "expected a finite number above 0",
)
flags.register_validator(
  "adam_epsilon",
  lambda value: 0 < value < math.inf,
  "expected a finite number above 0",
)
flags.register_validator(
  "clip",
  lambda value: 0.5 <= value <= 1000,
  "expected a number from 0.5 to 1000",
)


_CHUNK = 4096
_VALIDATION_METRICS = (
  *("num_pairs", "correct_pairs", "accuracy", "accuracy_std", "auc", "eer"),
)


def _lambda() -> str:
  """Lambda as the paper writes it: 1e-4, not 0.0001."""
  return np.format_float_scientific(_LAMBDA.value, trim="-", exp_digits=1)


def _recipe(training_set: features.FeatureSet) -> Dict[str, Any]:
  """All that determines the trained bits; a resume must not change it."""
  return {
    "lambda": _LAMBDA.value,
    "epochs": _EPOCHS.value,
    "batch_size": _BATCH_SIZE.value,
    "learning_rate": _LEARNING_RATE.value,
    "feature_dim": int(training_set.features.shape[1]),
    "code_dim": _CODE_DIM.value,
    "hidden_dim": _HIDDEN_DIM.value,
    "clip": _CLIP.value,
    "distortion": _DISTORTION.value,
    "gdn": _GDN.value,
    "gdn_layers": _GDN_LAYERS.value,
    "noise": _NOISE.value,
    "adam_epsilon": _ADAM_EPSILON.value,
    "seed": _SEED.value,
    "features": _FEATURES.value,
    "training_set_digest": training_set.digest(),
    "num_training_features": len(training_set.features),
    "thread_mode": training.THREAD_MODE,
    "versions": provenance.versions(),
  }


def _prepare(folder: pathlib.Path, recipe: Dict[str, Any]) -> Dict[str, Any]:
  """Opens the run folder; returns the configuration to go on with.

  Raises:
    Error: if there is a run that must not be replaced or continued.
  """
  if _RESUME.value and _OVERWRITE.value:
    raise Error("--resume and --overwrite exclude each other.")
  found = None if _OVERWRITE.value else checkpoints.read_config(folder)
  if found is None:
    config = {
      **recipe,
      **provenance.source(),
      "started": provenance.now(),
      "epochs_done": 0,
      "wall_time_seconds": 0.0,
    }
    checkpoints.start(folder, config)
    return config
  if not _RESUME.value:
    done = found["status"] == checkpoints.FINISHED
    raise Error(
      f"{folder}: holds {'a finished' if done else 'an unfinished'} run;"
      f" {'' if done else '--resume continues it, '}--overwrite replaces it."
    )
  for key, value in recipe.items():
    longer = key == "epochs" and found[key] < value
    # The same features may have another name: their digest counts.
    if found.get(key) != value and key != "features" and not longer:
      raise Error(
        f"{folder}: the run has {key} {found.get(key)}, but now it is {value};"
        " a resumed run must be the same."
      )
  return {**found, "epochs": recipe["epochs"]}


def _in_chunks(function, array: np.ndarray) -> np.ndarray:
  """Applies a codec's `encode` or `decode` with bounded memory."""
  starts = range(0, len(array), _CHUNK)
  return np.concatenate([function(array[s : s + _CHUNK]) for s in starts])


def _fit_coder(codec, training_set) -> Tuple[entropy.EntropyCoder, float]:
  """The coder for the training set's codes, and their bits per feature."""
  codes = _in_chunks(codec.encode, training_set.features)
  coder = entropy.EntropyCoder(*entropy.fit_tables(codes))
  return coder, float(coder.bits(codes).mean())


def _validate(codec, training_set, validation_set) -> Dict[str, Any]:
  """Rate (cross-entropy), distortion and verification on held-out people."""
  coder, _ = _fit_coder(codec, training_set)
  original = validation_set.features
  codes = _in_chunks(codec.encode, original)
  decoded = _in_chunks(codec.decode, codes)

  def verify(vectors):
    distances = verification.squared_distances(vectors, validation_set.pairs)
    metrics = verification.verify(distances, validation_set.is_same)
    return {key: metrics[key] for key in _VALIDATION_METRICS}

  return {
    "entropy_bits_per_feature": float(coder.bits(codes).mean()),
    "mse": float(np.square(decoded - original).mean(dtype=np.float64)),
    **verify(decoded),
    "normalized": verify(verification.normalize(decoded)),
  }


def _train(
  trainer: training.Trainer,
  folder: pathlib.Path,
  config: Dict[str, Any],
  validate: Optional[Callable[[], Dict[str, Any]]],
) -> Dict[str, Any]:
  """Trains to the last epoch; returns the configuration brought up to date."""
  records = checkpoints.read_validation(folder)
  records = [r for r in records if r["epoch"] <= trainer.epoch]
  earlier_seconds, began = config["wall_time_seconds"], time.monotonic()
  writer = tf.summary.create_file_writer(str(folder / checkpoints.TENSORBOARD))
  total = _EPOCHS.value * trainer.steps_per_epoch
  with cli.progress(total, "step", f"lambda {_lambda()}") as bar:

    def show(steps: int, metrics: Dict[str, float]) -> None:
      bar.set_postfix_str(
        f"epoch {trainer.epoch + 1}/{_EPOCHS.value}, loss {metrics['loss']:.2e}"
        f", D {metrics['distortion']:.2e}, R {metrics['rate']:.1f}",
        refresh=False,
      )
      bar.update(steps)

    bar.update(trainer.step)
    while trainer.epoch < _EPOCHS.value:
      trainer.run_epoch(show)
      scalars = dict(trainer.metrics)
      last = trainer.epoch == _EPOCHS.value
      if validate and (last or trainer.epoch % _VALIDATE_EVERY.value == 0):
        measured = validate()
        position = {"epoch": trainer.epoch, "step": trainer.step}
        records.append({**position, **scalars, **measured})
        checkpoints.write_validation(folder, records)
        for name in ("entropy_bits_per_feature", "mse", "accuracy"):
          scalars[f"validation/{name}"] = measured[name]
      with writer.as_default(step=trainer.step):
        for name, value in scalars.items():
          tf.summary.scalar(name, value)
      writer.flush()
      checkpoints.write_state(folder, trainer.state())
      seconds = earlier_seconds + time.monotonic() - began
      config = {**config, "wall_time_seconds": round(seconds, 1)}
      checkpoints.write_config(
        folder,
        {
          **config,
          "epochs_done": trainer.epoch,
          "status": checkpoints.TRAINING,
        },
      )
  return {
    **config,
    "epochs_done": trainer.epoch,
    "steps": trainer.step,
    "last_epoch": trainer.metrics,
  }


def main():
  training_set = features.load(_FEATURES.value)
  validation_set = None
  if _VALIDATION.value is not None:
    validation_set = features.load(_VALIDATION.value)
    if validation_set.pairs is None:
      raise Error(f"{_VALIDATION.value}: has no pairs to verify.")
  folder = pathlib.Path(_OUTPUT.value or f"runs/pro-{_lambda()}")
  recipe = _recipe(training_set)
  config = _prepare(folder, recipe)
  if config.get("epochs_done") == _EPOCHS.value and (
    config["status"] == checkpoints.FINISHED
  ):
    print(f"{folder}: the run is finished.", file=sys.stderr)
    return
  codec = Codec(
    recipe["feature_dim"],
    _CODE_DIM.value,
    _HIDDEN_DIM.value,
    _CLIP.value,
    _GDN.value,
    _GDN_LAYERS.value,
    _SEED.value,
  )

  def loss_fn(f_raw, noise):
    f_rec, c = codec(f_raw, noise, _NOISE.value == "before_clip")
    return rate_distortion_loss(
      f_raw, f_rec, c, _LAMBDA.value, _DISTORTION.value
    )

  trainer = training.Trainer(
    codec.named_variables(),
    loss_fn,
    ("loss", "distortion", "rate"),
    training_set.features,
    _CODE_DIM.value,
    _BATCH_SIZE.value,
    _LEARNING_RATE.value,
    _SEED.value,
    _ADAM_EPSILON.value,
  )

  checkpoints.remove_leftovers(folder)
  state = checkpoints.read_state(folder)
  if state is not None:
    trainer.restore(state)
  validate = validation_set and (
    lambda: _validate(codec, training_set, validation_set)
  )
  config = _train(trainer, folder, config, validate)
  coder, bits = _fit_coder(codec, training_set)
  checkpoints.finish(folder, codec, coder, config)
  print(
    f"{folder}: lambda {_lambda()}, distortion"
    f" {config['last_epoch']['distortion']:.3e}, rate (l1)"
    f" {config['last_epoch']['rate']:.1f}, about"
    f" {bits:.1f} bits per training feature,"
    f" {config['wall_time_seconds']:.0f} s of training",
    file=sys.stderr,
  )


if __name__ == "__main__":
  cli.run(main)
