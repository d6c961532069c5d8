"""Coding of integers whose scales the reader can tell."""

import numpy as np
import pytest

from tsenh.base.errors import Error
from tsenh.coding.entropy import TOTAL
from tsenh.images.conditional import ConditionalCoder


def draws(n, dim, seed=0):
  """Integers of a Laplace distribution each, and log2 of its scale."""
  random = np.random.default_rng(seed)
  octaves = random.uniform(-5, 7, [n, dim])
  codes = np.rint(random.laplace(0, 2.0**octaves)).astype(np.int32)
  side = random.integers(-3, 4, [n, 2]).astype(np.int32)
  return side, codes, octaves


@pytest.fixture(scope="module")
def coder():
  return ConditionalCoder.fit(*draws(2000, 100))


@pytest.mark.parametrize("n", [1, 7])
def test_what_is_packed_comes_back_and_takes_what_it_must(coder, n):
  side, codes, octaves = draws(n, 500, seed=1)
  codes = coder.clip(codes, octaves)
  packed = coder.pack(side, codes, octaves)
  found = coder.unpack(packed, n, lambda given: octaves)
  np.testing.assert_array_equal(found[0], side)
  np.testing.assert_array_equal(found[1], codes)
  # A Laplace distribution's own entropy, where rounding is fine beside it.
  fine = octaves > 2
  rest = coder.pack(side, np.where(fine, 0, codes), np.where(fine, -5, octaves))
  expected = (np.log2(2 * np.e) + octaves[fine]).sum() / 8
  assert abs(len(packed) - len(rest) - expected) < 0.05 * expected


def test_scales_and_codes_beyond_the_tables_are_clipped(coder):
  octaves = np.array([[-99.0, 99.0, 0.0]])
  codes = np.full([1, 3], 2**31 - 1, np.int32)
  clipped = coder.clip(codes, octaves)
  assert clipped.tolist() == [[1, 511, 13]]
  packed = coder.pack(np.zeros([1, 2], np.int32), clipped, octaves)
  found = coder.unpack(packed, 1, lambda given: octaves)
  np.testing.assert_array_equal(found[1], clipped)


def test_damaged_tables_are_refused(coder):
  sound = coder.tables
  again = ConditionalCoder.from_tables(sound, "x")
  assert again.digest() == coder.digest()
  tables = sound["scale_cdf"]
  for bad in (
    tables[:-1],
    tables.astype(np.int64),
    np.where(tables == TOTAL, TOTAL + 5, tables).astype(np.int32),
    np.concatenate([tables, tables[:, -1:]], 1),
    np.concatenate([tables[:, :1], tables[:, 2:]], 1),
    tables[:, ::-1],
  ):
    with pytest.raises(Error, match=r"^x: the tables of the learned layer"):
      ConditionalCoder.from_tables({**sound, "scale_cdf": bad}, "x")
  with pytest.raises(Error, match=r"^x: the entropy tables are damaged"):
    ConditionalCoder.from_tables({**sound, "cdf": sound["cdf"] + 1}, "x")
  with pytest.raises(Error, match="not the tables of a learned layer"):
    ConditionalCoder.from_tables({"lower": sound["lower"]}, "x")
