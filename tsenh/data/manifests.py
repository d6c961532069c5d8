"""Which feature sets there are: one manifest for each face network.

A manifest is a JSON file in this folder. It names the network's training,
validation and test sets with what each must hold; everything that depends on a
set's role, size or dimensions asks here. A new network is one manifest and its
arrays. One more may lie elsewhere: the environment variable `TSENH_MANIFEST`
is its path, for commands and the processes that they start.
"""

import dataclasses
import functools
import json
import os
import pathlib
from typing import Dict, Optional, Tuple

from tsenh.base.errors import Error

FOLDER = pathlib.Path(__file__).parent
FURTHER = "TSENH_MANIFEST"
TRAINING, VALIDATION, TEST = "training", "validation", "test"


@dataclasses.dataclass(frozen=True)
class FeatureSetInfo:
  """What a manifest says of one feature set.

  Attributes:
    name: what commands call it.
    network: the name of its face network.
    role: "training", "validation" or "test". Choices are made on a validation
      set, and each look at a test set is logged.
    about: one line for people.
    dim: dimensions of a feature.
    count: how many features there are.
    digest: `FeatureSet.digest`.
    file: its arrays, or those of the set that it is a part of, from this folder
      on. What lies in a folder of its own comes with a clone of the repository
      alone.
    split: where it is a part of a set, the file of the split.
    held_out: whether it is the part that the split holds out.
    protocol: where the file has several lists of pairs, which one: `pairs_ff`
      is that of "ff".
    num_pairs: pairs to verify, or 0.
    correct_pairs: of these, how many uncompressed features decide rightly.
  """

  name: str
  network: str
  role: str
  about: str
  dim: int
  file: str
  count: int = 0
  digest: str = ""
  split: Optional[str] = None
  held_out: bool = False
  protocol: str = ""
  num_pairs: int = 0
  correct_pairs: int = 0


@dataclasses.dataclass(frozen=True)
class Network:
  """One face network and the roles of its feature sets.

  Attributes:
    name: of the network.
    title: for tables.
    default: whether its sets are what commands take unless told otherwise.
    dim: dimensions of a feature.
    training: the set that codecs are trained on.
    tests: sets with pairs, the main one first.
    sets: all of them, by name.
    held_in: the part of the training set that is without the people of
      `validation`: what to train on where a choice is made; or "".
    validation: people apart, with pairs, or "".
  """

  name: str
  title: str
  default: bool
  dim: int
  training: str
  tests: Tuple[str, ...]
  sets: Dict[str, FeatureSetInfo]
  held_in: str = ""
  validation: str = ""


@functools.cache
def networks() -> Dict[str, Network]:
  """All networks by name, the default one first."""
  paths = sorted(FOLDER.glob("*.json"))
  if FURTHER in os.environ:
    paths.append(pathlib.Path(os.environ[FURTHER]))
  found = [_read(path) for path in paths]
  found.sort(key=lambda network: not network.default)
  return {network.name: network for network in found}


def _read(path: pathlib.Path) -> Network:
  manifest = json.loads(path.read_text(encoding="utf-8"))
  dim = manifest["dim"]
  name = path.stem
  sets = {
    key: FeatureSetInfo(name=key, network=name, dim=dim, **values)
    for key, values in manifest.pop("sets").items()
  }
  tests = tuple(manifest.pop("tests"))
  return Network(name=name, sets=sets, tests=tests, **manifest)


def add(path: pathlib.Path) -> Network:
  """Makes one more manifest known, here and in processes that are started.

  Returns:
    Its network.
  """
  os.environ[FURTHER] = str(path)
  networks.cache_clear()
  sets.cache_clear()
  return networks()[path.stem]


def default() -> Network:
  """The network whose sets commands take unless told otherwise."""
  return next(iter(networks().values()))


@functools.cache
def sets() -> Dict[str, FeatureSetInfo]:
  """All feature sets by name, those of the default network first."""
  return {
    name: info
    for network in networks().values()
    for name, info in network.sets.items()
  }


def network_of(name: str) -> Network:
  """The network of a named feature set."""
  return networks()[sets()[name].network]


def find(digest: str) -> Optional[FeatureSetInfo]:
  """The set with these features, by whatever name or path it was loaded."""
  return next((s for s in sets().values() if s.digest == digest), None)


def check_one_network(digests: Dict[str, str]) -> None:
  """Refuses feature sets of several networks: their numbers mean other things.

  Args:
    digests: of each set, by what to call it; sets that no manifest knows may be
      anybody's.

  Raises:
    Error: if two of them are known to be of different networks.
  """
  known = {what: find(digest) for what, digest in digests.items()}
  known = {what: info.network for what, info in known.items() if info}
  for what, network in known.items():
    first = next(iter(known))
    if network != known[first]:
      raise Error(
        f"{first} is of the network {known[first]}, but {what} of {network}."
      )


def is_test(digest: str) -> bool:
  """Whether a look at features is a look at a test set.

  Features that no manifest knows are taken for a test set: somebody brought
  them to find out how good a codec is.
  """
  found = find(digest)
  return found is None or found.role == TEST
