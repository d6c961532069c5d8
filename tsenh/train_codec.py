"""Trains one feature codec (Sec. 3.1, Eq. 4-5) and fits its entropy tables.

  python -m tsenh.train_codec --lambda=1e-6
  python -m tsenh.train_codec --lambda=1e-4,1e-5,1e-6,1e-7  # The whole curve.

The defaults are the paper's recipe on the shipped training set: Glorot
initialisation, Adam 1e-4, batch 32, 40 epochs, clip 20, uniform noise for
rounding. A small lambda gives a high rate; the paper uses 1e-4 to 1e-7.
About a minute and a half on two cores.

--coarse adds the coarse constraint of the 2021 paper, which needs to know who
is on the photographs:

  python -m tsenh.train_codec --lambda=1e-5 --coarse=contrastive

All of a run lies in one folder (--output): weights, entropy tables,
config.json, TensorBoard scalars, and the state that --resume continues from.
"""

import concurrent.futures
import math
import os
import pathlib
import subprocess
import sys
from typing import Any, Dict

import numpy as np
from absl import flags

from tsenh.base import command_line, results
from tsenh.base.errors import Error
from tsenh.data import feature_sets, manifests, streams
from tsenh.training import command, grains, recipe

_NETWORK = manifests.default()
_LAMBDA = flags.DEFINE_list(
  "lambda",
  ["1e-6"],
  "Lagrangian multiplier of Eq. (5): weight of the rate. Of several, as"
  " 1e-4,1e-5, each is trained as it is alone, two at a time on two cores;"
  " --output is then the folder of their run folders.",
)
_CODE_DIM = flags.DEFINE_integer(
  "code_dim", 128, "Dimensions of the latent code.", lower_bound=1
)
_CLIP = flags.DEFINE_float("clip", 20.0, "r_clip, the largest code element.")
_DISTORTION = flags.DEFINE_enum(
  "distortion",
  "mean",
  ["mean", "sum"],
  "Reduction of the squared error of Eq. (5) over the feature's dimensions.",
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
  "Feature set with pairs to measure rate and accuracy on while training:"
  " validation.json and TensorBoard scalars. Meant for held-out people, as"
  f" --features={_NETWORK.held_in} --validation={_NETWORK.validation}.",
)
_VALIDATE_EVERY = flags.DEFINE_integer(
  "validate_every", 5, "Epochs between two validations.", lower_bound=1
)
for _module in (recipe, grains):  # So that --help shows their flags.
  flags.adopt_module_key_flags(_module)


def _is_lambda(text: str) -> bool:
  """Whether it is a finite number, 0 or more."""
  try:
    return 0 <= float(text) < math.inf
  except ValueError:
    return False


flags.register_validator(
  "lambda",
  lambda values: bool(values) and all(map(_is_lambda, values)),
  "expected finite numbers, 0 or more",
)
flags.register_validator(
  "clip",
  lambda value: 0.5 <= value <= 1000,
  "expected a number from 0.5 to 1000",
)

_VALIDATION_METRICS = (
  "num_pairs",
  "correct_pairs",
  "accuracy",
  "accuracy_std",
  "auc",
  "eer",
)


def _lambda(index: int = 0) -> str:
  """A lambda as the paper writes it: 1e-4, not 0.0001."""
  value = float(_LAMBDA.value[index])
  return np.format_float_scientific(value, trim="-", exp_digits=1)


def _run_name(lmbda: str) -> str:
  """What a run is called: pro-1e-4, or pro-softmax-1e-4."""
  form = grains.COARSE.value
  return f"pro-{lmbda}" if form == "none" else f"pro-{form}-{lmbda}"


def _train_each() -> None:
  """Trains a codec for each lambda, in a process of its own on each core.

  One process computes on one core, so what a run gives does not depend on those
  beside it: the same bits as alone.

  Raises:
    Error: if a lambda is there twice, or a run failed; the others go on.
  """
  names = [_lambda(i) for i in range(len(_LAMBDA.value))]
  if len(set(names)) < len(names):
    raise Error("--lambda: the same value twice.")
  folder = pathlib.Path(command.OUTPUT.value or "runs")
  running = []

  def train(name: str) -> int:
    own = [f"--lambda={name}", f"--output={folder / _run_name(name)}"]
    arguments = [sys.executable, "-m", "tsenh.train_codec", *sys.argv[1:]]
    with subprocess.Popen([*arguments, *own]) as process:
      running.append(process)
      return process.wait()

  with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    try:
      codes = list(pool.map(train, names))
    except KeyboardInterrupt:
      pool.shutdown(wait=False, cancel_futures=True)
      for process in running:
        process.terminate()
      raise
  failed = [name for name, code in zip(names, codes) if code != 0]
  if failed:
    raise Error(f"no codec for lambda {', '.join(failed)}; see above.")


def _validate(
  codec,
  training_set: feature_sets.FeatureSet,
  validation_set: feature_sets.FeatureSet,
  folder: pathlib.Path,
) -> Dict[str, Any]:
  """Rate (cross-entropy), distortion and verification of the codec as it is.

  Where the set is a test set, this look at it is logged in the run's folder.
  """
  from tsenh.coding import entropy
  from tsenh.recognition import verification

  codes = streams.in_chunks(codec.encode, training_set.features)
  coder = entropy.fit_coder(codes)
  original = validation_set.features
  codes = streams.in_chunks(codec.encode, original)
  decoded = streams.in_chunks(codec.decode, codes)

  def verify(vectors):
    distances = verification.squared_distances(vectors, validation_set.pairs)
    metrics = verification.verify(distances, validation_set.is_same)
    return {key: metrics[key] for key in _VALIDATION_METRICS}

  measured = {
    "entropy_bits_per_feature": float(coder.bits(codes).mean()),
    "mse": float(np.square(decoded - original).mean(dtype=np.float64)),
    **verify(decoded),
    "normalized": verify(verification.normalize(decoded)),
  }
  digest = validation_set.digest()
  if manifests.is_test(digest):
    look = {
      "method": f"{folder.name}, while training",
      "features": _VALIDATION.value,
      "features_digest": digest,
      "codec_digest": codec.digest(),
      "bits_per_feature": measured["entropy_bits_per_feature"],
      "correct_pairs": measured["correct_pairs"],
    }
    results.log_look(folder, results.describe(look, {}))
  return measured


def main():
  if len(_LAMBDA.value) > 1:
    if recipe.DISTRIBUTED.value:
      raise Error("--distributed trains one --lambda at a time.")
    _train_each()
    return
  recipe.begin()
  training_set = command.training_set()
  validation_set = None
  if _VALIDATION.value is not None:
    validation_set = feature_sets.load(_VALIDATION.value)
    if validation_set.pairs is None:
      raise Error(f"{_VALIDATION.value}: has no pairs to verify.")
    dims = [s.features.shape[1] for s in (training_set, validation_set)]
    if dims[0] != dims[1]:
      raise Error(
        f"{_VALIDATION.value} has {dims[1]} dimensions, but"
        f" {command.FEATURES.value} has {dims[0]}."
      )
    manifests.check_one_network(
      {
        command.FEATURES.value: training_set.digest(),
        _VALIDATION.value: validation_set.digest(),
      }
    )

  of_grains = grains.recipe(training_set)

  from tsenh.coding import entropy
  from tsenh.features import coarse
  from tsenh.features.pro import Codec, rate_distortion_loss

  codec = Codec(
    feature_dim=int(training_set.features.shape[1]),
    code_dim=_CODE_DIM.value,
    hidden_dim=recipe.HIDDEN_DIM.value,
    clip=_CLIP.value,
    gdn=recipe.GDN.value,
    gdn_layers=_GDN_LAYERS.value,
    seed=recipe.SEED.value,
  )
  choices = {
    "lambda": float(_lambda()),
    "distortion": _DISTORTION.value,
    "noise": _NOISE.value,
    **of_grains,
  }
  form = grains.COARSE.value
  grain = coarse.prepare(
    form,
    training_set.features,
    training_set.identities,
    recipe.BATCH_SIZE.value,
    recipe.SEED.value,
  )
  name = _run_name(_lambda())
  folder, config = recipe.open_run(name, codec, training_set, **choices)
  if config is None:
    return

  def loss_fn(batch, noise):
    f_raw = batch["features"]
    f_rec, c = codec(f_raw, noise, _NOISE.value == "before_clip")
    loss, fine, rate = rate_distortion_loss(
      f_raw, f_rec, c, choices["lambda"], _DISTORTION.value
    )
    if grain.term is None:
      return loss, fine, rate
    term = grain.term(f_rec, batch)
    loss = grains.total(fine, term) + choices["lambda"] * rate
    return loss, fine, rate, term

  validate = validation_set and (
    lambda: _validate(codec, training_set, validation_set, folder)
  )
  config = recipe.train(
    codec,
    loss_fn,
    ("loss", "distortion", "rate", *(["coarse"] if grain.term else [])),
    {"features": training_set.features, **grain.examples},
    folder,
    config,
    f"lambda {_lambda()}",
    noise_dim=_CODE_DIM.value,
    validate=validate,
    validate_every=_VALIDATE_EVERY.value,
    **grain.training,
  )
  codes = streams.in_chunks(codec.encode, training_set.features)
  coder = entropy.fit_coder(codes)
  last = config["last_epoch"]
  bits = streams.mean(coder.bits, codes)
  about = (
    f"lambda {_lambda()}, distortion {last['distortion']:.3e}, rate (l1)"
    f" {last['rate']:.1f}, about {bits:.1f} bits per training feature"
  )
  recipe.finish(folder, config, codec, about, coder)


if __name__ == "__main__":
  command_line.run(main)
