"""SQ: uniform scalar quantization of the feature itself (Eq. 7-9)."""

import hashlib
from typing import Dict, Tuple

import numpy as np

from tsenh.features.costs import Cost, Costs

MAX_QP = 63
# Where in a step a value is decoded to, in steps above its lower edge.
RECONSTRUCTIONS = {"lower": 0.0, "middle": 0.5}


class ScalarQuantizer:
  """The paper's SQ at one QP; encodes and decodes like a `Codec`.

  Attributes:
    qp: the quantization parameter.
    feature_dim: dimensions of a feature.
    reconstruction: a key of `RECONSTRUCTIONS`.
    code_dim: the same as `feature_dim`.
  """

  KIND, ROLE = "sq", "codec"
  ARCHITECTURE = ("qp", "feature_dim", "reconstruction")

  def __init__(self, qp: int, feature_dim: int, reconstruction: str = "lower"):
    """Sets the step.

    Args:
      qp: 0 to `MAX_QP`.
      feature_dim: dimensions of a feature.
      reconstruction: "lower", the edge that Eq. (9) gives, or "middle" of a
        step, which is ours: what SQ-E has to beat.
    """
    self.qp = qp
    self.feature_dim = feature_dim
    self.reconstruction = reconstruction
    self.code_dim = feature_dim

  @property
  def q_step(self) -> float:
    """Eq. (7): the step doubles every six QP."""
    return 2.0 ** ((self.qp - 4) / 6 - 10)

  def latent(self, features: np.ndarray) -> np.ndarray:
    """F / q_step, float64 [n, dim]: what Eq. (8) takes the floor of."""
    return np.divide(features, self.q_step, dtype=np.float64)

  def quantize(self, latent: np.ndarray) -> np.ndarray:
    """Eq. (8): the floor, int32 [n, dim]; the same on any machine."""
    return np.floor(latent).astype(np.int32)

  def encode(self, features: np.ndarray) -> np.ndarray:
    """Eq. (8): floor(f / q_step), int32 [n, dim]."""
    return self.quantize(self.latent(features))

  def decode(self, codes: np.ndarray) -> np.ndarray:
    """Eq. (9): c * q_step, float32 [n, dim], or the middle of the step."""
    offset = RECONSTRUCTIONS[self.reconstruction]
    return ((codes + offset) * self.q_step).astype(np.float32)

  def architecture(self) -> Dict[str, object]:
    """All that determines its function."""
    return {name: getattr(self, name) for name in self.ARCHITECTURE}

  @staticmethod
  def shapes(**_) -> Dict[str, Tuple[int, ...]]:
    """Names and shapes of `arrays`: none."""
    return {}

  def arrays(self) -> Dict[str, np.ndarray]:
    """It has none."""
    return {}

  @staticmethod
  def digest_of(
    architecture: Dict[str, object], arrays: Dict[str, np.ndarray]
  ) -> str:
    """The `digest` of a quantizer that is not built."""
    del arrays  # There are none.
    text = f"sq:{architecture['qp']}:{architecture['feature_dim']}"
    if architecture["reconstruction"] != "lower":
      text += f":{architecture['reconstruction']}"
    return hashlib.sha256(text.encode()).hexdigest()

  def digest(self) -> str:
    """SHA-256 of the name and dimensions, in hexadecimal (FORMAT.md)."""
    return self.digest_of(self.architecture(), self.arrays())

  def costs(self) -> Costs:
    """The step on both sides; a product for each value."""
    cost = Cost(parameters=1, multiply_adds=self.feature_dim)
    return {"sender": cost, "receiver": cost}
