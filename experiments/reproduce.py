"""Trains and evaluates all of the paper's experiments (Sec. 4).

  python -m experiments.reproduce --output=experiments/results/paper/fullrank

Every codec, enhancer and baseline is a job: one command of this project, with
what it wrote to the screen in --runs/logs (--runs is runs/PLAN/NETWORK unless
given). Two run at a time. What is finished
is not done again, a run is trained only for a result that is not there yet, and
one that was stopped goes on where it stood, so this can be interrupted and
started again at any time. It writes result JSONs and nothing else; `make table`
makes the page of them.

--plan=recent is of quantizers younger than the paper: LSQ, PRQ, RaBitQ.
--plan=ahead shows what each part of the codec ahead is worth (docs/ahead.md).
--plan=enhancer holds the enhancer against other decoders of its size, ten
seeds; --plan=why varies it, on held-out people. --plan=choices trains every
teacher for every student, and hashing, without the people of the validation
set, for a choice on these. --plan=short is a few codecs and peers, for a
network beside the main ones. --plan=grains tries coarse terms and their weights
on held-out people, and --plan=ablation holds codecs of the fine grain, of the
coarse one and of both against each other. --plan=smoke is a few updates of
everything, evaluated on the validation set; no table takes its results.

--network=mine.json takes feature sets of your own: docs/own-network.md.
"""

import pathlib

from absl import flags

from experiments import own_sets, plan_flags, plans
from tsenh.base import command_line
from tsenh.base.errors import Error
from tsenh.data import manifests

_PLAN = flags.DEFINE_enum("plan", "paper", list(plans.PLANS), "What to run.")
_NETWORK = flags.DEFINE_string(
  "network",
  manifests.default().name,
  f"Whose features: a manifest's name ({', '.join(manifests.networks())}), or"
  " the path of one of your own, .json, as docs/own-network.md has it.",
)
_SEEDS = flags.DEFINE_integer(
  "seeds",
  len(plans.SEEDS),
  "Trainings of each, --plan=paper alone; of one, no test shows a spread.",
  lower_bound=1,
)
flags.adopt_module_key_flags(plan_flags)  # So that --help shows them.


def main():
  output = pathlib.Path(plan_flags.OUTPUT.value)
  name = pathlib.Path(_NETWORK.value).stem
  runs = pathlib.Path(plan_flags.RUNS.value or f"runs/{_PLAN.value}/{name}")
  network = own_sets.network(_NETWORK.value, runs)
  own = {}
  if _SEEDS.present:
    if _PLAN.value != "paper":
      raise Error("--seeds goes with --plan=paper.")
    own = {"num_seeds": _SEEDS.value}
  found = plans.PLANS[_PLAN.value](network, str(runs), str(output), **own)
  plan_flags.carry_out(found, runs, output)


if __name__ == "__main__":
  command_line.run(main)
