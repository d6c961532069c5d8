"""The `.tsi` file: faces as a base layer and enhancement layers behind it.

FORMAT.md gives every byte. The base layer is a `.tsf` file of the features, for
machines; each enhancement layer brings all faces a step nearer to the images,
for people. What follows a layer may be cut off. This module knows nothing of
networks.
"""

import struct
import zlib
from typing import List, NamedTuple, Tuple

from tsenh.base.errors import Error

MAGIC = b"TSI\x1a"
VERSION = 1
# What an enhancement layer is coded with, by the byte that says so.
KINDS = ("learned", "webp", "avif", "jpeg2000")
MAX_LAYERS = 16
# Of all images of a file together: 16,384 faces of 64x64.
MAX_PIXELS = 1 << 26
MAX_SIZE = 1024

_HEADER = struct.Struct("<4sBBHI8sI")
_LAYER = struct.Struct("<BBI")  # kind, setting, length; then the CRC.
_CRC = struct.Struct("<I")
HEADER_BYTES = _HEADER.size + _CRC.size
LAYER_BYTES = _LAYER.size + _CRC.size


class Header(NamedTuple):
  """What a reader must know before the base layer.

  Attributes:
    num_layers: enhancement layers that the writer wrote.
    size: pixels of an image's side.
    num_faces: faces in the file.
    model_digest: the first 8 bytes of the model's digest.
    base_length: bytes of the base layer.
  """

  num_layers: int
  size: int
  num_faces: int
  model_digest: bytes
  base_length: int


class Layer(NamedTuple):
  """An enhancement layer of all faces.

  Attributes:
    kind: one of `KINDS`.
    setting: what the differences that a standard codec codes are divided by, 1
      to 255; of a learned layer its quality, 0 to 100.
    payload: its bytes.
  """

  kind: str
  setting: int
  payload: bytes


def pack(header: Header, base: bytes, layers: List[Layer]) -> bytes:
  """A whole file.

  Args:
    header: its `num_layers` and `base_length` are those of what follows.
    base: the base layer.
    layers: the enhancement layers, in order.

  Returns:
    Its bytes.
  """
  header = header._replace(num_layers=len(layers), base_length=len(base))
  head = _HEADER.pack(
    MAGIC,
    VERSION,
    header.num_layers,
    header.size,
    header.num_faces,
    header.model_digest,
    header.base_length,
  )
  parts = [head, _CRC.pack(zlib.crc32(head)), base]
  for layer in layers:
    start = _LAYER.pack(
      KINDS.index(layer.kind), layer.setting, len(layer.payload)
    )
    crc = zlib.crc32(layer.payload, zlib.crc32(start))
    parts += [start, _CRC.pack(crc), layer.payload]
  return b"".join(parts)


def read_header(data: bytes) -> Header:
  """Reads and checks the header.

  Args:
    data: a file, or its beginning.

  Raises:
    Error: if it is no `.tsi` file, of another version, damaged, or of more
      pixels than `MAX_PIXELS`.
  """
  if not isinstance(data, (bytes, bytearray, memoryview)):
    raise Error(f"expected the bytes of a file, not {type(data).__name__}.")
  if data[:4] != MAGIC:
    raise Error("not a .tsi file (its first bytes are not TSI).")
  if len(data) < HEADER_BYTES:
    raise Error("the file ends within its header.")
  if data[4] != VERSION:
    raise Error(f"a .tsi file of version {data[4]}, expected {VERSION}.")
  (crc,) = _CRC.unpack_from(data, _HEADER.size)
  if crc != zlib.crc32(data[: _HEADER.size]):
    raise Error("the header is damaged (its checksum does not match).")
  header = Header(*_HEADER.unpack_from(data)[2:])
  if (
    header.num_layers > MAX_LAYERS
    or not 0 < header.size <= MAX_SIZE
    or header.num_faces < 1
    or header.base_length < 1
  ):
    raise Error("the header holds values that no writer writes.")
  check_pixels(header.num_faces, header.size)
  return header


def check_pixels(num_faces: int, size: int) -> None:
  """Raises an Error if these are more images than a file may hold."""
  most = MAX_PIXELS // size**2
  if num_faces > most:
    raise Error(
      f"{num_faces} faces of {size}x{size} pixels, but a file holds {most} at"
      " the most."
    )


def read_base(data: bytes, header: Header) -> bytes:
  """The base layer, which checks itself."""
  base = data[HEADER_BYTES : HEADER_BYTES + header.base_length]
  if len(base) < header.base_length:
    raise Error("the file ends within its base layer.")
  return base


def read_layers(
  data: bytes, header: Header, most: int = MAX_LAYERS
) -> List[Layer]:
  """The enhancement layers that are there, each once verified.

  Args:
    data: the file, whole or cut off behind a layer.
    header: from `read_header`.
    most: how many are asked for; nobody looks at what follows them.

  Raises:
    Error: if one of them is damaged or not whole, or bytes follow the last one.
  """
  found = []
  position = HEADER_BYTES + header.base_length
  wanted = min(header.num_layers, most)
  while len(found) < wanted and position < len(data):
    number = len(found) + 1
    layer, position = _read_layer(data, position, number)
    found.append(layer)
  if position < len(data) and wanted == header.num_layers:
    raise Error("bytes follow the last layer.")
  return found


def _read_layer(data: bytes, start: int, number: int) -> Tuple[Layer, int]:
  """The layer at a position, and the position behind it."""
  what = f"enhancement layer {number}"
  begin = start + LAYER_BYTES
  if len(data) < begin:
    raise Error(_cut(what, start))
  kind, setting, length = _LAYER.unpack_from(data, start)
  if kind >= len(KINDS) or not (setting <= 100 if kind == 0 else setting):
    raise Error(f"{what} is damaged.")
  end = begin + length
  if len(data) < end:
    raise Error(_cut(what, start))
  payload = bytes(data[begin:end])
  expected = _CRC.unpack_from(data, start + _LAYER.size)[0]
  head = data[start : start + _LAYER.size]
  if zlib.crc32(payload, zlib.crc32(head)) != expected:
    raise Error(f"{what} is damaged (its checksum does not match).")
  return Layer(KINDS[kind], setting, payload), end


def _cut(what: str, start: int) -> str:
  return (
    f"the file ends within {what}; cut off behind its first {start} bytes it"
    " decodes without that layer."
  )
