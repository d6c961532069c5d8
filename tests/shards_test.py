"""Feature sets in shards: written, read row by row, trained from."""

import io
import tarfile
import tracemalloc

import numpy as np
import pytest

from tsenh.base.errors import Error
from tsenh.coding import entropy
from tsenh.data import feature_sets, shards, streams
from tsenh.data.feature_sets import FeatureSet
from tsenh.data.shards import Shard
from tsenh.features import coarse
from tsenh.training.samplers import Shuffled

RANDOM = np.random.default_rng(0)
FEATURES = RANDOM.normal(size=(50, 6)).astype(np.float32)
NAMES = np.array([f"photo {'x' * (i % 7)}{i}" for i in range(50)])
PEOPLE = RANDOM.integers(-1, 9, 50)


def pieces(lengths=(3, 0, 20, 1, 26)):
  start = 0
  for length in lengths:
    rows = slice(start, start + length)
    yield Shard(FEATURES[rows], NAMES[rows], PEOPLE[rows])
    start += length


@pytest.fixture
def folder(tmp_path):
  shards.write(str(tmp_path / "set"), pieces(), 50, "made up", rows=16)
  return tmp_path / "set"


def test_a_set_in_shards_is_the_set(folder):
  found = feature_sets.load(str(folder))
  np.testing.assert_array_equal(found.features, FEATURES)
  np.testing.assert_array_equal(found.names, NAMES)
  np.testing.assert_array_equal(found.identities, PEOPLE)
  assert found.provenance == "made up"
  assert [path.name for path in shards.paths(str(folder))] == [
    f"set-0000{i}-of-00004.tar" for i in range(4)
  ]
  on_disk = feature_sets.load(str(folder), in_memory=False)
  assert isinstance(on_disk.features, shards.Rows)
  assert on_disk.digest() == FeatureSet(FEATURES).digest()
  with streams.open_stream(str(folder), 7) as stream:
    assert (stream.count, stream.dim) == (50, 6)
    np.testing.assert_array_equal(np.concatenate(list(stream.blocks)), FEATURES)


def test_a_shard_is_a_tar_of_arrays_that_anybody_reads(folder):
  with tarfile.open(folder / "set-00001-of-00004.tar") as tar:
    members = {m.name: tar.extractfile(m).read() for m in tar}
  assert list(members) == [
    f"00001.{key}"
    for key in (
      "features.npy",
      "identities.npy",
      "names.json",
      "provenance.txt",
    )
  ]
  features = np.load(io.BytesIO(members["00001.features.npy"]))
  np.testing.assert_array_equal(features, FEATURES[16:32])


def test_shards_do_not_depend_on_how_the_features_came(folder, tmp_path):
  shards.write(str(tmp_path / "more"), pieces([50]), 50, "made up", rows=16)
  for path in shards.paths(str(folder)):
    other = tmp_path / "more" / path.name.replace("set", "more")
    assert path.read_bytes() == other.read_bytes()
  with pytest.raises(Error, match="is there already"):
    shards.write(str(tmp_path / "more"), pieces(), 50, "")


@pytest.mark.parametrize(
  "key",
  [
    slice(None),
    slice(14, 18),
    slice(49, 3, -5),
    slice(0, 0),
    7,
    np.array([[49, 0], [15, 16], [16, 16]]),
    Shuffled(50, 4, seed=1).batches(0),
  ],
  ids=str,
)
def test_rows_are_read_as_numpy_would_pick_them(folder, key):
  rows = feature_sets.load(str(folder), in_memory=False).features
  found = rows[key]
  assert type(found) is np.ndarray
  np.testing.assert_array_equal(found, FEATURES[key])


def test_rows_beyond_the_end_and_damaged_files_are_errors(folder):
  rows = feature_sets.load(str(folder), in_memory=False).features
  with pytest.raises(IndexError, match="rows 3 to 50 of 50"):
    rows[np.array([3, 50])]
  path = folder / "set-00002-of-00004.tar"
  whole = path.read_bytes()
  path.write_bytes(whole[:700])
  assert rows[np.array([0])].shape == (1, 6)
  with pytest.raises(Error, match="is cut off"):
    rows[:]
  with pytest.raises(Error, match=r"set-00002-of-00004\.tar"):
    feature_sets.load(str(folder))
  path.unlink()
  with pytest.raises(Error, match=r"set-00002-of-00004\.tar is missing"):
    feature_sets.load(str(folder))
  path.write_bytes((folder / "set-00003-of-00004.tar").read_bytes())
  assert len(feature_sets.load(str(folder)).features) == 36  # Two rows twice.
  shards.write_shard(path, 2, Shard(FEATURES[:4, :5], None, PEOPLE[:4]), "")
  with pytest.raises(Error, match="its shards differ in shape"):
    feature_sets.load(str(folder))
  shards.write_shard(path, 2, Shard(FEATURES[:4], NAMES[:3], PEOPLE[:4]), "")
  with pytest.raises(Error, match="its names are no list of 4 texts"):
    feature_sets.load(str(folder))
  shards.write_shard(path, 2, Shard(FEATURES[:4], None, PEOPLE[:5]), "")
  with pytest.raises(Error, match="its arrays differ in length"):
    feature_sets.load(str(folder))
  with pytest.raises(Error, match="not a folder of shards"):
    feature_sets.load(str(folder.parent))


def test_what_is_computed_from_rows_is_what_is_computed_in_memory(folder):
  rows = feature_sets.load(str(folder), in_memory=False).features
  double = streams.in_chunks(lambda x: np.rint(9 * x).astype(np.int32), rows)
  codes = np.rint(9 * FEATURES).astype(np.int32)
  assert isinstance(double, shards.Rows) and double.dtype == np.int32
  np.testing.assert_array_equal(double[:], codes)
  for one, two in zip(entropy.fit_tables(double), entropy.fit_tables(codes)):
    np.testing.assert_array_equal(one, two)
  coder = entropy.fit_coder(double)
  mean = streams.mean(coder.bits, double)
  assert mean == pytest.approx(coder.bits(codes).mean(), rel=1e-12)
  people = coarse.labels(PEOPLE)
  np.testing.assert_array_equal(
    coarse.centres(rows, people), coarse.centres(FEATURES, people)
  )


def test_memory_does_not_grow_with_the_set(tmp_path):
  block = np.zeros([20000, 64], np.float32)  # 5 MB.
  count = 40 * len(block)
  repeated = (Shard(block, None, None) for _ in range(40))
  tracemalloc.start()
  shards.write(str(tmp_path / "large"), repeated, count, "", rows=20000)
  found = feature_sets.load(str(tmp_path / "large"), in_memory=False)
  codes = streams.in_chunks(lambda x: x.astype(np.int32), found.features)
  entropy.fit_tables(codes)
  batches = Shuffled(count, 32, 0).batches(0)
  assert found.features[batches[:512]].shape == (512, 32, 64)
  peak = tracemalloc.get_traced_memory()[1]
  tracemalloc.stop()
  assert peak < 80e6 < count * 64 * 4  # 205 MB would be all of it.


def test_what_a_frozen_codec_says_of_rows_is_what_it_says_in_memory(
  pro, lfw, tmp_path
):
  features = lfw.features[:5000]
  path = str(tmp_path / "lfw")
  shards.write(path, [Shard(features, None, None)], 5000, "", rows=1500)
  rows = feature_sets.load(path, in_memory=False).features
  for rounded in (True, False):
    codes = pro.transform.training_codes(rows, rounded)
    assert isinstance(codes, shards.Rows)
    expected = pro.transform.training_codes(features, rounded)
    np.testing.assert_array_equal(codes[:], expected)


@pytest.mark.slow
def test_a_codec_trains_from_shards_to_the_same_bits(
  run, small_faces, tmp_path
):
  faces = feature_sets.load(str(small_faces)).features
  parts = (Shard(faces[s : s + 100], None, None) for s in range(0, 640, 100))
  shards.write(str(tmp_path / "shards"), parts, 640, "", rows=150)
  for name, features in (("a", small_faces), ("b", "shards")):
    run(
      *("tsenh.train_codec", "--lambda=1e-6", "--epochs=2"),
      *(f"--features={features}", f"--output={name}"),
      cwd=tmp_path,
    )
  for file in ("weights.npz", "tables.npz"):
    one, two = ((tmp_path / name / file).read_bytes() for name in "ab")
    assert one == two
