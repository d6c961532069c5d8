"""Makes a write within one folder fail, in a process and in its children.

Python imports a module of this name when it starts, wherever PYTHONPATH leads
to one; `experiments.faults.trials` sets the environment. Each step that can
fail adds a letter to a log: (o)pening a file to write, (w)riting, (f)lushing to
the disk, (r)eplacing, (m)aking a folder. The log's length says which one of all
processes' steps it was. What libraries in C++ write is not seen.
"""

import builtins
import errno
import io
import os

_FOLDER = os.environ.get("FAULTS_FOLDER")
_AT = int(os.environ.get("FAULTS_AT", "0"))  # The step that fails; 0 is none.
_ERROR = os.environ.get("FAULTS_ERROR", "EIO")
# A full disk stays full: all that takes place on it fails from then on.
_STAYS = "owfm" if _ERROR == "ENOSPC" else ""


def _is_ours(path):
  return os.path.abspath(os.fsdecode(path)).startswith(_FOLDER + os.sep)


def _step(kind, path):
  """Counts a step on a file, and raises what it is to raise."""
  if not _is_ours(path):
    return
  os.write(_LOG, kind.encode())
  number = os.lseek(_LOG, 0, os.SEEK_CUR)
  if _AT and (number == _AT or (number > _AT and kind in _STAYS)):
    code = getattr(errno, _ERROR)
    raise OSError(code, os.strerror(code), os.fsdecode(path))


class _File(io.FileIO):
  def write(self, data):
    _step("w", self.name)
    return super().write(data)


def _open(file, mode="r", buffering=-1, encoding=None, *arguments, **others):
  is_path = isinstance(file, (str, bytes, os.PathLike))
  if not is_path or not set(mode) & set("wxa+") or not _is_ours(file):
    return _own_open(file, mode, buffering, encoding, *arguments, **others)
  _step("o", file)
  raw = _File(file, mode.replace("b", "").replace("t", ""))
  if buffering == 0:
    return raw
  buffered = (io.BufferedRandom if "+" in mode else io.BufferedWriter)(raw)
  if "b" in mode:
    return buffered
  text = io.TextIOWrapper(buffered, encoding, *arguments, **others)
  text.mode = mode
  return text


def _fsync(file):
  number = file if isinstance(file, int) else file.fileno()
  _step("f", os.readlink(f"/proc/self/fd/{number}"))
  return _own_fsync(file)


def _replace(source, target, **others):
  _step("r", target)
  return _own_replace(source, target, **others)


def _mkdir(path, *arguments, **others):
  _step("m", path)
  return _own_mkdir(path, *arguments, **others)


if _FOLDER:
  _LOG = os.open(
    os.environ["FAULTS_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT
  )
  _own_open, _own_fsync = builtins.open, os.fsync
  _own_replace, _own_mkdir = os.replace, os.mkdir
  builtins.open = io.open = _open
  os.fsync, os.replace, os.mkdir = _fsync, _replace, _mkdir
