import io
import pathlib
import re
import zipfile
import zlib

import numpy as np
import pytest
from conftest import ROOT

from tsenh.base.errors import Error
from tsenh.data import feature_sets, manifests, streams


def valid(n=40):
  return {
    "features": np.random.default_rng(0).normal(size=[n, 6]).astype("f4"),
    "pairs": np.stack([np.arange(20), np.arange(20) + 20], axis=1),
    "is_same": np.arange(20) % 2 == 0,
  }


def test_a_set_survives_saving_and_loading(tmp_path):
  arrays = valid()
  arrays["names"] = np.array([f"face {i}" for i in range(40)])
  arrays["identities"] = np.arange(40) - 1
  arrays["provenance"] = "made up for a test"
  path = str(tmp_path / "set.npz")
  feature_sets.save(path, feature_sets.FeatureSet(**arrays))
  loaded = feature_sets.load(path)
  for name, value in arrays.items():
    np.testing.assert_array_equal(getattr(loaded, name), value)


@pytest.mark.parametrize(
  ("change", "message"),
  [
    (
      {"features": np.zeros([40, 6])},
      "'features' is float64, expected float32",
    ),
    ({"features": np.zeros([40, 6], int)}, "'features' is int64"),
    ({"features": np.zeros([40], "f4")}, r"'features' has shape \[40\]"),
    ({"features": np.zeros([0, 6], "f4")}, "'features' is empty"),
    ({"features": np.zeros([6, 0], "f4")}, "'features' is empty"),
    ({"pairs": np.zeros([20, 3], int)}, r"'pairs' has shape \[20, 3\]"),
    ({"pairs": np.zeros([20, 2])}, "'pairs' is float64, expected integers"),
    ({"pairs": np.full([20, 2], 40)}, "'pairs' names rows .* in row 0"),
    ({"pairs": None}, "'pairs' and array 'is_same' go together"),
    ({"is_same": np.zeros(20, int)}, "'is_same' is int64, expected bool"),
    ({"is_same": np.zeros(19, bool)}, r"'is_same' has shape \[19\]"),
    (
      {"is_same": (np.arange(20) % 2 == 0) | (np.arange(20) == 3)},
      "one kind in the fold from row 2 on",
    ),
    ({"names": np.array(["a"] * 39)}, r"'names' has shape \[39\]"),
    ({"names": np.arange(40)}, "'names' is int64, expected text"),
    ({"identities": np.zeros(40)}, "'identities' is float64"),
    ({"identities": np.arange(40) - 2}, "'identities' is -2 in row 0"),
    ({"provenance": np.arange(3)}, "'provenance' is not one string"),
    ({"features": np.array([None])}, "it holds Python objects"),
  ],
)
def test_a_bad_array_is_named(tmp_path, change, message):
  arrays = {**valid(), **change}
  path = tmp_path / "bad.npz"
  np.savez(path, **{k: v for k, v in arrays.items() if v is not None})
  with pytest.raises(Error, match=message) as error:
    feature_sets.load(str(path))
  assert str(path) in str(error.value)
  assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1.1e6, -1.1e6])
@pytest.mark.parametrize("suffix", ["npz", "npy"])
def test_a_value_that_cannot_be_coded_is_named_with_its_row(
  tmp_path, value, suffix
):
  array = valid()["features"]
  array[17, 3] = value
  path = str(tmp_path / f"bad.{suffix}")
  if suffix == "npz":
    np.savez(path, features=array)
  else:
    np.save(path, array)
  with pytest.raises(Error, match="'features', row 17 holds"):
    feature_sets.load(path)
  with (
    pytest.raises(Error, match="'features', row 17 holds"),
    streams.open_stream(path, 4) as stream,
  ):
    list(stream.blocks)


def test_pairs_that_make_no_ten_folds_are_refused(tmp_path):
  arrays = valid()
  arrays = {
    **arrays,
    "pairs": arrays["pairs"][:19],
    "is_same": arrays["is_same"][:19],
  }
  np.savez(tmp_path / "bad.npz", **arrays)
  with pytest.raises(Error, match="19 rows, which do not make 10 folds"):
    feature_sets.load(str(tmp_path / "bad.npz"))


def test_files_that_are_no_feature_sets_are_refused_in_one_sentence(tmp_path):
  good = tmp_path / "good.npz"
  np.savez(good, **valid())
  cut = tmp_path / "cut.npz"
  cut.write_bytes(good.read_bytes()[:-100])
  text = tmp_path / "text.npz"
  text.write_text("hello")
  flipped = tmp_path / "flipped.npz"
  data = bytearray(good.read_bytes())
  data[300] ^= 1
  flipped.write_bytes(data)
  empty = tmp_path / "empty.npy"
  empty.write_bytes(b"")
  other = tmp_path / "other.npz"
  np.savez(other, lfw=np.zeros([3, 3], "f4"))
  for path in (cut, text, flipped, empty, other, tmp_path / "none.npz", "lwf"):
    with pytest.raises(Error, match=str(path)) as error:
      feature_sets.load(str(path))
    assert "\n" not in str(error.value)


def test_an_unpickler_is_never_run(tmp_path):
  class Evil:
    def __reduce__(self):
      return (print, ("unpickled",))

  path = tmp_path / "evil.npz"
  buffer = io.BytesIO()
  np.lib.format.write_array(buffer, np.array([Evil()]), allow_pickle=True)
  with zipfile.ZipFile(path, "w") as archive:
    archive.writestr("features.npy", buffer.getvalue())
  with pytest.raises(Error, match="Python objects"):
    feature_sets.load(str(path))


def test_a_plain_array_is_memory_mapped(tmp_path):
  array = valid()["features"]
  np.save(tmp_path / "a.npy", array)
  loaded = feature_sets.load(str(tmp_path / "a.npy"))
  assert isinstance(loaded.features, np.memmap)
  np.testing.assert_array_equal(loaded.features, array)


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f2"])
@pytest.mark.parametrize("suffix", ["npz", "npy"])
def test_a_stream_gives_the_features_in_blocks(tmp_path, dtype, suffix):
  array = valid()["features"].astype(dtype)
  path = str(tmp_path / f"a.{suffix}")
  if suffix == "npz":
    np.savez_compressed(path, features=array)
  else:
    np.save(path, array)
  with streams.open_stream(path, 16) as stream:
    blocks = list(stream.blocks)
  assert (stream.count, stream.dim) == (40, 6)
  assert [len(block) for block in blocks] == [16, 16, 8]
  assert {block.dtype for block in blocks} == {np.dtype("f4")}
  np.testing.assert_array_equal(np.concatenate(blocks), array.astype("f4"))


def test_a_cut_or_too_long_stream_is_refused(tmp_path):
  path = tmp_path / "a.npy"
  np.save(path, valid()["features"])
  whole = path.read_bytes()
  for data, message in (
    (whole[:-1], "ends in row 39"),
    (whole + b"x", "bytes follow"),
  ):
    path.write_bytes(data)
    with (
      pytest.raises(Error, match=message),
      streams.open_stream(str(path), 16) as stream,
    ):
      list(stream.blocks)


def test_a_set_of_the_repository_alone_says_so_where_it_is_not(monkeypatch):
  gone = pathlib.Path("nowhere")
  monkeypatch.setattr(manifests, "FOLDER", gone)
  for name in ("rank64-faces", "rank64-faces-validation", "dlib-lfw"):
    with pytest.raises(Error, match=f"{name}: comes with a clone"):
      feature_sets.load(name)


def test_what_an_installed_package_holds_stays_small():
  """The wheel, which is zipped, stays below 45 MB; code takes less than one."""
  files = [*manifests.FOLDER.glob("*.npz")]
  files += (ROOT / "checkpoints").rglob("*.*")
  # setup.py leaves them to the repository.
  left_out = re.compile("rank64-|dlib-|images/.*/residual/")
  files = [path for path in files if not left_out.search(path.as_posix())]
  assert len(files) > 30
  arrays = [path for path in files if path.suffix == ".npz"]
  assert sum(path.stat().st_size for path in arrays) < 45e6
  sizes = [len(zlib.compress(path.read_bytes(), 6)) for path in files]
  assert sum(sizes) < 44e6


def test_a_protocol_is_one_of_a_files_lists_of_pairs():
  ff, fp = feature_sets.load("cfp-ff"), feature_sets.load("cfp-fp")
  np.testing.assert_array_equal(ff.features, fp.features)
  shows = ["profile" in name for name in ff.names]
  assert not np.take(shows, ff.pairs).any()
  assert (np.take(shows, fp.pairs) == [False, True]).all()
