"""Trains and tests teacher and students of expressions under occlusion.

  python -m experiments.expressions --data=ferplus.npz --labels=fer2013new.csv \
    --output=experiments/results/expression

One teacher on whole faces, and for each half that is hidden three seeds of each
student: plain, distilled, by triplets, and what is ours. All start as copies of
the teacher and are trained alike, so that the methods differ in nothing else.
Then pairs of them, put together by a support vector machine, and the control:
two plain students of different seeds; and what is shipped. Each is a job; what
is finished is not done again, and what was stopped goes on, as in
experiments.reproduce. About three hours on two cores.
"""

import pathlib
from typing import Dict, List, Sequence

from absl import flags

from experiments import plan_flags
from experiments.jobs import Job
from tsenh.base import command_line

_DATA = flags.DEFINE_string("data", None, "Images: see train_expression.")
_LABELS = flags.DEFINE_string("labels", None, "Labels: see train_expression.")
flags.adopt_module_key_flags(plan_flags)  # So that --help shows them.
flags.set_default(plan_flags.RUNS, "runs/expression")
flags.mark_flags_as_required(["data", "labels"])

TEACHER = "teacher-s0"
TEACHER_EPOCHS, STUDENT_EPOCHS = 10, 2
SEEDS = range(3)
HALVES = ("upper", "lower")
# By the name in tables; the last three are ours.
METHODS = {
  "plain": ["--method=plain"],
  "kd": ["--method=kd"],
  "triplet": ["--method=triplet"],
  "votes": ["--method=plain", "--targets=votes"],
  "kd-votes": ["--method=kd", "--targets=votes"],
  "kd-stages": ["--method=kd", "--stage_weight=10"],
}
# Put together: two methods of one seed, or one of this seed and of the next.
TOGETHER = (("kd", "triplet"), ("kd-votes", "triplet"), ("plain", "plain"))
# Drawn in two dimensions.
MAPPED = (f"none_{TEACHER}", *(f"upper_{m}-s0" for m in METHODS))
SHIPPED = "half-hidden"  # By experiments.ship_expression, from a mixed one.
MIXED = "mixed"  # One student for whole faces and either half; ours.
# On one core of two that are busy.
_EPOCH, _EVALUATION, _MACHINE = 90, 30, 90


def plan(data: str, labels: str, runs: str, output: str) -> Dict[str, Job]:
  """The jobs, by name, in the order in which they are started."""
  found: Dict[str, Job] = {}
  images = [f"--data={data}", f"--labels={labels}"]
  folder = pathlib.Path(runs)

  def train(name: str, epochs: int, own: List[str], needs=()) -> None:
    found[f"train {name}"] = Job(
      f"train {name}",
      "tsenh.train_expression",
      [*images, *own, f"--epochs={epochs}", "--resume"],
      folder / name,
      tuple(needs),
      _EPOCH * epochs,
    )

  def test(
    name: str, models: List[str], hidden: str, own: Sequence[str] = ()
  ) -> None:
    runs_of = [model for model in models if model != SHIPPED]
    named = [str(folder / model) for model in runs_of] or [SHIPPED]
    found[name] = Job(
      name,
      "tsenh.evaluate_expression",
      [
        *images,
        f"--model={','.join(named)}",
        f"--occlusion={hidden}",
        f"--method={name}",
        *(["--map"] if name in MAPPED else []),
        *own,
      ],
      pathlib.Path(output) / f"{name}.json",
      tuple(f"train {model}" for model in dict.fromkeys(runs_of)),
      _EVALUATION if len(models) == 1 else _MACHINE,
    )

  train(TEACHER, TEACHER_EPOCHS, ["--seed=0", "--threads=2"])
  for hidden in ("none", *HALVES):
    test(f"{hidden}_{TEACHER}", [TEACHER], hidden)
  of_teacher = [
    f"--teacher={folder / TEACHER}",
    "--start=teacher",
    "--learning_rate=0.002",
  ]
  for seed in SEEDS:
    end = f"s{seed}"
    for hidden in HALVES:
      for method, own in METHODS.items():
        name = f"{hidden}_{method}-{end}"
        own = [*own, *of_teacher, f"--occlusion={hidden}", f"--seed={seed}"]
        train(name, STUDENT_EPOCHS, own, [f"train {TEACHER}"])
        test(name, [name], hidden)
    name = f"{MIXED}-{end}"
    own = [*METHODS["kd-votes"], *of_teacher, "--occlusion=mixed"]
    own.append(f"--seed={seed}")
    train(name, 2 * STUDENT_EPOCHS, own, [f"train {TEACHER}"])
    for hidden in ("none", *HALVES):
      test(f"{hidden}_{name}", [name], hidden)
  for seed in SEEDS:
    for hidden in HALVES:
      for first, second in TOGETHER:
        other = (seed + 1) % len(SEEDS) if first == second else seed
        test(
          f"{hidden}_{first}+{second}-s{seed}",
          [f"{hidden}_{first}-s{seed}", f"{hidden}_{second}-s{other}"],
          hidden,
        )
  for precision in ("float", "int8"):
    for hidden in ("none", *HALVES):
      name = f"{hidden}_shipped-{precision}-s0"
      test(name, [SHIPPED], hidden, [f"--precision={precision}"])
  return found


def main():
  runs = pathlib.Path(plan_flags.RUNS.value)
  output = pathlib.Path(plan_flags.OUTPUT.value)
  found = plan(_DATA.value, _LABELS.value, str(runs), str(output))
  plan_flags.carry_out(found, runs, output)


if __name__ == "__main__":
  command_line.run(main)
