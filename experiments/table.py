"""Prints results beside the paper's Table 1; reads result JSONs alone.

  python -m experiments.table --results=experiments/results
  python -m experiments.table --results=experiments/results --update=README.md

With --update the table, and a list of the benchmarks, replace what stands
between their markers in that file; a test holds both current.
"""

import pathlib
from typing import Any, Dict, List, Tuple

import numpy as np
from absl import flags

from experiments import paper
from tsenh import cli, files, results
from tsenh.errors import Error

_RESULTS = flags.DEFINE_string(
  "results", None, "Folder of result JSONs, from tsenh.evaluate."
)
_UPDATE = flags.DEFINE_string(
  "update", None, "Markdown file to bring up to date, between its markers."
)
flags.mark_flag_as_required("results")

# What stands between a pair of markers in README.md is made from JSONs.
TABLE_MARKERS = (
  "<!-- table: made by `make table`, do not edit -->",
  "<!-- end of table -->",
)
SPEED_MARKERS = (
  "<!-- speed: made by `make table`, do not edit -->",
  "<!-- end of speed -->",
)


def _percent(metrics: Dict[str, Any]) -> str:
  accuracy, spread = 100 * metrics["accuracy"], 100 * metrics["accuracy_std"]
  return f"{accuracy:.2f} ± {spread:.2f}"


def render(evaluations: List[Dict[str, Any]]) -> str:
  """The table in Markdown."""
  lines = [
    "| codec | bits per face | BPP | accuracy, % | pairs of 6,000 |"
    " normalized, % | MSE | paper: BPP | accuracy, % |",
    "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
  ]
  for result in evaluations:
    published = "| | |"
    if result["method"] in paper.COUNTERPARTS:
      method, index = paper.COUNTERPARTS[result["method"]]
      point = paper.TABLE_1[method][index]
      published = f"| {point.bits_per_dimension:.2f} | {point.accuracy:.2f} |"
    elif result["method"] == "none":
      published = f"| 32 | {paper.UNCOMPRESSED_ACCURACY:.2f} |"
    lines.append(
      f"| {result['method']} | {result['bits_per_feature']:.1f}"
      f" | {result['bits_per_dimension']:.2f} | {_percent(result)}"
      f" | {result['correct_pairs']:,} | {_percent(result['normalized'])}"
      f" | {result['mse']:.1e} {published}"
    )
  return "\n".join(lines)


def render_speed(folder: str) -> str:
  """The benchmarks of a folder as a list in Markdown.

  Raises:
    Error: if one is missing.
  """
  path = pathlib.Path(folder)
  training = results.read(path / "benchmark_training.json")
  coding = results.read(path / "benchmark_coding.json")
  kills = results.read(path / "kill_and_resume.json")["trials"]
  ratios = training["ratio_per_round"]
  steps = {k: np.median(v) for k, v in training["ms_per_step"].items()}
  lines = [
    f"* A training step is {training['ratio_median']:.1f} times as fast as"
    f" under plain Keras `fit` (rounds {min(ratios):.1f} to {max(ratios):.1f};"
    f" medians {steps['tsenh']:.2f} and {steps['keras_fit']:.2f} ms)."
  ]
  for packing in ("shared", "separate"):
    run = coding[packing]
    lines.append(
      f"* {coding['num_features']:,} features, `--packing={packing}`: encoded"
      f" at {run['encode']['features_per_second']:,} a second in"
      f" {run['encode']['peak_memory_mib']:.0f} MiB of memory, decoded at"
      f" {run['decode']['features_per_second']:,} a second in"
      f" {run['decode']['peak_memory_mib']:.0f} MiB, whole processes."
    )
  same = sum(trial["identical"] for trial in kills)
  lines.append(
    f"* Of {len(kills)} training runs killed at random times and resumed,"
    f" {same} ended in the bits of the run that was left alone."
  )
  return "\n".join(lines)


def replace_between(text: str, markers: Tuple[str, str], content: str) -> str:
  """The text with the content between two markers.

  Raises:
    Error: if a marker is missing.
  """
  begin, end = markers
  if begin not in text or end not in text:
    raise Error(f"the file has no markers {begin} and {end}.")
  before, rest = text.split(begin, 1)
  after = rest.split(end, 1)[1]
  return f"{before}{begin}\n\n{content}\n\n{end}{after}"


def update(text: str, folder: str) -> str:
  """README's text with what is made from the results of a folder."""
  text = replace_between(
    text, TABLE_MARKERS, render(results.read_evaluations(folder))
  )
  return replace_between(text, SPEED_MARKERS, render_speed(folder))


def main():
  if _UPDATE.value is None:
    print(render(results.read_evaluations(_RESULTS.value)))
    return
  text = pathlib.Path(_UPDATE.value).read_text()
  text = update(text, _RESULTS.value)
  with files.replacing(_UPDATE.value) as file:
    file.write(text.encode())


if __name__ == "__main__":
  cli.run(main)
