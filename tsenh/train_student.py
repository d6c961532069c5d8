"""Trains a tiny network for faces of 16 or 32 pixels, taught by a large one.

  python -m tsenh.train_student --size=16 --images=faces64.npz \
    --shrunken=runs/faces16.npz --output=runs/student-16

The images are aligned, sharp faces: a folder, a tar file, or a packed set
(.npz with webp, offsets and names). The teacher is a feature set with the same
names; faces that it does not know are passed over. Each face is shrunk several
times, by filters, blur and JPEG qualities drawn at random, which takes a few
minutes and is kept in the file that --shrunken names.

Two tasks are learned at once: the teacher's features of the selected faces, and
the people of the training set, each by the mean of the teacher's features.
--regression_weight=0 is training from scratch, with means that are learned, and
--classification_weight=0 the teacher alone. The run folder holds beside the
weights the student as TensorFlow Lite programs, float32.tflite and int8.tflite.
With the defaults about half a minute an epoch on one core.
"""

import json
import math
import pathlib
import re
import sys
from typing import Any, Dict

import numpy as np
from absl import flags

from tsenh.base import arrays, command_line, files
from tsenh.base.errors import Error
from tsenh.data import feature_sets, manifests
from tsenh.recognition import degradation, image_sets, selection
from tsenh.training import command, recipe

_NETWORK = manifests.default()
flags.DEFINE_alias("teacher", "features")
_SIZE = flags.DEFINE_enum(
  "size", "16", ["16", "32"], "Pixels of a side that the student sees."
)
_IMAGES = flags.DEFINE_string(
  "images", None, "Sharp, aligned, square faces: a .npz, a folder or a tar."
)
_SHRUNKEN = flags.DEFINE_string(
  "shrunken",
  None,
  "File (.npz) that keeps the shrunken faces; made if it is not there."
  " (default: in the run folder)",
)
_VARIANTS = flags.DEFINE_integer(
  "variants",
  4,
  "How often each face is shrunk: once by area, the others at random.",
  lower_bound=1,
)
_WIDTHS = flags.DEFINE_string(
  "widths",
  "16,48/48,52/128",
  "Channels of the convolutions, each of which after the first halves the side"
  " (of 32 pixels the first too), of the residual blocks, of which the last"
  " halves it, and of the convolution of one pixel. The default has 124,000"
  " parameters; 8,24/24,24/64 a quarter.",
)
_REGRESSION_WEIGHT = flags.DEFINE_float(
  "regression_weight", 1.0, "Of the cosine to the teacher's feature."
)
_CLASSIFICATION_WEIGHT = flags.DEFINE_float(
  "classification_weight", 0.03, "Of the margin softmax over the people."
)
_SELECTION = flags.DEFINE_enum(
  "selection",
  "all",
  selection.METHODS,
  "The faces of which the teacher's features are given: all, a random share, or"
  " the share that a greedy method keeps of a graph of faces, the compact ones"
  " that are neither redundant nor confused with others.",
)
_SHARE = flags.DEFINE_float(
  "share",
  0.5,
  "With --selection=random or graph: of the faces.",
  lower_bound=0.01,
  upper_bound=1.0,
)
_SURVIVAL = flags.DEFINE_string(
  "survival",
  None,
  "With --selection=graph: the teacher's features of the shrunken faces, a"
  " feature set with the same names; what survives counts as informative.",
)
_VALIDATION = flags.DEFINE_string(
  "validation",
  None,
  "Feature set with pairs of held-out people among the images, to verify after"
  f" each few epochs. Meant for --teacher={_NETWORK.held_in}"
  f" --validation={_NETWORK.validation}.",
)
_VALIDATE_EVERY = flags.DEFINE_integer(
  "validate_every", 1, "Epochs between two validations.", lower_bound=1
)
for _name in (
  *("teacher", "features", "output", "overwrite", "epochs", "batch_size"),
  *("learning_rate", "adam_epsilon", "seed", "resume"),
):
  flags.declare_key_flag(_name)
flags.set_default(recipe.EPOCHS, 30)
flags.set_default(recipe.BATCH_SIZE, 128)
flags.set_default(recipe.LEARNING_RATE, 1e-2)
flags.mark_flag_as_required("images")
flags.register_validator(
  "widths",
  lambda text: re.fullmatch(
    r"(N(,N){0,2})/(N(,N){0,3})/N".replace("N", r"[1-9]\d{0,2}"), text
  ),
  "expected numbers below 1000: at most three convolutions, at most four blocks"
  " and one more, as 16,48/48,52/128",
)
for _flag in (_REGRESSION_WEIGHT, _CLASSIFICATION_WEIGHT):
  flags.register_validator(
    _flag.name,
    lambda value: 0 <= value < math.inf,
    "expected a finite number, 0 or more",
  )


def _rows(wanted: np.ndarray, names: np.ndarray):
  """Where names are found: rows of `wanted`, and the same in `names`."""
  _, of_wanted, of_names = np.intersect1d(wanted, names, return_indices=True)
  order = np.argsort(of_names)
  return of_wanted[order], of_names[order]


def _shrunken(images: image_sets.ImageSet, path: pathlib.Path) -> np.ndarray:
  """All images shrunk, from the file at `path`, which is made if need be.

  Returns:
    uint8 [n, variants, size, size, 3].
  """
  key = {
    "images": images.digest(),
    "size": int(_SIZE.value),
    "variants": _VARIANTS.value,
  }
  if path.exists():
    found = arrays.read_all(path)
    if json.loads(str(found.get("key", "null"))) != key:
      raise Error(f"{path}: holds other faces, or faces shrunk otherwise.")
    return found["faces"]
  count = len(images.names)
  with command_line.progress(count, "face", "shrink") as bar:
    faces = degradation.variants(
      images, range(count), key["size"], key["variants"], 0, bar.update
    )
  path.parent.mkdir(parents=True, exist_ok=True)
  files.write_arrays(
    str(path), {"faces": faces, "key": np.array(json.dumps(key))}
  )
  return faces


def _validation(student, images, faces):
  """Gives a function that verifies the student on held-out people.

  Only pairs of which both images are there are verified, in an order of their
  own, so that each fold has both kinds.
  """
  from tsenh.recognition import verification

  held_out = feature_sets.load(_VALIDATION.value)
  if held_out.pairs is None or held_out.names is None:
    raise Error(f"{_VALIDATION.value}: has no pairs to verify, or no names.")
  known, rows = _rows(held_out.names, images.names)
  place = np.full(len(held_out.names), -1)
  place[known] = np.arange(len(known))
  pairs = place[held_out.pairs]
  order = np.random.default_rng(0).permutation(len(pairs))
  order = order[(pairs[order] >= 0).all(axis=1)]
  order = order[: len(order) // 10 * 10]
  if len(order) < 10:
    raise Error(f"{_VALIDATION.value}: too few pairs are among the images.")
  small = faces[rows, 0]

  def validate() -> Dict[str, Any]:
    features = student.features(small)
    distances = verification.squared_distances(features, pairs[order])
    metrics = verification.verify(distances, held_out.is_same[order])
    kept = ("num_pairs", "correct_pairs", "accuracy", "accuracy_std", "auc")
    return {name: metrics[name] for name in (*kept, "eer")}

  return validate


def main():
  if not (_REGRESSION_WEIGHT.value or _CLASSIFICATION_WEIGHT.value):
    raise Error("both weights are 0: there is nothing to learn.")
  if _SELECTION.value != "graph" and _SURVIVAL.value:
    raise Error("--survival goes with --selection=graph.")
  teacher = feature_sets.load(command.FEATURES.value)
  if teacher.names is None or teacher.identities is None:
    raise Error(f"{command.FEATURES.value}: has no names or no identities.")
  images = image_sets.load(_IMAGES.value)
  known, rows = _rows(teacher.names, images.names)
  if len(known) < recipe.BATCH_SIZE.value:
    raise Error(
      f"{_IMAGES.value}: has {len(known)} of the faces that"
      f" {command.FEATURES.value} names, fewer than one batch."
    )
  features = teacher.features[known]
  features = features / np.linalg.norm(features, axis=1, keepdims=True)
  identities = teacher.identities[known]
  name = f"student-{_SIZE.value}"

  import tensorflow as tf

  from tsenh.features import coarse
  from tsenh.recognition import student as students

  # One thread: the same bits again, and room for what else runs.
  tf.config.threading.set_intra_op_parallelism_threads(1)
  tf.config.threading.set_inter_op_parallelism_threads(1)
  survival = _SURVIVAL.value and feature_sets.load(_SURVIVAL.value)
  dim = features.shape[1]
  if survival and (survival.names is None or survival.features.shape[1] != dim):
    raise Error(
      f"{_SURVIVAL.value}: has no names, or no features of {dim} dimensions."
    )
  size = int(_SIZE.value)
  student = students.Student(size, _WIDTHS.value, dim, recipe.SEED.value)
  choices = {
    "images_digest": images.digest(),
    "num_faces": len(known),
    "parameters": student.parameters(),
    "multiply_adds": student.multiply_adds(),
    "variants": _VARIANTS.value,
    "regression_weight": _REGRESSION_WEIGHT.value,
    "classification_weight": _CLASSIFICATION_WEIGHT.value,
    "selection": _SELECTION.value,
    "share": 1.0 if _SELECTION.value == "all" else _SHARE.value,
    "survival": survival and survival.digest(),
    "decay_epochs": recipe.EPOCHS.value,
  }
  folder, config = recipe.open_run(name, student, teacher, **choices)
  if config is None:
    return
  path = pathlib.Path(_SHRUNKEN.value or folder / "shrunken.npz")
  everything = _shrunken(images, path)
  validate = _VALIDATION.value and _validation(student, images, everything)
  survived = None
  if survival:
    of_known, of_found = _rows(teacher.names[known], survival.names)
    if len(of_known) < len(known):
      raise Error(
        f"{_SURVIVAL.value}: lacks {len(known) - len(of_known)} names."
      )
    survived = np.empty_like(features)
    survived[of_known] = survival.features[of_found]
  kept = selection.select(
    _SELECTION.value,
    _SHARE.value,
    features,
    identities,
    recipe.SEED.value,
    survived,
  )
  people = coarse.labels(identities)
  centres, learned = None, {}
  if _CLASSIFICATION_WEIGHT.value:
    centres = coarse.centres(features, people)
    if not _REGRESSION_WEIGHT.value:  # The teacher is not to tell.
      random = np.random.default_rng(recipe.SEED.value)
      start = random.normal(size=centres.shape).astype(np.float32)
      learned["centres"] = centres = tf.Variable(start, name="centres")
    # The teacher's own stay as they are: to learn them too takes more time than
    # it is worth.

  def loss_fn(batch, noise):
    seen = students.training_view(batch["faces"], noise)
    found = student.network(seen, training=True)
    regression = students.regression_loss(
      found, batch["teacher"], batch["selected"]
    )
    classification = tf.constant(0.0)
    if centres is not None:
      classification = coarse.softmax_loss(
        found, batch["people"], centres, coarse.MARGIN
      )
    loss = _REGRESSION_WEIGHT.value * regression
    loss += _CLASSIFICATION_WEIGHT.value * classification
    return loss, regression, classification

  config = recipe.train(
    student,
    loss_fn,
    ("loss", "regression", "classification"),
    {
      "faces": everything[rows],
      "teacher": features,
      "people": people,
      "selected": kept.astype(np.float32),
    },
    folder,
    config,
    name,
    noise_dim=students.NOISE_DIM,
    validate=validate or None,
    validate_every=_VALIDATE_EVERY.value,
    training_variables=learned,
    statistics=student.statistics(),
    decay_epochs=recipe.EPOCHS.value,
    xla=False,
  )
  random = np.random.default_rng(recipe.SEED.value)
  examples = everything[np.sort(random.permutation(rows)[:512]), 0]
  for form, faces in (("float32", None), ("int8", examples)):
    program = students.to_tflite(student, faces)
    with files.replacing(str(folder / f"{form}.tflite")) as file:
      file.write(program)
    parameters, size = students.weight_bytes(program)
    print(
      f"{form}: {parameters} parameters in {size} bytes, the file"
      f" {len(program)} bytes",
      file=sys.stderr,
    )
  cosine = 1 - config["last_epoch"]["regression"]
  about = f"cosine {cosine:.3f} to the teacher over the last epoch"
  recipe.finish(folder, config, student, about)


if __name__ == "__main__":
  command_line.run(main)
