import hashlib
import io
import json
import shutil

import numpy as np
import pytest

from tsenh.base.errors import Error
from tsenh.coding import entropy
from tsenh.features import compressor
from tsenh.features.networks import GDN_FORMS
from tsenh.features.pro import Codec
from tsenh.training import run_folders


def saved(folder, gdn="classic", gdn_layers=1):
  """A finished run of a codec whose every variable was changed."""
  codec = Codec(6, 4, 5, 7, gdn, gdn_layers, seed=1)
  rng = np.random.default_rng(0)
  for variable in codec.named_variables().values():
    variable.assign_add(rng.uniform(0.01, 0.1, variable.shape))
  codes = codec.encode(rng.normal(size=[100, 6]).astype(np.float32) * 30)
  coder = entropy.fit_coder(codes)
  config = {**codec.architecture(), "epochs": 1, "lambda": 0.5}
  run_folders.start(folder, config)
  run_folders.finish(folder, config, codec, coder)
  return codec, coder


@pytest.mark.parametrize("gdn", list(GDN_FORMS))
@pytest.mark.parametrize("gdn_layers", [1, 2])
def test_every_weight_survives_gdn_too(tmp_path, gdn, gdn_layers):
  codec, coder = saved(tmp_path, gdn, gdn_layers)
  compressed = compressor.load(str(tmp_path))
  loaded, loaded_coder = compressed.transform, compressed.coder
  assert loaded.digest() == codec.digest()
  assert loaded_coder.digest() == coder.digest()
  x = np.random.default_rng(1).normal(size=[9, 6]).astype(np.float32)
  np.testing.assert_array_equal(loaded.encoder(x), codec.encoder(x))
  y = np.float32(codec.encode(x))
  np.testing.assert_array_equal(loaded.decoder(y), codec.decoder(y))
  assert len(codec.named_variables()) == 8 + 4 * gdn_layers


def test_an_unfinished_run_is_no_codec(tmp_path):
  run_folders.start(tmp_path, {"epochs": 40, "epochs_done": 7})
  with pytest.raises(Error, match=r"unfinished \(7 of 40 epochs\)"):
    compressor.load(str(tmp_path))


def test_an_overwritten_run_is_no_codec_until_it_is_finished(tmp_path):
  saved(tmp_path)
  run_folders.write_state(tmp_path, {"x": np.zeros(3)})
  run_folders.start(tmp_path, {"epochs": 40})
  assert run_folders.read_state(tmp_path) is None
  with pytest.raises(Error, match="unfinished"):
    compressor.load(str(tmp_path))


@pytest.mark.parametrize("name", ["weights.npz", "tables.npz"])
def test_foreign_cut_and_missing_files_are_refused(tmp_path, name):
  saved(tmp_path)
  path = tmp_path / name
  good = path.read_bytes()
  path.write_bytes(good[:-30])
  with pytest.raises(Error, match=f"{name}: missing or damaged"):
    compressor.load(str(tmp_path))
  path.unlink()
  with pytest.raises(Error, match=f"{name}: missing or damaged"):
    compressor.load(str(tmp_path))
  with np.load(io.BytesIO(good)) as archive:
    arrays = dict(archive)
  key = next(iter(arrays))
  np.savez(path, **{**arrays, key: arrays[key] + np.ones(1, arrays[key].dtype)})
  with pytest.raises(Error, match=f"{name}: not the file that config.json"):
    compressor.load(str(tmp_path))
  np.savez(path, **{key: arrays[key]})
  with pytest.raises(Error, match=name):
    compressor.load(str(tmp_path))


def test_a_configuration_that_is_none_is_refused(tmp_path):
  for text in ("{", "[]", "{}", '"finished"'):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(Error, match="not the configuration of a run"):
      run_folders.read_config(tmp_path)


@pytest.mark.parametrize(
  "change",
  [
    {"gdn": "foo"},
    {"hidden_dim": "x"},
    {"hidden_dim": None},
    {"gdn_layers": None},
    {"table_digest": None},
    {"codec_digest": None},
  ],
)
def test_a_damaged_configuration_is_refused_in_one_sentence(tmp_path, change):
  folder = tmp_path / "run"
  shutil.copytree(run_folders.find("pro-1e-6"), folder)
  config = json.loads((folder / "config.json").read_text())
  for key, value in change.items():
    if value is None:
      del config[key]
    else:
      config[key] = value
  (folder / "config.json").write_text(json.dumps(config))
  with pytest.raises(Error, match=r"config.json|not the file that") as caught:
    compressor.load(str(folder))
  assert "\n" not in str(caught.value)


def test_the_shipped_codecs_are_the_papers_recipe():
  shipped = run_folders.shipped()
  lambdas = ("1e-4", "1e-5", "1e-6", "1e-7")
  between = ("3e-5", "3e-6")
  kinds = {
    "pro-{}": ("faces", 40, lambdas + between),
    "pro-{}-e400": ("faces", 400, lambdas),
    "rank64-pro-{}": ("rank64-faces", 40, lambdas),
    "rank64-pro-{}-e400": ("rank64-faces", 400, lambdas),
    "dlib-pro-{}-e282": ("dlib-faces", 282, lambdas),
  }
  names = {
    kind.format(lmbda)
    for kind, (_, _, its_lambdas) in kinds.items()
    for lmbda in its_lambdas
  }
  for network in ("", "rank64-"):
    names.update(f"{network}sq-{qp}" for qp in (30, 40, 45, 50))
    names.update(f"{network}ahead-{bits}" for bits in (64, 78, 101, 128))
  assert set(shipped) == names
  for kind, (features, epochs, its_lambdas) in kinds.items():
    for lmbda in its_lambdas:
      folder = shipped[kind.format(lmbda)]
      check_recipe(folder, float(lmbda), features, epochs)


def test_the_shipped_enhancer_is_known_by_its_name(lfw):
  codec = compressor.load("pro-1e-4", "pro-e-1e-4")
  high = compressor.load("pro-1e-6").transform
  assert codec.enhancement.high.digest() == high.digest()
  faces = lfw.features[:500]
  data = codec.compress(faces)
  plain, enhanced = (
    np.square(c.decompress(data) - faces).sum()
    for c in (compressor.load("pro-1e-4"), codec)
  )
  assert 0.9 * plain < enhanced < plain
  with pytest.raises(Error, match="pro-e-1e-4: the run of pro-e, expected one"):
    compressor.load("pro-e-1e-4")


def check_recipe(folder, lmbda, features, epochs):
  config = json.loads((folder / "config.json").read_text())
  recipe = {
    "lambda": lmbda,
    "epochs": epochs,
    "batch_size": 32,
    "learning_rate": 1e-4,
    "adam_epsilon": 1e-7,
    "feature_dim": 128,
    "code_dim": 128,
    "hidden_dim": 128,
    "clip": 20.0,
    "gdn": "classic",
    "gdn_layers": 1,
    "noise": "after_clip",
    "distortion": "mean",
    "features": features,
    "seed": 0,
    "status": "finished",
    "git_dirty": False,
  }
  assert {key: config[key] for key in recipe} == recipe
  compressor.load(str(folder))


@pytest.mark.parametrize("gdn_layers", [1, 2])
def test_the_digests_are_those_of_format_md(tmp_path, gdn_layers):
  """From the files alone, in the order that FORMAT.md gives."""
  saved(tmp_path, gdn_layers=gdn_layers)
  config = json.loads((tmp_path / "config.json").read_text())
  weights = np.load(tmp_path / "weights.npz")
  layers = ["fc1", "gdn", "fc2"]
  names = {"encoder": layers, "decoder": layers}
  if gdn_layers == 2:
    names = {"encoder": [*layers, "gdn_code"], "decoder": ["gdn_code", *layers]}
  sha = hashlib.sha256(f"6 4 5 7 classic {gdn_layers}".encode())
  for network, own in names.items():
    for layer in own:
      dense = layer.startswith("fc")
      for part in (
        ("kernel", "bias") if dense else ("reparam_beta", "reparam_gamma")
      ):
        name = f"{network}/{layer}/{part}"
        sha.update(name.encode() + weights[name].astype("<f4").tobytes())
  assert sha.hexdigest() == config["codec_digest"]
  tables = np.load(tmp_path / "tables.npz")
  numbers = [*tables["cdf"].shape, *tables["lower"], *tables["cdf"].ravel()]
  sha = hashlib.sha256(np.array(numbers, "<i4").tobytes())
  assert sha.hexdigest() == config["table_digest"]


def test_a_codec_that_is_in_a_clone_alone_says_so():
  with pytest.raises(Error, match=r"rank64-x: .* come with a clone"):
    run_folders.find("rank64-x")
