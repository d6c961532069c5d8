import numpy as np
import pytest
from report_data import evaluation, with_hits, write, write_study

from experiments import choices
from experiments.report import measurements, page, reader
from tsenh.base import files
from tsenh.base.errors import Error
from tsenh.data import manifests


@pytest.fixture
def folder(tmp_path):
  """A folder with one evaluation of each kind."""
  write(tmp_path, evaluation("none", 4096, 99.35))
  write(tmp_path, evaluation("pro-1e-6-e40-s0", 325, 99.2))
  return tmp_path


@pytest.mark.parametrize(
  ("name", "family", "setting", "epochs", "seed", "label"),
  [
    ("none", "none", "", 0, -1, "uncompressed"),
    ("pro-1e-6-e40-s3", "pro", "1e-6", 40, 3, "PRO, 40 epochs"),
    ("pro-e-1e-4-e400-s0", "pro-e", "1e-4", 400, 0, "PRO-E, 400 epochs"),
    ("pca-at-pro-1e-7-e400", "pca-at-pro", "1e-7", 400, -1, None),
    ("pca-0.05", "pca", "0.05", 0, -1, "PCA"),
    ("sq-50", "sq", "50", 0, -1, "SQ"),
    ("sq-mid-50", "sq-mid", "50", 0, -1, "SQ-MID"),
    ("sq-e-30-e40-s0", "sq-e", "30", 40, 0, "SQ-E, 40 epochs"),
    ("opq-1024-s4", "opq", "1024", 0, 4, "OPQ"),
    ("dbh-128-s0", "dbh", "128", 0, 0, "DBH"),
  ],
)
def test_names_of_evaluations_are_understood(
  tmp_path, name, family, setting, epochs, seed, label
):
  write(tmp_path, evaluation(name, 128, 99))
  run = reader.read(str(tmp_path), "test").runs.iloc[0]
  assert (run["family"], run["setting"]) == (family, setting)
  assert (run["epochs"], run["seed"]) == (epochs, seed)
  assert label is None or run["label"] == label


def test_a_choice_of_teachers_names_its_teacher(tmp_path):
  name = "pro-e-1e-4-by-1e-7-e46-s0"
  write(tmp_path, evaluation(name, 74, 92, "faces-validation"))
  run = reader.read(str(tmp_path), "validation").runs.iloc[0]
  assert (run["setting"], run["teacher"]) == ("1e-4", "1e-7")


@pytest.mark.parametrize(
  ("method", "change", "message"),
  [
    ("pro-1e-6-e40-s0", {"features_digest": "0"}, "not the shipped lfw"),
    ("pro-1e-6-e40-s0", {"features": "mine.npz"}, "expected a test set"),
    ("mine", {}, "unknown method mine"),
    ("pq", {}, "unknown method pq"),
    ("pro-1e-6", {}, "names no epochs or no seed"),
    ("pro-1e-6-e40-s0", {"training": None}, "training: epochs|seed None"),
    ("pro-1e-6-e40-s0", {"training.epochs": 1}, "epochs 1, expected 40"),
    ("pro-1e-6-e40-s0", {"training.seed": 1}, "seed 1, expected 0"),
    ("pro-1e-6-e40-s0", {"training.lambda": 1e-5}, "lambda 1e-05, expected"),
    (
      "pro-1e-6-e40-s0",
      {"training.num_training_features": 57426},
      "features 57426, expected 109035",
    ),
    # The enhancers that were published as 400 epochs had 40.
    (
      "pro-e-1e-6-e400-s0",
      {"enhancer_training.epochs": 40},
      "enhancer_training: epochs 40, expected 400",
    ),
    (
      "pro-e-1e-6-e40-s1",
      {"enhancer_training.seed": 0},
      "enhancer_training: seed 0, expected 1",
    ),
    ("pro-e-1e-6-e40-s0", {"enhancer_training": None}, "enhancer_training: "),
    (
      "sq-e-50-e40-s0",
      {"enhancer_training.epochs": 1},
      "enhancer_training: epochs 1, expected 40",
    ),
    ("sq-e-50-e40-s0", {"enhancer_training.qp": 45}, "qp 45, expected 50"),
    ("pq-128-s3", {"training": {"seed": 0}}, "training: seed 0, expected 3"),
    (
      "pro-e+feature-1e-6-e40-s0",
      {"enhancer_training.hidden_dim": 128},
      "enhancer_training: not of --loss=feature, as its name says",
    ),
  ],
)
def test_what_does_not_belong_never_feeds_a_page(
  tmp_path, method, change, message
):
  result = evaluation(method, 150, 99)
  write(tmp_path, result)
  if method not in ("mine", "pq", "pro-1e-6"):
    assert len(reader.read(str(tmp_path), "test").runs) == 1
  for key, value in change.items():
    part, _, inner = key.partition(".")
    if inner:
      result[part][inner] = value
    else:
      result[key] = value
  write(tmp_path, result)
  with pytest.raises(Error, match=message):
    reader.read(str(tmp_path), "test")


def test_a_result_of_another_training_is_refused_without_a_role_too(tmp_path):
  result = evaluation("pro-1e-6-e40-s0", 325, 99)
  result["training"]["epochs"] = 41
  write(tmp_path, result)
  with pytest.raises(Error, match="epochs 41, expected 40"):
    reader.read(str(tmp_path))


def test_smoke_results_and_published_ones_are_never_read_as_the_other(tmp_path):
  write(tmp_path, evaluation("pro-1e-6-e5-s0", 700, 90, "faces-validation"))
  assert reader.read(str(tmp_path)).smoke
  with pytest.raises(Error, match="on faces-validation, expected a test set"):
    reader.read(str(tmp_path), "test")
  write(tmp_path, evaluation("none", 4096, 99.35))
  with pytest.raises(Error, match="on several sets, faces-validation, lfw"):
    reader.read(str(tmp_path))


@pytest.mark.parametrize(
  ("plain", "enhanced"),
  [("pro-1e-6-e40-s0", "pro-e-1e-6-e40-s0"), ("sq-50", "sq-e-50-e40-s0")],
)
def test_an_enhanced_method_decodes_the_bytes_of_the_plain_one(
  tmp_path, plain, enhanced
):
  write(tmp_path, evaluation(plain, 325, 99))
  result = evaluation(enhanced, 325, 99)
  write(tmp_path, result)
  assert len(reader.read(str(tmp_path), "test").runs) == 2
  for change in ({"bits_per_feature": 325 + 1e-9}, {"codec_digest": "0"}):
    write(tmp_path, {**result, **change})
    with pytest.raises(Error, match="whose bytes it should decode, has"):
      reader.read(str(tmp_path), "test")


def test_an_enhancer_has_the_teacher_of_the_rule(tmp_path):
  for lmbda in ("1e-5", "1e-6", "1e-7"):
    write(tmp_path, evaluation(f"pro-{lmbda}-e40-s0", 325, 99))
  result = evaluation("pro-e-1e-5-e40-s0", 325, 99)
  write(tmp_path, result)
  assert len(reader.read(str(tmp_path), "test").runs) == 4
  # 1e-8 teaches 1e-7, and is not evaluated itself.
  write(tmp_path, evaluation("pro-e-1e-7-e40-s0", 325, 99))
  assert len(reader.read(str(tmp_path), "test").runs) == 5
  for method in ("pro-e-1e-5-e40-s0", "pro-e-1e-7-e40-s0"):
    taught = evaluation(method, 325, 99)
    # Another lambda, another seed, another length.
    others = ["pro-1e-5-e40-s0"]
    if method == "pro-e-1e-5-e40-s0":
      others += ["pro-1e-6-e40-s1", "pro-1e-6-e400-s0"]
    for other in others:
      taught["enhancer_training"]["high_digest"] = other
      write(tmp_path, taught)
      with pytest.raises(Error, match=f"{method}.json: its enhancer did not"):
        reader.read(str(tmp_path), "test")
    write(tmp_path, evaluation(method, 325, 99))


@pytest.mark.parametrize("network", list(choices.TEACHERS))
def test_the_teachers_are_those_that_were_chosen(network):
  runs = measurements.taught(page.RESULTS, network)
  best = runs[runs["best"]].set_index("setting").sort_index()
  assert dict(best["teacher"]) == choices.TEACHERS[network]
  students = runs[runs["teacher"] != ""].groupby("setting")
  key = choices.CHOSEN_BY[network]
  assert (best[key] == students[key].max().sort_index()).all()


def test_of_two_equal_teachers_the_nearer_one_is_chosen(tmp_path):
  folder = tmp_path / "choices" / "fullrank"
  folder.mkdir(parents=True)
  for teacher, more in (("1e-6", 2), ("1e-5", 2), ("1e-7", 1)):
    name = f"pro-e-1e-4-by-{teacher}-e45-s0"
    result = evaluation(name, 74, 92, "faces-validation")
    result["dense"]["tar_at_far_1e-3"] = 0.6 + more / 1000
    write(folder, result)
  runs = measurements.taught(tmp_path, "fullrank")
  assert list(runs[runs["best"]]["teacher"]) == ["1e-5"]


def test_a_method_twice_is_an_error(folder):
  write(folder, evaluation("none", 4096, 99.35), "again")
  with pytest.raises(Error, match=r"one method in again.json and none.json"):
    reader.read(str(folder))


def test_a_folder_without_evaluations_is_an_error(tmp_path):
  with pytest.raises(Error, match="no evaluations in it"):
    reader.read(str(tmp_path))
  (tmp_path / "x.json").write_text('{"format": 9, "correct_pairs": 1}')
  with pytest.raises(Error, match="result format 9, expected 1"):
    reader.read(str(tmp_path))


def test_described_features_are_those_of_the_evaluations(folder):
  described = {"format": 1, "test_set": "faces-validation"}
  files.write_json(str(folder / "features.json"), described)
  with pytest.raises(Error, match="on several sets, faces-validation, lfw"):
    reader.read(str(folder))


def test_a_summary_has_means_over_seeds(tmp_path):
  for seed, bits, hits in ((0, 100.0, 590), (1, 104.0, 594)):
    name = f"pro-1e-6-e40-s{seed}"
    write(tmp_path, with_hits(name, bits, [hits] * 10))
  write(tmp_path, evaluation("none", 4096, 99))
  none, row = reader.summary(reader.read(str(tmp_path))).to_dict("records")
  assert none["family"] == "none"
  assert np.isnan(none["bits_sd"])
  assert row["bits"] == 102
  assert row["bits_sd"] == pytest.approx(8**0.5)
  assert row["correct_pairs"] == 5920
  assert row["accuracy"] == pytest.approx(100 * 592 / 600)
  assert sorted(row["runs"]["seed"]) == [0, 1]


def test_snr_is_variance_over_squared_error(tmp_path):
  write_study(tmp_path, seeds=1)
  study = reader.read(str(tmp_path), "test")
  rows = reader.summary(study).set_index("label")
  variance = study.features["test"]["variance"]
  expected = 10 * np.log10(variance / rows.loc["SQ", "mse"])
  assert rows.loc["SQ", "snr"].tolist() == expected.tolist()
  assert np.isnan(rows.loc["uncompressed", "snr"])
  assert rows.loc["DBH", "snr"].isna().all()


def test_one_changed_byte_changes_the_digest(folder):
  before = reader.read(str(folder)).digest
  assert reader.read(str(folder)).digest == before
  result = evaluation("none", 4096, 99.35)
  write(folder, {**result, "date": result["date"].replace("6+", "7+")})
  assert reader.read(str(folder)).digest != before


@pytest.mark.parametrize("network", list(manifests.networks()))
def test_what_is_published_belongs(network):
  folder = page.RESULTS / "paper" / network
  study = reader.read(str(folder), "test")
  assert study.test_set.network == network
  assert not study.smoke
