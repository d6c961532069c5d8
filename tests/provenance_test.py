"""What made a result is named: code, commit, looks at test sets."""

import json
import subprocess

import pytest
from conftest import ROOT

from tsenh.base import command_line, errors, files, provenance, results
from tsenh.training import run_folders, runs


def test_a_result_names_the_code_that_is_loaded_and_what_a_command_imports():
  loaded = provenance.code()
  assert "tsenh/base/provenance.py" in loaded
  assert "tsenh/train_sq.py" not in loaded
  with_command = provenance.code("tsenh.train_sq")
  for path in ("tsenh/train_sq.py", "tsenh/features/sq.py"):
    assert path in with_command
  assert provenance.digests(with_command) == with_command


def test_comments_do_not_make_a_result_old_but_code_does(tmp_path, monkeypatch):
  monkeypatch.setattr(provenance, "ROOT", tmp_path)
  path = tmp_path / "tsenh" / "x.py"
  path.parent.mkdir()
  path.write_text('"""One."""\ndef f(a):\n  """Two."""\n  return a + 1\n')
  recorded = provenance.digests(["tsenh/x.py"])
  path.write_text('"""1."""\n# More.\ndef f(a):\n\n  return (a + 1)\n')
  assert provenance.digests(recorded) == recorded
  path.write_text("def f(a):\n  return a + 2\n")
  assert provenance.digests(recorded) != recorded
  path.unlink()
  assert provenance.digests(recorded) == {}


@pytest.fixture
def clone(tmp_path):
  folder = tmp_path / "clone"
  subprocess.run(
    ["git", "clone", "-q", "--depth=1", f"file://{ROOT}", folder], check=True
  )
  return folder


def state(clone):
  program = (
    "from tsenh.base import provenance; print(provenance.source()['git_dirty'])"
  )
  process = subprocess.run(
    [command_line.sys.executable, "-c", program],
    cwd=clone,
    env={"PYTHONPATH": str(clone)},
    capture_output=True,
    check=True,
  )
  return process.stdout.decode().strip()


@pytest.mark.slow
def test_git_dirty_covers_all_that_makes_a_result(clone):
  assert state(clone) == "False"
  for written in ("experiments/results/new.json", "docs/new.md"):
    (clone / written).write_text("{}")
  assert state(clone) == "False"
  for path in (
    "experiments/reproduce.py",
    "tsenh/encode.py",
    "checkpoints/sq-40/config.json",
    "setup.py",
  ):
    text = (clone / path).read_text()
    (clone / path).write_text(text + "\n")
    assert state(clone) == "True", path
    (clone / path).write_text(text)
    assert state(clone) == "False"
  (clone / "tsenh" / "new.py").write_text("")
  assert state(clone) == "True"


@pytest.mark.slow
def test_looks_are_logged_by_role_beside_the_output(run, clone, tmp_path):
  for name, features in (("a", "lfw"), ("b", "lfw"), ("c", "faces-validation")):
    run(
      "tsenh.evaluate",
      "--codec=none",
      f"--features={features}",
      f"--output={tmp_path / name}.json",
      cwd=clone,
      root=clone,
    )
  log = results.read_log(tmp_path / results.TEST_LOG)
  assert [entry["features"] for entry in log] == ["lfw", "lfw"]
  assert log[0]["correct_pairs"] == 5959
  # A copy by another name is the same test set.
  lfw = clone / "tsenh" / "data" / "lfw.npz"
  (tmp_path / "copy.npz").write_bytes(lfw.read_bytes())
  run(
    "tsenh.evaluate",
    "--codec=none",
    f"--features={tmp_path / 'copy.npz'}",
    f"--output={tmp_path / 'd.json'}",
    cwd=clone,
    root=clone,
  )
  assert len(results.read_log(tmp_path / results.TEST_LOG)) == 3
  status = subprocess.run(
    ["git", "status", "--porcelain"], cwd=clone, capture_output=True, check=True
  )
  assert status.stdout == b""


@pytest.mark.slow
def test_training_that_validates_on_a_test_set_logs_each_look(
  run, small_faces, tmp_path
):
  run(
    "tsenh.train_codec",
    "--epochs=2",
    f"--features={small_faces}",
    "--validation=lfw",
    "--validate_every=1",
    "--output=run",
    cwd=tmp_path,
  )
  log = results.read_log(tmp_path / "run" / results.TEST_LOG)
  assert [entry["method"] for entry in log] == ["run, while training"] * 2
  records = json.loads((tmp_path / "run" / "validation.json").read_text())
  assert [e["correct_pairs"] for e in log] == [
    record["correct_pairs"] for record in records
  ]


def test_a_resumed_run_lists_all_its_commits(tmp_path):
  first = runs.open_run(tmp_path, {"epochs": 1}, resume=False, overwrite=False)
  run_folders.start(tmp_path, first)
  second = runs.open_run(tmp_path, {"epochs": 2}, resume=True, overwrite=False)
  assert len(first["commits"]) == 1
  assert second["commits"][0] == first["commits"][0]
  assert len(second["commits"]) == 2
  dirty = [commit["git_dirty"] for commit in second["commits"]]
  assert second["git_dirty"] == (None if None in dirty else any(dirty))
  config = {**second, "commits": [{**second["commits"][0], "git_dirty": True}]}
  files.write_json(
    str(tmp_path / "config.json"), {**config, "status": "training"}
  )
  third = runs.open_run(tmp_path, {"epochs": 2}, resume=True, overwrite=False)
  assert third["git_dirty"] is not False
  with pytest.raises(
    errors.Error, match="the run has epochs 2, but now it is 1"
  ):
    runs.open_run(tmp_path, {"epochs": 1}, resume=True, overwrite=False)


def test_the_one_commit_of_an_old_run_is_the_first_of_the_list(tmp_path):
  old = {"started": "2026-11-22", "git_commit": "ec2d480", "git_dirty": True}
  config = {"lambda": 1e-6, "epochs": 1, "status": "training", **old}
  files.write_json(str(tmp_path / "config.json"), config)
  found = runs.open_run(tmp_path, {"epochs": 2}, resume=True, overwrite=False)
  assert found["commits"][0] == old
  assert len(found["commits"]) == 2
  assert found["git_dirty"] is not False


def test_a_file_is_whole_or_not_there(tmp_path):
  path = tmp_path / "x.json"
  files.write_json(str(path), {"a": 1})
  with pytest.raises(ZeroDivisionError), files.replacing(str(path)) as file:
    file.write(b"half")
    1 / 0  # noqa: B018
  assert json.loads(path.read_text()) == {"a": 1}
  assert [p.name for p in tmp_path.iterdir()] == ["x.json"]
