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
    found.append(np.sum(weight * (pairs.same > threshold)) / weight.sum())
  probe_weight = times[pairs.probe_person]
  found.append(np.sum(probe_weight * pairs.is_first) / probe_weight.sum())
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


def read_samples(measured: Dict[str, Any]) -> np.ndarray:
  """The resamples of a measurement, float64 [samples, 5] as in `METRICS`."""
  stored = np.frombuffer(base64.b64decode(measured["samples"]), "<u2")
  return stored.reshape(-1, len(METRICS)) / _SCALE


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
  first: Sequence[Dict[str, Any]], second: Sequence[Dict[str, Any]]
) -> Dict[str, Difference]:
  """The paired difference of two methods on one set, over people and seeds.

  Each resample draws people, the same for both, and with them seeds: what would
  other trainings give on other people? Interval and p value are those of
  Student's t with the resamples' standard error, for resamples alone could not
  tell p below one in their number; with several seeds its degrees of freedom
  are one fewer than the seeds.

  Args:
    first: from `measure`, one for each seed; a single one is compared with each
      of the other's.
    second: the same of what may differ, in the order of the same seeds.

  Returns:
    A difference for each of `METRICS`.

  Raises:
    Error: if they are not measurements of one set, or their seeds no pairs.
  """
  sides = [list(first), list(second)]
  counts = {(m["num_same"], m["num_different"]) for m in sides[0] + sides[1]}
  if len(counts) != 1:
    raise Error("dense measurements of different sets cannot be compared.")
  num_seeds = max(map(len, sides))
  if {len(side) for side in sides} - {1, num_seeds}:
    raise Error("dense measurements of different seeds cannot be paired.")

  def gain(values) -> np.ndarray:
    """Second minus first of each seed, [seeds, ...]."""
    a, b = (np.array([values(m) for m in side]) for side in sides)
    return np.broadcast_to(b - a, (num_seeds, *a.shape[1:]))

  whole = gain(lambda m: [m[name] for name in METRICS]).mean(axis=0)
  samples = gain(read_samples)
  random = np.random.default_rng(0)
  drawn = random.multinomial(
    num_seeds, [1 / num_seeds] * num_seeds, samples.shape[1]
  )
  resampled = np.einsum("ns,snm->nm", drawn / num_seeds, samples)
  freedom = num_seeds - 1 if num_seeds > 1 else samples.shape[1] - 1
  return {
    name: _difference(float(d), float(error), freedom)
    for name, d, error in zip(METRICS, whole, resampled.std(axis=0, ddof=1))
  }


def _difference(difference: float, error: float, freedom: int) -> Difference:
  if error == 0:
    return Difference(
      difference, difference, difference, float(difference == 0)
    )
  reach = error * scipy.stats.t.ppf(0.975, freedom)
  p = 2 * scipy.stats.t.sf(abs(difference) / error, freedom)
  return Difference(
    difference, difference - reach, difference + reach, float(p)
  )
