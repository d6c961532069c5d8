"""The networks of the layered face codec (arXiv 2004.10043).

The base network makes a feature of an image, the generator an image of a
decoded feature, and the residual coder a small code of what the generated image
got wrong. Only the abstract of the paper was at hand, so every size here is
ours. Images are RGB in [0, 1] inside of the networks, uint8 outside.
"""

from typing import Any, Callable, Dict, List, NamedTuple, Tuple

import numpy as np
import tensorflow as tf

from tsenh.features import networks
from tsenh.features.costs import Cost
from tsenh.features.pro import check_codes

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
  """Names and shapes of the weights of `_network`, with nothing built."""
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


def _network(
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
    self.network = _network("network", layers["network"], shape, seed)
    self.sketch = _network("sketch", layers["sketch"], (feature_dim,), seed + 1)
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
    return _in_batches(
      lambda part: self._features(_flat(part) / _SCALE).numpy(), images
    )


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
    begin = _network("begin", layers["begin"], (feature_dim,), seed)
    shape = (small, small, 6 * width)
    grow = _network("grow", layers["grow"], shape, seed + 1)
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
      _in_batches(lambda part: self._images(part).numpy(), features)
    )


class ResidualCoder(ImageModel):
  """The learned enhancement layer: what the generated image got wrong.

  Its code is in integers, which the project's entropy coder takes as it takes a
  feature's; encoder and decoder both see the generated image.

  Attributes:
    size: pixels of an image's side.
    width: channels of the first layer.
    code_channels: of the code, which has an eighth of the image's side.
    clip: the code's elements are clipped to [-clip, clip].
    code_dim: elements of a code.
  """

  KIND, PART = "image-residual", "residual"
  ARCHITECTURE = ("size", "width", "code_channels", "clip")

  def __init__(
    self,
    size: int = 64,
    width: int = 48,
    code_channels: int = 12,
    clip: float = 20.0,
    seed: int = 0,
  ):
    """Builds the networks.

    Args:
      size: pixels of a side, a multiple of 16.
      width: channels of the first layer.
      code_channels: of the code.
      clip: as r_clip of the feature codec.
      seed: of the initial weights.
    """
    super().__init__(name="residual")
    self.size = size
    self.width = width
    self.code_channels = code_channels
    self.clip = clip
    small = size // 8
    self._code_shape = (small, small, code_channels)
    self.code_dim = small**2 * code_channels
    layers = self.layers(size, width, code_channels)
    shapes = {
      "encoder": (size, size, 2 * CHANNELS),
      "context": (size, size, CHANNELS),
      "decoder": (small, small, width + code_channels),
    }
    self.parts = tuple(
      _network(name, layers[name], shapes[name], seed + i)
      for i, name in enumerate(layers)
    )
    pixels = size**2 * CHANNELS
    self._encode = networks.inference(
      lambda x: self.latent(*self._images(x)), 2 * pixels
    )
    self._decode = networks.inference(
      lambda x: self.decode_latent(
        x[:, : self.code_dim], self._images(x[:, self.code_dim :])[0]
      ),
      self.code_dim + pixels,
    )

  @staticmethod
  def layers(size, width, code_channels, **_):
    """See `ImageModel`."""
    w, w2 = width, 2 * width
    return {
      "encoder": [
        Layer("conv", 2 * CHANNELS, w, 4, 4),
        Layer("gdn", w, w),
        Layer("conv", w, w2, 3, 2),
        Layer("gdn", w2, w2),
        Layer("conv", w2, code_channels, 3),
      ],
      "context": [
        Layer("leaky", CHANNELS, w, 4, 4),
        Layer("leaky", w, w, 3, 2),
      ],
      "decoder": [
        Layer("leaky", w + code_channels, w2, 3),
        Layer("residual", w2, w2, 3),
        Layer("up", w2, w, 4, 2),
        Layer("gdn", w, w),
        Layer("up", w, CHANNELS, 8, 4),
      ],
    }

  def _images(self, x):
    return tf.unstack(
      tf.reshape(x, [tf.shape(x)[0], -1, self.size, self.size, CHANNELS]),
      num=x.shape[1] // (self.size**2 * CHANNELS),
      axis=1,
    )

  def latent(self, images, generated):
    """The code before rounding, [n, code_dim], of two images in [0, 1]."""
    encoder = self.parts[0]
    both = tf.concat([images - generated, generated], -1)
    code = tf.reshape(encoder(2 * both), [-1, self.code_dim])
    return tf.clip_by_value(code, -self.clip, self.clip)

  def decode_latent(self, code, generated):
    """The sum, not yet clipped to [0, 1], of a code and the generated image."""
    _, context, decoder = self.parts
    code = tf.reshape(code, [-1, *self._code_shape])
    seen = tf.concat([code, context(2 * generated - 1)], -1)
    return generated + decoder(seen)

  def encode(self, images: np.ndarray, generated: np.ndarray) -> np.ndarray:
    """Integer codes, int32 [n, code_dim], of uint8 [n, size, size, 3]."""
    both = np.concatenate([_flat(images), _flat(generated)], 1)
    latent = _in_batches(lambda part: self._encode(part / _SCALE).numpy(), both)
    return np.rint(latent).astype(np.int32)

  def decode(self, codes: np.ndarray, generated: np.ndarray) -> np.ndarray:
    """The sums, uint8 [n, size, size, 3], of codes and generated images.

    Raises:
      Error: if a code's element is outside [-clip, clip], so not this coder's.
    """
    check_codes(codes, self.clip)
    rows = np.concatenate([codes, _flat(generated) / _SCALE], 1)
    return to_bytes(_in_batches(lambda part: self._decode(part).numpy(), rows))


def _flat(images: np.ndarray) -> np.ndarray:
  return images.reshape(len(images), -1).astype(np.float32)


def _in_batches(function: Callable, rows: np.ndarray) -> np.ndarray:
  """Applies a function to a few rows at a time and joins the results."""
  return np.concatenate(
    [function(rows[i : i + _BATCH]) for i in range(0, len(rows), _BATCH)]
  )
