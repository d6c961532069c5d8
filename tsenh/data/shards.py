"""Feature sets in shards: a folder of tar files, which training reads from.

A set that is larger than memory is a folder NAME of NAME-00000-of-00012.tar and
so on. Each is a sample of WebDataset, and any tar reads it:

| member                     |                                          |
|----------------------------|------------------------------------------|
| `00000.features.npy`       | float32 [k, dim], one feature a row      |
| `00000.identities.npy`     | int64 [k], -1 for unknown, or nothing    |
| `00000.names.json`         | a list of k texts, or nothing            |
| `00000.provenance.txt`     | where the features came from             |

The features of all shards, one behind the other, are those of the set. A tar
does not compress, so a row's place in its file is known, and any rows are read
without the others.
"""

import contextlib
import io
import json
import os
import pathlib
import re
import shutil
import tarfile
import tempfile
from typing import (
  BinaryIO,
  Dict,
  Iterable,
  Iterator,
  List,
  NamedTuple,
  Optional,
  Tuple,
  Union,
)

import numpy as np

from tsenh.base import arrays, files
from tsenh.base.errors import Error

# Of a shard; 32 MiB of features of 128 dimensions.
ROWS_PER_SHARD = 1 << 16


class _Part(NamedTuple):
  """Where some rows lie: a file, their first byte, and their number."""

  file: Union[pathlib.Path, BinaryIO]
  offset: int
  count: int


class Rows:
  """An array on disk of which rows are read when they are asked for.

  It is indexed by slices and by arrays of rows, and then is an array in memory
  of these rows; nothing of it stays there.

  Attributes:
    shape: as an array's.
    dtype: likewise.
  """

  def __init__(self, parts: List[_Part], row_shape: tuple, dtype: np.dtype):
    self.shape = (sum(part.count for part in parts), *row_shape)
    self.dtype = np.dtype(dtype)
    self._parts = parts
    self._starts = np.cumsum([0, *(part.count for part in parts)])
    self._row_bytes = self.dtype.itemsize * int(np.prod(row_shape))

  def __len__(self) -> int:
    return self.shape[0]

  def __array__(self, dtype=None) -> np.ndarray:
    return np.asarray(self[:], dtype)

  def __getitem__(self, key) -> np.ndarray:
    if isinstance(key, slice):
      key = np.arange(*key.indices(len(self)))
    rows = np.asarray(key)
    order = np.argsort(rows, axis=None, kind="stable")
    wanted = rows.ravel()[order]
    if len(wanted) and not 0 <= wanted[0] <= wanted[-1] < len(self):
      raise IndexError(f"rows {wanted[0]} to {wanted[-1]} of {len(self)}")
    parts = np.searchsorted(self._starts, wanted, "right") - 1
    found = np.empty([len(wanted), self._row_bytes], np.uint8)
    begins = np.flatnonzero(np.diff(parts, prepend=-1))
    for begin, end in zip(begins, [*begins[1:], len(wanted)]):
      number = parts[begin]
      own = wanted[begin:end] - self._starts[number]
      self._read(self._parts[number], own, found[begin:end])
    values = np.empty_like(found)
    values[order] = found
    return values.view(self.dtype).reshape(*rows.shape, *self.shape[1:])

  def _read(self, part: _Part, rows: np.ndarray, into: np.ndarray) -> None:
    """Reads rows of one part, in rising order; neighbours at once."""
    begins = np.flatnonzero(np.diff(rows, prepend=-2) != 1)
    with _opened(part.file) as file, arrays.readable(file.name):
      for begin, end in zip(begins, [*begins[1:], len(rows)]):
        place = part.offset + int(rows[begin]) * self._row_bytes
        size = os.preadv(file.fileno(), [into[begin:end]], place)
        if size < into[begin:end].nbytes:
          raise Error(f"{file.name}: is cut off.")


def _opened(file):
  """A file that is open already, or one that is opened for a while."""
  if isinstance(file, pathlib.Path):
    return open(file, "rb", buffering=0)
  return contextlib.nullcontext(file)


def spilled(chunks: Iterable[np.ndarray]) -> Rows:
  """Arrays [k, ...] one behind the other, in a temporary file.

  Args:
    chunks: at least one, alike but for k.
  """
  file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
  count = 0
  for chunk in chunks:
    file.write(np.ascontiguousarray(chunk).data)
    count += len(chunk)
  return Rows([_Part(file, 0, count)], chunk.shape[1:], chunk.dtype)


class Shard(NamedTuple):
  """Some features of a set, in memory.

  Attributes:
    features: float32 [k, dim].
    names: str [k], or None.
    identities: int64 [k], or None.
  """

  features: np.ndarray
  names: Optional[np.ndarray]
  identities: Optional[np.ndarray]


def write(
  path: str,
  pieces: Iterable[Shard],
  count: int,
  provenance: str,
  rows: int = ROWS_PER_SHARD,
) -> None:
  """Writes a set in shards, whole or not at all.

  Args:
    path: of the folder, which must not be there.
    pieces: the features, in pieces of any length.
    count: how many features all have together.
    provenance: where the features came from.
    rows: of a shard.

  Raises:
    Error: if the folder is there, or its own does not exist.
  """
  target = check_output(path)
  temporary = target.with_name(f".{target.name}.tmp")
  shutil.rmtree(temporary, ignore_errors=True)
  temporary.mkdir()
  total = -(-count // rows)
  for number, shard in enumerate(_regrouped(pieces, rows)):
    name = temporary / shard_name(target.name, number, total)
    write_shard(name, number, shard, provenance)
  os.replace(temporary, target)


def check_output(path: str) -> pathlib.Path:
  """The folder that a set in shards may become.

  Raises:
    Error: if something is there, or the folder that it would lie in is not.
  """
  target = pathlib.Path(os.path.abspath(path))
  if target.exists():
    raise Error(f"{path}: is there already; shards are not written over.")
  if not target.parent.is_dir():
    raise Error(f"{path}: the folder {target.parent} does not exist.")
  return target


def shard_name(name: str, number: int, total: int, suffix: str = "tar") -> str:
  """The file of a shard: NAME-00000-of-00012.tar."""
  return f"{name}-{number:05}-of-{total:05}.{suffix}"


def write_shard(
  path: pathlib.Path, number: int, shard: Shard, provenance: str
) -> None:
  """Writes one shard, whole or not at all; the same bytes every time."""
  members = {"features.npy": _npy(shard.features)}
  if shard.identities is not None:
    members["identities.npy"] = _npy(shard.identities)
  if shard.names is not None:
    members["names.json"] = json.dumps(shard.names.tolist()).encode()
  members["provenance.txt"] = provenance.encode()
  with (
    files.replacing(str(path)) as file,
    tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar,
  ):
    for key, data in members.items():
      info = tarfile.TarInfo(f"{number:05}.{key}")
      info.size = len(data)
      tar.addfile(info, io.BytesIO(data))


def _npy(array: np.ndarray) -> bytes:
  buffer = io.BytesIO()
  np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
  return buffer.getvalue()


def _regrouped(pieces: Iterable[Shard], rows: int) -> Iterator[Shard]:
  """The same features in pieces of so many rows, and a shorter last one."""
  waiting: List[Shard] = []
  for piece in pieces:
    waiting.append(piece)
    while sum(len(shard.features) for shard in waiting) >= rows:
      whole = joined(waiting)
      yield Shard(*(v if v is None else v[:rows] for v in whole))
      waiting = [Shard(*(v if v is None else v[rows:] for v in whole))]
  if sum(len(shard.features) for shard in waiting):
    yield joined(waiting)


def joined(shards: List[Shard]) -> Shard:
  """Features one behind the other, of at least one shard that has some."""
  shards = [shard for shard in shards if len(shard.features)]
  columns = zip(*shards)
  return Shard(*(v[0] if v[0] is None else np.concatenate(v) for v in columns))


def is_sharded(source: str) -> bool:
  """Whether this is the path of a set in shards, or at least of a folder."""
  return os.path.isdir(source)


def paths(source: str, suffix: str = "tar") -> List[pathlib.Path]:
  """The shards of a folder, in order.

  Raises:
    Error: if there are none, or they are not all of one set.
  """
  found = sorted(pathlib.Path(source).glob(f"*-of-*.{suffix}"))
  first = found and re.fullmatch(rf"(.*)-\d+-of-(\d+)\.{suffix}", found[0].name)
  total = int(first[2]) if first else 0
  wanted = {shard_name(first[1], i, total, suffix) for i in range(total)}
  names = {path.name for path in found}
  if not total or names != wanted:
    missing = f"; {min(wanted - names)} is missing" if wanted - names else ""
    raise Error(
      f"{source}: not a folder of shards of one set,"
      f" NAME-00000-of-00012.{suffix} and so on{missing}."
    )
  return found


def read_shard(path: pathlib.Path) -> Shard:
  """Reads a shard as a whole.

  Raises:
    Error: if it is damaged.
  """
  found = _members(path)

  def array(key):
    return Rows([_Part(path, *found[key][:2])], *found[key][2:])[:]

  features = array("features")
  identities = array("identities") if "identities" in found else None
  text = _text(path, "names.json")
  if text is None:
    return Shard(features, None, identities)
  with arrays.readable(path):
    names = json.loads(text)
  right = isinstance(names, list) and len(names) == len(features)
  if not right or not all(isinstance(name, str) for name in names):
    raise Error(f"{path}: its names are no list of {len(features)} texts.")
  return Shard(features, np.array(names, np.str_), identities)


def _text(path: pathlib.Path, key: str) -> Optional[str]:
  """A member of a shard that is text, if it is there."""
  with arrays.readable(path), tarfile.open(path, "r:") as tar:
    for member in tar:
      if member.isreg() and member.name.endswith(f".{key}"):
        return tar.extractfile(member).read().decode()
  return None


def features(source: str) -> Tuple[Rows, Optional[np.ndarray], str]:
  """A set in shards: its features on disk, identities, and provenance.

  Raises:
    Error: if a shard is missing or damaged, or they do not go together.
  """
  parts, people, kinds = [], [], set()
  for path in paths(source):
    found = _members(path)
    place, count, row_shape, dtype = found["features"]
    parts.append(_Part(path, place, count))
    kinds.add((row_shape, dtype, "identities" in found))
    if "identities" in found:
      people.append(read_shard(path).identities)
  if len(kinds) > 1:
    raise Error(
      f"{source}: its shards differ in shape, type or what they hold."
    )
  ((row_shape, dtype, _),) = kinds
  text = _text(parts[0].file, "provenance.txt") or ""
  identities = np.concatenate(people) if people else None
  return Rows(parts, row_shape, dtype), identities, text


def _members(path: pathlib.Path) -> Dict[str, Tuple[int, int, tuple, np.dtype]]:
  """Of each array of a shard: first byte, length, shape of a row, type."""
  found = {}
  with (
    arrays.readable(path),
    open(path, "rb") as file,
    tarfile.open(fileobj=file, mode="r:") as tar,
  ):
    for member in tar:
      key, _, suffix = member.name.partition(".")[2].partition(".")
      if key not in Shard._fields or suffix != "npy" or not member.isreg():
        continue
      what = f"{path}: array '{key}'"
      file.seek(member.offset_data)
      header = arrays.read_header(file, what)
      arrays.check_size(header, member.size, what)
      place = member.offset_data + header.size
      if place + header.nbytes > os.path.getsize(path):
        raise Error(f"{what} is cut off.")
      if header.fortran_order or not header.shape:
        raise Error(f"{what} is no list of rows in C order.")
      found[key] = (place, header.shape[0], header.shape[1:], header.dtype)
  if "features" not in found:
    raise Error(f"{path}: no shard, for it holds no features.")
  if len({count for _, count, _, _ in found.values()}) > 1:
    raise Error(f"{path}: its arrays differ in length.")
  return found
