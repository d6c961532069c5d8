"""A manifest of somebody's own feature sets, brought to the form of the others.

It is a JSON file, and its name is the network's:

  {
    "title": "FaceNet, 20180402-114759",
    "training": "faces.npz",
    "test": "lfw.npz"
  }

The paths are from the file on; the test set has pairs. What the manifests of
the project hold beside that is measured here. The sets are then called by the
names of manifest and file, as mine-faces and mine-lfw of mine.json.
"""

import json
import pathlib
from typing import Any, Dict

from tsenh.base import files
from tsenh.base.errors import Error
from tsenh.data import feature_sets, manifests
from tsenh.data.feature_sets import FeatureSet
from tsenh.recognition import verification

_KEYS = ("title", "training", "test")


def measure(found: FeatureSet) -> Dict[str, Any]:
  """What a manifest says of a set's content."""
  measured = {"count": len(found.features), "digest": found.digest()}
  if found.pairs is not None:
    distances = verification.squared_distances(found.features, found.pairs)
    hits = verification.decisions(distances, found.is_same).sum()
    measured["num_pairs"] = len(found.pairs)
    measured["correct_pairs"] = int(hits)
  return measured


def network(name: str, folder: pathlib.Path) -> manifests.Network:
  """The network of that name, or of a manifest as above.

  Args:
    name: of a network, or the path of a manifest, which ends in .json.
    folder: see `add`.

  Raises:
    Error: if there is none; also as `add` does.
  """
  if name.endswith(".json"):
    return add(name, folder)
  known = manifests.networks()
  if name not in known:
    raise Error(
      f"--network={name}: neither a manifest's path, which ends in .json, nor"
      f" one of {', '.join(known)}."
    )
  return known[name]


def add(source: str, folder: pathlib.Path) -> manifests.Network:
  """Makes the sets of a manifest known, here and in processes that are started.

  Args:
    source: the path of a manifest as above.
    folder: where the complete one goes.

  Returns:
    The network.

  Raises:
    Error: if it is no such manifest, or its sets do not go together.
  """
  path = pathlib.Path(source)
  given = _read(path)
  known = manifests.networks().get(path.stem)
  if known and known.validation:
    raise Error(f"{path}: {path.stem} is a network of the project; rename it.")
  sets, dims, names = {}, [], {}
  for role in (manifests.TRAINING, manifests.TEST):
    file = (path.parent / given[role]).resolve()
    found = feature_sets.load(str(file))
    measured = measure(found)
    if role == manifests.TEST and "num_pairs" not in measured:
      raise Error(f"{file}: has no pairs to verify; extract it with --pairs.")
    names[role] = f"{path.stem}-{file.stem}"
    dims.append(found.features.shape[1])
    about = f"{given['title']}, {role} set"
    sets[names[role]] = dict(role=role, about=about, file=str(file), **measured)
  if len(sets) != 2 or len({s["digest"] for s in sets.values()}) != 2:
    raise Error(f"{path}: training and test set must differ, in name too.")
  if dims[0] != dims[1]:
    raise Error(f"{path}: its sets have {dims[0]} and {dims[1]} dimensions.")
  complete = {
    "title": given["title"],
    "default": False,
    "dim": dims[0],
    "training": names[manifests.TRAINING],
    "tests": [names[manifests.TEST]],
    "sets": sets,
  }
  folder.mkdir(parents=True, exist_ok=True)
  files.write_json(str(folder / f"{path.stem}.json"), complete)
  return manifests.add(folder / f"{path.stem}.json")


def _read(path: pathlib.Path) -> Dict[str, str]:
  """The manifest as it was written by hand."""
  if not path.is_file():
    raise Error(f"{path}: no such manifest.")
  try:
    given = json.loads(path.read_text(encoding="utf-8"))
  except ValueError as error:
    raise Error(f"{path}: not a JSON file ({error}).") from error
  right = isinstance(given, dict) and given.keys() == {*_KEYS}
  if not right or not all(isinstance(v, str) for v in given.values()):
    raise Error(f"{path}: expected the texts {', '.join(_KEYS)}, no others.")
  return given
