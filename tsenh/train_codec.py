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
import sys
from typing import Any, Dict, Tuple

import numpy as np
from absl import flags

from tsenh import (
  checkpoints,
  cli,
  entropy,
  features,
  provenance,
  runs,
  training,
  training_flags,
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
flags.adopt_module_key_flags(training_flags)  # So that --help shows them.
flags.register_validator(
  "lambda",
  lambda value: 0 <= value < math.inf,
  "expected a finite number, 0 or more",
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
    **training_flags.recipe(),
    "feature_dim": int(training_set.features.shape[1]),
    "code_dim": _CODE_DIM.value,
    "hidden_dim": _HIDDEN_DIM.value,
    "clip": _CLIP.value,
    "distortion": _DISTORTION.value,
    "gdn": _GDN.value,
    "gdn_layers": _GDN_LAYERS.value,
    "noise": _NOISE.value,
    "features": _FEATURES.value,
    "training_set_digest": training_set.digest(),
    "num_training_features": len(training_set.features),
    "thread_mode": training.THREAD_MODE,
    "versions": provenance.versions(),
  }


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


def main():
  training_set = features.load(_FEATURES.value)
  validation_set = None
  if _VALIDATION.value is not None:
    validation_set = features.load(_VALIDATION.value)
    if validation_set.pairs is None:
      raise Error(f"{_VALIDATION.value}: has no pairs to verify.")
  recipe = _recipe(training_set)
  folder, config = training_flags.begin(f"pro-{_lambda()}", recipe)
  if config is None:
    return
  codec = Codec(
    recipe["feature_dim"],
    _CODE_DIM.value,
    _HIDDEN_DIM.value,
    _CLIP.value,
    _GDN.value,
    _GDN_LAYERS.value,
    recipe["seed"],
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
    *(recipe[key] for key in ("batch_size", "learning_rate", "seed")),
    recipe["adam_epsilon"],
  )
  validate = validation_set and (
    lambda: _validate(codec, training_set, validation_set)
  )
  config = runs.train(
    *(trainer, folder, config, f"lambda {_lambda()}"),
    *(validate, _VALIDATE_EVERY.value),
  )
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
