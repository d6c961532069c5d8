import hashlib
import json

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT

import tsenh
from tsenh import checkpoints, compression, features, networks, training
from tsenh.errors import Error
from tsenh.networks import GDN_FORMS
from tsenh.scalar_quantizer import ScalarQuantizer
from tsenh.sq_enhancer import SQEnhancer, squared_error


def perturb(model):
  rng = np.random.default_rng(0)
  for variable in model.named_variables().values():
    variable.assign_add(rng.uniform(0.01, 0.1, variable.shape))
  return model


def saved(folder, qp=50, **architecture):
  """A finished run of a network whose every variable was changed."""
  model = perturb(SQEnhancer(**architecture))
  quantizer = ScalarQuantizer(qp, model.feature_dim)
  config = {
    **model.architecture(),
    **{"epochs": 1, "qp": qp, "low_digest": quantizer.digest()},
  }
  checkpoints.start(folder, config)
  checkpoints.finish_enhancer(folder, model, config)
  return model


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


@pytest.mark.parametrize("qp", [30, 50])
def test_training_gets_below_the_error_of_sq(qp):
  """Two epochs on a third of the faces, measured on other people."""
  quantizer = ScalarQuantizer(qp, 128)
  faces = features.load("faces-train").features[::3]
  held_out = features.load("faces-validation").features
  model = SQEnhancer()

  def decoded(vectors):
    return quantizer.decode(quantizer.encode(vectors))

  def loss_fn(batch, _):
    return (squared_error(model(batch[:, :128]), batch[:, 128:]),)

  trainer = training.Trainer(
    *(model.named_variables(), loss_fn, ("loss",)),
    np.concatenate([decoded(faces), faces], axis=1),
    *(1, 32, 1e-3, 0),
  )
  for _ in range(2):
    trainer.run_epoch(lambda *_: None)

  def mse(vectors):
    return np.square(vectors - held_out).mean(dtype=np.float64)

  assert mse(model.enhance(decoded(held_out))) < 0.5 * mse(decoded(held_out))


@pytest.mark.parametrize("gdn", list(GDN_FORMS))
def test_every_weight_survives_gdn_too(tmp_path, gdn):
  model = saved(tmp_path, feature_dim=6, hidden_dim=4, num_blocks=3, gdn=gdn)
  loaded, high, config = checkpoints.load_enhancer(str(tmp_path))
  assert high is None
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
      *("fc1/kernel", "fc1/bias", "gdn/reparam_beta", "gdn/reparam_gamma"),
      *("fc2/kernel", "fc2/bias"),
    ):
      name = f"{block}/{part}"
      sha.update(name.encode() + weights[name].astype("<f4").tobytes())
  assert sha.hexdigest() == config["enhancer_digest"]
  variants = (
    *({}, {"feature_dim": 7}, {"hidden_dim": 3}, {"num_blocks": 1}),
    *({"gdn": "tfc"}, {"seed": 1}),
  )
  base = {"feature_dim": 6, "hidden_dim": 4, "num_blocks": 2}
  digests = {SQEnhancer(**{**base, **variant}).digest() for variant in variants}
  assert len(digests) == len(variants)


def test_the_bytes_are_the_same_and_the_features_are_not(lfw, tmp_path):
  model = saved(tmp_path)
  plain, enhanced = tsenh.load("sq:50"), tsenh.load("sq:50", str(tmp_path))
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
  for codec in ("sq:45", "pro-1e-6"):
    with pytest.raises(Error, match="made for another codec's codes"):
      compression.load(codec, name)
  with pytest.raises(Error, match="of an enhancer, not of a codec"):
    compression.load(name)
  with pytest.raises(Error, match="made for another codec's codes"):
    compression.load("sq:50", str(ROOT / "tests" / "expected" / "enhancer"))
  (tmp_path / "sq-e" / "weights.npz").unlink()
  with pytest.raises(Error, match=r"weights.npz: missing or damaged"):
    compression.load("sq:50", name)
