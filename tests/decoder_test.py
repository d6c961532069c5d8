import numpy as np
import pytest
from conftest import ROOT

from tsenh.base.errors import Error
from tsenh.features import compressor, decoder, networks
from tsenh.training import run_folders

LOW = str(ROOT / "tests" / "expected" / "codecs" / "classic")


def run_folder(folder, **architecture):
  codec = compressor.load(LOW)
  dims = (codec.transform.code_dim, codec.transform.feature_dim)
  model = decoder.Decoder(*dims, **architecture)
  config = {
    "kind": "pro-d",
    **model.architecture(),
    "low_digest": codec.transform.digest(),
  }
  run_folders.finish(folder, config, model)
  return codec, model


def test_it_is_dec_of_any_size():
  model = decoder.Decoder(7, 5, 6, num_layers=3)
  kinds = [type(layer).__name__ for layer in model.decoder.layers]
  assert kinds == ["Dense", "GDN", "Dense", "GDN", "Dense"]
  assert all(model.decoder.layers[i].inverse for i in (1, 3))
  assert networks.multiply_adds(model.decoder) == 7 * 6 + 3 * 6 * 6 + 6 * 5


def test_with_the_weights_of_the_codecs_own_dec_it_decodes_alike(lfw):
  codec = compressor.load(LOW).transform
  model = decoder.Decoder(codec.code_dim, codec.feature_dim, codec.hidden_dim)
  own = codec.arrays()
  model.assign({name: own[name] for name in model.arrays()})
  codes = codec.encode(lfw.features[:9])
  np.testing.assert_array_equal(model.decode(codes), codec.decode(codes))


def test_the_bytes_are_the_same_and_the_features_are_not(lfw, tmp_path):
  plain, model = run_folder(tmp_path, hidden_dim=20, num_layers=3)
  other = compressor.load(LOW, str(tmp_path))
  faces = lfw.features[:30]
  data = plain.compress(faces)
  assert other.compress(faces) == data
  codes = plain.transform.encode(faces)
  np.testing.assert_array_equal(other.decompress(data), model.decode(codes))
  assert np.abs(other.decompress(data) - plain.decompress(data)).max() > 1e-4
  # 128 x 20 + 20 and so on, and the tables.
  expected = networks.cost(model.decoder).parameters + plain.coder.parameters
  assert other.costs()["receiver"].parameters == expected
  with pytest.raises(Error, match="made for another codec's codes"):
    compressor.load("pro-1e-6", str(tmp_path))


def test_codes_beyond_the_clip_are_refused():
  with pytest.raises(Error, match="beyond 3"):
    decoder.Decoder(4, 4, clip=3.0).decode(np.full([1, 4], 4, np.int32))
