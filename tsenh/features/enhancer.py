"""The teacher-student enhancer: Enh (Eq. 3) and its loss (Eq. 6).

It maps the code of a low-rate codec (the student's) to that of a high-rate one
(the teacher's). It sees codes, never a codec, so it cannot train one.
"""

import numpy as np
import tensorflow as tf

from tsenh.features import networks


class Enhancer(networks.StoredModel):
  """Eq. (3): fully-connected layers with GDN, codes divided by r_clip.

  Attributes:
    low_dim: elements of the low-rate codec's code.
    high_dim: elements of the high-rate codec's code.
    low_clip: r_clip of the low-rate codec.
    high_clip: r_clip of the high-rate codec.
    network: Enh, a Keras model [n, low_dim] -> [n, high_dim].
  """

  KIND, ROLE = "pro-e", "enhancer"
  ARCHITECTURE = (
    "low_dim",
    "high_dim",
    "hidden_dim",
    "low_clip",
    "high_clip",
    "gdn",
    "clip_enhanced",
  )
  # Left out where they are the paper's, as before there were others.
  OPTIONAL = (("num_layers", 2),)

  def __init__(
    self,
    low_dim: int,
    high_dim: int,
    hidden_dim: int = 128,
    low_clip: float = 20.0,
    high_clip: float = 20.0,
    gdn: str = "classic",
    clip_enhanced: bool = True,
    num_layers: int = 2,
    seed: int = 0,
  ):
    """Builds the enhancer with Glorot-initialised weights.

    Args:
      low_dim: elements of the low-rate code.
      high_dim: elements of the high-rate code.
      hidden_dim: width between the layers. Paper-silent (enhancer_width).
      low_clip: r_clip of the low-rate codec.
      high_clip: r_clip of the high-rate codec.
      gdn: a key of `networks.GDN_FORMS`.
      clip_enhanced: whether c_enh is clipped to r_clip. Paper-silent
        (clip_enhanced).
      num_layers: dense layers; the paper's two, or more.
      seed: of the initial weights.
    """
    super().__init__(name="enhancer")
    self.low_dim = low_dim
    self.high_dim = high_dim
    self.hidden_dim = hidden_dim
    self.low_clip = low_clip
    self.high_clip = high_clip
    self.gdn = gdn
    self.clip_enhanced = clip_enhanced
    self.num_layers = num_layers
    (plan,) = self.plans(low_dim, high_dim, hidden_dim, num_layers)
    self.network = networks.dense_layers(
      **plan, gdn=gdn, layer_seeds=networks.seeds(seed, num_layers)
    )
    self.parts = (self.network,)
    self._enhance = networks.inference(
      lambda c_low: self.enhanced(self.call(c_low)), low_dim
    )

  @staticmethod
  def plans(low_dim, high_dim, hidden_dim, num_layers=2, **_):
    """Enh; see `StoredModel`."""
    dims = [low_dim, *[hidden_dim] * (num_layers - 1), high_dim]
    return [{"name": "enhancer", "dims": dims, "inverse": False}]

  def call(self, c_low):
    """Enh(c_low / r_clip), in units of the high-rate codec's r_clip.

    Args:
      c_low: float32 [n, low_dim], codes of the low-rate codec.

    Returns:
      float32 [n, high_dim].
    """
    return self.network(c_low / self.low_clip)

  def enhanced(self, output):
    """c_enh, float32 [n, high_dim], of what `call` gives."""
    c_enh = output * self.high_clip
    if self.clip_enhanced:
      c_enh = tf.clip_by_value(c_enh, -self.high_clip, self.high_clip)
    return c_enh

  def enhance(self, codes: np.ndarray) -> np.ndarray:
    """Eq. (3): c_enh, float32 [n, high_dim], of integer codes [n, low_dim]."""
    return self._enhance(codes.astype(np.float32)).numpy()


def enhancement_loss(c_enh, c_high):
  """Eq. (6): the squared error of the enhanced code.

  As printed, Eq. (6) leaves out `Enh`; the text says that the enhancer's output
  is meant.

  Args:
    c_enh: float32 [batch, high_dim], Enh(c_low / r_clip).
    c_high: float32 [batch, high_dim], c_high / r_clip.

  Returns:
    A float32 scalar, the mean over the batch of the sum over dimensions.
  """
  return tf.reduce_mean(tf.reduce_sum(tf.square(c_enh - c_high), axis=1))
