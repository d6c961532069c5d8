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
import os
import pathlib
from typing import (
  Any,
  BinaryIO,
  Callable,
  Dict,
  Iterable,
  Iterator,
  List,
  NamedTuple,
  Optional,
  Tuple,
  TypeVar,
  Union,
)

import numpy as np

from tsenh.base import arrays, configs, processes
from tsenh.base.errors import Error
from tsenh.coding import bitstream, entropy
from tsenh.data import feature_sets, manifests, streams
from tsenh.data.streams import FeatureStream
from tsenh.features import costs, networks
from tsenh.features.ahead import AheadCoder
from tsenh.features.decoder import Decoder
from tsenh.features.enhancer import Enhancer
from tsenh.features.pca import TransformCoder
from tsenh.features.pro import Codec, check_codes
from tsenh.features.sq import ScalarQuantizer
from tsenh.features.sq_enhancer import SQEnhancer
from tsenh.training import run_folders

# What a run may be: `kind` of its config.json.
CODECS = {
  model.KIND: model
  for model in (Codec, ScalarQuantizer, TransformCoder, AheadCoder)
}
ENHANCERS = {model.KIND: model for model in (Enhancer, SQEnhancer, Decoder)}
_WORKERS = min(4, os.cpu_count() or 1)
_BATCH = 4096  # Features that a network takes at once, or more.

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

  def cost(self) -> costs.Cost:
    """Of the receiver: Enh and the high-rate codec's Dec."""
    return networks.cost(self.enhancer.network, self.high.decoder)


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

  def cost(self) -> costs.Cost:
    """Of the receiver: SQ and the blocks of SQ-E."""
    own, sq = networks.cost(*self.enhancer.parts), self.quantizer.costs()
    return costs.Cost(*(a + b for a, b in zip(own, sq["receiver"])))


@dataclasses.dataclass(frozen=True)
class DecoderEnhancement:
  """What a receiver decodes with in place of the codec's own Dec.

  Attributes:
    enhancer: the decoder.
  """

  enhancer: Decoder

  def decode(self, codes: np.ndarray) -> np.ndarray:
    """Features float32 [n, feature_dim] of the codec's codes."""
    return self.enhancer.decode(codes)

  def cost(self) -> costs.Cost:
    """Of the receiver."""
    return networks.cost(self.enhancer.decoder)


AnyEnhancement = Union[Enhancement, SQEnhancement, DecoderEnhancement]


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
  enhancement: Optional[AnyEnhancement] = None

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
    try:
      array = np.asarray(features)
    except ValueError as error:
      raise Error("features: its rows differ in length.") from error
    array = feature_sets.check_features(array, "features")
    if packing not in bitstream.PACKINGS:
      raise Error(f"packing is {packing!r}, expected shared or separate.")
    if not 1 <= block_size <= bitstream.MAX_BLOCK_SIZE:
      raise Error(f"block_size is {block_size}, expected 1 to 65536.")
    file = io.BytesIO()
    stream = streams.stream(array, block_size)
    encode(self, stream, file, packing, block_size)
    return file.getvalue()

  def decompress(
    self,
    data: bytes,
    start: int = 0,
    count: Optional[int] = None,
    max_features: Optional[int] = None,
  ) -> np.ndarray:
    """Decompresses features; of a range only its blocks are decoded.

    Args:
      data: what `compress` returned, or the content of a `.tsf` file.
      start: the first feature.
      count: how many features; None is all from `start` on.
      max_features: refuse more than these; None is 64 for each byte of the
        data, which no file of blocks of 1,024 features or fewer exceeds.

    Returns:
      float32 [count, feature_dim].

    Raises:
      Error: if the bytes are damaged, or another codec's, or do not hold the
        range, or hold more features than they may.
    """
    file = io.BytesIO(data)
    header = read_header(self, file)
    blocks = decode(self, file, header, start, count, max_features)
    if count is None:
      count = header.num_features - start
    try:
      features = np.empty([count, header.feature_dim], np.float32)
    except MemoryError as error:
      raise Error(f"no memory for {count} features.") from error
    row = 0
    for block in blocks:
      features[row : row + len(block)] = block
      row += len(block)
    return features

  def decompress_blocks(
    self, file: BinaryIO, start: int = 0, count: Optional[int] = None
  ) -> Iterator[np.ndarray]:
    """Decompresses a file of any size, with the memory of some blocks.

      with open("faces.tsf", "rb") as file:
        for features in codec.decompress_blocks(file):
          ...

    Args:
      file: a `.tsf` file, open for binary reading. A pipe will do.
      start: the first feature.
      count: how many features; None is all from `start` on.

    Yields:
      float32 [k, feature_dim], block by block, each verified before.

    Raises:
      Error: as `decompress`, but there is no limit.
    """
    header = read_header(self, file)
    yield from decode(self, file, header, start, count, header.num_features)

  @functools.cached_property
  def digests(self) -> Tuple[bytes, bytes]:
    """The first 8 bytes of the codec's and of the tables' SHA-256."""
    return tuple(
      bytes.fromhex(part.digest())[:8] for part in (self.transform, self.coder)
    )

  def costs(self) -> costs.Costs:
    """Of sender and receiver, the entropy coder's tables counted."""
    found = dict(self.transform.costs())
    if self.enhancement:
      found["receiver"] = self.enhancement.cost()
    return costs.add_tables(found, self.coder.parameters)

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
    name: a run folder or a shipped codec.
    enhancer: a run folder of train_enhancer or train_decoder, or of
      train_sq_enhancer for SQ, to decode with.

  Returns:
    The compressor.

  Raises:
    Error: if there is no such codec or enhancer, it is unfinished or damaged,
      or the enhancer is for another codec; also as `processes.check` does.
  """
  processes.check()
  run = read_run(name, CODECS)
  codec = Compressor(name, run.build(), read_coder(run))
  if enhancer is None:
    return codec
  enhancement = load_enhancement(enhancer, codec)
  return dataclasses.replace(codec, enhancement=enhancement)


def load_frozen(name: str, training_set: feature_sets.FeatureSet) -> Codec:
  """Loads a learned codec that something is trained behind.

  Args:
    name: a run folder or a shipped codec.
    training_set: the features that it must be for.

  Raises:
    Error: as `load` does, and if it is no learned codec for such features.
  """
  codec = load(name).transform
  if codec.KIND != Codec.KIND:
    raise Error(f"{name}: the run of {codec.KIND}, expected a learned codec.")
  dim = training_set.features.shape[1]
  if codec.feature_dim != dim:
    raise Error(
      f"{name} is for features of {codec.feature_dim} dimensions, but the"
      f" training set has {dim}."
    )
  trained_on = run_folders.finished(name)[1].get("training_set_digest", "")
  digests = {name: trained_on, "the training set": training_set.digest()}
  manifests.check_one_network(digests)
  return codec


def load_enhancement(name: str, codec: Compressor) -> AnyEnhancement:
  """The enhancer of that name or folder, for this codec's codes."""
  run, high = read_enhancer(name, codec)
  if run.kind is Enhancer:
    return Enhancement(run.build(), high.build())
  if run.kind is SQEnhancer:
    return SQEnhancement(run.build(), codec.transform)
  return DecoderEnhancement(run.build())


class Run(NamedTuple):
  """What the folder of a finished run holds, checked, with nothing built.

  Attributes:
    folder: its own.
    config: of it.
    kind: the class of its model.
    architecture: the arguments that build it.
    weights: its arrays, in the order of `kind.shapes`.
  """

  folder: pathlib.Path
  config: Dict[str, Any]
  kind: Any
  architecture: Dict[str, Any]
  weights: Dict[str, np.ndarray]

  def build(self):
    """The model.

    Raises:
      Error: if the arrays are of other types than its own.
    """
    model = self.kind(**self.architecture)
    if self.weights:
      try:
        model.assign(self.weights)
      except Error as error:
        path = self.folder / run_folders.WEIGHTS
        raise Error(f"{path}: {error}") from error
    return model


def read_run(name: str, kinds: Dict[str, Any]) -> Run:
  """Reads a finished run, which must be of one of these kinds.

  Raises:
    Error: if it is none, or its configuration, weights and digest do not go
      together. No memory is taken for what the weights do not bear out.
  """
  folder, config = run_folders.finished(name)
  kind = kinds.get(str(config["kind"]))
  if kind is None:
    raise Error(
      f"{name}: the run of {config['kind']}, expected one of"
      f" {', '.join(kinds)}."
    )
  optional = {key for key, _ in getattr(kind, "OPTIONAL", ())}
  keys = [*kind.ARCHITECTURE, *(optional & config.keys())]
  configs.check(config, keys, folder / run_folders.CONFIG)
  architecture = {key: config[key] for key in keys}
  path = folder / run_folders.WEIGHTS
  shapes = kind.shapes(**architecture)
  found = arrays.read_all(path) if shapes else {}
  if {name: array.shape for name, array in found.items()} != shapes:
    raise Error(f"{path}: not the weights of this architecture.")
  if not all(map(_is_finite, found.values())):
    raise Error(f"{path}: holds weights that are not finite numbers.")
  weights = {name: found[name] for name in shapes}
  digest = kind.digest_of(architecture, weights)
  _check_digest(path, digest, config.get(f"{kind.ROLE}_digest"))
  return Run(folder, config, kind, architecture, weights)


def read_coder(run: Run) -> entropy.EntropyCoder:
  """The entropy coder of a codec's run.

  Raises:
    Error: if its tables are damaged or another codec's.
  """
  path = run.folder / run_folders.TABLES
  coder = entropy.EntropyCoder.from_tables(arrays.read_all(path), path)
  _check_digest(path, coder.digest(), run.config.get("table_digest"))
  # SQ and PCA have as many elements as dimensions, LDA says how many.
  feature_dim = run.architecture["feature_dim"]
  code_dim = run.architecture.get("code_dim", feature_dim)
  if coder.code_dim != code_dim:
    raise Error(f"{path}: for codes of {coder.code_dim}, not {code_dim}.")
  return coder


def read_enhancer(name: str, codec: Compressor) -> Tuple[Run, Optional[Run]]:
  """Reads an enhancer for this codec's codes.

  Returns:
    Its run, and that of the high-rate codec that decodes, if there is one.

  Raises:
    Error: as `read_run` does; also if it is for other codecs than these.
  """
  run, high = read_run(name, ENHANCERS), None
  if codec.transform.digest() != run.config.get("low_digest"):
    raise Error(f"{name}: made for another codec's codes than {codec.name}'s.")
  # A digest is whatever a folder says, so dimensions and clips are compared.
  low = codec.transform.architecture()
  if run.kind is Enhancer:
    path = run.folder / run_folders.HIGH
    high = read_run(str(path), {Codec.KIND: Codec})
    read_coder(high)  # It has no use here, but belongs to a codec.
    digest = high.config["codec_digest"]
    _check_digest(path, digest, run.config.get("high_digest"))
    expected = {
      "low_dim": low.get("code_dim"),
      "low_clip": low.get("clip"),
      "high_dim": high.architecture["code_dim"],
      "high_clip": high.architecture["clip"],
    }
    fits = high.architecture["feature_dim"] == low["feature_dim"]
  else:
    shared = run.architecture.keys() & {"feature_dim", "code_dim", "clip"}
    expected = {key: low.get(key) for key in shared}
    fits = True
  own = {key: run.architecture[key] for key in expected}
  if own != expected or not fits:
    raise Error(f"{name}: of other dimensions or clips than its codecs.")
  return run, high


def _is_finite(array: np.ndarray) -> bool:
  return array.dtype.kind == "f" and bool(np.isfinite(array).all())


def _check_digest(
  path: pathlib.Path, found: str, expected: Optional[str]
) -> None:
  if found != expected:
    raise Error(f"{path}: not the file that {run_folders.CONFIG} describes.")


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
    Error: if the features do not fit the codec or cannot be coded; also as
      `processes.check` does.
  """
  processes.check()
  expected = compressor.transform.feature_dim
  if stream.dim != expected:
    raise Error(
      f"the features have {stream.dim} dimensions, but {compressor.name} is"
      f" for {expected}."
    )
  pack = getattr(compressor.coder, f"pack_{packing}")

  def encode_blocks(blocks: List[np.ndarray]) -> List[bytes]:
    ends = np.cumsum([len(block) for block in blocks])
    codes = compressor.transform.encode(np.concatenate(blocks))
    return [pack(part) for part in np.split(codes, ends[:-1])]

  header = compressor.header(stream.count, packing, block_size)

  def payloads():
    groups = _grouped(stream.blocks, block_size)
    encoded = _in_parallel(encode_blocks, groups)
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
      owner = run_folders.shipped_by(header.codec_digest.hex())
      raise Error(
        f"written with another {other} than {compressor.name}"
        + (f": with {owner}." if owner and other == "codec" else ".")
      )
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
  max_features: Optional[int] = None,
) -> Iterator[np.ndarray]:
  """Decodes features.

  Args:
    compressor: the file's.
    file: positioned behind the header. Of a seekable file that begins with it
      only the blocks of the range are read; a stream is read, and verified, to
      its end.
    header: from `read_header`.
    start: the first feature.
    count: how many features; None is all from `start` on.
    max_features: refuse more than these; None is
      `bitstream.FEATURES_PER_BYTE` for each byte of the file, and of a stream
      for each byte read.

  Yields:
    float32 [k, feature_dim], block by block, each verified before.

  Raises:
    Error: if the range is not in the file, or too large, or the file is
      damaged; also as `processes.check` does.
  """
  finish = (compressor.enhancement or compressor.transform).decode
  return _decode(compressor, file, header, start, count, max_features, finish)


def decode_codes(
  compressor: Compressor, file: BinaryIO, header: bitstream.Header
) -> Iterator[np.ndarray]:
  """Decodes the integer codes of a whole file, exactly as they were encoded.

  Yields:
    int32 [k, code_dim], block by block; otherwise as `decode`.
  """
  return _decode(compressor, file, header, 0, None, None, lambda codes: codes)


def _decode(compressor, file, header, start, count, max_features, finish):
  """The blocks of a range, cut to it; `finish` is applied to their codes."""
  processes.check()
  if count is None:
    count = header.num_features - start
  with _named(file):
    if start < 0 or count < 1 or start + count > header.num_features:
      raise Error(
        f"holds features 0 to {header.num_features - 1}, but"
        f" {count if count > 0 else 'some'} from {start} on were asked for."
      )
    limit = max_features
    # Standard input may be a file that somebody has read a part of.
    whole = file.seekable() and file.tell() == bitstream.HEADER_BYTES
    if limit is None and whole:
      limit = bitstream.FEATURES_PER_BYTE * file.seek(0, os.SEEK_END)
    if limit is not None:
      bitstream.check_count(count, limit)

  def rows_of(first, rows):
    """Those of some rows, from a feature on, that are of the range."""
    begin, end = max(start - first, 0), min(start + count - first, rows)
    return slice(begin, max(begin, end))

  def is_wanted(item):
    first = item[0] * header.block_size
    rows = rows_of(first, header.count(item[0]))
    return rows.start < rows.stop

  def decode_blocks(items):
    blocks, payloads = zip(*items)
    counts = [header.count(block) for block in blocks]
    codes = compressor.coder.unpack(header.packing, payloads, counts)
    rows = rows_of(blocks[0] * header.block_size, len(codes))
    ends = np.cumsum(counts)[:-1] - rows.start
    return np.split(finish(codes[rows]), ends)

  def blocks():
    with _named(file):
      if whole:
        payloads = bitstream.read_range(file, header, start, count)
      else:
        payloads = enumerate(bitstream.read_blocks(file, header))
        if max_features is None:
          payloads = bitstream.sparing(payloads, header)
      groups = _grouped(filter(is_wanted, payloads), header.block_size)
      yield from _in_parallel(decode_blocks, groups)

  return blocks()


def _grouped(items: Iterable[_In], block_size: int) -> Iterator[List[_In]]:
  """Blocks by as many as make up a batch; what comes before an Error first."""
  group, failure = [], None
  try:
    for item in items:
      group.append(item)
      if len(group) * block_size >= _BATCH:
        yield group
        group = []
  except Error as error:
    failure = error
  if group:
    yield group
  if failure:
    raise failure


def _in_parallel(
  function: Callable[[List[_In]], List[_Out]], groups: Iterable[List[_In]]
) -> Iterator[_Out]:
  """Results of groups, one by one: on a few threads, a few groups ahead.

  Where `groups` fails, the results of what it gave before come first.
  """
  groups, failure = iter(groups), None
  pending = collections.deque()
  with concurrent.futures.ThreadPoolExecutor(_WORKERS) as pool:
    while True:
      try:
        pending.append(pool.submit(function, next(groups)))
      except StopIteration:
        break
      except Error as error:
        failure = error
        break
      if len(pending) > _WORKERS:
        yield from pending.popleft().result()
    while pending:
      yield from pending.popleft().result()
  if failure:
    raise failure
