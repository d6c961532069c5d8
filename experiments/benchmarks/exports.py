"""Measures what exported codecs keep, run in the runtimes they are for.

  python -m experiments.benchmarks.exports --output=exports.json

Each codec is exported in every format and precision; its encoder and decoder
then code the test set: the share of the codes' elements that differ from those
of the codec itself, the rate under its tables, and verification.
"""

import pathlib
import tempfile

import tqdm
from absl import flags

from tsenh.base import command_line, files, results
from tsenh.data import feature_sets, manifests
from tsenh.recognition import verification
from tsenh.training import run_folders

_OUTPUT = flags.DEFINE_string("output", None, "The JSON to write.")
flags.mark_flag_as_required("output")

_CODECS = ("pro-1e-4", "pro-1e-6")
_FORMS = (
  ("savedmodel", "float32"),
  ("onnx", "float32"),
  ("tflite", "float32"),
  ("tflite", "float16"),
  ("tflite", "int8"),
)


def _run(folder: pathlib.Path, form: str, name: str, array):
  """What an exported function gives, in its own runtime."""
  path = str(folder / f"{name}.{form}")
  if form == "onnx":
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    return session.run(None, {session.get_inputs()[0].name: array})[0]
  import tensorflow as tf

  if form == "savedmodel":
    signature = tf.saved_model.load(str(folder)).signatures[name]
    (key,) = signature.structured_input_signature[1]
    (found,) = signature(**{key: tf.constant(array)}).values()
    return found.numpy()
  interpreter = tf.lite.Interpreter(path)
  (given,) = interpreter.get_input_details()
  interpreter.resize_tensor_input(given["index"], array.shape)
  interpreter.allocate_tensors()
  interpreter.set_tensor(given["index"], array)
  interpreter.invoke()
  return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def measure(name: str, form: str, precision: str):
  from tsenh.features import compressor, exports

  codec = compressor.load(name)
  trained_on = feature_sets.load(run_folders.finished(name)[1]["features"])
  test = feature_sets.load(manifests.default().tests[0])
  features = test.features.astype("float32")
  with tempfile.TemporaryDirectory() as parent:
    folder = pathlib.Path(parent) / "exported"
    calibration = trained_on.features if precision == "int8" else None
    exports.write(codec, folder, form, precision, calibration)
    codes = _run(folder, form, "encoder", features)
    decoded = _run(folder, form, "decoder", codes)
    size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
  own = codec.transform.encode(features)
  found = {}
  for key, array in (
    ("correct_pairs", decoded),
    ("correct_pairs_normalized", verification.normalize(decoded)),
  ):
    distances = verification.squared_distances(array, test.pairs)
    verified = verification.verify(distances, test.is_same)
    found[key] = verified["correct_pairs"]
  return {
    "codec": name,
    "codec_digest": codec.transform.digest(),
    "format": form,
    "precision": precision,
    "bytes": size,
    "codes_that_differ": float((codes != own).mean()),
    "entropy_bits_per_feature": float(codec.coder.bits(codes).mean()),
    **found,
  }


def main():
  files.check_output(_OUTPUT.value)
  work = [(name, *form) for name in _CODECS for form in _FORMS]
  measured = {
    "study": "exported codecs on the test set",
    "exports": [measure(*item) for item in tqdm.tqdm(work)],
  }
  tests = manifests.default().tests[0]
  data = {tests: manifests.sets()[tests].digest}
  results.write(_OUTPUT.value, measured, data)


if __name__ == "__main__":
  command_line.run(main)
