"""Integer codes to bytes and back: stored integer tables, tfc's range coder.

Where Numba is installed, a process that codes many is given the same coder
compiled (`tsenh.coding.compiled`), which makes the same strings some three
times as fast.

Each element of a code has a table of its own: the integer frequencies, out of
2^16, of the values seen in training, and one escape symbol behind them. A value
that the table does not hold is coded as the escape and listed in full beside
the string. (tfc has an escape code inside its string; a damaged string can keep
its reader in a loop for ever, so it is not used.)
"""

import functools
import hashlib
import itertools
import struct
import types
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np
import tensorflow as tf
from tensorflow_compression.python.ops import gen_ops

from tsenh.base.errors import Error
from tsenh.data import streams

PRECISION = 16  # Bits of a frequency; the most that tfc's coder takes.
TOTAL = 1 << PRECISION
# The widest table; values further out are escaped. SQ at a small QP needs it.
MAX_SYMBOLS = 4096
ESCAPE_BITS = 32
_COUNTED = 1 << 15  # Codes whose values are counted at a time.
MAX_VALUE = 2**31 - 1  # Of an element.
# Codes that a process codes by tfc's ops: for fewer, to import Numba and what
# it has compiled takes longer than is gained.
COMPILED_AFTER = 1 << 17
_coded = 0
_NO_END = "a block's string does not end where its codes do."


def fit_tables(codes: streams.Array) -> Tuple[np.ndarray, np.ndarray]:
  """Fits one table per code element, in integer arithmetic throughout.

  Paper-silent (probability_model): a histogram of the training codes.

  Args:
    codes: int32 [n, code_dim], the codes of the training set; may be on disk.

  Returns:
    lower: int32 [code_dim], the value that a table's first symbol stands for.
    cdf: int32 [code_dim, k + 1], cumulative frequencies from 0 to 2^16, padded
      on the right with 2^16. The last symbol of each is the escape.
  """
  lower, frequencies = [], []
  for values, counts in _histograms(codes):
    low, high = int(values[0]), int(values[-1])
    if high - low >= MAX_SYMBOLS:
      low = _median(values, counts) - MAX_SYMBOLS // 2
      high = low + MAX_SYMBOLS - 1
    inside = (values >= low) & (values <= high)
    symbols = np.zeros(high - low + 2, np.int64)
    symbols[values[inside] - low] = counts[inside]
    symbols[-1] = counts[~inside].sum()
    # Every symbol, the escape too, gets at least 1, the rest in proportion.
    frequency = 1 + symbols * (TOTAL - len(symbols)) // len(codes)
    frequency[symbols.argmax()] += TOTAL - frequency.sum()
    lower.append(low)
    frequencies.append(frequency)
  cdf = np.full([len(lower), 1 + max(map(len, frequencies))], TOTAL, np.int32)
  for row, frequency in zip(cdf, frequencies):
    row[0] = 0
    row[1 : len(frequency) + 1] = np.cumsum(frequency)
  return np.array(lower, np.int32), cdf


def _histograms(codes: streams.Array) -> List[Tuple[np.ndarray, np.ndarray]]:
  """Of each element: the values that it takes, rising, and how often."""
  found = None
  for chunk in streams.each_chunk(codes, _COUNTED):
    own = [np.unique(column, return_counts=True) for column in chunk.T]
    found = own if found is None else list(map(_added, found, own))
  return [(v.astype(np.int64), c.astype(np.int64)) for v, c in found]


def _added(one, two):
  """Two histograms together."""
  values, places = np.unique(
    np.concatenate([one[0], two[0]]), return_inverse=True
  )
  counts = np.zeros(len(values), np.int64)
  np.add.at(counts, places, np.concatenate([one[1], two[1]]))
  return values, counts


def _median(values: np.ndarray, counts: np.ndarray) -> int:
  """The median, rounded towards zero, of values that occur so often."""
  upto = np.cumsum(counts)
  middle = (upto[-1] - 1) // 2, upto[-1] // 2
  low, high = values[np.searchsorted(upto, middle, "right")]
  return int((low + high) / 2)


def fit_coder(codes: streams.Array) -> "EntropyCoder":
  """The coder with tables fitted to codes int32 [n, code_dim]."""
  return EntropyCoder(*fit_tables(codes))


@functools.cache
def compiled() -> Optional[types.ModuleType]:
  """The compiled coder, or None where there is no Numba that works.

  The first time of all it compiles for some seconds.
  """
  try:
    from tsenh.coding import compiled as module

    tables = module.tables(np.array([[0, 1 << 15, TOTAL]], np.int32))
    strings = module.encode(np.zeros([2, 1], np.int32), tables, 1)
    module.decode(strings, tables, 1)
  # Numba has RuntimeError where it can keep nothing, and OSError on full disks.
  except (ImportError, RuntimeError, OSError):
    return None
  return module


class EntropyCoder:
  """Range coding of codes with one set of tables; safe to share by threads.

  Attributes:
    lower: int32 [code_dim], see `fit_tables`.
    cdf: int32 [code_dim, k + 1], see `fit_tables`.
    code_dim: elements of a code.
  """

  def __init__(self, lower: np.ndarray, cdf: np.ndarray):
    """Checks the tables.

    Args:
      lower: int32 [code_dim].
      cdf: int32 [code_dim, k + 1].

    Raises:
      Error: if these are not tables.
    """
    if not _are_tables(lower, cdf):
      raise Error("the entropy tables are damaged.")
    self.lower = lower
    self.cdf = cdf
    self.code_dim = len(lower)
    self._escape = (cdf < TOTAL).sum(axis=1).astype(np.int32) - 1
    precision = np.full([self.code_dim, 1], PRECISION, np.int32)
    self._lookup = tf.constant(np.concatenate([precision, cdf], axis=1))

  @classmethod
  def from_tables(cls, tables: Dict[str, np.ndarray], source) -> "EntropyCoder":
    """A coder from what `tables` once gave.

    Args:
      tables: arrays by name.
      source: where they came from, for the message.

    Raises:
      Error: if these are not tables.
    """
    if set(tables) != {"lower", "cdf"}:
      raise Error(f"{source}: not entropy tables.")
    try:
      return cls(tables["lower"], tables["cdf"])
    except Error as error:
      raise Error(f"{source}: {error}") from error

  @property
  def tables(self) -> Dict[str, np.ndarray]:
    """`lower` and `cdf`, as a run folder holds them."""
    return {"lower": self.lower, "cdf": self.cdf}

  @property
  def parameters(self) -> int:
    """Numbers that sender and receiver keep: each table's start and counts."""
    return self.code_dim + int((self._escape + 1).sum())

  def digest(self) -> str:
    """SHA-256 of the tables, in hexadecimal (FORMAT.md)."""
    sha = hashlib.sha256()
    for array in (np.array(self.cdf.shape), self.lower, self.cdf):
      sha.update(np.ascontiguousarray(array, "<i4"))
    return sha.hexdigest()

  def bits(self, codes: np.ndarray) -> np.ndarray:
    """Cross-entropy of codes under the tables.

    Args:
      codes: int32 [n, code_dim].

    Returns:
      float64 [n], bits per code; an escaped value counts its 32 bits too.
    """
    symbols, escaped = self._symbols(codes)
    channel = np.arange(self.code_dim)
    frequency = self.cdf[channel, symbols + 1] - self.cdf[channel, symbols]
    bits = PRECISION - np.log2(frequency) + ESCAPE_BITS * escaped
    return bits.sum(axis=1)

  def pack_shared(self, codes: np.ndarray) -> bytes:
    """Codes int32 [n, code_dim] as one string; see FORMAT.md for the bytes."""
    symbols, escapes = self._split(codes)
    return escapes + self._to_strings(symbols, len(codes))[0]

  def pack_separate(self, codes: np.ndarray) -> bytes:
    """Codes int32 [n, code_dim] as a string each, their lengths before them."""
    symbols, escapes = self._split(codes)
    strings = self._to_strings(symbols, 1)
    lengths = np.array([len(string) for string in strings])
    width = next(w for w in (1, 2, 4) if lengths.max() < 256**w)
    packed = lengths.astype(f"<u{width}").tobytes()
    return b"".join([escapes, bytes([width]), packed, *strings])

  def unpack_shared(self, payload: bytes, count: int) -> np.ndarray:
    """The inverse of `pack_shared`: int32 [count, code_dim]."""
    return self.unpack("shared", [payload], [count])

  def unpack_separate(self, payload: bytes, count: int) -> np.ndarray:
    """The inverse of `pack_separate`: int32 [count, code_dim]."""
    return self.unpack("separate", [payload], [count])

  def unpack(
    self, packing: str, payloads: Sequence[bytes], counts: Sequence[int]
  ) -> np.ndarray:
    """The codes of several blocks, which together are faster than one by one.

    Args:
      packing: "shared" or "separate".
      payloads: of one block or more.
      counts: of codes, for each.

    Returns:
      int32 [sum of the counts, code_dim].

    Raises:
      Error: if a payload is none that is written.
    """
    escapes, rests = zip(*map(_read_escapes, payloads))
    if packing == "shared":
      strings, rows = rests, counts
    else:
      parts = [_split_strings(*item) for item in zip(rests, counts)]
      strings = [string for part in parts for string in part]
      rows = [1] * len(strings)
    parts = []
    for row, group in itertools.groupby(zip(rows, strings), lambda i: i[0]):
      parts.append(self._from_strings([string for _, string in group], row))
    symbols = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return self._join(symbols, escapes, counts)

  def _symbols(self, codes):
    """Table positions int32 [n, code_dim], and where they are the escape."""
    # Differences below zero, and those that wrap around, are large as unsigned
    # numbers; only from below may a value wrap around into the table.
    symbols = codes - self.lower
    escaped = symbols.view(np.uint32) >= self._escape.view(np.uint32)
    escaped |= codes < self.lower
    np.copyto(symbols, self._escape, where=escaped)
    return symbols, escaped

  def _split(self, codes) -> Tuple[np.ndarray, bytes]:
    """Table positions, and the escaped values in the order of the codes."""
    symbols, escaped = self._symbols(codes)
    values = codes[escaped].astype("<i4")
    return symbols, struct.pack("<I", len(values)) + values.tobytes()

  def _join(self, symbols, escapes, counts) -> np.ndarray:
    """Codes from table positions and each block's escaped values."""
    escaped = symbols == self._escape
    codes = symbols + self.lower
    if any(map(len, escapes)) or escaped.any():
      blocks = np.split(escaped, np.cumsum(counts)[:-1])
      if any(np.count_nonzero(b) != len(e) for b, e in zip(blocks, escapes)):
        raise Error("a block lists more or fewer escaped values than it uses.")
      codes[escaped] = np.concatenate(escapes)
    return codes

  @functools.cached_property
  def _compiled(self):
    """The tables of the compiled coder, or None if there is none."""
    module = compiled()
    return module and module.tables(self.cdf)

  def _is_compiled(self, count: int) -> bool:
    """Whether to use the compiled coder for some more codes."""
    global _coded
    _coded += count
    return _coded > COMPILED_AFTER and self._compiled is not None

  def _to_strings(self, symbols: np.ndarray, rows: int) -> List[bytes]:
    """Strings of int32 [n, code_dim], so many rows in each."""
    if self._is_compiled(len(symbols)):
      return compiled().encode(symbols, self._compiled, rows)
    shape = [len(symbols) // rows]
    symbols = symbols.reshape([*shape, rows, self.code_dim])
    return self._encode(shape, symbols).numpy().tolist()

  def _from_strings(self, strings: List[bytes], rows: int) -> np.ndarray:
    """Table positions int32 [n, code_dim] of strings, so many rows in each."""
    if not self._is_compiled(len(strings) * rows):
      shape = [rows, self.code_dim]
      symbols = self._decode(tf.constant(strings), shape)
      return symbols.reshape([-1, self.code_dim])
    symbols = compiled().decode(strings, self._compiled, rows)
    if symbols is None:
      raise Error(_NO_END)
    return symbols

  def _encode(self, shape: List[int], symbols: np.ndarray) -> tf.Tensor:
    """Strings of shape `shape` from int32 [..., code_dim]."""
    handle = gen_ops.create_range_encoder(shape, self._lookup)
    handle = gen_ops.entropy_encode_channel(handle, symbols)
    return gen_ops.entropy_encode_finalize(handle)

  def _decode(self, strings: tf.Tensor, shape: List[int]) -> np.ndarray:
    """Table positions, int32 strings.shape + shape."""
    handle = gen_ops.create_range_decoder(strings, self._lookup)
    handle, symbols = gen_ops.entropy_decode_channel(handle, shape, tf.int32)
    # A weak check, but no sound string fails it.
    if not gen_ops.entropy_decode_finalize(handle).numpy().all():
      raise Error(_NO_END)
    return np.asarray(symbols)  # Not numpy(), which copies.


def _are_tables(lower: np.ndarray, cdf: np.ndarray) -> bool:
  """Whether they are what FORMAT.md, section 3, says."""
  if not (
    lower.dtype == cdf.dtype == np.int32
    and cdf.ndim == 2
    and lower.shape == cdf.shape[:1]
    and cdf.shape[0] >= 1
    and cdf.shape[1] >= 2
  ):
    return False
  before, after = cdf[:, :-1], cdf[:, 1:]
  last = lower.astype(np.int64) + (cdf < TOTAL).sum(axis=1) - 2
  return bool(
    (cdf[:, 0] == 0).all()
    and (cdf[:, -1] == TOTAL).all()
    # Rising up to 2^16, then padding.
    and ((before < after) | ((before == TOTAL) & (after == TOTAL))).all()
    and (last <= MAX_VALUE).all()
  )


def _read_escapes(payload: bytes) -> Tuple[np.ndarray, bytes]:
  """The escaped values at the head of a payload, and what follows them."""
  if len(payload) >= 4:
    end = 4 + 4 * struct.unpack_from("<I", payload)[0]
    if end <= len(payload):
      return np.frombuffer(payload[4:end], "<i4"), payload[end:]
  raise Error("a block ends within its escaped values.")


def _split_strings(data: bytes, count: int) -> List[bytes]:
  """Strings from their width, lengths and bytes."""
  width = data[0] if data else 0
  start = 1 + width * count
  if width not in (1, 2, 4) or start > len(data):
    raise Error("a block ends within the lengths of its strings.")
  lengths = np.frombuffer(data[1:start], f"<u{width}").astype(np.int64)
  ends = start + np.cumsum(lengths)
  if ends[-1] != len(data):
    raise Error("a block's strings are not as long as it says.")
  return [data[e - n : e] for e, n in zip(ends.tolist(), lengths.tolist())]


def string_bytes(payload: bytes, count: int, packing: str) -> int:
  """Bytes of a payload without its framing: strings and escaped values.

  Args:
    payload: what `pack_shared` or `pack_separate` returned.
    count: its number of codes.
    packing: "shared" or "separate".
  """
  framing = 4
  if packing == "separate":
    escapes = struct.unpack_from("<I", payload)[0]
    framing += 1 + payload[4 + 4 * escapes] * count
  return len(payload) - framing
