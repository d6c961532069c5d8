import json
import pathlib
import shutil

import pytest
from conftest import ROOT

from experiments import paper, table
from tsenh import checkpoints, files, results
from tsenh.errors import Error

RESULTS = ROOT / "experiments" / "results"


@pytest.mark.parametrize("page", list(table.PAGES))
def test_the_pages_numbers_are_current(page):
  text = (ROOT / page).read_text()
  assert table.updated(page, RESULTS) == text, "run `make table`"


def test_each_codec_stands_beside_its_counterpart():
  pro, sq = paper.TABLE_1["PRO"], paper.TABLE_1["SQ"]
  assert paper.counterpart("pro-1e-4") == pro[0]
  assert paper.counterpart("pro-1e-7-long") == pro[3]
  assert paper.counterpart("dlib-pro-1e-5") == pro[1]
  assert paper.counterpart("sq:40") == sq[2]
  assert paper.counterpart("none").accuracy == paper.UNCOMPRESSED_ACCURACY
  for other in ("sq:41", "pro-2e-4", "mine", "repro-1e-4x"):
    assert paper.counterpart(other) is None


@pytest.mark.parametrize("feature_set", ["lfw", "dlib-lfw"])
def test_the_recorded_results_come_from_the_shipped_codecs(feature_set):
  for evaluation in results.read_evaluations(str(RESULTS), feature_set):
    if "pro-" in evaluation["method"]:
      config = checkpoints.read_config(checkpoints.find(evaluation["codec"]))
      assert evaluation["codec_digest"] == config["codec_digest"]
    assert evaluation["git_dirty"] is False


@pytest.mark.parametrize("feature_set", ["lfw", "dlib-lfw"])
def test_every_recorded_evaluation_is_in_the_log_of_test_evaluations(
  feature_set,
):
  log = results.read_log(str(RESULTS / "test_log.jsonl"))
  logged = {(entry["date"], entry["command"][3]) for entry in log}
  for evaluation in results.read_evaluations(str(RESULTS), feature_set):
    assert (evaluation["date"], evaluation["command"][3]) in logged


def test_the_log_counts_looks_at_the_test_set(tmp_path, monkeypatch):
  path = tmp_path / "new" / "log.jsonl"
  monkeypatch.setenv("TSENH_TEST_LOG", str(path))
  result = {"features": "lfw", "method": "m", "features_digest": "f"}
  assert "evaluation 1 of this" in results.log_test(result)
  assert "evaluation 1 of this" in results.log_test({**result, "method": "n"})
  assert "evaluation 2 of this" in results.log_test(result)
  assert results.log_test({**result, "features": "faces-validation"}) == ""
  assert len(results.read_log(str(path))) == 3


def test_without_a_checkout_the_log_lies_with_the_users_state(
  tmp_path, monkeypatch
):
  monkeypatch.delenv("TSENH_TEST_LOG", raising=False)
  monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
  monkeypatch.setattr("tsenh.provenance.checkout", lambda: None)
  results.log_test({"features": "lfw", "method": "m", "features_digest": "f"})
  assert (tmp_path / "tsenh" / "test_log.jsonl").exists()


def test_figures_are_drawn_from_results_alone(run, tmp_path):
  for path in RESULTS.glob("*.json"):
    shutil.copy(path, tmp_path)
  run("experiments.figures", f"--results={tmp_path}", cwd=ROOT)
  for name in ("rate_accuracy", "length"):
    assert (tmp_path / f"{name}.png").read_bytes()[:4] == b"\x89PNG"
    assert (tmp_path / f"{name}.pdf").read_bytes()[:4] == b"%PDF"


def test_a_folder_without_results_is_an_error(tmp_path):
  with pytest.raises(Error, match="no evaluations on lfw"):
    results.read_evaluations(str(tmp_path))
  (tmp_path / "x.json").write_text('{"format": 9, "correct_pairs": 1}')
  with pytest.raises(Error, match="result format 9, expected 1"):
    results.read_evaluations(str(tmp_path))
  with pytest.raises(Error, match="no markers"):
    table.replace("nothing here", "table", "| |")


def test_a_result_survives_writing_and_reading(tmp_path: pathlib.Path):
  path = str(tmp_path / "result.json")
  files.write_json(path, {"format": results.FORMAT, "accuracy": 0.1 + 0.2})
  assert results.read(path)["accuracy"] == 0.1 + 0.2


def test_the_study_of_silent_choices_is_whole():
  """Every choice at every lambda, at least at 40 epochs' updates."""
  study = json.loads((RESULTS / "sensitivity.json").read_text())
  seen = {(run["variant"], run["lambda"]) for run in study["runs"]}
  variants = {variant for variant, _ in seen}
  assert len(variants) == 10
  assert len(seen) == 40
  for run in study["runs"]:
    assert run["git_dirty"] is False
    assert run["validations"][0]["step"] == 82524
