"""What chance does: spreads, and tests of one method against another.

Two things vary. Another *seed* is another training of the same codec; another
*fold* is another 600 pairs of faces. Their spreads are kept apart. A difference
between two methods is tested over both at once. Pure functions.
"""

from typing import Any, Dict, List, NamedTuple, Optional, Sequence

import numpy as np
import pandas as pd

from tsenh.recognition import dense

NUM_SAMPLES = 20_000


def accuracies(hits: np.ndarray, num_pairs: int) -> np.ndarray:
  """Accuracy of each seed in percent.

  Args:
    hits: [seeds, folds], correct pairs.
    num_pairs: of all folds together.

  Returns:
    float64 [seeds].
  """
  return 100 * hits.sum(axis=1) / num_pairs


def accuracy(hits: Optional[np.ndarray], num_pairs: int) -> Optional[float]:
  """The mean over seeds of `accuracies`; None where nothing was measured."""
  return None if hits is None else float(accuracies(hits, num_pairs).mean())


def seed_spread(hits: np.ndarray, num_pairs: int) -> Optional[float]:
  """Standard deviation of the accuracy over seeds (divisor n - 1), in points.

  Args:
    hits: [seeds, folds], correct pairs.
    num_pairs: of all folds together.

  Returns:
    None where there is one seed, which says nothing of others.
  """
  if len(hits) < 2:
    return None
  return float(accuracies(hits, num_pairs).std(ddof=1))


def fold_spread(hits: np.ndarray, num_pairs: int) -> float:
  """Standard deviation over folds (divisor n, as FaceNet has it), in points.

  Args:
    hits: [seeds, folds], correct pairs.
    num_pairs: of all folds together.

  Returns:
    The mean over seeds of each one's spread over its folds.
  """
  pairs_per_fold = num_pairs / hits.shape[1]
  return float((100 * hits / pairs_per_fold).std(axis=1).mean())


class Difference(NamedTuple):
  """How much more accurate the second method is, in points.

  Attributes:
    points: second minus first.
    low: lower end of the 95 % interval.
    high: upper end.
    p: two-sided, of no difference.
    seeds_agree: whether there are three seeds or more, and the difference has
      the same sign in each.
  """

  points: float
  low: float
  high: float
  p: float
  seeds_agree: bool


def bootstrap(
  first: np.ndarray, second: np.ndarray, num_pairs: int
) -> Difference:
  """A paired difference, with seeds and folds resampled together.

  Each sample draws seeds and, crossed with them, folds, with replacement: what
  would other trainings have given on other pairs? In
  simulations without a difference p is below 0.05 in 3 to 8 cases of 100 where
  folds or single pairs make the noise, but in 15 where five seeds alone do:
  five are few. Hence `seeds_agree`, with which it is 8 at most; whoever claims
  a difference should ask for both.

  Args:
    first: [seeds, folds], correct pairs; one row is compared with each of the
      other's (a method without seeds).
    second: the same of the second method, row for row the same seeds.
    num_pairs: of all folds together.

  Returns:
    The difference; its random numbers are always the same.
  """
  gain = np.asarray(second, np.float64) - np.asarray(first, np.float64)
  gain *= 100 * gain.shape[1] / num_pairs  # Points, of each seed and fold.
  seeds, folds = gain.shape
  random = np.random.default_rng(0)
  # How often each is drawn says all of a sample.
  seed_counts = random.multinomial(seeds, [1 / seeds] * seeds, NUM_SAMPLES)
  fold_counts = random.multinomial(folds, [1 / folds] * folds, NUM_SAMPLES)
  samples = np.sum((seed_counts @ gain) * fold_counts, axis=1) / gain.size
  # Sums of the same counts in another order may miss zero by rounding.
  samples[np.abs(samples) < 1e-9] = 0
  tail = min(np.sum(samples <= 0), np.sum(samples >= 0))
  low, high = np.percentile(samples, [2.5, 97.5])
  return Difference(
    float(gain.mean()),
    float(low),
    float(high),
    float(min(1, 2 * (tail + 1) / (NUM_SAMPLES + 1))),
    seeds >= 3 and abs(int(np.sign(gain.mean(axis=1)).sum())) == seeds,
  )


def compare(
  first: pd.Series,
  second: pd.Series,
  num_pairs: int,
  paired: bool,
  metric: Optional[str] = None,
) -> Optional[Dict[str, Any]]:
  """A test of two methods' trainings, matched by their seeds.

  Args:
    first: by seed, hits [folds] or dense measurements (`dense.read`) of what is
      compared with. A single training is compared with each of the other's, but
      where `paired`.
    second: the same of what may differ.
    num_pairs: of all folds together.
    paired: whether a training of the second starts from that of the first.
    metric: of `dense.METRICS`, compared by `dense.compare`; None: accuracy over
      the folds, by `bootstrap`.

  Returns:
    A `Difference` as a dictionary, with percentages first and second,
    num_seeds, and seeds, in words; None without a seed in common.
  """
  first, second = first.dropna(), second.dropna()
  if paired or len(first) > 1:
    common = first.index.intersection(second.index)
    first, second = first[common], second[common]
  if first.empty or second.empty:
    return None
  counts = dict.fromkeys((len(second), len(first)))
  first, second = np.stack(list(first)), np.stack(list(second))
  if metric is None:
    found = bootstrap(first, second, num_pairs)._asdict()
    found["difference"] = found.pop("points")
    found["first"] = accuracy(first, num_pairs)
    found["second"] = accuracy(second, num_pairs)
  else:
    column = dense.METRICS.index(metric)
    *points, p = dense.compare(first, second)[metric]
    found = {k: 100 * v for k, v in zip(("difference", "low", "high"), points)}
    first, second = first[:, 0, column], second[:, 0, column]
    signs = np.sign(second - first)
    found["seeds_agree"] = len(signs) > 2 and abs(signs.sum()) == len(signs)
    found.update(p=p, first=100 * first.mean(), second=100 * second.mean())
  found["num_seeds"] = len(second)
  found["seeds"] = ", ".join(str(count) for count in counts)
  return found


def holm(p_values: Sequence[float]) -> List[float]:
  """Holm's correction: p values of tests that are looked at together.

  Args:
    p_values: of each test alone.

  Returns:
    The corrected ones, in the same order.
  """
  corrected = [0.0] * len(p_values)
  largest = 0.0
  order = sorted(range(len(p_values)), key=lambda i: p_values[i])
  for rank, i in enumerate(order):
    largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
    corrected[i] = largest
  return corrected
