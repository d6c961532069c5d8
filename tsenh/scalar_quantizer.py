"""SQ: uniform scalar quantization of the feature itself (Eq. 7-9)."""

import hashlib

import numpy as np


class ScalarQuantizer:
  """The paper's SQ at one QP; encodes and decodes like a `Codec`.

  Attributes:
    qp: the quantization parameter.
    feature_dim: dimensions of a feature.
    code_dim: the same.
  """

  def __init__(self, qp: int, feature_dim: int):
    self.qp = qp
    self.feature_dim = feature_dim
    self.code_dim = feature_dim

  @property
  def q_step(self) -> float:
    """Eq. (7): the step doubles every six QP."""
    return 2.0 ** ((self.qp - 4) / 6 - 10)

  def encode(self, features: np.ndarray) -> np.ndarray:
    """Eq. (8): floor(f / q_step), int32 [n, dim]; the same on any machine."""
    return np.floor(np.divide(features, self.q_step, dtype=np.float64)).astype(
      np.int32
    )

  def decode(self, codes: np.ndarray) -> np.ndarray:
    """Eq. (9): c * q_step, float32 [n, dim]: the lower edge of the step."""
    return (codes * self.q_step).astype(np.float32)

  def digest(self) -> str:
    """SHA-256 of the name and dimensions, in hexadecimal."""
    return hashlib.sha256(
      f"sq:{self.qp}:{self.feature_dim}".encode()
    ).hexdigest()
