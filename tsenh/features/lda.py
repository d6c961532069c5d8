"""A transform coder whose metric knows identity: regularised LDA, linear.

Two photographs of a person differ in some directions more than in others. LDA
makes these differences alike in all directions, and keeps the directions in
which people differ most, measured by them: few numbers, each worth its bits.
What it fits is a `TransformCoder`, as PCA is: the same bytes and decoders.

Three choices make it better than plain LDA at few bits (docs/ahead.md): the
covariance within people is shrunk far towards that of a sphere, few directions
are kept, and decoded features have the distances of the whitened directions,
not of the least squared error.
"""

import numpy as np
import scipy.linalg

from tsenh.base.errors import Error
from tsenh.coding import entropy
from tsenh.features.pca import TransformCoder

# Both chosen on held-out people (experiments/studies/ahead.py).
SHRINKAGE = 0.6
BITS_PER_DIRECTION = 2
# How components become features again.
DECODINGS = ("metric", "least_squares")


def within(features: np.ndarray, identities: np.ndarray) -> np.ndarray:
  """The covariance within people, S_w, float64 [dim, dim].

  Args:
    features: float [n, dim].
    identities: int [n], -1 where unknown. People of one photograph have no
      part in it.

  Raises:
    Error: if nobody has two photographs that differ.
  """
  known = identities >= 0
  features = features[known].astype(np.float64)
  _, person, faces = np.unique(
    identities[known], return_inverse=True, return_counts=True
  )
  freedom = len(features) - len(faces)
  sums = np.zeros([len(faces), features.shape[1]])
  np.add.at(sums, person, features)
  rest = features - (sums / faces[:, None])[person]
  if not freedom or not rest.any():
    raise Error(
      "LDA needs people with two photographs or more, which differ, and there"
      " is nobody in the training set."
    )
  return rest.T @ rest / freedom


def fit(
  step: float,
  dim: int,
  features: np.ndarray,
  identities: np.ndarray,
  shrinkage: float = SHRINKAGE,
  decoding: str = "metric",
) -> TransformCoder:
  """Finds the leading LDA directions of features.

  With S the covariance of all features, S_w that within people and
  S_r = S_w + shrinkage tr(S_w) / feature_dim I, the directions W maximise the
  variance w^T S w among those with w^T S_r w = 1. A code is W^T (f - mean) over
  the step, rounded, and a decoded feature mean + R^T W^T (f - mean), where

  - metric: R has orthogonal rows of one length, so that decoded features are as
    far apart as components are, and lie as near to f as such features can
    (orthogonal Procrustes);
  - least_squares: R is the map of the smallest squared error,
    (W^T S W)^-1 W^T S.

  Args:
    step: of the directions, in standard deviations within people; `MIN_STEP`
      or more.
    dim: how many directions, `feature_dim` at the most.
    features: float32 [n, feature_dim].
    identities: int [n], -1 where unknown.
    shrinkage: 0 or more. 0 is plain LDA; the larger, the more it is PCA.
    decoding: one of `DECODINGS`.

  Raises:
    Error: if there are more directions than dimensions, or nobody has two
      photographs that differ.
  """
  features = features.astype(np.float64)
  feature_dim = features.shape[1]
  if dim > feature_dim:
    raise Error(
      f"{dim} directions, but a feature has {feature_dim} dimensions."
    )
  s_r = within(features, identities)
  s_r += shrinkage * np.trace(s_r) / feature_dim * np.eye(feature_dim)
  s = np.atleast_2d(np.cov(features, rowvar=False))
  _, directions = scipy.linalg.eigh(s, s_r)  # The leading ones are the last.
  w = np.ascontiguousarray(directions[:, ::-1][:, :dim])
  of_both = w.T @ s  # Of components and features; W^T S W is diagonal.
  variances = np.diag(of_both @ w)
  if decoding == "least_squares":
    back = of_both / variances[:, None]
  else:
    u, values, v = np.linalg.svd(of_both, full_matrices=False)
    back = values.sum() / variances.sum() * (u @ v)
  mean = features.mean(axis=0)
  return TransformCoder(step, feature_dim, mean, w, back, dim)


def step_for(bits: float, coder: TransformCoder, features: np.ndarray) -> float:
  """The step at which features take so many bits each, tables fitted to them.

  Args:
    bits: above 0.
    coder: its own step plays no part.
    features: float32 [n, feature_dim].

  Raises:
    Error: if no step gives so many.
  """
  latent = coder.latent(features) * coder.step

  def bits_at(step: float) -> float:
    codes = coder.quantize(latent / step)
    return entropy.fit_coder(codes).bits(codes).mean()

  least = np.abs(latent).max() / (entropy.MAX_SYMBOLS // 2)
  low, high = least, 4 * np.abs(latent).max()
  if not bits_at(high) < bits < bits_at(low):
    raise Error(f"no step gives {bits:g} bits in {coder.code_dim} directions.")
  while high / low > 1.0005:
    step = (low * high) ** 0.5
    low, high = (step, high) if bits_at(step) > bits else (low, step)
  return float(high)
