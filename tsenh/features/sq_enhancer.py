"""SQ-E: a residual network behind scalar quantization (Fig. 3).

It maps what SQ decodes to the original feature. It sees features, never a
quantizer; one is trained for each QP.
"""

import numpy as np
import tensorflow as tf

from tsenh.features import networks


class SQEnhancer(networks.StoredModel):
  """Fig. 3: residual blocks `y + fc2(GDN(fc1(y)))` from f_SQ on.

  Attributes:
    feature_dim: dimensions of a feature.
    blocks: the branches of the residual blocks, Keras models [n, feature_dim]
      -> [n, feature_dim].
  """

  KIND, ROLE = "sq-e", "enhancer"
  ARCHITECTURE = ("feature_dim", "hidden_dim", "num_blocks", "gdn")

  def __init__(
    self,
    feature_dim: int,
    hidden_dim: int = 128,
    num_blocks: int = 2,
    gdn: str = "classic",
    seed: int = 0,
  ):
    """Builds the network with Glorot-initialised weights.

    Args:
      feature_dim: dimensions of a feature.
      hidden_dim: width within a block. Paper-silent (sq_e_blocks).
      num_blocks: how many residual blocks. Paper-silent (sq_e_blocks).
      gdn: a key of `networks.GDN_FORMS`.
      seed: of the initial weights.
    """
    super().__init__(name="sq_enhancer")
    self.feature_dim = feature_dim
    self.hidden_dim = hidden_dim
    self.num_blocks = num_blocks
    self.gdn = gdn
    seeds = networks.seeds(seed, 2 * num_blocks)
    self.blocks = [
      networks.dense_layers(**plan, gdn=gdn, layer_seeds=seeds)
      for plan in self.plans(feature_dim, hidden_dim, num_blocks)
    ]
    self.parts = self.blocks
    self._enhance = networks.inference(self.call, feature_dim)

  @staticmethod
  def plans(feature_dim, hidden_dim, num_blocks, **_):
    """The blocks; see `StoredModel`."""
    dims = [feature_dim, hidden_dim, feature_dim]
    return [
      {"name": f"block{i}", "dims": dims, "inverse": False}
      for i in range(1, num_blocks + 1)
    ]

  def call(self, f_sq):
    """Maps f_SQ to the enhanced feature, both float32 [n, feature_dim]."""
    y = f_sq
    for block in self.blocks:
      y += block(y)
    return y

  def enhance(self, decoded: np.ndarray) -> np.ndarray:
    """Enhanced features, of what SQ decoded; both float32 [n, feature_dim]."""
    return self._enhance(decoded).numpy()


def squared_error(f_enh, f_raw):
  """The MSE that SQ-E is trained with, but for a constant factor.

  Paper-silent (sq_e_reduction): the reduction over dimensions, to which only
  Adam's epsilon is sensitive. This is the sum, as in Eq. (6).

  Args:
    f_enh: float32 [batch, feature_dim], the enhanced features.
    f_raw: float32 [batch, feature_dim], the original features.

  Returns:
    A float32 scalar, the mean over the batch of the sum over dimensions.
  """
  return tf.reduce_mean(tf.reduce_sum(tf.square(f_enh - f_raw), axis=1))
