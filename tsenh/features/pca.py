"""The classical transform coder: PCA, one uniform step, the entropy coder.

At high rate it is the best that linear transforms do for Gaussian features, and
it has nothing to train but a covariance: what a learned codec must beat. `lda`
fits another pair of matrices to it, and `ahead` trains them.
"""

import hashlib
from typing import Dict, Optional, Tuple

import numpy as np

from tsenh.base.errors import Error
from tsenh.features import trellis as trellises
from tsenh.features.costs import Cost, Costs

MIN_STEP = 1e-4
MAX_VALUE = 2**31 - 1  # Of an element, as `tsenh.coding` has it.


class TransformCoder:
  """Encodes and decodes like a `Codec`; its integers go to the entropy coder.

  The components are stored with a run: computed again they may differ in their
  last digits, or in their signs, with the machine and its number of threads.

  Attributes:
    step: the quantization step, the same for all components.
    feature_dim: dimensions of a feature.
    code_dim: components; of principal ones as many as dimensions, for those of
      little variance cost next to nothing.
    mean: float64 [feature_dim], of the training set.
    components: float64 [feature_dim, code_dim], a component a column.
    reconstruction: float64 [code_dim, feature_dim], what decodes components;
      None is the transpose, which is right for principal components.
    trellis: whether integers are found by `trellis`, and not one by one.
  """

  KIND, ROLE = "pca", "codec"
  ARCHITECTURE = ("step", "feature_dim")
  # With a matrix of its own for the way back; principal components have none.
  OPTIONAL = (("code_dim", None), ("trellis", False))

  def __init__(
    self,
    step: float,
    feature_dim: int,
    mean: Optional[np.ndarray] = None,
    components: Optional[np.ndarray] = None,
    reconstruction: Optional[np.ndarray] = None,
    code_dim: Optional[int] = None,
    trellis: bool = False,
  ):
    """Takes the arrays, or leaves them to `assign`.

    Args:
      step: `MIN_STEP` or more, in units of the components.
      feature_dim: dimensions of a feature.
      mean: float64 [feature_dim].
      components: float64 [feature_dim, code_dim].
      reconstruction: float64 [code_dim, feature_dim], if `code_dim` is given.
      code_dim: components, where they have a reconstruction of their own.
      trellis: see the attributes. It is for components that all are worth a bit
        or more: no integer stands for 0.
    """
    self.step = step
    self.trellis = trellis
    self.feature_dim = feature_dim
    self.code_dim = code_dim or feature_dim
    empty = {
      name: np.zeros(shape)
      for name, shape in TransformCoder.shapes(feature_dim, code_dim).items()
    }
    self.mean = empty["mean"] if mean is None else mean
    self.components = empty["components"] if components is None else components
    self.reconstruction = (
      empty.get("reconstruction") if reconstruction is None else reconstruction
    )

  def latent(self, features: np.ndarray) -> np.ndarray:
    """Components in units of the step, float64 [n, code_dim]."""
    centred = features.astype(np.float64) - self.mean
    return centred @ self.components / self.step

  def quantize(self, latent: np.ndarray) -> np.ndarray:
    """The integers that come nearest, int32 [n, code_dim].

    Raises:
      Error: if one does not fit into 32 bits.
    """
    rounded = np.rint(latent)
    largest = np.abs(rounded).max()
    # A trellis may go two farther than the nearest integer. NaN fails too.
    if not largest <= MAX_VALUE - 2 * self.trellis:
      raise Error(
        f"a component is {largest:.3g} steps of {self.step:g} long, which 32"
        " bits do not hold; the step is too small for these features."
      )
    if self.trellis:
      return trellises.nearest(latent)
    return rounded.astype(np.int32)

  def encode(self, features: np.ndarray) -> np.ndarray:
    """Integer codes, int32 [n, code_dim], of float32 [n, feature_dim].

    Raises:
      Error: as `quantize` does.
    """
    return self.quantize(self.latent(features))

  def values(self, codes: np.ndarray) -> np.ndarray:
    """What integer codes stand for in units of the step, [n, code_dim]."""
    return trellises.values(codes) if self.trellis else codes

  def decode(self, codes: np.ndarray) -> np.ndarray:
    """Features float32 [n, feature_dim] of integer codes [n, code_dim]."""
    back = self.reconstruction
    if back is None:
      back = self.components.T
    components = self.values(codes) * self.step
    return (components @ back + self.mean).astype(np.float32)

  @staticmethod
  def shapes(
    feature_dim: int, code_dim: Optional[int] = None, **_
  ) -> Dict[str, Tuple[int, ...]]:
    """Names and shapes of `arrays`."""
    if code_dim is None:
      return {"mean": (feature_dim,), "components": (feature_dim, feature_dim)}
    return {
      "mean": (feature_dim,),
      "components": (feature_dim, code_dim),
      "reconstruction": (code_dim, feature_dim),
    }

  def architecture(self) -> Dict[str, object]:
    """What determines its function beside the arrays."""
    found = {name: getattr(self, name) for name in self.ARCHITECTURE}
    if self.reconstruction is not None:
      found["code_dim"] = self.code_dim
    if self.trellis:
      found["trellis"] = True
    return found

  def arrays(self) -> Dict[str, np.ndarray]:
    """Mean, components and, if there is one, reconstruction, by name."""
    names = self.shapes(**self.architecture())
    return {name: getattr(self, name) for name in names}

  def assign(self, arrays: Dict[str, np.ndarray]) -> None:
    """Takes what `arrays` once gave.

    Raises:
      Error: if these are other arrays.
    """
    expected = {k: (v.shape, v.dtype) for k, v in self.arrays().items()}
    if {k: (v.shape, v.dtype) for k, v in arrays.items()} != expected:
      raise Error("not the mean and components of these dimensions.")
    for name, array in arrays.items():
      setattr(self, name, array)

  @classmethod
  def digest_of(
    cls, architecture: Dict[str, object], arrays: Dict[str, np.ndarray]
  ) -> str:
    """The `digest` of a coder that is not built."""
    words = [cls.KIND, repr(architecture["step"])]
    words += ["trellis"] if architecture.get("trellis") else []
    sha = hashlib.sha256(":".join(words).encode())
    for name in cls.shapes(**architecture):
      sha.update(np.ascontiguousarray(arrays[name], "<f8"))
    return sha.hexdigest()

  def digest(self) -> str:
    """SHA-256 of step and arrays, in hexadecimal (FORMAT.md)."""
    return self.digest_of(self.architecture(), self.arrays())

  def costs(self) -> Costs:
    """Mean, a matrix and the step on both sides."""
    size = self.feature_dim * self.code_dim
    cost = Cost(size + self.feature_dim + 1, size)
    return {"sender": cost, "receiver": cost}


def fit(step: float, features: np.ndarray) -> TransformCoder:
  """Finds the principal components of features.

  Args:
    step: see `TransformCoder`.
    features: float32 [n, dim], two or more.

  Raises:
    Error: if there is one feature, of which nothing varies.
  """
  if len(features) < 2:
    raise Error("PCA needs two training features or more.")
  features = features.astype(np.float64)
  _, components = np.linalg.eigh(np.atleast_2d(np.cov(features, rowvar=False)))
  return TransformCoder(
    step, features.shape[1], features.mean(axis=0), components
  )
