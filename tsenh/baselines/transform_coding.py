"""The classical transform coder: PCA, one uniform step, the entropy coder.

At high rate it is the best that linear transforms do for Gaussian features, and
it has nothing to train but a covariance: what a learned codec must beat.
"""

import hashlib

import numpy as np


class TransformCoder:
  """Encodes and decodes like a `Codec`; its integers go to the entropy coder.

  Attributes:
    step: the quantization step, the same for all components.
    feature_dim: dimensions of a feature.
    code_dim: the same; components of little variance cost next to nothing.
  """

  def __init__(self, step: float, training_features: np.ndarray):
    """Finds the principal components.

    Args:
      step: above 0, in units of the features.
      training_features: float32 [n, dim].
    """
    self.step = step
    self.feature_dim = self.code_dim = training_features.shape[1]
    features = training_features.astype(np.float64)
    self._mean = features.mean(axis=0)
    _, self._components = np.linalg.eigh(np.cov(features, rowvar=False))

  def encode(self, features: np.ndarray) -> np.ndarray:
    """Integer codes, int32 [n, dim], of float32 [n, dim]."""
    centred = features.astype(np.float64) - self._mean
    return np.rint(centred @ self._components / self.step).astype(np.int32)

  def decode(self, codes: np.ndarray) -> np.ndarray:
    """Features float32 [n, dim] of integer codes [n, dim]."""
    decoded = (codes * self.step) @ self._components.T + self._mean
    return decoded.astype(np.float32)

  def digest(self) -> str:
    """SHA-256 of step, mean and components, in hexadecimal."""
    sha = hashlib.sha256(f"pca:{self.step!r}".encode())
    for array in (self._mean, self._components):
      sha.update(np.ascontiguousarray(array, "<f8"))
    return sha.hexdigest()
