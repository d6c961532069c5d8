"""Which process may use TensorFlow: not one that was forked, or has no room.

TensorFlow's threads do not outlive a fork. And where the address space is
limited (`ulimit -v`), it aborts or waits for ever as soon as a thread or an
allocation of its own fails, which nobody can catch. So a command looks at its
limit before anything large is imported.
"""

import importlib.abc
import os
import resource
import sys
from typing import Optional

from tsenh.base.errors import Error

# Mebibytes of address space that there must be, and for each core's threads:
# about half as much again as small inputs take (`make faults`).
_LEAST = {"a command": (512, 64), "TensorFlow": (2048, 512)}
_user: Optional[int] = None


def check() -> None:
  """Notes that this process uses TensorFlow from now on.

  Raises:
    Error: if it was forked from one that had used it, where every call would
      wait for ever for threads that are not there.
  """
  global _user
  if _user is None:
    _user = os.getpid()
  if _user != os.getpid():
    raise Error(
      "this process was forked from one that had loaded a codec, and"
      " TensorFlow does not work in it: start processes with"
      " multiprocessing.get_context('spawn'), or load codecs only in the"
      " children."
    )


def check_address_space(what: str) -> None:
  """Raises an Error if there is too little for a command, or TensorFlow."""
  limit = resource.getrlimit(resource.RLIMIT_AS)[0]
  base, for_each_core = _LEAST[what]
  least = base + (os.cpu_count() or 1) * for_each_core
  if limit != resource.RLIM_INFINITY and limit >> 20 < least:
    raise Error(
      f"{what} needs {least} MiB of address space on this machine, but may use"
      f" {limit >> 20} (ulimit -v)."
    )


class _Guard(importlib.abc.MetaPathFinder):
  """Looks at the address space before TensorFlow is imported."""

  def find_spec(self, fullname, path, target=None):
    if fullname == "tensorflow":
      check_address_space("TensorFlow")
    return None


def guard_address_space() -> None:
  """Raises an Error if there is too little; from now on also for TensorFlow."""
  if resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
    check_address_space("a command")
    sys.meta_path.insert(0, _Guard())
