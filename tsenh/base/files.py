"""Whole files or none: outputs appear under their name when complete."""

import contextlib
import errno
import fcntl
import glob
import io
import json
import os
import pathlib
import secrets
import sys
from typing import Any, BinaryIO, Callable, Dict, Iterator, Optional, TextIO

import numpy as np

from tsenh.base import signals
from tsenh.base.errors import Error


@contextlib.contextmanager
def source(path: str) -> Iterator[BinaryIO]:
  """Opens a file for reading; `-` is standard input."""
  if path == "-":
    yield _open(sys.stdin, "input").buffer
  else:
    with open(path, "rb") as file:
      yield file


@contextlib.contextmanager
def output(path: str) -> Iterator[BinaryIO]:
  """Opens a file for writing as `replacing` does; `-` is standard output."""
  if path == "-":
    file = _open(sys.stdout, "output").buffer
    yield file
    file.flush()
  else:
    with replacing(path) as file:
      yield file


def _open(stream: TextIO, name: str) -> TextIO:
  """Raises an Error if the shell had closed it (see `command_line.run`)."""
  if stream.name == os.devnull:
    raise Error(f"standard {name} is closed.")
  return stream


def check_apart(output_path: str, *inputs: Optional[str]) -> None:
  """Raises an Error if an output is the file or folder of an input.

  Args:
    output_path: need not exist.
    *inputs: paths, names of other things, and None.
  """
  for path in inputs:
    with contextlib.suppress(OSError):
      if path is not None and os.path.samefile(output_path, path):
        raise Error(f"{output_path}: both input and output; give another name.")


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
  `path` before is kept until then. Neighbours of processes that were killed are
  removed.

  Args:
    path: the output's name. A symbolic link is followed.

  Yields:
    A binary file, open for writing and seeking.

  Raises:
    Error: as `check_output` does, and if the disk is full.
  """
  target = check_output(path)
  remove_leftovers(target.parent, target.name)
  # Known before it is there, so that a signal finds what to remove.
  name = f"{_prefix(target.name)}{secrets.token_hex(4)}.tmp"
  temporary = target.parent / name
  signals.half_written.add(temporary)
  try:
    with open(temporary, "x+b") as file:
      with contextlib.suppress(OSError):  # Where there are no locks.
        fcntl.flock(file, fcntl.LOCK_EX)
      yield file
      file.flush()
      os.fsync(file.fileno())
    os.replace(temporary, target)
  except OSError as error:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
      raise Error(
        f"{path}: the disk is full; nothing was written under that name."
      ) from error
    raise
  finally:
    temporary.unlink(missing_ok=True)
    signals.half_written.discard(temporary)


def _prefix(name: str) -> str:
  # 255 bytes is the longest name; a character has up to four.
  return f".{name[:50]}."


def remove_leftovers(folder: pathlib.Path, name: str) -> None:
  """Removes what was half written under a name by processes that are dead.

  Args:
    folder: where.
    name: of the output. A living process holds a lock on what it writes.
  """
  pattern = glob.escape(_prefix(name)) + "????????.tmp"
  for path in folder.glob(pattern):
    with contextlib.suppress(OSError), open(path, "rb") as file:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
      path.unlink()


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
