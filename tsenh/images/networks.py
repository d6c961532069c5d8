"""The networks of the layered face codec (arXiv 2004.10043).

The base network makes a feature of an image, the generator an image of a
decoded feature; the learned layer behind them is in `residual`. Only the
abstract of the paper was at hand, so every size here is ours. Images are RGB in
[0, 1] inside of the networks, uint8 outside.
"""

from typing import Any, Callable, Dict, List, NamedTuple, Tuple

import numpy as np
import tensorflow as tf

from tsenh.features import networks
from tsenh.features.costs import Cost

CHANNELS = 3
# Paper-silent (image_slope): of the leaky rectifiers.
SLOPE = 0.2
_SCALE = 255.0
_BATCH = 256  # Images that a network sees at a time.


class Layer(NamedTuple):
  """One layer with what follows it.

  Attributes:
    kind: a key of `_BUILD`.
    before: channels, or dimensions, of what goes in.
    after: of what comes out.
    kernel: of a convolution, pixels of a side.
    stride: of a convolution.
  """

  kind: str
  before: int
  after: int
  kernel: int = 0
  stride: int = 1


def _leaky(x):
  return tf.nn.leaky_relu(x, SLOPE)


class Residual(tf.keras.layers.Conv2D):
  """x plus a rectified convolution of x."""

  def call(self, x):
    """Maps float32 [n, h, w, c] to the same shape."""
    return x + _leaky(super().call(x))


class GDN(networks.GDN):
  """GDN at each pixel of an image."""

  def call(self, x):
    """Maps float32 [n, h, w, c] to the same shape."""
    rows = super().call(tf.reshape(x, [-1, x.shape[-1]]))
    return tf.reshape(rows, tf.shape(x))


def _glorot(seed: int) -> Dict[str, Any]:
  return {"kernel_initializer": tf.keras.initializers.GlorotUniform(seed)}


def _conv(layer, name, seed, activation=None, kind=tf.keras.layers.Conv2D):
  return kind(
    layer.after,
    layer.kernel,
    layer.stride,
    padding="same",
    activation=activation,
    name=name,
    **_glorot(seed),
  )


def _dense(layer, name, seed, activation=None):
  return tf.keras.layers.Dense(
    layer.after, activation=activation, name=name, **_glorot(seed)
  )


_UP = tf.keras.layers.Conv2DTranspose
_BUILD = {
  "conv": _conv,
  "leaky": lambda *a: _conv(*a, activation=_leaky),
  "residual": lambda *a: _conv(*a, kind=Residual),
  "up": lambda *a: _conv(*a, kind=_UP),
  "dense": _dense,
  "leaky_dense": lambda *a: _dense(*a, activation=_leaky),
  "gdn": lambda layer, name, seed: GDN(name=name),
}


def _shapes(name: str, layers: List[Layer]) -> Dict[str, Tuple[int, ...]]:
  """Names and shapes of the weights of `sequential`, with nothing built."""
  found = {}
  for i, layer in enumerate(layers, 1):
    start = f"{name}/{layer.kind}{i}"
    if layer.kind == "gdn":
      found[f"{start}/reparam_beta"] = (layer.after,)
      found[f"{start}/reparam_gamma"] = (layer.after, layer.after)
      continue
    ends = (layer.before, layer.after)
    window = (layer.kernel, layer.kernel) if layer.kernel else ()
    found[f"{start}/kernel"] = (
      *window,
      *(ends[::-1] if layer.kind == "up" else ends),
    )
    found[f"{start}/bias"] = (layer.after,)
  return found


def sequential(
  name: str, layers: List[Layer], shape: Tuple[int, ...], seed: int
) -> tf.keras.Sequential:
  """Builds layers one after the other, for inputs [n, *shape]."""
  network, seeds = tf.keras.Sequential(name=name), networks.seeds(seed, 99)
  network.add(tf.keras.layers.InputLayer(shape))
  for i, (layer, own) in enumerate(zip(layers, seeds), 1):
    if layer.kind.endswith("dense") and len(network.output_shape) > 2:
      network.add(tf.keras.layers.Flatten())
    network.add(_BUILD[layer.kind](layer, f"{layer.kind}{i}", own))
  return network


class ImageModel(networks.StoredModel):
  """Networks of images that a run folder holds, in half precision.

  A subclass has the layers of each of its networks in `layers`.

  Attributes:
    PART: the folder of its run within a model's.
  """

  ROLE, PART = "network", ""

  @staticmethod
  def layers(**architecture) -> Dict[str, List[Layer]]:
    """The layers of each network of `parts`, by its name."""
    raise NotImplementedError

  @classmethod
  def shapes(cls, **architecture):
    """Names and shapes of `arrays`; see `StoredModel`."""
    found = {}
    for name, layers in cls.layers(**architecture).items():
      found.update(_shapes(name, layers))
    return found

  def arrays(self) -> Dict[str, np.ndarray]:
    """The variables' values, float16, by name."""
    return {k: v.astype(np.float16) for k, v in super().arrays().items()}

  def cost(self) -> Cost:
    """Parameters, and multiply-adds for one image."""
    layers = [layer for network in self.parts for layer in network.layers]
    return Cost(
      sum(network.count_params() for network in self.parts),
      sum(map(_multiply_adds, layers)),
    )


def _multiply_adds(layer: tf.keras.layers.Layer) -> int:
  """Of one layer: the size of its kernel at each place where it is put."""
  if isinstance(layer, networks.GDN):
    kernel = layer.output_shape[-1] ** 2
  elif not layer.weights:
    return 0
  else:
    kernel = int(np.prod(layer.kernel.shape))
  places = layer.input_shape if isinstance(layer, _UP) else layer.output_shape
  return kernel * int(np.prod(places[1:-1]))


def to_unit(images) -> tf.Tensor:
  """Images uint8 to float32 in [0, 1]."""
  return tf.cast(images, tf.float32) / _SCALE


def to_bytes(images: np.ndarray) -> np.ndarray:
  """Images float in [0, 1] to uint8, halves to even."""
  return np.rint(np.clip(images, 0, 1) * _SCALE).astype(np.uint8)


class Base(ImageModel):
  """The base network: an image to a feature, trained for two tasks.

  Attributes:
    size: pixels of an image's side.
    feature_dim: dimensions of a feature.
    width: channels of the first layer.
    network: [n, size, size, 3] -> [n, feature_dim].
    sketch: of the second task: a feature to a small image, flat.
  """

  KIND, PART = "image-base", "base"
  ARCHITECTURE = ("size", "feature_dim", "width")
  # Paper-silent (base_task): how the base network reconstructs. Here two dense
  # layers draw the face at 16x16 from its feature, which costs next to nothing.
  SKETCH_SIZE = 16

  def __init__(
    self, size: int = 64, feature_dim: int = 128, width: int = 48, seed: int = 0
  ):
    """Builds the network.

    Args:
      size: pixels of a side, a multiple of 16.
      feature_dim: dimensions of a feature.
      width: channels of the first layer.
      seed: of the initial weights.
    """
    super().__init__(name="base")
    self.size = size
    self.feature_dim = feature_dim
    self.width = width
    layers = self.layers(size, feature_dim, width)
    shape = (size, size, CHANNELS)
    self.network = sequential("network", layers["network"], shape, seed)
    self.sketch = sequential(
      "sketch", layers["sketch"], (feature_dim,), seed + 1
    )
    self.parts = (self.network, self.sketch)
    self._features = networks.inference(
      lambda x: self(tf.reshape(x, [-1, *shape])), size**2 * CHANNELS
    )

  @staticmethod
  def layers(size, feature_dim, width, **_):
    """See `ImageModel`."""
    w, w2, w4 = width, 2 * width, 4 * width
    pixels = Base.SKETCH_SIZE**2 * CHANNELS
    return {
      "network": [
        Layer("leaky", CHANNELS, w, 4, 4),
        Layer("residual", w, w, 3),
        Layer("leaky", w, w2, 3, 2),
        Layer("residual", w2, w2, 3),
        Layer("residual", w2, w2, 3),
        Layer("leaky", w2, w4, 3, 2),
        Layer("dense", w4 * (size // 16) ** 2, feature_dim),
      ],
      "sketch": [
        Layer("leaky_dense", feature_dim, 256),
        Layer("dense", 256, pixels),
      ],
    }

  def call(self, x):
    """Features of unit length, [n, feature_dim], of images in [0, 1]."""
    return tf.math.l2_normalize(self.network(2 * x - 1), 1, epsilon=1e-12)

  def features(self, images: np.ndarray) -> np.ndarray:
    """Features of faces.

    Args:
      images: uint8 [n, size, size, 3], RGB.

    Returns:
      float32 [n, feature_dim], of unit length.
    """
    return in_batches(lambda part: self._features(flat(part)).numpy(), images)


class Generator(ImageModel):
  """The generator: a decoded feature to an image, by transposed convolutions.

  Attributes:
    size: pixels of an image's side.
    feature_dim: dimensions of a feature.
    width: channels before the last layer.
    network: [n, feature_dim] -> [n, size, size, 3].
  """

  KIND, PART = "image-generator", "generator"
  ARCHITECTURE = ("size", "feature_dim", "width")

  def __init__(
    self, size: int = 64, feature_dim: int = 128, width: int = 32, seed: int = 0
  ):
    """Builds the network.

    Args:
      size: pixels of a side, a multiple of 16.
      feature_dim: dimensions of a feature.
      width: channels before the last layer.
      seed: of the initial weights.
    """
    super().__init__(name="generator")
    self.size = size
    self.feature_dim = feature_dim
    self.width = width
    layers = self.layers(size, feature_dim, width)
    small = size // 16
    begin = sequential("begin", layers["begin"], (feature_dim,), seed)
    shape = (small, small, 6 * width)
    grow = sequential("grow", layers["grow"], shape, seed + 1)
    self.parts = (begin, grow)
    self._images = networks.inference(self.call, feature_dim)

  @staticmethod
  def layers(size, feature_dim, width, **_):
    """See `ImageModel`."""
    w = width
    return {
      "begin": [Layer("leaky_dense", feature_dim, 6 * w * (size // 16) ** 2)],
      "grow": [
        Layer("up", 6 * w, 4 * w, 4, 2),
        Layer("gdn", 4 * w, 4 * w),
        Layer("residual", 4 * w, 4 * w, 3),
        Layer("up", 4 * w, 2 * w, 4, 2),
        Layer("gdn", 2 * w, 2 * w),
        Layer("residual", 2 * w, 2 * w, 3),
        Layer("up", 2 * w, w, 4, 2),
        Layer("gdn", w, w),
        Layer("up", w, CHANNELS, 4, 2),
      ],
    }

  def call(self, features):
    """Images in [0, 1], [n, size, size, 3], of decoded features."""
    begin, grow = self.parts
    # Decoded features are shorter than one; their direction is what they say.
    unit = tf.math.l2_normalize(features, 1, epsilon=1e-12)
    small = self.size // 16
    scaled = unit * self.feature_dim**0.5
    first = tf.reshape(begin(scaled), [-1, small, small, 6 * self.width])
    return tf.sigmoid(grow(first))

  def images(self, features: np.ndarray) -> np.ndarray:
    """Generated faces, uint8 [n, size, size, 3], of float32 [n, dim]."""
    return to_bytes(
      in_batches(lambda part: self._images(part).numpy(), features)
    )


def flat(images: np.ndarray) -> np.ndarray:
  """Images uint8 [n, ...] as float32 rows in [0, 1]."""
  return images.reshape(len(images), -1).astype(np.float32) / _SCALE


def in_batches(function: Callable, rows: np.ndarray) -> np.ndarray:
  """Applies a function to a few rows at a time and joins the results."""
  return np.concatenate(
    [function(rows[i : i + _BATCH]) for i in range(0, len(rows), _BATCH)]
  )
