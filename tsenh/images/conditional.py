"""Entropy coding of integers whose distributions the reader can tell.

The learned enhancement layer sends a few integers with a table each, as a
feature's code is sent, and from them, and the base layer, both sides know the
scale of every integer behind them. So these have one table for each of some
dozen scales, and no escapes: the writer clips.
"""

import hashlib
import struct
from typing import Callable, Dict, Tuple

import numpy as np
import tensorflow as tf
from tensorflow_compression.python.ops import gen_ops

from tsenh.base.errors import Error
from tsenh.coding.entropy import PRECISION, TOTAL, EntropyCoder, fit_coder

# Scales are 2^((i + 1/2) / _PER_OCTAVE - _BELOW) of the table i.
_PER_OCTAVE, _BELOW, _COUNT = 8, 4, 96
_WIDEST = 511
_REACH = 12.0  # Scales that a table reaches to both sides.
_PRIOR = 300.0  # Values that the Laplace distribution counts for in a fit.
_LENGTH = struct.Struct("<I")


class ConditionalCoder:
  """Codes integers in two steps, the second one's scales known by the first.

  Attributes:
    side: of the integers that are sent first.
    cdf: int32 [tables, k + 1], cumulative frequencies out of 2^16, as
      `EntropyCoder` has them but around zero and without an escape.
  """

  def __init__(self, side: EntropyCoder, cdf: np.ndarray):
    """Checks the tables.

    Args:
      side: of the integers that are sent first.
      cdf: int32 [96, k + 1], each an odd number of frequencies.

    Raises:
      Error: if these are not tables.
    """
    good = (
      cdf.dtype == np.int32
      and cdf.ndim == 2
      and len(cdf) == _COUNT
      and 2 <= cdf.shape[1] <= 2 * _WIDEST + 2
      and (cdf[:, 0] == 0).all()
      and (cdf[:, -1] == TOTAL).all()
      and (cdf <= TOTAL).all()
    )
    if good:
      symbols = (cdf < TOTAL).sum(axis=1)
      inside = np.arange(cdf.shape[1] - 1) < symbols[:, None]
      good = ((np.diff(cdf) > 0) == inside).all() and (symbols % 2).all()
    if not good:
      raise Error("the tables of the learned layer are damaged.")
    self.side = side
    self.cdf = cdf
    self._most = (symbols.astype(np.int32) - 1) // 2
    precision = np.full([_COUNT, 1], PRECISION, np.int32)
    self._lookup = tf.constant(np.concatenate([precision, cdf], axis=1))

  @classmethod
  def fit(
    cls, side: np.ndarray, codes: np.ndarray, octaves: np.ndarray
  ) -> "ConditionalCoder":
    """Tables of what training faces have.

    Args:
      side: int32 [n, side_dim].
      codes: int32 [m, code_dim].
      octaves: float64 [m, code_dim], log2 of their scales.
    """
    tables = _table_of(octaves)
    cdf = np.full([_COUNT, 2 * _WIDEST + 2], TOTAL, np.int32)
    for i, row in enumerate(cdf):
      scale = 2.0 ** ((i + 0.5) / _PER_OCTAVE - _BELOW)
      most = min(_WIDEST, int(np.ceil(_REACH * scale)))
      values = np.arange(-most, most + 1)
      found = np.clip(codes[tables == i], -most, most) + most
      counts = np.bincount(found, minlength=len(values))
      mass = counts + _PRIOR * _laplace(values, scale)
      share = mass / mass.sum() * (TOTAL - len(values))
      frequency = 1 + share.astype(np.int64)
      frequency[frequency.argmax()] += TOTAL - frequency.sum()
      row[0] = 0
      row[1 : len(values) + 1] = np.cumsum(frequency)
    return cls(fit_coder(side), cdf)

  @classmethod
  def from_tables(cls, tables: Dict[str, np.ndarray], source):
    """A coder from what `tables` once gave; see `EntropyCoder.from_tables`."""
    if set(tables) != {"lower", "cdf", "scale_cdf"}:
      raise Error(f"{source}: not the tables of a learned layer.")
    rest = {name: tables[name] for name in ("lower", "cdf")}
    side = EntropyCoder.from_tables(rest, source)
    try:
      return cls(side, tables["scale_cdf"])
    except Error as error:
      raise Error(f"{source}: {error}") from error

  @property
  def tables(self) -> Dict[str, np.ndarray]:
    """What a run folder holds."""
    return {**self.side.tables, "scale_cdf": self.cdf}

  def digest(self) -> str:
    """SHA-256 of all tables, in hexadecimal (FORMAT.md)."""
    sha = hashlib.sha256(self.side.digest().encode())
    sha.update(np.array(self.cdf.shape, "<i4"))
    sha.update(np.ascontiguousarray(self.cdf, "<i4"))
    return sha.hexdigest()

  def clip(self, codes: np.ndarray, octaves: np.ndarray) -> np.ndarray:
    """Codes as the tables hold them, int32 [n, code_dim]."""
    most = self._most[_table_of(octaves)]
    return np.clip(codes, -most, most)

  def pack(
    self, side: np.ndarray, codes: np.ndarray, octaves: np.ndarray
  ) -> bytes:
    """The bytes of a layer (FORMAT.md, section 9).

    Args:
      side: int32 [n, side_dim].
      codes: int32 [n, code_dim], clipped.
      octaves: float64 [n, code_dim], log2 of their scales.
    """
    first, tables = self.side.pack_shared(side), _table_of(octaves)
    handle = gen_ops.create_range_encoder([], self._lookup)
    handle = gen_ops.entropy_encode_index(
      handle, tables, codes + self._most[tables]
    )
    string = gen_ops.entropy_encode_finalize(handle).numpy()
    return _LENGTH.pack(len(first)) + first + string

  def unpack(
    self,
    payload: bytes,
    count: int,
    octaves: Callable[[np.ndarray], np.ndarray],
  ) -> Tuple[np.ndarray, np.ndarray]:
    """The inverse of `pack`.

    Args:
      payload: its bytes.
      count: of faces.
      octaves: maps what was sent first, int32 [count, side_dim], to log2 of the
        codes' scales, float64 [count, code_dim].

    Returns:
      What was sent first, and the codes.

    Raises:
      Error: if a writer writes no such bytes.
    """
    start = _LENGTH.size
    if len(payload) < start:
      raise Error("a learned layer of fewer than four bytes.")
    end = start + _LENGTH.unpack_from(payload)[0]
    if len(payload) < end:
      raise Error("a learned layer ends within its first string.")
    side = self.side.unpack_shared(payload[start:end], count)
    tables = _table_of(octaves(side))
    string = tf.constant(payload[end:])
    handle = gen_ops.create_range_decoder(string, self._lookup)
    handle, found = gen_ops.entropy_decode_index(
      handle, tables, tables.shape, Tdecoded=tf.int32
    )
    if not gen_ops.entropy_decode_finalize(handle).numpy().all():
      raise Error("a learned layer's string does not end where its codes do.")
    return side, np.asarray(found) - self._most[tables]


def _table_of(octaves: np.ndarray) -> np.ndarray:
  """Which table is of a scale, int32, from its log2."""
  found = np.floor(_PER_OCTAVE * (octaves + _BELOW))
  return np.clip(found, 0, _COUNT - 1).astype(np.int32)


def _laplace(values: np.ndarray, scale: float) -> np.ndarray:
  """The probabilities of integers, those at the ends with all beyond them."""

  def below(x):
    half = 0.5 * np.exp(-np.abs(x) / scale)
    return np.where(x < 0, half, 1 - half)

  edges = below(np.append(values - 0.5, values[-1] + 0.5))
  edges[0], edges[-1] = 0, 1
  return np.diff(edges)
