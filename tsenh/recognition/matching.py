"""Which feature belongs to which image: both are known by names."""

import collections
import pathlib
from typing import Iterable, Sequence

import numpy as np

from tsenh.base.errors import Error
from tsenh.data.feature_sets import FeatureSet
from tsenh.recognition.image_sets import ImageSet
from tsenh.recognition.photographs import SUFFIXES


def _path(name: str) -> str:
  """A name without an image's suffix; a person's number may follow a dot."""
  path = pathlib.PurePosixPath(name)
  known = path.suffix.lower() in SUFFIXES
  return str(path.with_suffix("") if known else path)


def _stem(name: str) -> str:
  return pathlib.PurePosixPath(_path(name)).name


_WAYS = (str, _path, _stem)


def rows(names: Iterable[str], of: Iterable[str]) -> np.ndarray:
  """Where each name is in a list: int64, -1 where it is not.

  Names are compared whole; where that finds nothing, without an image's suffix;
  and then without folders: LFW's features are called as in pairs.txt, its
  images are files. What several of the list are called then is none of them.

  Args:
    names: to be found.
    of: the list.
  """
  of = list(of)
  found = []
  for way in _WAYS:
    called = [way(name) for name in of]
    count = collections.Counter(called)
    found.append({c: row for row, c in enumerate(called) if count[c] == 1})
  return np.array(
    [
      next(
        (rows[way(n)] for way, rows in zip(_WAYS, found) if way(n) in rows), -1
      )
      for n in names
    ],
    np.int64,
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
