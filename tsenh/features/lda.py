"""The transform coder with a metric that knows identity: LDA, linear.

Two photographs of a person differ in some directions more than in others. LDA
makes these differences alike in all directions, and keeps the directions in
which people differ most, measured by them: few numbers, each worth its bits.
What it fits is a `TransformCoder`, as PCA is, so that a codec that learns which
directions to keep has it to beat.
"""

import numpy as np
import scipy.linalg

from tsenh.base.errors import Error
from tsenh.features.pca import TransformCoder

# Of the mean variance within people, added in every direction: features of
# lower rank have directions of next to none, and noise would lead in them.
_RIDGE = 1e-2


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
  step: float, dim: int, features: np.ndarray, identities: np.ndarray
) -> TransformCoder:
  """Finds the leading LDA directions of features.

  The directions W maximise the variance w^T S w among those with the variance
  w^T S_w w = 1 within people; S is the covariance of all features. Decoding is
  least squares: the linear map from W^T f to f of the smallest mean squared
  error is (W^T S W)^-1 W^T S, which for these W is W^T S_w.

  Args:
    step: of the directions, in standard deviations within people; `MIN_STEP`
      or more.
    dim: how many directions, `feature_dim` at the most.
    features: float32 [n, feature_dim].
    identities: int [n], -1 where unknown.

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
  s_w = within(features, identities)
  s_w += _RIDGE * np.trace(s_w) / feature_dim * np.eye(feature_dim)
  s = np.atleast_2d(np.cov(features, rowvar=False))
  _, directions = scipy.linalg.eigh(s, s_w)  # The leading ones are the last.
  w = np.ascontiguousarray(directions[:, ::-1][:, :dim])
  return TransformCoder(
    step, feature_dim, features.mean(axis=0), w, w.T @ s_w, dim
  )
