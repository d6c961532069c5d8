"""Builds the shipped feature sets and the validation split from the originals.

  python -m experiments.build_data --faces=faces.npz --lfw=lfw.npz \
      --dlib=dlib.npz

The originals are float32 feature sets (tsenh/data/DATA_CARD.md says where they
came from); what is written to tsenh/data/ is float16. Into each manifest there
go the counts and digests of its sets, and what uncompressed features score. Run
once; the results are part of the package.
"""

import dataclasses
import json
import pathlib

import numpy as np
from absl import flags

from tsenh.base import command_line, files
from tsenh.data import feature_sets, manifests
from tsenh.data.feature_sets import FeatureSet
from tsenh.recognition import verification

_FACES = flags.DEFINE_string("faces", None, "Training set, float32.")
_LFW = flags.DEFINE_string("lfw", None, "Test set with pairs, float32.")
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


def validation_split(faces: FeatureSet):
  """Ten folds of pairs from people who are then left out of training.

  No person is in two folds, no pair shows one photograph twice, and all faces
  of a chosen person, mirror images too, are held out.

  Args:
    faces: the training set, with names; mirror images end in `#flipped`.

  Returns:
    held_out int32 [k] (rows of `faces`), pairs int32 [6000, 2] (rows of the
    held-out faces, in that order) and is_same bool [6000].
  """
  rng = np.random.default_rng(SPLIT_SEED)
  originals = np.flatnonzero(~np.char.endswith(faces.names, "#flipped"))
  people, counts = np.unique(
    faces.identities[originals][faces.identities[originals] >= 0],
    return_counts=True,
  )
  candidates = rng.permutation(people[counts >= 2]).tolist()
  chosen, pairs, is_same = [], [], []
  for _ in range(feature_sets.NUM_FOLDS):
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


def dlib_sets(path: str, faces: FeatureSet, lfw: FeatureSet):
  """The training and test set of dlib, for the same photographs.

  Args:
    path: of its features.
    faces: tells whose face each photograph of the training set shows.
    lfw: has the pairs of the test set.
  """
  person = dict(zip(faces.names.tolist(), faces.identities.tolist()))
  with np.load(path) as arrays:
    names = arrays["faces_names"]
    identities = np.array([person[name] for name in names.tolist()])
    training = FeatureSet(arrays["faces"], names, identities)
    rows = {name: i for i, name in enumerate(arrays["lfw_names"].tolist())}
    order = [rows[photograph(n).split(".")[0]] for n in lfw.names.tolist()]
    test = dataclasses.replace(lfw, features=arrays["lfw"][order])
  return training, test


def save(name: str, feature_set: FeatureSet, provenance: str) -> None:
  """Writes a set as float16, its row numbers as int32."""
  arrays = {k: v for k, v in vars(feature_set).items() if v is not None}
  for key in {"identities", "pairs"} & set(arrays):
    arrays[key] = arrays[key].astype(np.int32)
  arrays["features"] = arrays["features"].astype(np.float16)
  arrays["provenance"] = provenance
  path = str(manifests.FOLDER / f"{name}.npz")
  files.write_arrays(path, arrays, np.savez_compressed)


def save_split(name: str, training_set: str) -> None:
  """Writes the validation split of a training set."""
  split = validation_split(feature_sets.load(training_set))
  files.write_arrays(
    str(manifests.FOLDER / f"{name}.npz"),
    dict(zip(("held_out", "pairs", "is_same"), split)),
    np.savez_compressed,
  )


def measure(name: str) -> dict:
  """What a manifest says of a set's content."""
  found = feature_sets.load(name)
  measured = {"count": len(found.features), "digest": found.digest()}
  if found.pairs is not None:
    distances = verification.squared_distances(found.features, found.pairs)
    hits = verification.decisions(distances, found.is_same).sum()
    measured["num_pairs"] = len(found.pairs)
    measured["correct_pairs"] = int(hits)
  return measured


def update(path: pathlib.Path) -> None:
  """Brings the measured values of a manifest up to date."""
  manifest = json.loads(path.read_text())
  for name, values in manifest["sets"].items():
    values.update(measure(name))
  files.write_json(str(path), manifest)


def main():
  faces, lfw = feature_sets.load(_FACES.value), feature_sets.load(_LFW.value)
  dlib_faces, dlib_lfw = dlib_sets(_DLIB.value, faces, lfw)
  save("faces", faces, PROVENANCE)
  save("lfw", lfw, PROVENANCE)
  save("dlib-faces", dlib_faces, DLIB_PROVENANCE)
  save("dlib-lfw", dlib_lfw, DLIB_PROVENANCE)
  save_split("validation", "faces")
  save_split("dlib-validation", "dlib-faces")
  for path in sorted(manifests.FOLDER.glob("*.json")):
    update(path)


if __name__ == "__main__":
  command_line.run(main)
