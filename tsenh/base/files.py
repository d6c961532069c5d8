"""Whole files or none: outputs appear under their name when complete."""

import contextlib
import errno
import io
import json
import os
import pathlib
import sys
import tempfile
from typing import Any, BinaryIO, Callable, Dict, Iterator

import numpy as np

from tsenh.base.errors import Error


@contextlib.contextmanager
def source(path: str) -> Iterator[BinaryIO]:
  """Opens a file for reading; `-` is standard input."""
  if path == "-":
    yield sys.stdin.buffer
  else:
    with open(path, "rb") as file:
      yield file


@contextlib.contextmanager
def output(path: str) -> Iterator[BinaryIO]:
  """Opens a file for writing as `replacing` does; `-` is standard output."""
  if path == "-":
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()
  else:
    with replacing(path) as file:
      yield file


def check_output(path: str) -> pathlib.Path:
  """Checks, before long work, that a file can be written under this name.

  Returns:
    The name with symbolic links followed.

  Raises:
    Error: if `path` is a folder or a device, or its folder does not exist.
  """
  target = pathlib.Path(os.path.realpath(path))
  if target.exists() and not target.is_file():
    raise Error(f"{path}: not a regular file, so it cannot be replaced.")
  if not target.parent.is_dir():
    raise Error(f"{path}: the folder {target.parent} does not exist.")
  return target


@contextlib.contextmanager
def replacing(path: str) -> Iterator[BinaryIO]:
  """Opens a file that takes the name `path` only once it is complete.

  The bytes go to a hidden neighbour, which is flushed to the disk and renamed
  when the block ends, and removed when the block raises. What stood under
  `path` before is kept until then.

  Args:
    path: the output's name. A symbolic link is followed.

  Yields:
    A binary file, open for writing and seeking.

  Raises:
    Error: as `check_output` does, and if the disk is full.
  """
  target = check_output(path)
  temporary = None
  try:
    with tempfile.NamedTemporaryFile(
      dir=target.parent, prefix=f".{target.name}.", suffix=".tmp", delete=False
    ) as file:
      temporary = file.name
      yield file
      file.flush()
      os.fsync(file.fileno())
    umask = os.umask(0)
    os.umask(umask)
    os.chmod(temporary, 0o666 & ~umask)
    os.replace(temporary, target)
    temporary = None
  except OSError as error:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
      raise Error(
        f"{path}: the disk is full; nothing was written under that name."
      ) from error
    raise
  finally:
    if temporary is not None:
      os.unlink(temporary)


def write_json(path: str, value: Any) -> None:
  """Writes a JSON file, whole or not at all."""
  with replacing(path) as file:
    file.write((json.dumps(value, indent=2) + "\n").encode())


def write_arrays(
  path: str, arrays: Dict[str, np.ndarray], save: Callable = np.savez
) -> None:
  """Writes a `.npz` with `numpy.savez` or its like, whole or not at all.

  It is put together in memory: on a full disk zipfile would complain once more
  when it is thrown away.
  """
  buffer = io.BytesIO()
  save(buffer, **arrays)
  with replacing(path) as file:
    file.write(buffer.getbuffer())


def read_fully(file: BinaryIO, size: int) -> bytes:
  """Reads `size` bytes, or what there is: a pipe may give less at a time."""
  parts = []
  while size > 0:
    part = file.read(size)
    if not part:
      break
    parts.append(part)
    size -= len(part)
  return b"".join(parts)
