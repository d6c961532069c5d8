"""The compiled coder writes the same strings and refuses the same ones."""

import json

import numpy as np
import pytest
from expected_test import EXPECTED, tensorflow_coder
from hypothesis import given, settings
from hypothesis import strategies as st
from portable_test import symbol_tables

from tsenh import portable
from tsenh.base.errors import Error
from tsenh.coding import entropy

pytest.importorskip("numba")
from tsenh.coding import compiled

# Nearly sure symbols, first, in the middle and last; many; one and the escape.
SPECIAL = (
  [0, 65535, 65536],
  [0, 1, 65535, 65536],
  [0, 1, 65536],
  [0, 300, 61000, 65536],
  [0, *range(1, 4097), 65536],
)
tables = st.one_of(symbol_tables, st.sampled_from(SPECIAL))


@pytest.fixture
def at_once(monkeypatch):
  """Codes by the compiled coder from the first code on."""
  monkeypatch.setattr(entropy, "COMPILED_AFTER", 0)


def padded(cdfs):
  return tensorflow_coder(cdfs).cdf


@settings(max_examples=300)
@given(
  st.lists(tables, min_size=1, max_size=12),
  st.integers(1, 5),
  st.integers(1, 4),
  st.data(),
)
def test_strings_are_those_of_the_portable_coder(cdfs, count, rows, data):
  symbols = np.array(
    [
      [data.draw(st.integers(0, len(cdf) - 2)) for cdf in cdfs]
      for _ in range(count * rows)
    ],
    np.int32,
  )
  given_tables = compiled.tables(padded(cdfs))
  strings = compiled.encode(symbols, given_tables, rows)
  expected = [
    portable.encode_string(part.ravel().tolist(), cdfs * rows)
    for part in np.split(symbols, count)
  ]
  assert strings == expected
  decoded = compiled.decode(strings, given_tables, rows)
  np.testing.assert_array_equal(decoded, symbols)


def outcome(decode):
  try:
    return decode()
  except Error:
    return None


@settings(max_examples=300)
@given(
  st.lists(tables, min_size=1, max_size=12),
  st.lists(st.binary(max_size=30), min_size=1, max_size=5),
)
def test_any_strings_are_read_or_refused_as_by_the_portable_coder(
  cdfs, strings
):
  expected = [outcome(lambda: portable.decode_string(s, cdfs)) for s in strings]  # noqa: B023
  given_tables = compiled.tables(padded(cdfs))
  found = compiled.decode(strings, given_tables, 1)
  if None in expected:
    assert found is None
  else:
    assert found.tolist() == expected
  for string, symbols in zip(strings, expected):
    alone = compiled.decode([string], given_tables, 1)
    assert (alone is None) == (symbols is None)


def test_the_expected_strings_are_written_and_read():
  for case in json.loads((EXPECTED / "vectors.json").read_text())[
    "range_coder"
  ]:
    symbols = np.array([case["symbols"]], np.int32)
    given_tables = compiled.tables(padded(case["cdfs"]))
    string = bytes.fromhex(case["string"])
    assert compiled.encode(symbols, given_tables, 1) == [string]
    decoded = compiled.decode([string], given_tables, 1)
    np.testing.assert_array_equal(decoded, symbols)


@pytest.mark.parametrize("packing", ["shared", "separate"])
def test_files_are_the_same_bytes_and_refused_alike(
  pro, lfw, packing, monkeypatch
):
  monkeypatch.setattr(entropy, "COMPILED_AFTER", 1 << 60)
  features = lfw.features[:1000]
  data = pro.compress(features, packing, block_size=100)
  decoded = pro.decompress(data)
  codes = np.array([[1 << 30] * 128, [-(2**31)] * 128], np.int32)
  payload = getattr(pro.coder, f"pack_{packing}")(codes)
  monkeypatch.setattr(entropy, "COMPILED_AFTER", 0)
  assert pro.compress(features, packing, block_size=100) == data
  np.testing.assert_array_equal(pro.decompress(data), decoded)
  assert getattr(pro.coder, f"pack_{packing}")(codes) == payload
  unpack = getattr(pro.coder, f"unpack_{packing}")
  np.testing.assert_array_equal(unpack(payload, 2), codes)
  for bad in (payload[:-1] + b"\1", payload + b"\1", payload[4:]):
    with pytest.raises(Error):
      unpack(bad, 2)


def test_it_begins_once_a_process_has_coded_many(pro, lfw, monkeypatch):
  codes = pro.transform.encode(lfw.features[:8])
  uses = []
  monkeypatch.setattr(entropy, "_coded", 0)
  monkeypatch.setattr(entropy, "COMPILED_AFTER", 20)
  encode = compiled.encode
  monkeypatch.setattr(
    compiled, "encode", lambda *args: uses.append(1) or encode(*args)
  )
  payloads = [pro.coder.pack_shared(codes) for _ in range(4)]
  assert len(uses) == 2 and len(set(payloads)) == 1


def test_without_numba_tfc_codes(pro, lfw, monkeypatch, at_once):
  codes = pro.transform.encode(lfw.features[:3])
  payload = pro.coder.pack_shared(codes)
  monkeypatch.setattr(entropy, "compiled", lambda: None)
  coder = entropy.EntropyCoder(pro.coder.lower, pro.coder.cdf)
  assert coder.pack_shared(codes) == payload
  np.testing.assert_array_equal(coder.unpack_shared(payload, 3), codes)
