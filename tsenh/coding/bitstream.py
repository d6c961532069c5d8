"""The `.tsf` file: a header, blocks with checksums, an index at the end.

FORMAT.md gives every byte. This module knows nothing of what a payload means.
"""

import struct
import zlib
from typing import BinaryIO, Iterable, Iterator, List, NamedTuple, Tuple

from tsenh.base.errors import Error
from tsenh.base.files import read_fully

MAGIC = b"TSF\x1a"
VERSION = 1
PACKINGS = ("shared", "separate")
DEFAULT_BLOCK_SIZE = 1024
MAX_BLOCK_SIZE = 1 << 16
# Features that a file may hold for each of its bytes, unless the reader says
# otherwise: a block takes 16 bytes beside its payload, so no file of blocks of
# the default size or smaller has more.
FEATURES_PER_BYTE = 64

_HEADER = struct.Struct("<4sBBHIIIQ8s8s")
_BLOCK = struct.Struct("<II")  # count, length; then the CRC.
_CRC = struct.Struct("<I")
HEADER_BYTES = _HEADER.size + _CRC.size
# A symbol takes at most 16 bits, an escaped value 32 more; then the framing.
_MAX_BYTES_PER_ELEMENT = 6
_MAX_FRAMING_BYTES_PER_CODE = 16


class Header(NamedTuple):
  """What a reader must know before the first block.

  Attributes:
    packing: "shared" (a string per block) or "separate" (one per feature).
    feature_dim: dimensions of a feature.
    code_dim: dimensions of its code.
    block_size: features per block; the last block may have fewer.
    num_features: features in the file.
    codec_digest: the first 8 bytes of the codec's digest.
    table_digest: the first 8 bytes of the entropy tables' digest.
  """

  packing: str
  feature_dim: int
  code_dim: int
  block_size: int
  num_features: int
  codec_digest: bytes
  table_digest: bytes

  @property
  def num_blocks(self) -> int:
    """Blocks in the file."""
    return -(-self.num_features // self.block_size)

  def count(self, block: int) -> int:
    """Features in block number `block`."""
    return min(self.block_size, self.num_features - block * self.block_size)

  def max_length(self, count: int) -> int:
    """The longest payload that `count` codes can have, in bytes."""
    per_code = self.code_dim * _MAX_BYTES_PER_ELEMENT
    return count * (per_code + _MAX_FRAMING_BYTES_PER_CODE) + 16


def write(file: BinaryIO, header: Header, payloads: Iterable[bytes]) -> int:
  """Writes a whole file, block by block.

  Args:
    file: open for binary writing; need not be seekable.
    header: the header; its counts must agree with the payloads.
    payloads: one payload per block, in order.

  Returns:
    The number of bytes written.
  """
  head = _HEADER.pack(
    MAGIC,
    VERSION,
    PACKINGS.index(header.packing),
    0,
    header.feature_dim,
    header.code_dim,
    header.block_size,
    header.num_features,
    header.codec_digest,
    header.table_digest,
  )
  file.write(with_crc(head))
  written = HEADER_BYTES
  lengths = []
  for block, payload in enumerate(payloads):
    start = _BLOCK.pack(header.count(block), len(payload))
    file.write(start)
    file.write(_CRC.pack(zlib.crc32(payload, zlib.crc32(start))))
    file.write(payload)
    written += _BLOCK.size + _CRC.size + len(payload)
    lengths.append(len(payload))
  index = with_crc(struct.pack(f"<{len(lengths)}I", *lengths))
  file.write(index)
  return written + len(index)


def read_header(file: BinaryIO) -> Header:
  """Reads and checks the header at the file's position.

  Args:
    file: open for binary reading; need not be seekable.

  Returns:
    The header.

  Raises:
    Error: if it is no `.tsf` file, of another version, or damaged.
  """
  data = read_fully(file, HEADER_BYTES)
  if data[:4] != MAGIC:
    raise Error("not a .tsf file (its first bytes are not TSF).")
  if len(data) < HEADER_BYTES:
    raise Error("the file ends within its header.")
  if data[4] != VERSION:
    raise Error(f"a .tsf file of version {data[4]}, expected {VERSION}.")
  _check_crc(data, "header")
  fields = _HEADER.unpack_from(data)
  packing, reserved = fields[2:4]
  header = Header("", *fields[4:])
  if (
    packing >= len(PACKINGS)
    or reserved
    or 0 in fields[4:8]
    or header.block_size > MAX_BLOCK_SIZE
  ):
    raise Error("the header holds values that no writer writes.")
  return header._replace(packing=PACKINGS[packing])


def read_blocks(file: BinaryIO, header: Header) -> Iterator[bytes]:
  """Reads the blocks in order to the file's last byte, each once verified.

  Args:
    file: positioned behind the header; need not be seekable.
    header: from `read_header`.

  Yields:
    The payloads, in order.

  Raises:
    Error: if a block, the index or the end is not as written.
  """
  lengths = []
  for block in range(header.num_blocks):
    payload = _read_block(file, header, block)
    lengths.append(len(payload))
    yield payload
  index = read_fully(file, 4 * len(lengths) + _CRC.size)
  if index != with_crc(struct.pack(f"<{len(lengths)}I", *lengths)):
    raise Error("the index at the end is damaged or cut off.")
  if file.read(1):
    raise Error("bytes follow the end of the file's index.")


def read_index(file: BinaryIO, header: Header) -> List[int]:
  """Reads the index at the end of a seekable file and checks its structure.

  Args:
    file: open for binary reading, seekable.
    header: from `read_header`.

  Returns:
    The position of each block in the file, in bytes.

  Raises:
    Error: if the index is damaged or the file is shorter or longer than it
      says.
  """
  size = file.seek(0, 2)
  index_bytes = 4 * header.num_blocks + _CRC.size
  block_bytes = (_BLOCK.size + _CRC.size) * header.num_blocks
  if size < HEADER_BYTES + block_bytes + index_bytes:
    raise Error("the file is cut off.")
  file.seek(size - index_bytes)
  data = read_fully(file, index_bytes)
  _check_crc(data, "index at the end (or the file is cut off or too long)")
  position, positions = HEADER_BYTES, []
  for (length,) in struct.iter_unpack("<I", data[: -_CRC.size]):
    positions.append(position)
    position += _BLOCK.size + _CRC.size + length
  if position != size - index_bytes:
    raise Error("the file is not as long as its index says.")
  return positions


def read_range(
  file: BinaryIO, header: Header, start: int, count: int
) -> Iterator[Tuple[int, bytes]]:
  """Reads the blocks that hold some features, and no others.

  Args:
    file: open for binary reading, seekable.
    header: from `read_header`.
    start: the first feature.
    count: how many features; at least one, and all in the file.

  Yields:
    Block numbers and their payloads, in order.

  Raises:
    Error: as `read_index` and `read_blocks` do.
  """
  positions = read_index(file, header)
  ends = [*positions[1:], file.tell() - 4 * header.num_blocks - _CRC.size]
  first = start // header.block_size
  last = (start + count - 1) // header.block_size
  for block in range(first, last + 1):
    file.seek(positions[block])
    payload = _read_block(file, header, block)
    if file.tell() != ends[block]:
      raise Error(f"block {block} is not as long as the index says.")
    yield block, payload


def sparing(
  payloads: Iterable[Tuple[int, bytes]], header: Header
) -> Iterator[Tuple[int, bytes]]:
  """Passes on the blocks of a file whose size is not known yet.

  Args:
    payloads: numbers and payloads of all blocks from the first on.
    header: from `read_header`.

  Raises:
    Error: before a block with which there are more features than
      `FEATURES_PER_BYTE` allows for the bytes so far.
  """
  features, size = 0, HEADER_BYTES
  for block, payload in payloads:
    features += header.count(block)
    size += _BLOCK.size + _CRC.size + len(payload)
    check_count(features, FEATURES_PER_BYTE * size)
    yield block, payload


def check_count(features: int, limit: int) -> None:
  """Raises an Error if these are more features than a reader asked for."""
  if features > limit:
    raise Error(
      f"{features} features, but the limit is {limit}; if the file is to be"
      " trusted, set max_features to what you expect."
    )


def _read_block(file: BinaryIO, header: Header, block: int) -> bytes:
  """The payload of the block at the file's position, verified."""
  start = read_fully(file, _BLOCK.size)
  crc = read_fully(file, _CRC.size)
  if len(crc) < _CRC.size:
    raise Error(f"the file ends within block {block}.")
  count, length = _BLOCK.unpack(start)
  if count != header.count(block) or length > header.max_length(count):
    raise Error(f"block {block} is damaged.")
  payload = read_fully(file, length)
  if len(payload) < length:
    raise Error(f"the file ends within block {block}.")
  if _CRC.unpack(crc)[0] != zlib.crc32(payload, zlib.crc32(start)):
    raise Error(f"block {block} is damaged (its checksum does not match).")
  return payload


def with_crc(data: bytes) -> bytes:
  """Bytes and their CRC behind them."""
  return data + _CRC.pack(zlib.crc32(data))


def _check_crc(data: bytes, what: str) -> None:
  if data != with_crc(data[: -_CRC.size]):
    raise Error(f"the {what} is damaged (its checksum does not match).")
