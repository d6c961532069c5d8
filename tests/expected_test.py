"""Golden vectors for ports: made by TensorFlow, met by NumPy too.

GENERATE_EXPECTED=1 writes tests/expected/vectors.json anew; docs/porting.md
says what is in it.
"""

import io
import json
import os
import struct
import zlib

import numpy as np
import pytest
from conftest import ROOT

from tsenh import portable
from tsenh.base.errors import Error
from tsenh.coding import bitstream, entropy
from tsenh.data import feature_sets
from tsenh.features import compressor

EXPECTED = ROOT / "tests" / "expected"
CODECS = ("classic", "tfc")
# Of a decoded feature's elements, in units of its Euclidean length.
TOLERANCE = 1e-5
# FORMAT.md: an encoder's values this far from a half round alike everywhere.
MARGIN = 1e-4
PACKINGS = dict(enumerate(bitstream.PACKINGS))


def folder(name):
  return str(EXPECTED / "codecs" / name)


def tensorflow_coder(cdfs):
  """TensorFlow Compression's coder for one string of these tables."""
  width = max(map(len, cdfs))
  padded = [cdf + [cdf[-1]] * (width - len(cdf)) for cdf in cdfs]
  lower = np.zeros(len(cdfs), np.int32)
  return entropy.EntropyCoder(lower, np.array(padded, np.int32))


def tensorflow_string(symbols, cdfs):
  symbols = np.array([symbols], np.int32)
  return tensorflow_coder(cdfs)._encode([], symbols).numpy()


def range_coder_cases():
  half = [0, 32767, 32769, 65536]  # Symbol 1 lies across the middle.
  likely, rare = [0, 65535, 65536], [0, 1, 65536]
  cases = {
    "the likeliest symbols cost nothing": [(likely, 0)] * 5,
    "one symbol": [(half, 2)],
    "16 bits each": [(likely, 1), (rare, 0), (likely, 1)],
    "the end keeps the zero byte of a digit": [([0, 256, 257, 65536], 1)],
    "the end lies across a digit": [(half, 1)] * 4,
    "a carry through three digits": [*[(half, 1)] * 4, (half, 2)],
    "no carry after all": [*[(half, 1)] * 4, (half, 0)],
    "a carry that leaves nothing": [
      *[(half, 1)] * 2,
      ([0, 32768, 65536], 1),
    ],
    "an end just outside of the interval": [([0, 1, 256, 65536], 1)],
    "the smallest interval": [
      *[([0, 2, 65536], 0), ([0, 65535, 65536], 0), (rare, 0)],
      *[([0, 32768, 65536], 1), (rare, 1)],
    ],
    "a table of one symbol": [([0, 65536], 0), (half, 0), ([0, 65536], 0)],
  }
  rng = np.random.default_rng(3)
  drawn = []
  for _ in range(40):
    inner = np.sort(rng.choice(np.arange(1, 65536), rng.integers(1, 9), False))
    cdf = [0, *inner.tolist(), 65536]
    drawn.append((cdf, int(rng.integers(len(cdf) - 1))))
  cases["forty symbols"] = drawn
  return [
    {
      "name": name,
      "symbols": [symbol for _, symbol in steps],
      "cdfs": [cdf for cdf, _ in steps],
      "string": tensorflow_string([s for _, s in steps], [c for c, _ in steps]),
    }
    for name, steps in cases.items()
  ]


def network_cases(name, main):
  """Features whose codes do not depend on the last digits of a sum."""
  faces = feature_sets.load("rank64-lfw").features[:200]
  values = main.transform.encoder(faces).numpy()
  distance = np.abs(np.abs(values - np.trunc(values)) - 0.5).min(axis=1)
  chosen = faces[distance > MARGIN][:4]
  # Their codes reach the clip.
  loud = chosen[:2] * np.float32(1e3)
  inputs = np.concatenate([chosen, loud])
  codes = main.transform.encode(inputs)
  assert np.abs(codes[4:]).max() == 20
  cases = []
  for f, c, d in zip(inputs, codes, main.transform.decode(codes)):
    cases.append({"codec": name, "features": f, "code": c, "decoded": d})
  return cases


def file_cases(name, main):
  faces = feature_sets.load("rank64-lfw").features[:9]
  codes = main.transform.encode(faces)
  coder = main.coder
  escape = coder.lower + coder._escape
  likeliest = coder.lower + np.diff(coder.cdf).argmax(axis=1)
  unseen = codes[:3].copy()
  unseen[0, 3], unseen[2, :2] = escape[3], (coder.lower[0] - 1, 20)
  loud = main.transform.encode(faces[:2] * np.float32(1e3))
  rows = {
    "one feature": (codes[:1], 1024),
    "one block, full": (codes[:4], 4),
    "two blocks, full": (codes[:8], 4),
    "three blocks, the last of one": (codes, 4),
    "values that no table holds": (unseen, 2),
    "the clip's limits": (loud, 1024),
    "a good file, to compare": (codes[:3], 2),
    "the longest strings": (np.stack([escape, escape]), 1024),
    "the shortest strings": (np.stack([likeliest] * 3), 1024),
  }
  cases = []
  for what, (block, size) in rows.items():
    for packing in bitstream.PACKINGS:
      pack = getattr(coder, f"pack_{packing}")
      payloads = [
        pack(block[start : start + size].astype(np.int32))
        for start in range(0, len(block), size)
      ]
      file = io.BytesIO()
      header = main.header(len(block), packing, size)
      bitstream.write(file, header, payloads)
      cases.append(
        {
          "name": f"{what}, {packing}",
          "codec": name,
          "packing": bitstream.PACKINGS.index(packing),
          "block_size": size,
          "codes": block,
          "tsf": file.getvalue(),
        }
      )
  return cases


def reject_cases(name, main):
  """Files that differ from a good one in one thing, checksums made to fit."""
  codes = main.transform.encode(feature_sets.load("rank64-lfw").features[:3])
  head = main.header(3, "shared", 2)

  def file(header=head, payloads=None, edit=None):
    pack = getattr(main.coder, f"pack_{header.packing}")
    if payloads is None:
      payloads = [pack(codes[:2]), pack(codes[2:])]
    stream = io.BytesIO()
    bitstream.write(stream, header, payloads)
    data = bytearray(stream.getvalue())
    if edit:
      edit(data)
    return bytes(data)

  def in_header(offset, kind, value):
    def edit(data):
      struct.pack_into(kind, data, offset, value)
      struct.pack_into("<I", data, 44, zlib.crc32(data[:44]))

    return file(edit=edit)

  def in_block(offset, value):
    """Changes the first block's head and its CRC to fit."""

    def edit(data):
      length = struct.unpack_from("<I", data, 52)[0]
      struct.pack_into("<I", data, 48 + offset, value)
      crc = zlib.crc32(data[60 : 60 + length], zlib.crc32(data[48:56]))
      struct.pack_into("<I", data, 56, crc)

    return file(edit=edit)

  def flipped(offset):
    def edit(data):
      data[offset] ^= 1

    return file(edit=edit)

  def payload(data, header=head):
    """The last block's payload replaced."""
    pack = getattr(main.coder, f"pack_{header.packing}")
    return file(header, [pack(codes[:2]), data])

  good, escapes = file(), struct.pack("<I", 0)
  string = main.coder.pack_shared(codes[2:])[4:]
  alone = head._replace(packing="separate")
  own = main.coder.pack_separate(codes[2:])
  beyond = codes[2:].copy()
  beyond[0, 0] = 21
  beneath = codes[2:].copy()
  beneath[0, 0] = -21
  shifted = [
    length + change
    for length, change in zip(struct.unpack("<2I", good[-12:-4]), (1, -1))
  ]
  other_index = struct.pack("<2I", *shifted)
  other_index += struct.pack("<I", zlib.crc32(other_index))
  cases = {
    "magic": in_header(1, "B", ord("s")),
    "ends within the header": good[:40],
    "version 2": in_header(4, "B", 2),
    "packing 2": in_header(5, "B", 2),
    "reserved is not 0": in_header(6, "<H", 1),
    "another feature_dim": in_header(8, "<I", head.feature_dim + 1),
    "another code_dim": in_header(12, "<I", head.code_dim + 1),
    "block_size 0": in_header(16, "<I", 0),
    "block_size 65537": in_header(16, "<I", 65537),
    "num_features 0": in_header(20, "<Q", 0),
    "num_features too many": in_header(20, "<Q", 5),
    "num_features beyond 32 bits": in_header(20, "<Q", 3 + (1 << 32)),
    "another codec": in_header(28, "B", good[28] ^ 1),
    "another codec, last byte": in_header(35, "B", good[35] ^ 1),
    "other tables": in_header(36, "B", good[36] ^ 1),
    "other tables, last byte": in_header(43, "B", good[43] ^ 1),
    "header CRC": flipped(44),
    "a block's count": in_block(0, 1),
    "a block's length beyond the limit": in_block(4, 1 << 20),
    "block CRC": flipped(56),
    "a bit of a payload": flipped(70),
    "ends within a block": good[:100],
    "ends before the index": good[:-12],
    "the index": flipped(len(good) - 5),
    "index CRC": flipped(len(good) - 1),
    "the index's lengths": good[:-12] + other_index,
    "a byte behind the index": good + b"\0",
    "a payload without escapes' number": payload(b"\0\0"),
    "escapes listed, none used": payload(struct.pack("<Ii", 1, 20) + string),
    "escapes used, none listed": payload(
      escapes + main.coder.pack_shared(beyond)[8:]
    ),
    "escapes beyond the payload": payload(struct.pack("<I", 9999) + string),
    "a string with a byte too many": payload(escapes + string + b"\1"),
    "a string with bytes too many": payload(escapes + string + bytes(8)),
    "a width of 3": payload(own[:4] + b"\3" + own[5:], alone),
    "lengths beyond the payload": payload(own[:5] + b"\xff" + own[6:], alone),
    "lengths short of the payload": payload(own + b"\1", alone),
    "an element beyond the clip": payload(main.coder.pack_shared(beyond)),
    "an element beneath it": payload(main.coder.pack_shared(beneath)),
  }
  return [
    {"name": what, "codec": name, "tsf": data} for what, data in cases.items()
  ]


def enhancer_cases():
  main = compressor.load(folder("tfc"), str(EXPECTED / "enhancer"))
  codes = main.transform.encode(feature_sets.load("rank64-lfw").features[:3])
  # The last has every element at the limit.
  codes = np.concatenate([codes, 20 * np.sign(2 * codes[:1] - 1)])
  enhanced = main.enhancement.enhancer.enhance(codes)
  rows = zip(codes, enhanced, main.enhancement.decode(codes))
  return [{"code": c, "enhanced": e, "decoded": d} for c, e, d in rows]


def generate():
  mains = {name: compressor.load(folder(name)) for name in CODECS}
  return {
    "version": bitstream.VERSION,
    "tolerance": TOLERANCE,
    "range_coder": range_coder_cases(),
    "network": [c for item in mains.items() for c in network_cases(*item)],
    "enhancer": enhancer_cases(),
    "files": [c for item in mains.items() for c in file_cases(*item)],
    "rejects": reject_cases("classic", mains["classic"]),
  }


def as_json(value):
  """Bytes in hexadecimal, floats with the nine digits that fix a float32."""
  if isinstance(value, bytes):
    return value.hex()
  if value.dtype.kind == "f":
    return [float(f"{x:.9g}") for x in value.tolist()]
  return value.tolist()


def dump(vectors):
  """JSON with a case a line."""
  lines = []
  for key, value in vectors.items():
    text = json.dumps(value, default=as_json)
    if isinstance(value, list):
      cases = ",\n".join(json.dumps(case, default=as_json) for case in value)
      text = f"[\n{cases}\n]"
    lines.append(f"{json.dumps(key)}: {text}")
  return "{\n" + ",\n".join(lines) + "\n}\n"


def assert_close(decoded, expected):
  atol = TOLERANCE * np.linalg.norm(expected)
  np.testing.assert_allclose(decoded, expected, rtol=0, atol=atol)


@pytest.fixture(scope="module")
def vectors():
  path = EXPECTED / "vectors.json"
  if os.environ.get("GENERATE_EXPECTED") == "1":
    path.write_text(dump(generate()))
  return json.loads(path.read_text())


@pytest.fixture(scope="module")
def ports():
  return {name: portable.load(folder(name)) for name in CODECS}


@pytest.fixture(scope="module")
def mains():
  return {name: compressor.load(folder(name)) for name in CODECS}


def test_tensorflow_still_gives_the_expected_vectors(vectors):
  generated = json.loads(dump(generate()))
  for key in ("version", "tolerance", "range_coder", "files", "rejects"):
    assert generated[key] == vectors[key], key
  for now, then in zip(generated["network"], vectors["network"]):
    assert now["code"] == then["code"]
    assert_close(now["decoded"], then["decoded"])
  assert len(generated["network"]) == len(vectors["network"]) == 12
  for now, then in zip(generated["enhancer"], vectors["enhancer"]):
    assert now["code"] == then["code"]
    assert_close(now["enhanced"], then["enhanced"])
    assert_close(now["decoded"], then["decoded"])
  assert len(generated["enhancer"]) == len(vectors["enhancer"]) == 4


def test_the_range_coder_in_numpy(vectors):
  for case in vectors["range_coder"]:
    string = bytes.fromhex(case["string"])
    symbols, cdfs = case["symbols"], case["cdfs"]
    assert portable.encode_string(symbols, cdfs) == string, case["name"]
    assert portable.decode_string(string, cdfs) == symbols, case["name"]


def test_the_network_in_numpy(vectors, ports):
  for case in vectors["network"]:
    port = ports[case["codec"]]
    codes = portable.encode(port, np.array([case["features"]]))
    assert codes.tolist() == [case["code"]]
    decoded = portable.decode(port, codes)[0]
    assert_close(decoded, case["decoded"])


def test_the_enhancer_in_numpy(vectors):
  port = portable.load_enhancer(str(EXPECTED / "enhancer"))
  for case in vectors["enhancer"]:
    code = np.array([case["code"]])
    assert_close(portable.enhance(port, code)[0], case["enhanced"])
    assert_close(portable.decode_enhanced(port, code)[0], case["decoded"])


def test_the_files_in_numpy(vectors, ports):
  for case in vectors["files"]:
    port, data = ports[case["codec"]], bytes.fromhex(case["tsf"])
    codes = np.array(case["codes"])
    packed = portable.compress_codes(
      port, codes, case["packing"], case["block_size"]
    )
    assert packed == data, case["name"]
    np.testing.assert_array_equal(portable.decompress_codes(port, data), codes)


def test_the_files_in_the_main_implementation(vectors, mains):
  for case in vectors["files"]:
    main, file = mains[case["codec"]], io.BytesIO(bytes.fromhex(case["tsf"]))
    header = compressor.read_header(main, file)
    assert header.packing == PACKINGS[case["packing"]]
    codes = np.concatenate(list(compressor.decode_codes(main, file, header)))
    assert codes.tolist() == case["codes"], case["name"]


def test_edge_cases_are_what_they_say(vectors):
  files = {
    (case["codec"], case["name"]): bytes.fromhex(case["tsf"])
    for case in vectors["files"]
  }
  for packing in bitstream.PACKINGS:
    longest = files["classic", f"the longest strings, {packing}"]
    # 2 x 128 escapes listed, then 2 x 256 bytes of strings.
    assert struct.unpack_from("<I", longest, 60) == (256,)
    assert len(longest) > 48 + 12 + 4 + 4 * 256 + 2 * 256
  assert longest[64 + 4 * 256] == 2  # The width of a length above 255.
  shared = files["classic", "the shortest strings, shared"]
  assert len(shared) < 48 + 12 + 4 + 8 + 3 * 128 // 2


def test_what_must_be_refused_is_refused_by_both(vectors, mains, ports):
  for case in vectors["rejects"]:
    data, name = bytes.fromhex(case["tsf"]), case["codec"]
    with pytest.raises(Error):
      mains[name].decompress(data)
      pytest.fail(f"TensorFlow took: {case['name']}")
    with pytest.raises(Error):
      portable.decompress(ports[name], data)
      pytest.fail(f"NumPy took: {case['name']}")


def test_the_vectors_are_small_and_named_once(vectors):
  for section in ("range_coder", "files", "rejects"):
    names = [(c.get("codec"), c["name"]) for c in vectors[section]]
    assert len(set(names)) == len(names)
  assert (EXPECTED / "vectors.json").stat().st_size < 300_000
