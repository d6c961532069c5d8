"""Which process may use TensorFlow: its threads do not outlive a fork."""

import os
from typing import Optional

from tsenh.base.errors import Error

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
