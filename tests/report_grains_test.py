import json

import pytest
from report_data import cells, evaluation, write

from experiments import published
from experiments.report import grains

RATES = {"1e-4": 78, "1e-5": 250, "1e-6": 390, "1e-7": 490}
# Points above what a rate of these bits is given without a coarse term.
GAINS = {"fine": 0.0, "coarse": -0.8, "both": 0.5}
PARTS = (
  "coarse_terms",
  "grains",
  "grains_rates",
  "grains_tests",
  "grains_enhanced",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """Results of the default network's ablation."""
  root = tmp_path_factory.mktemp("results")
  results = root / "ablation" / "fullrank"
  results.mkdir(parents=True)
  write(results, evaluation("none", 4096, 99.3))
  *_, highest = published.LAMBDAS
  for variant, gain in GAINS.items():
    for lmbda, bits in RATES.items():
      accuracy = 96 + bits / 200 + gain
      for seed in range(3):
        plain = f"pro+{variant}-{lmbda}-e40-s{seed}"
        write(results, evaluation(plain, bits, accuracy))
        if lmbda != highest:
          name = f"pro-e+{variant}-{lmbda}-by-{highest}-e40-s{seed}"
          found = evaluation(name, bits, accuracy + 0.1)
          found["codec_digest"] = plain
          found["enhancer_training"]["high_digest"] = (
            f"pro+{variant}-{highest}-e40-s{seed}"
          )
          write(results, found)
  return root


def test_each_codec_is_there_with_its_seeds(folder):
  rows = cells(grains.render_grains(folder))
  assert len(rows) == 1 + 3 * 4 + 3 * 3
  labels = {row["codec"] for row in rows}
  assert {"PRO fine, 40 epochs", "PRO-E both, 40 epochs"} <= labels
  assert {row["seeds"] for row in rows[1:]} == {"3"}


def test_a_coarse_term_is_tested_against_none_at_its_bits(folder):
  rows = cells(grains.render_grains_tests(folder))
  assert len(rows) == 2 * 4 * 3
  for row in rows:
    gain = GAINS["both" if "both" in row["codec"] else "coarse"]
    assert float(row["difference, points"]) * gain > 0, row


def test_enhancement_is_tested_against_the_same_grains(folder):
  rows = cells(grains.render_grains_enhanced(folder))
  assert len(rows) == 3 * 3 * 3
  tar = [row for row in rows if row["of"] == "TAR at FAR 1e-4"]
  assert all(float(row["difference, points"]) > 0 for row in tar)


def test_bits_are_compared_with_the_fine_grains(folder):
  found = {
    row["grains"]: float(row["bits against the fine grain's, %"])
    for row in cells(grains.render_grains_rates(folder))
  }
  assert found["both grains"] < 0 < found["coarse grain"]


def test_people_who_were_seen_stand_beside_others(folder):
  sides = {f"bits_{side}": 80.0 for side in ("seen", "unseen")}
  shares = {
    f"tar_at_far_{far}_{side}": 0.5
    for far in ("1e-3", "1e-4")
    for side in ("seen", "unseen")
  }
  names = [
    f"pro+{term}-1e-4-e40-s0" for term in ("fine", "margin1e4", "coarse")
  ]
  points = [{"method": "none", **shares}]
  points += [{"method": name, **sides, **shares} for name in names]
  path = folder / "studies" / "fullrank" / "seen_people.json"
  path.parent.mkdir(parents=True)
  path.write_text(json.dumps({"format": 1, "points": points, "code": {}}))
  rows = cells(grains.render_coarse_terms(folder))
  terms = [row["coarse term"] for row in rows]
  tried = ["none", "margin 1e-4", "contrastive alone"]
  assert terms == ["uncompressed", *tried]
  assert rows[2]["lambda"] == "1e-4"
  assert float(rows[2]["TAR at FAR 1e-4, unseen people, %"]) == 50
  assert rows[2]["less among seen, points"] == "+0.00"


def test_its_figure_is_of_each_network(folder):
  ((name, _, draw),) = grains.pictures(folder)
  assert name == "fullrank/grains"
  assert draw() is not None


def test_what_is_not_measured_is_said(tmp_path):
  for part in PARTS:
    render = getattr(grains, f"render_{part}")
    assert render(tmp_path) == "*Not measured.*"
