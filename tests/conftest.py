"""What several tests share: real data in small pieces, and real processes."""

import os
import pathlib
import subprocess
import sys

import hypothesis
import numpy as np
import pytest

from tsenh.base import command_line

# Before anything imports TensorFlow, as every command does.
command_line.set_thread_mode()

from tsenh.data import feature_sets  # noqa: E402
from tsenh.data.feature_sets import FeatureSet  # noqa: E402
from tsenh.features import compressor  # noqa: E402

hypothesis.settings.register_profile(
  "tsenh",
  derandomize=True,
  deadline=None,
  suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("tsenh")

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Photographs and networks that may not be given on lie beside the checkout.
SHARED = pathlib.Path(os.environ.get("TSENH_SHARED", ROOT.parent / "shared"))
needs_shared = pytest.mark.skipif(
  not (SHARED / "networks").is_dir(),
  reason="needs the networks and photographs that no checkout holds",
)
COMMANDS = (
  "compare",
  "count_pairs",
  "train_codec",
  "train_expression",
  "evaluate_expression",
  "train_decoder",
  "train_enhancer",
  "train_lda",
  "train_pca",
  "train_ahead",
  "train_sq",
  "train_sq_enhancer",
  "train_student",
  "encode",
  "decode",
  "evaluate",
  "evaluate_student",
  "export",
  "extract_features",
  "recognise_expression",
  "train_scalable",
  "encode_image",
  "decode_image",
  "evaluate_scalable",
)
FACES64 = ROOT / "tests" / "faces64" / "lfw64.npz"


def fails(process, *parts):
  """One sentence on standard error, and nothing that looks like a crash."""
  text = process.stderr.decode()
  assert process.returncode == 1, text
  assert "Traceback" not in text
  for part in parts:
    assert part in text, text
  return text


@pytest.fixture(scope="session")
def lfw():
  return feature_sets.load("lfw")


@pytest.fixture(scope="session")
def pro():
  return compressor.load("pro-1e-6")


@pytest.fixture(scope="session")
def sq():
  return compressor.load("sq-40")


@pytest.fixture(scope="session")
def faces64():
  """64 faces of LFW, uint8 [64, 64, 64, 3]; see their data card."""
  from tsenh.recognition import image_sets

  return np.stack([*image_sets.load(str(FACES64)).decode(range(64))])


@pytest.fixture(scope="session")
def small_faces(tmp_path_factory):
  """The path of a feature set with the first 640 training faces."""
  path = tmp_path_factory.mktemp("faces") / "small.npz"
  faces = feature_sets.load("faces")
  feature_sets.save(str(path), FeatureSet(faces.features[:640]))
  return path


@pytest.fixture(scope="session")
def run():
  """Runs a command in a process of its own; returns the process."""

  def run(module, *flags, cwd, stdin=None, check=True, root=ROOT):
    process = subprocess.run(
      [sys.executable, "-m", module, *map(str, flags)],
      cwd=cwd,
      input=stdin,
      capture_output=True,
      env={**os.environ, "PYTHONPATH": str(root)},
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
