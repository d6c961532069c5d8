import json
import re
import resource
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

from experiments import choices
from tsenh.base import files, results
from tsenh.base.errors import Error
from tsenh.data.feature_sets import FeatureSet

PAPER = ROOT / "experiments" / "results" / "paper"


@pytest.mark.parametrize("network", [path.name for path in PAPER.iterdir()])
def test_every_recorded_evaluation_is_in_the_log_of_looks(network):
  log = results.read_log(PAPER / network / results.TEST_LOG)
  logged = {(entry["date"], entry["correct_pairs"]) for entry in log}
  for path in (PAPER / network).glob("*.json"):
    result = json.loads(path.read_text())
    if "correct_pairs" in result:
      assert (result["date"], result["correct_pairs"]) in logged, path.name


def test_the_log_counts_looks_at_the_test_set(tmp_path):
  result = {"features": "lfw", "method": "m", "features_digest": "f"}
  assert "look 1 of this" in results.log_look(tmp_path, result)
  other = {**result, "method": "n"}
  assert "look 1 of this" in results.log_look(tmp_path, other)
  assert "look 2 of this" in results.log_look(tmp_path, result)
  assert len(results.read_log(tmp_path / results.TEST_LOG)) == 3


def test_half_a_line_of_a_killed_process_breaks_no_later_look(tmp_path):
  result = {"features": "lfw", "method": "m", "features_digest": "f"}
  path = tmp_path / results.TEST_LOG
  path.write_text('{"date": "20')
  assert results.read_log(path) == []
  for look in (1, 2):
    assert f"look {look} of this" in results.log_look(tmp_path, result)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:20])
    assert len(results.read_log(path)) == look
  assert "look 3 of this" in results.log_look(tmp_path, result)
  assert path.read_bytes() == whole[: len(whole) // 2] * 3


@pytest.mark.slow
def test_no_result_stands_where_its_look_could_not_be_logged(tmp_path):
  results.log_look(tmp_path, {"features": "lfw", "method": "m" * 10000})
  log = tmp_path / results.TEST_LOG
  size = log.stat().st_size + 10  # Room for less than a line.
  command = [sys.executable, "-m", "tsenh.evaluate", "--codec=none"]
  process = subprocess.run(
    [*command, "--output=result.json"],
    cwd=tmp_path,
    # Python would keep what it could write of a compiled module.
    env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
    capture_output=True,
    check=False,
  )
  assert process.returncode == 1
  text = process.stderr.decode()
  assert text.startswith("error: ") and len(text.splitlines()) == 1, text
  assert list(tmp_path.iterdir()) == [log]
  assert len(results.read_log(log)) == 1


@pytest.mark.parametrize("line", ["no json", "{}", "[]"])
def test_a_damaged_log_is_refused(tmp_path, line):
  results.log_look(tmp_path, {"features": "lfw", "method": "m"})
  path = tmp_path / results.TEST_LOG
  path.write_text(f"{path.read_text()}{line}\n")
  with pytest.raises(Error, match=r"test_log.jsonl: line 2 is no entry"):
    results.read_log(path)
  assert results.read_log(tmp_path / "none.jsonl") == []


def test_what_runs_in_other_processes_is_named_in_the_result():
  """A study that runs commands names them, so that their code counts."""
  found = 0
  for path in ROOT.glob("experiments/*/*.py"):
    text = path.read_text()
    constant = re.search(r'^_COMMAND = ("[a-z._]+")$', text, re.M)
    if constant:
      text = text.replace(", _COMMAND)", f", {constant[1]})")
    commands = set(re.findall(r'"(tsenh\.[a-z_]+)"', text))
    if commands and "subprocess" in text:
      named = re.findall(
        r"(?:commands = |COMMANDS = |results\.write)\((.*?)\)\n", text, re.S
      )
      for command in commands:
        assert any(command in names for names in named), (path.name, command)
      found += 1
  assert found >= 4


def test_a_result_survives_writing_and_reading(tmp_path):
  path = str(tmp_path / "result.json")
  files.write_json(path, {"format": results.FORMAT, "accuracy": 0.1 + 0.2})
  assert results.read(path)["accuracy"] == 0.1 + 0.2


def test_seen_people_are_whole_and_have_several_photographs():
  identities = np.array([3, 3, 5, 7, 7, 7, -1, -1, 3, 9, 9])
  names = np.array([f"{i}.jpg" for i in range(11)], "U20")
  names[8] = "0.jpg#flipped"
  faces = FeatureSet(np.zeros([11, 2], np.float32), names, identities)
  everybody = choices.seen_rows(faces, 7)
  np.testing.assert_array_equal(everybody, [0, 1, 3, 4, 5, 9, 10])
  some = choices.seen_rows(faces, 4)
  assert 2 <= len(some) <= 4
  for person in np.unique(identities[some]):
    own = (identities == person) & (np.arange(11) != 8)
    assert own.sum() == (identities[some] == person).sum()
