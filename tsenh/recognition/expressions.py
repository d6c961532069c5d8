"""Expressions of half-hidden faces (arXiv 2008.01003): networks and losses.

A teacher sees whole faces; students see the upper or the lower half alone, as
where a headset or a mask hides the other. Three things teach them: the labels,
the teacher's softened answers (distillation), or the teacher's embeddings of
other faces with the same expression (the triplet loss across the two).

The abstract of the paper is all that could be read: what it does not say is a
flag of `train_expression` or a constant here.
"""

import hashlib
import pathlib
from typing import Dict, List, NamedTuple, Tuple

import numpy as np
import tensorflow as tf

from tsenh.base.errors import Error
from tsenh.recognition.expression_sets import EMOTIONS, SIZE

NETWORKS = ("small", "vgg-f", "vgg-face")
OCCLUSIONS = ("none", "upper", "lower")
MININGS = ("random", "hard")
NOISE_DIM = 12  # Uniform numbers that `augment`, `occlude` and `mine` take.
_VGG_SIZE = 224
# Of VGG-face's training images, red, green, blue; it has no other constant.
_VGG_MEAN = (129.1863, 104.7624, 93.594)
_SMALL = (24, 40, 80, 128)  # Channels of the stem and of the three stages.
_BATCH = 256
# Ours, as `augment` takes them.
_TURN, _ZOOM, _SHIFT = 0.2, 0.12, 4  # Radians, a share, pixels.
_CONTRAST, _BRIGHTNESS = 0.3, 0.1  # Shares of the range of grey.
_CUT_OUT = 12  # Pixels of a side.
_GREY = 127.5
# Ours; see docs/expressions.md. A half is hidden if its deviation is below this
# share of the other's, or that of its outer rows below another.
_FLAT, _OUTER, _FLAT_OUTER = 0.35, 14, 0.15

_Layers = tf.keras.layers


def augment(images, noise):
  """Faces mirrored, turned, zoomed, shifted, of other light, with a square out.

  Args:
    images: uint8 or float32 [batch, SIZE, SIZE], grey, 0 to 255.
    noise: float32 [batch, NOISE_DIM], uniform in [-0.5, 0.5).

  Returns:
    float32 [batch, SIZE, SIZE, 1], 0 to 255.
  """
  x = tf.cast(images, tf.float32)[..., None]
  mirror = tf.where(noise[:, 0] > 0, 1.0, -1.0)
  turn, zoom = 2 * _TURN * noise[:, 1], 1 + 2 * _ZOOM * noise[:, 2]
  shift = 2 * _SHIFT * noise[:, 3:5]
  cosine, sine = zoom * tf.cos(turn), zoom * tf.sin(turn)
  middle = (SIZE - 1) / 2
  rows = []
  for one, two, moved in (
    (cosine * mirror, -sine, shift[:, 0]),
    (sine * mirror, cosine, shift[:, 1]),
  ):
    rows += [one, two, middle * (1 - one - two) + moved]
  zero = tf.zeros_like(mirror)
  x = tf.raw_ops.ImageProjectiveTransformV3(
    images=x,
    transforms=tf.stack([*rows, zero, zero], axis=1),
    output_shape=[SIZE, SIZE],
    fill_value=0.0,
    interpolation="BILINEAR",
    fill_mode="NEAREST",
  )
  contrast = (1 + 2 * _CONTRAST * noise[:, 5])[:, None, None, None]
  light = (510 * _BRIGHTNESS * noise[:, 6])[:, None, None, None]
  x = (x - _GREY) * contrast + _GREY + light
  near = [
    tf.abs(tf.range(SIZE, dtype=tf.float32) - SIZE * (0.5 + centre[:, None]))
    < _CUT_OUT / 2
    for centre in (noise[:, 7], noise[:, 8])
  ]
  cut = near[0][:, :, None, None] & near[1][:, None, :, None]
  return tf.where(cut, 0.0, tf.clip_by_value(x, 0.0, 255.0))


def occlude(images, occlusion: str, noise=None):
  """Faces with a half blacked out.

  Args:
    images: [n, SIZE, SIZE] or [n, SIZE, SIZE, 1], an array or tensor.
    occlusion: the half that is hidden, one of `OCCLUSIONS`; or mixed, each of
      them alike.
    noise: for mixed, float32 [n, NOISE_DIM], uniform in [-0.5, 0.5).

  Returns:
    The same shape and element type; for mixed a tensor.
  """
  rows = np.arange(SIZE)
  seen = np.stack([rows >= 0, rows >= SIZE // 2, rows < SIZE // 2])
  shape = [-1, SIZE] + [1] * (len(images.shape) - 2)
  if occlusion == "mixed":
    which = tf.cast(tf.floor(3 * (noise[:, 9] + 0.5)), tf.int32)
    mask = tf.reshape(tf.gather(tf.constant(seen), which), shape)
    return images * tf.cast(mask, images.dtype)
  mask = seen[OCCLUSIONS.index(occlusion)].reshape(shape)
  if isinstance(images, np.ndarray):
    return images * mask.astype(images.dtype)
  return images * tf.cast(mask, images.dtype)


def hidden_half(face: np.ndarray) -> str:
  """Which half of a face something without features hides, by its grey alone.

  Args:
    face: uint8 [SIZE, SIZE].

  Returns:
    One of `OCCLUSIONS`.
  """
  face = face.astype(float)
  upper, lower = np.split(face, 2)
  for name, half, outer, other in (
    ("upper", upper, face[:_OUTER], lower),
    ("lower", lower, face[-_OUTER:], upper),
  ):
    seen = other.std()
    if half.std() < _FLAT * seen or outer.std() < _FLAT_OUTER * seen:
      return name
  return "none"


def cross_entropy(logits, targets):
  """What the labels teach.

  Args:
    logits: float32 [batch, classes], of the student.
    targets: float32 [batch, classes], summing to 1: the majority or the votes.

  Returns:
    A float32 scalar, the mean over the batch.
  """
  return tf.reduce_mean(
    tf.nn.softmax_cross_entropy_with_logits(targets, logits)
  )


def distillation(logits, teacher_logits, temperature):
  """Classic distillation: the student's softened answers against the teacher's.

  Times the square of the temperature, so that its gradients stay as large
  whatever that is (Hinton et al., arXiv 1503.02531, Sec. 2).

  Args:
    logits: float32 [batch, classes], of the student on occluded faces.
    teacher_logits: float32 [batch, classes], on the whole faces.
    temperature: what both are divided by.

  Returns:
    A float32 scalar, the mean over the batch of the cross-entropy.
  """
  softened = tf.nn.softmax(teacher_logits / temperature)
  return temperature**2 * cross_entropy(logits / temperature, softened)


def triplet(anchors, positives, negatives, margin):
  """The triplet loss; across the two when its anchors and negatives are one's.

  Here the anchor is the student's embedding of an occluded face, the positive
  the teacher's of a whole face of the same class, and the negative the
  student's of an occluded face of another class.

  Args:
    anchors: float32 [batch, dim].
    positives: float32 [batch, dim].
    negatives: float32 [batch, dim].
    margin: by how much the squared distances have to differ.

  Returns:
    A float32 scalar, the mean over the batch of
    `max(0, |a - p|^2 - |a - n|^2 + margin)`.
  """
  near = tf.reduce_sum(tf.square(anchors - positives), axis=1)
  far = tf.reduce_sum(tf.square(anchors - negatives), axis=1)
  return tf.reduce_mean(tf.nn.relu(near - far + margin))


def mine(labels, student, teacher, mining: str, noise):
  """Picks a positive and a negative for each face of a batch.

  Args:
    labels: int [batch].
    student: float32 [batch, dim], embeddings of the occluded faces.
    teacher: float32 [batch, dim], of the whole faces.
    mining: random, any of the batch alike; hard, the farthest positive and the
      nearest negative.
    noise: float32 [batch, NOISE_DIM], uniform in [-0.5, 0.5).

  Returns:
    Two int64 [batch]: rows of `teacher` with the same label, rows of `student`
    with another one.
  """
  same = labels[:, None] == labels[None, :]
  if mining == "random":
    draws = [
      tf.math.floormod(noise[:, i][:, None] + noise[:, j][None, :], 1.0)
      for i, j in ((10, 11), (11, 10))
    ]
  else:
    draws = [_distances(student, teacher), -_distances(student, student)]
  lowest = tf.float32.min
  return (
    tf.argmax(tf.where(same, draws[0], lowest), axis=1),
    tf.argmax(tf.where(same, lowest, draws[1]), axis=1),
  )


def _distances(a, b):
  """The squared distance of each of a from each of b, float32 [n, m]."""
  return tf.reduce_sum(tf.square(a[:, None] - b[None]), axis=2)


def closeness(stages, teacher_stages):
  """Feature distillation at several layers: how far the student's are.

  Args:
    stages: float32 [batch, dim], the student's layers side by side.
    teacher_stages: float32 [batch, dim], the teacher's.

  Returns:
    A float32 scalar, the mean over the batch of the squared distance at unit
    length.
  """
  a, b = (tf.math.l2_normalize(x, axis=1) for x in (stages, teacher_stages))
  return tf.reduce_mean(tf.reduce_sum(tf.square(a - b), axis=1))


class Outputs(NamedTuple):
  """What a network says of faces; tensors, or arrays of `Classifier.predict`.

  Attributes:
    logits: float32 [n, 8], of `EMOTIONS`.
    embedding: float32 [n, dim], what the last layer sees.
    stages: float32 [n, dims], the means of its stages side by side, each at
      unit length.
  """

  logits: np.ndarray
  embedding: np.ndarray
  stages: np.ndarray


class Classifier:
  """A network that tells expressions, as a run folder holds it.

  Attributes:
    network: one of `NETWORKS`.
    model: the Keras model, float32 [n, SIZE, SIZE, 1], grey from 0 to 255, to
      `Outputs`.
  """

  KIND, ROLE = "expression", "classifier"

  def __init__(self, network: str = "small", seed: int = 0):
    """Builds the network with random weights.

    Args:
      network: one of `NETWORKS`.
      seed: of the weights.
    """
    self.network = network
    tf.keras.utils.set_random_seed(seed)
    build = {"small": _small, "vgg-f": _vgg_f, "vgg-face": _vgg_face}
    self.model = build[network]()
    self._infer = tf.function(
      lambda x: self.model(x, training=False),
      input_signature=[tf.TensorSpec([None, SIZE, SIZE, 1])],
    )

  def architecture(self) -> Dict[str, object]:
    """What builds it again, as config.json has it."""
    return {"network": self.network, "classes": list(EMOTIONS)}

  def named_variables(self) -> Dict[str, tf.Variable]:
    """What is trained, by name."""
    return {_name(v): v for v in self.model.trainable_variables}

  def statistics(self) -> Dict[str, tf.Variable]:
    """What batch normalization keeps, by name."""
    return {_name(v): v for v in self.model.non_trainable_variables}

  def arrays(self) -> Dict[str, np.ndarray]:
    """All of its variables' values, float32, by name."""
    return {name: v.numpy() for name, v in self._variables().items()}

  def assign(self, arrays: Dict[str, np.ndarray]) -> None:
    """Takes what `arrays` once gave.

    Raises:
      Error: if it is another network's.
    """
    variables = self._variables()
    shapes = {name: tuple(v.shape) for name, v in variables.items()}
    if {name: a.shape for name, a in arrays.items()} != shapes:
      raise Error(f"not the weights of the network {self.network}.")
    for name, variable in variables.items():
      variable.assign(arrays[name])

  def _variables(self) -> Dict[str, tf.Variable]:
    return {**self.named_variables(), **self.statistics()}

  def digest(self) -> str:
    """SHA-256 of the network's name and weights, in hexadecimal."""
    sha = hashlib.sha256(self.network.encode())
    for name, array in self.arrays().items():
      sha.update(name.encode())
      sha.update(np.ascontiguousarray(array, "<f4"))
    return sha.hexdigest()

  def predict(self, images: np.ndarray, mirror: bool = False) -> Outputs:
    """What the network says of faces.

    Args:
      images: uint8 [n, SIZE, SIZE].
      mirror: whether it is the mean over each face and its mirror image.

    Returns:
      Arrays.
    """
    views = [images, images[:, :, ::-1]] if mirror else [images]
    found = [self._predict(view) for view in views]
    return Outputs(*(np.mean(parts, axis=0) for parts in zip(*found)))

  def _predict(self, images: np.ndarray) -> List[np.ndarray]:
    parts = [
      self._infer(tf.cast(images[i : i + _BATCH, ..., None], tf.float32))
      for i in range(0, len(images), _BATCH)
    ]
    return [np.concatenate(columns) for columns in zip(*parts)]

  def load_pretrained(self, path: str) -> None:
    """Takes all layers but the last from another task's weights.

    Args:
      path: a `.mat` file of MatConvNet, as VGG-face's makers give it, or Keras
        weights (`.h5`). Layers go by their names, conv1_1 to fc7 in VGG-face.

    Raises:
      Error: if a layer is missing there, or has another shape.
    """
    found = _matconvnet(path) if path.endswith(".mat") else _keras(path)
    for layer in self.model.layers:
      if not layer.weights or layer.name == "logits":
        continue
      stored = found.get(layer.name)
      shapes = [tuple(weight.shape) for weight in layer.weights]
      if stored is None or len(stored) != len(shapes):
        raise Error(f"{path}: has no layer {layer.name} of {self.network}.")
      if [array.size for array in stored] != [np.prod(s) for s in shapes]:
        raise Error(
          f"{path}: the layer {layer.name} is of"
          f" {' and '.join(str(a.shape) for a in stored)}, expected"
          f" {' and '.join(map(str, shapes))}."
        )
      layer.set_weights([a.reshape(s) for a, s in zip(stored, shapes)])


def _name(variable: tf.Variable) -> str:
  return variable.name.split(":")[0]


def _matconvnet(path: str) -> Dict[str, List[np.ndarray]]:
  """Filters and biases by layer; a filter is [height, width, in, out]."""
  import scipy.io

  try:
    stored = scipy.io.loadmat(path, simplify_cells=True)
    layers = stored.get("net", stored)["layers"]
    return {
      layer["name"]: [np.asarray(a, np.float32) for a in layer["weights"]]
      for layer in layers
      if len(layer.get("weights", ()))
    }
  except (OSError, KeyError, TypeError, ValueError) as error:
    raise Error(f"{path}: no weights of MatConvNet ({error}).") from error


def _keras(path: str) -> Dict[str, List[np.ndarray]]:
  """Kernels and biases by layer."""
  import h5py

  try:
    with h5py.File(path, "r") as file:
      group = file.get("model_weights", file)
      return {
        name: [
          np.array(layer[weight]) for weight in layer.attrs["weight_names"]
        ]
        for name, layer in group.items()
        if "weight_names" in layer.attrs
      }
  except (OSError, KeyError, ValueError) as error:
    raise Error(f"{path}: no weights of Keras ({error}).") from error


def _outputs(x, embedding, stages) -> tf.keras.Model:
  logits = _Layers.Dense(len(EMOTIONS), name="logits")(embedding)
  side_by_side = tf.concat(
    [tf.math.l2_normalize(stage, axis=1) for stage in stages], axis=1
  )
  return tf.keras.Model(x, Outputs(logits, embedding, side_by_side))


def _small() -> tf.keras.Model:
  """Ours: a stem and three stages of two convolutions, the second residual."""
  x = inputs = _Layers.Input([SIZE, SIZE, 1])
  x = _Layers.Rescaling(1 / 255, -0.5)(x)

  def convolved(x, channels, name):
    x = _Layers.Conv2D(
      channels, 3, padding="same", use_bias=False, name=f"conv{name}"
    )(x)
    return _Layers.BatchNormalization(momentum=0.9, name=f"norm{name}")(x)

  x = _Layers.ReLU()(convolved(x, _SMALL[0], "0"))
  stages = []
  for i, channels in enumerate(_SMALL[1:], 1):
    x = _Layers.MaxPool2D()(x)
    x = _Layers.ReLU()(convolved(x, channels, f"{i}_1"))
    x = _Layers.ReLU()(_Layers.Add()([x, convolved(x, channels, f"{i}_2")]))
    stages.append(_Layers.GlobalAveragePooling2D()(x))
  return _outputs(inputs, stages[-1], stages)


def _vgg_input():
  """The input, and what VGG networks take of it: 224 pixels, RGB, no mean."""
  inputs = _Layers.Input([SIZE, SIZE, 1])
  x = _Layers.Resizing(_VGG_SIZE, _VGG_SIZE)(inputs)
  return inputs, _Layers.Concatenate()([x, x, x]) - tf.constant(_VGG_MEAN)


def _vgg_end(inputs, x, stages: List) -> tf.keras.Model:
  """Two layers of 4,096 with dropout, whose order a resumed run changes."""
  x = _Layers.Flatten()(x)
  for name in ("fc6", "fc7"):
    x = _Layers.Dense(4096, "relu", name=name)(x)
    stages = [*stages, x]
    x = _Layers.Dropout(0.5)(x)
  return _outputs(inputs, x, stages)


def _vgg_f() -> tf.keras.Model:
  """CNN-F of Chatfield et al. (arXiv 1405.3531, Table 1), with its LRN."""
  inputs, x = _vgg_input()

  def convolved(x, channels, size, name, stride=1, padding="same"):
    return _Layers.Conv2D(
      channels, size, stride, padding, activation="relu", name=name
    )(x)

  def normalized(x):
    return tf.nn.local_response_normalization(x, 2, 2.0, 1e-4, 0.75)

  # A row and a column of zeros behind, where MatConvNet's first pool has them.
  x = normalized(convolved(x, 64, 11, "conv1", 4, "valid"))
  x = _Layers.MaxPool2D(3, 2)(_Layers.ZeroPadding2D(((0, 1), (0, 1)))(x))
  x = normalized(convolved(x, 256, 5, "conv2"))
  x = _Layers.MaxPool2D(3, 2)(x)
  for name in ("conv3", "conv4", "conv5"):
    x = convolved(x, 256, 3, name)
  x = _Layers.MaxPool2D(3, 2)(x)
  return _vgg_end(inputs, x, [_Layers.GlobalAveragePooling2D()(x)])


def _vgg_face() -> tf.keras.Model:
  """VGG-face (Parkhi et al., BMVC 2015, Table 3): VGG-16."""
  inputs, x = _vgg_input()
  blocks: Tuple[Tuple[int, int], ...] = (
    *((64, 2), (128, 2)),
    *((256, 3), (512, 3), (512, 3)),
  )
  for i, (channels, count) in enumerate(blocks, 1):
    for j in range(1, count + 1):
      x = _Layers.Conv2D(
        channels, 3, padding="same", activation="relu", name=f"conv{i}_{j}"
      )(x)
    x = _Layers.MaxPool2D()(x)
  return _vgg_end(inputs, x, [_Layers.GlobalAveragePooling2D()(x)])


def load(folder: pathlib.Path, config: Dict) -> Classifier:
  """The network of a finished run.

  Args:
    folder: the run's.
    config: its configuration.

  Raises:
    Error: if it is a run of something else.
  """
  from tsenh.base import arrays
  from tsenh.training import run_folders

  if config["kind"] != Classifier.KIND or config.get("network") not in NETWORKS:
    raise Error(f"{folder}: a run of {config['kind']}, not of expressions.")
  classifier = Classifier(config["network"])
  classifier.assign(arrays.read_all(folder / run_folders.WEIGHTS))
  return classifier
