"""Curves over rate: interpolation and Bjontegaard differences.

Pure functions. Rates are bits per face, and everything is interpolated over
their logarithm.
"""

from typing import List, Tuple, Union

import bjontegaard
import numpy as np
import pandas as pd

# Below this share of what two curves span together, their mean difference
# would hang on a corner of them.
MIN_OVERLAP = 0.25


def interpolate(
  bits: np.ndarray, values: np.ndarray, target: float
) -> Union[np.ndarray, None]:
  """Values at a rate, linear in the logarithm of the rate between points.

  Args:
    bits: [points], rising.
    values: [points, ...], measured there.
    target: the rate that is asked for.

  Returns:
    float64 [...]; None beyond the measured rates: nothing is extrapolated.
  """
  if len(bits) < 2 or not bits[0] <= target <= bits[-1]:
    return None
  i = int(np.clip(np.searchsorted(bits, target), 1, len(bits) - 1))
  weight = np.log(target / bits[i - 1]) / np.log(bits[i] / bits[i - 1])
  return (1 - weight) * np.asarray(values[i - 1]) + weight * values[i]


def interpolate_seeds(runs: pd.DataFrame, key: str, target: float) -> pd.Series:
  """`interpolate`, seed by seed.

  Args:
    runs: one method's evaluations: columns seed, setting, bits, and `key`.
    key: a column of arrays, for example the correct pairs of each fold.
    target: the rate that is asked for.

  Returns:
    float64 arrays by seed, of the seeds that have every setting; empty where
    the rate lies beyond what one of them measured.
  """
  found = {}
  for seed, own in runs.sort_values("bits").groupby("seed"):
    if len(own) == runs["setting"].nunique():
      values = np.stack(own[key])
      found[seed] = interpolate(own["bits"].to_numpy(), values, target)
  beyond = any(values is None for values in found.values())
  return pd.Series({} if beyond else found, dtype=object)


Curve = List[Tuple[float, float]]


def _overlap(anchor: np.ndarray, test: np.ndarray) -> float:
  """The common part of two ranges over what they span together."""
  common = min(anchor.max(), test.max()) - max(anchor.min(), test.min())
  spanned = max(anchor.max(), test.max()) - min(anchor.min(), test.min())
  return max(common, 0) / spanned if spanned > 0 else 0.0


def bd_rate(anchor: Curve, test: Curve) -> Union[float, str]:
  """Mean difference in rate at equal quality (Bjontegaard), in percent.

  Args:
    anchor: (bits per face, quality) in order of rate.
    test: the same of the method that is compared with it.

  Returns:
    Negative where `test` needs fewer bits; or, in a word, why there is none:
    quality has to rise with rate, and both have to reach the same qualities.
  """
  if min(len(anchor), len(test)) < 2:
    return ""
  (anchor_bits, anchor_quality), (bits, quality) = map(
    np.transpose, (anchor, test)
  )
  if np.any(np.diff(anchor_quality) <= 0):
    return "anchor not monotone"
  if np.any(np.diff(quality) <= 0):
    return "not monotone"
  overlap = _overlap(anchor_quality, quality)
  if overlap < MIN_OVERLAP:
    return "little overlap" if overlap else "no overlap"
  return float(
    bjontegaard.bd_rate(
      anchor_bits,
      anchor_quality,
      bits,
      quality,
      method="pchip",
      require_matching_points=False,
      min_overlap=0,
    )
  )
