import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tsenh.base.errors import Error
from tsenh.coding import entropy

INT32 = np.iinfo(np.int32)
PACKINGS = ["shared", "separate"]


def laplace(n=5000, dim=8, seed=0):
  """Codes of different spread; element 0 is always zero."""
  rng = np.random.default_rng(seed)
  return np.rint(rng.laplace(scale=np.arange(dim), size=[n, dim])).astype("i4")


def fitted(codes):
  return entropy.EntropyCoder(*entropy.fit_tables(codes))


def round_trip(coder, codes, packing):
  payload = getattr(coder, f"pack_{packing}")(codes)
  return getattr(coder, f"unpack_{packing}")(payload, len(codes)), payload


def test_tables_by_hand():
  # 3 of 4 zeros, 1 of 4 twos: bins 0, 1, 2 and the escape; each has 1, and
  # 65532 are shared out in proportion 3 : 0 : 1 : 0.
  lower, cdf = entropy.fit_tables(np.array([[0], [0], [2], [0]], np.int32))
  assert lower.tolist() == [0]
  assert cdf.tolist() == [[0, 49150, 49151, 65535, 65536]]


def test_tables_of_elements_with_other_ranges_are_padded():
  lower, cdf = entropy.fit_tables(laplace())
  assert lower[0] == 0
  assert cdf[0].tolist() == [0, 65535] + [65536] * (cdf.shape[1] - 2)
  assert (cdf[:, -1] == 65536).all()


@pytest.mark.parametrize("packing", PACKINGS)
@settings(max_examples=50)
@given(
  codes=hnp.arrays(
    np.int32,
    st.tuples(st.integers(1, 9), st.just(8)),
    elements=st.one_of(st.integers(-30, 30), st.integers(INT32.min, INT32.max)),
  )
)
def test_any_int32_survives_the_round_trip(packing, codes):
  coder = fitted(laplace())
  decoded, _ = round_trip(coder, codes, packing)
  np.testing.assert_array_equal(decoded, codes)


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("edge", [INT32.min, INT32.max - 3])
def test_values_do_not_wrap_around_into_tables_at_the_edge(packing, edge):
  coder = fitted(np.arange(edge, edge + 4).astype(np.int32)[:, None])
  codes = np.array([[edge], [INT32.min], [0], [INT32.max]], np.int32)
  decoded, _ = round_trip(coder, codes, packing)
  np.testing.assert_array_equal(decoded, codes)


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_table_wider_than_the_limit_escapes_the_rest(packing):
  codes = np.arange(-6000, 6000, dtype=np.int32)[:, None]
  coder = fitted(codes)
  assert coder.cdf.shape[1] == entropy.MAX_SYMBOLS + 2
  decoded, _ = round_trip(coder, codes, packing)
  np.testing.assert_array_equal(decoded, codes)


def test_a_shared_string_is_as_long_as_the_cross_entropy():
  coder = fitted(laplace(seed=0))
  codes = laplace(seed=1)
  _, payload = round_trip(coder, codes, "shared")
  entropy_bytes = coder.bits(codes).sum() / 8
  assert entropy_bytes < len(payload) < 1.005 * entropy_bytes + 8


def test_separate_strings_cost_under_four_bits_more_each():
  coder = fitted(laplace(seed=0))
  codes = laplace(seed=1)
  _, payload = round_trip(coder, codes, "separate")
  bits = 8 * entropy.string_bytes(payload, len(codes), "separate")
  assert 0 < bits / len(codes) - coder.bits(codes).mean() < 4


def test_the_cross_entropy_equals_a_plain_loop():
  coder = fitted(laplace())
  codes = laplace(n=20, seed=2)
  codes[3, 4] = 1000
  for row, bits in zip(codes, coder.bits(codes)):
    expected = 0
    for j, value in enumerate(row):
      cdf = [x for x in coder.cdf[j].tolist() if x < 65536] + [65536]
      symbol = value - coder.lower[j]
      if not 0 <= symbol < len(cdf) - 2:
        symbol = len(cdf) - 2
        expected += 32
      expected -= np.log2((cdf[symbol + 1] - cdf[symbol]) / 65536)
    assert bits == pytest.approx(expected)


def test_the_common_table_is_close_to_the_entropy_of_its_own_data():
  codes = laplace(n=20000)
  empirical = 0
  for values in codes.T:
    p = np.unique(values, return_counts=True)[1] / len(values)
    empirical -= (p * np.log2(p)).sum()
  assert fitted(codes).bits(codes).mean() == pytest.approx(empirical, rel=1e-3)


def test_damaged_tables_are_refused():
  lower, cdf = entropy.fit_tables(laplace())
  bad = [
    (lower[1:], cdf),
    (lower, cdf[:, ::-1].copy()),
    (lower, cdf[:, :-1][:, :1]),
    (lower, cdf.astype(np.int64)),
    (lower, np.where(cdf == 65536, 65535, cdf).astype(np.int32)),
  ]
  falling = cdf.copy()
  falling[7, 2] = falling[7, 1]
  for tables in [*bad, (lower, falling)]:
    with pytest.raises(Error, match="tables are damaged"):
      entropy.EntropyCoder(*tables)


def test_payloads_that_end_early_or_late_are_refused():
  coder = fitted(laplace())
  codes = laplace(n=30, seed=3)
  codes[0, 0] = 9
  for packing in PACKINGS:
    payload = getattr(coder, f"pack_{packing}")(codes)
    unpack = getattr(coder, f"unpack_{packing}")
    for bad in (b"", payload[:3], payload[:6], payload + b"\1\1\1"):
      with pytest.raises(Error):
        unpack(bad, len(codes))
    more = b"\2" + payload[1:8] + payload[4:8] + payload[8:]
    with pytest.raises(Error, match="escaped"):
      unpack(more, len(codes))
