import itertools

import numpy as np
import pytest
from stored_runs import assert_stored

from tsenh import portable
from tsenh.base.errors import Error
from tsenh.coding import entropy
from tsenh.data import feature_sets
from tsenh.features import compressor, lda, pca, trellis
from tsenh.recognition import dense
from tsenh.training import run_folders


@pytest.fixture(scope="module")
def faces():
  return feature_sets.load("faces-train")


@pytest.fixture(scope="module")
def scalar(faces):
  coder = lda.fit(1.0, 32, faces.features, faces.identities)
  coder.step = lda.step_for(64, coder, faces.features[::8])
  return coder


@pytest.fixture(scope="module")
def coder(faces, scalar):
  coder = pca.TransformCoder(
    1.0, 128, scalar.mean, scalar.components, scalar.reconstruction, 32, True
  )
  coder.step = lda.step_for(64, coder, faces.features[::8])
  return coder


def test_what_integers_stand_for_by_hand():
  codes = np.array([[0, 0, 0, 0], [1, 0, 0, 2], [-1, 3, 1, -2]])
  # Of the third: 1 before is odd; 3 before is odd; 1 and -1 before are even.
  expected = [
    [0.25, 0.25, 0.25, 0.25],
    [1.25, -0.25, 0.25, -2.25],
    [-0.75, -3.25, -1.25, -1.75],
  ]
  np.testing.assert_array_equal(trellis.values(codes), expected)


def test_no_other_integers_are_nearer():
  latent = np.random.default_rng(0).normal(size=[200, 4])
  every = np.array(list(itertools.product(range(-6, 7), repeat=4)))
  errors = np.square(latent[:, None] - trellis.values(every)).sum(axis=2)
  codes = trellis.nearest(latent)
  assert codes.dtype == np.int32
  found = np.square(latent - trellis.values(codes)).sum(axis=1)
  np.testing.assert_allclose(found, errors.min(axis=1), rtol=1e-12)
  np.testing.assert_array_equal(codes, every[errors.argmin(axis=1)])


@pytest.mark.parametrize("dim, gain", [(32, 0.84), (128, 0.95)])
def test_the_error_is_a_sixth_smaller_than_that_of_rounding(dim, gain):
  latent = np.random.default_rng(0).uniform(-50, 50, [20_000, dim])
  error = np.square(trellis.values(trellis.nearest(latent)) - latent).mean()
  # 0.99 dB are Marcellin and Fischer's of four states, without end.
  assert 10 * np.log10(1 / 12 / error) == pytest.approx(gain, abs=0.02)


def test_it_tells_held_out_people_apart_better_at_the_same_bits(
  faces, scalar, coder
):
  held_out = feature_sets.load("faces-validation")
  found = []
  for codec in (scalar, coder):
    tables = entropy.fit_coder(codec.encode(faces.features[::8]))
    codes = codec.encode(held_out.features)
    measured = dense.measure(codec.decode(codes), held_out.identities)
    found.append((tables.bits(codes).mean(), measured["tar_at_far_1e-4"]))
  (bits, tar), (own_bits, own_tar) = found
  assert own_bits == pytest.approx(bits, rel=0.01)
  assert own_tar > tar + 0.01


def test_one_table_serves_both_quantizers(faces, coder):
  """Tables for each would save less than a hundredth of the bits."""
  codes = coder.encode(faces.features)
  mirrored = np.signbit(coder.values(codes)) != np.signbit(codes + 0.25)
  together = entropy.fit_coder(codes).bits(codes).mean()
  apart = 0.0
  for j in range(codes.shape[1]):
    for column in (codes[mirrored[:, j], j], codes[~mirrored[:, j], j]):
      if len(column):
        bits = entropy.fit_coder(column[:, None]).bits(column[:, None])
        apart += bits.sum() / len(codes)
  assert apart > 0.99 * together


def test_a_run_folder_holds_it_and_portable_agrees(coder, lfw, tmp_path):
  stored = assert_stored(coder, lfw.features[:300], tmp_path)
  assert stored.transform.trellis is True


@pytest.mark.parametrize(
  "found, said",
  [
    (None, "not the file that config.json describes"),
    (1, "trellis is 1, expected false or true"),
  ],
)
def test_a_run_that_hides_its_trellis_is_refused(
  coder, lfw, tmp_path, found, said
):
  tables = entropy.fit_coder(coder.encode(lfw.features[:100]))
  config = {"kind": coder.KIND, **coder.architecture()}
  run_folders.finish(tmp_path, config, coder, tables)
  config = {**run_folders.read_config(tmp_path), "trellis": found}
  if found is None:
    del config["trellis"]
  run_folders.write_config(tmp_path, config)
  for load in (compressor.load, portable.load):
    with pytest.raises(Error, match=said):
      load(str(tmp_path))


def test_codes_beyond_32_bits_are_refused(coder):
  small = pca.TransformCoder(
    1e-4, 128, coder.mean, coder.components, coder.reconstruction, 32, True
  )
  with pytest.raises(Error, match=r"steps of 0\.0001 long"):
    small.encode(np.full([1, 128], 1e6, np.float32))
  most = 2.0**31 - 4
  codes = coder.quantize(np.full([1, 32], most))
  assert np.abs(trellis.values(codes) - most).max() <= 0.75
  with pytest.raises(Error, match="which 32 bits do not hold"):
    coder.quantize(np.full([1, 32], most + 2))


def test_the_command_makes_one(run, tmp_path):
  flags = ("--features=faces-validation", "--bits=40", "--trellis")
  run("tsenh.train_lda", *flags, "--output=run", cwd=tmp_path)
  config = run_folders.read_config(tmp_path / "run")
  assert config["trellis"] is True
  codec = compressor.load(str(tmp_path / "run"))
  held_out = feature_sets.load("faces-validation").features
  bits = codec.coder.bits(codec.transform.encode(held_out)).mean()
  assert bits == pytest.approx(40, abs=0.2)
