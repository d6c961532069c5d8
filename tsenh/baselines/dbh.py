"""DBH, as the paper calls supervised hashing with kernels (Liu et al., 2012).

A bit is the sign of a kernel expansion over anchors. The bits are found one
after the other, so that the inner products of the codes come close to a matrix
S, which is 1 where two training faces are one person's and -1 elsewhere:

    min over H in {-1, 1}^(l x r) of || H H^T / r - S ||_F^2
"""

import hashlib
from typing import List

import numpy as np
import scipy.linalg
import scipy.optimize
import scipy.sparse

from tsenh.baselines import labels
from tsenh.data import streams
from tsenh.data.feature_sets import FeatureSet
from tsenh.features.costs import Cost, Costs

# Paper-silent (dbh_effort); Liu et al. have 300 and 2,000. The
# objective needs people with many faces: a bit adds l^2 to || H H^T ||^2
# whatever it says, and a person with n faces at most r n^2 to what it gains.
NUM_ANCHORS = 300
NUM_LABELLED = 20000
ITERATIONS = 20  # Of the optimiser, per bit.


class KernelHash:
  """Fitted hash functions; see `tsenh.baselines.Baseline`.

  Attributes:
    objective: after each bit, || H H^T / r - S ||^2 as a share of || S ||^2,
      the bits to come counted as 0.
  """

  def __init__(self, anchors, width, mean, weights, objective: List[float]):
    """Takes what `fit` found.

    Args:
      anchors: float32 [m, dim].
      width: 2 sigma^2 of the Gaussian kernel.
      mean: float32 [m], the kernel's means over the labelled faces.
      weights: float32 [m, bits], A: a column per bit.
      objective: see the class.
    """
    self._anchors, self._width, self._mean = anchors, width, mean
    self._weights = weights
    self.objective = objective

  def encode(self, features: np.ndarray) -> np.ndarray:
    """Codes uint8 [n, bits / 8] of features float32 [n, dim]."""

    def chunk(rows):
      kernel = _kernel(rows, self._anchors, self._width) - self._mean
      return np.packbits(kernel @ self._weights > 0, axis=1)

    return streams.in_chunks(chunk, features)

  def costs(self) -> Costs:
    """Of the sender; codes are compared, not decoded."""
    products = self._anchors.size + self._weights.size
    sender = Cost(products + len(self._mean) + 1, products)
    return {"sender": sender, "receiver": Cost(0, 0)}

  def digest(self) -> str:
    """SHA-256 of anchors, width, mean and weights, in hexadecimal."""
    sha = hashlib.sha256()
    for array in (self._anchors, self._width, self._mean, self._weights):
      sha.update(np.ascontiguousarray(array, "<f4"))
    return sha.hexdigest()


def _squared_distances(x, y):
  squares = np.square(x).sum(axis=1)[:, None] + np.square(y).sum(axis=1)
  return np.maximum(squares - 2 * x @ y.T, 0)


def _kernel(x, anchors, width):
  """Gaussian kernel, float32 [n, m]."""
  return np.exp(-_squared_distances(x, anchors) / width).astype(np.float32)


def fit(training_set: FeatureSet, bits: int, seed: int) -> KernelHash:
  """Fits the hash functions to a sample of the labelled faces.

  Args:
    training_set: with identities; -1 is unknown.
    bits: r, the length of a code.
    seed: of the choice of anchors.
  """
  rng = np.random.default_rng(seed)
  known = labels.labelled(training_set.identities)[:NUM_LABELLED]
  features = training_set.features[known]
  _, person = np.unique(training_set.identities[known], return_inverse=True)
  chosen = rng.choice(len(known), min(NUM_ANCHORS, len(known)), replace=False)
  anchors = features[np.sort(chosen)]
  width = np.float32(2 * _squared_distances(features, anchors).mean())
  kernel = _kernel(features, anchors, width)
  mean = kernel.mean(axis=0)
  weights, objective = _optimize(kernel - mean, person, bits)
  return KernelHash(anchors, width, mean, weights, objective)


def _optimize(kernel: np.ndarray, person: np.ndarray, bits: int):
  """The greedy optimisation of Sec. 3.3 there.

  Args:
    kernel: float32 [l, m], centred.
    person: int [l], numbers of people from 0 on.
    bits: r.

  Returns:
    The weights float32 [m, bits] and the objective after each bit.
  """
  count = len(kernel)
  # The columns made orthonormal: the relaxed problem is an eigenvector's then.
  basis, triangle = scipy.linalg.qr(kernel, mode="economic")
  # Turned back into weights of the kernel by a least-squares solution: anchors
  # may be nearly dependent.
  back = scipy.linalg.pinv(triangle).astype(np.float32)
  people = np.zeros([count, person.max() + 1], np.float32)
  people[np.arange(count), person] = 1
  people = scipy.sparse.csr_matrix(people)
  codes = np.zeros([bits, count], np.float32)  # Rows: bits found so far.

  def residual_times(v, found):
    """(r S - sum of b b^T over the bits found) v, without forming S."""
    s_v = 2 * (people @ (people.T @ v)) - v.sum(axis=0)
    return bits * s_v - codes[:found].T @ (codes[:found] @ v)

  relaxed = basis.T @ residual_times(basis, 0)
  # || r S ||^2; S is +1 or -1 everywhere.
  total = error = float(bits) ** 2 * float(count) ** 2
  weights, objective = [], [1.0]
  for k in range(bits):
    _, vector = scipy.linalg.eigh(
      relaxed, subset_by_index=[len(relaxed) - 1, len(relaxed) - 1]
    )
    start = vector[:, 0] * np.sqrt(count)

    def negative(w, found=k):
      """-phi(K a)^T R phi(K a), phi a smooth sign, and its gradient."""
      phi = np.tanh(basis @ w.astype(np.float32) / 2)
      r_phi = residual_times(phi, found)
      gradient = basis.T @ (r_phi * (1 - np.square(phi)))
      scale = 1 / (bits * count)
      return -float(phi @ r_phi) * scale, -gradient.astype(np.float64) * scale

    found = scipy.optimize.minimize(
      negative,
      start,
      jac=True,
      method="L-BFGS-B",
      options={"maxiter": ITERATIONS},
    )
    best = None
    for w in (start, found.x):
      b = np.where(basis @ w.astype(np.float32) > 0, 1, -1).astype(np.float32)
      gain = float(b @ residual_times(b, k))
      if best is None or gain > best[0]:
        best = gain, b, w
    gain, b, w = best
    # || R - b b^T ||^2 = || R ||^2 - 2 b^T R b + l^2.
    error += float(count) ** 2 - 2 * gain
    objective.append(error / total)
    codes[k] = b
    projected = basis.T @ b
    relaxed -= np.outer(projected, projected)
    weights.append(back @ w.astype(np.float32))
  return np.stack(weights, axis=1), objective
