"""What the pages say is so: links, anchors, printed output, the notebook."""

import contextlib
import doctest
import io
import json
import os
import re

import pytest
from conftest import ROOT

from experiments.report import walkthrough

PAGES = [
  *ROOT.glob("*.md"),
  *ROOT.glob("docs/*.md"),
  ROOT / "checkpoints" / "README.md",
  ROOT / "tsenh" / "data" / "DATA_CARD.md",
]
NOTEBOOK = ROOT / "docs" / "quickstart.ipynb"
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")


def anchors(text):
  """Of a page's headings, as web hosts and the site make them."""
  headings = re.findall(
    r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.S), re.M
  )
  plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", h) for h in headings)
  return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in plain}


def broken(page, text):
  found = []
  for target, anchor in LINK.findall(text):
    if re.match(r"\w+:", target):
      continue
    path = page.parent / target
    if target and not path.exists():
      found.append(target)
    elif anchor and (not target or path.suffix == ".md"):
      linked = path.read_text() if target else text
      if anchor not in anchors(linked):
        found.append(f"{target}#{anchor}")
  return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_anchors_lead_somewhere(page):
  assert broken(page, page.read_text()) == []


def test_a_broken_link_and_a_broken_anchor_are_seen():
  text = "# A b\n[a](no.md) [b](README.md#nowhere) [c](#a-b) [d](#a-c)"
  page = ROOT / "x.md"
  assert broken(page, text) == ["no.md", "README.md#nowhere", "#a-c"]


@pytest.mark.slow
@pytest.mark.parametrize(
  ("page", "least"), [("docs/walkthrough.md", 40), ("README.md", 7)]
)
def test_a_page_prints_what_it_says(page, least):
  result = doctest.testfile(
    str(ROOT / page),
    module_relative=False,
    optionflags=doctest.NORMALIZE_WHITESPACE,
  )
  assert result.attempted >= least
  assert result.failed == 0


@pytest.mark.slow
def test_the_notebook_prints_what_it_says():
  """GENERATE_EXPECTED=1 writes its outputs anew."""
  notebook = json.loads(NOTEBOOK.read_text())
  names = {}
  number = 0
  for cell in notebook["cells"]:
    if cell["cell_type"] != "code":
      continue
    number += 1
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
      exec("".join(cell["source"]), names)
    lines = printed.getvalue().splitlines(keepends=True)
    outputs = [{"name": "stdout", "output_type": "stream", "text": lines}]
    if os.environ.get("GENERATE_EXPECTED") == "1":
      cell["outputs"], cell["execution_count"] = outputs, number
    assert cell["outputs"] == outputs
    assert cell["execution_count"] == number
  assert number >= 4
  if os.environ.get("GENERATE_EXPECTED") == "1":
    NOTEBOOK.write_text(json.dumps(notebook, indent=1) + "\n")


def test_the_walkthrough_shows_its_figures():
  text = (ROOT / "docs" / "walkthrough.md").read_text()
  shown = re.findall(r"\(figures/(walkthrough/\w+)\.png\)", text)
  assert shown == [name for name, _, _ in walkthrough.pictures()]


def documented_keys():
  text = (ROOT / "docs" / "results.md").read_text()
  table = text.split("\n## The keys\n")[1].split("\n## ")[0]
  rows = [line for line in table.splitlines() if line.startswith("| `")]
  return {
    key for row in rows for key in re.findall(r"`([^`]+)`", row.split("|")[1])
  }


@pytest.mark.slow
def test_every_documented_key_is_written_and_every_key_is_documented(
  run, tmp_path
):
  run("tsenh.evaluate", "--codec=sq-50", "--output=r.json", cwd=tmp_path)
  written = set(json.loads((tmp_path / "r.json").read_text()))
  assert written == documented_keys()
