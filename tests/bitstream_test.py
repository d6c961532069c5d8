import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsenh.base.errors import Error
from tsenh.coding import bitstream
from tsenh.data.streams import FeatureStream
from tsenh.features import compressor

HEADER = bitstream.Header("separate", 128, 64, 2, 5, b"codec--8", b"tables-8")
PAYLOADS = [b"first", b"", b"third block"]


def written(header=HEADER, payloads=PAYLOADS):
  file = io.BytesIO()
  assert bitstream.write(file, header, payloads) == len(file.getvalue())
  return file.getvalue()


class Pipe(io.BytesIO):
  """Bytes that arrive a few at a time and cannot be sought."""

  def seekable(self):
    return False

  def seek(self, *_):
    raise io.UnsupportedOperation("seek")

  def read(self, size=-1):
    return super().read(min(size, 7) if size >= 0 else 7)


def test_every_byte_is_where_format_md_says():
  data = written()
  head = b"TSF\x1a" + struct.pack("<BBHIIIQ", 1, 1, 0, 128, 64, 2, 5)
  head += b"codec--8tables-8"
  expected = head + struct.pack("<I", zlib.crc32(head))
  for count, payload in zip((2, 2, 1), PAYLOADS):
    start = struct.pack("<II", count, len(payload))
    crc = zlib.crc32(start + payload)
    expected += start + struct.pack("<I", crc) + payload
  index = struct.pack("<III", 5, 0, 11)
  assert data == expected + index + struct.pack("<I", zlib.crc32(index))


@pytest.mark.parametrize("kind", [io.BytesIO, Pipe])
def test_a_file_reads_back_in_order(kind):
  file = kind(written())
  header = bitstream.read_header(file)
  assert header == HEADER
  assert list(bitstream.read_blocks(file, header)) == PAYLOADS


def test_a_range_reads_only_its_blocks():
  data = bytearray(written())
  positions = bitstream.read_index(io.BytesIO(data), HEADER)
  data[positions[0] + 12] ^= 1  # Damage in a block outside of the range.
  blocks = bitstream.read_range(io.BytesIO(data), HEADER, 3, 2)
  assert list(blocks) == [(1, PAYLOADS[1]), (2, PAYLOADS[2])]
  with pytest.raises(Error, match="block 0 is damaged"):
    list(bitstream.read_range(io.BytesIO(data), HEADER, 1, 1))


def test_another_version_and_other_files_are_told_apart():
  data = bytearray(written())
  data[4] = 2
  with pytest.raises(Error, match="version 2, expected 1"):
    bitstream.read_header(io.BytesIO(data))
  with pytest.raises(Error, match=r"not a \.tsf file"):
    bitstream.read_header(io.BytesIO(b"PK\3\4" + bytes(100)))
  with pytest.raises(Error, match=r"not a \.tsf file"):
    bitstream.read_header(io.BytesIO(b""))
  with pytest.raises(Error, match="ends within its header"):
    bitstream.read_header(io.BytesIO(bytes(data[:20])))


@pytest.fixture(scope="module", params=bitstream.PACKINGS)
def real_file(request, pro, lfw):
  """A small file of real features: five faces in three blocks."""
  return request.param, encode(pro, lfw.features[:5], request.param)


def encode(codec, features, packing, block_size=2):
  blocks = (
    features[i : i + block_size] for i in range(0, len(features), block_size)
  )
  stream = FeatureStream(*features.shape, blocks)
  file = io.BytesIO()
  compressor.encode(codec, stream, file, packing, block_size)
  return file.getvalue()


def decode(codec, data, kind=io.BytesIO):
  file = kind(data)
  header = compressor.read_header(codec, file)
  return np.concatenate(list(compressor.decode(codec, file, header)))


def verify(codec, data):
  """Reads all that a decoder reads, and decodes nothing: framing alone."""
  file = io.BytesIO(data)
  header = compressor.read_header(codec, file)
  for _ in bitstream.read_range(file, header, 0, header.num_features):
    pass


def test_every_change_of_one_byte_is_refused(pro, real_file):
  _, data = real_file
  verify(pro, data)
  changed = bytearray(data)
  for position in range(len(data)):
    for value in range(256):
      if value == data[position]:
        continue
      changed[position] = value
      with pytest.raises(Error):
        verify(pro, bytes(changed))
    changed[position] = data[position]


@pytest.mark.parametrize("kind", [io.BytesIO, Pipe])
def test_every_truncation_is_refused(pro, real_file, kind):
  _, data = real_file
  for size in range(len(data)):
    with pytest.raises(Error):
      decode(pro, data[:size], kind)


@pytest.mark.parametrize("kind", [io.BytesIO, Pipe])
@settings(max_examples=100)
@given(extra=st.binary(min_size=1, max_size=100), in_front=st.booleans())
def test_every_extension_is_refused(pro, real_file, kind, extra, in_front):
  _, data = real_file
  if in_front and extra[:4] == bitstream.MAGIC:
    return
  with pytest.raises(Error):
    decode(pro, extra + data if in_front else data + extra, kind)


@settings(max_examples=300)
@given(position=st.integers(0), value=st.integers(1, 255))
def test_a_changed_byte_in_a_pipe_is_refused(pro, real_file, position, value):
  _, data = real_file
  changed = bytearray(data)
  changed[position % len(data)] ^= value
  with pytest.raises(Error):
    decode(pro, bytes(changed), Pipe)


def repaired(data: bytes, original: bytes) -> bytes:
  """The data with all checksums right again, blocks where they were."""
  header = bitstream.read_header(io.BytesIO(original))
  positions = bitstream.read_index(io.BytesIO(original), header)
  index = len(original) - 4 * header.num_blocks - 4
  result = bytearray(data)

  def put(where, *parts):
    crc = zlib.crc32(b"".join(bytes(result[a:b]) for a, b in parts))
    result[where : where + 4] = struct.pack("<I", crc)

  put(bitstream.HEADER_BYTES - 4, (0, bitstream.HEADER_BYTES - 4))
  for start, end in zip(positions, [*positions[1:], index]):
    put(start + 8, (start, start + 8), (start + 12, end))
  put(len(data) - 4, (index, len(data) - 4))
  return bytes(result)


@pytest.mark.slow
@settings(max_examples=1000)
@given(
  changes=st.lists(
    st.tuples(st.integers(0, 10**6), st.integers(1, 255)),
    min_size=1,
    max_size=4,
  )
)
def test_damage_under_right_checksums_never_crashes(pro, real_file, changes):
  _, data = real_file
  changed = bytearray(data)
  for position, value in changes:
    changed[position % len(data)] ^= value
  changed = repaired(bytes(changed), data)
  for kind in (io.BytesIO, Pipe):
    try:
      decoded = decode(pro, changed, kind)
    except Error:
      continue
    assert decoded.shape == (5, 128)
    assert np.isfinite(decoded).all()


@settings(max_examples=500)
@given(payload=st.binary(max_size=120), count=st.integers(1, 3))
def test_any_payload_decodes_to_codes_or_an_error(pro, payload, count):
  for unpack in (pro.coder.unpack_shared, pro.coder.unpack_separate):
    for data in (payload, bytes(4) + payload):
      try:
        codes = unpack(data, count)
      except Error:
        continue
      assert codes.shape == (count, 128)
