"""The flag of commands that work through shards: which engine does them."""

import functools
from typing import Callable, Optional, Sequence

from absl import flags

from tsenh.base import cluster

_RUNNER = flags.DEFINE_string(
  "runner",
  None,
  "An Apache Beam engine that works through the shards, DirectRunner or"
  " FlinkRunner for example; needs pip install 'tsenh[beam]'. Beam's own flags"
  " follow behind --. (default: none, this machine)",
)


def engine(beam_flags: Sequence[str]) -> Optional[Callable[..., None]]:
  """`cluster.run` for the engine of --runner, or None without one.

  Args:
    beam_flags: what stands behind -- on the command line.

  Raises:
    Error: if they do not go together, or Beam is not installed.
  """
  cluster.check(_RUNNER.value, beam_flags)
  if _RUNNER.value is None:
    return None
  return functools.partial(
    cluster.run, runner=_RUNNER.value, beam_flags=beam_flags
  )
