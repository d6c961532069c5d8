"""The range coder, compiled by Numba: the strings that tfc's ops make.

FORMAT.md is the text to it, and `tsenh.portable` the same in plain Python.
Importing this takes a moment and 100 MB, and the first time of all some
seconds: what is compiled is then kept in `__pycache__`. Without Numba it is an
ImportError.
"""

from typing import List, NamedTuple

import numba
import numpy as np

_SURE = 60000  # Of 65,536: a symbol so frequent is tried before all others.
_compile = numba.njit(nogil=True, cache=True, error_model="numpy")
_inline = numba.njit(nogil=True, inline="always", error_model="numpy")


class Tables(NamedTuple):
  """What is looked up to code, all in C order.

  Attributes:
    cdf: int32 [code_dim, k + 1], see `entropy.fit_tables`.
    tried: int64 [code_dim], a symbol that is tried first.
    start: uint16 [code_dim, 256], of each 256 frequencies the first's symbol.
  """

  cdf: np.ndarray
  tried: np.ndarray
  start: np.ndarray


def tables(cdf: np.ndarray) -> Tables:
  """Looks up of int32 [code_dim, k + 1]; it is checked already."""
  cdf = np.ascontiguousarray(cdf)
  frequencies = np.diff(cdf, axis=1)
  likely = frequencies.argmax(axis=1)
  tried = np.where(frequencies.max(axis=1) > _SURE, likely, 0)
  firsts = np.arange(0, 1 << 16, 1 << 8)
  start = [np.searchsorted(row, firsts, "right") - 1 for row in cdf]
  return Tables(cdf, tried.astype(np.int64), np.array(start, np.uint16))


def encode(symbols: np.ndarray, given: Tables, rows: int) -> List[bytes]:
  """Strings of table positions int32 [n, code_dim], so many rows in each."""
  count = len(symbols) // rows
  # A symbol adds two bytes at most, the end of a string four.
  buffer = np.empty(2 * symbols.size + 4 * count, np.uint8)
  ends = np.empty(count, np.int64)
  _encode(np.ascontiguousarray(symbols), given.cdf, rows, buffer, ends)
  data, cuts = buffer[: ends[-1]].tobytes(), [0, *ends.tolist()]
  return [data[start:end] for start, end in zip(cuts, cuts[1:])]


def decode(strings: List[bytes], given: Tables, rows: int) -> np.ndarray:
  """Table positions int32 [len(strings) * rows, code_dim], rows in each.

  Returns:
    None if a string does not end where its codes do.
  """
  ends = np.cumsum([len(string) for string in strings])
  data = np.frombuffer(b"".join(strings), np.uint8)
  symbols = np.empty([len(strings) * rows, len(given.cdf)], np.int32)
  sound = _decode(data, ends, *given, rows, symbols)
  return symbols if sound else None


# All is int64: a size is up to 2^32, and its product with a frequency to 2^48.


@_inline
def _carry(buffer, position):
  """Adds one to the number that ends before a position."""
  position -= 1
  while buffer[position] == 255:
    buffer[position] = 0
    position -= 1
  buffer[position] += 1


@_inline
def _round_up(low, size):
  """The multiple of 2^24, or else 2^16, from `low` on in the interval."""
  up = (low + 0xFFFFFF) & ~0xFFFFFF
  return up if up < low + size else (low + 0xFFFF) & ~0xFFFF


@_compile
def _encode(symbols, cdf, rows, buffer, ends):
  position = 0
  for string in range(len(ends)):
    begin, low, size = position, 0, 1 << 32
    for row in range(string * rows, (string + 1) * rows):
      for element in range(symbols.shape[1]):
        symbol = symbols[row, element]
        first = size * cdf[element, symbol] >> 16
        low += first
        size = (size * cdf[element, symbol + 1] >> 16) - first
        if low >> 32:
          _carry(buffer, position)
          low &= 0xFFFFFFFF
        if size <= 1 << 16:
          buffer[position] = low >> 24
          buffer[position + 1] = low >> 16 & 0xFF
          position += 2
          low, size = (low & 0xFFFF) << 16, size << 16
    if low:
      tail = 0
      if low + size > 1 << 32:
        _carry(buffer, position)
      else:
        tail = _round_up(low, size)
      for shift in (24, 16, 8, 0):
        buffer[position] = tail >> shift & 0xFF
        position += 1
      while position > begin and buffer[position - 1] == 0:
        position -= 1
    ends[string] = position


@_inline
def _digit(data, position, end):
  """Two bytes; zeros follow the end of a string."""
  digit = 0
  if position < end:
    digit = np.int64(data[position]) << 8
  if position + 1 < end:
    digit |= data[position + 1]
  return digit


@_inline
def _find(offset, size, element, cdf, tried, start):
  """The symbol in whose part of the interval an offset lies, and the part."""
  symbol = tried[element]
  first = size * cdf[element, symbol] >> 16
  last = size * cdf[element, symbol + 1] >> 16
  if offset < first or offset >= last:
    # The last frequency that begins at or before the offset. Both numbers are
    # exact as floats, and their quotient is rounded by less than what there is
    # to the next integer.
    frequency = np.int64((((offset + 1) << 16) - 1) / size)
    symbol = np.int64(start[element, frequency >> 8])
    while cdf[element, symbol + 1] <= frequency:
      symbol += 1
    first = size * cdf[element, symbol] >> 16
    last = size * cdf[element, symbol + 1] >> 16
  return symbol, first, last - first


@_inline
def _is_end(low, offset, size, position, end):
  """Whether a string that was decoded to the end is one that is written."""
  expected = 0
  if low and low + size <= 1 << 32:
    expected = _round_up(low, size)
  return position >= end and (low + offset) & 0xFFFFFFFF == expected


@_compile
def _decode(data, ends, cdf, tried, start, rows, symbols):
  """Two strings at a time: one goes on while the other waits for a quotient."""
  sound = True
  for a in range(0, len(ends), 2):
    b = min(a + 1, len(ends) - 1)  # The last one twice, if it is alone.
    at_a, at_b = ends[a - 1] if a else 0, ends[b - 1] if b else 0
    low_a = low_b = 0
    size_a = size_b = 1 << 32
    # Offsets are from `low` on, and smaller than the size.
    offset_a = _digit(data, at_a, ends[a]) << 16
    offset_a |= _digit(data, at_a + 2, ends[a])
    offset_b = _digit(data, at_b, ends[b]) << 16
    offset_b |= _digit(data, at_b + 2, ends[b])
    at_a, at_b = at_a + 4, at_b + 4
    for row in range(rows):
      for element in range(symbols.shape[1]):
        symbol_a, first_a, size_a = _find(
          offset_a, size_a, element, cdf, tried, start
        )
        symbol_b, first_b, size_b = _find(
          offset_b, size_b, element, cdf, tried, start
        )
        symbols[a * rows + row, element] = symbol_a
        symbols[b * rows + row, element] = symbol_b
        low_a, offset_a = (low_a + first_a) & 0xFFFFFFFF, offset_a - first_a
        low_b, offset_b = (low_b + first_b) & 0xFFFFFFFF, offset_b - first_b
        if size_a <= 1 << 16:
          low_a, size_a = (low_a & 0xFFFF) << 16, size_a << 16
          offset_a = offset_a << 16 | _digit(data, at_a, ends[a])
          at_a += 2
        if size_b <= 1 << 16:
          low_b, size_b = (low_b & 0xFFFF) << 16, size_b << 16
          offset_b = offset_b << 16 | _digit(data, at_b, ends[b])
          at_b += 2
    sound &= _is_end(low_a, offset_a, size_a, at_a, ends[a])
    sound &= _is_end(low_b, offset_b, size_b, at_b, ends[b])
  return sound
