"""What the commands share: how they start, and how they fail."""

import contextlib
import errno
import os
import sys
from typing import Callable, NoReturn

import tqdm
from absl import app

from tsenh.base import signals
from tsenh.base.errors import Error

# XLA's matrix products on one thread: the bits then do not depend on the number
# of cores (two threads give others), and two runs can share two cores.
THREAD_MODE = "--xla_cpu_multi_thread_eigen=false"


def set_thread_mode() -> None:
  """Makes XLA use one thread; without effect once it has compiled something.

  Every command starts with it. Whoever trains without a command calls it first.
  """
  flags = os.environ.get("XLA_FLAGS", "")
  if THREAD_MODE not in flags:
    os.environ["XLA_FLAGS"] = f"{flags} {THREAD_MODE}".strip()


def run(
  main: Callable[..., None], *names: str, further: bool = False
) -> NoReturn:
  """Runs a command; bad input ends it with one sentence and code 1.

  Args:
    main: takes the arguments that are no flags; these are parsed when it is
      called.
    *names: of those arguments; without them there may be none.
    further: whether more may follow, which behind -- may look like flags.
  """
  signals.handle()
  _open_standard_files()
  set_thread_mode()
  # Not absl's app.run: where that has begun, importing TensorFlow starts its
  # devices before all of it is there, and the same training has other bits.
  app.define_help_flags()
  try:
    arguments = app.parse_flags_with_usage(sys.argv)
  except SystemExit as stop:
    # absl ends --help with 1, as it ends a wrong flag.
    asked = any(a.lstrip("-").startswith("help") for a in sys.argv[1:])
    sys.exit(0 if asked else stop.code)
  found = arguments[1:]
  if len(found) > len(names) and not further:
    unexpected = found[len(names)]
    fail(f"unexpected argument {unexpected!r}; flags look like --name=value.")
  if len(found) < len(names):
    fail(f"expected {' '.join(names)} beside the flags.")
  try:
    signals.begin()
    main(*found)
    sys.stdout.flush()
  except Error as error:
    fail(error)
  except BrokenPipeError:
    fail()  # The reader left; say nothing, as other tools do.
  except OSError as error:
    if error.errno == errno.ENOSPC:
      fail("the disk is full.")
    fail(f"{error.filename or 'input or output'}: {error.strerror or error}.")
  except KeyboardInterrupt:
    fail(signals.message())
  except Exception as error:
    # The name is TensorFlow's, which need not be imported.
    if type(error).__name__ not in ("MemoryError", "ResourceExhaustedError"):
      raise
    fail("there is not enough memory; are the dimensions or widths too large?")
  finally:
    signals.finish()
  sys.exit()


def _open_standard_files() -> None:
  """Opens what the shell has closed, so that no file gets its number."""
  for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
    if getattr(sys, name) is None:
      setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115


def fail(message: object = None) -> NoReturn:
  """Ends the process with one sentence on standard error and exit code 1."""
  signals.finish()
  try:
    sys.stdout.flush()
  except OSError:
    # Nothing can be written there any more; keep Python from trying at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
  if message is not None:
    with contextlib.suppress(OSError):  # Nobody reads it.
      print(f"error: {message}", file=sys.stderr, flush=True)
  sys.exit(1)


def progress(total: int, unit: str, description: str = "") -> tqdm.tqdm:
  """A progress bar on standard error; rarely redrawn where that is a file."""
  return tqdm.tqdm(
    total=total,
    unit=unit,
    desc=description,
    unit_scale=True,
    dynamic_ncols=True,
    mininterval=0.5 if sys.stderr.isatty() else 10,
  )
