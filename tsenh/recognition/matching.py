"""Which feature belongs to which image: both are known by names."""

import pathlib
from typing import Iterable, Sequence

import numpy as np

from tsenh.base.errors import Error
from tsenh.data.feature_sets import FeatureSet
from tsenh.recognition.image_sets import ImageSet


def _stem(name: str) -> str:
  return pathlib.PurePosixPath(name).stem


def rows(names: Iterable[str], of: Iterable[str]) -> np.ndarray:
  """Where each name is in a list: int64, -1 where it is not.

  Names are compared whole and, where that finds nothing, without folders and
  suffix: LFW's features are called as in pairs.txt, its images are files.

  Args:
    names: to be found.
    of: the list.
  """
  of = list(of)
  whole = {name: row for row, name in enumerate(of)}
  stems = {_stem(name): row for row, name in enumerate(of)}
  return np.array(
    [whole.get(name, stems.get(_stem(name), -1)) for name in names], np.int64
  )


def rows_of(images: ImageSet, names: Sequence[str]) -> np.ndarray:
  """The row of each name among images, int64 [n].

  Args:
    images: in which to look.
    names: of a feature set.

  Raises:
    Error: if an image is missing.
  """
  found = rows(names, images.names.tolist())
  missing = [name for name, row in zip(names, found) if row < 0]
  if missing:
    raise Error(
      f"{images.source}: lacks {len(missing)} of {len(names)} faces, the first"
      f" is {missing[0]}."
    )
  return found


def features_of(names, known: FeatureSet, source: str) -> np.ndarray:
  """The features of images, float32 [n, dim].

  Args:
    names: of the images.
    known: the features.
    source: where they are from, for the message.

  Raises:
    Error: if one is missing.
  """
  if known.names is None:
    raise Error(f"{source}: has no names to find the faces by.")
  found = rows(names, known.names.tolist())
  missing = [name for name, row in zip(names, found) if row < 0]
  if missing:
    raise Error(
      f"{source}: has no feature of {missing[0]}, nor of {len(missing) - 1}"
      " others."
    )
  return known.features[found]
