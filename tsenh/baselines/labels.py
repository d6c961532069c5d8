"""Whom supervised hashing learns from."""

import numpy as np

MIN_FACES = 5


def labelled(identities: np.ndarray) -> np.ndarray:
  """Rows of the faces of people with `MIN_FACES` faces or more.

  Paper-silent (labelled_sets). Mirror images count as faces.

  Args:
    identities: int [n], -1 where unknown.

  Returns:
    int64 [k], those of the people with the most faces first.
  """
  known = np.flatnonzero(identities >= 0)
  _, person, faces = np.unique(
    identities[known], return_inverse=True, return_counts=True
  )
  order = np.lexsort([person, -faces[person]])
  return known[order][: int((faces[person] >= MIN_FACES).sum())]
