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

from absl import flags

from experiments import image_plans, plan_flags
from tsenh.base import command_line

_IMAGES = flags.DEFINE_string("images", None, "Sharp faces to train on.")
_LFW = flags.DEFINE_string("lfw", None, "LFW's aligned faces of 112x112.")
_TEACHER = flags.DEFINE_string(
  "teacher_network", None, "The network of the teacher's features."
)
_EPOCHS = flags.DEFINE_integer(
  "epochs",
  image_plans.LOWRES_EPOCHS,
  "Of each student of the ablation.",
  lower_bound=1,
)
_SEEDS = flags.DEFINE_integer(
  "seeds", image_plans.LOWRES_SEEDS, "Trainings of each.", lower_bound=1
)
flags.adopt_module_key_flags(plan_flags)  # So that --help shows them.
flags.set_default(plan_flags.OUTPUT, "experiments/results/lowres")
flags.set_default(plan_flags.RUNS, "runs/lowres")
flags.mark_flags_as_required(["images", "lfw", "teacher_network"])


def main():
  runs = pathlib.Path(plan_flags.RUNS.value)
  output = pathlib.Path(plan_flags.OUTPUT.value)
  found = image_plans.lowres_plan(
    _IMAGES.value,
    _LFW.value,
    _TEACHER.value,
    str(runs),
    str(output),
    _EPOCHS.value,
    _SEEDS.value,
  )
  plan_flags.carry_out(found, runs, output)


if __name__ == "__main__":
  command_line.run(main)
