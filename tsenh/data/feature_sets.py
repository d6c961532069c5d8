"""Feature sets on disk: load, check, save.

A feature set is a `.npz` file with the arrays

| array        | dtype, shape              |                                  |
|--------------|---------------------------|----------------------------------|
| `features`   | float32 or float16 [n, d] | one feature a row; required      |
| `names`      | str [n]                   | e.g. the image each came from    |
| `identities` | int [n]                   | who it shows; -1 is unknown      |
| `pairs`      | int [m, 2]                | rows to verify, in ten folds     |
| `is_same`    | bool [m]                  | whether a pair is one person     |
| `provenance` | str                       | where the features came from     |

or a plain `.npy` file with `features` alone, or a folder of shards
(`tsenh.data.shards`). The sets that come with the
package are known by name wherever a path is (`tsenh.data.manifests`).
"""

import dataclasses
import hashlib
import pathlib
import zipfile
from typing import BinaryIO, Optional

import numpy as np

from tsenh.base import arrays, files
from tsenh.base.errors import Error
from tsenh.data import manifests, shards

NUM_FOLDS = 10  # Of the pairs, contiguous and equally long, as LFW has them.
MAX_MAGNITUDE = 1e6
_CHECKED_ROWS = 65536  # Rows checked at a time, so that a memory map stays one.


@dataclasses.dataclass(frozen=True)
class FeatureSet:
  """Features and what is known about them.

  Attributes:
    features: float32 [n, dim].
    names: str [n], or None.
    identities: int64 [n], -1 for unknown, or None.
    pairs: int64 [m, 2], rows of `features`, ten contiguous folds, or None.
    is_same: bool [m], or None.
    provenance: where the features came from.
  """

  features: np.ndarray
  names: Optional[np.ndarray] = None
  identities: Optional[np.ndarray] = None
  pairs: Optional[np.ndarray] = None
  is_same: Optional[np.ndarray] = None
  provenance: str = ""

  def digest(self) -> str:
    """SHA-256 of the features as little-endian float32, in hexadecimal."""
    sha = hashlib.sha256(str(self.features.shape).encode())
    for start in range(0, len(self.features), _CHECKED_ROWS):
      rows = self.features[start : start + _CHECKED_ROWS]
      sha.update(np.ascontiguousarray(rows, "<f4"))
    return sha.hexdigest()


def load(source: str, in_memory: bool = True) -> FeatureSet:
  """Loads and checks a feature set.

  Args:
    source: the name of a set that a manifest lists, or the path of a `.npz` or
      `.npy` file, or of a folder of shards. The features of a float32 `.npy`
      are memory-mapped.
    in_memory: False leaves the features of shards on disk, as `shards.Rows`,
      for those who read them as such, and their names.

  Returns:
    The feature set; float16 features are widened to float32.

  Raises:
    Error: if it is no feature set; the message names the file, the array and
      the first bad row.
  """
  info = manifests.sets().get(source)
  if info is None and shards.is_sharded(source):
    return _load_shards(source, in_memory)
  path = find(source)
  if info and info.split:
    return _load_part(info)
  if path.suffix == ".npy":
    with arrays.readable(source), open(path, "rb") as file:
      header = read_header(file, source)
      array = arrays.map_elements(file, header, source)
    return FeatureSet(check_features(array, source))
  stored = {field.name: field.name for field in dataclasses.fields(FeatureSet)}
  if info and info.protocol:
    for name in ("pairs", "is_same"):
      stored[name] = f"{name}_{info.protocol}"
  with arrays.open_archive(path) as archive:
    with open_features(archive, source) as file:
      read_header(file, source)
    found = arrays.names(archive)
    loaded = {
      name: arrays.read_entry(archive, key)
      for name, key in stored.items()
      if key in found
    }
  return _check(loaded, source)


def save(path: str, feature_set: FeatureSet) -> None:
  """Writes a feature set as a compressed `.npz`, whole or not at all."""
  known = {
    name: value
    for name, value in vars(feature_set).items()
    if value is not None
  }
  files.write_arrays(path, known, np.savez_compressed)


def find(source: str) -> pathlib.Path:
  """The file behind a name or a path.

  Raises:
    Error: if there is none.
  """
  sets = manifests.sets()
  if source in sets:
    path = manifests.FOLDER / sets[source].file
    if not path.is_file():
      raise Error(
        f"{source}: comes with a clone of the repository, not with the"
        " installed package; run from a clone, or give the path of its .npz."
      )
    return path
  path = pathlib.Path(source)
  if path.suffix not in (".npz", ".npy"):
    raise Error(
      f"{source}: neither a .npz or .npy file nor a folder of shards nor a"
      f" shipped set ({', '.join(sets)})."
    )
  if not path.is_file():
    raise Error(f"{source}: no such file.")
  return path


def _load_part(info: manifests.FeatureSetInfo) -> FeatureSet:
  """One side of a split: the people held out, with pairs, or the others."""
  whole = load(str(manifests.FOLDER / info.file))
  with np.load(manifests.FOLDER / info.split, allow_pickle=False) as split:
    rows, pairs, is_same = (
      split[name] for name in ("held_out", "pairs", "is_same")
    )
  if not info.held_out:
    rows = np.setdiff1d(np.arange(len(whole.features)), rows)
    pairs = is_same = None
  return FeatureSet(
    features=whole.features[rows],
    names=whole.names[rows],
    identities=whole.identities[rows],
    pairs=pairs,
    is_same=is_same,
    provenance=f"{whole.provenance} {info.about}.",
  )


def _load_shards(source: str, in_memory: bool) -> FeatureSet:
  rows, identities, provenance = shards.features(source)
  loaded = {"features": rows, "provenance": np.array(provenance)}
  if identities is not None:
    loaded["identities"] = identities
  if in_memory:
    found = [shards.read_shard(path).names for path in shards.paths(source)]
    loaded["features"] = rows[:]
    if all(names is not None for names in found):
      loaded["names"] = np.concatenate(found)
  return _check(loaded, source)


def open_features(archive: zipfile.ZipFile, source: str) -> BinaryIO:
  """Opens the features of a `.npz` for reading in order.

  Raises:
    Error: if there are none.
  """
  found = arrays.names(archive)
  if "features" not in found:
    raise Error(
      f"{source}: no array 'features' (found: {', '.join(found) or 'none'})."
    )
  return arrays.open_entry(archive, "features")


def read_header(file: BinaryIO, source: str) -> arrays.Header:
  """Reads the header of a `.npy` file of features.

  Args:
    file: open for binary reading; left behind the header.
    source: the file, for the message.

  Raises:
    Error: if it is none, or not of features in C order.
  """
  header = arrays.read_header(file, f"{source}: array 'features'")
  check_kind(header.dtype, header.shape, source)
  # Of one column both orders are the same.
  if header.fortran_order and header.shape[1] > 1:
    raise Error(
      f"{source}: array 'features' is in Fortran order, expected C order; "
      "convert it with numpy.ascontiguousarray."
    )
  return header


def check_features(array: np.ndarray, source: str) -> np.ndarray:
  """Checks that an array holds features.

  Args:
    array: float32 or float16 [n, dim].
    source: where it came from, for the message.

  Returns:
    The features as float32 [n, dim].

  Raises:
    Error: if it does not; also on NaN, infinity, or a magnitude above
      `MAX_MAGNITUDE`.
  """
  check_kind(array.dtype, array.shape, source)
  for start in range(0, len(array), _CHECKED_ROWS):
    check_values(array[start : start + _CHECKED_ROWS], source, start)
  native = array.dtype.newbyteorder("=") == np.float32
  return array if native and array.dtype.isnative else array.astype(np.float32)


def check_kind(dtype: np.dtype, shape: tuple, source: str) -> None:
  """Raises an Error unless these are floats of rank 2, and some."""
  if dtype.kind != "f" or dtype.itemsize not in (2, 4):
    raise Error(
      f"{source}: array 'features' is {dtype}, expected float32 or float16; "
      "convert it with .astype('float32')."
    )
  if len(shape) != 2:
    raise Error(
      f"{source}: array 'features' has shape {list(shape)}, expected [n, dim]."
    )
  if 0 in shape:
    raise Error(f"{source}: array 'features' is empty.")


def check_values(rows: np.ndarray, source: str, first_row: int = 0) -> None:
  """Raises an Error that names the first row that cannot be coded.

  Args:
    rows: float [n, dim].
    source: the file, for the message.
    first_row: the number of the first of these rows in the file.

  Raises:
    Error: on NaN, infinity, or a magnitude above `MAX_MAGNITUDE`.
  """
  # NaN and infinity fail the comparison as well.
  good = np.abs(rows).max(axis=1) <= MAX_MAGNITUDE
  if good.all():
    return
  bad = int(np.argmin(good))
  values = np.asarray(rows[bad], np.float64)
  value = values[~(np.abs(values) <= MAX_MAGNITUDE)][0]
  raise Error(
    f"{source}: array 'features', row {first_row + bad} holds {value}, expected"
    f" finite values of magnitude {MAX_MAGNITUDE:g} or less."
  )


def _check(loaded: dict, source: str) -> FeatureSet:
  """A checked feature set from the arrays of a file."""

  def fail(name, message):
    raise Error(f"{source}: array '{name}' {message}.")

  def first(bad_rows):
    return int(np.flatnonzero(bad_rows)[0])

  features = check_features(loaded["features"], source)
  n = len(features)
  for name, kind in (("names", "U"), ("identities", "iu")):
    if name in loaded:
      array = loaded[name]
      if array.dtype.kind not in kind:
        expected = "text" if kind == "U" else "integers"
        fail(name, f"is {array.dtype}, expected {expected}")
      if array.shape != (n,):
        fail(
          name, f"has shape {list(array.shape)} beside {n} features, not [{n}]"
        )
  identities = loaded.get("identities")
  if identities is not None:
    wrong = (identities < -1) | (identities > np.iinfo(np.int64).max)
    if wrong.any():
      row = first(wrong)
      fail(
        "identities",
        f"is {identities[row]} in row {row}, expected -1 to 2^63 - 1",
      )
    identities = identities.astype(np.int64)

  pairs, is_same = loaded.get("pairs"), loaded.get("is_same")
  if (pairs is None) != (is_same is None):
    fail("pairs", "and array 'is_same' go together, but one is missing")
  if pairs is not None:
    if pairs.dtype.kind not in "iu":
      fail("pairs", f"is {pairs.dtype}, expected integers")
    if pairs.ndim != 2 or pairs.shape[1] != 2:
      fail("pairs", f"has shape {list(pairs.shape)}, expected [m, 2]")
    if is_same.dtype != bool:
      fail("is_same", f"is {is_same.dtype}, expected bool")
    if is_same.shape != (len(pairs),):
      fail(
        "is_same",
        f"has shape {list(is_same.shape)} beside {len(pairs)} pairs",
      )
    outside = ((pairs < 0) | (pairs >= n)).any(axis=1)
    if outside.any():
      row = first(outside)
      fail(
        "pairs",
        f"names rows {pairs[row].tolist()} in row {row}, but there are {n}"
        " features",
      )
    _check_folds(is_same, fail)
    pairs = pairs.astype(np.int64)

  provenance = loaded.get("provenance", np.array(""))
  if provenance.dtype.kind != "U" or provenance.ndim != 0:
    fail("provenance", "is not one string")
  return FeatureSet(
    features,
    loaded.get("names"),
    identities,
    pairs,
    is_same,
    str(provenance),
  )


def _check_folds(is_same, fail) -> None:
  """Ten equal folds, each with pairs of both kinds."""
  folds = NUM_FOLDS
  if len(is_same) == 0 or len(is_same) % folds:
    fail("pairs", f"has {len(is_same)} rows, which do not make {folds} folds")
  same = is_same.reshape(folds, -1).sum(axis=1)
  one_kind = (same == 0) | (same == len(is_same) // folds)
  if one_kind.any():
    fold = int(np.argmax(one_kind))
    row = fold * (len(is_same) // folds)
    fail("is_same", f"holds pairs of one kind in the fold from row {row} on")
