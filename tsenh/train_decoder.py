"""Trains a new decoder for a frozen encoder: the control of the enhancer.

  python -m tsenh.train_decoder --codec=pro-1e-4 --hidden_dim=211

It learns to map the rounded codes of a trained codec to the original features,
by their squared error, and changes no byte: decode and evaluate take the run
with --enhancer=RUN. With --hidden_dim=211, or --num_layers=3 --hidden_dim=144,
it has as many parameters as an enhancer and the high-rate decoder behind it;
with --from_codec it is the codec's own decoder, trained longer. Whatever an
enhancer gains must be held against that. A minute or two.
"""

import pathlib

from absl import flags

from tsenh.base import command_line, files
from tsenh.base.errors import Error
from tsenh.training import command, recipe

_CODEC = flags.DEFINE_string(
  "codec", None, "The codec whose codes are decoded: a run folder or a name."
)
_CODES = flags.DEFINE_enum(
  "codes",
  "rounded",
  ["rounded", "noisy"],
  "What the decoder sees in training: rounded codes, as in a bitstream, or the"
  " values before rounding with uniform noise.",
)
_NUM_LAYERS = flags.DEFINE_integer(
  "num_layers", 2, "Dense layers of the decoder.", lower_bound=2
)
_FROM_CODEC = flags.DEFINE_bool(
  "from_codec", False, "Begin with the weights of the codec's own decoder."
)
flags.adopt_module_key_flags(recipe)  # So that --help shows them.
flags.mark_flag_as_required("codec")


def main():
  files.check_apart(command.OUTPUT.value or "", _CODEC.value)
  recipe.begin()
  training_set = command.training_set()
  faces = training_set.features

  from tsenh.features import compressor
  from tsenh.features.decoder import Decoder
  from tsenh.features.sq_enhancer import squared_error

  codec = compressor.load_frozen(_CODEC.value, training_set)
  decoder = Decoder(
    code_dim=codec.code_dim,
    feature_dim=codec.feature_dim,
    hidden_dim=recipe.HIDDEN_DIM.value,
    num_layers=_NUM_LAYERS.value,
    clip=codec.clip,
    gdn=recipe.GDN.value,
    seed=recipe.SEED.value,
  )
  if _FROM_CODEC.value:
    own = (codec.hidden_dim, 2, codec.gdn, codec.gdn_layers)
    if own != (decoder.hidden_dim, decoder.num_layers, decoder.gdn, 1):
      raise Error(
        f"--from_codec: the decoder of {_CODEC.value} has another architecture;"
        f" its width is {codec.hidden_dim}, its GDN {codec.gdn} in"
        f" {codec.gdn_layers} layers."
      )
    arrays = codec.arrays()
    decoder.assign({name: arrays[name] for name in decoder.arrays()})
  label = f"decoder-{pathlib.Path(_CODEC.value).name}"
  folder, config = recipe.open_run(
    label,
    decoder,
    training_set,
    low_digest=codec.digest(),
    codes=_CODES.value,
    from_codec=_FROM_CODEC.value,
  )
  if config is None:
    return
  noisy = _CODES.value == "noisy"
  dim = codec.feature_dim

  def loss_fn(batch, noise):
    codes = batch["codes"] + noise if noisy else batch["codes"]
    loss = squared_error(decoder.decoder(codes), batch["features"])
    return loss, loss / dim

  codes = codec.training_codes(faces, rounded=not noisy)
  config = recipe.train(
    decoder,
    loss_fn,
    ("loss", "mse"),
    {"codes": codes, "features": faces},
    folder,
    config,
    label,
    noise_dim=codec.code_dim if noisy else 0,
  )
  mse = config["last_epoch"]["mse"]
  about = f"MSE {mse:.3e} over the last epoch"
  recipe.finish(folder, config, decoder, about)


if __name__ == "__main__":
  command_line.run(main)
