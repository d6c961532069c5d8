"""What may befall a command, and what is wrong with how it took it.

Each function lets a task run in a new folder, returns what happened as JSON,
and in `findings` all that should not have.
"""

import contextlib
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from typing import Any, Dict, Iterator, List, NamedTuple, Optional

import numpy as np

from experiments.faults import tasks
from tsenh.base import errors, provenance
from tsenh.base.errors import Error

HOOK = pathlib.Path(__file__).parent / "hook"
TERMINATES = 0.2  # Of the kills, by SIGTERM; the others are by SIGKILL.
EARLY = 0.15  # Of the kills of what has checkpoints, as early as the first.
PATIENCE = 20  # Seconds that a command may take to end after SIGTERM,
SLOWNESS = 10  # and times the usual processor time before it counts as hanging,
IDLE = 120  # or seconds without any.
_BAR = re.compile(r"\d+%\|")


class Reference(NamedTuple):
  """What a task makes when it is left alone.

  Attributes:
    given: folder of its inputs.
    digests: of its outputs, see `tasks.digests`.
    seconds: that it took.
    cpu_seconds: that it took, its children's with them.
    cpu_first: those of them before the first checkpoint.
    address_space_mb: that it took, the most at once.
    steps: letters of all steps that can fail, see `hook/sitecustomize.py`.
  """

  given: pathlib.Path
  digests: Dict[str, str]
  seconds: float
  cpu_seconds: float
  cpu_first: float
  address_space_mb: int
  steps: str


@contextlib.contextmanager
def started(
  command: List[str], log: pathlib.Path, **limits: Any
) -> Iterator[subprocess.Popen]:
  """Starts a command of this project, and ends what there is of it then.

  Args:
    command: what follows `python -m`.
    log: where its standard error goes.
    **limits: `environment`, further variables; `resources`, limits by the
      number of the resource.

  Yields:
    The process, in a session of its own.
  """
  paths = [str(HOOK), str(provenance.ROOT)]

  def limit():
    for number, value in limits.get("resources", {}).items():
      resource.setrlimit(number, (value, value))

  process = subprocess.Popen(
    [sys.executable, "-m", *command],
    stdin=subprocess.DEVNULL,
    stdout=subprocess.DEVNULL,
    stderr=subprocess.PIPE,  # No file, which could be limited too.
    env={
      **os.environ,
      "PYTHONPATH": os.pathsep.join(paths),
      **limits.get("environment", {}),
    },
    start_new_session=True,
    preexec_fn=limit,
  )
  with open(log, "wb") as file:
    copying = threading.Thread(
      target=shutil.copyfileobj, args=(process.stderr, file)
    )
    copying.start()
    try:
      yield process
    finally:
      with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
      process.wait()
      copying.join()
      process.stderr.close()


def refer(
  task: tasks.Task, given: pathlib.Path, work: pathlib.Path
) -> Reference:
  """Runs a task to its end and leaves it alone.

  Raises:
    Error: if it fails.
  """
  folder, log, steps = _new(work / "alone"), work / "log", work / "steps"
  steps.unlink(missing_ok=True)
  began, peak, first = time.monotonic(), 0, 0.0
  before = sum(os.times()[2:4])  # Of children.
  command, environment = task.command(given, folder), _hooked(folder, steps)
  with started(command, log, environment=environment) as process:
    status = pathlib.Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
      found = re.search(r"VmPeak:\s+(\d+)", status.read_text())
      peak = max(peak, int(found[1]) >> 10 if found else 0)
      if task.checkpoint and not any(folder.glob(task.checkpoint)):
        first = _cpu_seconds(process.pid)
      time.sleep(0.02)
  seconds = time.monotonic() - began
  cpu_seconds = sum(os.times()[2:4]) - before
  if process.returncode != 0:
    raise Error(f"a command fails when it is left alone; {log} says why.")
  digests = tasks.digests(task, folder)
  return Reference(
    *(given, digests, seconds, cpu_seconds, min(first, cpu_seconds)),
    *(peak, steps.read_text()),
  )


def kill(
  task: tasks.Task, reference: Reference, work: pathlib.Path, seed: List[int]
) -> Dict[str, Any]:
  """Kills a task and starts it again, until it has ended.

  Each of its processes is killed at a time drawn uniformly from the task's
  duration, or its `share` of it, that before the first checkpoint `EARLY` as
  often as it says; the one that is done before its time, or follows on `most`
  kills, ends. Time is the processor's, for how fast the machine is changes.
  SIGKILL meets all of its processes, as when the machine goes off, and SIGTERM
  the first, as from a shell.
  """
  random = np.random.default_rng(seed)
  folder, log, kills, findings = _new(work / "killed"), work / "log", [], []
  while True:
    span = 0.0, reference.cpu_seconds
    if task.checkpoint:
      first = reference.cpu_first
      last = max(first, task.share * span[1])
      span = (0.0, first) if random.random() < EARLY else (first, last)
    after = float(random.uniform(*span))
    terminates = bool(random.random() < TERMINATES)
    more = len(kills) < task.most
    before = tasks.leftovers(folder)
    with started(task.command(reference.given, folder), log) as process:
      code = _finish(process, reference, after if more else None)
      if code is not None or not more:
        break
      checkpoint = bool(task.checkpoint) and any(folder.glob(task.checkpoint))
      if terminates:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
          process.wait(PATIENCE)
        if process.poll() is None:
          findings.append(f"alive {PATIENCE} s after SIGTERM")
    # What had just finished has nothing more to say.
    if terminates and tasks.digests(task, folder) != reference.digests:
      stays = set(tasks.leftovers(folder)) - set(before)
      findings += _after_sigterm(process, log, stays)
    findings += tasks.damage(folder, reference.digests)
    kills.append(
      {
        "signal": "SIGTERM" if terminates else "SIGKILL",
        "after_cpu_seconds": round(after, 3),
        "after_first_checkpoint": checkpoint,
        "half_written": tasks.leftovers(folder),
      }
    )
  if code is None:
    findings.append("hangs when it is started again")
  if code:
    findings.append(f"ends with {code} when it is started again: {_said(log)}")
  return {"kills": kills, **_end_result(task, reference, folder, findings)}


def _after_sigterm(process, log, stays) -> List[str]:
  # It had just ended, or did not end by itself.
  if process.returncode in (0, -signal.SIGKILL):
    return []
  findings = [f"{name} stays" for name in sorted(stays)]
  if process.returncode != -signal.SIGTERM:
    findings.append(f"ends with {process.returncode} after SIGTERM")
  # Before the interpreter has come to our code there is nothing to say.
  if _said(log) not in ([], ["error: stopped by SIGTERM."]):
    findings.append(f"says {_said(log)} after SIGTERM")
  return findings


def fail(
  task: tasks.Task,
  reference: Reference,
  work: pathlib.Path,
  error: str,
  at: int,
) -> Dict[str, Any]:
  """Lets a step of a task fail, then starts it again.

  Args:
    task: the task.
    reference: of it.
    work: for its folder and its log.
    error: ENOSPC, which stays, or EIO, which does not.
    at: number of the step, from 1.
  """
  folder = _new(work / "failed")
  environment = _hooked(folder, work / "steps")
  environment.update(FAULTS_ERROR=error, FAULTS_AT=str(at))
  (work / "steps").unlink(missing_ok=True)
  fault = {"error": error, "at": at, "step": reference.steps[at - 1]}
  return {
    **fault,
    **_hinder(task, reference, folder, work, environment=environment),
  }


def limit_files(
  task: tasks.Task, reference: Reference, work: pathlib.Path, size: int
) -> Dict[str, Any]:
  """Lets no file grow beyond some bytes (`ulimit -f`), then lifts the limit."""
  limit = {resource.RLIMIT_FSIZE: size}
  folder = _new(work / "failed")
  return {
    **{"error": "EFBIG", "file_bytes": size},
    **_hinder(task, reference, folder, work, resources=limit),
  }


def starve(
  task: tasks.Task, reference: Reference, work: pathlib.Path, megabytes: int
) -> Dict[str, Any]:
  """Limits the address space of a task (`ulimit -v`), then lifts the limit."""
  limit = {resource.RLIMIT_AS: megabytes << 20}
  folder = _new(work / "failed")
  return {
    "address_space_mb": megabytes,
    **_hinder(task, reference, folder, work, resources=limit),
  }


def _hinder(task, reference, folder, work, **limits) -> Dict[str, Any]:
  """Runs a task under limits, which it must bear or refuse, then without."""
  log, findings = work / "log", []
  command = task.command(reference.given, folder)
  with started(command, log, **limits) as process:
    code = _finish(process, reference)
  said = _said(log)
  sentence = len(said) == 1 and said[0].startswith("error: ")
  sentence &= len(said[-1:] and said[0]) <= errors.MAX_LENGTH + len("error: ")
  if code is None:
    findings.append("hangs")
  elif code not in (0, 1):
    findings.append(f"ends with {code}")
  elif code == 1 and not sentence:
    findings.append(f"{len(said)} lines: {said[:1]} ... {said[-1:]}")
  findings += [f"{name} stays" for name in tasks.leftovers(folder)]
  findings += [
    f"{name} is not whole" for name in tasks.damage(folder, reference.digests)
  ]
  if code != 0:
    with started(command, log) as process:
      code_again = _finish(process, reference)
    if code_again != 0:
      findings.append(f"ends with {code_again} afterwards: {_said(log)}")
  return {
    "code": code,
    "said": said[0][:400] if code and said else "",
    **_end_result(task, reference, folder, findings),
  }


def _end_result(task, reference, folder, findings) -> Dict[str, Any]:
  """Whether a task has ended as it does when it is left alone."""
  identical = tasks.digests(task, folder) == reference.digests
  if not identical:
    findings.append("what it made is not what it makes alone")
  findings += [f"{name} stays" for name in tasks.leftovers(folder)]
  return {"identical": identical, "findings": findings}


def _new(folder: pathlib.Path) -> pathlib.Path:
  shutil.rmtree(folder, ignore_errors=True)
  folder.mkdir(parents=True)
  return folder


def _hooked(folder: pathlib.Path, steps: pathlib.Path) -> Dict[str, str]:
  return {"FAULTS_FOLDER": str(folder), "FAULTS_LOG": str(steps)}


def _finish(
  process: subprocess.Popen,
  reference: Reference,
  cpu_seconds: Optional[float] = None,
) -> Optional[int]:
  """Waits for a process to end.

  Args:
    process: of a task.
    reference: of the task.
    cpu_seconds: wait until it has used so many; without them until it hangs.

  Returns:
    Its exit code, None if it is alive.
  """
  most = (
    SLOWNESS * reference.cpu_seconds if cpu_seconds is None else cpu_seconds
  )
  used, since = 0.0, time.monotonic()
  while process.poll() is None:
    before, used = used, _cpu_seconds(process.pid)
    if used > before:
      since = time.monotonic()
    if used >= most or time.monotonic() - since > IDLE:
      return None
    time.sleep(0.02)
  return process.returncode


def _cpu_seconds(pid: int) -> float:
  """Processor time of a process and of its children, the dead ones too."""
  total = 0.0
  with contextlib.suppress(OSError):  # It is gone.
    folder = pathlib.Path(f"/proc/{pid}")
    fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
    total = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    for children in folder.glob("task/*/children"):
      total += sum(map(_cpu_seconds, map(int, children.read_text().split())))
  return total


def _said(log: pathlib.Path) -> List[str]:
  """Lines of standard error that are no progress bars."""
  text = log.read_text(errors="replace").replace("\r", "\n")
  # Without folders, which are those of a machine.
  text = re.sub(r"(?<![\w.])/(?:[^/\s',]+/)*", "", text)
  lines = map(str.strip, text.splitlines())
  return [line for line in lines if line and not _BAR.search(line)]
