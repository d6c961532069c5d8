"""A tiny network for faces of 16 or 32 pixels, and what a teacher tells it.

Selective knowledge distillation (TIP 2019, arXiv 1811.09998): a large network
that sees a sharp face teaches a small one that sees it shrunk. The small one
learns two tasks at once, to give the teacher's features of the selected faces
(regression), and to tell the people of the training set apart
(classification). Of the paper its abstract alone was at hand: the layers, both
losses' forms and their weights are ours.
"""

import hashlib
from typing import Dict, Iterable, Optional, Tuple

import numpy as np
import tensorflow as tf

from tsenh.features import networks

# Pixels of 0 to 255 become (x - 127.5) / 127.5, as ArcFace has them.
CENTRE = 127.5
# Ours: the largest changes of brightness and contrast.
BRIGHTNESS, CONTRAST = 0.1, 0.2
CLEAN = 0.8  # Ours: how often the face that is shrunk by area alone is shown.
NOISE_DIM = 4  # Variant, mirror, brightness, contrast.
_CALIBRATION = 512


def build(
  size: int, widths: str, feature_dim: int, seed: int
) -> tf.keras.Model:
  """Builds a small residual network, ours.

  Convolutions, each of which after the first halves the side (of 32 pixels the
  first does too, and sees five pixels a side); residual blocks, of which the
  last halves it again; then, as MobileFaceNet has it, a convolution of one
  pixel, a depthwise convolution over all that is left, and a dense layer. Most
  of the work is done at 8 pixels a side, where an update takes half the time
  that it takes at 16, and learns as much.

  Args:
    size: pixels of a side, 16 or 32.
    widths: channels of the convolutions, of the blocks and of the convolution
      of one pixel, "16,48/48,52/128".
    feature_dim: of the feature.
    seed: of the initial weights.

  Returns:
    From float32 [n, size, size, 3] to float32 [n, feature_dim], not of unit
    length.
  """
  layers = tf.keras.layers
  stem, blocks, (last,) = (
    [int(width) for width in part.split(",")] for part in widths.split("/")
  )
  seeds = networks.seeds(seed, len(stem) + 3 * len(blocks) + 3)

  def he():
    return tf.keras.initializers.HeNormal(next(seeds))

  def conv(x, width, name, stride=1, kernel=3):
    x = layers.Conv2D(
      width,
      kernel,
      stride,
      padding="same",
      use_bias=False,
      kernel_initializer=he(),
      name=name,
    )(x)
    return layers.BatchNormalization(name=f"{name}_norm")(x)

  x = faces = layers.Input([size, size, 3], name="faces")
  for i, width in enumerate(stem, 1):
    stride = 2 if i > 1 or size == 32 else 1
    kernel = 5 if i == 1 and size == 32 else 3
    x = layers.ReLU()(conv(x, width, f"stem{i}", stride, kernel))
  for i, width in enumerate(blocks, 1):
    stride = 2 if i == len(blocks) else 1
    y = layers.ReLU()(conv(x, width, f"block{i}_a", stride))
    y = conv(y, width, f"block{i}_b")
    if stride > 1 or x.shape[-1] != width:
      x = conv(x, width, f"block{i}_short", stride, kernel=1)
    x = layers.ReLU()(layers.Add()([x, y]))
  x = layers.ReLU()(conv(x, last, "last", kernel=1))
  x = layers.DepthwiseConv2D(
    x.shape[1], use_bias=False, depthwise_initializer=he(), name="whole"
  )(x)
  # Before it is flat, so that it becomes part of the depthwise convolution:
  # in the dense layer's weights its scales would cost 8-bit integers a bit.
  x = layers.BatchNormalization(name="whole_norm")(x)
  x = layers.Flatten()(x)
  x = layers.Dense(feature_dim, kernel_initializer=he(), name="feature")(x)
  return tf.keras.Model(faces, x, name="student")


class Student:
  """A student: `build`, with what a run folder needs to know of it.

  Attributes:
    size: pixels of a side.
    widths: see `build`.
    feature_dim: of the teacher's features.
    network: the Keras model.
  """

  KIND = "student"
  ROLE = "student"

  def __init__(self, size: int, widths: str, feature_dim: int, seed: int = 0):
    """Builds a student; see `build`."""
    self.size = size
    self.widths = widths
    self.feature_dim = feature_dim
    self.network = build(size, widths, feature_dim, seed)
    self._infer = tf.function(
      lambda x: self.network(x, training=False),
      input_signature=[tf.TensorSpec([None, size, size, 3])],
    )

  def architecture(self) -> Dict[str, object]:
    """Arguments that build it again, as config.json has them."""
    return {
      "size": self.size,
      "widths": self.widths,
      "feature_dim": self.feature_dim,
    }

  def named_variables(self) -> Dict[str, tf.Variable]:
    """Variables that are trained, by name: `stem/kernel` and so on."""
    return _named(self.network.trainable_variables)

  def statistics(self) -> Dict[str, tf.Variable]:
    """Means and variances of batch normalisation, by name."""
    return _named(self.network.non_trainable_variables)

  def arrays(self) -> Dict[str, np.ndarray]:
    """The values of all variables, float32, by name."""
    variables = {**self.named_variables(), **self.statistics()}
    return {name: variable.numpy() for name, variable in variables.items()}

  def assign(self, arrays: Dict[str, np.ndarray]) -> None:
    """Takes what `arrays` once gave."""
    for name, variable in {
      **self.named_variables(),
      **self.statistics(),
    }.items():
      variable.assign(arrays[name])

  def digest(self) -> str:
    """SHA-256 of the weights, in hexadecimal."""
    sha = hashlib.sha256(str(self.architecture()).encode())
    for name, array in self.arrays().items():
      sha.update(name.encode())
      sha.update(np.ascontiguousarray(array, "<f4"))
    return sha.hexdigest()

  def features(self, faces: np.ndarray) -> np.ndarray:
    """Features of faces, of unit length.

    Args:
      faces: uint8 [n, size, size, 3], RGB.

    Returns:
      float32 [n, feature_dim].
    """
    found = [
      self._infer(normalised(faces[start : start + 512])).numpy()
      for start in range(0, len(faces), 512)
    ]
    features = np.concatenate(found)
    return features / np.linalg.norm(features, axis=1, keepdims=True)

  def parameters(self) -> int:
    """How many numbers it keeps once batch normalisation is folded away."""
    count = self.network.count_params()
    norms = [
      layer
      for layer in self.network.layers
      if isinstance(layer, tf.keras.layers.BatchNormalization)
    ]
    # Four numbers a channel become the one bias of the layer before.
    return count - sum(3 * layer.gamma.shape[0] for layer in norms)

  def multiply_adds(self) -> int:
    """Of one face."""
    total = 0
    for layer in self.network.layers:
      if isinstance(layer, tf.keras.layers.DepthwiseConv2D):
        total += int(np.prod(layer.depthwise_kernel.shape))
      elif isinstance(layer, tf.keras.layers.Conv2D):
        _, height, width, _ = layer.output_shape
        total += height * width * int(np.prod(layer.kernel.shape))
      elif isinstance(layer, tf.keras.layers.Dense):
        total += int(np.prod(layer.kernel.shape))
    return total


def _named(variables: Iterable[tf.Variable]) -> Dict[str, tf.Variable]:
  return {variable.name.split(":")[0]: variable for variable in variables}


def normalised(faces: np.ndarray) -> np.ndarray:
  """Pixels as the network takes them: float32, of uint8."""
  return (np.asarray(faces, np.float32) - CENTRE) / CENTRE


def training_view(variants, noise):
  """One variant of each face, perhaps mirrored, brighter or of more contrast.

  The first variant is shown as often as `CLEAN` says, the others equally often.

  Args:
    variants: uint8 [batch, count, size, size, 3], the face shrunk in several
      ways.
    noise: float32 [batch, 4], uniform in [-0.5, 0.5).

  Returns:
    float32 [batch, size, size, 3], as the network takes it.
  """
  count = variants.shape[1]
  place = (noise[:, 0] + 0.5 - CLEAN) / (1 - CLEAN)  # Negative: clean.
  number = tf.cast(tf.floor(place * (count - 1)), tf.int32) + 1
  number = tf.clip_by_value(number, 0, count - 1)
  # Not a gather, which XLA makes slow: all but one are multiplied by nothing.
  chosen = tf.one_hot(number, count)[..., None, None, None]
  faces = tf.reduce_sum(tf.cast(variants, tf.float32) * chosen, axis=1)
  faces = (faces - CENTRE) / CENTRE
  mirror, brightness, contrast = (
    noise[:, i, None, None, None] for i in range(1, NOISE_DIM)
  )
  faces = tf.where(mirror < 0, tf.reverse(faces, [2]), faces)
  faces = faces * (1 + 2 * CONTRAST * contrast) + 2 * BRIGHTNESS * brightness
  return tf.clip_by_value(faces, -1.0, 1.0)


def regression_loss(f_student, f_teacher, selected):
  """One minus the cosine to the teacher's feature of the sharp face.

  Args:
    f_student: float32 [batch, dim].
    f_teacher: float32 [batch, dim].
    selected: float32 [batch], 1 where the teacher's feature is given, else 0.

  Returns:
    A float32 scalar, the mean over the selected faces; 0 if there are none.
  """
  student, teacher = (
    tf.math.l2_normalize(f, axis=1, epsilon=1e-12)
    for f in (f_student, f_teacher)
  )
  distances = 1 - tf.reduce_sum(student * teacher, axis=1)
  total = tf.reduce_sum(distances * selected)
  return total / tf.maximum(tf.reduce_sum(selected), 1.0)


def for_8_bits(student: Student, faces: np.ndarray) -> Student:
  """Nearly the same function, of which 8-bit integers keep nearly all.

  Both steps are of Nagel et al., arXiv 1906.04721, and mend `whole`, where
  rounding costs most. *Equalisation*: what the rectifier before it is given is
  scaled channel by channel, and the kernel scaled back, for long training makes
  some channels much louder than others. *Bias correction*: the kernel
  is rounded as it will be, and what that moves its mean output by is taken off.

  Args:
    student: trained.
    faces: uint8 [n, size, size, 3], which show how loud a channel becomes.
  """
  before = student.network.get_layer("whole").input
  probe = tf.keras.Model(student.network.input, before)
  seen = probe.predict(normalised(faces), verbose=0)
  loudest = seen.max(axis=(0, 1, 2))
  loudest = np.where(loudest > 0, loudest, np.float32(1))
  arrays = student.arrays()
  for name in ("gamma", "beta"):
    arrays[f"last_norm/{name}"] /= loudest
  kernel = arrays["whole/depthwise_kernel"][..., 0] * loudest
  step = np.abs(kernel).max(axis=(0, 1)) / 127
  rounded = step * np.rint(kernel / np.where(step > 0, step, 1))
  moved = (rounded - kernel) * (seen / loudest).mean(axis=0)
  arrays["whole/depthwise_kernel"] = rounded[..., None]
  arrays["whole_norm/moving_mean"] += moved.sum(axis=(0, 1))
  found = Student(**student.architecture())
  found.assign(arrays)
  return found


def to_tflite(student: Student, faces: Optional[np.ndarray] = None) -> bytes:
  """A student as a TensorFlow Lite program for one face at a time.

  Args:
    student: trained.
    faces: uint8 [n, size, size, 3] of training, from which the ranges of int8
      are taken: weights, activations, input and output are 8-bit integers then,
      of the student `for_8_bits`. None leaves all in float32.

  Returns:
    The bytes of the file.
  """
  if faces is not None:
    faces = faces[:_CALIBRATION]
    student = for_8_bits(student, faces)
  shape = [1, student.size, student.size, 3]
  run = tf.function(
    lambda faces: student.network(faces, training=False),
    input_signature=[tf.TensorSpec(shape, name="faces")],
  )
  converter = tf.lite.TFLiteConverter.from_concrete_functions(
    [run.get_concrete_function()], student.network
  )
  if faces is not None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    examples = normalised(faces)
    converter.representative_dataset = lambda: ([e[None]] for e in examples)
  return converter.convert()


def weight_bytes(tflite: bytes) -> Tuple[int, int]:
  """How many parameters a program keeps, and in how many bytes.

  Args:
    tflite: the file.

  Returns:
    Numbers, and their bytes, of all constant tensors with two dimensions or
    more, and of biases.
  """
  interpreter = tf.lite.Interpreter(model_content=tflite)
  numbers = size = 0
  operators = interpreter._get_ops_details()
  details = {d["index"]: d for d in interpreter.get_tensor_details()}
  made = {int(i) for op in operators for i in op["outputs"]}
  made |= {d["index"] for d in interpreter.get_input_details()}
  used = {int(i) for op in operators for i in op["inputs"]} - made - {-1}
  for index in used:
    shape, dtype = details[index]["shape"], np.dtype(details[index]["dtype"])
    numbers += int(np.prod(shape))
    size += int(np.prod(shape)) * dtype.itemsize
  return numbers, size
