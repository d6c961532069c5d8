"""Verification over all pairs of a set: TAR at very small FAR, and rank-1.

The ten folds of LFW hold 3,000 different pairs, so a false accept rate below
1e-3 cannot be seen on them. Among all pairs of the same faces there are
millions. Pure functions, arrays in, a dictionary out.
"""

import base64
from typing import Any, Dict, NamedTuple, Sequence

import numpy as np
import scipy.stats

from tsenh.base.errors import Error
from tsenh.recognition.verification import normalize

FALSE_ACCEPT_RATES = {"1e-3": 1e-3, "1e-4": 1e-4, "1e-5": 1e-5, "1e-6": 1e-6}
NUM_SAMPLES = 1000
# A resampled set of people may reach further down among the different pairs
# than the whole set; how many times further is kept.
_RESERVE = 3
_ROWS = 512  # Similarities are computed for so many faces at a time.
_SCALE = 65535  # Samples are stored as 16-bit integers, shares in 1/65535.
METRICS = (*(f"tar_at_far_{name}" for name in FALSE_ACCEPT_RATES), "rank1")


class AllPairs(NamedTuple):
  """What the similarities of all pairs come to.

  Attributes:
    same: float64 [s], similarities of the pairs of one person.
    same_person: int64 [s], that person.
    different: float64 [k], the largest similarities of pairs of two people,
      falling.
    different_people: int64 [k, 2], these people.
    num_different: all pairs of two people, those left out counted.
    is_first: bool [p], for each face of a person with two faces or more whether
      the nearest other face is the same person's.
    probe_person: int64 [p], that face's person.
    num_faces: int64 [people], faces of each person.
  """

  same: np.ndarray
  same_person: np.ndarray
  different: np.ndarray
  different_people: np.ndarray
  num_different: int
  is_first: np.ndarray
  probe_person: np.ndarray
  num_faces: np.ndarray


def possible(identities: np.ndarray) -> bool:
  """Whether there are pairs of one person, and pairs of two.

  Args:
    identities: int [n], -1 where unknown.
  """
  _, faces = np.unique(identities[identities >= 0], return_counts=True)
  return len(faces) > 1 and faces.max() > 1


def all_pairs(vectors: np.ndarray, identities: np.ndarray) -> AllPairs:
  """Compares every face with every other, a few hundred rows at a time.

  Args:
    vectors: float64 [n, dim]; their inner product is the similarity.
    identities: int [n]; faces of unknown people (-1) are left out.

  Returns:
    What `measure` needs; memory grows with the rows, not with the pairs.
  """
  known = identities >= 0
  vectors = vectors[known]
  _, person, num_faces = np.unique(
    identities[known], return_inverse=True, return_counts=True
  )
  n = len(vectors)
  num_different = (n**2 - int(np.square(num_faces).sum())) // 2
  keep = min(
    num_different,
    _RESERVE * (int(max(FALSE_ACCEPT_RATES.values()) * num_different) + 1),
  )
  same, same_person = [], []
  top = np.empty(0)
  top_people = np.empty([0, 2], np.int64)
  is_first = np.zeros(n, bool)
  for start in range(0, n, _ROWS):
    rows = np.arange(start, min(start + _ROWS, n))
    similarity = vectors[rows] @ vectors.T
    matches = person[rows][:, None] == person
    similarity[np.arange(len(rows)), rows] = -np.inf
    nearest = np.where(matches, similarity, -np.inf).max(axis=1)
    is_first[rows] = nearest > similarity.max(
      axis=1, where=~matches, initial=-np.inf
    )
    later = np.arange(n) > rows[:, None]
    a, b = np.nonzero(matches & later)
    same.append(similarity[a, b])
    same_person.append(person[b])
    floor = top[-1] if len(top) == keep else -np.inf
    a, b = np.nonzero(~matches & later & (similarity > floor))
    values = np.concatenate([top, similarity[a, b]])
    people = np.concatenate(
      [top_people, np.stack([person[rows[a]], person[b]], axis=1)]
    )
    best = np.argsort(-values, kind="stable")[:keep]
    top, top_people = values[best], people[best]
  probes = num_faces[person] > 1
  return AllPairs(
    np.concatenate(same),
    np.concatenate(same_person),
    top,
    top_people,
    num_different,
    is_first[probes],
    person[probes],
    num_faces,
  )


def _rates(pairs: AllPairs, times: np.ndarray) -> np.ndarray:
  """TAR at each FAR, and rank-1, of people counted so many times each.

  Args:
    pairs: from `all_pairs`.
    times: int64 [people].

  Returns:
    float64 [5].
  """
  faces = times * pairs.num_faces
  num_different = (int(faces.sum()) ** 2 - int(np.square(faces).sum())) // 2
  a, b = pairs.different_people.T
  # Different pairs counted from the most similar down.
  counted = np.cumsum(times[a] * times[b])
  weight = times[pairs.same_person]
  found = []
  for rate in FALSE_ACCEPT_RATES.values():
    # With the pairs counted from 0, the threshold is at this one.
    position = int(rate * num_different + 1e-9)
    place = np.searchsorted(counted, position, side="right")
    threshold = pairs.different[min(place, len(pairs.different) - 1)]
    accepted = np.sum(weight * (pairs.same > threshold))
    found.append(accepted / max(weight.sum(), 1))
  probe_weight = times[pairs.probe_person]
  hits = np.sum(probe_weight * pairs.is_first)
  found.append(hits / max(probe_weight.sum(), 1))
  return np.array(found)


def measure(features: np.ndarray, identities: np.ndarray) -> Dict[str, Any]:
  """Dense verification of a set.

  Intervals come from resampling people, not pairs: pairs share faces, and a
  face that is hard is hard in every one of its pairs, so that pairs drawn
  singly would make the intervals far too narrow. The people drawn are the same
  ones at every call, so two measurements of one set are paired (`compare`).

  Args:
    features: float [n, dim], scaled to unit length here; or binary codes uint8
      [n, bits / 8], which are compared by Hamming distance.
    identities: int [n], -1 where unknown.

  Returns:
    `num_same` and `num_different`, pairs; `tar_at_far_1e-3` to
    `tar_at_far_1e-6` and `rank1`, shares (an equally near face of another
    person counts against the latter); `interval`, for each of these the ends of
    its 95 % interval; `samples`, what each resample gave, for `compare`.
  """
  if features.dtype == np.uint8:
    vectors = 2.0 * np.unpackbits(features, axis=1) - 1
  else:
    vectors = normalize(features)
  pairs = all_pairs(vectors, identities)
  people = len(pairs.num_faces)
  whole = _rates(pairs, np.ones(people, np.int64))
  random = np.random.default_rng(0)
  samples = np.array(
    [
      _rates(pairs, random.multinomial(people, np.full(people, 1 / people)))
      for _ in range(NUM_SAMPLES)
    ]
  )
  low, high = np.percentile(samples, [2.5, 97.5], axis=0)
  stored = np.rint(_SCALE * samples).astype("<u2").tobytes()
  return {
    "num_same": len(pairs.same),
    "num_different": pairs.num_different,
    **dict(zip(METRICS, whole.tolist())),
    "interval": {
      name: [float(a), float(b)] for name, a, b in zip(METRICS, low, high)
    },
    "samples": base64.b64encode(stored).decode(),
  }


def read(measured: Dict[str, Any]) -> np.ndarray:
  """A measurement and its resamples, float64 [1 + samples, 5] as in `METRICS`.

  Args:
    measured: from `measure`.
  """
  stored = np.frombuffer(base64.b64decode(measured["samples"]), "<u2")
  samples = stored.reshape(-1, len(METRICS)) / _SCALE
  return np.vstack([[measured[name] for name in METRICS], samples])


class Difference(NamedTuple):
  """How much larger a share is in the second of two, paired.

  Attributes:
    difference: second minus first, the mean over seeds.
    low: lower end of the 95 % interval.
    high: upper end.
    p: two-sided, of no difference.
  """

  difference: float
  low: float
  high: float
  p: float


def compare(
  first: Sequence[np.ndarray], second: Sequence[np.ndarray]
) -> Dict[str, Difference]:
  """The paired difference of two methods on one set, over people and seeds.

  What would other trainings give on other people? The variance of the mean
  difference is that of the resamples, which drew the same people for both, plus
  that between seeds; the interval and the p value are Student's, with the
  degrees of freedom of Welch and Satterthwaite. With one seed they are of
  people alone.

  Args:
    first: from `read`, one for each seed; a single one is compared with each of
      the other's.
    second: the same of what may differ, in the order of the same seeds.

  Returns:
    A difference for each of `METRICS`.

  Raises:
    Error: if they cannot be paired.
  """
  sides = [np.stack(list(side)) for side in (first, second)]
  counts = {side.shape[1:] for side in sides}
  num_seeds = max(len(side) for side in sides)
  if len(counts) > 1 or {len(side) for side in sides} - {1, num_seeds}:
    raise Error("dense measurements that are no pairs cannot be compared.")
  gain = np.broadcast_to(sides[1] - sides[0], (num_seeds, *counts.pop()))
  of_people = gain[:, 1:].mean(axis=0).var(axis=0, ddof=1)
  parts = [(of_people, gain.shape[1] - 2)]
  if num_seeds > 1:
    of_seeds = gain[:, 0].var(axis=0, ddof=1) / num_seeds
    parts.append((of_seeds, num_seeds - 1))
  whole = gain[:, 0].mean(axis=0)
  variance = sum(part for part, _ in parts)
  freedom = np.square(variance) / np.maximum(
    sum(np.square(part) / count for part, count in parts), 1e-300
  )
  error = np.sqrt(variance)
  reach = error * scipy.stats.t.ppf(0.975, np.maximum(freedom, 1))
  score = np.abs(whole) / np.maximum(error, 1e-300)
  p = 2 * scipy.stats.t.sf(score, np.maximum(freedom, 1))
  return {
    name: Difference(*map(float, values))
    for name, *values in zip(METRICS, whole, whole - reach, whole + reach, p)
  }
