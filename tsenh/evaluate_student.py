"""Verifies and identifies people by faces of few pixels.

  python -m tsenh.evaluate_student --network=student-16 --low=16 \
    --images=lfw_aligned.tar --output=student-16.json
  python -m tsenh.evaluate_student --network=mobilefacenet128.param --low=16 \
    --scale=128 --images=lfw_aligned.tar --output=teacher-16.json

Each face is shrunk by area to --low pixels a side and, where the network takes
larger ones, enlarged again: so the teacher and its student see the same. LFW's
ten folds and all pairs of its faces are measured; the features averaged with
those of the mirror image; shrunken faces against the teacher's features of
sharp ones; and with --ways the pairs of faces shrunk in other ways. Every
evaluation of a test set is a line in the folder's test_log.jsonl.
"""

import pathlib
import sys
from typing import Any, Dict, Optional

import numpy as np
from absl import flags

from tsenh.base import command_line, files, results
from tsenh.base.errors import Error
from tsenh.data import feature_sets, manifests
from tsenh.recognition import (
  command,
  degradation,
  face_networks,
  image_sets,
  matching,
)
from tsenh.training import run_folders

_LOW = flags.DEFINE_integer(
  "low", 16, "Pixels of a side to which faces are shrunk.", lower_bound=8
)
_IMAGES = flags.DEFINE_string(
  "images", None, "The faces, aligned: a folder, a tar file or a packed .npz."
)
_FEATURES = flags.DEFINE_string(
  "features",
  manifests.default().tests[0],
  "The teacher's features of the sharp faces, by their names, with pairs.",
)
_WAYS = flags.DEFINE_bool(
  "ways",
  False,
  "Verify faces shrunk by other filters, blurred and in JPEG too.",
)
_METHOD = flags.DEFINE_string(
  "method", None, "What to call it. (default: the network's name)"
)
_OUTPUT = flags.DEFINE_string("output", None, "The result (.json) to write.")
for _name in (
  *("network", "preset", "size", "channels", "mean", "scale", "whiten"),
  *("normalize", "input_name", "output_name"),
):
  flags.declare_key_flag(_name)
flags.mark_flags_as_required(["network", "images", "output"])


def _training() -> Optional[Dict[str, Any]]:
  """How the network was trained, if its file lies in a student's run folder."""
  if command.NETWORK.value in face_networks.students():
    return None  # Its own configuration is shipped with it.
  try:
    config = run_folders.read_config(pathlib.Path(command.NETWORK.value).parent)
  except Error:  # Somebody else's config.json.
    return None
  return config if config and config["kind"] == "student" else None


def main():
  files.check_output(_OUTPUT.value)
  files.check_apart(_OUTPUT.value, _IMAGES.value, _FEATURES.value)
  output = pathlib.Path(_OUTPUT.value)
  test_set = feature_sets.load(_FEATURES.value)
  if test_set.pairs is None or test_set.names is None:
    raise Error(f"{_FEATURES.value}: has no pairs to verify, or no names.")
  settings = command.settings()

  from tsenh.recognition import low_resolution

  images = image_sets.load(_IMAGES.value)
  rows = matching.rows_of(images, test_set.names.tolist())
  network = face_networks.load(*settings[:4])
  size = network.preprocessing.size
  ways = ["box"]
  faces = {}
  order = np.argsort(rows)
  with command_line.progress(len(rows), "face", "shrink") as bar:
    for place, image in zip(order, images.decode(rows[order])):
      if min(image.shape[:2]) < _LOW.value:
        raise Error(f"{_IMAGES.value}: has faces of {image.shape[1]} pixels.")
      seen = {"box": degradation.shrink(image, _LOW.value)}
      if _WAYS.value:
        seen = degradation.robustness(image, _LOW.value)
      ways = list(seen)
      for way, small in seen.items():
        shape = [len(rows), size, size, 3]
        found = faces.setdefault(way, np.empty(shape, np.uint8))
        found[place] = low_resolution.enlarged(small, size)
      bar.update()
  features = {}
  with command_line.progress(len(ways) + 1, "set", "features") as bar:
    for way in ways:
      features[way] = network(faces[way])
      bar.update()
    averaged = low_resolution.mirrored(network, faces["box"])
    bar.update()
  digest = test_set.digest()
  measured = {
    "method": _METHOD.value or pathlib.Path(command.NETWORK.value).name,
    "network": command.NETWORK.value,
    "codec_digest": network.digest,
    "training": _training(),
    "low": _LOW.value,
    "size": size,
    "features": _FEATURES.value,
    "features_digest": digest,
    "images_digest": images.digest(),
    **low_resolution.measure(features["box"], test_set),
    "mirrored": low_resolution.measure(averaged, test_set),
    "against_sharp": low_resolution.against_sharp(features["box"], test_set),
    "ways": {
      way: low_resolution.measure(features[way], test_set, with_dense=False)
      for way in ways[1:]
    },
  }
  result = results.describe(measured, {_FEATURES.value: digest})
  if manifests.is_test(digest):
    print(results.log_look(output.parent, result), file=sys.stderr)
  files.write_json(_OUTPUT.value, result)
  averaged = measured["mirrored"]
  print(
    f"{measured['method']} on {_FEATURES.value} at {_LOW.value} pixels:"
    f" {measured['correct_pairs']} of {measured['num_pairs']} pairs,"
    f" {100 * measured['accuracy']:.2f} %; averaged with mirror images"
    f" {100 * averaged['accuracy']:.2f} %"
  )


if __name__ == "__main__":
  command_line.run(main)
