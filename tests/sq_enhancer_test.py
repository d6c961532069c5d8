import hashlib
import json

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT

import tsenh
from tsenh.base.errors import Error
from tsenh.coding import entropy
from tsenh.data import feature_sets
from tsenh.features import compressor, networks
from tsenh.features.networks import GDN_FORMS
from tsenh.features.sq import ScalarQuantizer
from tsenh.features.sq_enhancer import SQEnhancer, squared_error
from tsenh.training import run_folders
from tsenh.training.trainer import Recipe, Trainer


def perturb(model):
  rng = np.random.default_rng(0)
  for variable in model.named_variables().values():
    variable.assign_add(rng.uniform(0.01, 0.1, variable.shape))
  return model


def saved(folder, qp=50, feature_dim=128, **architecture):
  """A finished run of a network whose every variable was changed."""
  model = perturb(SQEnhancer(feature_dim, **architecture))
  quantizer = ScalarQuantizer(qp, model.feature_dim)
  # As version 0.1.0 wrote it, without a kind.
  config = {
    **model.architecture(),
    "epochs": 1,
    "qp": qp,
    "low_digest": quantizer.digest(),
  }
  run_folders.start(folder, config)
  run_folders.finish(folder, config, model)
  return model


def load_enhancer(folder):
  """What SQ of its dimension decodes with, where this enhancer is asked for."""
  config = run_folders.read_config(folder)
  quantizer = ScalarQuantizer(config["qp"], config["feature_dim"])
  codes = quantizer.encode(np.zeros([1, quantizer.feature_dim], np.float32))
  codec = compressor.Compressor("sq", quantizer, entropy.fit_coder(codes))
  return compressor.load_enhancement(str(folder), codec)


def test_the_loss_by_hand():
  f_enh = tf.constant([[0.1, 0.2], [0.0, -0.5]])
  f_raw = tf.constant([[0.1, 0.0], [1.0, 0.5]])
  # 0.04, and 1 + 1.
  np.testing.assert_allclose(squared_error(f_enh, f_raw), 1.02, rtol=1e-6)


def test_the_network_is_the_identity_plus_branches():
  model = SQEnhancer(feature_dim=2, hidden_dim=1, num_blocks=2)
  x = np.array([[3.0, -1.0], [0.5, 0.25]], np.float32)
  weights = model.named_variables()
  for block in ("block1", "block2"):
    weights[f"{block}/fc2/kernel"].assign([[0.0, 0.0]])
  np.testing.assert_array_equal(model.enhance(x), x)
  # h = x1 + x2, GDN divides it by sqrt(1 + h^2), the first element gets it.
  for name, value in (
    ("fc1/kernel", [[1.0], [1.0]]),
    ("gdn/reparam_beta", [1.0]),
    ("gdn/reparam_gamma", [[1.0]]),
    ("fc2/kernel", [[1.0, 0.0]]),
  ):
    weights[f"block1/{name}"].assign(value)
  h = x.sum(axis=1)
  expected = x + np.stack([h / np.sqrt(1 + h**2), 0 * h], axis=1)
  np.testing.assert_allclose(model.enhance(x), expected, rtol=1e-5)
  # The second block adds to what the first gave.
  weights["block2/fc2/bias"].assign([10.0, 20.0])
  np.testing.assert_allclose(model.enhance(x), expected + [10, 20], rtol=1e-5)


def test_a_block_is_two_layers_with_gdn():
  model = SQEnhancer(6, 5, 3)
  dense = tf.keras.layers.Dense
  for block in model.blocks:
    kinds = [type(layer) for layer in block.layers]
    assert kinds == [dense, networks.GDN, dense]
    assert not block.layers[1].inverse
    assert block.input_shape == block.output_shape == (None, 6)
  kernels = [block.layers[0].kernel.numpy() for block in model.blocks]
  assert (kernels[0] != kernels[1]).all()


@pytest.mark.slow
@pytest.mark.parametrize("qp", [30, 50])
def test_training_gets_below_the_error_of_sq(qp):
  """Three epochs on faces of rank 64, measured on other people.

  Held against the middle of the step: half a step added to what Eq. (9) gives,
  which a bias alone can learn, is no enhancement.
  """
  quantizer = ScalarQuantizer(qp, 128)
  middle = ScalarQuantizer(qp, 128, "middle")
  faces = feature_sets.load("rank64-faces-train").features
  held_out = feature_sets.load("rank64-faces-validation").features
  codes = quantizer.encode(held_out)
  model = SQEnhancer(128)

  def loss_fn(batch, _):
    return (squared_error(model(batch["decoded"]), batch["features"]),)

  decoded = quantizer.decode(quantizer.encode(faces))
  loop = Trainer(
    model.named_variables(),
    loss_fn,
    ("loss",),
    {"decoded": decoded, "features": faces},
    Recipe(learning_rate=1e-3),
  )
  for _ in range(3):
    loop.run_epoch(lambda *_: None)

  def mse(vectors):
    return np.square(vectors - held_out).mean(dtype=np.float64)

  enhanced = mse(model.enhance(quantizer.decode(codes)))
  assert enhanced < 0.8 * mse(middle.decode(codes))


@pytest.mark.parametrize("gdn", list(GDN_FORMS))
def test_every_weight_survives_gdn_too(tmp_path, gdn):
  model = saved(tmp_path, feature_dim=6, hidden_dim=4, num_blocks=3, gdn=gdn)
  enhancement = load_enhancer(tmp_path)
  loaded = enhancement.enhancer
  config = json.loads((tmp_path / "config.json").read_text())
  assert config["enhancer_digest"] == loaded.digest() == model.digest()
  x = np.random.default_rng(1).normal(size=[9, 6]).astype(np.float32)
  np.testing.assert_array_equal(loaded.enhance(x), model.enhance(x))
  assert len(model.named_variables()) == 3 * 6


def test_the_digest_is_of_the_architecture_and_the_weights(tmp_path):
  saved(tmp_path, feature_dim=6, hidden_dim=4, num_blocks=2)
  config = json.loads((tmp_path / "config.json").read_text())
  weights = np.load(tmp_path / "weights.npz")
  sha = hashlib.sha256(b"6 4 2 classic")
  for block in ("block1", "block2"):
    for part in (
      "fc1/kernel",
      "fc1/bias",
      "gdn/reparam_beta",
      "gdn/reparam_gamma",
      "fc2/kernel",
      "fc2/bias",
    ):
      name = f"{block}/{part}"
      sha.update(name.encode() + weights[name].astype("<f4").tobytes())
  assert sha.hexdigest() == config["enhancer_digest"]
  variants = (
    {},
    {"feature_dim": 7},
    {"hidden_dim": 3},
    {"num_blocks": 1},
    {"gdn": "tfc"},
    {"seed": 1},
  )
  base = {"feature_dim": 6, "hidden_dim": 4, "num_blocks": 2}
  digests = {SQEnhancer(**{**base, **variant}).digest() for variant in variants}
  assert len(digests) == len(variants)


def test_the_bytes_are_the_same_and_the_features_are_not(lfw, tmp_path):
  model = saved(tmp_path)
  plain, enhanced = tsenh.load("sq-50"), tsenh.load("sq-50", str(tmp_path))
  faces = lfw.features[:300]
  data = plain.compress(faces)
  assert enhanced.compress(faces) == data
  decoded = plain.decompress(data)
  np.testing.assert_allclose(
    enhanced.decompress(data), model.enhance(decoded), rtol=1e-5, atol=1e-5
  )
  assert (enhanced.decompress(data) != decoded).any(axis=1).all()


def test_what_does_not_fit_is_refused(tmp_path):
  name = str(tmp_path / "sq-e")
  saved(tmp_path / "sq-e")
  for codec in ("sq-45", "pro-1e-6"):
    with pytest.raises(Error, match="made for another codec's codes"):
      compressor.load(codec, name)
  with pytest.raises(Error, match="the run of sq-e, expected one of pro,"):
    compressor.load(name)
  with pytest.raises(Error, match="made for another codec's codes"):
    compressor.load("sq-50", str(ROOT / "tests" / "expected" / "enhancer"))
  (tmp_path / "sq-e" / "weights.npz").unlink()
  with pytest.raises(Error, match=r"weights.npz: missing or damaged"):
    compressor.load("sq-50", name)
