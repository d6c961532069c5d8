"""DEVIATIONS.md against the code: every silent choice is accounted for."""

import re

from conftest import ROOT

MARK = re.compile(r"Paper-silent\s+\((\w+)\)")
ROW = re.compile(r"^\| `(\w+)` \|.*\|([^|]*)\|$", re.MULTILINE)


def listed():
  text = (ROOT / "DEVIATIONS.md").read_text()
  section = text.split("\n## Silent\n")[1].split("\n## ")[0]
  return {mark: measured.strip() for mark, measured in ROW.findall(section)}


def marked():
  paths = [*ROOT.glob("tsenh/**/*.py"), *ROOT.glob("experiments/**/*.py")]
  found = set()
  for path in paths:
    text = re.sub(r"\n\s*(# )?", " ", path.read_text())
    assert "Paper-silent:" not in text, path
    found |= set(MARK.findall(text))
  return found


def test_every_silent_choice_is_marked_in_the_code_and_every_mark_is_listed():
  assert set(listed()) == marked()
  assert len(listed()) >= 20


def test_every_silent_choice_says_where_it_is_measured_or_that_it_is_not():
  for mark, measured in listed().items():
    assert measured.startswith("not measured") or re.search(
      r"\]\((#|docs/)", measured
    ), mark


def test_a_choice_that_says_below_is_in_the_table_below():
  text = (ROOT / "DEVIATIONS.md").read_text()
  study = text.split("<!-- sensitivity:")[1].split("<!-- end of")[0]
  for mark, measured in listed().items():
    if "#what-the-choices-change" in measured:
      assert f"| {mark}=" in study, mark


def test_the_lfw_photographs_in_the_training_set_are_counted():
  from tsenh.data import feature_sets

  text = (ROOT / "DEVIATIONS.md").read_text()
  for training_set in ("faces", "rank64-faces"):
    names = feature_sets.load(training_set).names
    lfw = [n for n in names if n.startswith("lfw/") and "#" not in n]
    assert f"{len(lfw):,} of the" in text
