"""Features as a Gaussian vector: histograms, covariance, rate and distortion.

Pure functions; experiments.studies.describe_features writes what they find.
"""

from typing import Any, Dict, Tuple

import numpy as np

# The paper shows several and does not say which; these are spread evenly.
DIMENSIONS = (0, 42, 85, 127)
NUM_BINS = 50
# Bits per face of the bound, beyond those of all methods on both sides.
BITS = (16, 2048)


def reverse_water_filling(
  eigenvalues: np.ndarray, water_levels: np.ndarray
) -> Tuple[np.ndarray, np.ndarray]:
  """The rate-distortion function of a Gaussian vector (Cover & Thomas, 10.3.3).

  Components of less variance than the water level are dropped, the others get
  the level as their error.

  Args:
    eigenvalues: [dim], of the covariance.
    water_levels: [levels], positive.

  Returns:
    Bits per vector and mean squared error per dimension, float64 [levels] each.
  """
  variance = np.maximum(np.asarray(eigenvalues, np.float64), 0)[None]
  level = np.asarray(water_levels, np.float64)[:, None]
  ratio = np.maximum(variance, level) / level
  bits = 0.5 * np.log2(ratio).sum(axis=1)
  return bits, np.minimum(variance, level).mean(axis=1)


def describe(vectors: np.ndarray) -> Dict[str, Any]:
  """Histograms, covariance and Gaussian bound of features.

  Args:
    vectors: float32 [n, dim].

  Returns:
    `num_features`; `variance`, the mean over dimensions; `eigenvalues` of the
    covariance, falling; `gaussian_bound`, lists of `bits_per_feature` and
    `mse` per dimension; `histograms`, one for each of `DIMENSIONS` that there
    is: its `dimension`, `mean` and `standard_deviation`, `edges` [bins + 1]
    and `density` [bins] of the features.
  """
  vectors = np.asarray(vectors, np.float64)
  eigenvalues = np.linalg.eigvalsh(np.cov(vectors, rowvar=False, bias=True))
  eigenvalues = np.maximum(eigenvalues[::-1], 0)
  levels = np.geomspace(eigenvalues[0], eigenvalues[0] * 1e-12, 2000)
  bits, mse = reverse_water_filling(eigenvalues, levels)
  shown = np.geomspace(*BITS, 57)
  histograms = []
  for dimension in DIMENSIONS:
    if dimension < vectors.shape[1]:
      values = vectors[:, dimension]
      density, edges = np.histogram(values, NUM_BINS, density=True)
      histograms.append(
        {
          "dimension": dimension,
          "mean": float(values.mean()),
          "standard_deviation": float(values.std()),
          "edges": edges.tolist(),
          "density": density.tolist(),
        }
      )
  return {
    "num_features": len(vectors),
    "variance": float(eigenvalues.mean()),
    "eigenvalues": eigenvalues.tolist(),
    "gaussian_bound": {
      "bits_per_feature": shown.tolist(),
      "mse": np.exp(np.interp(shown, bits, np.log(mse))).tolist(),
    },
    "histograms": histograms,
  }
