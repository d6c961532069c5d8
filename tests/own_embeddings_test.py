"""docs/own-embeddings.md, from its first line to its last.

GENERATE_EXPECTED=1 writes anew what its commands print.
"""

import os
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

PAGE = ROOT / "docs" / "own-embeddings.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
# Another processor's last digits may move a pair or a byte.
TOLERANCE = 0.02


def run(language, text, folder):
  """Runs a block as a reader would, and returns what it prints."""
  if language == "python":
    commands = [[sys.executable, "-c", text]]
  else:
    lines = text.replace("\\\n", " ").splitlines()
    commands = [[sys.executable, *shlex.split(line)[1:]] for line in lines]
    assert all(line.startswith("python -m tsenh.") for line in lines)
  printed = ""
  for command in commands:
    process = subprocess.run(
      command,
      cwd=folder,
      env={**os.environ, "PYTHONPATH": str(ROOT)},
      capture_output=True,
      text=True,
      check=False,
    )
    assert process.returncode == 0, process.stderr
    printed += process.stdout
  return printed


def numbers(text):
  return [float(x.replace(",", "")) for x in NUMBER.findall(text)]


@pytest.mark.slow
def test_every_command_runs_and_prints_what_the_page_says(tmp_path):
  pytest.importorskip("sklearn")
  page, printed, told = PAGE.read_text(encoding="utf-8"), "", []
  for language, text in BLOCK.findall(page):
    if language == "text":
      told.append((text, printed))
    else:
      printed = run(language, text, tmp_path)
  assert len(told) == 2
  if os.environ.get("GENERATE_EXPECTED") == "1":
    for text, found in told:
      page = page.replace(f"```text\n{text}```", f"```text\n{found}```")
    PAGE.write_text(page, encoding="utf-8")
    told = [(found, found) for _, found in told]
  for text, found in told:
    assert NUMBER.sub("0", text).split() == NUMBER.sub("0", found).split()
    np.testing.assert_allclose(numbers(found), numbers(text), TOLERANCE)
  # What the page says of the table, in words.
  rows = [line.split() for line in told[1][1].splitlines()[1:]]
  accuracy = {name: float(right.rstrip("%")) for name, _, right, _ in rows}
  bits = {name: float(own) for name, own, _, _ in rows}
  assert accuracy["lda"] > accuracy["none"] + 5
  assert bits["lda"] < bits["none"] / 80
  assert accuracy["none"] - 2 < accuracy["pca"] <= accuracy["none"]
  assert bits["pca"] < 64 and accuracy["pro"] > accuracy["pca"]
  assert bits["pro"] > 1.5 * bits["pca"]


@pytest.mark.slow
@pytest.mark.parametrize("dim", [2, 513, 1000])
def test_vectors_may_have_any_number_of_dimensions(run, tmp_path, dim):
  rng = np.random.default_rng(0)
  labels = rng.integers(30, size=900)
  features = rng.normal(size=[30, dim])[labels] + rng.normal(size=[900, dim])
  features = features.astype(np.float32)
  np.savez(tmp_path / "x.npz", features=features[:600], identities=labels[:600])
  np.save(tmp_path / "new.npy", features[600:])
  fits = {
    "lda": ["--bits=8", f"--dim={min(dim, 20)}"],
    "pca": ["--step=0.5"],
    "sq": ["--qp=30"],
    "codec": ["--lambda=1e-6", "--epochs=1"],
  }
  for kind, flags in fits.items():
    own = ("--features=x.npz", f"--output={kind}")
    run(f"tsenh.train_{kind}", *own, *flags, cwd=tmp_path)
    codec, file = f"--codec={kind}", f"{kind}.tsf"
    coded = ("--input=new.npy", f"--output={file}")
    run("tsenh.encode", codec, *coded, cwd=tmp_path)
    coded = (f"--input={file}", f"--output={kind}.npy")
    run("tsenh.decode", codec, *coded, cwd=tmp_path)
    back = np.load(tmp_path / f"{kind}.npy")
    assert (back.shape, back.dtype) == ((300, dim), np.float32)
    assert np.isfinite(back).all()
