"""SIGINT, SIGTERM and SIGHUP end a command in one line, whatever it is doing.

Where the command is at work, they unwind it. While something is imported, or
the command has not begun, or is being unwound already, they end it on the spot:
an exception would be lost then, or printed at length. Either way nothing
half-written stays behind.
"""

import atexit
import contextlib
import os
import pathlib
import signal
import types
from typing import Optional, Set

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Files that a command which is ended on the spot removes.
half_written: Set[pathlib.Path] = set()
_received: Optional[int] = None
_at_work = False
_process: Optional[int] = None


def handle() -> None:
  """Begins to handle them; those that are ignored, as by nohup, stay so."""
  global _process
  if _process is not None:
    return
  _process = os.getpid()
  for number in _SIGNALS:
    if signal.getsignal(number) is not signal.SIG_IGN:
      signal.signal(number, _stop)
  atexit.register(_end_by_signal)  # The first to be registered runs last.


def begin() -> None:
  """From now on a signal raises KeyboardInterrupt, once."""
  global _at_work
  _at_work = True


def finish() -> None:
  """From now on a signal ends the process on the spot."""
  global _at_work
  _at_work = False


def message() -> str:
  """What ended the command."""
  number = signal.SIGINT if _received is None else _received
  return f"stopped by {signal.Signals(number).name}."


def _stop(number: int, frame: Optional[types.FrameType]) -> None:
  global _received
  first, _received = _received is None, number
  # Whoever was forked from this process has nothing to say.
  if os.getpid() == _process:
    if first and _at_work and not _is_importing(frame):
      finish()
      raise KeyboardInterrupt
    with contextlib.suppress(OSError):
      for path in tuple(half_written):
        path.unlink(missing_ok=True)
      # A progress bar may stand on the line: over it, and on a terminal alone.
      clear = "\r\x1b[K" if os.isatty(2) else "\r"
      os.write(2, f"{clear}error: {message()}\n".encode())
  _end_by_signal()


def _is_importing(frame: Optional[types.FrameType]) -> bool:
  while frame is not None:
    if frame.f_code.co_filename.startswith("<frozen importlib"):
      return True
    frame = frame.f_back
  return False


def _end_by_signal() -> None:
  """Ends the process by the signal that it got, as its shell expects."""
  if _received is not None:
    signal.signal(_received, signal.SIG_DFL)
    os.kill(os.getpid(), _received)
