"""Feature files and arrays of runs that somebody else made."""

import io
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from tsenh.base import arrays
from tsenh.base.errors import MAX_LENGTH, Error
from tsenh.data import feature_sets, streams

FEATURES = np.random.default_rng(0).normal(size=[40, 6]).astype("f4")


def npy(array):
  file = io.BytesIO()
  np.save(file, array)
  return file.getvalue()


def header(shape, descr="'<f4'", order="False"):
  text = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"
  return raw_header(text.encode("latin1"))


def raw_header(text):
  return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text


def npz(members, compression=zipfile.ZIP_STORED):
  file = io.BytesIO()
  with zipfile.ZipFile(file, "w", compression) as archive:
    for name, data in members.items():
      archive.writestr(name, data)
  return file.getvalue()


def load(path):
  return np.array(feature_sets.load(str(path)).features)


def read_stream(path):
  with streams.open_stream(str(path), 16) as stream:
    return np.concatenate(list(stream.blocks))


def refused(read, path, memory=2e6):
  """The message, once it is one short line and cost no memory."""
  tracemalloc.start()
  try:
    with pytest.raises(Error) as caught:
      read(path)
    assert tracemalloc.get_traced_memory()[1] < memory
  finally:
    tracemalloc.stop()
  message = str(caught.value)
  assert "\n" not in message and len(message) <= MAX_LENGTH
  return message


def encrypted():
  data = bytearray(npz({"features.npy": npy(FEATURES)}))
  data[6] |= 1
  data[data.rfind(b"PK\1\2") + 8] |= 1
  return bytes(data)


def states_more_than_it_holds():
  """A zip whose directory says that its entry is 4 GB."""
  data = bytearray(npz({"features.npy": header("(8000000, 128)")}))
  struct.pack_into("<I", data, data.rfind(b"PK\1\2") + 24, (1 << 32) - 2)
  return bytes(data)


def overlapping():
  data = npz({"features.npy": npy(FEATURES)})
  start = data.rfind(b"PK\1\2")
  end = data.rfind(b"PK\5\6")
  entry, last = data[start:end], bytearray(data[end:])
  other = entry.replace(b"features.npy", b"pairs123.npy")
  struct.pack_into("<HHI", last, 8, 2, 2, 2 * len(entry))
  return data[:end] + other + bytes(last)


BAD = {
  "a .npz by name.npy": npz({"features.npy": npy(FEATURES)}),
  "a .npy by name.npz": npy(FEATURES),
  "no end of the header.npy": raw_header(b"{'descr': '<f4', 'shape': (3, 4"),
  "parentheses.npy": raw_header(b"(" * 4000 + b")" * 4000),
  "minus signs.npy": raw_header(b"-" * 9000 + b"1"),
  "no header.npy": b"\x93NUMPY\1\0",
  "quotes that do not fit.npy": raw_header(
    b"{'descr': '<f4', \"shape': (3, 4), 'fortran_order': False, }\n"
  )
  + bytes(48),
  "bytes before the archive.npz": b"ahead"
  + npz({"features.npy": npy(FEATURES)}),
  "a space that is none.npy": header("(3,\xa04)") + bytes(48),
  "version 3.npy": b"\x93NUMPY\3\0" + npy(FEATURES)[8:],
  "one negative length.npy": header("(-3, 4)"),
  "two negative lengths.npy": header("(-3, -4)") + bytes(48),
  "beyond 64 bits.npy": header(f"({2**64}, 4)"),
  "beyond 64 bits in all.npy": header(f"({2**40}, {2**40})"),
  "True.npy": header("(True, 4)") + bytes(16),
  "no tuple.npy": header("(4)") + bytes(16),
  "thousand dimensions.npy": header("(" + "1," * 1000 + ")") + bytes(4),
  "larger than the file.npy": header("(1000000000, 128)"),
  "larger than the file.npz": npz(
    {"features.npy": header("(100000000000, 128)")}
  ),
  "larger than the entry.npz": npz({"features.npy": header("(99999999, 9)")}),
  "larger than its bytes.npz": states_more_than_it_holds(),
  "objects.npy": header("(1,)", "'|O'") + b"cos\nsystem\n.",
  "a record.npy": header("(1,)", "[('a', '<f4')]") + bytes(4),
  "no type.npy": header("(4, 4)", "'<f3'") + bytes(64),
  "text of no width.npy": header("(99999999999, 99)", "'<U0'"),
  "code.npy": header("(2, 2)", "__import__('os').abort()") + bytes(16),
  "a long header.npz": npz(
    {
      "features.npy": b"\x93NUMPY\2\0"
      + struct.pack("<I", 30_000_000)
      + b" " * 30_000_000
    },
    zipfile.ZIP_DEFLATED,
  ),
  "no magic.npz": npz({"features.npy": b"hello"}),
  "encrypted.npz": encrypted(),
  "overlapping.npz": overlapping(),
  "another compression.npz": npz(
    {"features.npy": npy(FEATURES)}, zipfile.ZIP_BZIP2
  ),
  "bytes behind.npy": npy(FEATURES) + b"x",
  "bytes behind.npz": npz({"features.npy": npy(FEATURES) + b"x"}),
  "cut off.npy": npy(FEATURES)[:-1],
  "cut off.npz": npz({"features.npy": npy(FEATURES)[:-1]}),
  "Fortran order.npy": npy(np.asfortranarray(FEATURES)),
  "Fortran order.npz": npz({"features.npy": npy(np.asfortranarray(FEATURES))}),
}


@pytest.mark.parametrize("read", [load, read_stream])
@pytest.mark.parametrize("name", BAD)
def test_training_and_encoding_refuse_the_same_files(tmp_path, name, read):
  path = tmp_path / name
  path.write_bytes(BAD[name])
  assert name in refused(read, path)


@pytest.mark.parametrize("array", ["names", "provenance", "is_same", "more"])
def test_only_text_that_is_text_and_booleans_that_are_booleans(tmp_path, array):
  members = {
    "features": npy(FEATURES),
    "names": header("(40,)", "'<U1'") + b"\xff" * 160,
    "provenance": header("()", "'<U1'") + b"\0\0\x11\0",
    "is_same": header("(20,)", "'|b1'") + bytes([0, 7] * 10),
    "more": b"hello",
  }
  path = tmp_path / "set.npz"
  wanted = {k: v for k, v in members.items() if k in ("features", array)}
  path.write_bytes(npz({f"{k}.npy": v for k, v in wanted.items()}))
  if array == "more":  # Nobody reads it.
    np.testing.assert_array_equal(load(path), FEATURES)
  else:
    assert f"array '{array}'" in refused(load, path)


def test_an_identity_beyond_63_bits_is_not_taken_for_unknown(tmp_path):
  path = tmp_path / "set.npz"
  identities = np.arange(40, dtype=np.uint64)
  np.savez(path, features=FEATURES, identities=identities)
  assert feature_sets.load(str(path)).identities.dtype == np.int64
  identities[7] = 2**64 - 1
  np.savez(path, features=FEATURES, identities=identities)
  message = refused(load, path)
  assert "'identities' is 18446744073709551615 in row 7" in message


def test_headers_of_other_writers_are_read():
  for text in (
    b"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }  \n",
    b"{'shape':(3,2),'descr':'<f4','fortran_order':False}",
    b'{"descr": "<f4", "fortran_order": False, "shape": (3L, 2L)}',
  ):
    found = arrays.read_header(io.BytesIO(raw_header(text)), "x")
    assert found == (np.float32, (3, 2), False, 10 + len(text))


@pytest.mark.parametrize(
  "array",
  [
    np.arange(6, dtype=">i8").reshape(2, 3),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.array("a sentence"),
    np.array(["a", "", "\U0010ffff"]),
    np.array([True, False]),
    np.zeros([0, 3], np.float16),
    np.array(7),
  ],
  ids=lambda array: f"{array.dtype}{list(array.shape)}",
)
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_writes_is_read_as_numpy_reads_it(tmp_path, array, save):
  save(tmp_path / "a.npz", a=array, b=FEATURES)
  found = arrays.read_all(tmp_path / "a.npz")
  assert list(found) == ["a", "b"]
  np.testing.assert_array_equal(found["a"], array)
  assert (found["a"].dtype, found["a"].shape) == (array.dtype, array.shape)
  found["b"][0, 0] = 1  # Writable, as numpy's are.


def test_a_file_with_something_else_in_it_is_no_archive_of_arrays(tmp_path):
  path = tmp_path / "weights.npz"
  path.write_bytes(npz({"a.npy": npy(FEATURES), "readme.txt": b"hello"}))
  with pytest.raises(Error, match="other files than arrays"):
    arrays.read_all(path)
  path.write_bytes(npz({}))
  assert arrays.read_all(path) == {}


def test_a_message_is_one_short_line_whatever_it_quotes():
  message = str(Error("a\x1b[31m\nb " + "x" * 1000 + " the reason."))
  assert len(message) == MAX_LENGTH
  assert message.isprintable()
  assert message.startswith("a [31m b xxx") and message.endswith("the reason.")
  assert str(Error("short")) == "short"
