"""Faults are made as asked, and what a command makes of them is judged."""

import json
import signal
import subprocess
import sys

import pytest
from conftest import ROOT

from experiments.faults import tasks, trials
from experiments.report import measurements, tables
from tsenh.base import files, results

WRITES = """
import sys
from tsenh.base import command_line, files
def main(path):
  files.write_json(path, "new")
sys.argv = sys.argv[1:]
command_line.run(main, "path")
"""


def task(code):
  """A task that runs a line of Python in its folder's name, made cheaply."""
  return tasks.Task(
    lambda given, folder: ["timeit", "-n1", "-r1", code.format(folder=folder)],
    ("out.json",),
    "",
    kills=1,
    most=2,
  )


SOUND = "from tsenh.base import files; files.write_json('{folder}/out.json', 1)"


@pytest.mark.slow
@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_each_step_of_a_file_fails_as_asked_and_the_old_one_stays(
  tmp_path, error
):
  path, log = tmp_path / "folder" / "x.json", tmp_path / "steps"
  path.parent.mkdir()

  def write(at):
    environment = {
      **{"PYTHONPATH": f"{trials.HOOK}:{ROOT}", "FAULTS_ERROR": error},
      **{"FAULTS_FOLDER": str(path.parent), "FAULTS_LOG": str(log)},
      "FAULTS_AT": str(at),
    }
    log.unlink(missing_ok=True)
    return subprocess.run(
      [sys.executable, "-c", WRITES, "x", str(path)],
      env=environment,
      capture_output=True,
      check=False,
    )

  files.write_json(str(path), "old")
  assert write(0).returncode == 0 and json.loads(path.read_text()) == "new"
  steps = log.read_text()
  assert steps == "owfr"
  files.write_json(str(path), "old")
  for at in range(1, 1 + len(steps)):
    process = write(at)
    lines = process.stderr.decode().splitlines()
    assert process.returncode == 1 and len(lines) == 1, lines
    expected = "the disk is full" if error == "ENOSPC" else "Input/output error"
    assert lines[0].startswith("error: ") and expected in lines[0]
    assert json.loads(path.read_text()) == "old"
    assert [p.name for p in path.parent.iterdir()] == ["x.json"]


@pytest.mark.slow
def test_a_sound_command_gives_no_findings_and_others_do(tmp_path):
  sound = task(f"import time; time.sleep(0.2); {SOUND}")
  alone = trials.refer(sound, tmp_path, tmp_path)
  assert alone.steps == "owfr" and set(alone.digests) == {"out.json"}
  killed = trials.kill(sound, alone, tmp_path, [0])
  assert killed["identical"] and not killed["findings"]
  assert len(killed["kills"]) <= 2
  starved = trials.starve(sound, alone, tmp_path, 2048)
  assert starved["code"] == 0 and not starved["findings"]
  # A traceback is no sentence, although the next run is sound.
  failed = trials.fail(sound, alone, tmp_path, "EIO", 2)
  assert failed["step"] == "w" and failed["code"] == 1 and failed["identical"]
  (finding,) = failed["findings"]
  assert "lines: ['Traceback" in finding
  other = task(SOUND.replace("1)", "2)"))
  found = trials.limit_files(other, alone, tmp_path, 100)["findings"]
  assert found == ["what it made is not what it makes alone"]
  half = task("open('{folder}/out.json', 'w').write('[1'); 1 / 0")
  found = trials.limit_files(half, alone, tmp_path, 100)["findings"]
  assert "out.json is not whole" in found


@pytest.mark.slow
def test_a_command_that_survives_sigterm_is_a_finding(tmp_path, monkeypatch):
  monkeypatch.setattr(trials, "PATIENCE", 0.2)
  monkeypatch.setattr(trials, "TERMINATES", 1.0)
  deaf = task(
    "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(1);"
    + SOUND
  )
  alone = trials.refer(deaf, tmp_path, tmp_path)
  for seed in range(50):  # One signal of five is SIGTERM, at random moments.
    found = trials.kill(deaf, alone, tmp_path, [seed])
    if found["findings"]:
      break
  assert "alive 0.2 s after SIGTERM" in found["findings"]
  assert all(kill["signal"] == "SIGTERM" for kill in found["kills"])
  assert found["identical"]


def test_faults_are_counted_for_the_page(tmp_path):
  assert measurements.render_faults(tmp_path) == tables.NOT_MEASURED
  kill = {"signal": signal.SIGKILL.name, "after_first_checkpoint": True}
  sound = {"identical": True, "findings": []}
  kinds = {
    "kills": {"kills": [kill, {**kill, "after_first_checkpoint": False}]},
    "errors": {"error": "EIO"},
    "memory": {"address_space_mb": 64, "findings": ["hangs"]},
  }
  (tmp_path / "faults").mkdir()
  for kind, trial in kinds.items():
    trial = {"task": "train_codec", **sound, **trial}
    path = str(tmp_path / "faults" / f"{kind}.json")
    results.write(path, {"trials": [trial]}, {})
  text = measurements.render_faults(tmp_path)
  for name in ("train_codec", "all"):
    row = next(line for line in text.splitlines() if f"| {name} |" in line)
    assert row.split("|")[2:-1] == [f" {n} " for n in (2, 1, 1, 1, 1, 3, 1)]
