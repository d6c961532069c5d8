"""What training does to the folder that it is given, in real processes."""

import shutil
import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT

pytestmark = pytest.mark.slow


def content(folder):
  paths = [path for path in folder.rglob("*") if path.is_file()]
  return {path: path.read_bytes() for path in paths}


@pytest.mark.parametrize(
  ("flag", "message"),
  [
    ("--batch_size=1000", "640 training features do not fill a batch of 1000"),
    ("--hidden_dim=1000000000", "there is not enough memory"),
    ("--lambda=1e30", "is not finite at update 20"),
  ],
)
def test_a_run_that_cannot_be_trained_touches_nothing(
  run, trained, small_faces, tmp_path, flag, message
):
  shutil.copytree(trained, tmp_path / "run")
  before = content(tmp_path)
  for folder in ("run", "new") if "batch" in flag else ("run",):
    process = run(
      "tsenh.train_codec",
      "--epochs=1",
      f"--features={small_faces}",
      flag,
      f"--output={folder}",
      "--overwrite",
      cwd=tmp_path,
      check=False,
    )
    text = process.stderr.decode()
    assert process.returncode == 1
    assert "Traceback" not in text and message in text, text
    assert content(tmp_path) == before
    assert not (tmp_path / "new").exists()


def test_one_process_trains_in_a_folder_until_it_ends_or_is_killed(
  run, small_faces, tmp_path
):
  command = (
    "tsenh.train_codec",
    f"--features={small_faces}",
    "--epochs=2000",
    "--output=run",
  )
  first = subprocess.Popen(
    [sys.executable, "-m", *command],
    cwd=tmp_path,
    env={"PYTHONPATH": str(ROOT)},
    stderr=subprocess.DEVNULL,
  )
  try:
    state = tmp_path / "run" / "training_state.npz"
    while not state.exists() and first.poll() is None:
      time.sleep(0.01)
    process = run(*command, "--overwrite", cwd=tmp_path, check=False)
    text = process.stderr.decode()
    assert process.returncode == 1
    assert text.endswith("run: another process is training there.\n"), text
    assert len(text.splitlines()) == 1
    assert first.poll() is None
  finally:
    first.send_signal(signal.SIGKILL)
    first.wait()
  run(*command, "--overwrite", "--epochs=1", cwd=tmp_path)
  assert '"finished"' in (tmp_path / "run" / "config.json").read_text()
