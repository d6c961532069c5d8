"""Tasks that each write a file, one by one here or on an Apache Beam engine.

A task is a function's arguments, and the last of them is the path of the file
that it writes, whole or not at all, with the same bytes every time. So it does
no harm if an engine does one twice, and a task whose file is there is done:
each file comes about once, whatever is killed.
"""

import functools
import json
import os
import pathlib
import threading
from typing import Any, Callable, List, Optional, Sequence, Tuple

from tsenh.base import command_line, files
from tsenh.base.errors import Error

_POLL_SECONDS = 0.5
_KEY = "work.json"
_ATTEMPTS = 3  # Of a pipeline whose local workers die.
_DEAD = "Worker subprocess exited"  # As Beam says it.
_KEPT = "what is finished is kept, and the same command goes on from there"
_QUIET = "--default_sdk_harness_log_level=WARNING"

Task = Tuple[Any, ...]


def check(runner: Optional[str], beam_flags: Sequence[str]) -> None:
  """Raises an Error if Beam's flags are given without Beam, or it is missing.

  Args:
    runner: the engine, or None for none.
    beam_flags: for it.
  """
  if runner is None:
    if beam_flags:
      raise Error(
        f"unexpected argument {beam_flags[0]!r}; flags look like --name=value,"
        " and Beam's own go with --runner."
      )
    return
  try:
    import apache_beam  # noqa: F401
  except ImportError as error:
    raise Error(
      f"this needs a package ({error}): pip install 'tsenh[beam]'."
    ) from error


def claim(folder: pathlib.Path, key: Any) -> None:
  """Begins a folder of work, or sees that it is of the same work.

  Args:
    folder: where the files of tasks go until all are there.
    key: JSON of all that they depend on.

  Raises:
    Error: if it is of other work.
  """
  path = folder / _KEY
  key = json.loads(json.dumps(key))
  if path.exists():
    if json.loads(path.read_text()) != key:
      raise Error(
        f"{folder}: holds shards of other work (its inputs or flags differ);"
        " remove it, or give another --output."
      )
    return
  folder.mkdir(exist_ok=True)
  files.write_json(str(path), key)


def release(folder: pathlib.Path) -> None:
  """Ends the work of a folder whose files are all there."""
  (folder / _KEY).unlink()


def unfinished(tasks: List[Task], on_done: Callable[[int], None]) -> List[int]:
  """The numbers of the tasks whose files are not there; tells of the others."""
  waiting = []
  for number, task in enumerate(tasks):
    if os.path.exists(task[-1]):
      on_done(number)
    else:
      waiting.append(number)
  return waiting


def run(
  function: Callable[..., None],
  tasks: List[Task],
  on_done: Callable[[int], None],
  runner: Optional[str] = None,
  beam_flags: Sequence[str] = (),
) -> None:
  """Does the tasks whose files are not there.

  Args:
    function: of a module; takes a task's arguments.
    tasks: each ends with the path of its file.
    on_done: called with the number of each task when its file is there.
    runner: the engine, or None for this process.
    beam_flags: for the engine.

  Raises:
    Error: if the engine failed; also what a task raises in this process.
  """
  waiting = unfinished(tasks, on_done)
  if runner is None:
    for number in waiting:
      function(*tasks[number])
      on_done(number)
    return
  for _ in range(_ATTEMPTS):
    lost_worker = waiting and _attempt(
      function, tasks, waiting, on_done, runner, beam_flags
    )
    if not lost_worker:
      break
  else:
    raise Error(
      f"{runner}: workers died {_ATTEMPTS} times, perhaps for want of memory;"
      f" {_KEPT}."
    )
  for number in waiting:
    if not os.path.exists(tasks[number][-1]):
      raise Error(
        f"{tasks[number][-1]}: written, as the engine says, but not here; do"
        " all machines see one file system?"
      )
    on_done(number)


def _attempt(
  function, tasks, waiting, on_done, runner, beam_flags
) -> Optional[BaseException]:
  """Runs one pipeline to its end, or to the death of a local worker.

  Beam's DirectRunner would wait for ever for a worker of its own that was
  killed; other engines begin it again themselves.

  Args:
    function: see `run`, as are the others.
    tasks: all of them.
    waiting: numbers of those to do; what is done is taken out.
    on_done: called for these.
    runner: the engine.
    beam_flags: for it.

  Returns:
    What killed a local worker, or None.
  """
  failed: List[BaseException] = []
  dead: List[BaseException] = []
  hook = threading.excepthook

  def on_exception(args):
    if _DEAD in str(args.exc_value):
      dead.append(args.exc_value)
    else:
      hook(args)

  own = [tasks[number] for number in waiting]
  thread = threading.Thread(
    target=_on_beam,
    args=(function, own, runner, beam_flags, failed),
    daemon=True,
  )
  threading.excepthook = on_exception
  try:
    thread.start()
    while thread.is_alive() and not dead:
      thread.join(_POLL_SECONDS)
      for number in [n for n in waiting if os.path.exists(tasks[n][-1])]:
        waiting.remove(number)
        on_done(number)
  finally:
    threading.excepthook = hook
  if failed and not dead:
    raise Error(f"{runner}: {_last_line(failed[0])}; {_KEPT}.") from failed[0]
  return dead[0] if dead else None


def _on_beam(function, tasks, runner, beam_flags, failed) -> None:
  """Runs a pipeline to its end; what goes wrong is put into `failed`."""
  import apache_beam as beam
  from apache_beam.options.pipeline_options import PipelineOptions

  given = [f"--runner={runner}", _QUIET, *beam_flags]
  try:
    with beam.Pipeline(options=PipelineOptions(given)) as pipeline:
      _ = (
        pipeline
        | "Shards" >> beam.Create(tasks)
        | "Spread" >> beam.Reshuffle()  # Or one worker would get them all.
        | "Write" >> beam.Map(functools.partial(_call, function))
      )
  except BaseException as error:  # For the thread that waits.
    failed.append(error)


def _call(function: Callable[..., None], task: Task) -> None:
  """One task on a worker, unless another did it already."""
  command_line.set_thread_mode()
  if not os.path.exists(task[-1]):
    function(*task)


def _last_line(error: BaseException) -> str:
  lines = [line for line in str(error).splitlines() if line.strip()]
  return lines[-1].strip() if lines else type(error).__name__
