"""Face networks of many makers behind one signature: images to features.

The file tells the kind:

| file                         | kind             | install                    |
|------------------------------|------------------|----------------------------|
| `.pb`                        | frozen graph     |                            |
| folder, `.keras`, `.h5`      | SavedModel, Keras|                            |
| `.tflite`                    | TensorFlow Lite  |                            |
| `.onnx`                      | ONNX             | `pip install tsenh[onnx]`  |
| `.param` with `.bin` by it   | ncnn             | `pip install tsenh[ncnn]`  |
| the word `dlib`              | dlib's own       | `pip install tsenh[dlib]`  |
| the name of a shipped student| TensorFlow Lite  |                            |

A network file is a program: open those alone that you trust.
"""

import contextlib
import dataclasses
import hashlib
import importlib
import importlib.util
import pathlib
from typing import Any, Callable, Dict, Iterator, NamedTuple, Optional, Tuple

import numpy as np

from tsenh.base.errors import Error
from tsenh.training import run_folders

DLIB = "dlib"
_STUDENTS = f"students/*/{run_folders.CONFIG}"
_BATCH = 32
_CHUNK = 1 << 20


class Preprocessing(NamedTuple):
  """What happens to an image before the network, and to its output after it.

  Attributes:
    size: pixels of a side; None is what the file states.
    channels: "rgb" or "bgr", the order that the network takes.
    mean: subtracted from each value, of 0 to 255; not with `whiten`.
    scale: each value is then divided by it; not with `whiten`.
    whiten: whether each image gets zero mean and unit deviation, FaceNet's
      "prewhiten".
    normalize: whether a feature gets unit length.
    shrink: the size at which a face is cropped, if it is to be shrunk from
      there by area, as networks for few pixels want it; else None.
  """

  size: Optional[int]
  channels: str
  mean: float
  scale: float
  whiten: bool
  normalize: bool
  shrink: Optional[int] = None


PRESETS = {
  "facenet": Preprocessing(160, "rgb", 0.0, 1.0, True, True),
  "arcface": Preprocessing(112, "rgb", 127.5, 127.5, False, True),
  "dlib": Preprocessing(150, "rgb", 0.0, 1.0, False, False),
  "student": Preprocessing(None, "rgb", 127.5, 127.5, False, True, 112),
}

# Prepared images, float32 [n, size, size, 3], to features, float [n, dim].
_Run = Callable[[np.ndarray], np.ndarray]
# With it the height and width of the images that the file states, if it does.
_Loaded = Tuple[_Run, Tuple[Optional[int], Optional[int]]]


@dataclasses.dataclass(frozen=True)
class FaceNetwork:
  """A function from images to features, with what identifies it.

  Attributes:
    name: of its file.
    digest: SHA-256 of its file or files.
    preprocessing: with the size that holds.
  """

  name: str
  digest: str
  preprocessing: Preprocessing
  _run: _Run = dataclasses.field(repr=False)

  def __call__(self, images: np.ndarray) -> np.ndarray:
    """Features of faces.

    Args:
      images: uint8 [n, size, size, 3], RGB, as the network's alignment wants
        them.

    Returns:
      float32 [n, dim].

    Raises:
      Error: if what the network gives are no finite features.
    """
    features = np.concatenate(
      [
        self._run(_prepare(images[start : start + _BATCH], self.preprocessing))
        for start in range(0, len(images), _BATCH)
      ]
    )
    if features.ndim != 2 or features.dtype.kind != "f":
      raise Error(
        f"{self.name}: gives {features.dtype} of shape {list(features.shape)},"
        " expected one row of floats for each face; --output_name names another"
        " output."
      )
    features = features.astype(np.float32)
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    if not (np.isfinite(norms) & (norms > 0)).all():
      raise Error(
        f"{self.name}: gives a feature that is zero or not finite; is the"
        " preprocessing the network's own?"
      )
    return features / norms if self.preprocessing.normalize else features


def students() -> Dict[str, pathlib.Path]:
  """The programs of the shipped students by name, in int8 and in float32."""
  found = {}
  for name, folder in run_folders.shipped(_STUDENTS).items():
    found[name] = folder / "int8.tflite"
    found[f"{name}-float"] = folder / "float32.tflite"
  return found


def find(network: str) -> str:
  """The path of a network: a shipped student's of its name, or as it is."""
  return str(students().get(network, network))


def preset_of(network: str) -> str:
  """The name of the preset that fits most networks of a file's kind."""
  if network == DLIB:
    return "dlib"
  if network in students() or network in map(str, students().values()):
    return "student"
  path = pathlib.Path(network)
  tensorflow = path.is_dir() or path.suffix in (".pb", ".keras", ".h5")
  return "facenet" if tensorflow else "arcface"


def load(
  network: str,
  preprocessing: Preprocessing,
  input_name: Optional[str] = None,
  output_name: Optional[str] = None,
) -> FaceNetwork:
  """Loads a network.

  Args:
    network: a file or folder as above, or `dlib`.
    preprocessing: the network's own, or its features are worth nothing.
    input_name: of the image where the file has several inputs; of a frozen
      graph a tensor's name. (default: the only one, `input:0`)
    output_name: of the features, as `input_name`. (default: the only one,
      `embeddings:0`)

  Returns:
    The network.

  Raises:
    Error: if it is none, a package is missing that it needs, or it takes images
      of another size.
  """
  files = _files(network)
  if network == DLIB and preprocessing[:5] != PRESETS[DLIB][:5]:
    raise Error("dlib: prepares its images itself; leave them as they are.")
  kind = _LOADERS[_kind(network)]
  with _loading(network):
    run, stated = kind(files[0], input_name, output_name)
  size = preprocessing.size or stated[0]
  if size is None:
    raise Error(f"{network}: does not state the size of its images; give it.")
  for side in stated:
    if side is not None and side != size:
      raise Error(
        f"{network}: takes images of {stated[0]}x{stated[1]} pixels, not of"
        f" {size}x{size}."
      )
  return FaceNetwork(
    pathlib.Path(network).name,
    digest(network),
    preprocessing._replace(size=size),
    run,
  )


def dlib_model(name: str) -> pathlib.Path:
  """The path of one of dlib's models.

  They are found without importing their package, which needs `pkg_resources`,
  gone from setuptools.

  Args:
    name: of the file.

  Raises:
    Error: if the package is not installed.
  """
  spec = importlib.util.find_spec("face_recognition_models")
  if spec is None:
    raise Error(
      "dlib's models need a package (face-recognition-models):"
      " pip install 'tsenh[dlib]'."
    )
  return pathlib.Path(spec.submodule_search_locations[0], "models", name)


def package(name: str, extra: str) -> Any:
  """Imports a package that an extra of this one installs.

  Raises:
    Error: if it is not installed.
  """
  try:
    return importlib.import_module(name)
  except ImportError as error:
    raise Error(
      f"this needs a package ({error}): pip install 'tsenh[{extra}]'."
    ) from error


def _prepare(images: np.ndarray, how: Preprocessing) -> np.ndarray:
  """uint8 [n, size, size, 3], RGB, to float32 as the network takes them."""
  values = images.astype(np.float32)
  if how.channels == "bgr":
    values = values[..., ::-1]
  if how.whiten:
    mean = values.mean(axis=(1, 2, 3), keepdims=True)
    deviation = values.std(axis=(1, 2, 3), keepdims=True)
    # As FaceNet: an image of one colour has no deviation to divide by.
    least = 1 / np.sqrt(values[0].size)
    values = (values - mean) / np.maximum(deviation, least)
  else:
    values = (values - how.mean) / how.scale
  return np.ascontiguousarray(values, np.float32)


@contextlib.contextmanager
def _loading(network: str) -> Iterator[None]:
  """Turns whatever a runtime raises about a file into an Error."""
  try:
    yield
  except (Error, MemoryError):
    raise
  except Exception as error:  # Each runtime has exceptions of its own.
    raise Error(f"{network}: not a network that opens ({error}).") from error


def _kind(network: str) -> str:
  if network == DLIB:
    return DLIB
  path = pathlib.Path(network)
  suffix = "folder" if path.is_dir() else path.suffix
  if suffix not in _LOADERS:
    raise Error(
      f"{network}: neither dlib nor a face network (a SavedModel's folder, .pb,"
      " .keras, .h5, .tflite, .onnx, .param)."
    )
  return suffix


def _files(network: str) -> Tuple[pathlib.Path, ...]:
  """What has to be there; the first is what is opened."""
  path = pathlib.Path(network)
  if _kind(network) == DLIB:
    return (dlib_model("dlib_face_recognition_resnet_model_v1.dat"),)
  if path.is_dir():
    if not (path / "saved_model.pb").is_file():
      raise Error(f"{network}: a folder, but it has no saved_model.pb.")
    inside = sorted(p for p in path.rglob("*") if p.is_file())
    return (path, *inside)
  weights = (path.with_suffix(".bin"),) if path.suffix == ".param" else ()
  for file in (path, *weights):
    if not file.is_file():
      raise Error(f"{file}: no such file.")
  return (path, *weights)


def digest(network: str) -> str:
  """SHA-256 of a network's files, in hexadecimal.

  Raises:
    Error: if it is no network, or a file is missing.
  """
  sha = hashlib.sha256()
  for path in _files(network):
    if path.is_file():
      with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
          sha.update(chunk)
  return sha.hexdigest()


def _one(found, name: Optional[str], what: str, flag: str) -> str:
  """The name among those found, or the only one."""
  found = list(found)
  if name is None and len(found) == 1:
    return found[0]
  if name not in found:
    raise Error(
      f"{name or 'no name'} is no {what} of the network; --{flag} is one of"
      f" {', '.join(found)}."
    )
  return name


def _sides(shape) -> Tuple[Optional[int], Optional[int]]:
  """Height and width of a shape [n, h, w, 3] or [n, 3, h, w]; None: any."""
  sides = [d if isinstance(d, int) and d > 0 else None for d in shape]
  if len(sides) != 4 or 3 not in (sides[1], sides[3]):
    raise Error(f"takes {list(shape)}, expected a batch of RGB images")
  return tuple(sides[2:4] if sides[1] == 3 else sides[1:3])


def _frozen_graph(path, input_name, output_name) -> _Loaded:
  """FaceNet's form: `input:0` and `phase_train:0` in, `embeddings:0` out."""
  import tensorflow as tf

  graph = tf.compat.v1.GraphDef()
  graph.ParseFromString(path.read_bytes())
  names = {node.name for node in graph.node}
  tensors = [input_name or "input:0", output_name or "embeddings:0"]
  for tensor in tensors:
    if tensor.partition(":")[0] not in names:
      raise Error(
        f"{path}: has no tensor {tensor}; --input_name and --output_name name"
        " the graph's own."
      )
  whole = tf.compat.v1.wrap_function(
    lambda: tf.graph_util.import_graph_def(graph, name=""), []
  )
  tensors = [whole.graph.get_tensor_by_name(name) for name in tensors]
  feeds = tensors[:1]
  if "phase_train" in names:
    feeds.append(whole.graph.get_tensor_by_name("phase_train:0"))
  pruned = whole.prune(feeds, tensors[1])
  shape = tensors[0].shape
  given = [tf.constant(False)] * (len(feeds) - 1)
  return (
    lambda values: pruned(tf.constant(values), *given).numpy(),
    _sides(shape.as_list()) if shape.rank else (None, None),
  )


def _saved_model(path, input_name, output_name) -> _Loaded:
  import tensorflow as tf

  model = tf.saved_model.load(str(path))
  signature = model.signatures.get("serving_default")
  if signature is None:
    raise Error(f"{path}: has no signature serving_default.")
  given = signature.structured_input_signature[1]
  images = {k: v for k, v in given.items() if v.dtype == tf.float32}
  # FaceNet's switch between training and use, if it is left in.
  rest = {k: tf.constant(False) for k, v in given.items() if v.dtype == tf.bool}
  name = _one(images, input_name, "input", "input_name")
  outputs = signature.structured_outputs
  out = _one(outputs, output_name, "output", "output_name")

  def run(values, keep=model):  # Its variables go when the model goes.
    del keep
    return signature(**{name: tf.constant(values)}, **rest)[out].numpy()

  return run, _sides(images[name].shape.as_list())


def _keras(path, input_name, output_name) -> _Loaded:
  import tensorflow as tf

  if input_name or output_name:
    raise Error(f"{path}: --input_name and --output_name are not for Keras.")
  model = tf.keras.models.load_model(path, compile=False)
  run = tf.function(lambda values: model(values, training=False))
  return lambda values: run(values).numpy(), _sides(model.input_shape)


def _tflite(path, input_name, output_name) -> _Loaded:
  import tensorflow as tf

  interpreter = tf.lite.Interpreter(str(path), num_threads=1)
  interpreter.allocate_tensors()
  inputs = {d["name"]: d for d in interpreter.get_input_details()}
  outputs = {d["name"]: d for d in interpreter.get_output_details()}
  given = inputs[_one(inputs, input_name, "input", "input_name")]
  found = outputs[_one(outputs, output_name, "output", "output_name")]
  for details in (given, found):
    if details["dtype"] not in (np.float32, np.int8):
      kind = np.dtype(details["dtype"]).name
      raise Error(f"{path}: takes or gives {kind}, expected float32 or int8.")
  # Converters fix the batch within the graph too, so that of the file stays.
  batch = int(given["shape"][0])
  shape = [int(d) for d in given["shape_signature"]]
  free = None in _sides(shape)  # Of any size.

  def run(values):
    if free and interpreter.tensor(given["index"])().shape != values.shape:
      interpreter.resize_tensor_input(given["index"], values.shape)
      interpreter.allocate_tensors()
    interpreter.set_tensor(given["index"], _quantized(values, given))
    interpreter.invoke()
    return _real(interpreter.get_tensor(found["index"]), found)

  return _in_batches(_channels_where(shape, run), batch), _sides(shape)


def _quantized(values: np.ndarray, details: Dict[str, Any]) -> np.ndarray:
  """Real numbers as a tensor of TensorFlow Lite keeps them."""
  if details["dtype"] == np.float32:
    return values
  scale, zero = details["quantization"]
  return np.clip(np.rint(values / scale + zero), -128, 127).astype(np.int8)


def _real(values: np.ndarray, details: Dict[str, Any]) -> np.ndarray:
  """What a tensor of TensorFlow Lite stands for, float32."""
  if details["dtype"] == np.float32:
    return values
  scale, zero = details["quantization"]
  return np.float32(scale) * (values.astype(np.float32) - zero)


def _onnx(path, input_name, output_name) -> _Loaded:
  runtime = package("onnxruntime", "onnx")
  options = runtime.SessionOptions()
  options.intra_op_num_threads = 1
  session = runtime.InferenceSession(
    str(path), options, providers=["CPUExecutionProvider"]
  )
  # Old files list their weights among the inputs; runtimes leave these out.
  inputs = {i.name: i for i in session.get_inputs()}
  outputs = [o.name for o in session.get_outputs()]
  name = _one(inputs, input_name, "input", "input_name")
  out = _one(outputs, output_name, "output", "output_name")
  shape = list(inputs[name].shape)
  run = _channels_where(
    shape, lambda values: session.run([out], {name: values})[0]
  )
  fixed = shape[0] if isinstance(shape[0], int) and shape[0] > 0 else None
  return (_in_batches(run, fixed) if fixed else run), _sides(shape)


def _ncnn(path, input_name, output_name) -> _Loaded:
  ncnn = package("ncnn", "ncnn")
  net = ncnn.Net()
  net.opt.num_threads = 1
  # Half precision, where a processor has it, is 1e-3 away.
  for option in ("fp16_packed", "fp16_storage", "fp16_arithmetic"):
    setattr(net.opt, f"use_{option}", False)
  if net.load_param(str(path)) or net.load_model(str(path.with_suffix(".bin"))):
    raise Error(f"{path}: not an ncnn network, or its .bin is damaged.")
  name = _one(net.input_names(), input_name, "input", "input_name")
  out = _one(net.output_names(), output_name, "output", "output_name")

  def run(values):
    features = []
    for image in values:
      extractor = net.create_extractor()
      planes = np.ascontiguousarray(image.transpose(2, 0, 1))
      extractor.input(name, ncnn.Mat(planes))
      failed, feature = extractor.extract(out)
      if failed:
        raise Error(f"{path}: does not run on images of {image.shape[:2]}.")
      feature = np.array(feature)
      if max(feature.shape) < feature.size:
        raise Error(
          f"{path}: gives {list(feature.shape)} numbers for a face, expected a"
          f" row; does it take images of {image.shape[0]} pixels?"
        )
      features.append(feature.reshape(-1))
    return np.stack(features)

  return run, (None, None)


def _dlib(path, input_name, output_name) -> _Loaded:
  if input_name or output_name:
    raise Error("--input_name and --output_name are not for dlib.")
  model = package("dlib", "dlib").face_recognition_model_v1(str(path))

  def run(values):
    chips = list(values.astype(np.uint8))
    return np.array(model.compute_face_descriptor(chips), np.float32)

  return run, (150, 150)


def _channels_where(shape: list, run: _Run) -> _Run:
  """The same for images whose channels come last, whatever the network's."""
  if shape[1] != 3:
    return run
  return lambda values: run(np.ascontiguousarray(values.transpose(0, 3, 1, 2)))


def _in_batches(run: _Run, size: int) -> _Run:
  """Runs a network of a fixed batch on any number of images."""

  def batches(values):
    features = []
    for start in range(0, len(values), size):
      batch = values[start : start + size]
      padding = [(0, size - len(batch)), (0, 0), (0, 0), (0, 0)]
      features.append(run(np.pad(batch, padding))[: len(batch)])
    return np.concatenate(features)

  return batches


_LOADERS: Dict[str, Callable] = {
  "folder": _saved_model,
  ".pb": _frozen_graph,
  ".keras": _keras,
  ".h5": _keras,
  ".tflite": _tflite,
  ".onnx": _onnx,
  ".param": _ncnn,
  DLIB: _dlib,
}
