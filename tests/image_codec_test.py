"""The layered codec: layers, cuts, foreign files, and the commands."""

import dataclasses
import io
import json
import shutil
import zlib

import numpy as np
import pytest
from conftest import FACES64, ROOT
from PIL import Image

from experiments.fuzzing import mutations
from tsenh.base.errors import Error
from tsenh.data import feature_sets
from tsenh.images import codec, conditional, networks, residual, tsi
from tsenh.recognition import image_sets, matching
from tsenh.training import run_folders


@pytest.fixture(scope="session")
def untrained(tmp_path_factory):
  """The folder of a small model with first weights: right in all but looks."""
  folder = tmp_path_factory.mktemp("model")
  inner = codec.compressor.load("pro-3e-5")
  base = networks.Base(64, 128, 4)
  generator = networks.Generator(64, 128, 4)
  coder = residual.ResidualCoder(64, 128, 4, 8, 32)
  faces = image_sets.load(str(FACES64))
  faces = np.stack([*faces.decode(range(len(faces.names)), 64)])
  coder.begin(faces)
  found = coder.encode(faces, np.zeros([len(faces), 128], np.int32), 50)
  tables = conditional.ConditionalCoder.fit(*found)
  for model, about, coded in (
    (base, {}, None),
    (
      generator,
      {
        "codec": "pro-3e-5",
        "codec_digest": inner.transform.digest(),
        "base_digest": base.digest(),
      },
      None,
    ),
    (coder, {"generator_digest": generator.digest()}, tables),
  ):
    config = {"kind": model.KIND, **model.architecture(), **about}
    path = folder / model.PART
    path.mkdir()
    run_folders.finish(path, config, model, coded)
  return folder


@pytest.fixture(scope="session")
def model(untrained):
  return codec.load(str(untrained))


def test_features_and_images_come_back_layer_by_layer(model, faces64):
  faces = faces64[:5]
  layers = ["learned:50", "webp:20", "avif:60"]
  data = model.compress(faces, layers)
  features = model.features(data)
  expected = model.compressor.decompress(
    model.compressor.compress(model.base.features(faces))
  )
  np.testing.assert_allclose(features, expected, atol=1e-5)
  generated = model.decompress(data, "generated")
  np.testing.assert_array_equal(generated, model.generator.images(features))
  header = tsi.read_header(data)
  end = tsi.HEADER_BYTES + header.base_length
  errors = []
  for count, layer in enumerate([None, *tsi.read_layers(data, header)]):
    if layer:
      end += tsi.LAYER_BYTES + len(layer.payload)
    images = model.decompress(data, count)
    np.testing.assert_array_equal(images, model.decompress(data[:end]))
    np.testing.assert_array_equal(model.features(data[:end]), features)
    errors.append(np.square(images.astype(float) - faces).mean())
  assert end == len(data)
  np.testing.assert_array_equal(model.decompress(data), images)
  assert errors[0] > errors[2] > errors[3] and errors[3] < 300


def test_the_golden_file_decodes_as_recorded_by_the_shipped_model():
  """Four shipped faces; its integers are the same on every machine."""
  folder = ROOT / "tests" / "expected" / "tsi"
  data = (folder / "learned.tsi").read_bytes()
  expected = json.loads((folder / "learned.json").read_text())
  shipped = codec.load(expected["model"])
  header = tsi.read_header(data)
  assert header.model_digest.hex() == expected["model_digest"]
  learned, _ = tsi.read_layers(data, header)
  assert learned.payload[:8].hex() == expected["layer_digest"]
  inner = shipped.compressor
  file = io.BytesIO(tsi.read_base(data, header))
  blocks = codec.compressor.decode_codes(
    inner, file, codec.compressor.read_header(inner, file)
  )
  base = np.concatenate([*blocks])
  coder, tables = shipped.residual
  side, codes = tables.unpack(
    learned.payload[8:],
    header.num_faces,
    lambda side: coder.octaves(side, base, learned.setting),
  )
  octaves = coder.octaves(side, base, learned.setting)
  for name, found in (
    ("side", side),
    ("codes", codes),
    ("tables", np.floor(8 * (octaves + 4))),
  ):
    crc = zlib.crc32(np.ascontiguousarray(found, "<i4"))
    assert crc == expected[f"{name}_crc"]
  images = shipped.decompress(data)
  np.testing.assert_allclose(
    images.mean(axis=(1, 2)), expected["means"], atol=0.5
  )
  corners = images[:, ::21, ::21].astype(int)
  assert np.abs(corners - expected["corner"]).max() <= 3


def test_sharper_features_take_the_place_of_the_base_networks(model, faces64):
  faces = feature_sets.load("lfw").features[:5]
  data = model.compress(faces64[:5], [], faces)
  own = model.compressor.decompress(model.compressor.compress(faces))
  np.testing.assert_array_equal(model.features(data), own)
  with pytest.raises(Error, match="4 features for 5 images"):
    model.compress(faces64[:5], [], faces[:4])


def test_a_face_costs_no_header_of_its_own(model, faces64):
  features = np.repeat(feature_sets.load("lfw").features[:1], 64, axis=0)
  one = len(model.compress(faces64[:1], [], features[:1]))
  many = len(model.compress(faces64, [], features))
  # 28 of this file, 48 + 12 + 8 of the base layer's, 4 of its payload.
  assert one - 100 <= many / 64 <= one - 90


def test_what_no_codec_takes_is_refused(model, faces64):
  for images in (faces64.astype(float), faces64[:, :32], faces64[:0]):
    with pytest.raises(Error, match=r"expected uint8 \[n, 64, 64, 3\]"):
      model.compress(images)
  for layer in (
    5,
    "web",
    "webp",
    "webp:101",
    "webp:5:0",
    "learned",
    "learned:50:2",
    "learned:101",
    "avif:-1",
  ):
    with pytest.raises(Error, match="no layer"):
      model.compress(faces64[:1], [layer])
  with pytest.raises(Error, match="17 layers, but 16"):
    model.compress(faces64[:1], ["learned:1"] * 17)
  data = model.compress(faces64[:1], [])
  for layers in ("feature", -1, 1.0, ["generated"], None):
    with pytest.raises(Error, match="expected generated, all or a number"):
      model.decompress(data, layers)
  alone = dataclasses.replace(model, residual=None)
  with pytest.raises(Error, match="has no learned enhancement layer"):
    alone.compress(faces64[:1], ["learned:50"])
  other = networks.Generator(64, 128, 4, seed=1)
  another = dataclasses.replace(model, generator=other)
  with pytest.raises(Error, match="written with another model"):
    another.decompress(data)
  assert len(another.features(data)) == 1  # That takes no model.


def test_all_but_learned_layers_is_read_without_them(model, faces64):
  data = model.compress(faces64[:2], ["webp:10", "learned:30"])
  alone = dataclasses.replace(model, residual=None)
  np.testing.assert_array_equal(
    alone.decompress(data, 1), model.decompress(data, 1)
  )
  with pytest.raises(Error, match=r"layer 2: .* a clone of the repository"):
    alone.decompress(data)
  _coder, tables = model.residual
  other = residual.ResidualCoder(64, 128, 4, 8, 32, seed=1)
  another = dataclasses.replace(model, residual=(other, tables))
  with pytest.raises(Error, match="layer 2: learned by another model"):
    another.decompress(data)


def test_quality_is_rate_and_fidelity(model, faces64):
  sizes, errors = [], []
  for quality in (0, 20, 40):
    data = model.compress(faces64, f"learned:{quality}")
    sizes.append(len(data))
    images = model.decompress(data)
    errors.append(np.square(images.astype(float) - faces64).mean())
  assert sizes == sorted(sizes) and sizes[-1] > 1.1 * sizes[0]
  assert errors == sorted(errors, reverse=True)


def test_a_codec_of_its_own_knows_of_no_base(
  model, untrained, faces64, tmp_path
):
  coder, tables = model.residual
  alone = residual.AloneCoder(64, 128, 4, 8, 32)
  alone.assign(coder.arrays())
  shutil.copytree(untrained, tmp_path / "model")
  folder = tmp_path / "model" / alone.PART
  about = {"generator_digest": model.generator.digest(), "kind": alone.KIND}
  config = {**about, **alone.architecture()}
  run_folders.finish(folder, config, alone, tables)
  own = codec.load(str(tmp_path / "model"))
  assert own.alone and not model.alone
  features = feature_sets.load("lfw").features[:8]
  images = [
    found.decompress(found.compress(faces64[:4], "learned:60", given))
    for found in (own, model)
    for given in (features[:4], features[4:])
  ]
  np.testing.assert_array_equal(images[0], images[1])
  assert np.abs(images[2].astype(int) - images[3]).max() > 1


def test_files_that_lie_are_refused(model, faces64):
  data = model.compress(faces64[:2], ["learned:50", "webp:5"])
  header = tsi.read_header(data)
  base, layers = tsi.read_base(data, header), tsi.read_layers(data, header)
  more = header._replace(num_faces=3)
  for read in (model.features, model.decompress):
    with pytest.raises(Error, match="2 features for 3 faces"):
      read(tsi.pack(more, base, layers))
    with pytest.raises(Error, match="2 features for 1 faces"):
      read(tsi.pack(header._replace(num_faces=1), base, layers))
  swapped = [layers[1]._replace(payload=layers[0].payload)]
  with pytest.raises(Error, match="enhancement layer 1: no webp"):
    model.decompress(tsi.pack(header, base, swapped))
  digest, good = layers[0].payload[:8], layers[0].payload[8:]
  for bad, message in (
    (b"", "another model"),
    (layers[1].payload, "another model"),
    (digest, "fewer than four bytes"),
    (digest + b"\xff\xff\xff\xff", "ends within its first string"),
    (digest + b"\1\0\0\0\0", "enhancement layer 1: "),
    (digest + good + b"more", "does not end where its codes do"),
  ):
    forged = [layers[0]._replace(payload=bad)]
    with pytest.raises(Error, match=message) as found:
      model.decompress(tsi.pack(header, base, forged))
    assert str(found.value).startswith("enhancement layer 1: ")


def test_a_header_does_not_say_how_much_a_base_may_hold(model, faces64):
  """Empty strings of many features, in few bytes."""
  data = model.compress(faces64[:1], [])
  header = tsi.read_header(data)
  face = faces64[:1]
  base = bytearray(model.compressor.compress(model.base.features(face)))
  count = 1 << 16
  base[16:28] = count.to_bytes(4, "little") + count.to_bytes(8, "little")
  forged = header._replace(num_faces=count, size=1)
  lie = mutations.repaired(bytes(base))
  with pytest.raises(Error, match="65536 features, but the limit is"):
    model.features(tsi.pack(forged, lie, []))


def test_one_layer_needs_no_list_and_bytes_are_bytes(model, faces64):
  one = model.compress(faces64[:1], "learned:5")
  assert one == model.compress(faces64[:1], ["learned:5"])
  for same in (bytearray(one), memoryview(one)):
    np.testing.assert_array_equal(model.decompress(same), model.decompress(one))
  np.testing.assert_array_equal(
    model.decompress(one, np.int64(1)), model.decompress(one)
  )
  with pytest.raises(Error, match="expected the bytes of a file, not str"):
    model.decompress("faces.tsi")


def test_a_model_keeps_a_codec_that_is_not_shipped(untrained, tmp_path):
  shutil.copytree(untrained, tmp_path / "model")
  own = run_folders.finished("pro-3e-5")[0]
  shutil.copytree(own, tmp_path / "model" / codec.OWN_CODEC)
  path = tmp_path / "model" / "generator" / run_folders.CONFIG
  config = json.loads(path.read_text())
  path.write_text(json.dumps({**config, "codec": codec.OWN_CODEC}))
  found = codec.load(str(tmp_path / "model"))
  assert found.digest == codec.load(str(untrained)).digest


def test_parts_that_do_not_belong_together_are_refused(untrained, tmp_path):
  for part in ("base", "generator", "residual"):
    (tmp_path / part).mkdir()
    for path in (untrained / part).iterdir():
      (tmp_path / part / path.name).write_bytes(path.read_bytes())
  path = tmp_path / "residual" / run_folders.CONFIG
  config = json.loads(path.read_text())
  path.write_text(json.dumps({**config, "generator_digest": "0" * 64}))
  with pytest.raises(Error, match="not trained one behind the other"):
    codec.load(str(tmp_path))
  with pytest.raises(Error, match="nor a shipped model"):
    codec.load(str(tmp_path / "nothing"))


def test_costs_name_each_network(model):
  assert [*model.costs()] == ["base", "generator", "residual"]
  assert model.costs()["base"]["parameters"] == model.base.cost().parameters


def with_other_faces(folder):
  """The sample under its own names, each with the face of another."""
  found = dict(np.load(FACES64))
  ends = found["offsets"][1:-1]
  found["webp"] = np.concatenate(np.split(found["webp"], ends)[::-1])
  found["offsets"] = np.append(0, np.diff(found["offsets"])[::-1].cumsum())
  path = folder / "others" / FACES64.name
  path.parent.mkdir()
  np.savez(path, **found)
  return path


@pytest.mark.slow
def test_from_training_to_files_and_back_by_commands(run, tmp_path):
  """64 faces teach nothing; the way is the same."""
  faces = f"--images={FACES64}"
  for part, more in (
    ("base", ["--width=4"]),
    ("generator", ["--width=2"]),
    ("residual", ["--width=4", "--code_dim=32"]),
  ):
    arguments = [f"--part={part}", "--epochs=1", "--batch_size=16", *more]
    arguments += ["--features=lfw", "--output=model", faces]
    run("tsenh.train_scalable", *arguments, cwd=tmp_path)
    if part == "base":
      config = json.loads((tmp_path / "model/base/config.json").read_text())
      assert config["last_epoch"]["distance"] > 0
      refused = run(
        "tsenh.train_scalable",
        *arguments[:-1],
        f"--images={with_other_faces(tmp_path)}",
        "--resume",
        cwd=tmp_path,
        check=False,
      )
      assert b"images_digest" in refused.stderr
  run(
    "tsenh.encode_image",
    "--model=model",
    f"--input={FACES64}",
    "--features=lfw",
    "--layers=learned:40,webp:10",
    "--output=faces.tsi",
    cwd=tmp_path,
  )
  for layers, output in (
    ("feature", "features.npz"),
    ("all", "all.png"),
  ):
    run(
      "tsenh.decode_image",
      "--model=model",
      "--input=faces.tsi",
      f"--layers={layers}",
      f"--output={output}",
      cwd=tmp_path,
    )
  found = feature_sets.load(str(tmp_path / "features.npz")).features
  names = image_sets.load(str(FACES64)).names.tolist()
  lfw = feature_sets.load("lfw")
  true = matching.features_of(names, lfw, "lfw")
  cosine = (found * true).sum(1) / np.linalg.norm(found, axis=1)
  assert cosine.mean() > 0.85
  assert Image.open(tmp_path / "all.png").size == (512, 512)
