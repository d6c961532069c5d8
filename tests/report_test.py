import base64
import hashlib
import json
import re

import numpy as np
import PIL.Image
import pytest
from conftest import ROOT

from experiments import (
  comparisons,
  gaussian,
  paper_figures,
  paper_page,
  paper_tables,
  significance,
  study,
)
from tsenh import features, files, results
from tsenh.errors import Error

PUBLISHED = ROOT / "experiments" / "results" / "paper"
LAMBDAS = ("1e-4", "1e-5", "1e-6", "1e-7")
# Bits and accuracy that invented evaluations have, about those of a trial.
SHAPES = {
  "pq:{}": {128: (128, 98.7), 256: (256, 99.2), 512: (512, 99.3)},
  "opq:{}": {128: (128, 98.8), 256: (256, 99.2), 512: (512, 99.3)},
  "rq:{}": {64: (64, 97.6), 128: (128, 98.9), 256: (256, 99.3)},
  "sq:{}": {50: (150, 98.6), 45: (232, 99.1), 40: (331, 99.3), 30: (541, 99.3)},
  "sq-e:{}": {50: (150, 98.8), 45: (232, 99.2), 40: (331, 99.3)},
  "pca:{}": {0.3: (70, 96.9), 0.2: (140, 98.7), 0.1: (260, 99.2)},
  "ksh:{}": {128: (128, 93.0), 256: (256, 95.0), 512: (512, 96.0)},
  "dhn:{}": {128: (128, 95.0), 256: (256, 96.0), 512: (512, 97.0)},
  "itq:{}": {128: (128, 97.0), 256: (256, 97.6), 512: (512, 98.3)},
  "lsh:{}": {128: (128, 90.0), 256: (256, 95.0), 512: (512, 97.9)},
}
PRO = {
  40: ((77, 98.1), (152, 99.0), (325, 99.2), (450, 99.3)),
  400: ((77, 98.2), (148, 99.1), (235, 99.3), (340, 99.35)),
}


def evaluation(method, bits, accuracy, feature_set="lfw"):
  """An invented evaluation, with the keys of a real one."""
  seed = int(hashlib.sha256(method.encode()).hexdigest()[:8], 16)
  random = np.random.default_rng(seed)

  def metrics(shift):
    wrong = random.random(6000) > (accuracy + shift) / 100
    correct = (~wrong).reshape(10, 600)
    hits = correct.sum(axis=1)
    return {
      "num_pairs": 6000,
      "correct_pairs": int(hits.sum()),
      "correct_pairs_per_fold": hits.tolist(),
      "wrong_pairs": np.flatnonzero(wrong).tolist(),
      "accuracy": float(hits.sum() / 6000),
      "accuracy_std": float((hits / 600).std()),
      "auc": 1 - (100 - accuracy) / 900,
      "eer": (100 - accuracy) / 100,
      "tar_at_far_1e-2": 0.99,
      "tar_at_far_1e-3": 0.97,
    }

  hashing = method.split(":")[0] in study.HASHING
  parsed = study.parse(method)
  training = enhancer_training = None
  trained = {
    "epochs": parsed.epochs or 40,
    "seed": parsed.seed or 0,
    "num_training_features": 66108,
  }
  if parsed.family in ("pro", "pro-e"):
    training = {**trained, "lambda": float(parsed.setting)}
  if parsed.family in ("pro-e", "sq-e"):
    enhancer_training = {**trained, "epochs": 40}
  if parsed.family == "sq-e":
    enhancer_training["qp"] = int(parsed.setting)
  result = {
    "format": 1,
    "method": method,
    "codec": method,
    "features": feature_set,
    "features_digest": study.FEATURES_DIGEST,
    "bits_per_feature": float(bits),
    "bits_per_dimension": bits / 128,
    "mse": None if hashing else float(0.002 * 2 ** (-bits / 60)),
    **metrics(0),
    "normalized": metrics(0.05),
    "codec_digest": method.replace("pro-e", "pro").replace("sq-e", "sq"),
    "training": training,
    "enhancer_training": enhancer_training,
    "objective": [3.0, 2.0, 1.5, 1.4] if hashing else None,
    "parameters": {"sender": 49536, "receiver": 49536} if training else None,
    "multiply_adds": {"sender": 49152, "receiver": 49152} if training else None,
    "command": ["python", "-m", "tsenh.evaluate", f"--method={method}"],
    "date": "2026-11-22T04:06:46+00:00",
    "versions": {"python": "3.11.7"},
    "git_commit": "848008c6bf1cf8a20b3bc8352c02db88d4d0201c",
    "git_dirty": False,
  }
  if hashing:
    result["normalized"] = {key: result[key] for key in result["normalized"]}
  return result


def write(folder, result, name=None):
  name = name or result["method"].replace(":", "-") + ".json"
  files.write_json(str(folder / name), result)


def write_study(folder, seeds=3):
  """Invented evaluations of every method."""
  write(folder, evaluation("none", 4096, 99.35))
  for name, shape in SHAPES.items():
    for setting, point in shape.items():
      write(folder, evaluation(name.format(setting), *point))
  for epochs, points in PRO.items():
    for lmbda, (bits, accuracy) in zip(LAMBDAS, points):
      write(
        folder,
        evaluation(f"pca-at-pro-{lmbda}-e{epochs}", bits, accuracy - 0.8),
      )
      for seed in range(seeds):
        name = f"{lmbda}-e{epochs}-s{seed}"
        rate = bits + seed / 8
        write(folder, evaluation(f"pro-{name}", rate, accuracy))
        write(folder, evaluation(f"pro-e-{name}", rate, accuracy + 0.02))
  random = np.random.default_rng(0)
  described = [
    gaussian.describe(
      random.normal(size=(500, 128)) * np.geomspace(0.3, 0.003, 128)
    )
    for _ in range(2)
  ]
  write(
    folder,
    {
      "format": 1,
      "study": "features described",
      "training_set": "faces",
      "test_set": "lfw",
      "training": described[0],
      "test": described[1],
      "command": ["python", "-m", "experiments.describe_features"],
      "date": "2026-11-22T04:06:46+00:00",
      "git_commit": "848008c6bf1cf8a20b3bc8352c02db88d4d0201c",
      "git_dirty": False,
    },
    "features.json",
  )


@pytest.fixture
def folder(tmp_path):
  """A folder with one evaluation of each kind."""
  path = tmp_path / "results"
  path.mkdir()
  write(path, evaluation("none", 4096, 99.35))
  write(path, evaluation("pro-1e-6-e40-s0", 325, 99.2))
  return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
  """A folder with invented evaluations of everything."""
  path = tmp_path_factory.mktemp("whole")
  write_study(path)
  return path


@pytest.fixture(scope="module")
def published(whole, run, tmp_path_factory):
  """The page of `whole`, made by its command."""
  path = tmp_path_factory.mktemp("page") / "paper.html"
  run("experiments.report", f"--results={whole}", f"--output={path}", cwd=ROOT)
  return path


def cells(text):
  """The rows of the first table in Markdown, without its head."""
  rows = [line for line in text.splitlines() if line.startswith("|")]
  return [[c.strip() for c in row.strip("|").split("|")] for row in rows[2:]]


# Reading.


def test_names_of_evaluations_are_understood():
  expected = {
    "none": ("none", "", None, None),
    "pro-1e-6-e40-s3": ("pro", "1e-6", 40, 3),
    "pro-e-1e-4-e400-s0": ("pro-e", "1e-4", 400, 0),
    "pca-at-pro-1e-7-e400": ("pca-at-pro", "1e-7", 400, None),
    "pca:0.05": ("pca", "0.05", None, None),
    "sq:50": ("sq", "50", None, None),
    "sq-e:30": ("sq-e", "30", None, None),
    "opq:1024": ("opq", "1024", None, None),
    "lsh:128": ("lsh", "128", None, None),
  }
  for name, method in expected.items():
    assert study.parse(name) == method
  for other in ("pro-1e-6", "pro-1e-6-long", "mine", "sq:", "xpq:128"):
    assert study.parse(other) is None


def test_the_digest_is_that_of_the_shipped_features():
  assert features.load("lfw").digest() == study.FEATURES_DIGEST
  assert len(features.load("faces").features) == study.NUM_TRAINING_FEATURES


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"features": "faces-validation"}, "on faces-validation, not lfw"),
    ({"features_digest": "0"}, "not the shipped lfw"),
    ({"method": "pro-1e-6-e1-s0"}, "1 epochs, expected one of"),
    ({"method": "pca-at-pro-1e-6-e1"}, "1 epochs, expected one of"),
    ({"method": "pro-e-1e-6-e1-s0"}, "1 epochs, expected one of"),
    ({"training": None}, "training: epochs None, expected 40"),
    ({"training.epochs": 1}, "training: epochs 1, expected 40"),
    ({"training.epochs": 400}, "training: epochs 400, expected 40"),
    ({"training.num_training_features": 57426}, "features 57426, expected 66"),
    ({"training.seed": 1}, "training: seed 1, expected 0"),
    ({"training.lambda": 1e-5}, "lambda 1e-05, expected 1e-06"),
    ({"method": "pro-e-1e-6-e40-s0"}, "enhancer_training: epochs None"),
    ({"method": "sq-e:50"}, "enhancer_training: epochs None, expected 40 or"),
    ({"method": "pro-1e-6"}, "unknown method pro-1e-6"),
    ({"wrong_pairs": None}, "does not name the wrong pairs"),
  ],
)
def test_what_is_none_of_the_study_never_feeds_the_page(
  folder, change, message
):
  result = evaluation("pro-1e-6-e40-s0", 325, 99.2)
  for key, value in change.items():
    if key.startswith("training."):
      result["training"][key.split(".")[1]] = value
    elif key == "wrong_pairs":
      del result[key]
    else:
      result[key] = value
  write(folder, result, "foreign.json")
  (folder / "pro-1e-6-e40-s0.json").unlink()
  with pytest.raises(Error, match=message):
    study.read(str(folder))


@pytest.mark.parametrize(
  ("method", "key", "value"),
  [
    ("pro-e-1e-6-e400-s1", "epochs", 1),
    ("pro-e-1e-6-e400-s1", "seed", 0),
    ("pro-e-1e-6-e400-s1", "num_training_features", 57426),
    ("sq-e:50", "epochs", 1),
    ("sq-e:50", "qp", 45),
    ("sq-e:50", "num_training_features", 57426),
  ],
)
def test_an_enhancer_of_another_training_is_refused(
  tmp_path, method, key, value
):
  result = evaluation(method, 150, 99)
  write(tmp_path, result)
  assert len(study.read(str(tmp_path)).points) == 1
  result["enhancer_training"][key] = value
  write(tmp_path, result)
  with pytest.raises(Error, match=f"enhancer_training: {key} {value}, expec"):
    study.read(str(tmp_path))


def test_smoke_results_and_published_ones_are_never_read_as_the_other(tmp_path):
  smoke, real = tmp_path / "smoke", tmp_path / "real"
  smoke.mkdir()
  real.mkdir()
  result = evaluation("pro-1e-6-e1-s0", 700, 90, "faces-validation")
  write(smoke, {**result, "training": {**result["training"], "epochs": 1}})
  write(real, evaluation("pro-1e-6-e40-s0", 325, 99.2))
  assert study.read(str(smoke), smoke=True).smoke
  with pytest.raises(Error, match="no evaluation of the published study"):
    study.read(str(smoke))
  with pytest.raises(Error, match="no evaluation of a smoke run: it is on lfw"):
    study.read(str(real), smoke=True)


def test_pro_e_decodes_the_bytes_of_pro(folder):
  write(folder, evaluation("pro-e-1e-6-e40-s0", 325, 99.3))
  assert len(study.read(str(folder)).runs()) == 3
  write(folder, evaluation("pro-e-1e-6-e40-s0", 325 + 1e-9, 99.3))
  with pytest.raises(Error, match="whose bytes it should decode, has 325"):
    study.read(str(folder))


def test_sq_e_decodes_the_bytes_of_sq(folder):
  write(folder, evaluation("sq:50", 150, 98.6))
  write(folder, evaluation("sq-e:50", 151, 98.6))
  with pytest.raises(Error, match="whose bytes it should decode"):
    study.read(str(folder))


def test_a_method_twice_is_an_error(folder):
  write(folder, evaluation("none", 4096, 99.35), "again.json")
  with pytest.raises(Error, match="is none too"):
    study.read(str(folder))


def test_a_folder_without_evaluations_is_an_error(tmp_path):
  with pytest.raises(Error, match="no evaluations in it"):
    study.read(str(tmp_path))


def test_described_features_are_those_of_the_evaluations(folder):
  described = {"format": 1, "test_set": "faces-validation"}
  files.write_json(str(folder / "features.json"), described)
  with pytest.raises(Error, match="describes faces-validation, expected lfw"):
    study.read(str(folder))


def test_points_are_means_over_seeds(tmp_path):
  for seed, bits in ((0, 100.0), (1, 104.0)):
    write(tmp_path, evaluation(f"pro-1e-6-e40-s{seed}", bits, 99))
  read = study.read(str(tmp_path))
  point = read.point("pro", "1e-6", 40)
  assert point.bits == 102
  assert point.hits().shape == (2, 10)
  assert list(point.runs) == [0, 1]
  assert read.point("pro", "1e-6", 400) is None


# Tables.


def result_with_hits(method, bits, hits, **more):
  """An evaluation with these correct pairs in each fold."""
  result = evaluation(method, bits, 99)
  wrong = [
    600 * fold + i for fold, h in enumerate(hits) for i in range(600 - h)
  ]
  metrics = {
    "correct_pairs": sum(hits),
    "correct_pairs_per_fold": list(hits),
    "wrong_pairs": wrong,
    "accuracy": sum(hits) / 6000,
  }
  result.update(metrics)
  result["normalized"].update(metrics)
  return {**result, **more}


def test_table_1_by_hand(tmp_path):
  # 594 of 600 in nine folds and 600 in one: 5,946 pairs, 99.10 %; the folds'
  # accuracies are 99 nine times and 100, so their spread is 0.3.
  write(tmp_path, result_with_hits("pq:128", 128, [594] * 9 + [600]))
  text = paper_tables.render_quantization(study.read(str(tmp_path)))
  rows = cells(text)
  assert len(rows) == 16
  expected = ["PQ", "1.00", "98.48", "99.10", "+0.62", "", "± 0.30", "5,946"]
  assert rows[0] == expected + ["99.10", "128 bits", "128.0", "1.00"]
  assert rows[1] == ["PQ", "2.00", "99.13"] + [""] * 6 + ["256 bits", "", ""]
  assert "<code>pq-128.json</code>" in text


def test_interpolation_at_the_papers_rate_by_hand(tmp_path):
  # 181.76 bits, 1.42 BPP, lie at half of the way in logarithms.
  for seed, low, high in ((0, 590, 594), (1, 592, 600)):
    for lmbda, bits, hits in (
      ("1e-5", 181.76 / 2, low),
      ("1e-6", 363.52, high),
    ):
      name = f"pro-{lmbda}-e40-s{seed}"
      write(tmp_path, result_with_hits(name, bits, [hits] * 10))
  rows = cells(paper_tables.render_pro(study.read(str(tmp_path))))
  # Seeds have 5,920 and 5,960 pairs: 98.67 and 99.33 %.
  assert rows[1][:8] == [
    *("PRO, 40 epochs", "1.42", "98.96", "99.00", "+0.04", "± 0.47"),
    *("± 0.00", "5,940.0"),
  ]
  # 2.61 BPP are 334.08 bits: between; 0.81 are 103.68: between as well.
  assert rows[0][3] and rows[3][3]
  # PRO-E was not measured.
  assert rows[5][3:9] == [""] * 6


def test_nothing_is_said_beyond_the_measured_rates(tmp_path):
  for lmbda, bits in (("1e-5", 150), ("1e-6", 300)):
    write(tmp_path, evaluation(f"pro-{lmbda}-e40-s0", bits, 99))
  rows = cells(paper_tables.render_pro(study.read(str(tmp_path))))
  assert [row[9] for row in rows[:4]] == [
    *("beyond the measured rates", "interpolated", "interpolated"),
    "beyond the measured rates",
  ]
  assert rows[0][3] == rows[3][3] == ""


def test_bars_by_hand(tmp_path):
  for name, hits in (
    ("none", [596] * 9 + [597]),  # 5,961.
    # 5,939 pairs, 98.98 %: 0.5 from 98.48, just met.
    ("pq:128", [600] + [593] * 7 + [594] * 2),
    # 5,917 pairs, 98.62 %: 0.51 from 99.13.
    ("pq:256", [600] + [591] * 7 + [590] * 2),
  ):
    write(tmp_path, result_with_hits(name, 128, hits))
  rows = cells(paper_tables.render_bars(study.read(str(tmp_path))))
  assert rows[0][1:] == ["5,961", "5,961", "met", "0"]
  assert rows[1][1:] == ["98.48 ± 0.5", "98.98", "met", "0.00"]
  assert rows[2][2:] == ["98.62", "**not met**", "0.01"]
  assert rows[3][2:] == ["", "not measured", ""]


def test_pros_bar_is_met_at_its_line_and_missed_below_it(tmp_path):
  for lmbda, bits in (("1e-4", 64), ("1e-7", 512)):
    # 98.78 % everywhere: 98.96 - 0.2 is 98.76, and 99.27 - 0.2 is 99.07.
    hits = [593] * 7 + [592] * 3
    write(tmp_path, result_with_hits(f"pro-{lmbda}-e40-s0", bits, hits))
  rows = cells(paper_tables.render_bars(study.read(str(tmp_path))))[4:8]
  assert [row[3:] for row in rows] == [
    *(["met", "0.70"], ["met", "0.02"]),
    *(["**not met**", "0.29"], ["**not met**", "0.29"]),
  ]


def test_sq_e_must_have_the_smaller_error(tmp_path):
  for name, mse in (("sq:50", 4e-3), ("sq-e:50", 1e-3), ("sq:40", 1e-3)):
    result = evaluation(name, 150, 99)
    write(tmp_path, {**result, "mse": mse})
  worse = evaluation("sq-e:40", 150, 99)
  write(tmp_path, {**worse, "mse": 1.1e-3})
  rows = cells(paper_tables.render_bars(study.read(str(tmp_path))))[-4:]
  assert [row[2:] for row in rows] == [
    *(["25.00", "met", "75.00"], ["", "not measured", ""]),
    *(["110.00", "**not met**", "10.00"], ["", "not measured", ""]),
  ]


def write_gain(path, gains, seeds=5, second="pro-e", first="pro"):
  """PRO and PRO-E, whose every fold of every seed gains so many pairs."""
  for i, (lmbda, gain) in enumerate(zip(LAMBDAS, gains)):
    for seed in range(seeds):
      name = f"{lmbda}-e40-s{seed}"
      hits = [590 + (seed + fold) % 3 for fold in range(10)]
      bits = 70 * 2**i
      write(path, result_with_hits(f"{first}-{name}", bits, hits))
      hits = [h + gain for h in hits]
      write(path, result_with_hits(f"{second}-{name}", bits, hits))


def test_sentences_are_made_from_corrected_tests(tmp_path):
  write_gain(tmp_path, (3, 0, -3, 0))
  text = comparisons.render_enhancement(study.read(str(tmp_path)))
  assert (
    "* 40 epochs, as decoded: PRO-E is better than PRO at 1e-4; worse than PRO"
    " at 1e-6; not shown to differ from PRO at 1e-5, 1e-7." in text
  )
  row = cells(text)[0]
  assert row[2:6] == ["98.50", "99.00", "+0.50", "+0.50 to +0.50"]
  assert row[6] == "< 0.001"
  # Every pair that differs is PRO's mistake: 30 of 30, for each seed.
  assert row[8] == "< 0.001"


def test_fewer_than_three_seeds_carry_no_claim(tmp_path):
  write_gain(tmp_path, (3, 3, 3, 3), seeds=2)
  text = comparisons.render_enhancement(study.read(str(tmp_path)))
  assert "better" not in text
  assert (
    "PRO-E is not shown to differ from PRO at 1e-4, 1e-5, 1e-6, 1e-7." in text
  )


def test_a_claim_needs_the_correction():
  difference = significance.Difference(0.3, 0.1, 0.5, 0.03, True)
  test = comparisons.Test("1e-4", None, None, None, difference, 0.03)
  assert comparisons.verdict("PRO-E", "PRO", [test]) == (
    "PRO-E is better than PRO at 1e-4."
  )
  assert comparisons.verdict("PRO-E", "PRO", [test._replace(p=0.12)]) == (
    "PRO-E is not shown to differ from PRO at 1e-4."
  )


def test_tests_are_corrected_for_the_rates_they_stand_with(tmp_path):
  write_gain(tmp_path, (1, 0, 0, 0))
  read = study.read(str(tmp_path))
  for _, _, tests in comparisons.compare(read, "pro-e", "pro"):
    assert tests[0].p == pytest.approx(4 * tests[0].difference.p)
    assert [test.p for test in tests[1:]] == [1, 1, 1]
  # McNemar: 10 of the 10 pairs that differ, 2 / 2^10, and no pair.
  rows = cells(comparisons.render_enhancement(read))
  assert [row[8] for row in rows[:2]] == ["0.002", "1.000"]


def test_pca_has_no_seeds_and_is_compared_with_each_of_pros(tmp_path):
  write(tmp_path, result_with_hits("pca-at-pro-1e-6-e40", 300, [590] * 10))
  for seed, hits in enumerate((591, 592, 593)):
    name = f"pro-1e-6-e40-s{seed}"
    write(tmp_path, result_with_hits(name, 300 + seed, [hits] * 10))
  text = comparisons.render_pca(study.read(str(tmp_path)))
  assert "* 40 epochs, as decoded: PRO is better than PCA at 1e-6." in text
  row = cells(text)[0]
  assert row[2:5] == ["98.33", "98.67", "+0.33"]
  # 10, 20 and 30 pairs that PCA alone gets wrong.
  assert row[8:] == ["< 0.001 to 0.002", "300.0", "301.0", "3"]


def test_the_summary_counts_what_the_tests_carry(tmp_path):
  write_gain(tmp_path, (3, 3, -3, 0))
  text = paper_tables.render_summary(study.read(str(tmp_path)))
  # As decoded and normalized.
  assert "of 8 tests 4 show it better, 2 worse, 2 neither" in text
  assert "PCA" not in text


def test_pro_is_interpolated_at_the_bits_of_others(tmp_path):
  for seed in range(3):
    for lmbda, bits, hits in (("1e-4", 64, 590), ("1e-5", 256, 594)):
      name = f"pro-{lmbda}-e40-s{seed}"
      write(tmp_path, result_with_hits(name, bits, [hits + seed] * 10))
  for bits, hits in ((128, 591), (512, 600)):
    write(tmp_path, result_with_hits(f"pq:{bits}", bits, [hits] * 10))
  text = comparisons.render_peers(study.read(str(tmp_path)))
  # Halfway in the logarithm: 592, 593 and 594, two more in the mean.
  row = cells(text)[0]
  assert row[:6] == ["PQ", "as decoded", "128.0", "98.50", "98.83", "+0.33"]
  assert row[6] == "+0.17 to +0.50"
  # 512 bits lie beyond: two rows, as decoded and normalized.
  assert len(cells(text)) == 2
  assert "PRO is better than PQ at 128 bits." in text


def test_only_seeds_that_both_methods_have_are_compared(tmp_path):
  write_gain(tmp_path, (3, 3, 3, 3))
  (tmp_path / "pro-1e-4-e40-s1.json").unlink()
  (tmp_path / "pro-e-1e-4-e40-s4.json").unlink()
  read = study.read(str(tmp_path))
  row = cells(comparisons.render_enhancement(read))[0]
  # Unpaired, seeds 0, 2, 3, 4 against 0, 1, 2, 3 would spread.
  assert row[5] == "+0.50 to +0.50"
  assert row[11] == "3"


def test_bjontegaard_words_reach_the_table(whole):
  read = study.read(str(whole))
  rows = {
    tuple(row[:2]): row[2:] for row in cells(paper_tables.render_bd(read))
  }
  assert rows["DBH", "PRO, 40 epochs"][0] == "no overlap"
  assert rows["DBH", "PRO, 40 epochs"][4] == ""  # Nothing is decoded.
  # PRO-E has PRO's bytes and its invented squared error.
  assert rows["PRO-E, 400 epochs", "PRO, 400 epochs"][4] in ("+0.0", "-0.0")
  assert ("PRO, 40 epochs", "PRO, 40 epochs") not in rows


def test_costs(whole):
  rows = cells(paper_tables.render_cost(study.read(str(whole))))
  pro = next(r for r in rows if r[:2] == ["PRO, 40 epochs", "1e-4"])
  assert pro[2:] == ["77.1", "9.6", "49,536", "49,536", "49,152", "49,152"]
  assert next(r for r in rows if r[0] == "PQ")[4:] == [""] * 4


def test_snr_is_variance_over_squared_error(whole):
  read = study.read(str(whole))
  row = next(r for r in cells(paper_tables.render_points(read)) if r[0] == "SQ")
  run = json.loads((whole / "sq-50.json").read_text())
  variance = json.loads((whole / "features.json").read_text())["test"][
    "variance"
  ]
  assert row[-1] == f"{10 * np.log10(variance / run['mse']):.1f}"


@pytest.mark.parametrize(
  "methods",
  [
    ("none",),
    ("pq:128",),
    ("ksh:128", "ksh:256"),
    ("pro-1e-6-e40-s0",),
    ("pro-e-1e-6-e40-s0", "pca-at-pro-1e-6-e40"),
    ("pro-1e-4-e400-s0", "pro-1e-6-e400-s1", "pca-at-pro-1e-4-e400"),
  ],
)
def test_whatever_is_missing_is_left_blank(tmp_path, methods):
  for i, method in enumerate(methods):
    write(tmp_path, evaluation(method, 128 * (i + 1), 98))
  read = study.read(str(tmp_path))
  drawn = paper_figures.save(read, tmp_path / "figures" / "paper")
  template = paper_page.TEMPLATE.read_text()
  page = paper_page.updated(template, read, drawn)
  assert "nan" not in re.sub(r"[a-z]nan|nan[a-z]", "", page)
  assert "None" not in page
  assert "</html>" in paper_page.to_html(page, read, tmp_path)


# The page.


def test_every_marker_of_the_page_is_filled_and_every_part_has_one():
  text = paper_page.TEMPLATE.read_text()
  markers = re.findall(r"<!-- (\w+): made by", text)
  figures = [f"figure_{name}" for name in paper_figures.FIGURES]
  assert sorted(markers) == sorted([*paper_tables.PARTS, *figures])


def test_a_page_can_be_filled_again(whole):
  read = study.read(str(whole))
  once = paper_page.updated(paper_page.TEMPLATE.read_text(), read, ["auc"])
  assert paper_page.updated(once, read, ["auc"]) == once


def test_the_html_needs_nothing_else(published):
  text = published.read_text()
  assert not re.search(r"<script|<link|<iframe|@import|url\(", text)
  sources = re.findall(r'src="([^"]*)"', text)
  assert len(sources) == len(paper_figures.FIGURES)
  assert all(s.startswith("data:image/png;base64,") for s in sources)
  inlined = {base64.b64decode(s.split(",")[1]) for s in sources}
  drawn = (published.parent / "figures" / "paper").glob("*.png")
  assert inlined == {path.read_bytes() for path in drawn}
  for link in re.findall(r'href="([^"]*)"', text):
    assert link.startswith(("#", "https://arxiv.org/"))
  ids = re.findall(r'id="([^"]*)"', text)
  assert len(ids) == len(set(ids))
  assert set(re.findall(r'href="#([^"]*)"', text)) <= set(ids)


def test_the_html_is_made_for_a_phone(published):
  text = published.read_text()
  assert 'name="viewport" content="width=device-width' in text
  assert text.count('<div class="scroll"><table>') == text.count("<table>") > 8
  assert "font: 16px" in text


def test_every_result_file_is_named_with_what_made_it(published, whole):
  text = published.read_text()
  for path in whole.glob("*.json"):
    result = json.loads(path.read_text())
    start = text.index(f'<li id="{path.name}">')
    item = text[start : text.index("</li>", start)]
    assert result["git_commit"] in item
    assert result["date"] in item
    assert result["command"][-1] in item


def test_every_table_names_its_files(published):
  text = published.with_suffix(".md").read_text()
  parts = re.findall(r"<!-- (\w+): made by.*?-->(.*?)<!-- end of", text, re.S)
  tables = [part for _, part in parts if "|---" in part]
  assert len(tables) >= 9
  assert all("<details><summary>Made from" in part for part in tables)


def test_markdown_links_to_figures_that_are_there(published):
  text = published.with_suffix(".md").read_text()
  links = re.findall(r"\((figures/paper/[^)]+)\)", text)
  assert len(links) == 2 * len(paper_figures.FIGURES)
  assert all((published.parent / link).exists() for link in links)


def test_the_same_results_give_the_same_bytes(published, whole, run, tmp_path):
  again = tmp_path / "paper.html"
  run("experiments.report", f"--results={whole}", f"--output={again}", cwd=ROOT)
  assert again.read_bytes() == published.read_bytes()
  for path in (published.parent / "figures" / "paper").iterdir():
    other = tmp_path / "figures" / "paper" / path.name
    assert other.read_bytes() == path.read_bytes(), path.name


def test_figures_carry_the_digest_of_what_they_show(published, whole):
  read = study.read(str(whole))
  figures = sorted((published.parent / "figures" / "paper").glob("*.png"))
  assert len(figures) == len(paper_figures.FIGURES)
  for path in figures:
    assert paper_figures.source_of(path) == paper_figures.digest(read)
    with PIL.Image.open(path) as image:
      assert min(image.size) > 400
  run_ = read.point("none").runs[None]
  run_["correct_pairs"] += 1
  assert paper_figures.source_of(figures[0]) != paper_figures.digest(read)


def test_a_figure_that_has_nothing_to_show_any_more_is_removed(folder):
  read = study.read(str(folder))
  figures = folder / "figures"
  figures.mkdir()
  (figures / "objectives.png").write_bytes(b"old")
  assert "objectives" not in paper_figures.save(read, figures)
  assert not (figures / "objectives.png").exists()


def test_a_smoke_runs_page_says_so(run, tmp_path):
  smoke = tmp_path / "smoke"
  smoke.mkdir()
  write(smoke, evaluation("none", 4096, 95.9, "faces-validation"))
  for lmbda, bits in (("1e-4", 90), ("1e-7", 700)):
    result = evaluation(f"pro-{lmbda}-e1-s0", bits, 93, "faces-validation")
    write(smoke, result)
  output = smoke / "paper.html"
  flags = (f"--results={smoke}", f"--output={output}")
  process = run("experiments.report", *flags, cwd=ROOT, check=False)
  assert process.returncode == 1
  assert b"no evaluation of the published study" in process.stderr
  assert not output.exists()
  run("experiments.report", *flags, "--smoke", cwd=ROOT)
  text = output.read_text()
  assert f"<title>{paper_page.SMOKE_TITLE}</title>" in text
  assert re.search(rf"<h1[^>]*>{paper_page.SMOKE_TITLE}</h1>", text)
  assert "PRO, 1 epoch" in text
  first = output.with_suffix(".md").read_text().splitlines()[0]
  assert first == f"# {paper_page.SMOKE_TITLE}"


def test_a_smoke_runs_page_does_not_go_to_docs(run, folder):
  process = run(
    "experiments.report",
    *(f"--results={folder}", "--smoke", f"--output={ROOT}/docs/smoke.html"),
    cwd=ROOT,
    check=False,
  )
  assert b"a smoke run's page does not go to docs" in process.stderr


def test_the_page_ends_in_html(run, folder):
  process = run(
    "experiments.report",
    *(f"--results={folder}", f"--output={folder}/paper.md"),
    cwd=ROOT,
    check=False,
  )
  assert process.returncode == 1
  assert b"expected a name that ends in .html" in process.stderr


def test_features_are_described_by_a_command(run, small_faces, tmp_path):
  output = tmp_path / "features.json"
  sets = (f"--training_set={small_faces}", f"--test_set={small_faces}")
  run("experiments.describe_features", *sets, f"--output={output}", cwd=ROOT)
  found = results.read(str(output))
  assert found["test_set"] == str(small_faces)
  assert found["training"] == found["test"]
  vectors = features.load(str(small_faces)).features
  assert found["test"]["num_features"] == len(vectors)
  assert found["test"] == gaussian.describe(vectors)
  assert found["command"][2] == "experiments.describe_features"
  assert {"date", "git_commit", "git_dirty", "versions"} <= set(found)


# What is published.

needs_results = pytest.mark.skipif(
  not PUBLISHED.exists(), reason="the study has not been run yet"
)


@needs_results
def test_the_published_page_is_current():
  read = study.read(str(PUBLISHED))
  docs = ROOT / "docs"
  drawn = [
    name
    for name in paper_figures.FIGURES
    if (docs / paper_page.FIGURES / f"{name}.png").exists()
  ]
  text = (docs / "paper.md").read_text()
  assert paper_page.updated(text, read, drawn) == text, "run `make table`"
  html = paper_page.to_html(text, read, docs)
  assert html == (docs / "paper.html").read_text(), "run `make table`"


@needs_results
def test_the_published_figures_are_current():
  read = study.read(str(PUBLISHED))
  figures = ROOT / "docs" / paper_page.FIGURES
  names = {path.name for path in figures.iterdir()}
  drawn = {name[:-4] for name in names if name.endswith(".png")}
  assert names == {f"{n}{suffix}" for n in drawn for suffix in (".png", ".pdf")}
  assert "rate_accuracy" in drawn
  for name in drawn:
    source = paper_figures.source_of(figures / f"{name}.png")
    assert source == paper_figures.digest(read), "run `make table`"


@needs_results
def test_published_evaluations_are_clean_and_logged():
  log = results.read_log(str(ROOT / "experiments/results/test_log.jsonl"))
  logged = {(entry["date"], entry["method"]) for entry in log}
  read = study.read(str(PUBLISHED))
  assert read.features["git_dirty"] is False
  for run_ in read.runs():
    assert run_["git_dirty"] is False, run_["file"]
    assert (run_["date"], run_["method"]) in logged, run_["file"]
