"""A process that is forked behind TensorFlow's back, and others."""

import os
import subprocess
import sys

import pytest
from conftest import ROOT

from tsenh.base import processes
from tsenh.base.errors import Error

FORKS = """
import multiprocessing, sys
import numpy as np
import tsenh
from tsenh.features import compressor  # TensorFlow is imported, not used.

faces = np.ones([3, 128], np.float32)

def code(codec, data):
  codec = codec or tsenh.load("pro-1e-6")
  return codec.decompress(data or codec.compress(faces)).shape

def child(*arguments):
  try:
    print(code(*arguments))
  except ValueError as error:
    print(error)

def fork(*arguments):
  process = multiprocessing.get_context("fork").Process(
    target=child, args=arguments
  )
  sys.stdout.flush()
  process.start()
  process.join(60)
  process.kill()

fork(None, None)
codec = tsenh.load("pro-1e-6")
fork(codec, None)
fork(codec, codec.compress(faces))
fork(None, None)
print(code(codec, None))
"""


def test_the_process_that_came_first_is_good_and_its_child_is_not():
  processes.check()
  processes.check()
  child = os.fork()
  if not child:
    try:
      processes.check()
      os._exit(1)
    except Error:
      os._exit(0)
  assert os.waitpid(child, 0)[1] == 0


@pytest.mark.slow
def test_a_forked_child_loads_for_itself_or_is_told_at_once(tmp_path):
  process = subprocess.run(
    [sys.executable, "-c", FORKS],
    env={"PYTHONPATH": str(ROOT)},
    cwd=tmp_path,
    capture_output=True,
    timeout=100,
    check=True,
  )
  first, *refused, own = process.stdout.decode().splitlines()
  assert first == own == "(3, 128)"
  assert len(refused) == 3
  for line in refused:
    assert line.startswith("this process was forked from one that had loaded")
    assert "get_context('spawn')" in line


@pytest.mark.slow
@pytest.mark.parametrize(
  ("mebibytes", "flags", "sentence"),
  [
    (200, ["tsenh.decode", "--help"], "a command needs"),
    (1500, ["tsenh.train_pca", "--step=0.1", "--output=x"], "TensorFlow needs"),
  ],
)
def test_too_little_address_space_is_one_sentence(
  tmp_path, mebibytes, flags, sentence
):
  limit = f'ulimit -v {mebibytes << 10}; exec "$@"'
  process = subprocess.run(
    ["sh", "-c", limit, "sh", sys.executable, "-m", *flags],
    env={"PYTHONPATH": str(ROOT)},
    cwd=tmp_path,
    capture_output=True,
    check=False,
  )
  assert process.returncode == 1
  (line,) = process.stderr.decode().splitlines()
  assert line.startswith(f"error: {sentence}") and "ulimit -v" in line
  assert not list(tmp_path.iterdir())
