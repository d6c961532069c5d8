import numpy as np
import pytest
import scipy.stats
from stored_runs import assert_stored

from tsenh import portable
from tsenh.base.errors import Error
from tsenh.data import feature_sets
from tsenh.features import ahead, compressor, lda
from tsenh.recognition import dense
from tsenh.training import run_folders


@pytest.fixture(scope="module")
def held_out():
  return feature_sets.load("faces-validation")


@pytest.fixture(scope="module")
def learner(held_out):
  return ahead.Learner(
    64, 32, held_out.features, held_out.identities, hidden_dim=16
  )


@pytest.fixture(scope="module")
def coder():
  """With a hidden layer that adds something."""
  return compressor.load("ahead-64").transform


def test_it_begins_as_lda_of_as_many_bits(learner, held_out):
  features = held_out.features
  start = lda.fit(1.0, 32, features, held_out.identities)
  start.step = lda.step_for(64, start, features)
  coder = learner.coder(features, trellis=False)
  codes, expected = coder.encode(features), start.encode(features)
  # Weights of single precision, and a step that is sought anew.
  assert (codes == expected).mean() > 0.97
  np.testing.assert_allclose(
    coder.decode(expected), start.decode(expected), atol=1e-3
  )


def test_the_loss_by_hand(learner, held_out):
  features = held_out.features[:40].astype(np.float64)
  people = np.repeat(np.arange(20), 2).astype(np.int32)
  zero = np.zeros([40, learner.noise_dim], np.float32)
  batch = {"features": held_out.features[:40], "people": people}
  loss, term, fine, bits = (x.numpy() for x in learner.loss_fn(batch, zero))
  values = {
    k: v.numpy().astype(np.float64)
    for k, v in learner.named_variables().items()
  }
  mean = held_out.features.mean(axis=0, dtype=np.float64)
  code = (features - mean) @ values["components"]
  decoded = code @ values["reconstruction"] + mean
  assert fine == pytest.approx(
    np.square(decoded - features).sum(1).mean(), rel=1e-4
  )
  normal = scipy.stats.norm(values["location"], np.exp(values["log_scale"]))
  share = normal.cdf(code + 0.5) - normal.cdf(code - 0.5)
  assert bits == pytest.approx(-np.log2(share).sum(1).mean(), rel=1e-3)
  excess = max(bits - 64, 0)
  assert loss == pytest.approx(
    term + ahead.FINE_WEIGHT * fine + ahead.RATE_WEIGHT * excess, rel=1e-5
  )


def test_noise_is_that_of_rounding_and_of_people(learner, held_out):
  """Of its three parts the last moves features as photographs of one differ."""
  random = np.random.default_rng(0)
  uniform = random.uniform(-0.5, 0.5, [20_000, 128])
  moved = uniform @ learner._noise
  expected = ahead.SPREAD**2 * lda.within(
    held_out.features, held_out.identities
  )
  np.testing.assert_allclose(
    np.cov(moved.T), expected, atol=3e-2 * expected.max()
  )


def test_training_makes_a_codec_of_the_bits_that_are_wanted(run, tmp_path):
  flags = ("--features=faces-validation", "--bits=40", "--hidden_dim=32")
  flags += ("--epochs=2", "--output=run")
  run("tsenh.train_ahead", *flags, cwd=tmp_path)
  config = run_folders.read_config(tmp_path / "run")
  assert (config["kind"], config["code_dim"]) == ("ahead", 20)
  codec = compressor.load(str(tmp_path / "run"))
  faces = feature_sets.load("faces-validation").features
  bits = codec.coder.bits(codec.transform.encode(faces)).mean()
  assert bits == pytest.approx(40, abs=0.5)
  again = run("tsenh.train_ahead", *flags, "--resume", cwd=tmp_path)
  assert b"the run is finished" in again.stderr


def test_the_shipped_one_tells_people_apart_better_than_it_began(
  coder, held_out
):
  """These people are among those of its training: it shows that it learned."""
  some = held_out.identities < np.quantile(held_out.identities, 0.25)
  faces = feature_sets.load("faces")
  start = lda.fit(1.0, coder.code_dim, faces.features, faces.identities)
  start.step = lda.step_for(64, start, faces.features[::8])
  tar, began = (
    dense.measure(
      c.decode(c.encode(held_out.features[some])), held_out.identities[some]
    )["tar_at_far_1e-3"]
    for c in (coder, start)
  )
  assert tar > began + 0.02


def test_a_run_folder_holds_it_and_portable_agrees(coder, lfw, tmp_path):
  assert_stored(coder, lfw.features[:300], tmp_path)
  without = {**run_folders.read_config(tmp_path), "hidden_dim": 3}
  run_folders.write_config(tmp_path, without)
  for load in (compressor.load, portable.load):
    with pytest.raises(Error, match="not the weights of this architecture"):
      load(str(tmp_path))


def test_what_each_side_costs(coder):
  costs = coder.costs()
  assert costs["receiver"].multiply_adds == 32 * 128
  assert costs["sender"].multiply_adds == 32 * 128 + coder.hidden_dim * (
    128 + 32
  )
