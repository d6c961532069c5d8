"""How often predicted expressions are right, and whether one network is better.

Two networks are compared on the same faces: McNemar's exact test counts those
on which just one of them is right; a bootstrap over faces gives the interval of
the difference.
"""

from typing import Any, Dict, NamedTuple, Sequence

import numpy as np

from tsenh.recognition.expression_sets import EMOTIONS

_RESAMPLES = 10_000


def score(
  labels: np.ndarray, predicted: np.ndarray, is_copy: np.ndarray
) -> Dict[str, Any]:
  """What a result says of predictions.

  Args:
    labels: int [n], places in `EMOTIONS`.
    predicted: int [n].
    is_copy: bool [n], of faces that are in the training part too.

  Returns:
    `count`, `correct`, `accuracy`; `per_class` with these of each emotion;
    `mean_class_accuracy`, over the emotions that occur; `confusion`, whose row
    is the label; `without_copies`, the first three; `labels` and `predicted`,
    a digit a face.
  """
  hits = labels == predicted
  confusion = np.zeros([len(EMOTIONS)] * 2, int)
  np.add.at(confusion, (labels, predicted), 1)
  per_class = {
    name: _counted(hits[labels == i]) for i, name in enumerate(EMOTIONS)
  }
  known = [c["accuracy"] for c in per_class.values() if c["count"]]
  return {
    **_counted(hits),
    "mean_class_accuracy": float(np.mean(known)),
    "per_class": per_class,
    "confusion": confusion.tolist(),
    "without_copies": _counted(hits[~is_copy]),
    "labels": "".join(map(str, labels)),
    "predicted": "".join(map(str, predicted)),
  }


def _counted(hits: np.ndarray) -> Dict[str, Any]:
  count, correct = len(hits), int(hits.sum())
  accuracy = correct / count if count else None
  return {"count": count, "correct": correct, "accuracy": accuracy}


def hits(result: Dict[str, Any]) -> np.ndarray:
  """Bool [n], which faces a result has right."""
  pairs = zip(result["labels"], result["predicted"])
  return np.array([label == predicted for label, predicted in pairs])


class Comparison(NamedTuple):
  """The second of two methods against the first.

  Attributes:
    difference: of the accuracies, in points.
    low: of its 95 % interval.
    high: likewise.
    p_value: of McNemar's exact test, of two sides.
    detectable: the smallest difference in points that the test would have
      found four times out of five, with as many faces that just one has right.
  """

  difference: float
  low: float
  high: float
  p_value: float
  detectable: float


def compare(
  first: Sequence[np.ndarray], second: Sequence[np.ndarray], seed: int = 0
) -> Comparison:
  """Compares two methods, each with one run or several.

  Args:
    first: of each run bool [n], which faces it has right.
    second: likewise, as many runs on the same faces.
    seed: of the resamples.

  Returns:
    The difference of the means over runs with its bootstrap interval; the test
    and what it could have seen are of all runs' faces pooled.
  """
  from scipy import stats

  a, b = (np.stack(runs).astype(float) for runs in (first, second))
  gained, lost = int((b > a).sum()), int((b < a).sum())
  discordant = gained + lost
  p_value = stats.binomtest(gained, discordant).pvalue if discordant else 1.0
  of_faces = (b - a).mean(axis=0)
  random = np.random.default_rng(seed)
  count = len(of_faces)
  means = [
    of_faces[random.integers(count, size=count)].mean()
    for _ in range(_RESAMPLES)
  ]
  low, high = np.percentile(means, [2.5, 97.5])
  power = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)
  detectable = power * np.sqrt(discordant) / a.size
  return Comparison(
    100 * of_faces.mean(), 100 * low, 100 * high, p_value, 100 * detectable
  )
