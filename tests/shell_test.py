"""What a shell may do to a command: close its files, name one file twice."""

import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

import tsenh
from tsenh.base.errors import Error
from tsenh.features import pca

NAME_MAX = 255


@pytest.fixture
def folder(tmp_path, lfw):
  np.save(tmp_path / "faces.npy", lfw.features[:9])
  codec = tsenh.load("sq-40")
  (tmp_path / "faces.tsf").write_bytes(codec.compress(lfw.features[:9]))
  return tmp_path


def shell(line, folder, **files):
  """Runs a line of shell, in which $M stands for `python -m`."""
  process = subprocess.run(
    ["sh", "-c", line],
    cwd=folder,
    env={"PYTHONPATH": str(ROOT), "M": f"{sys.executable} -m"},
    capture_output=True,
    check=False,
    **files,
  )
  error = process.stderr.decode()
  assert "Traceback" not in error, error
  assert "Exception" not in error, error
  return process.returncode, error.splitlines()[-1:]


@pytest.mark.slow
def test_closed_output_and_error_change_no_file(folder):
  coding = "$M tsenh.encode --codec=sq-40 --input=faces.npy --output=new.tsf"
  assert shell(f"{coding} <&- >&- 2>&-", folder) == (0, [])
  whole = (folder / "faces.tsf").read_bytes()
  assert (folder / "new.tsf").read_bytes() == whole
  common = "$M tsenh.decode --codec=sq-40"
  sentence = ["error: standard output is closed."]
  line = f"{common} --input=faces.tsf --output=- >&-"
  assert shell(line, folder) == (1, sentence)
  sentence = ["error: standard input is closed."]
  line = f"{common} --input=- --output=x.npy <&-"
  assert shell(line, folder) == (1, sentence)
  assert shell("$M tsenh.encode --help >&-", folder) == (0, [])
  assert not (folder / "x.npy").exists()


@pytest.mark.slow
def test_standard_input_is_read_from_where_it_stands(folder):
  data = (folder / "faces.tsf").read_bytes()
  (folder / "longer").write_bytes(b"hello" + data)
  with open(folder / "longer", "rb", buffering=0) as file:
    file.seek(5)
    flags = "--codec=sq-40 --input=- --output=x.npy"
    code, error = shell(f"$M tsenh.decode {flags}", folder, stdin=file)
  assert code == 0, error
  expected = tsenh.load("sq-40").decompress(data)
  np.testing.assert_array_equal(np.load(folder / "x.npy"), expected)


@pytest.mark.slow
@pytest.mark.parametrize(
  "line",
  [
    "encode --codec=sq-40 --input=faces.npy --output=./faces.npy",
    "decode --codec=sq-40 --input=faces.npy --output=link.npy",
    "evaluate --codec=external --features=lfw --bits_per_feature=1"
    " --decoded=faces.npy --output=faces.npy",
    "train_enhancer --low=pro-1e-5 --high=. --output=. --overwrite",
    "train_decoder --codec=. --output=. --overwrite",
    "compare --output=link.npy faces.npy faces.npy",
    "evaluate_student --network=student-16 --images=faces.npy"
    " --output=faces.npy",
    "evaluate_scalable --images=faces.npy --network=dlib --output=faces.npy",
  ],
)
def test_what_is_input_and_output_is_refused(folder, line):
  (folder / "link.npy").symlink_to("faces.npy")
  before = (folder / "faces.npy").read_bytes()
  code, (error,) = shell(f"$M tsenh.{line}", folder)
  assert code == 1
  assert error.endswith("both input and output; give another name.")
  assert (folder / "faces.npy").read_bytes() == before


@pytest.mark.slow
def test_the_longest_names_are_written(folder):
  for letter in ("x", "é"):
    name = letter * ((NAME_MAX - 4) // len(letter.encode())) + ".tsf"
    flags = f"--codec=sq-40 --input=faces.npy --output={name}"
    assert shell(f"$M tsenh.encode {flags}", folder)[0] == 0
    whole = (folder / "faces.tsf").read_bytes()
    assert (folder / name).read_bytes() == whole


def test_paths_name_what_strings_name(tmp_path, pro, lfw):
  folder = ROOT / "checkpoints" / "pro-1e-6"
  faces = lfw.features[:3]
  data = tsenh.load(folder).compress(faces)
  assert data == pro.compress(faces)
  enhancer = ROOT / "checkpoints" / "enhancers" / "pro-e-1e-4"
  codec = tsenh.load(ROOT / "checkpoints" / "pro-1e-4", enhancer)
  assert codec.enhancement is not None
  np.save(tmp_path / "x.npy", faces)
  loaded = tsenh.load_features(tmp_path / "x.npy").features
  np.testing.assert_array_equal(loaded, faces)


def test_ragged_lists_are_refused(pro):
  with pytest.raises(Error, match="features: its rows differ in length"):
    pro.compress([[0.5, 1.0], [0.5]])


def test_pca_of_one_dimension_is_one_component():
  faces = np.float32([[1], [2], [4]])
  coder = pca.fit(0.5, faces)
  assert np.abs(coder.decode(coder.encode(faces)) - faces).max() <= 0.25
  one = coder.encode(faces[:1])
  assert one.shape == (1, 1)
