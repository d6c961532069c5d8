"""A decoder trained anew for a codec whose encoder is frozen.

What an enhancer is worth is what it gives over the best that a receiver could
do with the same bytes and the same size. This is that control: a wider, a
deeper or merely a longer-trained Dec, which maps the rounded code straight to
the feature. It is ours; the papers have none.
"""

import numpy as np

from tsenh.features import networks
from tsenh.features.pro import check_codes


class Decoder(networks.StoredModel):
  """Fully-connected layers with IGDN, as Dec (Eq. 2), of any size.

  Attributes:
    code_dim: elements of the codec's code.
    feature_dim: dimensions of a feature.
    clip: r_clip of the codec.
    decoder: the network, a Keras model [n, code_dim] -> [n, feature_dim].
  """

  KIND, ROLE = "pro-d", "enhancer"
  ARCHITECTURE = (
    "code_dim",
    "feature_dim",
    "hidden_dim",
    "num_layers",
    "clip",
    "gdn",
  )

  def __init__(
    self,
    code_dim: int,
    feature_dim: int,
    hidden_dim: int = 128,
    num_layers: int = 2,
    clip: float = 20.0,
    gdn: str = "classic",
    seed: int = 0,
  ):
    """Builds the decoder with Glorot-initialised weights.

    Args:
      code_dim: elements of the codec's code.
      feature_dim: dimensions of a feature.
      hidden_dim: width between the layers.
      num_layers: dense layers.
      clip: r_clip of the codec.
      gdn: a key of `networks.GDN_FORMS`.
      seed: of the initial weights.
    """
    super().__init__(name="decoder")
    self.code_dim = code_dim
    self.feature_dim = feature_dim
    self.hidden_dim = hidden_dim
    self.num_layers = num_layers
    self.clip = clip
    self.gdn = gdn
    (plan,) = self.plans(code_dim, feature_dim, hidden_dim, num_layers)
    self.decoder = networks.dense_layers(
      **plan, gdn=gdn, layer_seeds=networks.seeds(seed, num_layers)
    )
    self.parts = (self.decoder,)
    self._decode = networks.inference(self.decoder.call, code_dim)

  @staticmethod
  def plans(code_dim, feature_dim, hidden_dim, num_layers, **_):
    """The decoder; see `StoredModel`."""
    dims = [code_dim, *[hidden_dim] * (num_layers - 1), feature_dim]
    return [{"name": "decoder", "dims": dims, "inverse": True}]

  def decode(self, codes: np.ndarray) -> np.ndarray:
    """Features float32 [n, feature_dim] of the codec's integer codes.

    Raises:
      Error: if a code's element is outside [-clip, clip], so not the codec's.
    """
    check_codes(codes, self.clip)
    return self._decode(codes.astype(np.float32)).numpy()
