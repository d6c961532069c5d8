"""Trains an enhancer between two frozen codecs (Sec. 3.2, Eq. 3 and 6).

  python -m tsenh.train_enhancer --low=pro-1e-5 --high=pro-1e-6

It learns to map the codes of the low-rate codec to those of the high-rate one,
so that the receiver gets a better feature from the same bytes: decode and
evaluate take --enhancer=RUN. Both codecs stay as they are: their codes of the
training set are computed once, before training, and their digests checked after
it. The defaults are the paper's recipe. About a minute.

--coarse adds the coarse constraint of the 2021 paper: how well the feature that
the frozen high-rate decoder makes of the enhanced code tells people apart.

The run folder is as that of train_codec, with a copy of the high-rate codec in
it: it is all that a receiver needs beside the low-rate codec.
"""

import pathlib

from absl import flags

from tsenh.base import command_line, files
from tsenh.base.errors import Error
from tsenh.training import command, grains, recipe, run_folders

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
_NUM_LAYERS = flags.DEFINE_integer(
  "num_layers",
  2,
  "Dense layers of the enhancer; the paper's two.",
  lower_bound=2,
)
_LOSS = flags.DEFINE_enum(
  "loss",
  "code",
  ["code", "feature"],
  "code: the squared error of the enhanced code, Eq. (6); feature: that of the"
  " feature which the frozen high-rate decoder makes of it.",
)
for _module in (recipe, grains):  # So that --help shows their flags.
  flags.adopt_module_key_flags(_module)
flags.mark_flags_as_required(["low", "high"])


def main():
  files.check_apart(command.OUTPUT.value or "", _LOW.value, _HIGH.value)
  recipe.begin()
  training_set = command.training_set()
  faces = training_set.features
  of_grains = grains.recipe(training_set)

  from tsenh.features import coarse, compressor
  from tsenh.features.enhancer import Enhancer, enhancement_loss
  from tsenh.features.sq_enhancer import squared_error

  low, high = (
    compressor.load_frozen(name.value, training_set) for name in (_LOW, _HIGH)
  )
  enhancer = Enhancer(
    low_dim=low.code_dim,
    high_dim=high.code_dim,
    hidden_dim=recipe.HIDDEN_DIM.value,
    low_clip=low.clip,
    high_clip=high.clip,
    gdn=recipe.GDN.value,
    clip_enhanced=_CLIP_ENHANCED.value,
    num_layers=_NUM_LAYERS.value,
    seed=recipe.SEED.value,
  )
  of_codes = _LOSS.value == "code"
  if not of_codes and _HIGH_CODES.present:
    raise Error("--high_codes goes with --loss=code.")
  grain = coarse.prepare(
    grains.COARSE.value,
    faces,
    training_set.identities,
    recipe.BATCH_SIZE.value,
    recipe.SEED.value,
  )
  label = "-".join(pathlib.Path(n.value).name for n in (_LOW, _HIGH))
  folder, config = recipe.open_run(
    f"enhancer-{label}",
    enhancer,
    training_set,
    low_digest=low.digest(),
    high_digest=high.digest(),
    low_codes=_LOW_CODES.value,
    high_codes=_HIGH_CODES.value,
    **({} if of_codes else {"loss": _LOSS.value}),
    **of_grains,
  )
  if config is None:
    return
  noisy = _LOW_CODES.value == "noisy"

  def loss_fn(batch, noise):
    c_low = batch["low"]
    output = enhancer(c_low + noise if noisy else c_low)
    if of_codes:
      fine = enhancement_loss(output, batch["high"] / high.clip)
      if grain.term is None:
        return (fine,)
    f_rec = high.decoder(enhancer.enhanced(output))
    if not of_codes:
      fine = squared_error(f_rec, batch["features"])
      if grain.term is None:
        return (fine,)
    term = grain.term(f_rec, batch)
    return grains.total(fine, term), fine, term

  codes = low.training_codes(faces, rounded=not noisy)
  examples = {"low": codes, **grain.examples}
  if of_codes:
    rounded = _HIGH_CODES.value == "rounded"
    examples["high"] = high.training_codes(faces, rounded)
  else:
    examples["features"] = faces
  config = recipe.train(
    enhancer,
    loss_fn,
    ("loss", "fine", "coarse") if grain.term else ("loss",),
    examples,
    folder,
    config,
    label,
    noise_dim=low.code_dim if noisy else 0,
    **grain.training,
  )
  for name, codec, key in (
    (_LOW.value, low, "low_digest"),
    (_HIGH.value, high, "high_digest"),
  ):
    on_disk = run_folders.finished(name)[1]["codec_digest"]
    if not codec.digest() == on_disk == config[key]:
      raise Error(f"{name}: the codec changed while the enhancer was trained.")
  run_folders.copy_codec(_HIGH.value, folder / run_folders.HIGH)
  unit = "codes in units of r_clip" if of_codes else "features"
  error = config["last_epoch"]["loss"]
  recipe.finish(
    folder, config, enhancer, f"squared error {error:.4f} of {unit}"
  )


if __name__ == "__main__":
  command_line.run(main)
