"""Which faces the teacher speaks of: a sparse graph and a budget.

The paper of 2019 picks informative teacher features by an optimisation on a
sparse graph; its terms and solver are not in its abstract, so these are ours.
A node is a face's teacher feature. The graph's energy, to be made as large as
it gets with a given number of faces kept, is

  sum_i x_i u_i - REDUNDANCY sum_same w_ij x_i x_j
                - CONFUSION sum_different w_ij x_i x_j,   x_i in {0, 1}.

`u` is how informative a face is, how near it is to its person's centre and how
much of its teacher feature survives the shrinking. Same-person edges say that
two faces of one person tell the same; edges between people, that two people
are alike there. As no edge is negative, what a face adds only falls while
others are added, and the greedy method, always the face that adds most, is
done with a heap in which a face is looked at again before it is taken.
"""

import heapq
import typing
from typing import Optional

import numpy as np

if typing.TYPE_CHECKING:  # It is slow to import, and --help needs none of it.
  import scipy.sparse

REDUNDANCY = 0.1
CONFUSION = 0.5
_CONFUSED = 0.4  # The cosine from which two people are confused.
_ROWS = 1024

METHODS = ("all", "random", "graph")


def unary(
  features: np.ndarray,
  identities: np.ndarray,
  shrunken: Optional[np.ndarray] = None,
) -> np.ndarray:
  """How informative each face is.

  Args:
    features: float32 [n, dim], the teacher's, of sharp faces, of unit length.
    identities: int [n], -1 where unknown.
    shrunken: float32 [n, dim], the teacher's features of the shrunken faces
      brought back to the teacher's size; None leaves that term out.

  Returns:
    float64 [n]: the cosine to the mean of the person's features, for faces of
    unknown people and of people with one photograph the mean of the others',
    and added to it the cosine of both features of the face.
  """
  import scipy.sparse

  people, person, faces = np.unique(
    identities, return_inverse=True, return_counts=True
  )
  sums = scipy.sparse.csr_matrix(
    (np.ones(len(person)), (person, np.arange(len(person)))),
    shape=(len(people), len(person)),
  )
  centres = _unit(sums @ features)
  compact = (features * centres[person]).sum(axis=1).astype(np.float64)
  known = (identities >= 0) & (faces[person] > 1)
  compact[~known] = compact[known].mean() if known.any() else 0.0
  if shrunken is None:
    return compact
  return compact + (features * _unit(shrunken)).sum(axis=1)


def edges(
  features: np.ndarray, identities: np.ndarray
) -> "scipy.sparse.csr_matrix":
  """The weights of the graph's edges.

  Args:
    features: float32 [n, dim], of unit length.
    identities: int [n]; each face of an unknown person (-1) is taken for
      another person's.

  Returns:
    float64 [n, n], symmetric and never negative: between faces of one person
    `REDUNDANCY` times their cosine, between those of two people, from a cosine
    of 0.4 on, `CONFUSION` times what it is above that.
  """
  import scipy.sparse

  parts = []
  for start in range(0, len(features), _ROWS):
    cosine = features[start : start + _ROWS] @ features.T
    person = identities[start : start + _ROWS, None]
    weight = np.where(
      (person == identities) & (person >= 0),
      REDUNDANCY * cosine,
      CONFUSION * (cosine - _CONFUSED),
    )
    rows = np.arange(len(weight))
    weight[rows, start + rows] = 0  # No face is redundant with itself.
    parts.append(scipy.sparse.csr_matrix(np.maximum(weight, 0)))
  return scipy.sparse.vstack(parts).tocsr().astype(np.float64)


def greedy(
  values: np.ndarray, weights: "scipy.sparse.csr_matrix", budget: int
) -> np.ndarray:
  """Keeps the faces that add most to the energy, one after the other.

  Args:
    values: float64 [n], the unary terms.
    weights: float64 [n, n], symmetric, never negative.
    budget: faces to keep.

  Returns:
    bool [n], `budget` of them true; of equal faces the first is taken.
  """
  gains = values.astype(np.float64).copy()
  kept = np.zeros(len(values), bool)
  heap = [(-gain, i) for i, gain in enumerate(gains)]
  heapq.heapify(heap)
  for _ in range(budget):
    while True:
      negative, i = heapq.heappop(heap)
      if -negative <= gains[i]:
        break
      heapq.heappush(heap, (-gains[i], i))
    kept[i] = True
    own = slice(weights.indptr[i], weights.indptr[i + 1])
    # Each pair is in the matrix twice, and in the energy once.
    gains[weights.indices[own]] -= weights.data[own]
  return kept


def energy(
  kept: np.ndarray, values: np.ndarray, weights: "scipy.sparse.csr_matrix"
) -> float:
  """What `greedy` makes large, of faces kept, bool [n]."""
  x = kept.astype(np.float64)
  return float(x @ values - x @ (weights @ x) / 2)


def select(
  method: str,
  share: float,
  features: np.ndarray,
  identities: np.ndarray,
  seed: int,
  shrunken: Optional[np.ndarray] = None,
) -> np.ndarray:
  """The faces of which the student is told the teacher's features.

  Args:
    method: all; random, a share of them, the control of each other method; or
      graph, the share that `greedy` keeps.
    share: of the faces, in (0, 1].
    features: float32 [n, dim], the teacher's, of unit length.
    identities: int [n], -1 where unknown.
    seed: of random.
    shrunken: see `unary`.

  Returns:
    bool [n].
  """
  n = len(features)
  budget = round(share * n)
  if method == "all":
    return np.ones(n, bool)
  if method == "random":
    kept = np.zeros(n, bool)
    kept[np.random.default_rng([seed, n]).permutation(n)[:budget]] = True
    return kept
  values = unary(features, identities, shrunken)
  return greedy(values, edges(features, identities), budget)


def _unit(rows: np.ndarray) -> np.ndarray:
  norms = np.linalg.norm(rows, axis=1, keepdims=True)
  return rows / np.where(norms > 0, norms, 1)
