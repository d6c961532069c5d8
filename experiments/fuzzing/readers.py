"""What is fuzzed: each reader of foreign files, beside one that must agree.

A reader may accept its input or raise an `Error`; anything else is a finding.
What one implementation accepts, the other one has to accept too, and to read
the same from it.
"""

import functools
import io
import os
import pathlib
import shutil
import tempfile
from typing import Any, Callable, Dict, NamedTuple

import numpy as np

from experiments.fuzzing import mutations
from tsenh import portable
from tsenh.base import provenance
from tsenh.base.errors import MAX_LENGTH, Error
from tsenh.coding import bitstream, entropy
from tsenh.data import feature_sets, streams
from tsenh.features import compressor
from tsenh.images import codec as image_codec
from tsenh.images import pictures, tsi
from tsenh.training import run_folders

EXPECTED = provenance.ROOT / "tests" / "expected"
CORPUS = provenance.ROOT / "tests" / "corpus"
# In memory, where there is such a thing.
SCRATCH = pathlib.Path(
  tempfile.mkdtemp(
    prefix="tsenh-fuzz-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None
  )
)
_REFUSED = "refused"


class Reader(NamedTuple):
  """Something that reads foreign bytes.

  Attributes:
    seeds: sound inputs, from which the fuzzer starts.
    read: reads an input with all implementations; raises on a finding.
    mutate: see `mutations`.
    files: of the project, whose coverage is reported.
  """

  seeds: Callable[[], Dict[str, bytes]]
  read: Callable[[bytes], None]
  mutate: Callable
  files: tuple


def outcome(function: Callable, *args) -> Any:
  """What a function returns, or that it raised an Error of one sentence."""
  try:
    return function(*args)
  except Error as error:
    message = str(error)
    assert message.isprintable() and len(message) <= MAX_LENGTH, message
    return _REFUSED


def _refused(result: Any) -> bool:
  return isinstance(result, str) and result == _REFUSED


class _Pipe(io.BytesIO):
  """Bytes that come in order, as through a pipe."""

  def seekable(self):
    return False

  def seek(self, *_):
    raise io.UnsupportedOperation


@functools.cache
def _codec():
  folder = str(EXPECTED / "codecs" / "tfc")
  return compressor.load(folder), portable.load(folder)


def _integers(file: io.BytesIO, compiled: bool) -> np.ndarray:
  """Codes by the compiled coder, where there is Numba, or by tfc's ops."""
  entropy.COMPILED_AFTER = 0 if compiled else 1 << 60
  main, _ = _codec()
  header = compressor.read_header(main, file)
  return np.concatenate(list(compressor.decode_codes(main, file, header)))


def read_file(data: bytes) -> None:
  """A `.tsf` file: from memory, as a stream, and by `portable`.

  Both of our coders take part: tfc's ops decode memory, the compiled one the
  stream and, once more, memory.
  """
  main, port = _codec()
  codes = outcome(_integers, io.BytesIO(data), False)
  np.testing.assert_array_equal(
    codes, outcome(_integers, io.BytesIO(data), True)
  )
  streamed = outcome(_integers, _Pipe(data), True)
  other = outcome(portable.decompress_codes, port, data)
  np.testing.assert_array_equal(codes, other)
  # A stream's limit counts the bytes so far, which may be fewer.
  if not _refused(streamed):
    np.testing.assert_array_equal(codes, streamed)
  if not _refused(codes):
    decoded = outcome(main.decompress, data)
    other = outcome(portable.decompress, port, data)
    assert _refused(decoded) == _refused(other)
    if not _refused(decoded):
      np.testing.assert_allclose(decoded, other, rtol=1e-4, atol=1e-4)


def file_seeds() -> Dict[str, bytes]:
  """Files of either packing, of one block and of more, some with escapes."""
  main, _ = _codec()
  features = feature_sets.load("lfw").features[:7]
  seeds = {}
  for packing in bitstream.PACKINGS:
    for block_size in (1, 3, 1024):
      name = f"{packing}-{block_size}"
      seeds[name] = main.compress(features, packing, block_size)
    # Far from any face, so that the tables lack its values.
    seeds[f"{packing}-far"] = main.compress(50 * features, packing, 4)
  return seeds


@functools.cache
def _learned():
  """The coder of the shipped learned layer, and its tables."""
  return image_codec.load("faces64").residual


def _unpack_learned(layer: tsi.Layer, count: int) -> None:
  """A learned layer, behind its digest and a base layer of zeros."""
  coder, tables = _learned()
  base = np.zeros([count, coder.low_dim], np.int32)
  tables.unpack(
    layer.payload[8:],
    count,
    lambda side: coder.octaves(side, base, layer.setting),
  )


def read_image(data: bytes) -> None:
  """A `.tsi` file: its features, and its layers as far as images."""
  header = outcome(tsi.read_header, data)
  if _refused(header):
    return
  base = outcome(tsi.read_base, data, header)
  if not _refused(base):
    outcome(_codec()[0].decompress, base)
  layers = outcome(tsi.read_layers, data, header)
  # More are sound, and take more memory than a reader of other files may.
  few = header.num_faces * header.size**2 <= 1 << 20
  for layer in () if _refused(layers) or not few else layers:
    if layer.kind in pictures.FORMATS:
      shape = header.num_faces, header.size
      outcome(pictures.decode, layer.payload, layer.kind, *shape)
    else:
      outcome(_unpack_learned, layer, header.num_faces)


def image_seeds() -> Dict[str, bytes]:
  """The golden files, and one with a layer of each standard codec."""
  main, _ = _codec()
  faces = np.random.default_rng(0).integers(0, 256, [3, 16, 16, 3], np.uint8)
  layers = [
    tsi.Layer(kind, 2, pictures.encode(faces, kind, 20))
    for kind in tsi.KINDS
    if kind in pictures.FORMATS
  ]
  base = main.compress(feature_sets.load("lfw").features[:3])
  header = tsi.Header(0, 16, 3, b"8 bytes.", 0)
  golden = EXPECTED / "tsi"
  return {
    "golden": (golden / "faces.tsi").read_bytes(),
    "learned": (golden / "learned.tsi").read_bytes(),
    "standard": tsi.pack(header, base, layers),
  }


def _read_features(suffix: str, data: bytes) -> None:
  """Features as a set and as a stream, and by numpy."""
  path = SCRATCH / f"features{suffix}"
  path.write_bytes(data)

  def streamed():
    with streams.open_stream(str(path), 3) as stream:
      blocks = list(stream.blocks)
      return np.concatenate(blocks) if blocks else np.empty([0, stream.dim])

  loaded = outcome(feature_sets.load, str(path))
  in_order = outcome(streamed)
  if _refused(loaded):
    # Of a set more is read than its features.
    assert suffix == ".npz" or _refused(in_order)
    return
  np.testing.assert_array_equal(loaded.features, in_order)
  array = np.load(path, allow_pickle=False)
  if suffix == ".npz":
    with array:
      array = array["features"]
  np.testing.assert_array_equal(loaded.features, array.astype(np.float32))


def _saved(array: np.ndarray, version=None) -> bytes:
  file = io.BytesIO()
  np.lib.format.write_array(file, array, version, allow_pickle=False)
  return file.getvalue()


def array_seeds() -> Dict[str, bytes]:
  """Features as `.npy` files."""
  features = feature_sets.load("lfw").features[:4, :5]
  return {
    "float32": _saved(features),
    "float16": _saved(features.astype(np.float16)),
    "version-2": _saved(features, (2, 0)),
    "big-endian": _saved(features.astype(">f4")),
    "fortran": _saved(np.asfortranarray(features)),
    "float64": _saved(features.astype(np.float64)),
  }


def set_seeds() -> Dict[str, bytes]:
  """A feature set with all its arrays, and one with features alone."""
  lfw = feature_sets.load("lfw")
  rows = np.arange(20) % 4
  whole = {
    "features": lfw.features[:4, :5],
    "names": lfw.names[:4],
    "identities": np.arange(4) // 2,
    "pairs": np.stack([rows, (rows + 1) % 4], axis=1),
    "is_same": rows % 2 == 0,
    "provenance": np.array("LFW"),
  }
  seeds = {}
  for name, known in (
    ("whole", whole),
    ("features", {"features": whole["features"]}),
  ):
    files = {f"{key}.npy": _saved(array) for key, array in known.items()}
    seeds[name] = mutations.packed(files)
  return seeds


def _folder_bytes(folder: pathlib.Path) -> bytes:
  return mutations.packed(
    {
      str(path.relative_to(folder)): path.read_bytes()
      for path in sorted(folder.rglob("*"))
      if path.is_file()
    }
  )


def _unpack(data: bytes) -> pathlib.Path:
  """A run's folder from the archive of its files."""
  folder = SCRATCH / "run"
  shutil.rmtree(folder, ignore_errors=True)
  (folder / run_folders.HIGH).mkdir(parents=True)
  high = f"{run_folders.HIGH}/"
  for name, content in mutations.unpacked(data).items():
    known = (run_folders.CONFIG, run_folders.WEIGHTS, run_folders.TABLES)
    if name.removeprefix(high) in known:
      (folder / name).write_bytes(content)
  return folder


def _read_codec(folder: pathlib.Path):
  run = compressor.read_run(str(folder), compressor.CODECS)
  coder = compressor.read_coder(run)
  return run, coder


def read_codec(data: bytes) -> None:
  """A codec's run folder, as it is and with the digests of what it holds."""
  folder = _unpack(data)
  for change in (lambda _: None, mutations.sign):
    change(folder)
    ours = outcome(_read_codec, folder)
    other = outcome(portable.load, str(folder))
    if _refused(ours) or ours[0].kind is not compressor.Codec:
      assert _refused(other)
      continue
    assert not _refused(other)
    run, coder = ours
    _assert_same_weights(run, other)
    np.testing.assert_array_equal(coder.lower, other.lower)
    for row, used in zip(coder.cdf, other.cdf):
      np.testing.assert_array_equal(row[: len(used)], used)
      assert (row[len(used) :] == entropy.TOTAL).all()


@functools.cache
def _low():
  return compressor.load(str(EXPECTED / "codecs" / "classic"))


def read_enhancer(data: bytes) -> None:
  """An enhancer's run folder, with the codec inside; as `read_codec`."""
  folder = _unpack(data)

  def sign_both(path):
    mutations.sign(path / run_folders.HIGH)
    mutations.sign(path)

  for change in (lambda _: None, sign_both):
    change(folder)
    ours = outcome(compressor.read_enhancer, str(folder), _low())
    other = outcome(portable.load_enhancer, str(folder))
    if _refused(ours) or ours[0].kind is not compressor.Enhancer:
      continue  # `portable` asks for the low-rate codec when it decodes.
    assert not _refused(other)
    _assert_same_weights(ours[0], other)
    _assert_same_weights(ours[1], other.high)


def _assert_same_weights(run: compressor.Run, other) -> None:
  assert run.weights.keys() == other.weights.keys()
  for name, array in run.weights.items():
    np.testing.assert_array_equal(array, other.weights[name])


def codec_seeds() -> Dict[str, bytes]:
  """The two codecs of the golden vectors, and a shipped one of SQ."""
  codecs = EXPECTED / "codecs"
  seeds = {path.name: _folder_bytes(path) for path in sorted(codecs.iterdir())}
  seeds["sq"] = _folder_bytes(run_folders.find("sq-50"))
  return seeds


READERS = {
  "tsf": Reader(
    file_seeds,
    read_file,
    mutations.mutate_file,
    ("tsenh/coding/bitstream.py", "tsenh/coding/entropy.py"),
  ),
  "tsi": Reader(
    image_seeds,
    read_image,
    functools.partial(mutations.mutate_file, repair=mutations.repaired_image),
    tuple(
      f"tsenh/images/{name}.py" for name in ("conditional", "pictures", "tsi")
    ),
  ),
  "npy": Reader(
    array_seeds,
    functools.partial(_read_features, ".npy"),
    lambda data, mutate, _: mutate(data),
    ("tsenh/base/arrays.py", "tsenh/data/streams.py"),
  ),
  "npz": Reader(
    set_seeds,
    functools.partial(_read_features, ".npz"),
    mutations.mutate_archive,
    (
      "tsenh/base/arrays.py",
      "tsenh/data/feature_sets.py",
      "tsenh/data/streams.py",
    ),
  ),
  "codec": Reader(
    codec_seeds,
    read_codec,
    mutations.mutate_archive,
    (
      "tsenh/base/arrays.py",
      "tsenh/base/configs.py",
      "tsenh/features/compressor.py",
      "tsenh/portable.py",
    ),
  ),
  "enhancer": Reader(
    lambda: {"golden": _folder_bytes(EXPECTED / "enhancer")},
    read_enhancer,
    mutations.mutate_archive,
    (
      "tsenh/base/configs.py",
      "tsenh/features/compressor.py",
      "tsenh/portable.py",
    ),
  ),
}
