"""The layered file: golden bytes, cuts, damage, lies about sizes."""

import json
import struct
import zlib

import hypothesis
import numpy as np
import pytest
from conftest import ROOT
from hypothesis import strategies

from tsenh.base.errors import Error
from tsenh.images import tsi

EXPECTED = ROOT / "tests" / "expected" / "tsi"
HEADER = tsi.Header(0, 64, 3, b"12345678", 0)
LAYERS = [
  tsi.Layer("learned", 0, b"first"),
  tsi.Layer("webp", 2, b""),
  tsi.Layer("avif", 4, bytes(300)),
]


def whole():
  return tsi.pack(HEADER, b"the base", LAYERS)


def ends(data):
  """Where the base and each layer end."""
  header = tsi.read_header(data)
  found = [tsi.HEADER_BYTES + header.base_length]
  for layer in tsi.read_layers(data, header):
    found.append(found[-1] + tsi.LAYER_BYTES + len(layer.payload))
  return found


def test_every_byte_is_where_the_format_says():
  data = tsi.pack(HEADER, b"the base", LAYERS[:1])
  head = b"TSI\x1a\1\1" + struct.pack("<HI", 64, 3) + b"12345678"
  head += struct.pack("<I", 8)
  layer = b"\0\0" + struct.pack("<I", 5)
  assert data == b"".join(
    [
      *(head, struct.pack("<I", zlib.crc32(head)), b"the base"),
      *(layer, struct.pack("<I", zlib.crc32(layer + b"first")), b"first"),
    ]
  )
  assert (tsi.HEADER_BYTES, tsi.LAYER_BYTES) == (28, 10)


def test_a_file_gives_back_what_was_packed():
  data = whole()
  header = tsi.read_header(data)
  assert header == HEADER._replace(num_layers=3, base_length=8)
  assert tsi.read_base(data, header) == b"the base"
  assert tsi.read_layers(data, header) == LAYERS


def test_a_file_cut_behind_a_layer_has_the_layers_before_it():
  data = whole()
  for count, end in enumerate(ends(data)):
    cut = data[:end]
    assert tsi.read_layers(cut, tsi.read_header(cut)) == LAYERS[:count]


def test_a_file_cut_within_a_layer_says_where_to_cut_it():
  data = whole()
  stops = ends(data)
  for length in range(stops[0] + 1, len(data)):
    if length in stops:
      continue
    cut = data[:length]
    last = max(stop for stop in stops if stop < length)
    header, whole_ones = tsi.read_header(cut), stops.index(last)
    with pytest.raises(Error, match=f"its first {last} bytes"):
      tsi.read_layers(cut, header)
    assert tsi.read_layers(cut, header, whole_ones) == LAYERS[:whole_ones]


@pytest.mark.parametrize("length", range(0, 36, 5))
def test_a_file_cut_before_the_end_of_its_base_is_refused(length):
  cut = whole()[:length]
  with pytest.raises(Error, match=r"not a \.tsi file|ends within"):
    tsi.read_base(cut, tsi.read_header(cut))


def test_no_flipped_bit_goes_unseen_but_in_the_base_which_checks_itself():
  data = whole()
  base = range(tsi.HEADER_BYTES, tsi.HEADER_BYTES + 8)
  for place in range(len(data)):
    if place in base:
      continue
    for bit in range(8):
      bad = bytearray(data)
      bad[place] ^= 1 << bit
      with pytest.raises(Error):
        tsi.read_layers(bytes(bad), tsi.read_header(bytes(bad)))


def forged(**changes):
  """A header with a right checksum and wrong values."""
  values = {**HEADER._asdict(), "base_length": 8, **changes}
  head = tsi._HEADER.pack(tsi.MAGIC, tsi.VERSION, *values.values())
  return head + struct.pack("<I", zlib.crc32(head))


@pytest.mark.parametrize(
  ("changes", "said"),
  [
    ({"num_faces": 2**32 - 1}, "4294967295 faces of 64x64 pixels, but a file"),
    ({"size": 1025}, "no writer writes"),
    ({"size": 0}, "no writer writes"),
    ({"num_faces": 0}, "no writer writes"),
    ({"num_layers": 17}, "no writer writes"),
    ({"base_length": 0}, "no writer writes"),
  ],
)
def test_a_header_that_lies_is_refused_before_anything_is_read(changes, said):
  with pytest.raises(Error, match=said):
    tsi.read_header(forged(**changes))


def test_bytes_behind_the_last_layer_are_refused():
  data = whole() + b"x"
  assert tsi.read_layers(data, tsi.read_header(data), 2) == LAYERS[:2]
  with pytest.raises(Error, match="bytes follow the last layer"):
    tsi.read_layers(data, tsi.read_header(data))


@hypothesis.given(strategies.binary(max_size=80))
def test_no_bytes_at_all_crash_a_reader(tail):
  for data in (tail, tsi.MAGIC + tail, whole()[:40] + tail):
    try:
      header = tsi.read_header(data)
      tsi.read_base(data, header)
      tsi.read_layers(data, header)
    except Error:
      pass


def test_another_version_is_named():
  data = bytearray(whole())
  data[4] = 2
  with pytest.raises(Error, match="of version 2, expected 1"):
    tsi.read_header(bytes(data))


def test_the_golden_file_reads_as_recorded():
  """A file of four shipped faces that nobody writes anew."""
  from tsenh.features import compressor
  from tsenh.images import pictures

  data = (EXPECTED / "faces.tsi").read_bytes()
  expected = json.loads((EXPECTED / "faces.json").read_text())
  header = tsi.read_header(data)
  assert header.model_digest.hex() == expected["model_digest"]
  assert [header.size, header.num_faces] == [64, 4]
  codec = compressor.load(expected["codec"])
  features = codec.decompress(tsi.read_base(data, header))
  np.testing.assert_allclose(
    features[:, :4], expected["features"], rtol=0, atol=1e-5
  )
  layers = tsi.read_layers(data, header)
  assert [[x.kind, x.setting] for x in layers] == expected["layers"]
  assert [zlib.crc32(x.payload) for x in layers] == expected["crcs"]
  webp = pictures.decode(layers[-1].payload, "webp", 4, 64)
  found = webp.mean(axis=(1, 2)).round(2).tolist()
  np.testing.assert_allclose(found, expected["webp_means"], atol=0.5)
