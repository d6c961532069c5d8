import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import scipy.interpolate
from conftest import ROOT
from report_data import cells, evaluation, write

from experiments.report import enhancer, rates, significance, tables
from experiments.studies import gaussian
from tsenh.data import feature_sets
from tsenh.recognition import verification


def test_spreads_over_seeds_and_over_folds_by_hand():
  # 2 seeds, 2 folds of 10 pairs: 85 % and 75 %.
  hits = np.array([[9, 8], [9, 6]])
  assert significance.accuracies(hits, 20).tolist() == [85, 75]
  assert significance.seed_spread(hits, 20) == pytest.approx(50**0.5)
  # Folds of 90 and 80 %, then 90 and 60 %: spreads 5 and 15.
  assert significance.fold_spread(hits, 20) == pytest.approx(10)
  assert significance.seed_spread(hits[:1], 20) is None


def test_the_fold_spread_is_that_of_an_evaluation():
  held_out = feature_sets.load("faces-validation")
  distances = verification.squared_distances(held_out.features, held_out.pairs)
  metrics = verification.verify(distances, held_out.is_same)
  hits = np.array([metrics["correct_pairs_per_fold"]])
  spread = significance.fold_spread(hits, metrics["num_pairs"])
  assert spread == pytest.approx(100 * metrics["accuracy_std"])


def test_holm_by_hand():
  # In order: 4 x 0.005, 3 x 0.01, 2 x 0.03, and 0.04, which may not be less.
  assert significance.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx(
    [0.03, 0.06, 0.06, 0.02]
  )
  assert significance.holm([0.5, 0.9]) == [1.0, 1.0]
  assert significance.holm([0.03]) == [0.03]
  assert significance.holm([]) == []


def test_the_bootstrap_is_exact_where_it_can_be_counted():
  # One seed, two folds of 10 pairs that gain 0 and 2: means 0, 10 and 20
  # points with probability 1/4, 1/2, 1/4.
  first, second = np.array([[5, 5]]), np.array([[5, 7]])
  result = significance.bootstrap(first, second, 20)
  assert result.points == 10
  assert (result.low, result.high) == (0, 20)
  assert result.p == pytest.approx(0.5, abs=0.02)


def test_the_bootstrap_draws_seeds_as_well_as_folds():
  # Every fold alike, two seeds that gain 0 and 2: the same counting.
  first, second = np.full([2, 10], 5), np.array([[5] * 10, [7] * 10])
  result = significance.bootstrap(first, second, 100)
  assert (result.points, result.low, result.high) == (10, 0, 20)
  assert result.p == pytest.approx(0.5, abs=0.02)


def test_the_bootstrap_agrees_with_a_loop():
  random = np.random.default_rng(1)
  first = random.integers(570, 600, [4, 10])
  second = np.minimum(first + random.integers(-3, 7, [4, 10]), 600)
  result = significance.bootstrap(first, second, 6000)
  gain = (second - first) / 6
  samples = []
  for _ in range(4000):
    seeds = random.integers(4, size=4)
    folds = random.integers(10, size=10)
    samples.append(np.mean([[gain[s, f] for f in folds] for s in seeds]))
  low, high = np.percentile(samples, [2.5, 97.5])
  assert result.points == pytest.approx(gain.mean())
  assert result.low == pytest.approx(low, abs=0.03)
  assert result.high == pytest.approx(high, abs=0.03)
  tail = min(np.mean(np.less_equal(samples, 0)), np.mean(np.array(samples) > 0))
  assert result.p == pytest.approx(2 * tail, abs=0.01)


def test_the_bootstrap_is_deterministic_and_symmetric():
  random = np.random.default_rng(2)
  first, second = random.integers(570, 600, [2, 5, 10])
  forth = significance.bootstrap(first, second, 6000)
  assert significance.bootstrap(first, second, 6000) == forth
  back = significance.bootstrap(second, first, 6000)
  assert back.points == -forth.points
  assert back.low == pytest.approx(-forth.high)
  assert back.p == forth.p


def test_no_difference_is_never_significant():
  hits = np.random.default_rng(3).integers(570, 600, [5, 10])
  assert significance.bootstrap(hits, hits, 6000) == (0, 0, 0, 1, False)


@pytest.mark.parametrize("spreads", [(1, 1, 2), (1, 0, 0.5), (0, 1, 1)])
def test_a_difference_is_seldom_claimed_that_is_not_there(spreads):
  """Five seeds, ten folds: about one in twenty at the 5 % level, or fewer.

  Args:
    spreads: between seeds, between folds, and of either in the other.
  """
  random = np.random.default_rng(4)
  claimed = 0
  for _ in range(100):
    seed, fold, noise = (
      spread * random.normal(size=shape)
      for spread, shape in zip(spreads, ([5, 1], [1, 10], [5, 10]))
    )
    gain = seed + fold + noise
    found = significance.bootstrap(np.zeros_like(gain), gain, 6000)
    claimed += found.p < 0.05 and found.seeds_agree
  assert claimed <= 10


def test_seeds_agree_when_every_one_gains():
  first = np.full([3, 10], 5)
  gain = np.array([1, 2, 0])[:, None]
  assert not significance.bootstrap(first, first + gain, 100).seeds_agree
  assert significance.bootstrap(first, first + gain + 1, 100).seeds_agree
  assert significance.bootstrap(first + gain + 1, first, 100).seeds_agree
  two = significance.bootstrap(first[:2], first[:2] + 1, 100)
  assert not two.seeds_agree


def test_one_row_is_compared_with_each_of_the_others():
  second = np.array([[5] * 10, [7] * 10])
  one = significance.bootstrap(np.full([1, 10], 5), second, 100)
  assert one == significance.bootstrap(np.full([2, 10], 5), second, 100)


def test_trainings_are_matched_by_their_seeds():
  def hits(**by_seed):
    return pd.Series({int(k[1:]): np.full(10, v) for k, v in by_seed.items()})

  first, second = hits(s0=5, s1=5, s2=7), hits(s1=6, s2=8, s3=9)
  found = significance.compare(first, second, 100, paired=True)
  assert (found["difference"], found["num_seeds"]) == (10, 2)
  assert (found["first"], found["second"]) == (60, 70)
  assert found["seeds"] == "2"
  # A single training is compared with each, unless both start from one.
  found = significance.compare(hits(s9=5), second, 100, paired=False)
  assert (found["num_seeds"], found["seeds"]) == (3, "3, 1")
  assert found["seeds_agree"]
  assert significance.compare(hits(s9=5), second, 100, paired=True) is None
  assert significance.compare(first[:0], second, 100, paired=False) is None


def test_interpolation_is_linear_in_the_logarithm_of_the_rate():
  bits, values = np.array([100.0, 400.0, 800.0]), np.array([10.0, 20.0, 40.0])
  assert rates.interpolate(bits, values, 200) == pytest.approx(15)
  assert rates.interpolate(bits, values, 100) == 10
  assert rates.interpolate(bits, values, 400) == pytest.approx(20)
  assert rates.interpolate(bits, values, 800) == pytest.approx(40)
  rows = np.stack([values, -values], axis=1)
  assert rates.interpolate(bits, rows, 200) == pytest.approx([15, -15])


def test_nothing_is_extrapolated():
  bits, values = np.array([100.0, 400.0]), np.array([10.0, 20.0])
  assert rates.interpolate(bits, values, 99.9) is None
  assert rates.interpolate(bits, values, 400.1) is None
  assert rates.interpolate(bits[:1], values[:1], 100) is None


def test_seeds_are_interpolated_one_by_one():
  runs = pd.DataFrame(
    {
      "seed": [0, 0, 1, 1, 2],
      "setting": ["a", "b", "a", "b", "a"],
      "bits": [100.0, 400.0, 50.0, 800.0, 100.0],
      "hits": [np.array([k]) for k in (10, 20, 0, 8, 99)],
    }
  )
  found = rates.interpolate_seeds(runs, "hits", 200)
  # Seed 2 lacks a setting.
  assert list(found.index) == [0, 1]
  assert found[0] == pytest.approx(15)
  assert found[1] == pytest.approx(4)
  # 60 bits lie beyond what seed 0 measured.
  assert rates.interpolate_seeds(runs, "hits", 60).empty
  assert rates.interpolate_seeds(runs[:0], "hits", 60).empty


ANCHOR = [(100.0, 98.0), (200.0, 99.0), (400.0, 99.2), (800.0, 99.3)]


def test_half_the_bits_are_a_bd_rate_of_minus_fifty_percent():
  half = [(bits / 2, quality) for bits, quality in ANCHOR]
  assert rates.bd_rate(ANCHOR, half) == pytest.approx(-50)
  assert rates.bd_rate(half, ANCHOR) == pytest.approx(100)


def test_bjontegaard_differences_agree_with_a_sum():
  test = [(120.0, 98.1), (210.0, 98.8), (500.0, 99.25)]
  quality = np.linspace(98.1, 99.25, 20001)
  logs = [
    scipy.interpolate.PchipInterpolator(
      [q for _, q in curve], [np.log(b) for b, _ in curve]
    )(quality)
    for curve in (ANCHOR, test)
  ]
  expected = 100 * (np.exp(np.mean(logs[1] - logs[0])) - 1)
  assert rates.bd_rate(ANCHOR, test) == pytest.approx(expected, abs=0.01)


def test_a_word_stands_where_a_number_would_be_made_up():
  falling = [(100.0, 98.0), (200.0, 99.0), (400.0, 98.9)]
  assert rates.bd_rate(ANCHOR, falling) == "not monotone"
  assert rates.bd_rate(falling, ANCHOR) == "anchor not monotone"
  flat = [(100.0, 98.0), (200.0, 98.0)]
  assert rates.bd_rate(ANCHOR, flat) == "not monotone"
  low = [(100.0, 90.0), (200.0, 95.0)]
  assert rates.bd_rate(ANCHOR, low) == "no overlap"
  assert rates.bd_rate(ANCHOR, [(100.0, 90.0), (200.0, 98.1)]) == (
    "little overlap"
  )
  assert rates.bd_rate(ANCHOR, ANCHOR[:1]) == ""


def test_equal_eigenvalues_have_the_closed_form():
  # D = variance 2^(-2 R / dim).
  levels = np.array([0.25, 0.1, 0.01])
  bits, mse = gaussian.reverse_water_filling(np.full(16, 0.25), levels)
  np.testing.assert_allclose(mse, 0.25 * 2 ** (-2 * bits / 16))
  assert bits[0] == 0


def test_water_below_and_above_an_eigenvalue_by_hand():
  # At level 2 of (4, 1): half a bit for the first, the second is dropped.
  bits, mse = gaussian.reverse_water_filling([4, 1], [2.0])
  assert (bits[0], mse[0]) == (pytest.approx(0.5), pytest.approx(1.5))
  bits, mse = gaussian.reverse_water_filling([4, 1, 0], [0.5])
  assert bits[0] == pytest.approx(0.5 * (3 + 1))
  assert mse[0] == pytest.approx(1 / 3)


def test_features_are_described():
  random = np.random.default_rng(5)
  scale = np.geomspace(1, 0.01, 128)
  vectors = (random.normal(size=[4000, 128]) * scale + 3).astype(np.float32)
  found = gaussian.describe(vectors)
  assert found["num_features"] == 4000
  assert found["variance"] == pytest.approx(
    vectors.var(axis=0).mean(), rel=1e-4
  )
  assert np.all(np.diff(found["eigenvalues"]) <= 0)
  assert len(found["histograms"]) == 4
  for histogram in found["histograms"]:
    values = vectors[:, histogram["dimension"]]
    assert histogram["mean"] == pytest.approx(values.mean(), rel=1e-4)
    area = np.sum(np.diff(histogram["edges"]) * histogram["density"])
    assert area == pytest.approx(1)
  bound = found["gaussian_bound"]
  # Against a search for the water level, one rate at a time.
  for bits, mse in list(zip(bound["bits_per_feature"], bound["mse"]))[::8]:
    low, high = 1e-30, 2.0
    for _ in range(200):
      level = (low * high) ** 0.5
      values = np.array(found["eigenvalues"])
      spent = sum(0.5 * np.log2(v / level) for v in values if v > level)
      low, high = (level, high) if spent > bits else (low, level)
    assert mse == pytest.approx(np.minimum(values, level).mean(), rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
  "module",
  [
    "report.__main__, experiments.report.page",
    "release_check",
    "studies.describe_features",
  ],
)
def test_nothing_here_imports_tensorflow(module):
  script = (
    f"import sys; import experiments.{module};"
    " assert not [m for m in sys.modules if 'tensorflow' in m]"
  )
  subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)


def test_the_enhancer_is_held_against_decoders_of_its_size(tmp_path):
  folder = tmp_path / "enhancer" / "fullrank"
  folder.mkdir(parents=True)
  for seed in range(3):
    end = f"1e-4-e40-s{seed}"
    for name, accuracy in (
      ("pro", 93),
      ("pro-e", 94),
      ("pro-d+wide", 95),
      ("pro-d+longer", 93),
    ):
      result = evaluation(f"{name}-{end}", 78, accuracy)
      if name.startswith("pro-d"):
        plain = evaluation(f"pro-{end}", 78, 93)
        for key in ("training", "codec_digest"):
          result[key] = plain[key]
        result["enhancer_training"] = dict(result["training"])
      write(folder, result)
  tests = enhancer.comparisons(tmp_path)
  pairs = set(zip(tests["label"], tests["against"]))
  own, longer, wide = (
    f"{name}, 40 epochs"
    for name in ("PRO-E", "PRO, another Dec longer", "PRO, another Dec wide")
  )
  plain = "PRO, 40 epochs"
  assert pairs == {
    (own, plain),
    (longer, plain),
    (wide, plain),
    (own, longer),
    (own, wide),
  }
  assert len(tests) == 5 * len(tables.TESTED)
  gain = tests[(tests["label"] == wide) & (tests["of"] == "accuracy")]
  assert gain["difference"].iat[0] > 1
  text = enhancer.render_worth(tmp_path)
  assert f"p (Holm, {len(tests)} tests)" in text
  rows = cells(text.split("\n\n")[-1])
  assert len(rows) == len(tests)
  # Without a study there is nothing.
  assert enhancer.render_worth(tmp_path / "none") == tables.NOT_MEASURED


def test_the_enhancer_is_varied_one_thing_at_a_time(tmp_path):
  folder = tmp_path / "why" / "fullrank"
  folder.mkdir(parents=True)
  for seed in range(3):
    end = f"e45-s{seed}"
    for name, accuracy in (
      (f"pro-1e-4-{end}", 93),
      (f"pro-e-1e-4-by-1e-6-{end}", 94),
      (f"pro-e-1e-4-by-3e-5-{end}", 93.5),
      (f"pro-e+feature-1e-4-{end}", 95),
    ):
      result = evaluation(name, 78, accuracy, "faces-validation")
      if "feature" in name:
        result.update(codec_digest=f"pro-1e-4-{end}")
        result["training"] = {**result["training"], "lambda": 1e-4}
        result["enhancer_training"]["loss"] = "feature"
      write(folder, result)
  tests = enhancer.comparisons(tmp_path)
  assert set(tests["base"]) == {"taught by 1e-6"}
  gains = dict(zip(tests["label"], tests["difference"]))
  assert gains["loss on features, Dec frozen"] > 5
  assert gains["no enhancer"] < gains["taught by 3e-5"] < 0
  assert len(gains) == len(tests) == 3
  text = enhancer.render_why(tmp_path)
  rows = {row["PRO-E with this changed"]: row for row in cells(text)}
  column = "1e-4: TAR at FAR 1e-3, points"
  assert rows["loss on features, Dec frozen"][column].startswith("**+8.")
  assert rows["*PRO-E, %*"][column].startswith("*")
  assert enhancer.render_why(tmp_path / "none") == tables.NOT_MEASURED
