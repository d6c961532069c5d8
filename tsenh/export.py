"""Exports a learned codec for other runtimes: SavedModel, TFLite, ONNX.

  python -m tsenh.export --codec=pro-1e-6 --format=tflite --output=pro-1e-6

The folder gets an encoder, features [n, dim] to integer codes, and a decoder,
codes to features; with --enhancer also the enhanced decoder of the same codes.
Between codes and bytes stands the entropy coder of FORMAT.md, which no such
format holds; tsenh.portable has it in NumPy, ports/ in other languages.

--precision=float16 and int8 make TFLite models of a half and a quarter of the
size; docs/porting.md says what accuracy they keep.
"""

import pathlib

from absl import flags

from tsenh.base import command_line
from tsenh.base.errors import Error
from tsenh.data import feature_sets
from tsenh.training import run_folders

_CODEC = flags.DEFINE_string(
  "codec", None, f"What to export: {run_folders.codec_help()}."
)
_ENHANCER = flags.DEFINE_string(
  "enhancer", None, "Export this run of train_enhancer or train_decoder too."
)
_FORMAT = flags.DEFINE_enum(
  "format",
  "savedmodel",
  ["savedmodel", "tflite", "onnx"],
  "What to write; onnx needs pip install 'tsenh[export]'.",
)
_PRECISION = flags.DEFINE_enum(
  "precision",
  "float32",
  ["float32", "float16", "int8"],
  "Of a TFLite model: float16 weights, or int8 weights and activations.",
)
_CALIBRATION = flags.DEFINE_string(
  "calibration",
  None,
  "With --precision=int8: the feature set whose ranges are taken. (default:"
  " what the codec was trained on)",
)
_OUTPUT = flags.DEFINE_string("output", None, "The new folder to write.")
flags.mark_flags_as_required(["codec", "output"])


def main():
  output = pathlib.Path(_OUTPUT.value)
  if output.exists():
    raise Error(f"{output}: is there already; give a new folder.")
  if not output.absolute().parent.is_dir():
    raise Error(f"{output}: the folder {output.parent} does not exist.")
  if _PRECISION.value != "float32" and _FORMAT.value != "tflite":
    raise Error(
      f"--precision={_PRECISION.value} goes with --format=tflite; the others"
      " are written in float32."
    )
  if _CALIBRATION.value and _PRECISION.value != "int8":
    raise Error("--calibration goes with --precision=int8.")
  features = None
  if _PRECISION.value == "int8":
    config = run_folders.finished(_CODEC.value)[1]
    calibration = _CALIBRATION.value or config.get("features", "")
    features = feature_sets.load(calibration).features

  from tsenh.features import compressor, exports

  codec = compressor.load(_CODEC.value, _ENHANCER.value)
  exports.write(codec, output, _FORMAT.value, _PRECISION.value, features)


if __name__ == "__main__":
  command_line.run(main)
