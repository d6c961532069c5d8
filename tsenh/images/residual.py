"""The learned enhancement layer: a transform, a hyperprior, and a decoder.

The transform of an image begins as its principal components, first of patches,
then of all of them together, and is trained on from there. Its code is rounded
with a step that the user's quality sets, so one network has all rates. Means
and scales of the code's distribution come from a few numbers that are sent
before it (the hyperprior) and from the base layer's code, which the reader has
already. What decodes the code sees the face drawn so far beside it.
"""

from typing import Tuple

import numpy as np
import tensorflow as tf

from tsenh.base.errors import Error
from tsenh.features import networks
from tsenh.images.networks import (
  CHANNELS,
  SLOPE,
  ImageModel,
  Layer,
  flat,
  in_batches,
  sequential,
  to_bytes,
)

PATCH = 8  # Pixels of a side.
# Quality at which a code is rounded to integers, and qualities that halve the
# step.
_MIDDLE, _HALVING = 50, 25
# Paper-silent (image_code): the whole transform; see above. This is its code's
# unit, as of the sums of squares of pixels in [0, 1].
_UNIT = 200 / 255
# The numbers that the prior sees are _MOST at most, its hidden ones are
# integers up to _MOST_HIDDEN, and its weights, of half precision, are below
# _MOST_WEIGHT: every sum is then exact in double precision, whatever its order.
_MOST, _MOST_HIDDEN, _MOST_WEIGHT = 127, 2048, 1024
_HIDDEN = 128
_HIDDEN_SCALE = 16


def step(quality):
  """What a code is divided by before it is rounded, of a quality 0 to 100."""
  return 2.0 ** ((_MIDDLE - quality) / _HALVING)


class ResidualCoder(ImageModel):
  """The learned enhancement layer: the image, to who has the one drawn so far.

  Attributes:
    size: pixels of an image's side.
    low_dim: elements of the base layer's code.
    width: channels of the layers that see the face drawn so far.
    code_channels: principal components of a patch.
    code_dim: elements of a code.
    SIDE_DIM: numbers that are sent before a code.
    ALONE: whether it sees neither the base layer nor what is drawn.
  """

  KIND, PART = "image-residual", "residual"
  ARCHITECTURE = ("size", "low_dim", "width", "code_channels", "code_dim")
  SIDE_DIM = 8
  ALONE = False

  def __init__(
    self,
    size: int = 64,
    low_dim: int = 128,
    width: int = 48,
    code_channels: int = 48,
    code_dim: int = 768,
    seed: int = 0,
  ):
    """Builds the networks.

    Args:
      size: pixels of a side, a multiple of 16.
      low_dim: elements of the base layer's code.
      width: of the layers that see the face drawn so far.
      code_channels: 1 to 192.
      code_dim: at most as many as the patches have channels together.
      seed: of the initial weights.
    """
    super().__init__(name="residual")
    self.size = size
    self.low_dim = low_dim
    self.width = width
    self.code_channels = code_channels
    self.code_dim = code_dim
    self._patches = (size // PATCH, size // PATCH, code_channels)
    layers = self.layers(**self.architecture())
    shapes = {
      "encoder": (size, size, CHANNELS),
      "side": (code_dim,),
      "prior": (self.SIDE_DIM + low_dim,),
      "spread": (code_dim,),
      "patches": self._patches,
      "refine": (size, size, 2 * CHANNELS + 1),
    }
    self.parts = tuple(
      sequential(name, layers[name], shapes[name], seed + i)
      for i, name in enumerate(layers)
    )
    pixels = size**2 * CHANNELS
    self._encode = networks.inference(
      lambda x: self._latent_and_side(tf.reshape(x, [-1, *shapes["encoder"]])),
      pixels,
    )
    self._decode = networks.inference(
      lambda x: self.draw(
        x[:, 1 : 1 + code_dim],
        tf.reshape(x[:, 1 + code_dim :], [-1, *shapes["encoder"]]),
        x[:, :1],
      ),
      1 + code_dim + pixels,
    )

  @classmethod
  def layers(cls, size, low_dim, width, code_channels, code_dim):
    """See `ImageModel`."""
    w, kept = width, code_channels * (size // PATCH) ** 2
    return {
      "encoder": [
        Layer("conv", CHANNELS, code_channels, PATCH, PATCH),
        Layer("dense", kept, code_dim),
      ],
      "side": [
        Layer("leaky_dense", code_dim, 64),
        Layer("dense", 64, cls.SIDE_DIM),
      ],
      "prior": [
        Layer("leaky_dense", cls.SIDE_DIM + low_dim, _HIDDEN),
        Layer("dense", _HIDDEN, 2 * code_dim),
      ],
      "spread": [Layer("dense", code_dim, kept)],
      "patches": [Layer("up", code_channels, CHANNELS, PATCH, PATCH)],
      "refine": [
        Layer("leaky", 2 * CHANNELS + 1, w, 4, 4),
        Layer("residual", w, w, 3),
        Layer("residual", w, w, 3),
        Layer("up", w, CHANNELS, 4, 4),
      ],
    }

  def begin(self, images: np.ndarray) -> None:
    """Makes encoder and decoder principal components and nothing else.

    Args:
      images: uint8 [n, size, size, 3], training faces.

    Raises:
      Error: if these are too few to have so many.
    """
    n, side = len(images), self.size // PATCH
    most = min(n, int(np.prod(self._patches)))
    if most < self.code_dim:
      raise Error(
        f"{n} faces of {self.size}x{self.size} pixels have {most} principal"
        f" components here, fewer than {self.code_dim}; take a smaller"
        " --code_dim."
      )
    parted = images.reshape(n, side, PATCH, side, PATCH, CHANNELS)
    patches = parted.swapaxes(2, 3).reshape(n * side**2, -1)
    patches = patches / np.float32(255) - np.float32(0.5)
    # Around grey, not around their mean, which the layers' biases cannot hold.
    first = _components(patches, self.code_channels)
    rows = (patches @ first).reshape(n, -1)
    mean = rows.mean(0)
    second = _components(rows - mean, self.code_dim)
    window = first.reshape(PATCH, PATCH, CHANNELS, -1)
    encoder, _, _, spread, grow, refine = self.parts
    dense, last = encoder.layers[-1], refine.layers[-1]
    # Images come in [-1, 1], twice of what the components are of.
    encoder.layers[0].set_weights([window / 2, np.zeros(window.shape[-1])])
    dense.set_weights([second / _UNIT, -mean @ second / _UNIT])
    spread.layers[-1].set_weights([_UNIT * second.T, mean])
    grow.layers[-1].set_weights([window, np.full(CHANNELS, 0.5)])
    last.set_weights([np.zeros_like(weight) for weight in last.get_weights()])

  def latent(self, images):
    """Codes before rounding, [n, code_dim], of images in [0, 1]."""
    return self.parts[0](2 * images - 1)

  def side(self, latent):
    """What is sent before a code, not yet rounded: [n, SIDE_DIM]."""
    found = self.parts[1](tf.math.log1p(tf.abs(latent)))
    return tf.clip_by_value(found, -_MOST, _MOST)

  def _latent_and_side(self, images):
    latent = self.latent(images)
    return tf.concat([latent, self.side(latent)], 1)

  def conditions(self, side, base):
    """Means and log2 of scales, [n, code_dim] each, as training has them.

    Args:
      side: float32 [n, SIDE_DIM].
      base: float32 [n, low_dim], codes of the base layer.
    """
    base = tf.clip_by_value(base, -_MOST, _MOST) * (not self.ALONE)
    found = self.parts[2](tf.concat([side, base], 1))
    return tf.split(found, 2, 1)

  def exact_conditions(
    self, side: np.ndarray, base: np.ndarray
  ) -> Tuple[np.ndarray, np.ndarray]:
    """The same of integers, with the same bits on every machine.

    Weights have half precision, so that all products are whole multiples of
    2^-24, and sums that double precision holds as they are.

    Args:
      side: int32 [n, SIDE_DIM].
      base: int32 [n, low_dim].

    Returns:
      Means and log2 of scales, float64 [n, code_dim].

    Raises:
      Error: if a weight is too large for that.
    """
    arrays = [
      weight.numpy().astype(np.float16).astype(np.float64)
      for weight in self.parts[2].weights
    ]
    if max(np.abs(array).max() for array in arrays) >= _MOST_WEIGHT:
      raise Error(
        "the prior of the learned layer has a weight of 1024 or more."
      )
    kernel, bias, last_kernel, last_bias = arrays
    numbers = np.concatenate([side, base * (not self.ALONE)], 1)
    sums = np.clip(numbers, -_MOST, _MOST).astype(np.float64) @ kernel + bias
    hidden = _HIDDEN_SCALE * np.where(sums < 0, SLOPE * sums, sums)
    hidden = np.clip(np.rint(hidden), -_MOST_HIDDEN, _MOST_HIDDEN)
    found = hidden @ last_kernel / _HIDDEN_SCALE + last_bias
    return found[:, : self.code_dim], found[:, self.code_dim :]

  def draw(self, code, drawn, quality):
    """The image, not yet clipped to [0, 1].

    Args:
      code: float32 [n, code_dim], rounded.
      drawn: float32 [n, size, size, 3], the face as drawn so far, in [0, 1].
      quality: float32 [n, 1], of the code.
    """
    spread, grow, refine = self.parts[3:]
    image = grow(tf.reshape(spread(code), [-1, *self._patches]))
    level = (quality / _MIDDLE - 1)[..., None, None]
    level = tf.ones_like(image[..., :1]) * level
    shown = (2 * drawn - 1) * (not self.ALONE)
    return image + refine(tf.concat([2 * image - 1, shown, level], 3))

  def encode(
    self, images: np.ndarray, base: np.ndarray, quality: int
  ) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes of images.

    Args:
      images: uint8 [n, size, size, 3].
      base: int32 [n, low_dim], codes of the base layer.
      quality: 0 to 100.

    Returns:
      What is sent before, int32 [n, SIDE_DIM]; the codes, int32 [n, code_dim];
      and log2 of the codes' scales, float64 [n, code_dim].
    """
    found = in_batches(lambda part: self._encode(flat(part)).numpy(), images)
    side = np.rint(found[:, self.code_dim :]).astype(np.int32)
    means, octaves = self.exact_conditions(side, base)
    codes = np.rint((found[:, : self.code_dim] - means) / step(quality))
    return side, codes.astype(np.int32), self._of_codes(octaves, quality)

  def octaves(
    self, side: np.ndarray, base: np.ndarray, quality: int
  ) -> np.ndarray:
    """Log2 of the scales of the codes behind `side`, as `encode` has them."""
    return self._of_codes(self.exact_conditions(side, base)[1], quality)

  def _of_codes(self, octaves: np.ndarray, quality: int) -> np.ndarray:
    return octaves - (_MIDDLE - quality) / _HALVING

  def decode(
    self,
    side: np.ndarray,
    codes: np.ndarray,
    base: np.ndarray,
    quality: int,
    drawn: np.ndarray,
  ) -> np.ndarray:
    """Images uint8 [n, size, size, 3]; arguments as `encode` and `draw`."""
    means, _ = self.exact_conditions(side, base)
    latent = (means + step(quality) * codes).astype(np.float32)

    def draw(rows):
      levels = np.full([len(rows), 1], quality, np.float32)
      parts = [levels, latent[rows], flat(drawn[rows])]
      return self._decode(np.concatenate(parts, 1)).numpy()

    return to_bytes(in_batches(draw, np.arange(len(codes))))


class AloneCoder(ResidualCoder):
  """An image codec of its own, to compare with: it knows of no base layer."""

  KIND = "image-alone"
  ALONE = True


def _components(rows: np.ndarray, count: int) -> np.ndarray:
  """The first principal directions of rows around zero, [dim, count]."""
  _, vectors = np.linalg.eigh(rows.T @ rows)
  return vectors[:, ::-1][:, :count]
