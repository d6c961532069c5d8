"""What several tests share: real data in small pieces, and real processes."""

import os
import pathlib
import subprocess
import sys

import hypothesis
import pytest

from tsenh import compression, features

hypothesis.settings.register_profile(
  "tsenh",
  derandomize=True,
  deadline=None,
  suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("tsenh")

ROOT = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def lfw():
  return features.load("lfw")


@pytest.fixture(scope="session")
def pro():
  return compression.load("pro-1e-6")


@pytest.fixture(scope="session")
def small_faces(tmp_path_factory):
  """The path of a feature set with the first 640 training faces."""
  path = tmp_path_factory.mktemp("faces") / "small.npz"
  faces = features.load("faces")
  features.save(str(path), features.FeatureSet(faces.features[:640]))
  return path


@pytest.fixture(scope="session")
def run(tmp_path_factory):
  """Runs an entry point in a process of its own; returns the process."""
  log = tmp_path_factory.mktemp("log") / "test_log.jsonl"

  def run(module, *flags, cwd, stdin=None, check=True):
    process = subprocess.run(
      [sys.executable, "-m", module, *map(str, flags)],
      cwd=cwd,
      input=stdin,
      capture_output=True,
      env={
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "TSENH_TEST_LOG": str(log),
      },
      check=False,
    )
    if check and process.returncode != 0:
      raise AssertionError(process.stderr.decode())
    return process

  return run


@pytest.fixture(scope="session")
def trained(run, small_faces, tmp_path_factory):
  """A run folder, from train_codec on the small set."""
  folder = tmp_path_factory.mktemp("runs") / "run"
  run(
    "tsenh.train_codec",
    "--lambda=1e-5",
    "--epochs=3",
    f"--features={small_faces}",
    "--validation=faces-validation",
    "--validate_every=2",
    f"--output={folder}",
    cwd=folder.parent,
  )
  return folder
