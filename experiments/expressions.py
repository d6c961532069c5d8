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

from absl import flags

from experiments import image_plans, plan_flags
from tsenh.base import command_line

_DATA = flags.DEFINE_string("data", None, "Images: see train_expression.")
_LABELS = flags.DEFINE_string("labels", None, "Labels: see train_expression.")
flags.adopt_module_key_flags(plan_flags)  # So that --help shows them.
flags.set_default(plan_flags.RUNS, "runs/expression")
flags.mark_flags_as_required(["data", "labels"])


def main():
  runs = pathlib.Path(plan_flags.RUNS.value)
  output = pathlib.Path(plan_flags.OUTPUT.value)
  found = image_plans.expression_plan(
    _DATA.value, _LABELS.value, str(runs), str(output)
  )
  plan_flags.carry_out(found, runs, output)


if __name__ == "__main__":
  command_line.run(main)
