"""Trained networks of expressions: runs, shipped ones, TFLite files, SVMs."""

import pathlib
from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Tuple

import numpy as np

from tsenh.base.errors import Error
from tsenh.recognition import expressions
from tsenh.recognition.expressions import EMOTIONS, Classifier
from tsenh.training import run_folders

PRECISIONS = ("float", "int8")
SHIPPED = f"expressions/*/{run_folders.CONFIG}"
# Of the support vector machine; chosen among these on the validation part.
PENALTIES = (0.01, 0.1, 1.0)

# From faces uint8 [n, SIZE, SIZE] to logits float [n, 8].
Model = Callable[[np.ndarray], np.ndarray]


def find(name: str) -> Tuple[pathlib.Path, Dict[str, Any]]:
  """Folder and configuration of a finished run or of a shipped network.

  Raises:
    Error: if there is none.
  """
  folder = run_folders.shipped(SHIPPED).get(name, pathlib.Path(name))
  config = run_folders.read_config(folder)
  if config is None:
    known = ", ".join(run_folders.shipped(SHIPPED)) or "none"
    raise Error(
      f"{name}: neither a run folder (no {run_folders.CONFIG} in it) nor a"
      f" shipped network ({known})."
    )
  if config["kind"] != Classifier.KIND:
    raise Error(f"{name}: a run of {config['kind']}, not of expressions.")
  if config["status"] != run_folders.FINISHED:
    raise Error(f"{name}: the run is unfinished; --resume continues it.")
  return folder, config


def load(name: str, precision: str = "float", mirror: bool = False) -> Model:
  """What a network says of faces.

  Args:
    name: a run folder, or the name of a shipped network.
    precision: of a shipped one, one of `PRECISIONS`.
    mirror: whether it is the mean over each face and its mirror image.

  Raises:
    Error: if there is none, or not in that precision.
  """
  folder, config = find(name)
  path = folder / f"{precision}.tflite"
  if path.exists():
    return lite(path.read_bytes(), mirror)
  if precision != PRECISIONS[0]:
    raise Error(f"{name}: has no {path.name}; --precision=float takes a run.")
  classifier = expressions.load(folder, config)
  return lambda faces: classifier.predict(faces, mirror).logits


def lite(content: bytes, mirror: bool = False) -> Model:
  """What a network in a TensorFlow Lite file says of faces.

  Args:
    content: of the file, from `to_lite`.
    mirror: see `load`.
  """
  import tensorflow as tf

  interpreter = tf.lite.Interpreter(model_content=content, num_threads=1)
  (entry,) = interpreter.get_input_details()
  (found,) = interpreter.get_output_details()

  def logits(faces):
    outputs = []
    for i in range(0, len(faces), 64):
      batch = faces[i : i + 64, ..., None].astype(np.float32)
      interpreter.resize_tensor_input(entry["index"], batch.shape)
      interpreter.allocate_tensors()
      interpreter.set_tensor(entry["index"], batch)
      interpreter.invoke()
      outputs.append(interpreter.get_tensor(found["index"]))
    return np.concatenate(outputs)

  def both(faces):
    return (logits(faces) + logits(faces[:, :, ::-1])) / 2

  return both if mirror else logits


def to_lite(classifier: Classifier, precision: str, faces: np.ndarray) -> bytes:
  """A network as a TensorFlow Lite file, from grey float32 faces to logits.

  Args:
    classifier: trained.
    precision: float, with weights of 16 bits, or int8, computed in 8 bits.
    faces: uint8 [n, SIZE, SIZE], which show int8 the range of its values.

  Returns:
    The bytes of the file.
  """
  import tensorflow as tf

  model = tf.keras.Model(classifier.model.input, classifier.model.output.logits)
  converter = tf.lite.TFLiteConverter.from_keras_model(model)
  converter.optimizations = [tf.lite.Optimize.DEFAULT]
  if precision == PRECISIONS[0]:
    converter.target_spec.supported_types = [tf.float16]
  else:
    converter.representative_dataset = lambda: (
      [face[None, ..., None].astype(np.float32)] for face in faces
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
  return converter.convert()


class Machine(NamedTuple):
  """A linear support vector machine on embeddings side by side.

  Attributes:
    coefficients: float64 [8, dims].
    intercepts: float64 [8].
    penalty: C, of the loss beside the margin.
  """

  coefficients: np.ndarray
  intercepts: np.ndarray
  penalty: float

  def decide(self, embeddings: np.ndarray) -> np.ndarray:
    """The decision values, float64 [n, 8], of embeddings [n, dims]."""
    return embeddings @ self.coefficients.T + self.intercepts


def embeddings(
  classifiers: Sequence[Classifier], faces: np.ndarray, mirror: bool
) -> np.ndarray:
  """Embeddings of several networks side by side, each at unit length.

  Args:
    classifiers: whose.
    faces: uint8 [n, SIZE, SIZE].
    mirror: see `load`.

  Returns:
    float32 [n, dims].
  """
  parts: List[np.ndarray] = []
  for classifier in classifiers:
    own = classifier.predict(faces, mirror).embedding
    length = np.linalg.norm(own, axis=1, keepdims=True)
    parts.append(own / np.maximum(length, 1e-12))
  return np.concatenate(parts, axis=1)


def fit_machine(training, validation) -> Machine:
  """Fits a support vector machine, its penalty chosen on the validation part.

  Args:
    training: embeddings float32 [n, dims] and labels int64 [n], all of
      `EMOTIONS` among them.
    validation: the same of the validation part.

  Raises:
    Error: if scikit-learn is not installed, or an emotion has no face.
  """
  try:
    from sklearn.svm import LinearSVC
  except ImportError as error:
    raise Error(
      "a support vector machine needs scikit-learn: pip install"
      " 'tsenh[expressions]'."
    ) from error
  missing = {*range(len(EMOTIONS))} - {*training[1].tolist()}
  if missing:
    names = ", ".join(EMOTIONS[i] for i in sorted(missing))
    raise Error(f"the training part has no face of {names}.")
  found = []
  for penalty in PENALTIES:
    machine = LinearSVC(C=penalty, dual=False).fit(*training)
    hits = (machine.predict(validation[0]) == validation[1]).sum()
    found.append((int(hits), -penalty, machine))
  _, penalty, best = max(found, key=lambda entry: entry[:2])
  return Machine(best.coef_, best.intercept_, -penalty)
