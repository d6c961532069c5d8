"""tsenh.load and what it returns."""

import concurrent.futures
import gc
import io
import subprocess
import sys

import numpy as np
import pytest
from bitstream_test import Pipe
from conftest import ROOT

import tsenh
from tsenh.base.errors import Error
from tsenh.coding import bitstream
from tsenh.features import compressor

SMALL = str(ROOT / "tests" / "expected" / "codecs" / "tfc")


@pytest.mark.slow
def test_five_lines_in_any_folder_without_a_word_on_stderr(tmp_path):
  program = """
import numpy as np
import tsenh
codec = tsenh.load("pro-1e-6")
features = np.full([3, 128], 0.05, np.float32)
data = codec.compress(features)
features = codec.decompress(data)
print(type(data).__name__, features.dtype, features.shape)
"""
  process = subprocess.run(
    [sys.executable, "-c", program],
    cwd=tmp_path,
    env={"PYTHONPATH": str(ROOT)},
    capture_output=True,
    check=True,
  )
  assert process.stdout.decode() == "bytes float32 (3, 128)\n"
  assert process.stderr == b""


def test_importing_tsenh_does_not_import_tensorflow():
  program = "import sys, tsenh; assert 'tensorflow' not in sys.modules"
  subprocess.run(
    [sys.executable, "-c", program],
    env={"PYTHONPATH": str(ROOT)},
    check=True,
  )


@pytest.mark.slow
@pytest.mark.parametrize("packing", ["shared", "separate"])
def test_the_bytes_are_those_of_the_command(run, lfw, pro, packing, tmp_path):
  run(
    "tsenh.encode",
    "--codec=pro-1e-6",
    "--input=lfw",
    "--output=lfw.tsf",
    f"--packing={packing}",
    cwd=tmp_path,
  )
  data = pro.compress(lfw.features, packing)
  assert data == (tmp_path / "lfw.tsf").read_bytes()
  decoded = pro.decompress(data)
  assert decoded.shape == lfw.features.shape
  np.testing.assert_array_equal(
    pro.decompress(data, start=1000, count=50), decoded[1000:1050]
  )
  run(
    "tsenh.decode",
    "--codec=pro-1e-6",
    "--input=lfw.tsf",
    "--output=lfw.npy",
    cwd=tmp_path,
  )
  np.testing.assert_array_equal(np.load(tmp_path / "lfw.npy"), decoded)


def test_half_precision_and_scalar_quantization_work_too(lfw):
  codec = tsenh.load("sq-40")
  faces = lfw.features[:20]
  data = codec.compress(faces.astype(np.float16))
  assert data == codec.compress(faces)  # The shipped features are float16.
  assert np.abs(codec.decompress(data) - faces).max() <= codec.transform.q_step


def test_many_threads_share_a_codec(lfw, pro):
  parts = np.array_split(lfw.features[:2000], 40)
  alone = [pro.compress(part) for part in parts]
  with concurrent.futures.ThreadPoolExecutor(8) as pool:
    together = list(pool.map(pro.compress, parts))
    decoded = list(pool.map(pro.decompress, together))
  assert together == alone
  for features, data in zip(decoded, alone):
    np.testing.assert_array_equal(features, pro.decompress(data))


@pytest.mark.parametrize(
  ("array", "message"),
  [
    (np.zeros(128, np.float32), r"shape \[128\], expected \[n, dim\]"),
    (np.zeros([0, 128], np.float32), "is empty"),
    (np.zeros([2, 127], np.float32), "127 dimensions, but pro-1e-6 is for 128"),
    (np.zeros([2, 128]), "is float64, expected float32 or float16"),
    (np.full([2, 128], np.nan, np.float32), "row 0 holds nan"),
    ([["a"]], "expected float32"),
  ],
)
def test_what_is_no_feature_is_refused(pro, array, message):
  with pytest.raises(Error, match=message):
    pro.compress(array)


def test_bad_bytes_and_bad_settings_are_refused(pro, lfw):
  data = pro.compress(lfw.features[:10])
  for bad in (b"", b"hello", data[:-1], data + b"x"):
    with pytest.raises(Error):
      pro.decompress(bad)
  with pytest.raises(Error, match="holds features 0 to 9"):
    pro.decompress(data, 5, 6)
  other = "another codec than pro-1e-5: with pro-1e-6"
  with pytest.raises(Error, match=other):
    tsenh.load("pro-1e-5").decompress(data)
  with pytest.raises(Error, match="packing is 'new'"):
    pro.compress(lfw.features[:10], packing="new")
  with pytest.raises(Error, match="block_size is 0"):
    pro.compress(lfw.features[:10], block_size=0)
  with pytest.raises(Error, match="pro-1e-9: neither a run folder"):
    tsenh.load("pro-1e-9")


@pytest.mark.slow
def test_a_codec_that_is_loaded_again_and_again_is_not_kept(lfw):
  """A graph that is kept has some 1,300 objects, and a megabyte."""

  def load():
    codec = tsenh.load(SMALL)
    codec.decompress(codec.compress(lfw.features[:2]))

  def objects():
    gc.collect()
    return len(gc.get_objects())

  load()
  before = objects()
  for _ in range(5):
    load()
  assert objects() - before < 5 * 100


@pytest.fixture(scope="module")
def small():
  """A codec of 16 elements, so that a million features do not take long."""
  return tsenh.load(SMALL)


def bomb(codec, count, block_size=bitstream.MAX_BLOCK_SIZE):
  """A valid file in which every feature takes no bytes at all."""
  header = codec.header(count, "shared", block_size)
  file = io.BytesIO()
  # No escapes, and a string of zeros: the first symbol of every table.
  bitstream.write(file, header, [bytes(4)] * header.num_blocks)
  return file.getvalue()


def test_a_small_file_of_millions_of_features_is_refused(small):
  data = bomb(small, 786_432)
  assert len(data) == 292
  limit = 64 * 292
  with pytest.raises(Error, match=f"786432 features, but the limit is {limit}"):
    small.decompress(data)
  with pytest.raises(Error, match="the limit is 1000;"):
    small.decompress(data, max_features=1000)
  # What is asked for counts, not what there is.
  assert small.decompress(data, start=786_000, count=50).shape == (50, 128)
  assert small.decompress(data, count=70_000, max_features=70_000).shape == (
    70_000,
    128,
  )


def test_no_file_of_usual_blocks_meets_the_limit(small):
  for block_size in (1, 5, bitstream.DEFAULT_BLOCK_SIZE):
    for count in (1, block_size, block_size + 1, 5 * block_size):
      data = bomb(small, count, block_size)
      expected = small.decompress(data, max_features=count)
      np.testing.assert_array_equal(small.decompress(data), expected)
      file = Pipe(data)
      header = compressor.read_header(small, file)
      assert sum(map(len, compressor.decode(small, file, header))) == count


def test_a_stream_is_refused_before_the_block_that_is_too_many(small):
  file = Pipe(bomb(small, 786_432))
  header = compressor.read_header(small, file)
  with pytest.raises(Error, match="65536 features, but the limit is 4096"):
    next(compressor.decode(small, file, header))


def test_a_file_is_decompressed_block_by_block(pro, small, lfw):
  features = lfw.features[:300]
  data = pro.compress(features, block_size=64)
  for file in (io.BytesIO(data), Pipe(data)):
    blocks = list(pro.decompress_blocks(file))
    assert [len(block) for block in blocks] == [64, 64, 64, 64, 44]
    np.testing.assert_array_equal(np.concatenate(blocks), pro.decompress(data))
  part = pro.decompress_blocks(io.BytesIO(data), start=60, count=10)
  np.testing.assert_array_equal(
    np.concatenate(list(part)), pro.decompress(data, 60, 10)
  )
  # There is no limit to a stream: its reader stops when it likes.
  blocks = small.decompress_blocks(io.BytesIO(bomb(small, 786_432)))
  assert len(next(blocks)) == 65_536
  blocks.close()
  with pytest.raises(Error, match="the file is cut off"):
    list(pro.decompress_blocks(io.BytesIO(data[:-1])))
