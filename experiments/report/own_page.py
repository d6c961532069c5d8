"""The page of somebody's own feature sets: the paper's tables on their network.

The text is own_page.md; the tables are those of docs/paper.md.
"""

import json
import os
import pathlib
import re
from typing import Any, Dict

from experiments.report import page, tables
from experiments.report.reader import Study
from tsenh.data import feature_sets, manifests

_TEMPLATE = pathlib.Path(__file__).with_suffix(".md")
_OMITTED = ("bars", "further")  # Of the shipped sets alone.


def _described(network: manifests.Network, name: str) -> Dict[str, Any]:
  """What is known of a set, from its manifest and from its extraction."""
  info = network.sets[name]
  row = {"set": name, "role": info.role, "features": info.count}
  row["dimensions"] = info.dim
  provenance = feature_sets.load(name).provenance
  try:
    made = json.loads(provenance)
    row["network"] = f"{made['network']} ({made['network_digest'][:12]})"
    row["photographs"] = made["photographs"]
    row["without a feature"] = made["without_a_feature"]
    row["left out"] = made.get("excluded", {}).get("photographs", 0)
  except (ValueError, TypeError, KeyError):  # Not of this project's command.
    row["network"] = provenance.replace("|", "/")
  return row


def render(
  study: Study,
  network: manifests.Network,
  results: pathlib.Path,
  output: pathlib.Path,
) -> str:
  """The page in Markdown.

  Args:
    study: of the network's test set.
    network: from a manifest of somebody's own.
    results: the folder of the study.
    output: where the page goes; figures/NAME lies there.
  """
  text = _TEMPLATE.read_text(encoding="utf-8").replace("NAME", network.name)
  rows = [_described(network, name) for name in network.sets]
  test = network.sets[network.tests[0]]
  text = page.replace(text, "sets", tables.markdown(rows))
  text = re.sub("^# .*", f"# Table 1 on {network.title}", text, count=1)
  correct = f"{test.correct_pairs:,} of {test.num_pairs:,}"
  text = text.replace("UNCOMPRESSED", correct)
  for name, render_part in tables.PARTS.items():
    if name not in _OMITTED:
      text = page.replace(text, name, render_part(study))
  recorded = f"../experiments/results/paper/{network.name}/"
  own = pathlib.Path(os.path.relpath(results, output)).as_posix()
  text = text.replace(recorded, f"{own}/")
  # A figure for which nothing was measured is not drawn.
  return re.sub(
    r"!\[[^]]*\]\((figures/[^)]*)\)\n",
    lambda m: m[0] if (output / m[1]).is_file() else "*Not measured.*\n",
    text,
  )
