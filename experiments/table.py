"""Prints results beside the paper's Table 1; reads result JSONs alone.

  python -m experiments.table --results=experiments/results
  python -m experiments.table --results=experiments/results --update=README.md

With --update the table replaces what stands between the two markers in that
file, and the tests hold it current.
"""

import pathlib
from typing import Any, Dict, List

from absl import flags

from experiments import paper
from tsenh import cli, files, results
from tsenh.errors import Error

_RESULTS = cli.require(
  "results", "Folder of result JSONs, from tsenh.evaluate."
)
_UPDATE = flags.DEFINE_string(
  "update", None, "Markdown file to write the table to, between its markers."
)

BEGIN = "<!-- table: made by `make table`, do not edit -->"
END = "<!-- end of table -->"


def load(folder: str) -> List[Dict[str, Any]]:
  """The evaluations on LFW in a folder, in order of rate.

  Raises:
    Error: if there is none.
  """
  paths = sorted(pathlib.Path(folder).glob("*.json"))
  found = [results.read(path) for path in paths if _is_evaluation(path)]
  found = [result for result in found if result["features"] == "lfw"]
  if not found:
    raise Error(f"{folder}: no evaluations on LFW in it.")
  return sorted(found, key=lambda result: result["bits_per_feature"])


def _is_evaluation(path: pathlib.Path) -> bool:
  return '"correct_pairs"' in path.read_text()


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


def replace_table(text: str, table: str) -> str:
  """The text with the table between its markers.

  Raises:
    Error: if the markers are missing.
  """
  if BEGIN not in text or END not in text:
    raise Error("the file has no markers for the table.")
  before, rest = text.split(BEGIN, 1)
  after = rest.split(END, 1)[1]
  return f"{before}{BEGIN}\n\n{table}\n\n{END}{after}"


def main():
  table = render(load(_RESULTS.value))
  if _UPDATE.value is None:
    print(table)
    return
  text = replace_table(pathlib.Path(_UPDATE.value).read_text(), table)
  with files.replacing(_UPDATE.value) as file:
    file.write(text.encode())


if __name__ == "__main__":
  cli.run(main)
