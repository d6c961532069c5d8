"""Builds a network's shipped feature sets and its validation split.

  python -m experiments.build_data --network=fullrank --faces=faces128.npz \
      --lfw=lfw128.npz --cfp=cfp128.npz
  python -m experiments.build_data --network=rank64 --faces=faces.npz \
      --lfw=lfw.npz
  python -m experiments.build_data --network=dlib --dlib=dlib.npz

The originals are feature sets (tsenh/data/DATA_CARD.md says where they came
from); what is written to tsenh/data/ is float16. Into the manifest there go the
counts and digests of its sets, and what uncompressed features score. Run once;
the results are part of the repository. dlib's photographs are those of the
rank-64 sets, which must be there first.
"""

import dataclasses
import json
import pathlib

import numpy as np
from absl import flags

from experiments import own_sets
from tsenh.base import command_line, files
from tsenh.base.errors import Error
from tsenh.data import feature_sets, manifests
from tsenh.data.feature_sets import FeatureSet

_NETWORK = flags.DEFINE_enum(
  "network", None, ["fullrank", "rank64", "dlib"], "Whose features."
)
_FACES = flags.DEFINE_string("faces", None, "Training set.")
_LFW = flags.DEFINE_string("lfw", None, "Test set with pairs.")
_CFP = flags.DEFINE_string(
  "cfp",
  None,
  "fullrank's second test set: arrays features, names, identities, and pairs"
  " and is_same of each protocol, with _ff and _fp at the end.",
)
_DLIB = flags.DEFINE_string(
  "dlib",
  None,
  "dlib's features: arrays faces, faces_names, lfw, lfw_names.",
)
flags.mark_flags_as_required(["network"])

FULLRANK_PROVENANCE = (
  "Features of public research photographs by a MobileFaceNet with a linear"
  " layer of 128, unit norm, stored as float16; see DATA_CARD.md."
)
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
# With people of many photographs, few pairs of each: more people, and a test
# with more power. The other networks have people of two or three.
MAX_PAIRS_PER_IDENTITY = {"fullrank": 2, "rank64": 6, "dlib": 6}


def photograph(name: str) -> str:
  """What all copies of one photograph share.

  Of CelebA, whose aligned and unaligned copies lie in several folders, the file
  number; of other collections the whole name but for `#flipped`.
  """
  name = name.split("#")[0]
  if name.startswith("celeba"):
    return name.split("/")[-1].split("_")[-1]
  return name


def validation_split(faces: FeatureSet, max_pairs_per_identity: int):
  """Ten folds of pairs from people who are then left out of training.

  No person is in two folds, no pair shows one photograph twice, and all faces
  of a chosen person, mirror images too, are held out.

  Args:
    faces: the training set, with names; mirror images end in `#flipped`.
    max_pairs_per_identity: same pairs of one person.

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
      picked = rng.permutation(len(own))[:max_pairs_per_identity]
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
    order = [rows[pathlib.Path(name).stem] for name in lfw.names.tolist()]
    test = dataclasses.replace(lfw, features=arrays["lfw"][order])
  return training, test


def save(path: str, provenance: str, **arrays: np.ndarray) -> None:
  """Writes features as float16, row numbers as int32."""
  arrays = {k: v for k, v in arrays.items() if v is not None}
  for key, array in arrays.items():
    if key == "identities" or key.startswith("pairs"):
      arrays[key] = array.astype(np.int32)
  arrays["features"] = arrays["features"].astype(np.float16)
  arrays["provenance"] = provenance
  files.write_arrays(str(path), arrays, np.savez_compressed)


def save_sets(folder: pathlib.Path, provenance: str, **sets: FeatureSet):
  """Writes feature sets under their names."""
  folder.mkdir(exist_ok=True)
  for name, feature_set in sets.items():
    arrays = {**vars(feature_set)}
    del arrays["provenance"]
    save(folder / f"{name}.npz", provenance, **arrays)


def save_split(folder: pathlib.Path, network: str) -> None:
  """Writes the validation split of a network's training set."""
  training_set = feature_sets.load(str(folder / "faces.npz"))
  split = validation_split(training_set, MAX_PAIRS_PER_IDENTITY[network])
  files.write_arrays(
    str(folder / "validation.npz"),
    dict(zip(("held_out", "pairs", "is_same"), split)),
    np.savez_compressed,
  )


def update(network: str) -> None:
  """Brings the measured values of a manifest up to date."""
  path = manifests.FOLDER / f"{network}.json"
  manifest = json.loads(path.read_text())
  for name, values in manifest["sets"].items():
    values.update(own_sets.measure(feature_sets.load(name)))
  files.write_json(str(path), manifest)


def _given(flag) -> str:
  if flag.value is None:
    raise Error(f"--network={_NETWORK.value} needs --{flag.name}.")
  return flag.value


def _load(flag) -> FeatureSet:
  return feature_sets.load(_given(flag))


def main():
  network = _NETWORK.value
  folder = manifests.FOLDER
  if network == "fullrank":
    faces, lfw = _load(_FACES), _load(_LFW)
    _load(_CFP)  # Checks its features.
    save_sets(folder, FULLRANK_PROVENANCE, faces=faces, lfw=lfw)
    with np.load(_CFP.value) as arrays:
      kept = {key: arrays[key] for key in arrays.files if key != "provenance"}
      save(folder / "cfp.npz", FULLRANK_PROVENANCE, **kept)
  else:
    folder /= network
    provenance = PROVENANCE
    if network == "dlib":
      provenance = DLIB_PROVENANCE
      shown = map(feature_sets.load, ("rank64-faces", "rank64-lfw"))
      faces, lfw = dlib_sets(_given(_DLIB), *shown)
    else:
      faces, lfw = _load(_FACES), _load(_LFW)
    save_sets(folder, provenance, faces=faces, lfw=lfw)
  save_split(folder, network)
  update(network)


if __name__ == "__main__":
  command_line.run(main)
