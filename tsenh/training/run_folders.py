"""One training run = one folder, of a codec or of an enhancer.

| file                 | what                                                  |
|----------------------|-------------------------------------------------------|
| `config.json`        | kind, recipe, versions, progress; `status` finished   |
| `weights.npz`        | the model's arrays by name                            |
| `tables.npz`         | a codec's: the entropy coder's integer tables         |
| `training_state.npz` | weights and Adam's moments, for `--resume`            |
| `validation.json`    | with `--validation`: metrics while training           |
| `high/`              | of an enhancer (pro-e): the high-rate codec, copied   |
| `tensorboard/`       | scalars                                               |

An enhancer's run has no tables of its own: it decodes what another codec wrote.

Every file is replaced whole, and `config.json` says `finished` last, so a run
that was killed at any moment is never mistaken for a finished one.
"""

import atexit
import contextlib
import errno
import fcntl
import json
import os
import pathlib
import shutil
import typing
from typing import Any, Dict, List, Optional, Protocol, Tuple

import numpy as np

from tsenh.base import arrays, configs, files
from tsenh.base.errors import Error

if typing.TYPE_CHECKING:  # It imports TensorFlow.
  from tsenh.coding.entropy import EntropyCoder

FINISHED, TRAINING = "finished", "training"
TENSORBOARD = "tensorboard"
HIGH = "high"
CONFIG = "config.json"
WEIGHTS = "weights.npz"
TABLES = "tables.npz"
_OF_A_CLONE = ("rank64-", "dlib-")  # setup.py leaves them out of the wheel.
ENHANCERS = f"enhancers/*/{CONFIG}"  # The shipped ones.
_STATE = "training_state.npz"
_VALIDATION = "validation.json"
_locks: Dict[pathlib.Path, int] = {}  # Descriptors of the folders locked here.
_PACKAGE = pathlib.Path(__file__).parent.parent
# Installed inside the package; in a source checkout beside it.
_SHIPPED = (_PACKAGE / "trained", _PACKAGE.parent / "checkpoints")


class Stored(Protocol):
  """A model that a run folder holds.

  Attributes:
    KIND: the method that it is: pro, sq, pca; pro-e, sq-e.
    ROLE: "codec" or "enhancer".
  """

  KIND: str
  ROLE: str

  def architecture(self) -> Dict[str, object]:
    """Arguments that build it again, as config.json has them."""

  def arrays(self) -> Dict[str, np.ndarray]:
    """What weights.npz holds; empty if it has no arrays."""

  def digest(self) -> str:
    """SHA-256 of its function, in hexadecimal."""


def shipped(pattern: str = f"*/{CONFIG}") -> Dict[str, pathlib.Path]:
  """The folders of the codecs that come with the package, by name.

  Args:
    pattern: which of the package's runs; others are `ENHANCERS`.
  """
  return {
    config.parent.name: config.parent
    for folder in _SHIPPED
    for config in sorted(folder.glob(pattern))
  }


def shipped_by(digest: str) -> Optional[str]:
  """The shipped codec whose `codec_digest` begins so, if there is one."""
  for name, folder in shipped().items():
    if read_config(folder)["codec_digest"].startswith(digest):
      return name
  return None


def codec_help() -> str:
  """What a codec may be called, for --help."""
  return (
    f"a shipped codec ({', '.join(shipped())}) or a run folder (./NAME where a"
    " shipped codec has its name)"
  )


def find(name: str) -> pathlib.Path:
  """The folder of a run or of a shipped codec or enhancer.

  Raises:
    Error: if there is none.
  """
  known = {**shipped(), **shipped(ENHANCERS)}
  if name in known:
    return known[name]
  if not (pathlib.Path(name) / CONFIG).is_file():
    if name.startswith(_OF_A_CLONE) and "/" not in name:
      raise Error(
        f"{name}: no codec of the installed package; those of other networks"
        " than the default one come with a clone of the repository."
      )
    raise Error(
      f"{name}: neither a run folder (no {CONFIG} in it) nor a shipped one"
      f" ({', '.join(known) or 'none'})."
    )
  return pathlib.Path(name)


def absolute(name: str) -> str:
  """A name for processes that run elsewhere: a run folder's whole path.

  Shipped ones keep their names: they are on every machine.
  """
  known = {**shipped(), **shipped(ENHANCERS)}
  return name if name in known else str(find(name).absolute())


def read_config(folder: pathlib.Path) -> Optional[Dict[str, Any]]:
  """The configuration of a run, or None where no run was started.

  Raises:
    Error: if the file is no JSON, or of no run.
  """
  path = pathlib.Path(folder) / CONFIG
  if not path.exists():
    return None
  config = configs.read(path)
  return {"kind": _kind_before_0_2(config), **config}


def _kind_before_0_2(config: Dict[str, Any]) -> Optional[str]:
  """What a run of version 0.1.0 is, which does not say so."""
  for key, kind in (
    ("lambda", "pro"),
    ("high_digest", "pro-e"),
    ("qp", "sq-e"),
  ):
    if key in config:
      return kind
  return None


def write_config(folder: pathlib.Path, config: Dict[str, Any]) -> None:
  """Replaces the configuration of a run."""
  files.write_json(str(folder / CONFIG), config)


def lock(folder: pathlib.Path) -> None:
  """Makes the folder, in which no other process may train until this one ends.

  The system keeps the lock, so that a process that was killed holds none, and
  there is no file that could stay behind.

  Args:
    folder: need not exist; if nothing is written there, it is gone in the end.

  Raises:
    Error: if another process trains there.
  """
  folder = folder.absolute()
  if folder in _locks:
    return
  folder.mkdir(parents=True, exist_ok=True)
  descriptor = os.open(folder, os.O_RDONLY)
  try:
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError as error:
    os.close(descriptor)
    raise Error(f"{folder}: another process is training there.") from error
  except OSError as error:
    # Some network file systems lock no folders.
    if error.errno not in (errno.EBADF, errno.ENOLCK, errno.ENOTSUP):
      raise
  _locks[folder] = descriptor
  atexit.register(_remove_if_empty, folder)


def _remove_if_empty(folder: pathlib.Path) -> None:
  with contextlib.suppress(OSError):
    folder.rmdir()


def start(folder: pathlib.Path, config: Dict[str, Any]) -> None:
  """Begins a run: what an earlier one left in the folder no longer counts."""
  folder.mkdir(parents=True, exist_ok=True)
  for name in (_STATE, _VALIDATION):
    (folder / name).unlink(missing_ok=True)
  shutil.rmtree(folder / TENSORBOARD, ignore_errors=True)
  write_config(folder, {**config, "status": TRAINING})


def remove_leftovers(folder: pathlib.Path) -> None:
  """Removes what a run that was killed while writing left half-written."""
  for name in (CONFIG, WEIGHTS, TABLES, _STATE, _VALIDATION):
    for place in (folder, folder / HIGH):
      files.remove_leftovers(place, name)


def write_state(folder: pathlib.Path, state: Dict[str, np.ndarray]) -> None:
  """Replaces what `--resume` continues from."""
  files.write_arrays(str(folder / _STATE), state)


def read_state(folder: pathlib.Path) -> Optional[Dict[str, np.ndarray]]:
  """What `write_state` last wrote, or None."""
  path = folder / _STATE
  return arrays.read_all(path) if path.exists() else None


def write_validation(folder: pathlib.Path, records: List[Dict]) -> None:
  """Replaces the metrics of a run on its validation set."""
  files.write_json(str(folder / _VALIDATION), records)


def read_validation(folder: pathlib.Path) -> List[Dict[str, Any]]:
  """What `write_validation` last wrote; nothing where it never did."""
  path = pathlib.Path(folder) / _VALIDATION
  return json.loads(path.read_text()) if path.exists() else []


def finish(
  folder: pathlib.Path,
  config: Dict[str, Any],
  model: Stored,
  coder: Optional["EntropyCoder"] = None,
) -> None:
  """Completes a run: its arrays first, the word `finished` last.

  Args:
    folder: the run's.
    config: its configuration so far.
    model: what was trained.
    coder: of a codec, with tables fitted to its codes.
  """
  if model.arrays():
    files.write_arrays(str(folder / WEIGHTS), model.arrays())
  digests = {f"{model.ROLE}_digest": model.digest()}
  if coder is not None:
    files.write_arrays(str(folder / TABLES), coder.tables)
    digests["table_digest"] = coder.digest()
  write_config(folder, {**config, **digests, "status": FINISHED})


def copy_codec(name: str, folder: pathlib.Path) -> None:
  """Copies what decoding with a codec takes into another run's folder."""
  folder.mkdir(exist_ok=True)
  for file_name in (WEIGHTS, TABLES, CONFIG):
    with files.replacing(str(folder / file_name)) as file:
      file.write((find(name) / file_name).read_bytes())


def finished(name: str) -> Tuple[pathlib.Path, Dict[str, Any]]:
  """Folder and configuration of a finished run.

  Args:
    name: its folder, or the name of a shipped codec.

  Raises:
    Error: if there is none, or it is unfinished.
  """
  folder = find(name)
  config = read_config(folder)
  if config["status"] != FINISHED:
    done, epochs = config.get("epochs_done", 0), config.get("epochs")
    progress = f" ({done} of {epochs} epochs); --resume continues it"
    raise Error(f"{name}: the run is unfinished{progress if epochs else ''}.")
  return folder, config
