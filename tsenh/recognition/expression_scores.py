"""How often predicted expressions are right, and whether one network is better.

Two methods are compared on the same faces: McNemar's exact test counts those
on which just one of them is right; a bootstrap over faces gives the interval of
the difference. Runs of several seeds share their faces, so that these are not
counted once for each seed: a face counts with its mean.
"""

import base64
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


def in_two_dimensions(embeddings: np.ndarray) -> str:
  """The two directions in which embeddings vary most.

  Args:
    embeddings: float32 [n, dim].

  Returns:
    int8 [n, 2], 127 the farthest, in base64; `places` reads it.
  """
  centred = embeddings - embeddings.mean(axis=0)
  _, _, directions = np.linalg.svd(centred, full_matrices=False)
  # The sign of a direction is anybody's; here the largest element is positive.
  rows = np.arange(2)
  largest = np.abs(directions[:2]).argmax(axis=1)
  signs = np.sign(directions[rows, largest])
  places = centred @ (directions[:2].T * signs)
  scaled = np.rint(127 * places / np.abs(places).max()).astype(np.int8)
  return base64.b64encode(scaled.tobytes()).decode()


def places(text: str) -> np.ndarray:
  """Int8 [n, 2], what `in_two_dimensions` gave."""
  return np.frombuffer(base64.b64decode(text), np.int8).reshape(-1, 2)


class Comparison(NamedTuple):
  """The second of two methods against the first.

  Attributes:
    difference: of the accuracies, in points.
    low: of its 95 % interval.
    high: likewise.
    p_value: of two sides. Of one run McNemar's exact test; of several the
      signs of the faces' mean differences, each as likely as the other.
    detectable: the smallest difference in points that the test would have
      found four times out of five, on faces that differ as much as these do.
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
    The difference of the means over runs, its interval, and the test.
  """
  from scipy import stats

  a, b = (np.stack(runs).astype(float) for runs in (first, second))
  of_faces = (b - a).mean(axis=0)
  spread = np.sqrt(np.square(of_faces).sum())
  if not spread:
    p_value = 1.0
  elif len(a) == 1:
    gained, lost = int((of_faces > 0).sum()), int((of_faces < 0).sum())
    p_value = stats.binomtest(gained, gained + lost).pvalue
  else:
    p_value = 2 * stats.norm.sf(abs(of_faces.sum()) / spread)
  random = np.random.default_rng(seed)
  count = len(of_faces)
  means = [
    of_faces[random.integers(count, size=count)].mean()
    for _ in range(_RESAMPLES)
  ]
  low, high = np.percentile(means, [2.5, 97.5])
  power = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)
  found = (of_faces.mean(), low, high, power * spread / count)
  difference, low, high, detectable = (float(100 * value) for value in found)
  return Comparison(difference, low, high, float(p_value), detectable)
