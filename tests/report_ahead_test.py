import json
import shutil

import pytest
from conftest import ROOT
from report_data import cells, evaluation, write, write_study

from experiments import plans
from experiments.report import ahead
from tsenh.data import manifests


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """Results of the default network, with LDA among them."""
  root = tmp_path_factory.mktemp("results")
  paper = root / "paper" / "fullrank"
  paper.mkdir(parents=True)
  write_study(paper)
  for bits, accuracy in ((40, 96.0), (64, 97.0), (78, 99.0), (128, 99.3)):
    write(paper, evaluation(f"lda-{bits}", bits - 0.25, accuracy - 0.1))
    write(paper, evaluation(f"ahead-{bits}-s0", bits - 0.25, accuracy))
  write(paper, evaluation("lda+plain-64", 64, 95.0))
  return root


def test_bars_are_of_the_recipe_alone(folder):
  rows = cells(ahead.render_ahead_bars(folder))
  assert [row["bits wanted"] for row in rows] == ["64", "64", "78", "78"] + [
    "128",
    "128",
  ]
  assert rows[0]["outcome"] == "**not met**"
  assert rows[2]["outcome"] == "met"
  assert float(rows[2]["slack"]) == pytest.approx(
    float(rows[2]["found"]) - 98.0, abs=0.006
  )


def test_methods_of_few_bits_stand_in_order_of_rate(folder):
  rows = cells(ahead.render_ahead(folder))
  bits = [float(row["bits per face"]) for row in rows]
  assert bits == sorted(bits) and bits[-1] < 150
  methods = {row["method"] for row in rows}
  assert {"ahead", "LDA", "LDA plain", "PQ", "PRO, 40 epochs"} <= methods
  assert "uncompressed" not in methods


def test_bits_are_compared_at_equal_tar(folder):
  (row,) = (
    row
    for row in cells(ahead.render_ahead_rates(folder))
    if row["method"] == "ahead"
  )
  assert float(row["bits against PRO's, %"]) < 0
  # Plain LDA has one point, which is no curve.
  assert "LDA plain" not in ahead.render_ahead_rates(folder)


def test_what_is_not_measured_is_said(tmp_path):
  for part in ("ahead", "ahead_bars", "ahead_rates", "trained", "directions"):
    assert getattr(ahead, f"render_{part}")(tmp_path) == "*Not measured.*"


def test_each_variation_is_told_with_its_value(folder):
  recorded = ROOT / "experiments/results/studies/fullrank/ahead.json"
  target = folder / "studies" / "fullrank" / "ahead.json"
  target.parent.mkdir(parents=True)
  shutil.copy(recorded, target)
  text = ahead.render_directions(folder)
  rows = [row["varied alone"] for row in cells(text)]
  assert "shrinkage 0.3" in rows and "directions 32" in rows
  assert len(rows) == len(json.loads(recorded.read_text())["points"])


def test_trainings_are_told_as_means_over_seeds(folder):
  target = folder / "studies" / "fullrank" / "trained.json"
  target.parent.mkdir(parents=True, exist_ok=True)
  recorded = ROOT / "experiments/results/studies/fullrank/trained.json"
  shutil.copy(recorded, target)
  rows = cells(ahead.render_trained(folder))
  points = json.loads(recorded.read_text())["points"]
  own = [
    p for p in points if p["varied"] == "recipe" and p["wanted_bits"] == 64
  ]
  (row, *_) = (row for row in rows if row["varied alone"] == "the recipe")
  mean = sum(p["tar_at_far_1e-4"] for p in own) / len(own)
  assert float(row["TAR at FAR 1e-4, all pairs, %"]) == pytest.approx(
    100 * mean, abs=0.006
  )
  assert {"LDA, not trained", "the recipe"} <= {
    row["varied alone"] for row in rows
  }


def test_the_plan_has_the_recipe_and_each_change_alone():
  network = manifests.default()
  plan = plans.ahead_plan(network, "runs", "results")
  flags = plan["train lda+metric-64"].flags
  assert {"--bits=64", "--dim=48", "--shrinkage=0"} <= set(flags)
  assert not any(flag.startswith("--decoding") for flag in flags)
  assert not any("--dim" in flag for flag in plan["train lda-64"].flags)
  assert "--trellis=true" in plan["train lda+trellis-64"].flags
  assert "--notrellis" in plan["train ahead+scalar-64-s4"].flags
  paper = plans.paper_plan(network, "runs", "results")
  assert paper["lda-64"] == plan["lda-64"]
  assert not any("trellis" in flag for flag in paper["train ahead-64-s0"].flags)
