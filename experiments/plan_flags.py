"""Flags that all commands have which carry out a plan of jobs."""

import pathlib
import re
from typing import Dict

from absl import flags

from experiments import jobs
from experiments.jobs import Job

OUTPUT = flags.DEFINE_string("output", None, "Folder for the result JSONs.")
RUNS = flags.DEFINE_string(
  "runs", None, "Folder for what is trained, and logs."
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


@flags.validator("only", "expected a regular expression")
def _is_regular_expression(value: str) -> bool:
  try:
    return bool(re.compile(value))
  except re.error:
    return False


def carry_out(
  plan: Dict[str, Job], runs: pathlib.Path, output: pathlib.Path
) -> None:
  """Runs what of a plan is not finished; see `jobs.carry_out`."""
  jobs.carry_out(
    plan,
    runs,
    output,
    _ONLY.value,
    _PROCESSES.value,
    _DRY_RUN.value,
    _REFRESH.value,
  )
