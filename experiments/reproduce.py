"""Trains and evaluates all of the paper's experiments (Sec. 4).

  python -m experiments.reproduce --output=experiments/results/paper/fullrank

Every codec, enhancer and baseline is a job: one command of this project, with
what it wrote to the screen in --runs/logs. Two run at a time. What is finished
is not done again, a run is trained only for a result that is not there yet, and
one that was stopped goes on where it stood, so this can be interrupted and
started again at any time. It writes result JSONs and nothing else; `make table`
makes the page of them.

--plan=short is a few codecs and peers, for a network beside the main ones.
--plan=choices trains, without the people of the validation set, what the paper
is silent about, for a choice on these people. --plan=smoke is a few updates of
everything, evaluated on the validation set; no table takes its results.
"""

import concurrent.futures
import dataclasses
import json
import math
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time
from typing import Callable, Dict, List, Optional, Sequence, Tuple, Union

from absl import flags

from experiments import published, staleness
from experiments.choices import EPOCHS, LAMBDAS, TEACHERS, updates
from tsenh.base import command_line, results
from tsenh.base.errors import Error
from tsenh.data import manifests
from tsenh.data.manifests import Network
from tsenh.training import run_folders

_PLAN = flags.DEFINE_enum(
  "plan", "paper", ["paper", "short", "choices", "smoke"], "What to run."
)
_NETWORK = flags.DEFINE_enum(
  "network",
  manifests.default().name,
  list(manifests.networks()),
  "Whose features: a manifest's name.",
)
_OUTPUT = flags.DEFINE_string("output", None, "Folder for the result JSONs.")
_RUNS = flags.DEFINE_string(
  "runs",
  None,
  "Folder for trained codecs and enhancers, and logs. (default:"
  " runs/PLAN/NETWORK)",
)
_PROCESSES = flags.DEFINE_integer(
  "processes", 2, "Jobs at a time; each takes one core.", lower_bound=1
)
_REFRESH = flags.DEFINE_bool(
  "refresh",
  False,
  "Also make again what was made by code or data that has changed since.",
)
_ONLY = flags.DEFINE_string(
  "only",
  "",
  "Run the jobs alone whose whole name this regular expression matches, and"
  " those that they wait for.",
)
_DRY_RUN = flags.DEFINE_bool(
  "dry_run", False, "Print the commands that are still to be run, run none."
)
flags.mark_flag_as_required("output")

TEACHING = "1e-8"  # Trained to teach alone.
QPS = (50, 45, 40, 30)
# The shipped codecs that were trained longer stand beside the paper's 40
# epochs: `make checkpoints` trains them.
LONG_EPOCHS = 400
SEEDS = range(5)
BITS = (128, 256, 512, 1024)
RQ_BITS = (64, 96, 128, 192, 256)
PCA_STEPS = (0.4, 0.28, 0.2, 0.14, 0.1, 0.07, 0.05, 0.035, 0.025)
SHORT_PCA_STEPS = (0.14, 0.1, 0.07, 0.05)
# About the seconds of each kind of job beside another one; of a baseline those
# at 256 bits, from where they rise with the square. The time left is told from
# them.
SECONDS = {
  "train_codec": 85,
  "train_enhancer": 50,
  "train_sq_enhancer": 85,
  "train_sq": 5,
  "train_pca": 5,
  "none": 2,
  "sq": 4,
  "pca": 4,
  "pro": 4,
  "lsh": 1,
  "itq": 50,
  "pq": 20,
  "opq": 70,
  "rq": 200,
  "dbh": 12,
  "dhn": 20,
}


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
      same = "epochs" not in made or f"--epochs={made['epochs']}" in self.flags
    return same and all(_made_from(made, flag) for flag in self.flags)

  def _made(self) -> Optional[Dict]:
    """The result, or the configuration of the finished run, if there is one."""
    if self.output.suffix == ".json":
      return results.read(str(self.output)) if self.output.exists() else None
    made = run_folders.read_config(self.output)
    done = made is not None and made["status"] == run_folders.FINISHED
    return made if done else None


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
  return made.get(key) == digests.get(own)


class _Plan:
  """Jobs in the order in which they are started."""

  def __init__(
    self, runs: str, output: str, training_set: str, *test_sets: str
  ):
    self.jobs: Dict[str, Job] = {}
    self._runs, self._output = pathlib.Path(runs), pathlib.Path(output)
    self._training_set, self._test_set = training_set, test_sets[0]
    self._also = [f"--also={','.join(test_sets[1:])}"] if test_sets[1:] else []

  def _add(self, name, module, own_flags, output, needs, seconds) -> None:
    self.jobs[name] = Job(
      name, module, own_flags, output, tuple(needs), seconds
    )

  def describe(self) -> None:
    """Adds what the figures need of the features themselves."""
    own_flags = [
      f"--training_set={self._training_set}",
      f"--test_set={self._test_set}",
    ]
    module = "experiments.studies.describe_features"
    output = self._output / "features.json"
    self._add("features", module, own_flags, output, (), 5)

  def run(self, name: str) -> pathlib.Path:
    """The folder of a run."""
    return self._runs / name

  def train(
    self,
    name: str,
    command: str,
    own_flags: List[str],
    epochs: int,
    needs: Sequence[str] = (),
    seed: int = 0,
  ) -> None:
    """Adds a training run."""
    all_flags = [
      *own_flags,
      f"--features={self._training_set}",
      f"--epochs={epochs}",
      f"--seed={seed}",
      "--resume",
    ]
    share = updates(self._training_set, epochs) / updates(
      manifests.default().training, EPOCHS
    )
    self._add(
      f"train {name}",
      f"tsenh.{command}",
      all_flags,
      self.run(name),
      [f"train {need}" for need in needs],
      5 + SECONDS[command] * share,
    )

  def fit(self, name: str, command: str, own_flags, needs=()) -> None:
    """Adds a run that is fitted in one step; flags may follow from results."""

    def all_flags():
      own = own_flags() if callable(own_flags) else own_flags
      return [*own, f"--features={self._training_set}", "--overwrite"]

    self._add(
      f"train {name}",
      f"tsenh.{command}",
      all_flags if callable(own_flags) else all_flags(),
      self.run(name),
      needs,
      SECONDS[command],
    )

  def evaluate(
    self,
    method: str,
    codec: Optional[str] = None,
    own_flags: Sequence[str] = (),
    needs: Sequence[str] = (),
    times: float = 1.0,
  ) -> None:
    """Adds an evaluation; its JSON has the method's name.

    Args:
      method: its name.
      codec: what to evaluate; by default the run of that name.
      own_flags: further flags.
      needs: runs that it waits for, beside its own.
      times: how much longer than usual it takes.
    """
    if codec is None:
      codec, needs = str(self.run(method)), (method, *needs)
    all_flags = [
      f"--codec={codec}",
      f"--features={self._test_set}",
      *self._also,
      f"--method={method}",
      *own_flags,
    ]
    self._add(
      method,
      "tsenh.evaluate",
      all_flags,
      self._output / f"{method}.json",
      [f"train {need}" for need in needs],
      4 + SECONDS[method.split("-")[0]] * times,
    )

  def codec(self, name: str, lmbda: str, epochs: int, seed: int) -> None:
    """Adds the training of a learned codec."""
    self.train(name, "train_codec", [f"--lambda={lmbda}"], epochs, (), seed)

  def enhance(
    self, low: str, high: str, name: str, epochs: int, seed: int
  ) -> None:
    """Adds an enhancer between two codecs, and its evaluation.

    Args:
      low: a run of this plan, or a shipped codec.
      high: likewise.
      name: of the enhancer.
      epochs: of its training.
      seed: likewise.
    """
    (low, low_needs), (high, high_needs) = map(self._codec, (low, high))
    own_flags = [f"--low={low}", f"--high={high}"]
    needs = (*low_needs, *high_needs)
    self.train(name, "train_enhancer", own_flags, epochs, needs, seed)
    enhancer = [f"--enhancer={self.run(name)}"]
    self.evaluate(name, low, enhancer, (*low_needs, name))

  def _codec(self, name: str) -> Tuple[str, Tuple[str, ...]]:
    """The run of this plan or the shipped codec, and what it waits for."""
    own = f"train {name}" in self.jobs
    return (str(self.run(name)), (name,)) if own else (name, ())

  def sq(self, qp: int, epochs: int, seeds: Sequence[int]) -> None:
    """Adds SQ, SQ with mid-point reconstruction, and SQ-E at one QP."""
    self.fit(f"sq-{qp}", "train_sq", [f"--qp={qp}"])
    self.evaluate(f"sq-{qp}")
    middle = [f"--qp={qp}", "--reconstruction=middle"]
    self.fit(f"sq-mid-{qp}", "train_sq", middle)
    self.evaluate(f"sq-mid-{qp}")
    for seed in seeds:
      name = f"sq-e-{qp}-e{epochs}-s{seed}"
      own_flags = [f"--qp={qp}"]
      self.train(name, "train_sq_enhancer", own_flags, epochs, seed=seed)
      enhancer = [f"--enhancer={self.run(name)}"]
      needs = (f"sq-{qp}", name)
      self.evaluate(name, str(self.run(f"sq-{qp}")), enhancer, needs)

  def pca(self, step: float) -> None:
    """Adds PCA at one step."""
    self.fit(f"pca-{step}", "train_pca", [f"--step={step}"])
    self.evaluate(f"pca-{step}")

  def baseline(self, kind: str, bits: int, seeds: Sequence[int]) -> None:
    """Adds a baseline of fixed length, once for each seed."""
    for seed in seeds:
      own_flags = [f"--training_set={self._training_set}", f"--seed={seed}"]
      self.evaluate(
        f"{kind}-{bits}-s{seed}",
        f"{kind}-{bits}",
        own_flags,
        times=(bits / 256) ** 2,
      )

  def pca_at(self, like: Sequence[str], method: str) -> None:
    """Adds PCA at as many bytes as other methods' mean."""
    paths = [self.jobs[name].output for name in like]

    def own_flags():
      bits = [json.loads(p.read_text())["bits_per_feature"] for p in paths]
      mean = sum(bits) / len(bits)
      step = matching_step(self._training_set, self._test_set, mean)
      return [f"--step={step:.6g}"]

    self.fit(method, "train_pca", own_flags, like)
    self.evaluate(method)


def matching_step(training_set: str, test_set: str, bits: float) -> float:
  """The step at which PCA takes so many bits a feature; accuracy has no say."""
  # These import TensorFlow.
  from tsenh.coding import bitstream, entropy
  from tsenh.data import feature_sets
  from tsenh.features import pca
  from tsenh.features.compressor import Compressor

  training, test = (
    feature_sets.load(name).features for name in (training_set, test_set)
  )
  whole = pca.fit(1.0, training)
  low, high = 1e-3, 1.0
  while high / low > 1.0005:
    step = math.sqrt(low * high)
    transform = pca.TransformCoder(
      step, whole.feature_dim, whole.mean, whole.components
    )
    coder = entropy.fit_coder(transform.encode(training))
    size = len(Compressor("pca", transform, coder).compress(test))
    size -= bitstream.HEADER_BYTES
    low, high = (step, high) if 8 * size / len(test) > bits else (low, step)
  return math.sqrt(low * high)


def paper_plan(network: Network, runs: str, output: str) -> Dict[str, Job]:
  """Table 1, Figures 2, 4 and 5, and their peers, on the test set."""
  plan = _Plan(runs, output, network.training, *network.tests)
  if network.name not in TEACHERS:
    raise Error(
      f"{network.name}: its teachers are not chosen (experiments/choices.py);"
      " --plan=choices measures them."
    )
  teachers = TEACHERS[network.name]
  plan.describe()
  plan.evaluate("none", "none")
  for seed in SEEDS:
    end = f"e{EPOCHS}-s{seed}"
    for lmbda in (*LAMBDAS, TEACHING):
      plan.codec(f"pro-{lmbda}-{end}", lmbda, EPOCHS, seed)
    for lmbda in LAMBDAS:
      low, high = (f"pro-{x}-{end}" for x in (lmbda, teachers[lmbda]))
      plan.evaluate(low)
      plan.enhance(low, high, f"pro-e-{lmbda}-{end}", EPOCHS, seed)
  for lmbda in published.LAMBDAS:
    name = f"pro-{lmbda}-e{LONG_EPOCHS}"
    plan.evaluate(f"{name}-s0", shipped_name(network, name))
  for epochs, seeds, lambdas in (
    (EPOCHS, SEEDS, LAMBDAS),
    (LONG_EPOCHS, [0], published.LAMBDAS),
  ):
    for lmbda in lambdas:
      like = [f"pro-{lmbda}-e{epochs}-s{seed}" for seed in seeds]
      plan.pca_at(like, f"pca-at-pro-{lmbda}-e{epochs}")
  for step in PCA_STEPS:
    plan.pca(step)
  for qp in QPS:
    plan.sq(qp, EPOCHS, SEEDS)
  for bits in BITS:
    for kind in ("pq", "opq", "dbh", "dhn", "itq", "lsh"):
      plan.baseline(kind, bits, SEEDS)
  for bits in RQ_BITS:
    plan.baseline("rq", bits, SEEDS)
  return plan.jobs


def shipped_name(network: Network, name: str) -> str:
  """What a shipped codec of a network is called."""
  return name if network.default else f"{network.name}-{name}"


def short_plan(network: Network, runs: str, output: str) -> Dict[str, Job]:
  """The shipped codecs of a network, PQ, OPQ and PCA."""
  plan = _Plan(runs, output, network.training, *network.tests)
  plan.evaluate("none", "none")
  shipped = re.compile(shipped_name(network, r"(pro-\de-\d-e\d+)"))
  for name in run_folders.shipped():
    match = shipped.fullmatch(name)
    if match:
      plan.evaluate(f"{match[1]}-s0", name)
  for bits in BITS[:2]:
    for kind in ("pq", "opq"):
      plan.baseline(kind, bits, SEEDS)
  for step in SHORT_PCA_STEPS:
    plan.pca(step)
  return plan.jobs


def choices_plan(network: Network, runs: str, output: str) -> Dict[str, Job]:
  """Every teacher for every student, and hashing, on held-out people."""
  plan = _Plan(runs, output, network.held_in, network.validation)
  # As many updates as the codecs have that are compared on the test set.
  wanted = updates(network.training, EPOCHS)
  epochs = round(wanted / updates(network.held_in, 1))
  end = f"e{epochs}-s0"
  every = (*LAMBDAS, TEACHING)
  plan.evaluate("none", "none")
  for lmbda in every:
    plan.codec(f"pro-{lmbda}-{end}", lmbda, epochs, 0)
  for i, lmbda in enumerate(LAMBDAS):
    low = f"pro-{lmbda}-{end}"
    plan.evaluate(low)
    for teacher in every[i + 1 :]:
      name = f"pro-e-{lmbda}-by-{teacher}-{end}"
      plan.enhance(low, f"pro-{teacher}-{end}", name, epochs, 0)
  for kind in ("dbh", "dhn", "itq", "lsh"):
    plan.baseline(kind, BITS[0], [0])
  return plan.jobs


def smoke_plan(network: Network, runs: str, output: str) -> Dict[str, Job]:
  """A few epochs of everything at one rate or two, on held-out people."""
  plan = _Plan(runs, output, network.held_in, network.validation)
  plan.describe()
  plan.evaluate("none", "none")
  # After fewer epochs there is hardly a bit in the codes.
  for lmbda in ("1e-6", "1e-7"):
    plan.codec(f"pro-{lmbda}-e5-s0", lmbda, 5, 0)
  low, high = "pro-1e-6-e5-s0", "pro-1e-7-e5-s0"
  plan.evaluate(low)
  plan.enhance(low, high, "pro-e-1e-6-e5-s0", 5, 0)
  plan.pca_at([low], "pca-at-pro-1e-6-e5")
  plan.sq(50, 1, [0])
  for kind in ("pq", "rq", "lsh", "itq"):
    plan.baseline(kind, 32, [0])
  for kind in ("dbh", "dhn"):
    plan.baseline(kind, 128, [0])
  plan.pca(0.1)
  return plan.jobs


PLANS = {
  "paper": paper_plan,
  "short": short_plan,
  "choices": choices_plan,
  "smoke": smoke_plan,
}


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


def unfinished_jobs(
  jobs: Dict[str, Job], refresh: bool = False
) -> Dict[str, Job]:
  """The jobs that are still to be run, in order.

  A result that is not there is, and a run that one of these waits for; a run
  whose results are all there is not made again.

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
  return dict(reversed(list(left.items())))


def _ready(waiting: Dict[str, Job], unfinished) -> List[Job]:
  return [
    job for job in waiting.values() if not unfinished.intersection(job.needs)
  ]


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
  output = pathlib.Path(_OUTPUT.value)
  runs = pathlib.Path(_RUNS.value or f"runs/{_PLAN.value}/{_NETWORK.value}")
  network = manifests.networks()[_NETWORK.value]
  jobs = PLANS[_PLAN.value](network, str(runs), str(output))
  if _ONLY.value:
    jobs = chosen(jobs, _ONLY.value)
  refresh = _REFRESH.value
  left = unfinished_jobs(jobs, refresh).values()
  if _DRY_RUN.value:
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
  seconds = sum(job.seconds for job in left)
  print(
    f"{len(jobs)} jobs, about {_duration(seconds / _PROCESSES.value)} of work,"
    f" logs in {logs}",
    file=sys.stderr,
  )
  run_all(jobs, logs, _PROCESSES.value, refresh)


if __name__ == "__main__":
  command_line.run(main)
