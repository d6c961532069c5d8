"""Trains the layered face codec: base network, generator, residual coder.

  python -m tsenh.train_scalable --images=faces64.npz --output=runs/scalable
  python -m tsenh.train_scalable --part=generator --images=faces64.npz \
    --output=runs/scalable
  python -m tsenh.train_scalable --part=residual --images=faces64.npz \
    --output=runs/scalable

Each part is a run in a folder of its own, --output/PART, and is trained behind
those before it, which stay as they are. --images is a packed set, a folder or a
tar file of aligned faces, --features a feature set with the same names: what
the base network learns to say of them. Of 70,000 faces an epoch takes two
minutes on one core, of the generator and of residual five; --resume continues a
run.
"""

import hashlib
import math
import pathlib
import shutil

import numpy as np
from absl import flags

from tsenh.base import command_line
from tsenh.base.errors import Error
from tsenh.data import feature_sets, manifests, streams
from tsenh.data.feature_sets import FeatureSet
from tsenh.recognition import image_sets, matching
from tsenh.training import command, recipe, run_folders

# Faces whose principal components the residual coder begins with, and whose
# codes, at these qualities in turn, make its tables.
_FITTED = 20000
_QUALITIES = range(0, 101, 10)
_PARTS = ("base", "generator", "residual")
_PART = flags.DEFINE_enum(
  "part", "base", _PARTS, "What to train; each needs those before it."
)
_IMAGES = flags.DEFINE_string(
  "images", None, "Aligned faces: a packed set (.npz), a folder or a tar file."
)
_MOST = flags.DEFINE_integer(
  "most",
  None,
  "Train on so many of the faces, evenly spread. (default: all)",
  lower_bound=1,
)
_CODEC = flags.DEFINE_string(
  "codec",
  "pro-3e-5",
  "Of the generator: whose decoded features it learns to draw:"
  f" {run_folders.codec_help()}.",
)
_SIZE = flags.DEFINE_integer(
  "size", 64, "Pixels of an image's side, a multiple of 16.", 16, 1024
)
_WIDTH = flags.DEFINE_integer(
  "width",
  None,
  "Channels: of the base network's first layer, of the generator's before its"
  " last, of those of residual that see the generated face. (default: 48, of"
  " the generator 32)",
  lower_bound=1,
)
_IDENTITY = flags.DEFINE_float(
  "identity", 0.02, "Of the base network: weight of the people's softmax."
)
_RECONSTRUCTION = flags.DEFINE_float(
  "reconstruction",
  1.0,
  "Of the base network: weight of its second task, to draw the face; 0 trains"
  " for recognition alone.",
)
_CONSISTENCY = flags.DEFINE_float(
  "consistency",
  None,
  "Of the others: weight of the cosine distance between the feature of the face"
  " that they draw and the original one. (default: 0.3, of residual 0.01)",
)
_LAMBDA = flags.DEFINE_float(
  "lambda", 6e-6, "Of residual: weight of a bit of a face at quality 50."
)
_CODE_DIM = flags.DEFINE_integer(
  "code_dim", 768, "Of residual: elements of its code.", lower_bound=1
)
_ALONE = flags.DEFINE_bool(
  "alone",
  False,
  "Of residual: let it see neither the base layer nor the generated face: an"
  " image codec of its own, to compare with.",
)
for _module, _names in (
  (command, ("features", "output", "overwrite")),
  (recipe, ("epochs", "batch_size", "learning_rate", "seed", "resume")),
):
  for _name in _names:  # So that --help shows these and not the others.
    flags.declare_key_flag(_name)
flags.mark_flags_as_required(["images", "output"])
for _flag in (_IDENTITY, _RECONSTRUCTION, _CONSISTENCY, _LAMBDA):
  flags.register_validator(
    _flag.name,
    lambda value: value is None or 0 <= value < math.inf,
    "expected a finite number, 0 or more",
  )
flags.register_validator(
  "size", lambda value: value % 16 == 0, "expected a multiple of 16"
)
flags.set_default(command.FEATURES, manifests.default().held_in)
flags.set_default(recipe.EPOCHS, 5)
flags.set_default(recipe.BATCH_SIZE, 64)
flags.set_default(recipe.LEARNING_RATE, 5e-4)


def _read() -> tuple:
  """Images uint8 [n, size, size, 3] and what is known of the same faces.

  Raises:
    Error: if there are none that both sets have.
  """
  known = feature_sets.load(command.FEATURES.value)
  found = image_sets.load(_IMAGES.value)
  if known.names is None:
    raise Error(f"{command.FEATURES.value}: has no names to find images by.")
  rows = matching.rows(found.names.tolist(), known.names.tolist())
  there = np.flatnonzero(rows >= 0)
  if not len(there):
    raise Error(f"{_IMAGES.value}: no image has a name of a feature.")
  if _MOST.value and _MOST.value < len(there):
    spread = np.linspace(0, len(there), _MOST.value, endpoint=False)
    there = there[spread.astype(np.int64)]
  size = _SIZE.value
  images = np.empty([len(there), size, size, 3], np.uint8)
  with command_line.progress(len(there), "image", "decode") as bar:
    for i, image in enumerate(found.decode(there, size)):
      images[i] = image
      bar.update(1)
  rows = rows[there]
  identities = known.identities
  if identities is None:
    identities = np.full(len(known.features), -1)
  return images, FeatureSet(known.features[rows], None, identities[rows])


def _train(model, loss_fn, metrics, examples, faces, noise_dim, **more):
  """Trains a part in its run folder; a finished one is left as it is.

  Args:
    model: of the part.
    loss_fn: see `Trainer`, as are `metrics`, `examples` and `noise_dim`.
    metrics: names.
    examples: arrays by name.
    faces: the features of the images.
    noise_dim: of the noise.
    **more: `variables`, which serve training alone; `fit`, which gives the
      entropy coder of the trained part; all else determines the trained bits.
  """
  part = _PART.value
  variables, fit = more.pop("variables", None), more.pop("fit", None)
  flags.FLAGS.output = str(pathlib.Path(command.OUTPUT.value) / part)
  digest = hashlib.sha256(examples["images"]).hexdigest()
  name = pathlib.Path(_IMAGES.value).name
  about = {"images": name, "images_digest": digest, **more}
  folder, config = recipe.open_run(part, model, faces, **about)
  if config is None:
    return
  config = recipe.train(
    model,
    loss_fn,
    metrics,
    examples,
    folder,
    config,
    part,
    noise_dim,
    training_variables=variables,
    decay_epochs=config["epochs"],
    xla=False,
  )
  last = config["last_epoch"]
  text = ", ".join(f"{name} {last[name]:.4g}" for name in metrics[1:])
  model.assign(model.arrays())  # Half precision from here on.
  recipe.finish(folder, config, model, text, fit and fit())


def _train_base(images, faces):
  import tensorflow as tf

  from tsenh.features import coarse
  from tsenh.images import losses, networks

  dim = faces.features.shape[1]
  width = _WIDTH.value or 48
  base = networks.Base(_SIZE.value, dim, width, recipe.SEED.value)
  people = coarse.labels(faces.identities)
  if people.max() < 0:
    raise Error(f"{command.FEATURES.value}: has no person with two faces.")
  classes = tf.Variable(coarse.centres(faces.features, people))
  weights = (_IDENTITY.value, _RECONSTRUCTION.value)

  def loss_fn(batch, noise):
    return losses.base_loss(
      base,
      classes,
      networks.to_unit(batch["images"]),
      noise,
      batch["features"],
      batch["people"],
      weights,
    )

  _train(
    base,
    loss_fn,
    ("loss", "distance", "softmax", "error"),
    {"images": images, "features": faces.features, "people": people},
    faces,
    losses.NOISE_DIM,
    variables={"classes": classes},
    identity=weights[0],
    reconstruction=weights[1],
  )


def _decoded(codec, faces):
  """The codec's codes of the features, and the features that it decodes."""
  transform = codec.transform
  codes = streams.in_chunks(transform.encode, faces.features)
  return codes, streams.in_chunks(transform.decode, codes)


def _trained(kind):
  """A part that was trained before, and its run.

  Raises:
    Error: if there is none, or it is for images of another size.
  """
  from tsenh.images import codec

  part, run = codec.read_part(command.OUTPUT.value, kind)
  if part.size != _SIZE.value:
    raise Error(
      f"{run.folder} is for images of {part.size} pixels, and --size is"
      f" {_SIZE.value}."
    )
  return part, run


def _train_generator(images, faces):
  from tsenh.features import compressor
  from tsenh.images import losses, networks

  base = _trained(networks.Base)[0]
  inner = compressor.load(_CODEC.value)
  _, decoded = _decoded(inner, faces)
  dim = decoded.shape[1]
  width = _WIDTH.value or 32
  generator = networks.Generator(_SIZE.value, dim, width, recipe.SEED.value)
  consistency = 0.3 if _CONSISTENCY.value is None else _CONSISTENCY.value

  def loss_fn(batch, noise):
    return losses.generator_loss(
      generator,
      base,
      networks.to_unit(batch["images"]),
      noise,
      batch["decoded"],
      batch["features"],
      consistency,
    )

  _train(
    generator,
    loss_fn,
    ("loss", "error", "distance"),
    {"images": images, "features": faces.features, "decoded": decoded},
    faces,
    losses.NOISE_DIM,
    consistency=consistency,
    base_digest=base.digest(),
    codec=_kept_codec(),
    codec_digest=inner.transform.digest(),
  )


def _kept_codec() -> str:
  """The name of a shipped codec; another one is copied into the model."""
  from tsenh.images import codec

  if _CODEC.value in run_folders.shipped():
    return _CODEC.value
  shutil.copytree(
    run_folders.finished(_CODEC.value)[0],
    pathlib.Path(command.OUTPUT.value) / codec.OWN_CODEC,
    ignore=shutil.ignore_patterns("tensorboard", "*state*"),
    dirs_exist_ok=True,
  )
  return codec.OWN_CODEC


def _train_residual(images, faces):
  import tensorflow as tf

  from tsenh.images import codec, conditional, losses, networks, residual

  base = _trained(networks.Base)[0]
  generator, run = _trained(networks.Generator)
  inner = codec.inner_codec(command.OUTPUT.value, run)
  codes, decoded = _decoded(inner, faces)
  generated = generator.images(decoded)
  kind = residual.AloneCoder if _ALONE.value else residual.ResidualCoder
  coder = kind(
    _SIZE.value,
    codes.shape[1],
    _WIDTH.value or 48,
    code_dim=_CODE_DIM.value,
    seed=recipe.SEED.value,
  )
  coder.begin(images[:_FITTED])
  each = len(_QUALITIES)

  def fit():
    """Tables of the training faces' codes, some of each quality."""
    count = min(_FITTED, len(images))
    found = [
      coder.encode(images[i:count:each], codes[i:count:each], quality)
      for i, quality in enumerate(_QUALITIES[:count])
    ]
    return conditional.ConditionalCoder.fit(*map(np.concatenate, zip(*found)))

  log_scales = tf.Variable(tf.zeros(coder.SIDE_DIM))
  consistency = 0.01 if _CONSISTENCY.value is None else _CONSISTENCY.value

  def loss_fn(batch, noise):
    return losses.residual_loss(
      coder,
      base,
      log_scales,
      networks.to_unit(batch["images"]),
      noise,
      networks.to_unit(batch["generated"]),
      batch["codes"],
      batch["features"],
      _LAMBDA.value,
      consistency,
    )

  _train(
    coder,
    loss_fn,
    ("loss", "error", "distance", "bits"),
    {
      "images": images,
      "features": faces.features,
      "generated": generated,
      "codes": codes,
    },
    faces,
    losses.NOISE_DIM + 1 + coder.code_dim + coder.SIDE_DIM,
    variables={"log_scales": log_scales},
    fit=fit,
    consistency=consistency,
    generator_digest=generator.digest(),
    **{"lambda": _LAMBDA.value},
  )


def main():
  images, faces = _read()
  train = {
    "base": _train_base,
    "generator": _train_generator,
    "residual": _train_residual,
  }
  train[_PART.value](images, faces)


if __name__ == "__main__":
  command_line.run(main)
