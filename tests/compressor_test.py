import io
import shutil

import numpy as np
import pytest
from conftest import ROOT

from tsenh.base.errors import Error
from tsenh.coding import bitstream
from tsenh.data.streams import FeatureStream
from tsenh.features import compressor
from tsenh.features.sq import ScalarQuantizer
from tsenh.training import run_folders


def stream(features, block_size):
  starts = range(0, len(features), block_size)
  blocks = (features[start : start + block_size] for start in starts)
  return FeatureStream(*features.shape, blocks)


def encode(codec, features, packing="shared", block_size=64):
  file = io.BytesIO()
  compressor.encode(
    codec, stream(features, block_size), file, packing, block_size
  )
  return file


def decode(codec, file, *bounds):
  file.seek(0)
  header = compressor.read_header(codec, file)
  return np.concatenate(list(compressor.decode(codec, file, header, *bounds)))


@pytest.mark.parametrize("packing", bitstream.PACKINGS)
def test_a_file_decodes_to_what_the_codec_makes_of_its_codes(
  pro, sq, lfw, packing
):
  for codec in (pro, sq):
    features = lfw.features[:300]
    transform = codec.transform
    expected = np.concatenate(
      [
        transform.decode(transform.encode(features[i : i + 64]))
        for i in range(0, 300, 64)
      ]
    )
    file = encode(codec, features, packing)
    np.testing.assert_array_equal(decode(codec, file), expected)


@pytest.mark.parametrize("packing", bitstream.PACKINGS)
@pytest.mark.parametrize(
  "bounds", [(0, 1), (299, 1), (63, 2), (64, 64), (10, 200), (17, None)]
)
def test_a_range_is_a_slice_of_the_whole(sq, lfw, packing, bounds):
  file = encode(sq, lfw.features[:300], packing)
  start, count = bounds
  end = None if count is None else start + count
  np.testing.assert_array_equal(
    decode(sq, file, *bounds), decode(sq, file)[start:end]
  )


@pytest.mark.parametrize("bounds", [(300, 1), (0, 301), (300, None), (-1, 2)])
def test_a_range_outside_of_the_file_is_refused(sq, lfw, bounds):
  file = encode(sq, lfw.features[:300])
  with pytest.raises(Error, match="holds features 0 to 299"):
    decode(sq, file, *bounds)


@pytest.mark.parametrize("name", ["pro-1e-4", "pro-1e-7", "sq-50", "sq-30"])
def test_the_whole_file_keeps_to_its_budget(lfw, name):
  codec = compressor.load(name)
  file = encode(codec, lfw.features, "shared", 1024)
  file.seek(0)
  header = compressor.read_header(codec, file)
  codes = np.concatenate(list(compressor.decode_codes(codec, file, header)))
  entropy_bytes = codec.coder.bits(codes).sum() / 8
  budget = 1.005 * entropy_bytes + 40 * header.num_blocks
  assert len(file.getvalue()) <= budget


def test_another_codec_is_refused(pro, sq, lfw):
  file = encode(pro, lfw.features[:3])
  with pytest.raises(Error, match="written with another codec than sq-40"):
    decode(sq, file)


def test_features_of_another_dimension_are_refused(pro, lfw):
  with pytest.raises(Error, match="64 dimensions, but pro-1e-6 is for 128"):
    encode(pro, lfw.features[:3, :64])


@pytest.mark.parametrize("name", ["sq:40", "sq-64", "pca:0.1", "nothing", "."])
def test_unknown_codecs_are_refused(name):
  with pytest.raises(Error, match="neither a run folder"):
    compressor.load(name)


def test_values_far_outside_of_the_training_set_survive_sq(sq):
  features = np.zeros([3, 128], np.float32)
  features[1, 5], features[2, 9] = 1e6, -1e6
  decoded = decode(sq, encode(sq, features))
  np.testing.assert_allclose(decoded, features, atol=sq.transform.q_step * 1.01)


def test_blocks_are_read_only_a_few_ahead_of_the_writer(sq, lfw):
  taken = []

  def blocks():
    for i in range(50):
      taken.append(i)
      yield lfw.features[:1024]

  class Slow(io.BytesIO):
    ahead = 0

    def write(self, data):
      Slow.ahead = max(Slow.ahead, len(taken) - written[0] // 1024)
      return super().write(data)

  written = [0]

  def progress(count):
    written[0] += count

  compressor.encode(
    sq, FeatureStream(50 << 10, 128, blocks()), Slow(), "shared", 1024, progress
  )
  # Four blocks are coded at once.
  assert Slow.ahead <= 4 * (compressor._WORKERS + 2)


def test_the_order_of_blocks_does_not_depend_on_threads(sq, lfw):
  files = [encode(sq, lfw.features[:999], block_size=7) for _ in range(3)]
  assert len({file.getvalue() for file in files}) == 1


def test_what_a_run_is_stands_in_its_configuration(tmp_path):
  for name in ("pro-1e-6", "sq-40"):
    folder = tmp_path / name
    shutil.copytree(run_folders.find(name), folder)
    config = run_folders.read_config(folder)
    run_folders.write_config(folder, {**config, "kind": "another"})
    with pytest.raises(Error, match="the run of another, expected one of pro"):
      compressor.load(str(folder))


def test_costs_count_the_tables_and_what_decodes(pro, sq):
  own = pro.transform.costs()
  tables = pro.coder.parameters
  assert tables == 128 + (pro.coder.cdf < 1 << 16).sum()
  for side, cost in pro.costs().items():
    assert cost.parameters == own[side].parameters + tables
    assert cost.multiply_adds == 3 * 128 * 128
  assert sq.costs()["sender"].parameters == 1 + sq.coder.parameters
  expected = ROOT / "tests" / "expected"
  low = compressor.load(str(expected / "codecs" / "tfc"))
  enhanced = compressor.load(
    str(expected / "codecs" / "tfc"), str(expected / "enhancer")
  )
  assert enhanced.costs()["sender"] == low.costs()["sender"]
  # Enh (16 x 24, GDN, 24 x 128) and Dec (128 x 24, GDN, 24 x 128).
  assert enhanced.costs()["receiver"].multiply_adds == (
    16 * 24 + 24 * 24 + 24 * 128 + 128 * 24 + 24 * 24 + 24 * 128
  )
  assert enhanced.costs()["receiver"].parameters > tables_of(low)


def tables_of(codec):
  return codec.coder.parameters


def test_sq_in_the_middle_has_the_bytes_of_sq_and_half_its_offset(lfw):
  lower, middle = (ScalarQuantizer(40, 128, r) for r in ("lower", "middle"))
  codes = lower.encode(lfw.features[:200])
  np.testing.assert_array_equal(middle.encode(lfw.features[:200]), codes)
  np.testing.assert_allclose(
    middle.decode(codes) - lower.decode(codes), lower.q_step / 2, rtol=1e-3
  )
  assert lower.digest() != middle.digest()
