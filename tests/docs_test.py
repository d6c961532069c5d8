import doctest
import re

import pytest
from conftest import ROOT

PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]


def test_the_walkthrough_prints_what_it_says():
  page = str(ROOT / "docs" / "walkthrough.md")
  result = doctest.testfile(page, module_relative=False)
  assert result.attempted > 40
  assert result.failed == 0


def test_the_walkthroughs_figures_are_drawn_by_their_command(run, tmp_path):
  run("experiments.walkthrough", f"--output={tmp_path}", cwd=ROOT)
  text = (ROOT / "docs" / "walkthrough.md").read_text()
  names = re.findall(r"\(figures/(\w+\.png)\)", text)
  assert sorted(names) == sorted(path.name for path in tmp_path.iterdir())
  for name in names:
    assert (tmp_path / name).read_bytes()[:4] == b"\x89PNG"
    assert (ROOT / "docs" / "figures" / name).exists()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
  for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
    if not link.startswith("http"):
      assert (page.parent / link).exists(), link
