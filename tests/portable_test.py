"""The NumPy implementation against the TensorFlow one, on real features."""

import io
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from expected_test import assert_close, tensorflow_coder, tensorflow_string
from hypothesis import given, settings
from hypothesis import strategies as st

from tsenh import portable
from tsenh.base.errors import Error
from tsenh.coding import bitstream
from tsenh.data import feature_sets, manifests
from tsenh.data.streams import stream
from tsenh.features import compressor
from tsenh.training import run_folders


def load_both(name):
  return portable.load(run_folders.find(name)), compressor.load(name)


@pytest.mark.slow
@pytest.mark.parametrize(
  "name", [name for name in run_folders.shipped() if "sq-" not in name]
)
def test_all_of_lfw_decodes_to_the_same_integers_and_near_features(name):
  port, main = load_both(name)
  training_set = run_folders.read_config(run_folders.find(name))["features"]
  test_set = manifests.network_of(training_set).tests[0]
  lfw = feature_sets.load(test_set)
  data = main.compress(lfw.features)
  codes = portable.decompress_codes(port, data)
  file = io.BytesIO(data)
  header = compressor.read_header(main, file)
  expected = list(compressor.decode_codes(main, file, header))
  np.testing.assert_array_equal(codes, np.concatenate(expected))
  decoded, here = main.decompress(data), portable.decode(port, codes)
  for a, b in zip(here, decoded):
    assert_close(a, b)
  assert here.dtype == decoded.dtype == np.float32


@pytest.mark.parametrize("packing", bitstream.PACKINGS)
def test_each_reads_what_the_other_wrote(lfw, pro, packing):
  port = portable.load(run_folders.find("pro-1e-6"))
  faces, number = lfw.features[:50], bitstream.PACKINGS.index(packing)
  data = portable.compress(port, faces, number, block_size=16)
  codes = portable.encode(port, faces)
  np.testing.assert_array_equal(
    pro.decompress(data), pro.transform.decode(codes)
  )
  file = io.BytesIO()
  compressor.encode(pro, stream(faces, 16), file, packing, 16)
  back = portable.decompress_codes(port, file.getvalue())
  # A value near a half may round either way, to a neighbour.
  assert np.abs(back - codes).max() <= 1
  assert (back != codes).mean() < 1e-3


symbol_tables = st.lists(
  st.integers(1, portable.TOTAL - 1), max_size=6, unique=True
).map(lambda inner: [0, *sorted(inner), portable.TOTAL])


@settings(max_examples=150)
@given(st.lists(symbol_tables, min_size=1, max_size=30), st.data())
def test_the_range_coder_writes_the_same_bytes(cdfs, data):
  symbols = [data.draw(st.integers(0, len(cdf) - 2)) for cdf in cdfs]
  string = portable.encode_string(symbols, cdfs)
  assert string == tensorflow_string(symbols, cdfs)
  assert portable.decode_string(string, cdfs) == symbols


@settings(max_examples=150)
@given(st.lists(symbol_tables, min_size=1, max_size=30), st.binary())
def test_the_range_coder_refuses_the_same_bytes(cdfs, string):
  coder, outcomes = tensorflow_coder(cdfs), []
  for decode in (
    lambda: coder._decode(string, [len(cdfs)]).tolist(),
    lambda: portable.decode_string(string, cdfs),
  ):
    try:
      outcomes.append(decode())
    except Error:
      outcomes.append("refused")
  assert outcomes[0] == outcomes[1]


def test_it_needs_no_tensorflow(tmp_path):
  program = f"""
import sys
for name in ("tensorflow", "tensorflow_compression", "keras", "scipy"):
  sys.modules[name] = None  # Importing it now fails.
from tsenh import portable
import numpy as np
codec = portable.load({str(run_folders.find("pro-1e-6"))!r})
features = np.full([2, 128], 0.05, np.float32)
data = portable.compress(codec, features)
assert portable.decompress(codec, data).shape == (2, 128)
assert not [m for m in sys.modules if m.startswith("tsenh.") and
            m != "tsenh.portable" and not m.startswith("tsenh.base")]
"""
  process = subprocess.run(
    [sys.executable, "-c", program],
    cwd=tmp_path,
    env={"PYTHONPATH": str(ROOT)},
    capture_output=True,
    check=False,
  )
  assert process.returncode == 0, process.stderr.decode()
  assert process.stderr == b""


def test_bad_input_is_an_error(tmp_path):
  run_folders.start(tmp_path, {"epochs": 40})
  with pytest.raises(Error, match="unfinished"):
    portable.load(str(tmp_path))
  with pytest.raises(Error, match="something else than pro"):
    portable.load(run_folders.find("sq-40"))
  port = portable.load(run_folders.find("pro-1e-6"))
  with pytest.raises(Error, match=r"not a \.tsf file"):
    portable.decompress(port, b"hello")
  with pytest.raises(Error, match="beyond the codec's clip"):
    portable.decode(port, np.full([1, 128], -21))
