"""Trains an enhancer between two frozen codecs (Sec. 3.2, Eq. 3 and 6).

  python -m tsenh.train_enhancer --low=pro-1e-5 --high=pro-1e-6

It learns to map the codes of the low-rate codec to those of the high-rate one,
so that the receiver gets a better feature from the same bytes: decode and
evaluate take --enhancer=RUN. Both codecs stay as they are: their codes of the
training set are computed once, before training, and their digests checked after
it. The defaults are the paper's recipe. About a minute.

The run folder is as that of train_codec, with a copy of the high-rate codec in
it: it is all that a receiver needs beside the low-rate codec.
"""

import pathlib
import sys
from typing import Any, Dict

import numpy as np
from absl import flags

from tsenh import (
  checkpoints,
  cli,
  features,
  provenance,
  runs,
  training,
  training_flags,
)
from tsenh.codec import Codec
from tsenh.enhancer import Enhancer, enhancement_loss
from tsenh.errors import Error
from tsenh.networks import GDN_FORMS

_LOW = flags.DEFINE_string(
  "low", None, "The codec whose codes are enhanced: a run folder or a name."
)
_HIGH = flags.DEFINE_string(
  "high", None, "The codec whose codes are the target, and whose Dec decodes."
)
_FEATURES = flags.DEFINE_string(
  "features",
  "faces",
  "Training set, that of the codecs: a .npz or .npy file, or a shipped name.",
)
_HIDDEN_DIM = flags.DEFINE_integer(
  "hidden_dim", 128, "Width of the hidden layer.", lower_bound=1
)
_GDN = flags.DEFINE_enum(
  "gdn", "classic", list(GDN_FORMS), "See tsenh.train_codec."
)
_LOW_CODES = flags.DEFINE_enum(
  "low_codes",
  "rounded",
  ["rounded", "noisy"],
  "What the enhancer sees in training: rounded codes, as in a bitstream, or the"
  " values before rounding with uniform noise.",
)
_HIGH_CODES = flags.DEFINE_enum(
  "high_codes",
  "rounded",
  ["rounded", "latent"],
  "The target: rounded codes, or the clipped values before rounding.",
)
_CLIP_ENHANCED = flags.DEFINE_bool(
  "clip_enhanced", True, "Clip the enhanced code to r_clip before decoding it."
)
flags.adopt_module_key_flags(training_flags)  # So that --help shows them.
flags.mark_flags_as_required(["low", "high"])

_CHUNK = 4096


def _codes(codec: Codec, faces: np.ndarray, rounded: bool) -> np.ndarray:
  """What Eq. (6) calls c: float32 [n, code_dim], of all training features."""
  starts = range(0, len(faces), _CHUNK)
  latent = np.concatenate(
    [codec.latent(faces[start : start + _CHUNK]) for start in starts]
  )
  return np.rint(latent) if rounded else latent


def _recipe(training_set, low: Codec, high: Codec) -> Dict[str, Any]:
  """All that determines the trained bits; a resume must not change it."""
  return {
    **training_flags.recipe(),
    "low_digest": low.digest(),
    "high_digest": high.digest(),
    "low_dim": low.code_dim,
    "high_dim": high.code_dim,
    "hidden_dim": _HIDDEN_DIM.value,
    "low_clip": low.clip,
    "high_clip": high.clip,
    "gdn": _GDN.value,
    "clip_enhanced": _CLIP_ENHANCED.value,
    "low_codes": _LOW_CODES.value,
    "high_codes": _HIGH_CODES.value,
    "features": _FEATURES.value,
    "training_set_digest": training_set.digest(),
    "num_training_features": len(training_set.features),
    "thread_mode": training.THREAD_MODE,
    "versions": provenance.versions(),
  }


def main():
  low, _ = checkpoints.load(_LOW.value)
  high, _ = checkpoints.load(_HIGH.value)
  training_set = features.load(_FEATURES.value)
  faces = training_set.features
  for name, codec in ((_LOW.value, low), (_HIGH.value, high)):
    if codec.feature_dim != faces.shape[1]:
      raise Error(
        f"{name} is for features of {codec.feature_dim} dimensions, but"
        f" {_FEATURES.value} has {faces.shape[1]}."
      )
  label = "-".join(pathlib.Path(n).name for n in (_LOW.value, _HIGH.value))
  recipe = _recipe(training_set, low, high)
  folder, config = training_flags.begin(f"enhancer-{label}", recipe)
  if config is None:
    return
  enhancer = Enhancer(
    *(low.code_dim, high.code_dim, _HIDDEN_DIM.value, low.clip, high.clip),
    *(_GDN.value, _CLIP_ENHANCED.value, recipe["seed"]),
  )
  noisy = _LOW_CODES.value == "noisy"

  def loss_fn(codes, noise):
    c_low, c_high = codes[:, : low.code_dim], codes[:, low.code_dim :]
    c_enh = enhancer(c_low + noise if noisy else c_low)
    return (enhancement_loss(c_enh, c_high / high.clip),)

  codes = np.concatenate(
    [
      _codes(low, faces, not noisy),
      _codes(high, faces, _HIGH_CODES.value == "rounded"),
    ],
    axis=1,
  )
  trainer = training.Trainer(
    enhancer.named_variables(),
    loss_fn,
    ("loss",),
    codes,
    low.code_dim,
    *(recipe[key] for key in ("batch_size", "learning_rate", "seed")),
    recipe["adam_epsilon"],
  )
  config = runs.train(trainer, folder, config, label)
  for name, codec, key in (
    (_LOW.value, low, "low_digest"),
    (_HIGH.value, high, "high_digest"),
  ):
    on_disk = checkpoints.load(name)[0].digest()
    if not codec.digest() == on_disk == recipe[key]:
      raise Error(f"{name}: the codec changed while the enhancer was trained.")
  checkpoints.finish_enhancer(folder, enhancer, config, _HIGH.value)
  print(
    f"{folder}: squared error {config['last_epoch']['loss']:.4f} in units of"
    f" r_clip, {config['wall_time_seconds']:.0f} s of training",
    file=sys.stderr,
  )


if __name__ == "__main__":
  cli.run(main)
