"""Trains and evaluates students of few pixels: what makes them good.

  python -m experiments.lowres --images=faces64.npz --lfw=lfw_aligned.tar \
    --teacher_network=mobilefacenet128.param

The shipped students and the teacher that sees the same faces enlarged are
evaluated on LFW; and a student of a quarter of the size is trained in several
ways for equally many epochs, three seeds each: from scratch (people alone),
by the teacher alone, by both, and by both with the teacher's features of a
random half of the faces, or of the half that the graph selects. What is
finished is not done again, and what was stopped goes on. It writes result JSONs
alone; `make table` makes the page of them.
"""

import pathlib
from typing import Dict, List

from absl import flags

from experiments import plan_flags
from experiments.jobs import Job
from tsenh.base import command_line
from tsenh.data import manifests
from tsenh.recognition import face_networks

_IMAGES = flags.DEFINE_string("images", None, "Sharp faces to train on.")
_LFW = flags.DEFINE_string("lfw", None, "LFW's aligned faces of 112x112.")
_TEACHER = flags.DEFINE_string(
  "teacher_network", None, "The network of the teacher's features."
)
_EPOCHS = flags.DEFINE_integer(
  "epochs", 8, "Of each student of the ablation.", lower_bound=1
)
_SEEDS = flags.DEFINE_integer("seeds", 3, "Trainings of each.", lower_bound=1)
flags.adopt_module_key_flags(plan_flags)  # So that --help shows them.
flags.set_default(plan_flags.OUTPUT, "experiments/results/lowres")
flags.set_default(plan_flags.RUNS, "runs/lowres")
flags.mark_flags_as_required(["images", "lfw", "teacher_network"])

SIZES = (16, 32)
QUARTER = "8,24/24,24/64"
SHARE = 0.5
VARIANTS = {
  "scratch": ["--regression_weight=0", "--classification_weight=1"],
  "regression": ["--classification_weight=0"],
  "all": [],
  "random": ["--selection=random", f"--share={SHARE}"],
  "graph": ["--selection=graph", f"--share={SHARE}"],
}


def plan(runs: pathlib.Path, output: pathlib.Path) -> Dict[str, Job]:
  """All jobs by name, in order."""
  found: Dict[str, Job] = {}

  def evaluate(name: str, network: str, own: List[str], low: int, needs=()):
    own_flags = [
      f"--network={network}",
      f"--low={low}",
      f"--images={_LFW.value}",
      f"--method={name}",
      *own,
    ]
    path = output / f"{name}.json"
    found[name] = Job(
      name, "tsenh.evaluate_student", own_flags, path, tuple(needs), 30
    )

  for low in SIZES:
    evaluate(f"teacher-{low}", _TEACHER.value, [], low)
  for name in face_networks.students():
    evaluate(name, name, ["--ways"], int(name.split("-")[1]))
  for seed in range(_SEEDS.value):
    for variant, own in VARIANTS.items():
      name = f"{variant}-s{seed}"
      folder = runs / name
      own_flags = [
        *own,
        f"--images={_IMAGES.value}",
        f"--teacher={manifests.default().held_in}",
        f"--validation={manifests.default().validation}",
        f"--widths={QUARTER}",
        f"--epochs={_EPOCHS.value}",
        f"--seed={seed}",
        f"--shrunken={runs / 'shrunken16.npz'}",
        "--resume",
      ]
      found[f"train {name}"] = Job(
        f"train {name}", "tsenh.train_student", own_flags, folder, (), 240
      )
      evaluate(
        name,
        str(folder / "float32.tflite"),
        ["--preset=student"],
        16,
        [f"train {name}"],
      )
  return found


def main():
  runs = pathlib.Path(plan_flags.RUNS.value)
  output = pathlib.Path(plan_flags.OUTPUT.value)
  plan_flags.carry_out(plan(runs, output), runs, output)


if __name__ == "__main__":
  command_line.run(main)
