"""Run folders that somebody else made: one sentence, before anything is big."""

import contextlib
import hashlib
import io
import json
import shutil
import time
import tracemalloc

import numpy as np
import pytest
from conftest import ROOT

from tsenh import portable
from tsenh.base import configs
from tsenh.base.errors import MAX_LENGTH, Error
from tsenh.features import compressor
from tsenh.features.decoder import Decoder
from tsenh.features.enhancer import Enhancer
from tsenh.features.pro import Codec
from tsenh.features.sq_enhancer import SQEnhancer
from tsenh.training import run_folders

EXPECTED = ROOT / "tests" / "expected"
REMOVED = object()
DIMENSIONS = ("feature_dim", "code_dim", "hidden_dim")
WRONG = {
  **{
    key: [REMOVED, None, "128", 128.0, True, 0, -1, [], 25, 8000, 10**12, 1e999]
    for key in DIMENSIONS
  },
  "clip": [REMOVED, None, "20", True, [], 0, -1.0, float("nan"), 1e999, 10**30],
  "gdn": [REMOVED, None, "x", "tfc", 7, [], {}],
  "gdn_layers": [REMOVED, None, "1", 1.0, True, 0, 2, 3, []],
  "kind": [None, "x", "sq", "pca", "pro-e", [], {}, 7, "x" * 5000],
  "status": [REMOVED, None, "training", [], {}, 7],
  "codec_digest": [REMOVED, None, "", "zz", 5, [], "0" * 64],
  "table_digest": [REMOVED, None, "", "zz", 5, [], "0" * 64],
}
TEXTS = {
  "nothing": b"",
  "a list": b"[]",
  "deep lists": b"[" * 100_000,
  "deep objects": b'{"status":' * 20_000,
  "no text": b'\xff\xfe"\xd8\x00',
  "a number of 5,000 digits": b'{"status": 1' + b"0" * 5000 + b"}",
  "larger than any": b'{"status": "' + b"x" * configs.MAX_BYTES + b'"}',
}


@pytest.fixture
def folder(tmp_path):
  shutil.copytree(EXPECTED / "codecs" / "classic", tmp_path / "run")
  return tmp_path / "run"


def rewrite(folder, **values):
  path = folder / "config.json"
  config = {**json.loads(path.read_text()), **values}
  path.write_text(
    json.dumps({k: v for k, v in config.items() if v is not REMOVED})
  )


def assert_both_refuse(folder):
  for load in (compressor.load, portable.load):
    start = time.process_time()
    with pytest.raises(Error) as caught:
      load(str(folder))
    assert time.process_time() - start < 2
    message = str(caught.value)
    assert "run" in message
    assert message.isprintable() and len(message) <= MAX_LENGTH


@pytest.mark.parametrize("key", WRONG)
def test_a_wrong_value_is_refused_by_both_implementations(folder, key):
  assert compressor.load(str(folder)).transform.feature_dim == 128
  assert portable.load(folder).config["feature_dim"] == 128
  original = (folder / "config.json").read_text()
  for value in WRONG[key]:
    (folder / "config.json").write_text(original)
    rewrite(folder, **{key: value})
    assert_both_refuse(folder)


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_that_is_no_configuration_is_refused_by_both(folder, name):
  (folder / "config.json").write_bytes(TEXTS[name])
  assert_both_refuse(folder)


@pytest.mark.parametrize("name", ["config.json", "weights.npz", "tables.npz"])
def test_a_missing_file_is_an_error_of_both(folder, name):
  (folder / name).unlink()
  assert_both_refuse(folder)


def test_nothing_is_built_of_a_size_that_the_weights_do_not_have(folder):
  """Of the 3.6 GB that such a network would have."""
  weights = dict(np.load(folder / "weights.npz"))
  weights["encoder/fc1/bias"] = np.zeros(30_000, np.float32)
  np.savez(folder / "weights.npz", **weights)
  rewrite(folder, hidden_dim=30_000)
  tracemalloc.start()
  try:
    assert_both_refuse(folder)
    assert tracemalloc.get_traced_memory()[1] < 10e6
  finally:
    tracemalloc.stop()


def with_digests(folder):
  """States the digests that the folder's arrays have, from FORMAT.md."""
  config = json.loads((folder / "config.json").read_text())
  weights = np.load(folder / "weights.npz")
  words = [config[key] for key in (*DIMENSIONS, "clip", "gdn", "gdn_layers")]
  text = "{} {} {} {:g} {} {}".format(*words)
  sha = hashlib.sha256(text.encode())
  for name in weights.files:
    sha.update(name.encode() + weights[name].astype("<f4").tobytes())
  tables = np.load(folder / "tables.npz")
  numbers = [*tables["cdf"].shape, *tables["lower"], *tables["cdf"].ravel()]
  rewrite(
    folder,
    codec_digest=sha.hexdigest(),
    table_digest=hashlib.sha256(np.array(numbers, "<i4")).hexdigest(),
  )


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused_by_both(folder, value):
  weights = dict(np.load(folder / "weights.npz"))
  np.savez(folder / "weights.npz", **weights)
  with_digests(folder)
  compressor.load(str(folder))
  portable.load(folder)
  weights["decoder/fc1/bias"][3] = value
  np.savez(folder / "weights.npz", **weights)
  with_digests(folder)
  assert_both_refuse(folder)


def edit(tables, name):
  lower, cdf = tables["lower"], tables["cdf"]
  if name == "a frequency of 0":
    cdf[0, 1] = 0
  elif name == "falling behind the end":
    end = int(np.argmax(cdf[0] == 1 << 16))
    cdf[0, end + 1] = 5
  elif name == "rising by an overflow":
    cdf[0, 1:3] = 2**31 - 1, -(2**31)
  elif name == "no end":
    cdf[0, -1] = 65535
  elif name == "values beyond 32 bits":
    lower[0] = 2**31 - 1
  elif name == "of floats":
    tables["lower"] = lower.astype(np.float32)
  elif name == "big-endian":
    tables["cdf"] = cdf.astype(">i4")
  elif name == "of more elements":
    tables["lower"] = np.append(lower, lower[:1])
    tables["cdf"] = np.concatenate([cdf, cdf[:1]])
  elif name == "with another array":
    tables["more"] = lower
  elif name == "of one column":
    tables["cdf"] = cdf[:, :1]
  else:
    raise AssertionError(name)


@pytest.mark.parametrize(
  "name",
  [
    "a frequency of 0",
    "falling behind the end",
    "rising by an overflow",
    "no end",
    "values beyond 32 bits",
    "of floats",
    "big-endian",
    "of more elements",
    "with another array",
    "of one column",
  ],
)
def test_tables_that_are_none_are_refused_by_both(folder, name):
  """Though their digest is right."""
  tables = dict(np.load(folder / "tables.npz"))
  # One more symbol of padding, so that each edit has room.
  pad = np.full([len(tables["cdf"]), 2], 1 << 16, np.int32)
  tables["cdf"] = np.concatenate([tables["cdf"], pad], axis=1)
  np.savez(folder / "tables.npz", **tables)
  with_digests(folder)
  compressor.load(str(folder))
  portable.load(folder)
  edit(tables, name)
  np.savez(folder / "tables.npz", **tables)
  with_digests(folder)
  assert_both_refuse(folder)


def test_a_wrong_enhancer_is_refused_by_both(tmp_path):
  folder = tmp_path / "run"
  shutil.copytree(EXPECTED / "enhancer", folder)
  codec = compressor.load(str(EXPECTED / "codecs" / "tfc"))
  port = portable.load(EXPECTED / "codecs" / "tfc")
  data = portable.compress(port, np.full([1, 128], 0.1))

  def load_both():
    loaded = []
    for load in (
      lambda: compressor.load_enhancement(str(folder), codec),
      lambda: portable.decompress(port, data, portable.load_enhancer(folder)),
    ):
      with contextlib.suppress(Error):
        loaded.append(load())
    return len(loaded)

  original = (folder / "config.json").read_text()
  assert load_both() == 2
  for change in (
    {"low_dim": 128},
    {"low_clip": 10.0},
    {"high_clip": 10.0},
    {"clip_enhanced": 1},
    {"num_layers": 1},
    {"num_layers": 10**9},
    {"num_layers": 3},
    {"low_digest": REMOVED},
    {"high_digest": REMOVED},
    {"enhancer_digest": 5},
    {"high_dim": REMOVED},
  ):
    (folder / "config.json").write_text(original)
    rewrite(folder, **change)
    assert load_both() == 0, change


@pytest.mark.parametrize(
  "model",
  [
    Codec(6, 5, 4),
    Codec(6, 5, 4, gdn_layers=2, gdn="tfc"),
    Enhancer(6, 5, 4),
    Enhancer(6, 5, 4, num_layers=4),
    Decoder(6, 5, 4, num_layers=3),
    SQEnhancer(6, 5, num_blocks=3),
  ],
  ids=lambda model: f"{model.KIND} {len(model.arrays())}",
)
def test_the_shapes_told_beforehand_are_those_built(model):
  shapes = {name: array.shape for name, array in model.arrays().items()}
  assert list(model.shapes(**model.architecture()).items()) == list(
    shapes.items()
  )


def test_every_shipped_configuration_is_sound():
  for folder in run_folders.shipped().values():
    config = run_folders.read_config(folder)
    kind = compressor.CODECS[config["kind"]]
    configs.check(config, kind.ARCHITECTURE, folder)


def test_a_codec_with_another_ones_tables_is_refused(folder):
  tables = np.load(EXPECTED / "codecs" / "tfc" / "tables.npz")
  file = io.BytesIO()
  np.savez(file, **tables)
  (folder / "tables.npz").write_bytes(file.getvalue())
  with_digests(folder)
  assert_both_refuse(folder)
