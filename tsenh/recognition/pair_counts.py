"""Counts of all pairs of a set by similarity: dense verification of any size.

`dense` keeps the most similar pairs and has exact thresholds, for sets of some
ten thousand faces. Here pairs are counted in bins of similarity, so that parts
of the work, each a band of faces against all later ones, add up: on any number
of machines, in any order, to the same counts.
"""

import functools
from typing import Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from tsenh.base import arrays, cluster, files
from tsenh.base.errors import Error
from tsenh.data import feature_sets
from tsenh.recognition import dense
from tsenh.recognition.verification import normalize

BINS = 20000  # Of similarities from -1 to 1.
BAND = 2048  # Faces that are compared with all later ones in one task.


class Counts(NamedTuple):
  """Pairs by similarity.

  Attributes:
    same: int64 [BINS], pairs of one person, from the least similar on.
    different: int64 [BINS], pairs of two people.
  """

  same: np.ndarray
  different: np.ndarray


def tasks(source: str, count: int, folder: str) -> List[cluster.Task]:
  """The tasks of `count_band` that count all pairs of a set.

  Args:
    source: the set.
    count: of its faces whose people are known.
    folder: where the counts of bands go.
  """
  starts = range(0, count, BAND)
  return [(source, s, f"{folder}/{s // BAND:06}.npz") for s in starts]


def num_known(source: str) -> int:
  """Faces of a set whose people are known.

  Raises:
    Error: if there are no pairs of one person, or of two.
  """
  identities = feature_sets.load(source, in_memory=False).identities
  if identities is None or not dense.possible(identities):
    raise Error(f"{source}: does not know people of several photographs.")
  return int((identities >= 0).sum())


@functools.lru_cache(maxsize=1)
def _known(source: str) -> Tuple[feature_sets.FeatureSet, np.ndarray]:
  found = feature_sets.load(source, in_memory=False)
  return found, np.flatnonzero(found.identities >= 0)


def count_band(source: str, start: int, path: str) -> None:
  """Counts a band of faces against themselves and all later ones; a task.

  Args:
    source: the set.
    start: the band's first face, of those whose people are known.
    path: of the `.npz` to write.
  """
  found, rows = _known(source)

  def block(first):
    own = rows[first : first + BAND]
    return normalize(found.features[own]), found.identities[own]

  band, people = block(start)
  same = np.zeros(BINS, np.int64)
  every = np.zeros(BINS, np.int64)
  for first in range(start, len(rows), BAND):
    other, others = (band, people) if first == start else block(first)
    similarity = band @ other.T
    bins = np.clip((similarity + 1) * (BINS / 2), 0, BINS - 1).astype(np.int32)
    match = people[:, None] == others[None]
    if first == start:  # Each pair once, and nobody with himself.
      later = np.triu_indices(len(band), 1)
      bins, match = bins[later], match[later]
    every += np.bincount(bins.ravel(), minlength=BINS)
    same += np.bincount(bins[match], minlength=BINS)
  files.write_arrays(path, Counts(same, every - same)._asdict())


def total(paths: List[str]) -> Counts:
  """The counts of bands, added up."""
  parts = [arrays.read_all(path) for path in paths]
  return Counts(*(sum(p[key] for p in parts) for key in Counts._fields))


def rates(counts: Counts) -> Dict[str, Optional[float]]:
  """TAR at each FAR of `dense`.

  The threshold is the least edge of a bin above which there are no more
  different pairs than the rate allows, so a share is short of the exact one by
  what lies in one bin at the most.
  """
  above_same = np.cumsum(counts.same[::-1])[::-1]
  above_different = np.cumsum(counts.different[::-1])[::-1]
  measured = {
    "num_same": int(above_same[0]),
    "num_different": int(above_different[0]),
  }
  for name, rate in dense.FALSE_ACCEPT_RATES.items():
    allowed = int(rate * above_different[0] + 1e-9)
    place = int(np.argmax(np.append(above_different, 0) <= allowed))
    accepted = np.append(above_same, 0)[place]
    measured[f"tar_at_far_{name}"] = float(accepted / above_same[0])
  return measured
