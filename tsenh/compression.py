"""From features to a `.tsf` file and back.

A `Compressor` is whatever turns features into integer codes, together with the
entropy coder fitted to those codes; `load` finds one by name. It compresses
arrays in memory; `encode` and `decode` are for files of any size.
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import functools
import io
import math
import os
import re
from typing import (
  BinaryIO,
  Callable,
  Iterable,
  Iterator,
  Optional,
  Sequence,
  Tuple,
  TypeVar,
  Union,
)

import numpy as np
import tensorflow as tf

from tsenh import bitstream, checkpoints, entropy
from tsenh import features as features_lib
from tsenh.baselines.transform_coding import TransformCoder
from tsenh.codec import Codec, check_codes
from tsenh.enhancer import Enhancer
from tsenh.errors import Error
from tsenh.features import FeatureStream
from tsenh.scalar_quantizer import ScalarQuantizer
from tsenh.sq_enhancer import SQEnhancer

_WORKERS = min(4, os.cpu_count() or 1)
_FITTED = re.compile(r"(sq|pca):([^:]*)(?::(.*))?")
MAX_QP = 63
MIN_STEP = 1e-4
CODEC_HELP = (
  "a shipped codec (pro-1e-4, pro-1e-5, pro-1e-6, pro-1e-7; with -long,"
  " trained longer; with dlib-, for dlib's features); a run folder (./NAME"
  " where a shipped codec has its name); sq:QP, scalar quantization with"
  " tables from faces (sq:QP:FILE: from FILE); or pca:STEP, PCA of faces"
  " (pca:STEP:FILE: of FILE) with one quantization step"
)

_In = TypeVar("_In")
_Out = TypeVar("_Out")


@dataclasses.dataclass(frozen=True)
class Enhancement:
  """What a receiver decodes with in place of the low-rate codec's Dec.

  Attributes:
    enhancer: Enh (Eq. 3).
    high: the high-rate codec, whose Dec decodes.
  """

  enhancer: Enhancer
  high: Codec

  def decode(self, codes: np.ndarray) -> np.ndarray:
    """Features float32 [n, feature_dim] of the low-rate codec's codes."""
    check_codes(codes, self.enhancer.low_clip)
    return self.high.decode_latent(self.enhancer.enhance(codes))

  @property
  def networks(self) -> Sequence[tf.keras.Model]:
    """What the receiver runs."""
    return [self.enhancer.network, self.high.decoder]


@dataclasses.dataclass(frozen=True)
class SQEnhancement:
  """What a receiver decodes with in place of SQ alone.

  Attributes:
    enhancer: SQ-E (Fig. 3).
    quantizer: the one that it was trained for.
  """

  enhancer: SQEnhancer
  quantizer: ScalarQuantizer

  def decode(self, codes: np.ndarray) -> np.ndarray:
    """Features float32 [n, feature_dim] of the quantizer's codes."""
    return self.enhancer.enhance(self.quantizer.decode(codes))

  @property
  def networks(self) -> Sequence[tf.keras.Model]:
    """What the receiver runs."""
    return self.enhancer.blocks


@dataclasses.dataclass(frozen=True)
class Compressor:
  """A codec with its entropy coder; safe to share by threads.

  Attributes:
    name: what the user called it.
    transform: features to integer codes and back.
    coder: integer codes to bytes and back.
    enhancement: decodes the integer codes in place of `transform`, if any. The
      bytes are the same with it and without.
  """

  name: str
  transform: Union[Codec, ScalarQuantizer, TransformCoder]
  coder: entropy.EntropyCoder
  enhancement: Union[Enhancement, SQEnhancement, None] = None

  def compress(
    self,
    features: np.ndarray,
    packing: str = "shared",
    block_size: int = bitstream.DEFAULT_BLOCK_SIZE,
  ) -> bytes:
    """Compresses features to the bytes of a `.tsf` file (FORMAT.md).

    Args:
      features: float32 or float16 [n, feature_dim].
      packing: "shared", one string per block, the smallest; or "separate", one
        per feature.
      block_size: features per block, 1 to 65,536.

    Returns:
      The whole file: 48 bytes of header, then about what the rate says.

    Raises:
      Error: if these are not features of this codec.
    """
    array = features_lib.check_features(np.asarray(features), "features")
    if packing not in bitstream.PACKINGS:
      raise Error(f"packing is {packing!r}, expected shared or separate.")
    if not 1 <= block_size <= bitstream.MAX_BLOCK_SIZE:
      raise Error(f"block_size is {block_size}, expected 1 to 65536.")
    file = io.BytesIO()
    stream = features_lib.stream(array, block_size)
    encode(self, stream, file, packing, block_size)
    return file.getvalue()

  def decompress(
    self, data: bytes, start: int = 0, count: Optional[int] = None
  ) -> np.ndarray:
    """Decompresses features; of a range only its blocks are decoded.

    Args:
      data: what `compress` returned, or the content of a `.tsf` file.
      start: the first feature.
      count: how many features; None is all from `start` on.

    Returns:
      float32 [count, feature_dim].

    Raises:
      Error: if the bytes are damaged, or another codec's, or do not hold the
        range.
    """
    file = io.BytesIO(data)
    header = read_header(self, file)
    return np.concatenate(list(decode(self, file, header, start, count)))

  @functools.cached_property
  def digests(self) -> Tuple[bytes, bytes]:
    """The first 8 bytes of the codec's and of the tables' SHA-256."""
    return tuple(
      bytes.fromhex(part.digest())[:8] for part in (self.transform, self.coder)
    )

  def header(self, num_features, packing, block_size) -> bitstream.Header:
    """The header of a file that this compressor writes."""
    return bitstream.Header(
      packing,
      self.transform.feature_dim,
      self.transform.code_dim,
      block_size,
      num_features,
      *self.digests,
    )


def load(name: str, enhancer: Optional[str] = None) -> Compressor:
  """Loads a codec for encoding and decoding.

  Args:
    name: see `CODEC_HELP`.
    enhancer: a run folder of train_enhancer (for sq:QP of train_sq_enhancer),
      or a shipped enhancer's name, to decode with.

  Returns:
    The compressor.

  Raises:
    Error: if there is no such codec or enhancer, it is unfinished or damaged,
      or the enhancer is for another codec.
  """
  if enhancer is not None:
    codec = load(name)
    network, high, config = checkpoints.load_enhancer(enhancer)
    if codec.transform.digest() != config["low_digest"]:
      raise Error(f"{enhancer}: made for another codec's codes than {name}'s.")
    if high is None:
      enhancement = SQEnhancement(network, codec.transform)
    else:
      enhancement = Enhancement(network, high)
    return dataclasses.replace(codec, enhancement=enhancement)
  if name.startswith(("sq:", "pca:")):
    return _fit(name)
  return Compressor(name, *checkpoints.load(name))


def _fit(name: str) -> Compressor:
  """A codec that needs no run: fitted, with its tables, when it is loaded."""
  kind, parameter, file = _FITTED.fullmatch(name).groups()
  value = _number(parameter)
  if kind == "sq" and value not in range(MAX_QP + 1):
    raise Error(f"{name}: expected sq:QP with QP from 0 to {MAX_QP}.")
  if kind == "pca" and not MIN_STEP <= value < math.inf:
    raise Error(f"{name}: expected pca:STEP with a step of {MIN_STEP} or more.")
  training = features_lib.load(file or "faces").features
  if kind == "sq":
    transform = ScalarQuantizer(int(value), training.shape[1])
  else:
    transform = TransformCoder(value, training)
  tables = entropy.fit_tables(transform.encode(training))
  return Compressor(name, transform, entropy.EntropyCoder(*tables))


def _number(text: str) -> float:
  try:
    return float(text)
  except ValueError:
    return math.nan


def encode(
  compressor: Compressor,
  stream: FeatureStream,
  file: BinaryIO,
  packing: str = "shared",
  block_size: int = bitstream.DEFAULT_BLOCK_SIZE,
  progress: Optional[Callable[[int], object]] = None,
) -> int:
  """Encodes features to a `.tsf` file, two blocks or more at a time.

  Args:
    compressor: from `load`.
    stream: the features, in blocks of `block_size`.
    file: open for binary writing; need not be seekable.
    packing: "shared" or "separate".
    block_size: features per block.
    progress: called with the number of features of each block written.

  Returns:
    The number of bytes written.

  Raises:
    Error: if the features do not fit the codec or cannot be coded.
  """
  expected = compressor.transform.feature_dim
  if stream.dim != expected:
    raise Error(
      f"the features have {stream.dim} dimensions, but {compressor.name} is"
      f" for {expected}."
    )
  pack = getattr(compressor.coder, f"pack_{packing}")

  def encode_block(block: np.ndarray) -> bytes:
    return pack(compressor.transform.encode(block))

  header = compressor.header(stream.count, packing, block_size)

  def payloads():
    encoded = _in_parallel(encode_block, stream.blocks)
    for block, payload in enumerate(encoded):
      yield payload  # Written when the generator goes on.
      if progress:
        progress(header.count(block))

  return bitstream.write(file, header, payloads())


def read_header(compressor: Compressor, file: BinaryIO) -> bitstream.Header:
  """Reads a file's header and checks that this compressor wrote it.

  Raises:
    Error: if the file is damaged, or another codec's.
  """
  with _named(file):
    header = bitstream.read_header(file)
    expected = compressor.header(
      header.num_features, header.packing, header.block_size
    )
    if header != expected:
      same_codec = header._replace(table_digest=expected.table_digest)
      other = "entropy tables" if same_codec == expected else "codec"
      raise Error(f"written with another {other} than {compressor.name}.")
    return header


@contextlib.contextmanager
def _named(file: BinaryIO) -> Iterator[None]:
  """Puts the file's name before the message of an Error about its bytes."""
  try:
    yield
  except Error as error:
    raise Error(f"{getattr(file, 'name', 'data')}: {error}") from error


def decode(
  compressor: Compressor,
  file: BinaryIO,
  header: bitstream.Header,
  start: int = 0,
  count: Optional[int] = None,
) -> Iterator[np.ndarray]:
  """Decodes features.

  Args:
    compressor: the file's.
    file: positioned behind the header. Of a seekable file only the blocks of
      the range are read; a stream is read, and verified, to its end.
    header: from `read_header`.
    start: the first feature.
    count: how many features; None is all from `start` on.

  Yields:
    float32 [k, feature_dim], block by block, each verified before.

  Raises:
    Error: if the range is not in the file, or the file is damaged.
  """
  finish = (compressor.enhancement or compressor.transform).decode
  return _decode(compressor, file, header, start, count, finish)


def decode_codes(
  compressor: Compressor, file: BinaryIO, header: bitstream.Header
) -> Iterator[np.ndarray]:
  """Decodes the integer codes of a whole file, exactly as they were encoded.

  Yields:
    int32 [k, code_dim], block by block; otherwise as `decode`.
  """
  return _decode(compressor, file, header, 0, None, lambda codes: codes)


def _decode(compressor, file, header, start, count, finish):
  """The blocks of a range, cut to it; `finish` is applied to their codes."""
  if count is None:
    count = header.num_features - start
  if start < 0 or count < 1 or start + count > header.num_features:
    with _named(file):
      raise Error(
        f"holds features 0 to {header.num_features - 1}, but"
        f" {count if count > 0 else 'some'} from {start} on were asked for."
      )
  unpack = getattr(compressor.coder, f"unpack_{header.packing}")

  def decode_block(item):
    block, payload = item
    first = block * header.block_size
    rows = slice(max(start - first, 0), max(start + count - first, 0))
    if rows.start >= header.count(block) or rows.stop == 0:
      return None
    return finish(unpack(payload, header.count(block))[rows])

  def blocks():
    with _named(file):
      if file.seekable():
        payloads = bitstream.read_range(file, header, start, count)
      else:
        payloads = enumerate(bitstream.read_blocks(file, header))
      for decoded in _in_parallel(decode_block, payloads):
        if decoded is not None:
          yield decoded

  return blocks()


def _in_parallel(
  function: Callable[[_In], _Out], items: Iterable[_In]
) -> Iterator[_Out]:
  """Like `map`, on a few threads and a few items ahead, results in order.

  Where `items` fails, the results of what it gave before come first.
  """
  items, failure = iter(items), None
  pending = collections.deque()
  with concurrent.futures.ThreadPoolExecutor(_WORKERS) as pool:
    while True:
      try:
        pending.append(pool.submit(function, next(items)))
      except StopIteration:
        break
      except Error as error:
        failure = error
        break
      if len(pending) > _WORKERS:
        yield pending.popleft().result()
    while pending:
      yield pending.popleft().result()
  if failure:
    raise failure
