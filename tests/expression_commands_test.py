"""The commands of expressions, in processes of their own, on the sample."""

import json
import pathlib
import signal
import subprocess
import sys
import time

import matplotlib
import numpy as np
import pytest
from conftest import ROOT, fails
from PIL import Image

from tsenh.base import arrays
from tsenh.recognition.expression_sets import EMOTIONS

pytestmark = pytest.mark.slow
SAMPLE = ROOT / "tests" / "samples" / "ferplus"
IMAGES = [f"--data={SAMPLE}.npz", f"--labels={SAMPLE}.csv", "--partial"]
SHORT = [*IMAGES, "--epochs=2", "--batch_size=32"]


@pytest.fixture(scope="module")
def runs(run, tmp_path_factory):
  """A folder with a teacher's run and those of two of its students."""
  folder = tmp_path_factory.mktemp("expressions")
  run("tsenh.train_expression", *SHORT, "--output=teacher", cwd=folder)
  of_teacher = ["--teacher=teacher", "--start=teacher", "--occlusion=upper"]
  for method in ("kd", "triplet"):
    run(
      "tsenh.train_expression",
      *SHORT,
      *of_teacher,
      f"--method={method}",
      "--stage_weight=0.1",
      f"--output={method}",
      cwd=folder,
    )
  return folder


def test_a_run_says_what_made_it_and_has_moving_means(runs):
  config = json.loads((runs / "triplet" / "config.json").read_text())
  teacher = json.loads((runs / "teacher" / "config.json").read_text())
  assert config["status"] == "finished"
  assert (config["occlusion"], config["method"]) == ("upper", "triplet")
  assert (config["margin"], config["mining"]) == (0.2, "random")
  assert config["teacher_digest"] == teacher["classifier_digest"]
  assert (config["steps"], config["num_training_images"]) == (6, 97)
  assert config["last_epoch"]["taught"] > 0
  stored = arrays.read_all(runs / "teacher" / "weights.npz")
  assert not np.allclose(stored["norm0/moving_mean"], 0)
  records = json.loads((runs / "kd" / "validation.json").read_text())
  assert [record["epoch"] for record in records] == [1, 2]


def test_a_run_that_was_stopped_ends_in_the_same_bits(runs, tmp_path):
  """After its first epoch, the moving means and the learning rate with it."""
  command = [
    *(sys.executable, "-m", "tsenh.train_expression"),
    *SHORT,
    *("--resume", "--output=stopped"),
  ]
  state = tmp_path / "stopped" / "training_state.npz"
  with subprocess.Popen(
    command, cwd=tmp_path, stderr=subprocess.DEVNULL
  ) as process:
    while process.poll() is None and not state.exists():
      time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
  config = json.loads((tmp_path / "stopped" / "config.json").read_text())
  if process.returncode == 0:
    pytest.skip("it was too fast to be stopped")
  assert config.get("epochs_done", 0) < 2
  subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
  config = json.loads((tmp_path / "stopped" / "config.json").read_text())
  whole = json.loads((runs / "teacher" / "config.json").read_text())
  assert config["classifier_digest"] == whole["classifier_digest"]


def test_one_network_is_tested_and_two_together(run, runs):
  pytest.importorskip("sklearn")
  for name, model in (("one", "kd"), ("two", "kd,triplet")):
    process = run(
      "tsenh.evaluate_expression",
      *IMAGES,
      f"--model={model}",
      "--occlusion=upper",
      f"--output={name}.json",
      cwd=runs,
    )
    found = json.loads((runs / f"{name}.json").read_text())
    assert found["count"] == 33 == len(found["predicted"])
    hits = sum(a == b for a, b in zip(found["labels"], found["predicted"]))
    assert found["correct"] == hits
    assert found["accuracy"] == hits / 33
    assert found["copies"] == 1
    assert found["without_copies"]["count"] == 32
    assert sum(c["correct"] for c in found["per_class"].values()) == hits
    assert f"{hits} of 33 right" in process.stdout.decode()
    assert (found["svm_penalty"] is None) == (name == "one")


def test_a_photograph_is_told_and_drawn(run, runs):
  folder = pathlib.Path(matplotlib.get_data_path(), "sample_data")
  photograph = folder / "grace_hopper.jpg"
  flags = ["--model=teacher", "--precision=float", "--output=seen.png"]
  process = run("tsenh.recognise_expression", *flags, photograph, cwd=runs)
  first, *lines = process.stdout.decode().splitlines()
  assert first == "hidden half: none"
  shares = [float(line.split()[1]) for line in lines]
  assert sorted(line.split()[0] for line in lines) == sorted(EMOTIONS)
  assert shares == sorted(shares, reverse=True)
  assert sum(shares) == pytest.approx(100, abs=0.5)
  with Image.open(runs / "seen.png") as picture:
    assert picture.size == (688, 320 + 48 + 8 * 24)
  # Her face is all of this, and its lower half is a mask.
  with Image.open(photograph) as picture:
    masked = np.array(picture.crop((140, 30, 390, 280)))
  masked[125:] = 128
  Image.fromarray(masked).save(runs / "masked.png")
  process = run(
    *("tsenh.recognise_expression", *flags[:2], "--face", "masked.png"),
    cwd=runs,
  )
  assert process.stdout.decode().startswith("hidden half: lower\n")
  process = run(
    *("tsenh.recognise_expression", *flags[:2], "masked.json"),
    cwd=runs,
    check=False,
  )
  fails(process, "masked.json: No such file")


def test_flags_that_do_not_go_together_are_refused(run, runs, tmp_path):
  for flags, said in (
    (["--method=kd"], "--teacher goes with --method=kd or triplet"),
    (["--margin=1"], "--margin goes with --method=triplet"),
    (["--method=kd", "--teacher=none"], "neither a run folder"),
  ):
    process = run(
      "tsenh.train_expression", *SHORT, *flags, cwd=tmp_path, check=False
    )
    fails(process, said)
  process = run(
    "tsenh.train_expression", *IMAGES[:2], cwd=tmp_path, check=False
  )
  fails(process, "images with a majority (training / validation / test)")
  process = run(
    "tsenh.evaluate_expression",
    *IMAGES,
    f"--model={runs / 'kd'}",
    "--precision=int8",
    "--output=x.json",
    cwd=tmp_path,
    check=False,
  )
  fails(process, "has no int8.tflite")
  assert not (tmp_path / "x.json").exists()
