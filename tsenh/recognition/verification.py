"""Face verification: is a pair of features the same person?

The protocol is the public FaceNet one on LFW: a pair is called *same* when the
squared Euclidean distance of its features is below a threshold that was chosen
on the other nine of ten folds. Pure functions, arrays in, a dictionary out.
"""

from typing import Any, Dict

import numpy as np
import scipy.optimize
import scipy.stats

from tsenh.data.feature_sets import NUM_FOLDS

# FaceNet's grids: for the accuracy and its ROC, and (finer) for TAR at FAR.
THRESHOLDS = np.arange(0, 400) / 100
FINE_THRESHOLDS = np.arange(0, 4000) / 1000
FALSE_ACCEPT_RATES = {"1e-2": 1e-2, "1e-3": 1e-3}


def squared_distances(features: np.ndarray, pairs: np.ndarray) -> np.ndarray:
  """Squared Euclidean distance of each pair.

  Args:
    features: float [n, dim].
    pairs: int [m, 2], rows of `features`.

  Returns:
    float64 [m]; summed in float64, so that it depends on no BLAS.
  """
  difference = np.subtract(
    features[pairs[:, 0]], features[pairs[:, 1]], dtype=np.float64
  )
  return np.square(difference).sum(axis=1)


def normalize(features: np.ndarray) -> np.ndarray:
  """Features scaled to unit Euclidean length; a zero feature stays zero.

  Paper-silent (normalization): whether decoded features are, before matching.

  Args:
    features: float [n, dim].

  Returns:
    float64 [n, dim].
  """
  features = np.asarray(features, np.float64)
  norm = np.linalg.norm(features, axis=1, keepdims=True)
  return features / np.where(norm > 0, norm, 1)


def decisions(
  distances: np.ndarray, is_same: np.ndarray, thresholds=THRESHOLDS
) -> np.ndarray:
  """Decides each pair at the threshold best on the nine folds without it.

  Counts are compared, never float means: a rounding tie broken the wrong way
  moves a fold by whole points on a small set. Of equal thresholds the first
  wins.

  Args:
    distances: float [m], squared distances, ten contiguous folds.
    is_same: bool [m].
    thresholds: float [t], rising.

  Returns:
    bool [10, m / 10], whether the decision about the pair was right.
  """
  accepted = distances[:, None] < thresholds
  correct = accepted == is_same[:, None]
  correct = correct.reshape(NUM_FOLDS, -1, len(thresholds))
  hits = correct.sum(axis=1)
  best = (hits.sum(axis=0) - hits).argmax(axis=1)
  return np.take_along_axis(correct, best[:, None, None], axis=2)[..., 0]


def best_threshold(distances: np.ndarray, is_same: np.ndarray) -> float:
  """The first of `THRESHOLDS` at which most pairs are decided rightly.

  Args:
    distances: float [m], squared distances.
    is_same: bool [m].
  """
  accepted = distances[:, None] < THRESHOLDS
  hits = (accepted == is_same[:, None]).sum(axis=0)
  return float(THRESHOLDS[hits.argmax()])


def area_under_curve(distances: np.ndarray, is_same: np.ndarray) -> float:
  """Exact ROC area: P(same closer than different), ties counted half."""
  ranks = scipy.stats.rankdata(distances)
  num_same = int(is_same.sum())
  num_different = len(is_same) - num_same
  # The Mann-Whitney U statistic of the different pairs.
  u = ranks[~is_same].sum() - num_different * (num_different + 1) / 2
  return float(u / (num_same * num_different))


def _step_rates(distances, is_same):
  """FAR and FRR at every threshold between two distinct distances."""
  values = np.unique(distances)
  same = np.sort(distances[is_same])
  different = np.sort(distances[~is_same])
  accepted_different = np.searchsorted(different, values, side="right")
  accepted_same = np.searchsorted(same, values, side="right")
  far = np.concatenate([[0], accepted_different]) / len(different)
  frr = 1 - np.concatenate([[0], accepted_same]) / len(same)
  return far, frr


def equal_error_rate(distances: np.ndarray, is_same: np.ndarray) -> float:
  """Exact EER: where false accepts equal false rejects.

  Within a tied distance both rates are taken to move linearly.
  """
  far, frr = _step_rates(distances, is_same)
  after = int(np.argmax(far >= frr))  # far rises to 1, frr falls to 0.
  before = max(after - 1, 0)
  gap_before, gap_after = frr[before] - far[before], far[after] - frr[after]
  span = gap_before + gap_after
  weight = gap_before / span if span > 0 else 1.0
  return float(far[before] + weight * (far[after] - far[before]))


def true_accept_rate(
  distances: np.ndarray, is_same: np.ndarray, false_accept_rate: float
) -> float:
  """Exact TAR@FAR.

  Args:
    distances: float [m].
    is_same: bool [m].
    false_accept_rate: the allowed share of the different pairs.

  Returns:
    The share of same pairs strictly below the largest threshold whose false
    accepts (strictly below it) do not exceed the allowed share.
  """
  different = np.sort(distances[~is_same])
  allowed = int(np.floor(false_accept_rate * len(different) + 1e-9))
  if allowed >= len(different):
    return 1.0
  return float(np.mean(distances[is_same] < different[allowed]))


def _facenet_metrics(distances, is_same) -> Dict[str, float]:
  """AUC, EER and TAR as FaceNet's grids give them, for old numbers."""
  same, different = distances[is_same], distances[~is_same]

  def rates(thresholds):
    accept = [np.sort(d).searchsorted(thresholds) for d in (same, different)]
    return accept[0] / len(same), accept[1] / len(different)

  tpr, fpr = rates(THRESHOLDS)
  metrics = {"facenet_auc": float(np.trapz(tpr, fpr))}
  eer = scipy.optimize.brentq(
    lambda x: 1 - x - np.interp(x, fpr, tpr, left=0, right=1), 0, 1
  )
  metrics["facenet_eer"] = float(eer)

  folds = distances.reshape(NUM_FOLDS, -1)
  labels = is_same.reshape(NUM_FOLDS, -1)
  for name, target in FALSE_ACCEPT_RATES.items():
    tars = []
    for fold in range(NUM_FOLDS):
      others = np.arange(NUM_FOLDS) != fold
      impostors = np.sort(folds[others][~labels[others]])
      far = impostors.searchsorted(FINE_THRESHOLDS) / len(impostors)
      reached = far[-1] >= target
      threshold = np.interp(target, far, FINE_THRESHOLDS) if reached else 0.0
      tars.append(np.mean(folds[fold][labels[fold]] < threshold))
    metrics[f"facenet_tar_at_far_{name}"] = float(np.mean(tars))
  return metrics


def verify(
  distances: np.ndarray, is_same: np.ndarray, thresholds=THRESHOLDS
) -> Dict[str, Any]:
  """All verification metrics of one set of pairs.

  Args:
    distances: float [m], squared distances; ten contiguous folds.
    is_same: bool [m]; each fold holds both kinds.
    thresholds: float [t], rising; those that the accuracy chooses from.

  Returns:
    `num_pairs`, `correct_pairs`, `correct_pairs_per_fold`, `wrong_pairs` (their
    numbers), `accuracy` (the mean over folds, in [0, 1]), `accuracy_std` (over
    folds, divisor 10, as FaceNet has it), `auc`, `eer`, `tar_at_far_*` (exact)
    and `facenet_*` (on FaceNet's grids).
  """
  correct = decisions(distances, is_same, thresholds)
  hits = correct.sum(axis=1)
  per_fold = hits / (len(distances) // NUM_FOLDS)
  metrics = {
    "num_pairs": len(distances),
    "correct_pairs": int(hits.sum()),
    "correct_pairs_per_fold": hits.tolist(),
    "wrong_pairs": np.flatnonzero(~correct).tolist(),
    "accuracy": float(hits.sum() / len(distances)),
    "accuracy_std": float(per_fold.std()),
    "auc": area_under_curve(distances, is_same),
    "eer": equal_error_rate(distances, is_same),
  }
  for name, rate in FALSE_ACCEPT_RATES.items():
    metrics[f"tar_at_far_{name}"] = true_accept_rate(distances, is_same, rate)
  metrics.update(_facenet_metrics(distances, is_same))
  return metrics
