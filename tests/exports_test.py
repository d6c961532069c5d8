"""Exported codecs compute what the codec does, in other runtimes."""

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT

from tsenh.base.errors import Error
from tsenh.features import compressor, exports

EXPECTED = ROOT / "tests" / "expected"


@pytest.fixture(scope="module")
def enhanced():
  low = str(EXPECTED / "codecs" / "tfc")
  return compressor.load(low, str(EXPECTED / "enhancer"))


def run_tflite(path, array):
  interpreter = tf.lite.Interpreter(str(path))
  (given,) = interpreter.get_input_details()
  (found,) = interpreter.get_output_details()
  interpreter.resize_tensor_input(given["index"], array.shape)
  interpreter.allocate_tensors()
  interpreter.set_tensor(given["index"], array)
  interpreter.invoke()
  return interpreter.get_tensor(found["index"])


@pytest.mark.parametrize("form", ["savedmodel", "tflite"])
def test_it_computes_what_the_codec_does(enhanced, lfw, tmp_path, form):
  features = lfw.features[:50].astype(np.float32)
  codes = enhanced.transform.encode(features)
  exports.write(enhanced, tmp_path / "out", form)
  if form == "savedmodel":
    signatures = tf.saved_model.load(str(tmp_path / "out")).signatures

  def run(name, array):
    if form == "tflite":
      return run_tflite(tmp_path / "out" / f"{name}.tflite", array)
    (key,) = signatures[name].structured_input_signature[1]
    (found,) = signatures[name](**{key: tf.constant(array)}).values()
    return found.numpy()

  np.testing.assert_array_equal(run("encoder", features), codes)
  decoded = enhanced.transform.decode(codes)
  better = enhanced.enhancement.decode(codes)
  np.testing.assert_allclose(run("decoder", codes), decoded, rtol=0, atol=1e-5)
  np.testing.assert_allclose(run("enhancer", codes), better, rtol=0, atol=1e-5)
  assert np.abs(better - decoded).max() > 1e-3


def test_onnx_computes_what_the_codec_does(pro, enhanced, lfw, tmp_path):
  pytest.importorskip("tf2onnx")
  runtime = pytest.importorskip("onnxruntime")
  exports.write(pro, tmp_path / "out", "onnx")

  def run(name, array):
    path = tmp_path / "out" / f"{name}.onnx"
    session = runtime.InferenceSession(str(path))
    return session.run(None, {session.get_inputs()[0].name: array})[0]

  features = lfw.features[:500].astype(np.float32)
  codes = pro.transform.encode(features)
  assert np.mean(run("encoder", features) != codes) < 1e-4
  decoded = pro.transform.decode(codes)
  np.testing.assert_allclose(run("decoder", codes), decoded, rtol=0, atol=1e-5)
  with pytest.raises(Error, match="ONNX does not hold a codec of tfc's form"):
    exports.write(enhanced, tmp_path / "tfc", "onnx")
  assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_smaller_tflite_models_stay_near(pro, lfw, tmp_path):
  features = lfw.features[:500].astype(np.float32)
  codes, sizes = pro.transform.encode(features), {}
  for precision, most in (("float32", 1e-4), ("float16", 0.01), ("int8", 0.1)):
    out = tmp_path / precision
    exports.write(pro, out, "tflite", precision, features)
    found = run_tflite(out / "encoder.tflite", features)
    assert np.mean(found != codes) < most
    assert np.abs(found - codes).max() <= 1
    decoded = run_tflite(out / "decoder.tflite", codes)
    error = np.square(decoded - pro.transform.decode(codes)).mean()
    assert error < 0.05 * np.square(decoded).mean()
    sizes[precision] = (out / "decoder.tflite").stat().st_size
  assert sizes["int8"] < 0.35 * sizes["float32"]
  assert sizes["float16"] < 0.6 * sizes["float32"]


def test_what_is_not_a_learned_codec_is_refused(sq, tmp_path):
  with pytest.raises(Error, match="the run of sq, expected a learned codec"):
    exports.write(sq, tmp_path / "out", "tflite")
  assert not list(tmp_path.iterdir())


def test_features_of_another_codec_are_refused(pro, tmp_path):
  with pytest.raises(Error, match="have 5 dimensions, but pro-1e-6 is for 128"):
    exports.write(pro, tmp_path / "o", "tflite", "int8", np.zeros((9, 5)))


@pytest.mark.slow
def test_the_command_writes_a_folder_or_nothing(run, tmp_path):
  flags = ("--codec=pro-1e-6", "--output=out")
  run("tsenh.export", *flags, "--format=tflite", cwd=tmp_path)
  names = {"encoder.tflite", "decoder.tflite"}
  assert {path.name for path in (tmp_path / "out").iterdir()} == names
  for wrong, said in (
    (flags, b"out: is there already; give a new folder."),
    (("--codec=sq-40", "--output=new"), b"expected a learned codec"),
    (("--codec=pro-1e-6", "--output=a/b"), b"the folder a does not exist"),
    ((*flags[:1], "--output=new", "--precision=int8"), b"--format=tflite"),
    ((*flags[:1], "--output=new", "--calibration=faces"), b"goes with"),
  ):
    process = run("tsenh.export", *wrong, cwd=tmp_path, check=False)
    assert process.returncode == 1
    assert process.stderr.startswith(b"error: ") and said in process.stderr
  assert [path.name for path in tmp_path.iterdir()] == ["out"]
