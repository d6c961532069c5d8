"""What made a file: versions of everything, and the state of the source."""

import datetime
import importlib.metadata
import pathlib
import platform
import subprocess
from typing import Dict, Optional, Union

import tsenh

_PACKAGES = ("tensorflow", "tensorflow-compression", "keras", "numpy")


def versions() -> Dict[str, str]:
  """Versions of Python, this package, and what its numbers depend on."""
  return {
    "python": platform.python_version(),
    "tsenh": tsenh.__version__,
    **{name: importlib.metadata.version(name) for name in _PACKAGES},
  }


def source() -> Dict[str, Union[str, bool, None]]:
  """`git_commit` of the checkout and whether the code differs from it.

  Both are None outside of a checkout.
  """
  commit = _git("rev-parse", "HEAD")
  code = str(pathlib.Path(__file__).parent)
  dirty = bool(_git("status", "--porcelain", "--", code)) if commit else None
  return {"git_commit": commit, "git_dirty": dirty}


def now() -> str:
  """The time, UTC, to the second."""
  return datetime.datetime.now(datetime.timezone.utc).isoformat(
    timespec="seconds"
  )


def checkout() -> Optional[pathlib.Path]:
  """The source checkout that this package runs from, if it does."""
  folder = pathlib.Path(__file__).resolve().parent.parent
  return folder if (folder / ".git").exists() else None


def _git(*arguments: str) -> Optional[str]:
  """What git says of the checkout that this package runs from."""
  folder = checkout()
  if folder is None:
    return None
  try:
    return subprocess.run(
      ["git", "-C", str(folder), *arguments],
      capture_output=True,
      text=True,
      check=True,
    ).stdout.strip()
  except (OSError, subprocess.CalledProcessError):
    return None
