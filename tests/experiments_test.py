import pathlib

import pytest
from conftest import ROOT

from experiments import paper, table
from tsenh import checkpoints, files, results
from tsenh.errors import Error

RESULTS = ROOT / "experiments" / "results"


def test_the_readmes_numbers_are_current():
  text = (ROOT / "README.md").read_text()
  assert table.update(text, str(RESULTS)) == text, "run `make table`"


def test_the_table_shows_each_codec_beside_its_counterpart():
  rendered = table.render(results.read_evaluations(str(RESULTS)))
  for method in paper.COUNTERPARTS:
    assert f"| {method} |" in rendered


def test_the_recorded_results_come_from_the_shipped_codecs():
  for evaluation in results.read_evaluations(str(RESULTS)):
    if evaluation["method"].startswith("pro-"):
      config = checkpoints.read_config(checkpoints.find(evaluation["codec"]))
      assert evaluation["codec_digest"] == config["codec_digest"]
    assert evaluation["git_dirty"] is False


def test_a_figure_is_drawn_from_results_alone(run, tmp_path):
  run(
    *("experiments.figures", f"--results={RESULTS}"),
    f"--output={tmp_path / 'figure'}",
    cwd=ROOT,
  )
  assert (tmp_path / "figure.png").read_bytes()[:4] == b"\x89PNG"
  assert (tmp_path / "figure.pdf").read_bytes()[:4] == b"%PDF"


def test_a_folder_without_results_is_an_error(tmp_path):
  with pytest.raises(Error, match="no evaluations on lfw"):
    results.read_evaluations(str(tmp_path))
  (tmp_path / "x.json").write_text('{"format": 9, "correct_pairs": 1}')
  with pytest.raises(Error, match="result format 9, expected 1"):
    results.read_evaluations(str(tmp_path))
  with pytest.raises(Error, match="no markers"):
    table.replace_between("nothing here", table.TABLE_MARKERS, "| |")


def test_a_result_survives_writing_and_reading(tmp_path: pathlib.Path):
  path = str(tmp_path / "result.json")
  files.write_json(path, {"format": results.FORMAT, "accuracy": 0.1 + 0.2})
  assert results.read(path)["accuracy"] == 0.1 + 0.2
