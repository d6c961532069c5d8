"""PRO, the learned codec: Enc and Dec (Eq. 1, 2, 4) and its loss (Eq. 5)."""

from typing import Tuple

import numpy as np
import tensorflow as tf

from tsenh.base.errors import Error
from tsenh.data import streams
from tsenh.features import networks
from tsenh.features.costs import Costs

# How the squared error of Eq. (5) is reduced over the feature's dimensions.
DISTORTIONS = {"mean": tf.reduce_mean, "sum": tf.reduce_sum}


class Codec(networks.StoredModel):
  """One codec of Sec. 3.1: two fully-connected layers each way, and GDN.

  Attributes:
    feature_dim: dimensions of a feature.
    code_dim: dimensions of its latent code `c`.
    clip: r_clip; the code's elements are clipped to [-clip, clip].
    encoder: Enc, a Keras model [n, feature_dim] -> [n, code_dim].
    decoder: Dec, a Keras model [n, code_dim] -> [n, feature_dim].
  """

  KIND, ROLE = "pro", "codec"
  ARCHITECTURE = (
    "feature_dim",
    "code_dim",
    "hidden_dim",
    "clip",
    "gdn",
    "gdn_layers",
  )

  def __init__(
    self,
    feature_dim: int,
    code_dim: int = 128,
    hidden_dim: int = 128,
    clip: float = 20.0,
    gdn: str = "classic",
    gdn_layers: int = 1,
    seed: int = 0,
  ):
    """Builds the codec with Glorot-initialised weights.

    Args:
      feature_dim: dimensions of a feature.
      code_dim: dimensions of the latent code. Paper-silent (code_dim): 64 or
        128.
      hidden_dim: width of both hidden layers. Paper-silent (hidden_dim).
      clip: r_clip.
      gdn: a key of `networks.GDN_FORMS`.
      gdn_layers: 1, GDN between the layers, or 2, GDN behind the encoder's
        second layer as well and IGDN before the decoder's first. Paper-silent
        (gdn_layers).
      seed: of the initial weights; the same seed gives the same weights.
    """
    super().__init__(name="codec")
    self.feature_dim = feature_dim
    self.code_dim = code_dim
    self.hidden_dim = hidden_dim
    self.clip = clip
    self.gdn = gdn
    self.gdn_layers = gdn_layers
    seeds = networks.seeds(seed, 4)
    self.encoder, self.decoder = (
      networks.dense_layers(**plan, gdn=gdn, layer_seeds=seeds)
      for plan in self.plans(feature_dim, code_dim, hidden_dim, gdn_layers)
    )
    self.parts = (self.encoder, self.decoder)
    self._latent = networks.inference(
      lambda f: self._clip(self.encoder(f)), feature_dim
    )
    self._decode = networks.inference(self.decoder.call, code_dim)

  @staticmethod
  def plans(feature_dim, code_dim, hidden_dim, gdn_layers, **_):
    """Enc and Dec; see `StoredModel`."""
    dims = [feature_dim, hidden_dim, code_dim]
    return [
      {
        "name": name,
        "dims": dims[::-1] if inverse else dims,
        "inverse": inverse,
        "gdn_layers": gdn_layers,
      }
      for name, inverse in (("encoder", False), ("decoder", True))
    ]

  def _clip(self, c):
    return tf.clip_by_value(c, -self.clip, self.clip)

  def call(self, f_raw, noise, noise_first=False):
    """The codec in training: noise in [-0.5, 0.5) stands in for rounding.

    Args:
      f_raw: float32 [n, feature_dim].
      noise: float32 [n, code_dim].
      noise_first: adds the noise before the clip instead of after it.
        Paper-silent (noise).

    Returns:
      f_rec, float32 [n, feature_dim], and the clipped code before the noise,
      float32 [n, code_dim].
    """
    c = self.encoder(f_raw)
    noisy = self._clip(c + noise) if noise_first else self._clip(c) + noise
    return self.decoder(noisy), self._clip(c)

  def latent(self, f_raw: np.ndarray) -> np.ndarray:
    """Eq. (1): c = Enc(f_raw), clipped to r_clip, before it is rounded.

    Args:
      f_raw: float32 [n, feature_dim].

    Returns:
      float32 [n, code_dim].
    """
    return self._latent(f_raw).numpy()

  def quantize(self, latent: np.ndarray) -> np.ndarray:
    """The nearest integers, halves to even: int32 [n, code_dim]."""
    return np.rint(latent).astype(np.int32)

  def encode(self, features: np.ndarray) -> np.ndarray:
    """Integer codes, int32 [n, code_dim], of float32 [n, feature_dim].

    An element may differ by one where it is encoded in another batch or on
    another machine: the network's sums round differently, and a value near
    one half tips over.

    Raises:
      Error: if an element is not finite, which damaged weights bring about.
    """
    latent = self.latent(features)
    if not np.isfinite(latent).all():
      raise Error("a code is not finite; the codec's weights are damaged.")
    return self.quantize(latent)

  def training_codes(self, f_raw: np.ndarray, rounded: bool) -> np.ndarray:
    """What a frozen codec says of a training set, with bounded memory.

    Args:
      f_raw: float32 [n, feature_dim], n of any size; may be on disk.
      rounded: whether the latent values are rounded.

    Returns:
      float32 [n, code_dim]; on disk if `f_raw` is.
    """

    def codes(features):
      latent = self.latent(features)
      return self.quantize(latent).astype(np.float32) if rounded else latent

    return streams.in_chunks(codes, f_raw)

  def decode(self, codes: np.ndarray) -> np.ndarray:
    """Eq. (2): decoded features, float32 [n, feature_dim], of integer codes.

    Raises:
      Error: if a code's element is outside [-clip, clip], so not this codec's.
    """
    check_codes(codes, self.clip)
    return self.decode_latent(codes.astype(np.float32))

  def decode_latent(self, c: np.ndarray) -> np.ndarray:
    """Features float32 [n, feature_dim], by Dec.

    Args:
      c: codes, float32 [n, code_dim], that need not be integers.
    """
    return self._decode(c).numpy()

  def costs(self) -> Costs:
    """Enc for the sender, Dec for the receiver."""
    return {
      "sender": networks.cost(self.encoder),
      "receiver": networks.cost(self.decoder),
    }


def check_codes(codes: np.ndarray, clip: float) -> None:
  """Raises an Error if an element of integer codes is beyond the clip."""
  limit = int(np.rint(clip))
  if codes.max() > limit or codes.min() < -limit:
    raise Error(
      f"a code's element is beyond {limit} in magnitude, which no encoder"
      " writes: the file is damaged or foreign."
    )


def rate_distortion_loss(
  f_raw, f_rec, c, lmbda: float, distortion: str = "mean"
) -> Tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """Eq. (5): D + lambda R, with the l1 norm of the code as the rate.

  Args:
    f_raw: float32 [batch, feature_dim], the original features.
    f_rec: float32 [batch, feature_dim], the decoded features.
    c: float32 [batch, code_dim], the clipped code before rounding.
    lmbda: the Lagrangian multiplier, in distortion per unit of l1 norm.
    distortion: a key of `DISTORTIONS`. Eq. (5) prints the sum over dimensions;
      the paper's rates agree better with the mean (DEVIATIONS.md).

  Returns:
    The loss, its distortion and its rate, three float32 scalars: means over
    the batch.
  """
  squared_error = tf.square(f_raw - f_rec)
  d = tf.reduce_mean(DISTORTIONS[distortion](squared_error, axis=1))
  r = tf.reduce_mean(tf.reduce_sum(tf.abs(c), axis=1))
  return d + lmbda * r, d, r
