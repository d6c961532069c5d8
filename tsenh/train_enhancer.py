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

import numpy as np
from absl import flags

from tsenh.base import command_line
from tsenh.base.errors import Error
from tsenh.data import feature_sets, streams
from tsenh.training import command, recipe, run_folders

_LOW = flags.DEFINE_string(
  "low", None, "The codec whose codes are enhanced: a run folder or a name."
)
_HIGH = flags.DEFINE_string(
  "high", None, "The codec whose codes are the target, and whose Dec decodes."
)
_LOW_CODES = flags.DEFINE_enum(
  "low_codes",
  "rounded",
  ["rounded", "noisy"],
  # Paper-silent (low_codes).
  "What the enhancer sees in training: rounded codes, as in a bitstream, or the"
  " values before rounding with uniform noise.",
)
_HIGH_CODES = flags.DEFINE_enum(
  "high_codes",
  "rounded",
  ["rounded", "latent"],
  # Paper-silent (high_codes).
  "The target: rounded codes, or the clipped values before rounding.",
)
_CLIP_ENHANCED = flags.DEFINE_bool(
  "clip_enhanced", True, "Clip the enhanced code to r_clip before decoding it."
)
flags.adopt_module_key_flags(recipe)  # So that --help shows them.
flags.mark_flags_as_required(["low", "high"])


def _codes(codec, faces: np.ndarray, rounded: bool) -> np.ndarray:
  """What Eq. (6) calls c: float32 [n, code_dim], of all training features."""
  latent = streams.in_chunks(codec.latent, faces)
  return codec.quantize(latent).astype(np.float32) if rounded else latent


def _load(name: str, dim: int):
  """The codec that is frozen, for features of this many dimensions."""
  from tsenh.features import compressor, pro

  codec = compressor.load(name).transform
  if codec.KIND != pro.Codec.KIND:
    raise Error(f"{name}: the run of {codec.KIND}, expected a learned codec.")
  if codec.feature_dim != dim:
    raise Error(
      f"{name} is for features of {codec.feature_dim} dimensions, but"
      f" {command.FEATURES.value} has {dim}."
    )
  return codec


def main():
  training_set = feature_sets.load(command.FEATURES.value)
  faces = training_set.features

  from tsenh.features.enhancer import Enhancer, enhancement_loss

  low, high = (_load(name.value, faces.shape[1]) for name in (_LOW, _HIGH))
  enhancer = Enhancer(
    low_dim=low.code_dim,
    high_dim=high.code_dim,
    hidden_dim=recipe.HIDDEN_DIM.value,
    low_clip=low.clip,
    high_clip=high.clip,
    gdn=recipe.GDN.value,
    clip_enhanced=_CLIP_ENHANCED.value,
    seed=recipe.SEED.value,
  )
  label = "-".join(pathlib.Path(n.value).name for n in (_LOW, _HIGH))
  folder, config = recipe.begin(
    f"enhancer-{label}",
    enhancer,
    training_set,
    low_digest=low.digest(),
    high_digest=high.digest(),
    low_codes=_LOW_CODES.value,
    high_codes=_HIGH_CODES.value,
  )
  if config is None:
    return
  noisy = _LOW_CODES.value == "noisy"

  def loss_fn(batch, noise):
    c_low = batch["low"]
    c_enh = enhancer(c_low + noise if noisy else c_low)
    return (enhancement_loss(c_enh, batch["high"] / high.clip),)

  examples = {
    "low": _codes(low, faces, rounded=not noisy),
    "high": _codes(high, faces, rounded=_HIGH_CODES.value == "rounded"),
  }
  config = recipe.train(
    enhancer,
    loss_fn,
    ("loss",),
    examples,
    folder,
    config,
    label,
    noise_dim=low.code_dim if noisy else 0,
  )
  for name, codec, key in (
    (_LOW.value, low, "low_digest"),
    (_HIGH.value, high, "high_digest"),
  ):
    on_disk = run_folders.finished(name)[1]["codec_digest"]
    if not codec.digest() == on_disk == config[key]:
      raise Error(f"{name}: the codec changed while the enhancer was trained.")
  run_folders.copy_codec(_HIGH.value, folder / run_folders.HIGH)
  run_folders.finish(folder, config, enhancer)
  print(
    f"{folder}: squared error {config['last_epoch']['loss']:.4f} in units of"
    f" r_clip, {config['wall_time_seconds']:.0f} s of training",
    file=sys.stderr,
  )


if __name__ == "__main__":
  command_line.run(main)
