"""Learned codecs as programs for other runtimes: SavedModel, TFLite, ONNX.

What is exported maps arrays to arrays; the entropy coder between the integer
codes and a file's bytes stays (FORMAT.md; `tsenh.portable` has it in NumPy).
"""

import os
import pathlib
import shutil
from typing import Callable, Dict, Iterable, Optional

import numpy as np
import tensorflow as tf

from tsenh.base.errors import Error
from tsenh.features.compressor import Compressor, Enhancement
from tsenh.features.pro import Codec

_OPSET = 13
# How many features TFLite's calibration looks at.
_CALIBRATION = 1000

Functions = Dict[str, Callable]


def functions(codec: Compressor) -> Functions:
  """What is exported of a codec, by name.

  Args:
    codec: learned; with an enhancement or without.

  Returns:
    TensorFlow functions: `encoder`, from float32 [n, feature_dim] to int32 [n,
    code_dim]; `decoder`, from int32 codes to float32 features; and with an
    enhancement `enhancer`, which decodes the same codes in its place. None
    checks what it is given.

  Raises:
    Error: if the codec is not a learned one.
  """
  pro = codec.transform
  if not isinstance(pro, Codec):
    raise Error(
      f"{codec.name}: the run of {pro.KIND}, expected a learned codec."
    )
  features = tf.TensorSpec([None, pro.feature_dim], tf.float32, "features")
  codes = tf.TensorSpec([None, pro.code_dim], tf.int32, "codes")

  def encoder(features):
    latent = tf.clip_by_value(pro.encoder(features), -pro.clip, pro.clip)
    return {"codes": tf.cast(tf.round(latent), tf.int32)}

  def decoder(codes):
    return {"features": pro.decoder(tf.cast(codes, tf.float32))}

  def enhancer(codes):
    values, found = tf.cast(codes, tf.float32), codec.enhancement
    if isinstance(found, Enhancement):
      enhanced = found.enhancer.enhanced(found.enhancer(values))
      return {"features": found.high.decoder(enhanced)}
    return {"features": found.enhancer.decoder(values)}

  exported = {
    "encoder": tf.function(encoder, input_signature=[features]),
    "decoder": tf.function(decoder, input_signature=[codes]),
  }
  if codec.enhancement:
    exported["enhancer"] = tf.function(enhancer, input_signature=[codes])
  return exported


def to_onnx(function: Callable) -> bytes:
  """A function of `functions` as an ONNX model, float32.

  Raises:
    Error: if tf2onnx is not installed, or the function branches, as tfc's form
      of GDN does.
  """
  try:
    import tf2onnx
  except ImportError as error:
    raise Error(
      f"ONNX needs a package ({error}): pip install 'tsenh[export]'."
    ) from error
  operations = function.get_concrete_function().graph.get_operations()
  if any(operation.type in ("If", "StatelessIf") for operation in operations):
    raise Error("ONNX does not hold a codec of tfc's form of GDN; TFLite does.")
  model, _ = tf2onnx.convert.from_function(
    function, input_signature=function.input_signature, opset=_OPSET
  )
  return model.SerializeToString()


def to_tflite(
  function: Callable, precision: str, examples: Iterable[np.ndarray] = ()
) -> bytes:
  """A function of `functions` as a TFLite model.

  Args:
    function: its inputs and outputs stay float32 and int32.
    precision: "float32", "float16" (weights), or "int8" (weights, and
      activations where TFLite has the operation).
    examples: inputs, from which int8 takes its ranges.
  """
  concrete = function.get_concrete_function()
  converter = tf.lite.TFLiteConverter.from_concrete_functions(
    [concrete],
    tf.Module(),  # It wants one, and needs none: all are constants.
  )
  if precision != "float32":
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
  if precision == "float16":
    converter.target_spec.supported_types = [tf.float16]
  if precision == "int8":
    converter.representative_dataset = lambda: ([e[None]] for e in examples)
  return converter.convert()


def write(
  codec: Compressor,
  output: pathlib.Path,
  form: str,
  precision: str = "float32",
  features: Optional[np.ndarray] = None,
) -> None:
  """Writes what `functions` says to a new folder, whole or not at all.

  Args:
    codec: learned.
    output: the folder: one SavedModel with a signature for each function, or
      `NAME.tflite` or `NAME.onnx`.
    form: "savedmodel", "tflite" or "onnx".
    precision: of TFLite; the others are float32.
    features: float32 or float16 [n, feature_dim], from which int8 takes its
      ranges; the others need none.

  Raises:
    Error: if the codec is not a learned one, or the features are not of it.
  """
  exported = functions(codec)
  examples = dict.fromkeys(exported, ())
  if features is not None:
    dim = codec.transform.feature_dim
    if features.shape[1] != dim:
      raise Error(
        f"the features have {features.shape[1]} dimensions, but {codec.name} is"
        f" for {dim}."
      )
    features = np.asarray(features[:_CALIBRATION], np.float32)
    examples = dict.fromkeys(exported, codec.transform.encode(features))
    examples["encoder"] = features
  temporary = output.absolute().with_name(f".{output.name}.{os.getpid()}")
  temporary.mkdir()
  try:
    if form == "savedmodel":
      module = tf.Module()  # It holds the functions' variables.
      enhancement = vars(codec.enhancement) if codec.enhancement else {}
      for name, model in {"codec": codec.transform, **enhancement}.items():
        setattr(module, name, model.trainable_variables)
      tf.saved_model.save(module, str(temporary), signatures=exported)
    for name, function in exported.items():
      if form == "tflite":
        model = to_tflite(function, precision, examples[name])
        (temporary / f"{name}.tflite").write_bytes(model)
      elif form == "onnx":
        (temporary / f"{name}.onnx").write_bytes(to_onnx(function))
    os.rename(temporary, output)
  except BaseException:
    shutil.rmtree(temporary)
    raise
