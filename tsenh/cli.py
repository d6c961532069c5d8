"""What the entry points share: how they start, and how they fail."""

import errno
import os
import sys
from typing import Callable, NoReturn

import tqdm
from absl import app

from tsenh.errors import Error


def run(main: Callable[[], None]) -> NoReturn:
  """Runs an entry point; bad input ends it with one sentence and code 1.

  Args:
    main: takes nothing; the flags are parsed when it is called.
  """

  def checked(argv):
    if len(argv) > 1:
      fail(f"unexpected argument {argv[1]!r}; flags look like --name=value.")
    try:
      main()
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
      sys.exit(130)

  app.run(checked)


def fail(message: object = None) -> NoReturn:
  """Ends the process with one sentence on standard error and exit code 1."""
  try:
    sys.stdout.flush()
  except OSError:
    # Nothing can be written there any more; keep Python from trying at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
  if message is not None:
    print(f"error: {message}", file=sys.stderr)
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
