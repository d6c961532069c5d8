import hashlib
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT

from tsenh import portable
from tsenh.base.errors import Error
from tsenh.data import feature_sets
from tsenh.features import compressor, enhancer, networks
from tsenh.training import run_folders

EXPECTED = ROOT / "tests" / "expected"


def test_the_loss_by_hand():
  c_enh = tf.constant([[0.1, 0.2], [0.0, -0.5]])
  c_high = tf.constant([[0.1, 0.0], [1.0, 0.5]])
  # 0.04, and 1 + 1.
  loss = enhancer.enhancement_loss(c_enh, c_high)
  np.testing.assert_allclose(loss, 1.02, rtol=1e-6)


def test_the_model_is_two_layers_with_gdn():
  model = enhancer.Enhancer(6, 4, 5)
  kinds = [type(layer) for layer in model.network.layers]
  dense = tf.keras.layers.Dense
  assert kinds == [dense, networks.GDN, dense]
  assert not model.network.layers[1].inverse
  assert model.network.input_shape == (None, 6)
  assert model.network.output_shape == (None, 4)
  assert networks.multiply_adds(model.network) == 6 * 5 + 5 * 5 + 5 * 4


def test_more_layers_are_part_of_the_architecture_and_two_are_not_named():
  deep = enhancer.Enhancer(6, 4, 5, num_layers=3)
  names = [layer.name for layer in deep.network.layers]
  assert names == ["fc1", "gdn", "fc2", "gdn2", "fc3"]
  assert deep.architecture()["num_layers"] == 3
  assert "num_layers" not in enhancer.Enhancer(6, 4, 5).architecture()
  assert networks.multiply_adds(deep.network) == 6 * 5 + 3 * 5 * 5 + 5 * 4


def test_a_deep_enhancer_survives_its_run_folder_and_portable_agrees(tmp_path):
  low = EXPECTED / "codecs" / "tfc"
  old = json.loads((EXPECTED / "enhancer" / "config.json").read_text())
  model = enhancer.Enhancer(
    old["low_dim"], old["high_dim"], 9, num_layers=4, seed=3
  )
  config = {
    "kind": "pro-e",
    **model.architecture(),
    **{key: old[key] for key in ("low_digest", "high_digest")},
  }
  shutil.copytree(EXPECTED / "enhancer" / "high", tmp_path / "high")
  run_folders.finish(tmp_path, config, model)
  codec = compressor.load(str(low), str(tmp_path))
  codes = codec.transform.encode(feature_sets.load("lfw").features[:5])
  decoded = codec.enhancement.decode(codes)
  port = portable.load_enhancer(str(tmp_path))
  there = portable.decode_enhanced(port, codes)
  np.testing.assert_allclose(there, decoded, atol=1e-5)


@pytest.mark.parametrize("clip_enhanced", [True, False])
def test_codes_are_divided_and_multiplied_by_their_clips(clip_enhanced):
  model = enhancer.Enhancer(
    6, 4, 5, low_clip=10, high_clip=3, clip_enhanced=clip_enhanced
  )
  codes = np.arange(-6, 6, dtype=np.int32).reshape(2, 6) * 10
  expected = 3 * model.network(codes.astype(np.float32) / 10).numpy()
  assert np.abs(expected).max() > 3
  if clip_enhanced:
    expected = np.clip(expected, -3, 3)
  enhanced = model.enhance(codes)
  assert enhanced.dtype == np.float32
  np.testing.assert_allclose(enhanced, expected, rtol=1e-5)


def test_the_digest_is_that_of_format_md():
  config = json.loads((EXPECTED / "enhancer" / "config.json").read_text())
  weights = np.load(EXPECTED / "enhancer" / "weights.npz")
  sha = hashlib.sha256(b"16 128 24 20 20 classic 1")
  for part in (
    "fc1/kernel",
    "fc1/bias",
    "gdn/reparam_beta",
    "gdn/reparam_gamma",
    "fc2/kernel",
    "fc2/bias",
  ):
    name = f"enhancer/{part}"
    sha.update(name.encode() + weights[name].astype("<f4").tobytes())
  assert sha.hexdigest() == config["enhancer_digest"]


def test_the_bytes_are_the_same_and_the_features_are_not(lfw):
  low, name = str(EXPECTED / "codecs" / "tfc"), str(EXPECTED / "enhancer")
  plain, enhanced = compressor.load(low), compressor.load(low, name)
  faces = lfw.features[:300]
  data = plain.compress(faces)
  assert enhanced.compress(faces) == data
  difference = plain.decompress(data) - enhanced.decompress(data)
  assert 1e-4 < np.abs(difference).max() < 1


def test_codes_beyond_the_clip_are_refused():
  low, name = str(EXPECTED / "codecs" / "tfc"), str(EXPECTED / "enhancer")
  codec = compressor.load(low, name)
  with pytest.raises(Error, match="beyond 20"):
    codec.enhancement.decode(np.full([1, 16], 21, np.int32))


def test_what_does_not_fit_is_refused():
  codecs, name = EXPECTED / "codecs", str(EXPECTED / "enhancer")
  with pytest.raises(Error, match="made for another codec's codes"):
    compressor.load(str(codecs / "classic"), name)
  with pytest.raises(Error, match="made for another codec's codes"):
    compressor.load("sq-40", name)
  with pytest.raises(Error, match="the run of pro, expected one of pro-e"):
    compressor.load(str(codecs / "tfc"), str(codecs / "classic"))
  with pytest.raises(Error, match="the run of pro-e, expected one of pro,"):
    compressor.load(name)
