"""Recognition of shrunken faces: what a network sees, and how good it is.

Pure functions, arrays in, a dictionary out.
"""

from typing import Any, Callable, Dict

import numpy as np

from tsenh.data.feature_sets import FeatureSet
from tsenh.recognition import degradation, dense, verification

# Features of unit length, float32 [n, dim], of uint8 [n, size, size, 3].
Network = Callable[[np.ndarray], np.ndarray]


def enlarged(face: np.ndarray, size: int) -> np.ndarray:
  """A face brought to a network's size, bicubic; as it is if it has that.

  Args:
    face: uint8 [h, w, 3].
    size: pixels of a side.
  """
  if face.shape[0] == size:
    return face
  return degradation.shrink(face, size, "bicubic")


def rank1(
  probes: np.ndarray, gallery: np.ndarray, identities: np.ndarray
) -> float:
  """How often the nearest other face of a gallery is the same person's.

  Args:
    probes: float [n, dim], of unit length; those of people with one face alone
      are not looked at.
    gallery: float [n, dim], of unit length, of the same faces, perhaps at
      another resolution; a probe is not compared with itself.
    identities: int [n], -1 is unknown: no probe, and nobody's other face.

  Returns:
    The share, in [0, 1].
  """
  _, person, faces = np.unique(
    identities, return_inverse=True, return_counts=True
  )
  looked_at = np.flatnonzero((faces[person] > 1) & (identities >= 0))
  hits = 0
  for start in range(0, len(looked_at), 512):
    rows = looked_at[start : start + 512]
    similarity = probes[rows] @ gallery.T
    similarity[np.arange(len(rows)), rows] = -np.inf
    hits += int((person[similarity.argmax(axis=1)] == person[rows]).sum())
  return hits / len(looked_at)


def mirrored(network: Network, faces: np.ndarray) -> np.ndarray:
  """Features of faces and of their mirror images, averaged: unit length."""
  total = network(faces) + network(np.ascontiguousarray(faces[:, :, ::-1]))
  return verification.normalize(total).astype(np.float32)


def measure(
  features: np.ndarray, test_set: FeatureSet, with_dense: bool = True
) -> Dict[str, Any]:
  """Verification of one set of features, ten folds and all pairs.

  Args:
    features: float32 [n, dim], of unit length, of the test set's faces.
    test_set: says who they are, and its pairs.
    with_dense: whether all pairs are looked at too, key `dense`.
  """
  distances = verification.squared_distances(features, test_set.pairs)
  measured = verification.verify(distances, test_set.is_same)
  if with_dense and test_set.identities is not None:
    measured["dense"] = dense.measure(features, test_set.identities)
  return measured


def against_sharp(features: np.ndarray, test_set: FeatureSet) -> Dict[str, Any]:
  """Shrunken faces against sharp ones: the gallery is the teacher's.

  Args:
    features: float32 [n, dim], of the shrunken faces.
    test_set: with the teacher's features of the sharp ones.

  Returns:
    `accuracy` and `correct_pairs`, of the pairs with their second face sharp;
    `cosine`, the mean of a face's two features; `rank1`, where it is known who
    they are. Nothing where the dimensions differ.
  """
  sharp = verification.normalize(test_set.features).astype(np.float32)
  if sharp.shape[1] != features.shape[1]:
    return {}
  both = np.concatenate([features, sharp])
  pairs = test_set.pairs + np.array([0, len(sharp)])
  distances = verification.squared_distances(both, pairs)
  verified = verification.verify(distances, test_set.is_same)
  measured = {
    "accuracy": verified["accuracy"],
    "correct_pairs": verified["correct_pairs"],
    "cosine": float((features * sharp).sum(axis=1).mean(dtype=np.float64)),
  }
  if test_set.identities is not None:
    measured["rank1"] = rank1(features, sharp, test_set.identities)
  return measured
