"""Trains the codec ahead: few bits, spent on what tells people apart.

  python -m tsenh.train_ahead --bits=64

It begins as `train_lda` of as many bits and learns from there, by a contrast of
people, what a hidden layer at the sender adds to the components; the receiver
stays linear, and a trellis finds the integers (docs/ahead.md). It needs
--features with identities. The defaults are those of the shipped codecs
ahead-64 to ahead-128. Two minutes or so.
"""

import math

from absl import flags

from tsenh.base import command_line
from tsenh.base.errors import Error
from tsenh.data import feature_sets, streams
from tsenh.training import command, recipe

_BITS = flags.DEFINE_float(
  "bits", 64, "How many bits a training feature takes on average."
)
_DIM = flags.DEFINE_integer(
  "dim",
  None,
  "Elements of a code. (default: half as many as --bits)",
  lower_bound=1,
)
_SHRINKAGE = flags.DEFINE_float(
  "shrinkage", 0.6, "Of the LDA that it begins as; see train_lda."
)
_DROPOUT = flags.DEFINE_float("dropout", 0.3, "Of the hidden layer's units.")
_SPREAD = flags.DEFINE_float(
  "spread",
  0.5,
  "Of noise in the training features, in deviations within people: it stands"
  " for photographs that are not there.",
)
_FINE_WEIGHT = flags.DEFINE_float(
  "fine_weight",
  4.0,
  "Of the decoded feature's squared error beside the contrast of people.",
)
_TRELLIS = command.define_trellis(True)
for _name in (
  *("features", "output", "overwrite", "epochs", "batch_size", "hidden_dim"),
  *("learning_rate", "adam_epsilon", "seed", "resume"),
):
  flags.declare_key_flag(_name)
flags.set_default(recipe.EPOCHS, 20)
flags.set_default(recipe.BATCH_SIZE, 1024)
flags.set_default(recipe.LEARNING_RATE, 1e-3)
flags.set_default(recipe.HIDDEN_DIM, 1024)
flags.register_validator(
  "bits",
  lambda value: 0 < value < math.inf,
  "expected a finite number above 0",
)
flags.register_validator(
  "dropout", lambda value: 0 <= value < 1, "expected 0 or more, and below 1"
)
for _flag in (_SHRINKAGE, _SPREAD, _FINE_WEIGHT):
  flags.register_validator(
    _flag.name,
    lambda value: 0 <= value < math.inf,
    "expected a finite number, 0 or more",
  )


def main():
  training_set = feature_sets.load(command.FEATURES.value)
  features, identities = training_set.features, training_set.identities
  if identities is None:
    raise Error(f"{command.FEATURES.value}: has no identities to learn from.")

  from tsenh.coding import entropy
  from tsenh.features import ahead, coarse, lda

  dim = _DIM.value or min(
    max(1, round(_BITS.value / lda.BITS_PER_DIRECTION)), features.shape[1]
  )
  name = f"ahead-{_BITS.value:g}"
  seed = recipe.SEED.value
  grain = coarse.prepare(
    "contrastive", features, identities, recipe.BATCH_SIZE.value, seed
  )
  own = {
    "shrinkage": _SHRINKAGE.value,
    "dropout": _DROPOUT.value,
    "spread": _SPREAD.value,
    "fine_weight": _FINE_WEIGHT.value,
  }
  learner = ahead.Learner(
    _BITS.value,
    dim,
    features,
    identities,
    hidden_dim=recipe.HIDDEN_DIM.value,
    seed=seed,
    **own,
  )
  choices = {
    "bits": _BITS.value,
    **own,
    "rate_weight": ahead.RATE_WEIGHT,
    "temperature": coarse.TEMPERATURE,
    "decay_epochs": recipe.EPOCHS.value,
  }
  model = ahead.AheadCoder(
    1.0, features.shape[1], dim, recipe.HIDDEN_DIM.value, _TRELLIS.value
  )
  folder, config = recipe.open_run(name, model, training_set, **choices)
  if config is None:
    return
  config = recipe.train(
    learner,
    learner.loss_fn,
    ahead.METRICS,
    {"features": features, **grain.examples},
    folder,
    config,
    name,
    noise_dim=learner.noise_dim,
    decay_epochs=recipe.EPOCHS.value,
    **grain.training,
  )
  coder = learner.coder(features, _TRELLIS.value)
  codes = streams.in_chunks(coder.encode, features)
  tables = entropy.fit_coder(codes)
  bits = streams.mean(tables.bits, codes)
  about = f"about {bits:.1f} bits per training feature"
  recipe.finish(folder, config, coder, about, tables)


if __name__ == "__main__":
  command_line.run(main)
