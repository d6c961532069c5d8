"""One network in every form that a file may have, and two real ones."""

import tarfile

import numpy as np
import onnx
import pytest
import tensorflow as tf
from conftest import SHARED, needs_shared
from PIL import Image

from tsenh.base.errors import Error
from tsenh.data import feature_sets
from tsenh.recognition import face_networks
from tsenh.recognition.face_networks import Preprocessing

SIZE = 8
PLAIN = Preprocessing(SIZE, "rgb", 100.0, 50.0, False, False)
FORMS = (
  *("net.pb", "saved", "net.keras", "net.h5"),
  *("net.tflite", "net.onnx", "net.param"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """The mean of each channel, as a network of each kind."""
  folder = tmp_path_factory.mktemp("networks")
  with tf.Graph().as_default() as graph:
    images = tf.compat.v1.placeholder(
      tf.float32, [None, SIZE, SIZE, 3], "input"
    )
    phase = tf.compat.v1.placeholder(tf.bool, [], "phase_train")
    wrong = tf.cast(phase, tf.float32)  # What training would add.
    tf.add(tf.reduce_mean(images, [1, 2]), wrong, "embeddings")
  (folder / "net.pb").write_bytes(graph.as_graph_def().SerializeToString())
  model = tf.keras.Sequential(
    [
      tf.keras.layers.InputLayer((SIZE, SIZE, 3)),
      tf.keras.layers.GlobalAveragePooling2D(),
    ]
  )
  model.save(folder / "net.keras")
  model.save(folder / "net.h5")
  tf.saved_model.save(model, str(folder / "saved"))
  fixed = tf.function(lambda images: tf.reduce_mean(images, [1, 2]))
  concrete = fixed.get_concrete_function(
    tf.TensorSpec([2, SIZE, SIZE, 3], tf.float32)
  )
  lite = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
  (folder / "net.tflite").write_bytes(lite.convert())
  helper, kind = onnx.helper, onnx.TensorProto.FLOAT
  nodes = [
    helper.make_node("GlobalAveragePool", ["images"], ["pooled"]),
    helper.make_node("Flatten", ["pooled"], ["features"]),
  ]
  given = helper.make_tensor_value_info("images", kind, ["n", 3, SIZE, SIZE])
  found = helper.make_tensor_value_info("features", kind, ["n", 3])
  built = helper.make_graph(nodes, "mean", [given], [found])
  opset = [helper.make_opsetid("", 13)]
  onnx.save(
    helper.make_model(built, opset_imports=opset, ir_version=8),
    str(folder / "net.onnx"),
  )
  (folder / "net.param").write_text(
    "7767517\n2 2\n"
    "Input images 0 1 images\n"
    "Pooling pool 1 1 images features 0=1 4=1\n"
  )
  (folder / "net.bin").write_bytes(b"")
  return folder


@pytest.fixture(scope="module")
def images():
  rng = np.random.default_rng(1)
  return rng.integers(0, 256, [5, SIZE, SIZE, 3], dtype=np.uint8)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_computes_the_same(folder, images, form):
  network = face_networks.load(str(folder / form), PLAIN)
  expected = (images.astype(np.float64).mean(axis=(1, 2)) - 100) / 50
  found = network(images)
  assert found.dtype == np.float32
  np.testing.assert_allclose(found, expected, atol=1e-5)
  assert len(network.digest) == 64


def test_the_preprocessing_is_what_it_says(folder, images):
  def features(**changes):
    how = PLAIN._replace(**changes)
    return face_networks.load(str(folder / "net.onnx"), how)(images)

  plain = features()
  np.testing.assert_allclose(
    features(channels="bgr"), plain[:, ::-1], atol=1e-6
  )
  unit = features(normalize=True)
  norms = np.linalg.norm(plain, axis=1, keepdims=True)
  np.testing.assert_allclose(unit, plain / norms, atol=1e-6)
  values = images.astype(np.float64)
  for image, found in zip(values, features(whiten=True)):
    expected = ((image - image.mean()) / image.std()).mean(axis=(0, 1))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_an_image_of_one_colour_is_whitened_to_nothing_and_refused(folder):
  how = PLAIN._replace(whiten=True)
  network = face_networks.load(str(folder / "net.onnx"), how)
  with pytest.raises(Error, match="zero or not finite"):
    network(np.full([1, SIZE, SIZE, 3], 77, np.uint8))


def test_the_file_states_the_size_where_the_user_does_not(folder):
  how = PLAIN._replace(size=None)
  network = face_networks.load(str(folder / "net.tflite"), how)
  assert network.preprocessing.size == SIZE
  with pytest.raises(Error, match="does not state the size"):
    face_networks.load(str(folder / "net.param"), how)
  with pytest.raises(Error, match="8x8 pixels, not of 9x9"):
    face_networks.load(str(folder / "net.onnx"), how._replace(size=9))


def test_a_lite_network_of_any_size_runs_at_each(images, tmp_path):
  mean = tf.function(lambda images: tf.reduce_mean(images, [1, 2]))
  concrete = mean.get_concrete_function(
    tf.TensorSpec([1, None, None, 3], tf.float32)
  )
  lite = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
  path = tmp_path / "any.tflite"
  path.write_bytes(lite.convert())
  for size in (SIZE, SIZE // 2):
    network = face_networks.load(str(path), PLAIN._replace(size=size))
    small = images[:, :size, :size]
    expected = (small.astype(np.float64).mean(axis=(1, 2)) - 100) / 50
    np.testing.assert_allclose(network(small), expected, atol=1e-5)


def test_a_network_that_gives_a_map_for_a_face_is_refused(folder, tmp_path):
  text = (folder / "net.param").read_text().replace("0=1 4=1", "0=1 1=2 2=2")
  (tmp_path / "map.param").write_text(text)
  (tmp_path / "map.bin").write_bytes(b"")
  network = face_networks.load(str(tmp_path / "map.param"), PLAIN)
  with pytest.raises(Error, match="expected a row; does it take images of 8"):
    network(np.zeros([1, SIZE, SIZE, 3], np.uint8))


def test_a_folder_is_tensorflows_whatever_its_name(tmp_path):
  (tmp_path / "model.v2").mkdir()
  assert face_networks.preset_of(str(tmp_path / "model.v2")) == "facenet"
  assert face_networks.preset_of("net.onnx") == "arcface"


@pytest.mark.parametrize("form", ["net.pb", "net.tflite", "net.onnx", "net.h5"])
def test_a_damaged_file_is_one_sentence(tmp_path, form):
  (tmp_path / form).write_bytes(b"no network at all" * 9)
  with pytest.raises(Error, match=form):
    face_networks.load(str(tmp_path / form), PLAIN)


def test_what_is_missing_or_unknown_is_said(folder, tmp_path):
  for network, said in (
    (tmp_path / "no.onnx", "no such file"),
    (tmp_path, "no saved_model.pb"),
    (folder / "net.bin", "neither dlib nor a face network"),
  ):
    with pytest.raises(Error, match=said):
      face_networks.load(str(network), PLAIN)
  with pytest.raises(Error, match="has no tensor other:0"):
    face_networks.load(str(folder / "net.pb"), PLAIN, "other:0")
  with pytest.raises(Error, match="--output_name is one of features"):
    face_networks.load(str(folder / "net.onnx"), PLAIN, None, "other")
  with pytest.raises(Error, match="prepares its images itself"):
    face_networks.load("dlib", PLAIN)
  with pytest.raises(Error, match=r"pip install 'tsenh\[ncnn\]'"):
    face_networks.package("no_such_package", "ncnn")


def test_the_digest_is_of_all_files(folder, tmp_path):
  for name in ("net.param", "net.bin"):
    (tmp_path / name).write_bytes((folder / name).read_bytes())
  before = face_networks.digest(str(tmp_path / "net.param"))
  assert before == face_networks.digest(str(folder / "net.param"))
  (tmp_path / "net.bin").write_bytes(b"other")
  assert face_networks.digest(str(tmp_path / "net.param")) != before


@needs_shared
def test_a_real_tflite_network_gives_the_features_that_were_recorded():
  network = face_networks.load(
    str(SHARED / "faces" / "MobileFaceNet.tflite"),
    face_networks.PRESETS["arcface"]._replace(scale=128.0),
  )
  folder = SHARED / "faces" / "samples"
  with np.load(folder / "aligned.npz") as stored:
    names, expected = stored["names"][:31], stored["mobilefacenet"][:31]
  images = [np.asarray(Image.open(folder / "aligned" / n)) for n in names]
  expected /= np.linalg.norm(expected, axis=1, keepdims=True)
  cosines = (network(np.stack(images)) * expected).sum(axis=1)
  assert cosines.min() > 1 - 1e-5


@needs_shared
def test_a_real_ncnn_network_gives_the_default_features():
  network = face_networks.load(
    str(SHARED / "networks" / "mobilefacenet128.param"),
    face_networks.PRESETS["arcface"]._replace(scale=128.0),
  )
  lfw = feature_sets.load("lfw")
  rows = {name: row for row, name in enumerate(lfw.names)}
  images, expected = [], []
  with tarfile.open(SHARED / "faces" / "lfw_aligned.tar") as archive:
    for member in list(archive)[:40]:
      images.append(np.asarray(Image.open(archive.extractfile(member))))
      name = member.name.rpartition("/")[2].partition(".")[0]
      expected.append(lfw.features[rows[name]])
  cosines = (network(np.stack(images)) * expected).sum(axis=1)
  # Three of the stored features are not of these crops; why is not known.
  assert (cosines > 1 - 1e-3).sum() == 37
