"""Jobs: commands of this project, run two at a time until nothing is left."""

import concurrent.futures
import contextlib
import dataclasses
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time
from typing import (
  Callable,
  Dict,
  Iterator,
  List,
  Optional,
  Sequence,
  Tuple,
  Union,
)

from experiments import staleness
from tsenh.base import results
from tsenh.base.errors import Error
from tsenh.training import run_folders


@dataclasses.dataclass(frozen=True)
class Job:
  """One command.

  Attributes:
    name: of its log.
    module: the command.
    flags: its flags; of some they follow from other jobs' results, when these
      are there.
    output: the run folder or the JSON that it makes.
    needs: names of the jobs that it waits for.
    seconds: what it takes alone, about.
  """

  name: str
  module: str
  flags: Union[List[str], Callable[[], List[str]]]
  output: pathlib.Path
  needs: Tuple[str, ...]
  seconds: float

  def command(self) -> List[str]:
    """What comes after `python -m`."""
    own = self.flags() if callable(self.flags) else self.flags
    made = None if self.output.suffix == ".json" else self._made()
    if made and made.get("epochs_done") == made.get("epochs"):
      # Of other code, or from other runs: there is nothing to resume.
      own = ["--overwrite" if flag == "--resume" else flag for flag in own]
    return [self.module, *own, f"--output={self.output}"]

  def finished(self, refresh: bool = False) -> bool:
    """Whether its output is there, by this command and from these runs.

    Args:
      refresh: whether it must also be of today's code and data.
    """
    made = self._made()
    if made is None or (refresh and staleness.reasons(made)):
      return False
    if callable(self.flags):
      return True
    if self.output.suffix == ".json":
      same = made["command"][2:] == self.command()
    else:
      same = all(agrees(made, flag) for flag in self.flags)
    return same and all(_made_from(made, flag) for flag in self.flags)

  def _made(self) -> Optional[Dict]:
    """The result, or the configuration of the finished run, if there is one."""
    if self.output.suffix == ".json":
      return results.read(str(self.output)) if self.output.exists() else None
    made = run_folders.read_config(self.output)
    done = made is not None and made["status"] == run_folders.FINISHED
    return made if done else None


# What a run does not say where it is as usual.
_USUAL = {"loss": "code", "num_layers": "2"}


def agrees(made: Dict, flag: str) -> bool:
  """Whether a run was trained as a flag says.

  Args:
    made: what the run's configuration, or a result, says of it.
    flag: `--name=value`, or `--name` and `--noname` of a switch; of what `made`
      does not hold nothing is said.
  """
  name, _, value = flag.removeprefix("--").partition("=")
  if not value:
    off = name.startswith("no")
    return made.get(name[2:] if off else name, not off) is not off
  found = made.get(name)
  if found is None and "hidden_dim" in made:
    found = _USUAL.get(name)
  if found is None or found == value:
    return True
  try:
    return float(found) == float(value)
  except ValueError:
    return False


def _made_from(made: Dict, flag: str) -> bool:
  """Whether a result or a run was made from what is now in a flag's folder."""
  name, _, value = flag.partition("=")
  folder, key = pathlib.Path(value), f"{name[2:]}_digest"
  if name not in ("--codec", "--enhancer", "--low", "--high"):
    return True
  if not folder.is_dir():  # A name, not a run.
    return True
  digests = run_folders.read_config(folder) or {}
  own = "enhancer_digest" if name == "--enhancer" else "codec_digest"
  if name == "--codec" and "status" in made:  # Of a decoder's run.
    key = "low_digest"
  return made.get(key) == digests.get(own)


def chosen(jobs: Dict[str, Job], pattern: str) -> Dict[str, Job]:
  """Jobs whose whole name matches, and those that they wait for, in order.

  Raises:
    Error: if there is none.
  """
  names = [name for name in jobs if re.fullmatch(pattern, name)]
  if not names:
    raise Error(f"--only={pattern}: no job of that name.")
  wanted = set()
  while names:
    name = names.pop()
    wanted.add(name)
    names += set(jobs[name].needs) - wanted
  return {name: job for name, job in jobs.items() if name in wanted}


def _run(job: Job, log: pathlib.Path, processes: List) -> float:
  """Runs a job, and adds its process to a list; returns its seconds.

  Raises:
    Error: if it fails.
  """
  began = time.monotonic()
  with open(log, "w") as file:
    command = [sys.executable, "-m", *job.command()]
    print(shlex.join(command), file=file, flush=True)
    with subprocess.Popen(
      command, stdout=file, stderr=subprocess.STDOUT
    ) as process:
      processes.append(process)
      code = process.wait()
  if code != 0:
    raise Error(f"{job.name}: failed; {log} tells why.")
  return time.monotonic() - began


def duration(seconds: float) -> str:
  hours, minutes = divmod(round(seconds / 60), 60)
  return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"


def unfinished_jobs(
  jobs: Dict[str, Job], refresh: bool = False
) -> Dict[str, Job]:
  """The jobs that are still to be run, in order.

  A result that is not there is, and a run that one of these waits for; a run
  whose results are all there is not made again. What follows from results that
  are to be made again is made again too.

  Args:
    jobs: a plan.
    refresh: see `Job.finished`.
  """
  left, needed = {}, set()
  for name, job in reversed(list(jobs.items())):
    wanted = job.output.suffix == ".json" or name in needed
    if wanted and not job.finished(refresh):
      left[name] = job
      needed.update(job.needs)
  for name, job in jobs.items():
    if callable(job.flags) and left.keys() & set(job.needs):
      waiting = (other for other in jobs.values() if name in other.needs)
      left.update({other.name: other for other in (job, *waiting)})
  return {name: job for name, job in jobs.items() if name in left}


def _ready(waiting: Dict[str, Job], unfinished) -> List[Job]:
  return [
    job for job in waiting.values() if not unfinished.intersection(job.needs)
  ]


@contextlib.contextmanager
def interruptible(
  size: int, started: Sequence[subprocess.Popen] = ()
) -> Iterator[concurrent.futures.Executor]:
  """Threads; if this process is stopped, so are those that they started."""
  with concurrent.futures.ThreadPoolExecutor(size) as threads:
    try:
      yield threads
    except BaseException:
      threads.shutdown(wait=False, cancel_futures=True)
      for process in started:
        process.terminate()
      raise


def run_all(
  jobs: Dict[str, Job],
  logs: pathlib.Path,
  processes: int,
  refresh: bool = False,
) -> None:
  """Runs jobs, those that others wait for before these.

  Raises:
    Error: at the end, if one failed.
  """
  waiting = unfinished_jobs(jobs, refresh)
  unfinished = set(waiting)
  total, failures = len(jobs), []
  running: Dict[concurrent.futures.Future, Job] = {}
  started: List[subprocess.Popen] = []
  expected = spent = 0.0
  with interruptible(processes, started) as pool:
    while waiting or running:
      for job in _ready(waiting, unfinished)[: processes - len(running)]:
        log = logs / f"{job.name.replace(' ', '-').replace(':', '-')}.log"
        running[pool.submit(_run, job, log, started)] = waiting.pop(job.name)
      if not running:
        break  # The rest waits for what failed.
      done, _ = concurrent.futures.wait(
        running, return_when=concurrent.futures.FIRST_COMPLETED
      )
      for future in done:
        job = running.pop(future)
        try:
          seconds = future.result()
        except Error as error:
          failures.append(job.name)
          print(error, file=sys.stderr, flush=True)
          continue
        unfinished.remove(job.name)
        expected, spent = expected + job.seconds, spent + seconds
        rest = sum(jobs[name].seconds for name in unfinished)
        left = rest * spent / expected / processes
        print(
          f"[{total - len(unfinished)}/{total}] {job.name}: {seconds:.0f} s;"
          f" about {duration(left)} left",
          file=sys.stderr,
          flush=True,
        )
  if failures:
    raise Error(
      f"{len(failures)} jobs failed ({', '.join(failures)}) and"
      f" {len(unfinished) - len(failures)} wait for them; start again to retry."
    )


def carry_out(
  plan: Dict[str, Job],
  runs: pathlib.Path,
  output: pathlib.Path,
  only: str = "",
  processes: int = 2,
  dry_run: bool = False,
  refresh: bool = False,
) -> None:
  """Runs what of a plan is not finished, as the commands of plans do.

  Args:
    plan: jobs by name.
    runs: the folder of trained runs; logs go into it.
    output: the folder of results.
    only: a regular expression of names, as `chosen` takes it; "" is all.
    processes: jobs at a time.
    dry_run: print the commands, run none.
    refresh: see `run_all`.
  """
  if only:
    plan = chosen(plan, only)
  left = unfinished_jobs(plan, refresh).values()
  if dry_run:
    for job in left:
      late = callable(job.flags)
      command = [job.module, "..."] if late else job.command()
      print(shlex.join(["python", "-m", *command]))
    return
  logs = runs / "logs"
  for folder in (output, logs):
    folder.mkdir(parents=True, exist_ok=True)
  # One core each: two jobs at a time are then as fast as they can be.
  for library in ("OMP", "OPENBLAS"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")
  seconds = sum(job.seconds for job in left) / processes
  print(
    f"{len(left)} jobs of {len(plan)}, about {duration(seconds)} of work,"
    f" logs in {logs}",
    file=sys.stderr,
  )
  run_all(plan, logs, processes, refresh)
