"""`.npy` and `.npz` files that somebody else may have made.

NumPy's own reader evaluates a header as Python, takes memory for whatever shape
it states, and raises what happens to go wrong. Here a header has to have the
form that NumPy writes and to fit the bytes behind it: no Python object is ever
read, no more memory taken than the file's bytes can fill, and whatever is wrong
is an `Error`.
"""

import contextlib
import math
import os
import re
import struct
import sys
import tarfile
import zipfile
import zlib
from typing import BinaryIO, Dict, Iterator, List, NamedTuple, Tuple

import numpy as np

from tsenh.base import files
from tsenh.base.errors import Error

SUFFIX = ".npy"
_MAGIC = b"\x93NUMPY"
_ZIP_MAGIC = b"PK"  # Zip files may have anything before it; numpy's have not.
# Bytes of the header's length, by version.
_LENGTHS = {(1, 0): 2, (2, 0): 4}
_MAX_HEADER_BYTES = 10000  # This and the next as NumPy has them.
_MAX_RANK = 32
_MAX_BYTES = 2**63 - 1
_CHUNK = 1 << 20
_MAX_INFLATION = 1032  # Deflate makes 258 bytes of two bits, and no more.
_ENCRYPTED = 1  # In the flags of a zip entry.
# Spaces alone: what else regular expressions count as such is none to NumPy.
_PAIR = re.compile(
  r""" *(['"])(descr|fortran_order|shape)\1 *:"""
  r""" *('[^']*'|"[^"]*"|True|False|\((?:\d{1,19}L?, *)*(?:\d{1,19}L?)?\))"""
  r""" *(?:,|$)""",
  re.ASCII,
)
# Booleans, integers, floats, text, bytes: all that the project's files hold.
_DTYPE = re.compile(r"[<>|=]?[biufSU]\d{1,8}")


class Header(NamedTuple):
  """What the header of a `.npy` file says.

  Attributes:
    dtype: of booleans, integers, floats, text or bytes.
    shape: of the array.
    fortran_order: whether its first index runs fastest.
    size: bytes of the header; the elements follow.
  """

  dtype: np.dtype
  shape: Tuple[int, ...]
  fortran_order: bool
  size: int

  @property
  def nbytes(self) -> int:
    """Bytes of the elements."""
    return math.prod(self.shape) * self.dtype.itemsize


@contextlib.contextmanager
def readable(source) -> Iterator[None]:
  """Turns what reading a file raises into an Error that names the file."""
  try:
    yield
  except Error:
    raise
  except MemoryError as error:
    raise Error(f"{source}: needs more memory than there is.") from error
  except (
    EOFError,
    NotImplementedError,  # zipfile, of a compression that it does not know.
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
    struct.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
  ) as error:
    raise Error(f"{source}: missing or damaged ({error}).") from error


def read_header(file: BinaryIO, what: str) -> Header:
  """Reads the header of a `.npy` file, and leaves the file behind it.

  Args:
    file: open for binary reading; need not be seekable.
    what: the file, and the array in it, for the message.

  Raises:
    Error: if it is no header of version 1.0 or 2.0 that NumPy writes, or the
      array holds something else than `Header.dtype` says.
  """
  with readable(what):
    start = files.read_fully(file, len(_MAGIC) + 2)
  if not start.startswith(_MAGIC):
    hint = "; is it a .npz?" if start.startswith(b"PK") else "."
    raise Error(f"{what}: not in .npy format (begins {start[:6]!r}){hint}")
  version = tuple(start[len(_MAGIC) :])
  if version not in _LENGTHS:
    raise Error(f"{what}: .npy version {version}, expected (1, 0) or (2, 0).")
  with readable(what):
    size = files.read_fully(file, _LENGTHS[version])
    length = int.from_bytes(size, "little")
    if length > _MAX_HEADER_BYTES:
      raise Error(f"{what}: its .npy header is {length} bytes long.")
    text = files.read_fully(file, length).decode("latin1").strip(" \n")
  pairs = _PAIR.findall(text[1:-1])
  fields = {name: value for _, name, value in pairs}
  well_formed = (
    text.startswith("{")
    and text.endswith("}")
    and not _PAIR.sub("", text[1:-1]).strip(" ")
    and len(pairs) == len(fields) == 3
    and fields["descr"][0] in "'\""
    and fields["fortran_order"] in ("True", "False")
    and fields["shape"][0] == "("
    # Without a comma it would be a number.
    and (fields["shape"] == "()" or "," in fields["shape"])
  )
  if not well_formed:
    raise Error(f"{what}: its .npy header is damaged ({text[:80]}).")
  descr = fields["descr"][1:-1]
  if "O" in descr:
    raise Error(f"{what}: it holds Python objects, which are never read.")
  shape = tuple(int(n) for n in re.findall(r"\d+", fields["shape"]))
  header = Header(
    _dtype(descr, what),
    shape,
    fields["fortran_order"] == "True",
    len(start) + len(size) + length,
  )
  if len(shape) > _MAX_RANK or header.nbytes > _MAX_BYTES:
    raise Error(f"{what}: no array can have the shape {list(shape)}.")
  return header


def _dtype(descr: str, what: str) -> np.dtype:
  """The element type that a header names."""
  try:
    if _DTYPE.fullmatch(descr) and np.dtype(descr).itemsize:
      return np.dtype(descr)
  except TypeError:
    pass  # Such as a float of three bytes.
  raise Error(
    f"{what}: its elements are of type {descr!r}, expected booleans, integers,"
    " floats, text or bytes."
  )


def check_size(header: Header, num_bytes: int, what: str) -> None:
  """Raises an Error unless a file has as many bytes as its header says."""
  expected = header.size + header.nbytes
  if num_bytes != expected:
    raise Error(
      f"{what}: {num_bytes} bytes, but the shape {list(header.shape)} in its"
      f" header takes {expected}; it is damaged or cut off."
    )


def map_elements(file: BinaryIO, header: Header, what: str) -> np.ndarray:
  """The array of a `.npy` file, memory-mapped, which must have elements.

  Args:
    file: open for reading, of a file on disk.
    header: from `read_header`.
    what: the file, for the message.

  Raises:
    Error: if the file is shorter or longer than its header says.
  """
  check_size(header, os.fstat(file.fileno()).st_size, what)
  order = "F" if header.fortran_order else "C"
  return np.memmap(file, header.dtype, "r", header.size, header.shape, order)


@contextlib.contextmanager
def open_archive(path) -> Iterator[zipfile.ZipFile]:
  """Opens a `.npz` file.

  Raises:
    Error: if it is none, or its entries overlap or have names in common.
  """
  with contextlib.ExitStack() as stack:
    with readable(path):
      file = stack.enter_context(open(path, "rb"))
      if file.read(len(_ZIP_MAGIC)) != _ZIP_MAGIC:
        raise Error(f"{path}: not in .npz format; is it a .npy?")
      archive = stack.enter_context(zipfile.ZipFile(file))
    entries = archive.infolist()
    stored = sum(entry.compress_size for entry in entries)
    if stored > os.path.getsize(path) or len(archive.NameToInfo) < len(entries):
      raise Error(f"{path}: its zip entries overlap; it is damaged.")
    yield archive


def names(archive: zipfile.ZipFile) -> List[str]:
  """The names of an archive's arrays."""
  return [
    name[: -len(SUFFIX)] for name in archive.namelist() if name.endswith(SUFFIX)
  ]


def open_entry(archive: zipfile.ZipFile, name: str) -> BinaryIO:
  """Opens an array of an archive for reading in order.

  Raises:
    Error: if it is encrypted, compressed otherwise than numpy does, or states
      to be larger than its bytes can be.
  """
  what = f"{archive.filename}: array '{name}'"
  entry = archive.NameToInfo[name + SUFFIX]
  inflation = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: _MAX_INFLATION}
  most = inflation.get(entry.compress_type, 0) * entry.compress_size
  if entry.flag_bits & _ENCRYPTED or entry.file_size > most:
    raise Error(f"{what} is encrypted, damaged, or no zip entry of numpy's.")
  with readable(what):
    return archive.open(entry)


def read_entry(archive: zipfile.ZipFile, name: str) -> np.ndarray:
  """Reads an array of an archive.

  Raises:
    Error: as `open_entry` and `read_header` do; if the entry is shorter or
      longer than the array; or on text and booleans that are none.
  """
  what = f"{archive.filename}: array '{name}'"
  with open_entry(archive, name) as file, readable(what):
    header = read_header(file, what)
    check_size(header, archive.NameToInfo[name + SUFFIX].file_size, what)
    data = np.empty(header.nbytes, np.uint8)
    for start in range(0, len(data), _CHUNK):
      rest = data[start : start + _CHUNK]
      part = files.read_fully(file, len(rest))
      if len(part) < len(rest):
        raise Error(f"{what} is cut off.")
      rest[:] = np.frombuffer(part, np.uint8)
  if header.dtype.kind == "b" and (data > 1).any():
    raise Error(f"{what} holds booleans that are neither true nor false.")
  if header.dtype.kind == "U":
    order = header.dtype.str[0]
    if (data.view(f"{order}u4") > sys.maxunicode).any():
      raise Error(f"{what} holds text with characters that do not exist.")
  elements = data.view(header.dtype)
  if header.fortran_order:
    return elements.reshape(header.shape[::-1]).T
  return elements.reshape(header.shape)


def read_all(path) -> Dict[str, np.ndarray]:
  """The arrays of a `.npz` file by name.

  Raises:
    Error: if it is missing or damaged, or holds something else as well.
  """
  with open_archive(path) as archive:
    if len(names(archive)) < len(archive.namelist()):
      raise Error(f"{path}: it holds other files than arrays.")
    return {name: read_entry(archive, name) for name in names(archive)}
