"""How near features that are extracted again come to the stored ones."""

import pathlib
from typing import Any, Dict

import numpy as np

from tsenh.base.errors import Error
from tsenh.data.feature_sets import FeatureSet
from tsenh.recognition import verification

# What a feature may be away from the stored one, as a cosine distance.
TOLERANCE = 1e-3


def compared(
  found: FeatureSet, features: np.ndarray, stored: FeatureSet
) -> Dict[str, Any]:
  """How far features are from stored ones of the same photographs.

  Args:
    found: names and, if they are to be decided, pairs.
    features: float32 [n, dim], of `found`, or what was made of its features.
    stored: features, and names of the photographs, with suffixes or without.

  Returns:
    The median and the largest cosine distance of a feature to the stored one of
    the same name, and how many are beyond `TOLERANCE`; the decisions on the
    pairs.

  Raises:
    Error: if one of the stored photographs is not there.
  """
  stems = [pathlib.PurePosixPath(n).stem for n in found.names.tolist()]
  rows = {stem: row for row, stem in enumerate(stems)}
  wanted = [pathlib.PurePosixPath(n).stem for n in stored.names.tolist()]
  missing = [stem for stem in wanted if stem not in rows]
  if missing:
    raise Error(f"no feature of {len(missing)} photographs: {missing[0]}, ...")
  own = verification.normalize(features[[rows[stem] for stem in wanted]])
  apart = 1 - np.sum(own * verification.normalize(stored.features), axis=1)
  measured = {
    "compared": len(wanted),
    "beyond_tolerance": int((apart > TOLERANCE).sum()),
    "median_cosine_distance": float(np.median(apart)),
    "largest_cosine_distance": float(apart.max()),
  }
  if found.pairs is not None:
    distances = verification.squared_distances(features, found.pairs)
    hits = verification.decisions(distances, found.is_same).sum()
    measured.update(correct_pairs=int(hits), num_pairs=len(found.pairs))
  return measured


def projected(features: np.ndarray, matrix: np.ndarray) -> np.ndarray:
  """The shipped form of rank64's features: [n, 192] to unit length in 128."""
  return verification.normalize(verification.normalize(features) @ matrix)
