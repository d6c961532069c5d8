"""Builds the shipped feature sets and the validation split from the originals.

  python -m experiments.build_data --faces=faces.npz --lfw=lfw.npz \
      --dlib=dlib.npz

The originals are float32 feature sets (tsenh/data/DATA_CARD.md says where they
came from); what is written to tsenh/data/ is float16. Run once; the results are
part of the package.
"""

import dataclasses
import pathlib

import numpy as np
from absl import flags

from tsenh import cli, features, files, verification

_FACES = flags.DEFINE_string("faces", None, "Training set, float32.")
_LFW = flags.DEFINE_string("lfw", None, "Test set with pairs, float32.")
_OUTPUT = flags.DEFINE_string("output", "tsenh/data", "Folder to write to.")
_DLIB = flags.DEFINE_string(
  "dlib",
  None,
  "dlib's features, float32: arrays faces, faces_names, lfw, lfw_names.",
)
flags.mark_flags_as_required(["faces", "lfw", "dlib"])

PROVENANCE = (
  "MobileFaceNet features of public research photographs, PCA to 128"
  " dimensions and a fixed rotation, unit norm, stored as float16; see"
  " DATA_CARD.md."
)
DLIB_PROVENANCE = (
  "dlib's 128-dimensional face descriptors of public research photographs,"
  " stored as float16; see DATA_CARD.md."
)
SPLIT_SEED = 2020
PAIRS_PER_FOLD = 300  # Of each kind, as in LFW.
MAX_PAIRS_PER_IDENTITY = 6


def photograph(name: str) -> str:
  """The CelebA file number: the same in its aligned and unaligned copies."""
  return name.split("/")[-1].split("#")[0]


def validation_split(faces: features.FeatureSet):
  """Ten folds of pairs from people who are then left out of training.

  No person is in two folds, no pair shows one photograph twice, and all faces
  of a chosen person, mirror images too, are held out.

  Args:
    faces: the training set; identities of its first half repeat in the second,
      which holds the mirror images.

  Returns:
    held_out int32 [k] (rows of `faces`), pairs int32 [6000, 2] (rows of the
    held-out faces, in that order) and is_same bool [6000].
  """
  rng = np.random.default_rng(SPLIT_SEED)
  originals = np.arange(len(faces.features) // 2)
  people, counts = np.unique(
    faces.identities[originals][faces.identities[originals] >= 0],
    return_counts=True,
  )
  candidates = rng.permutation(people[counts >= 2]).tolist()
  chosen, pairs, is_same = [], [], []
  for _ in range(verification.NUM_FOLDS):
    same, members = [], []
    while len(same) < PAIRS_PER_FOLD:
      person = candidates.pop()
      chosen.append(person)
      rows = originals[faces.identities[originals] == person]
      members.append(rows)
      first, second = np.triu_indices(len(rows), 1)
      own = [
        pair
        for pair in zip(rows[first], rows[second])
        if photograph(faces.names[pair[0]]) != photograph(faces.names[pair[1]])
      ]
      picked = rng.permutation(len(own))[:MAX_PAIRS_PER_IDENTITY]
      same += [own[i] for i in picked]
    different = set()
    while len(different) < PAIRS_PER_FOLD:
      a, b = rng.choice(len(members), 2, replace=False)
      different.add((rng.choice(members[a]), rng.choice(members[b])))
    pairs += same[:PAIRS_PER_FOLD] + sorted(different)
    is_same += [True] * PAIRS_PER_FOLD + [False] * PAIRS_PER_FOLD
  held_out = np.flatnonzero(np.isin(faces.identities, chosen))
  pairs = np.searchsorted(held_out, np.array(pairs))
  return held_out.astype(np.int32), pairs.astype(np.int32), np.array(is_same)


def dlib_sets(path: str, lfw: features.FeatureSet):
  """The training and test set of dlib, the latter with the pairs of `lfw`."""
  with np.load(path) as arrays:
    faces = features.FeatureSet(arrays["faces"], arrays["faces_names"])
    rows = {name: i for i, name in enumerate(arrays["lfw_names"].tolist())}
    order = [rows[photograph(n).split(".")[0]] for n in lfw.names.tolist()]
    test = dataclasses.replace(lfw, features=arrays["lfw"][order])
  return faces, test


def save(path: str, feature_set: features.FeatureSet, provenance: str) -> None:
  arrays = vars(feature_set)
  arrays = {key: value for key, value in arrays.items() if value is not None}
  for key in {"identities", "pairs"} & set(arrays):
    arrays[key] = arrays[key].astype(np.int32)
  arrays["features"] = arrays["features"].astype(np.float16)
  arrays["provenance"] = provenance
  files.write_arrays(path, arrays, np.savez_compressed)


def main():
  output = pathlib.Path(_OUTPUT.value)
  lfw = features.load(_LFW.value)
  dlib_faces, dlib_lfw = dlib_sets(_DLIB.value, lfw)
  save(str(output / "faces.npz"), features.load(_FACES.value), PROVENANCE)
  save(str(output / "lfw.npz"), lfw, PROVENANCE)
  save(str(output / "dlib-faces.npz"), dlib_faces, DLIB_PROVENANCE)
  save(str(output / "dlib-lfw.npz"), dlib_lfw, DLIB_PROVENANCE)
  faces = features.load(str(output / "faces.npz"))
  held_out, pairs, is_same = validation_split(faces)
  files.write_arrays(
    str(output / "validation.npz"),
    {"held_out": held_out, "pairs": pairs, "is_same": is_same},
    np.savez_compressed,
  )
  print(f"held out {len(held_out)} of {len(faces.features)} rows")


if __name__ == "__main__":
  cli.run(main)
