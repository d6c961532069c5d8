"""Tests networks that tell expressions, one or several put together.

  python -m tsenh.evaluate_expression --model=runs/expression-upper-kd \
    --data=ferplus.npz --labels=fer2013new.csv --occlusion=upper \
    --output=result.json

Two runs, as --model=A,B, are put together as the paper does: their embeddings
side by side, and a linear support vector machine on them, fitted to the
training part (pip install 'tsenh[expressions]'); --svm does the same with one.
The result has the accuracy, that of each emotion, the confusion matrix, what is
left without faces that the training part has too, and each prediction.
"""

import numpy as np
from absl import flags

from tsenh.base import command_line, files, results
from tsenh.base.errors import Error
from tsenh.recognition import expression_flags
from tsenh.training import run_folders

_MODEL = flags.DEFINE_list(
  "model",
  None,
  "A run folder or a shipped network; of several, their embeddings side by"
  " side.",
)
_OCCLUSION = flags.DEFINE_enum(
  "occlusion",
  "none",
  ["none", "upper", "lower"],
  "The half of the face that is blacked out.",
)
_PART = flags.DEFINE_enum(
  "part", "test", ["validation", "test"], "Of the images."
)
_SVM = flags.DEFINE_bool(
  "svm", False, "A support vector machine on one network's embedding too."
)
_MIRROR = flags.DEFINE_bool(
  "mirror", True, "Answer by the mean over each face and its mirror image."
)
_PRECISION = flags.DEFINE_enum(
  "precision", "float", ["float", "int8"], "Of a shipped network."
)
_MAP = flags.DEFINE_bool(
  "map", False, "Also write the embeddings of a run in two dimensions."
)
_METHOD = flags.DEFINE_string(
  "method", None, "Its name in tables. (default: the model's)"
)
_OUTPUT = flags.DEFINE_string("output", None, "The JSON to write.")
flags.adopt_module_key_flags(expression_flags)
flags.mark_flags_as_required(["model", "output"])


def main():
  files.check_output(_OUTPUT.value)
  files.check_apart(
    _OUTPUT.value, expression_flags.DATA.value, expression_flags.LABELS.value
  )
  if not _MODEL.value:
    raise Error("--model names no network.")
  parts = expression_flags.load()
  tested = parts[_PART.value]

  from tsenh.recognition import (
    expression_models,
    expression_scores,
    expressions,
  )

  found = [expression_models.find(name) for name in _MODEL.value]
  seen = expressions.occlude(tested.images, _OCCLUSION.value)
  penalty = places = None
  if len(found) > 1 or _SVM.value:
    if _PRECISION.present:
      raise Error("--precision goes with one network's own answers.")
    networks = [expressions.load(*entry) for entry in found]
    fitted_to = []
    for name in ("training", "validation"):
      faces = expressions.occlude(parts[name].images, _OCCLUSION.value)
      of_faces = expression_models.embeddings(networks, faces, _MIRROR.value)
      fitted_to.append((of_faces, parts[name].labels))
    machine = expression_models.fit_machine(*fitted_to)
    penalty = machine.penalty
    decided = machine.decide(
      expression_models.embeddings(networks, seen, _MIRROR.value)
    )
  else:
    (name,) = _MODEL.value
    decided = expression_models.load(name, _PRECISION.value, _MIRROR.value)(
      seen
    )
  if _MAP.value:
    networks = [expressions.load(*entry) for entry in found]
    places = expression_scores.in_two_dimensions(
      expression_models.embeddings(networks, seen, _MIRROR.value)
    )
  measured = {
    "method": _METHOD.value or "+".join(_MODEL.value),
    "model": _MODEL.value,
    "precision": _PRECISION.value,
    "svm_penalty": penalty,
    "occlusion": _OCCLUSION.value,
    "part": _PART.value,
    "mirror": _MIRROR.value,
    "copies": tested.copies,
    "map": places,
    "curve": run_folders.read_validation(found[0][0]),
    "training": found[0][1],
    "others": [config for _, config in found[1:]],
    **expression_scores.score(
      tested.labels, decided.argmax(axis=1), tested.is_copy
    ),
  }
  data = {"images and labels": tested.digest()}
  for name, (_, config) in zip(_MODEL.value, found):
    data[f"network {name}"] = config["classifier_digest"]
  results.write(_OUTPUT.value, measured, data)
  print(_summary(measured, np.array(measured["confusion"])))


def _summary(result, confusion) -> str:
  """The result in a few lines, for reading."""
  rest = result["without_copies"]
  lines = [
    f"{result['method']}, hidden: {result['occlusion']}:"
    f" {result['correct']} of {result['count']} right,"
    f" {100 * result['accuracy']:.2f} %; without the"
    f" {result['count'] - rest['count']} copies of training images"
    f" {100 * rest['accuracy']:.2f} %"
  ]
  for name, row, own in zip(
    result["per_class"], confusion, result["per_class"].values()
  ):
    if own["count"]:
      counts = " ".join(f"{count:5}" for count in row)
      lines.append(f"  {name:10} {100 * own['accuracy']:5.1f} %  {counts}")
  return "\n".join(lines)


if __name__ == "__main__":
  command_line.run(main)
