"""Trains and evaluates all of the paper's experiments (Sec. 4).

  python -m experiments.reproduce --output=experiments/results/paper

Every codec, enhancer and baseline is a job: one command of this project, with
what it wrote to the screen in --runs/logs. Two run at a time. What is finished
is not done again, and a training run that was stopped goes on where it stood,
so this can be interrupted and started again at any time. It writes result JSONs
and nothing else; `make table` makes the page of them.

--plan=choices trains, on faces-train, what the paper is silent about, for a
choice on faces-validation. --plan=smoke is a few updates of everything,
evaluated on faces-validation; no table takes its results.
"""

import concurrent.futures
import dataclasses
import json
import os
import pathlib
import shlex
import subprocess
import sys
import time
from typing import Callable, Dict, List, Sequence, Tuple, Union

import numpy as np
from absl import flags

from tsenh import checkpoints, cli, results
from tsenh.errors import Error

_PLAN = flags.DEFINE_enum(
  "plan", "paper", ["paper", "choices", "smoke"], "What to run."
)
_OUTPUT = flags.DEFINE_string("output", None, "Folder for the result JSONs.")
_RUNS = flags.DEFINE_string(
  "runs", "runs/paper", "Folder for trained codecs and enhancers, and logs."
)
_PROCESSES = flags.DEFINE_integer(
  "processes", 2, "Jobs at a time; each takes one core.", lower_bound=1
)
_DRY_RUN = flags.DEFINE_bool(
  "dry_run", False, "Print the commands that are still to be run, run none."
)
flags.mark_flag_as_required("output")

LAMBDAS = ("1e-4", "1e-5", "1e-6", "1e-7")
QPS = (50, 45, 40, 30)
EPOCHS = 40
# The shipped codecs that were trained longer are named beside the paper's 40
# epochs: `make checkpoints` trains them, too long for here.
LONG_EPOCHS = 400
SEEDS = range(5)
# The teacher of each codec. Paper-silent; of those with a higher rate it is the
# one with the most correct pairs of faces-validation (`make choices`). They
# differ by less than chance does. 1e-8 is there to teach.
TEACHERS = {"1e-4": "1e-8", "1e-5": "1e-6", "1e-6": "1e-7", "1e-7": "1e-8"}
# No codec of 1e-8 is shipped: the last of them has no teacher.
LONG_TEACHERS = {"1e-4": "1e-7", "1e-5": "1e-6", "1e-6": "1e-7"}
BITS = (128, 256, 512, 1024)
RQ_BITS = (64, 96, 128, 192, 256)
PCA_STEPS = (0.2, 0.14, 0.1, 0.07, 0.05, 0.035, 0.025)
# About the seconds of each kind of job beside another one; of a baseline those
# at 256 bits, from where they rise with the square. The time left is told from
# them.
SECONDS = {
  **{"train_codec": 85, "train_enhancer": 50, "train_sq_enhancer": 85},
  **{"none": 2, "sq": 4, "pca": 4, "pro": 4, "lsh": 1, "itq": 50},
  **{"pq": 20, "opq": 70, "rq": 200, "ksh": 12, "dhn": 20},
}


@dataclasses.dataclass(frozen=True)
class Job:
  """One command.

  Attributes:
    name: of its log.
    module: the command, and its flags; of some they follow from other jobs'
      results, when these are there.
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
    return [self.module, *own, f"--output={self.output}"]

  def finished(self) -> bool:
    """Whether its output is there, by this command and from these runs."""
    if self.output.suffix == ".json":
      if not self.output.exists():
        return False
      made = results.read(str(self.output))
      same = callable(self.flags) or made["command"][2:] == self.command()
    else:
      made = checkpoints.read_config(self.output)
      if made is None or made["status"] != checkpoints.FINISHED:
        return False
      same = f"--epochs={made['epochs']}" in self.flags
    if callable(self.flags):
      return same
    return same and all(map(_made_from(made), self.flags))


def _made_from(made: Dict) -> Callable[[str], bool]:
  """Whether a result or a run was made from what is now in a flag's folder."""

  def check(flag: str) -> bool:
    name, _, value = flag.partition("=")
    folder, key = pathlib.Path(value), f"{name[2:]}_digest"
    if name not in ("--codec", "--enhancer", "--low", "--high"):
      return True
    if not folder.is_dir():  # A name, not a run.
      return True
    digests = checkpoints.read_config(folder)
    own = "enhancer_digest" if name == "--enhancer" else "codec_digest"
    return made.get(key) == digests.get(own)

  return check


class _Plan:
  """Jobs in the order in which they are started."""

  def __init__(self, runs, output, features, test_set):
    self.jobs: Dict[str, Job] = {}
    self._runs, self._output = pathlib.Path(runs), pathlib.Path(output)
    self._features, self._test_set = features, test_set

  def describe(self) -> None:
    """Adds what the figures need of the features themselves."""
    own_flags = [
      f"--training_set={self._features}",
      f"--test_set={self._test_set}",
    ]
    self.jobs["features"] = Job(
      *("features", "experiments.describe_features", own_flags),
      *(self._output / "features.json", (), 5),
    )

  def run(self, name: str) -> pathlib.Path:
    """The folder of a training run."""
    return self._runs / name

  def train(self, name, command, own_flags, epochs, needs=(), seed=0) -> None:
    """Adds a training run."""
    all_flags = [
      *own_flags,
      f"--features={self._features}",
      f"--epochs={epochs}",
      f"--seed={seed}",
      "--resume",
    ]
    seconds = 5 + SECONDS[command] * epochs / EPOCHS
    self.jobs[f"train {name}"] = Job(
      *(f"train {name}", f"tsenh.{command}", all_flags, self.run(name)),
      *(tuple(f"train {need}" for need in needs), seconds),
    )

  def evaluate(self, method, codec, own_flags=(), needs=(), times=1.0) -> None:
    """Adds an evaluation; its JSON has the method's name."""
    kind = method.split(":")[0].split("-")[0]
    self.jobs[method] = Job(
      *(method, "tsenh.evaluate"),
      [
        f"--codec={codec}",
        f"--features={self._test_set}",
        f"--method={method}",
        *own_flags,
      ],
      self._output / f"{method.replace(':', '-')}.json",
      *(tuple(f"train {need}" for need in needs), 4 + SECONDS[kind] * times),
    )

  def codec(self, name: str, lmbda: str, epochs: int, seed: int) -> None:
    """Adds the training of a learned codec."""
    self.train(name, "train_codec", [f"--lambda={lmbda}"], epochs, (), seed)

  def _codec(self, name: str) -> Tuple[str, Tuple[str, ...]]:
    """The run of this plan or the shipped codec, and what it waits for."""
    own = f"train {name}" in self.jobs
    return (str(self.run(name)), (name,)) if own else (name, ())

  def decode(self, method: str, name: str) -> None:
    """Adds the evaluation of a learned codec."""
    codec, needs = self._codec(name)
    self.evaluate(method, codec, (), needs)

  def enhance(self, low, high, name, epochs, seed) -> None:
    """Adds an enhancer between two codecs, and its evaluation."""
    (low, low_needs), (high, high_needs) = map(self._codec, (low, high))
    own_flags, needs = (
      [f"--low={low}", f"--high={high}"],
      low_needs + high_needs,
    )
    self.train(name, "train_enhancer", own_flags, epochs, needs, seed)
    needs = (*low_needs, name)
    self.evaluate(name, low, [f"--enhancer={self.run(name)}"], needs)

  def fitted(self, name: str) -> str:
    """The name of a codec that is fitted to the training set."""
    return name if self._features == "faces" else f"{name}:{self._features}"

  def sq(self, qp: int, epochs: int) -> None:
    """Adds SQ and SQ-E at one QP."""
    codec, run = self.fitted(f"sq:{qp}"), f"sq-e-{qp}"
    self.evaluate(f"sq:{qp}", codec)
    self.train(run, "train_sq_enhancer", [f"--qp={qp}"], epochs)
    own_flags = [f"--enhancer={self.run(run)}"]
    self.evaluate(f"sq-e:{qp}", codec, own_flags, (run,))

  def pca(self, step: float) -> None:
    """Adds PCA at one step."""
    self.evaluate(f"pca:{step}", self.fitted(f"pca:{step}"))

  def baseline(self, kind: str, bits: int) -> None:
    """Adds a baseline of fixed length."""
    codec = self.fitted(f"{kind}:{bits}")
    self.evaluate(f"{kind}:{bits}", codec, times=(bits / 256) ** 2)

  def pca_at(self, like: Sequence[str], method: str) -> None:
    """Adds PCA at as many bytes as other methods' mean."""
    paths = [self.jobs[name].output for name in like]

    def own_flags():
      bits = [json.loads(p.read_text())["bits_per_feature"] for p in paths]
      step = _matching_step(self._features, self._test_set, np.mean(bits))
      return [
        f"--codec={self.fitted(f'pca:{step:.6g}')}",
        f"--features={self._test_set}",
        f"--method={method}",
      ]

    self.jobs[method] = Job(
      *(method, "tsenh.evaluate", own_flags),
      self._output / f"{method}.json",
      *(tuple(like), 4 + SECONDS["pca"]),
    )


def _matching_step(training_set: str, test_set: str, bits: float) -> float:
  """The step at which PCA takes so many bits a feature; accuracy has no say."""
  # These import TensorFlow.
  from tsenh import bitstream, compression, features

  test = features.load(test_set).features
  low, high = 1e-3, 1.0
  while high / low > 1.0005:
    step = np.sqrt(low * high)
    coder = compression.load(f"pca:{step}:{training_set}")
    size = len(coder.compress(test)) - bitstream.HEADER_BYTES
    low, high = (step, high) if 8 * size / len(test) > bits else (low, step)
  return float(np.sqrt(low * high))


def paper_plan(runs: str, output: str) -> Dict[str, Job]:
  """Table 1, Figures 2, 4 and 5, and their peers, on LFW."""
  plan = _Plan(runs, output, "faces", "lfw")
  plan.describe()
  plan.evaluate("none", "none")
  for seed in SEEDS:
    end = f"e{EPOCHS}-s{seed}"
    for lmbda in (*LAMBDAS, "1e-8"):
      plan.codec(f"pro-{lmbda}-{end}", lmbda, EPOCHS, seed)
    for lmbda in LAMBDAS:
      low, high = (f"pro-{x}-{end}" for x in (lmbda, TEACHERS[lmbda]))
      plan.decode(low, low)
      plan.enhance(low, high, f"pro-e-{lmbda}-{end}", EPOCHS, seed)
  end = f"e{LONG_EPOCHS}-s0"
  for lmbda in LAMBDAS:
    plan.decode(f"pro-{lmbda}-{end}", f"pro-{lmbda}-long")
  for lmbda, teacher in LONG_TEACHERS.items():
    low, high = (f"pro-{x}-long" for x in (lmbda, teacher))
    plan.enhance(low, high, f"pro-e-{lmbda}-{end}", EPOCHS, 0)
  for epochs, seeds in ((EPOCHS, SEEDS), (LONG_EPOCHS, [0])):
    for lmbda in LAMBDAS:
      like = [f"pro-{lmbda}-e{epochs}-s{seed}" for seed in seeds]
      plan.pca_at(like, f"pca-at-pro-{lmbda}-e{epochs}")
  _peers(plan)
  return plan.jobs


def _peers(plan: _Plan) -> None:
  """What the learned codec is compared with."""
  for qp in QPS:
    plan.sq(qp, EPOCHS)
  for bits in BITS:
    for kind in ("pq", "opq", "ksh", "dhn", "itq", "lsh"):
      plan.baseline(kind, bits)
  for bits in RQ_BITS:
    plan.baseline("rq", bits)
  for step in PCA_STEPS:
    plan.pca(step)


def choices_plan(runs: str, output: str) -> Dict[str, Job]:
  """Every teacher for every student, and hashing, on held-out people."""
  plan = _Plan(runs, output, "faces-train", "faces-validation")
  epochs = 46  # 82,524 updates: as many as 40 epochs of faces.
  every = (*LAMBDAS, "1e-8")
  plan.evaluate("none", "none")
  for lmbda in every:
    plan.codec(f"choice-pro-{lmbda}-s0", lmbda, epochs, 0)
  for i, lmbda in enumerate(LAMBDAS):
    low = f"choice-pro-{lmbda}-s0"
    plan.decode(f"pro-{lmbda}-s0", low)
    for teacher in every[i + 1 :]:
      plan.enhance(
        *(low, f"choice-pro-{teacher}-s0"),
        *(f"pro-e-{lmbda}-{teacher}-s0", epochs, 0),
      )
  for kind in ("ksh", "dhn", "itq", "lsh"):
    plan.baseline(kind, BITS[0])
  return plan.jobs


def smoke_plan(runs: str, output: str) -> Dict[str, Job]:
  """A few epochs of everything at one rate or two, on held-out people."""
  plan = _Plan(runs, output, "faces-train", "faces-validation")
  plan.describe()
  plan.evaluate("none", "none")
  # After fewer epochs there is hardly a bit in the codes.
  for lmbda in ("1e-6", "1e-7"):
    plan.codec(f"pro-{lmbda}-e5-s0", lmbda, 5, 0)
  low, high = "pro-1e-6-e5-s0", "pro-1e-7-e5-s0"
  plan.decode(low, low)
  plan.enhance(low, high, "pro-e-1e-6-e5-s0", 1, 0)
  plan.pca_at([low], "pca-at-pro-1e-6-e5")
  plan.sq(50, 1)
  for kind in ("pq", "rq", "lsh", "itq"):
    plan.baseline(kind, 32)
  for kind in ("ksh", "dhn"):
    plan.baseline(kind, 128)
  plan.pca(0.1)
  return plan.jobs


PLANS = {"paper": paper_plan, "choices": choices_plan, "smoke": smoke_plan}


def _run(job: Job, log: pathlib.Path) -> float:
  """Runs a job; returns its seconds.

  Raises:
    Error: if it fails.
  """
  began = time.monotonic()
  with open(log, "w") as file:
    command = [sys.executable, "-m", *job.command()]
    print(shlex.join(command), file=file, flush=True)
    code = subprocess.run(
      command, stdout=file, stderr=subprocess.STDOUT, check=False
    ).returncode
  if code != 0:
    raise Error(f"{job.name}: failed; {log} tells why.")
  return time.monotonic() - began


def _duration(seconds: float) -> str:
  hours, minutes = divmod(round(seconds / 60), 60)
  return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"


def _ready(waiting: Dict[str, Job], unfinished) -> List[Job]:
  return [
    job for job in waiting.values() if not unfinished.intersection(job.needs)
  ]


def run_all(jobs: Dict[str, Job], logs: pathlib.Path, processes: int) -> None:
  """Runs jobs, those that others wait for before these.

  Raises:
    Error: at the end, if one failed.
  """
  waiting = {k: job for k, job in jobs.items() if not job.finished()}
  unfinished = set(waiting)
  total, failures = len(jobs), []
  running: Dict[concurrent.futures.Future, Job] = {}
  expected = spent = 0.0
  with concurrent.futures.ThreadPoolExecutor(processes) as pool:
    while waiting or running:
      for job in _ready(waiting, unfinished)[: processes - len(running)]:
        log = logs / f"{job.name.replace(' ', '-').replace(':', '-')}.log"
        running[pool.submit(_run, job, log)] = waiting.pop(job.name)
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
          f" about {_duration(left)} left",
          file=sys.stderr,
          flush=True,
        )
  if failures:
    raise Error(
      f"{len(failures)} jobs failed ({', '.join(failures)}) and"
      f" {len(unfinished) - len(failures)} wait for them; start again to retry."
    )


def main():
  output, runs = pathlib.Path(_OUTPUT.value), pathlib.Path(_RUNS.value)
  jobs = PLANS[_PLAN.value](str(runs), str(output))
  if _DRY_RUN.value:
    for job in jobs.values():
      if not job.finished():
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
  left = sum(job.seconds for job in jobs.values() if not job.finished())
  print(
    f"{len(jobs)} jobs, about {_duration(left / _PROCESSES.value)} of work,"
    f" logs in {logs}",
    file=sys.stderr,
  )
  run_all(jobs, logs, _PROCESSES.value)


if __name__ == "__main__":
  cli.run(main)
