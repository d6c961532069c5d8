import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

from tsenh.base.errors import Error
from tsenh.data import feature_sets
from tsenh.features import compressor, pca


@pytest.fixture(scope="module")
def faces():
  return feature_sets.load("faces").features[:3000]


def test_it_is_off_by_half_a_step_per_component_at_most(faces):
  coder = pca.fit(0.1, faces)
  codes = coder.encode(faces)
  difference = (coder.decode(codes) - faces) @ coder.components
  assert np.abs(difference).max() < 0.05 + 1e-6
  # The components are those of the covariance: their codes are uncorrelated.
  covariance = np.cov(coder.latent(faces), rowvar=False)
  off_diagonal = covariance - np.diag(np.diag(covariance))
  assert np.abs(off_diagonal).max() < 1e-6 * np.diag(covariance).max()
  assert coder.digest() != pca.fit(0.2, faces).digest()


def test_the_components_are_stored_and_found_again(faces):
  coder = pca.fit(0.1, faces)
  copy = pca.TransformCoder(**coder.architecture())
  assert copy.digest() != coder.digest()
  copy.assign(coder.arrays())
  assert copy.digest() == coder.digest()
  np.testing.assert_array_equal(copy.encode(faces), coder.encode(faces))
  wrong = {**coder.arrays(), "mean": np.zeros(3)}
  with pytest.raises(Error, match="not the mean and components"):
    copy.assign(wrong)


def test_one_feature_is_too_few(faces):
  with pytest.raises(Error, match="two training features or more"):
    pca.fit(0.1, faces[:1])


def test_integers_beyond_32_bits_are_refused():
  coder = pca.TransformCoder(1e-4, 2, components=np.eye(2))
  largest = np.float32([[214748, -214748]])
  np.testing.assert_allclose(coder.decode(coder.encode(largest)), largest)
  for value in (214749, -214749, np.nan):
    with pytest.raises(Error, match=r"steps of 0.0001 long.*step is too small"):
      coder.encode(np.float32([[0, value]]))


@pytest.mark.slow
def test_what_one_thread_wrote_two_threads_read(run, tmp_path):
  """Components that were fitted again when read would not be the same bits."""
  run("tsenh.train_pca", "--step=0.1", "--output=run", cwd=tmp_path)

  def command(module, *flags, threads):
    limits = ("OMP", "OPENBLAS")
    subprocess.run(
      [sys.executable, "-m", module, "--codec=run", *flags],
      cwd=tmp_path,
      env={
        **os.environ,
        "PYTHONPATH": str(ROOT),
        **{f"{limit}_NUM_THREADS": str(threads) for limit in limits},
      },
      check=True,
      capture_output=True,
    )

  for writer in (1, 2):
    file = f"--output=w{writer}.tsf"
    command("tsenh.encode", "--input=lfw", file, threads=writer)
    for reader in (1, 2):
      name = f"w{writer}-r{reader}.npy"
      flags = (f"--input=w{writer}.tsf", f"--output={name}")
      command("tsenh.decode", *flags, threads=reader)
  decoded = np.load(tmp_path / "w1-r1.npy")
  for name in ("w1-r2", "w2-r1", "w2-r2"):
    np.testing.assert_allclose(
      np.load(tmp_path / f"{name}.npy"), decoded, rtol=0, atol=1e-6
    )
  lfw = feature_sets.load("lfw").features
  assert np.abs(decoded - lfw).max() < 0.4
  codec = compressor.load(str(tmp_path / "run"))
  data = (tmp_path / "w1.tsf").read_bytes()
  np.testing.assert_allclose(codec.decompress(data), decoded, atol=1e-6)
