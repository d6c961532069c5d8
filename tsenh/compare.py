"""Compares the faces of two photographs, before and after a codec.

  python -m tsenh.compare --output=compare.png a.jpg b.jpg
  python -m tsenh.compare --codec=pro-1e-5 --network=mobilefacenet128.param \
    --scale=128 a.jpg b.jpg

Finds a face in each, extracts, codes and decodes its feature, and prints the
bytes of each and the distance between them, from the features and from what
was decoded; and whether that is one person, by the threshold that is best for
such features on LFW. The network must be the one whose features the codec was
trained on: for the default, dlib's (pip install 'tsenh[dlib]').
"""

import sys
from typing import List, Sequence

import numpy as np
from absl import flags

from tsenh.base import command_line, files
from tsenh.base.errors import Error
from tsenh.data import feature_sets, manifests
from tsenh.recognition import command, extraction, face_networks, photographs
from tsenh.training import run_folders

_CODEC = flags.DEFINE_string(
  "codec", "dlib-pro-1e-5-e282", f"What codes: {run_folders.codec_help()}."
)
_OUTPUT = flags.DEFINE_string(
  "output", None, "A picture of both faces and the outcome to write (.png)."
)
_TEST_SET = flags.DEFINE_string(
  "test_set",
  None,
  "Features with pairs, whose best threshold decides. (default: those of LFW by"
  " the network of the codec's training set, where that is a shipped one)",
)
flags.adopt_module_key_flags(command)  # So that --help shows them.
flags.set_default(command.NETWORK, "dlib")


def _crops(extractor: extraction.Extractor, paths: List[str]) -> np.ndarray:
  """The main face of each photograph: uint8 [n, size, size, 3]."""
  crops = []
  for path in paths:
    try:
      with open(path, "rb") as file:
        image = photographs.decode(file.read())
      crop, faces, _ = extractor.crop(image)
    except Error as error:
      raise Error(f"{path}: {error}.") from error
    if len(faces) > 1:
      print(
        f"{path}: {len(faces)} faces; the main one is compared.",
        file=sys.stderr,
      )
    crops.append(crop)
  return np.stack(crops)


def _test_set() -> feature_sets.FeatureSet:
  """What the threshold is from, with pairs.

  Raises:
    Error: also if the network is known to be another than the codec's.
  """
  name, network = _TEST_SET.value, command.NETWORK.value
  trained_on = run_folders.finished(_CODEC.value)[1]["features"]
  known = manifests.sets().get(trained_on)
  taught = dict.fromkeys(face_networks.students(), manifests.default().name)
  own = {face_networks.DLIB: "dlib", **taught}.get(network)
  if own and known and known.network != own:
    raise Error(
      f"{_CODEC.value} is for features of {known.network}, not of {network}."
    )
  if name is None and network in face_networks.students():
    raise Error(
      f"{network}: the threshold of sharp faces is not its own; --test_set"
      " names features with pairs that it has extracted."
    )
  if name is None:
    if known is None:
      raise Error(
        f"{_CODEC.value} was trained on {trained_on}, whose network is not"
        " known; --test_set names its features with pairs."
      )
    name = manifests.network_of(trained_on).tests[0]
  found = feature_sets.load(name)
  if found.pairs is None:
    raise Error(f"{name}: has no pairs to find a threshold by.")
  return found


def _draw(path: str, crops: np.ndarray, lines: List[Sequence[str]]) -> None:
  from PIL import Image, ImageDraw, ImageFont

  size, margin, height = 224, 16, 24
  width = 2 * size + 3 * margin
  picture = Image.new(
    "RGB", (width, size + 3 * margin + height * len(lines)), "white"
  )
  for i, crop in enumerate(crops):
    face = Image.fromarray(crop).resize((size, size), Image.Resampling.LANCZOS)
    picture.paste(face, (margin + i * (size + margin), margin))
  draw, font = ImageDraw.Draw(picture), ImageFont.load_default(height * 2 // 3)
  for i, line in enumerate(lines):
    top = size + 2 * margin + i * height
    for column, part in enumerate(line):
      left = margin + column * (width - margin) // 3
      draw.text((left, top), part, "black", font)
  with files.replacing(path) as file:
    picture.save(file, "png")


def main(first: str, second: str):
  if _OUTPUT.value:
    files.check_output(_OUTPUT.value)
    files.check_apart(_OUTPUT.value, first, second)
    if not _OUTPUT.value.lower().endswith(".png"):
      raise Error(f"{_OUTPUT.value}: the picture's name ends in .png.")
  known = _test_set()
  extractor = extraction.Extractor(command.settings(find_faces=True))

  from tsenh.coding import entropy
  from tsenh.features import compressor
  from tsenh.recognition import verification

  codec = compressor.load(_CODEC.value)
  crops = _crops(extractor, [first, second])
  features = extractor.network(crops)
  dims = [features.shape[1], codec.transform.feature_dim]
  if dims[0] != dims[1]:
    raise Error(
      f"{_CODEC.value} is for features of {dims[1]} dimensions, but those of"
      f" {command.NETWORK.value} have {dims[0]}."
    )
  if known.features.shape[1] != dims[0]:
    raise Error(f"--test_set has {known.features.shape[1]} dimensions.")
  codes = codec.transform.encode(features)
  everybody = codec.transform.decode(codec.transform.encode(known.features))
  size = features[0].nbytes
  coded = [
    entropy.string_bytes(codec.coder.pack_shared(code[None]), 1, "shared")
    for code in codes
  ]
  columns = [
    ("features", f"{size} and {size}", features, known.features),
    (
      "decoded",
      f"{coded[0]} and {coded[1]}",
      codec.transform.decode(codes),
      everybody,
    ),
  ]
  rows = [["", "bytes", "squared distance", "threshold", "one person"]]
  for name, num_bytes, pair, others in columns:
    pair, others = map(verification.normalize, (pair, others))
    distances = verification.squared_distances(others, known.pairs)
    threshold = verification.best_threshold(distances, known.is_same)
    distance = float(np.square(pair[0] - pair[1]).sum())
    answer = "yes" if distance < threshold else "no"
    rows.append(
      [name, num_bytes, f"{distance:.3f}", f"{threshold:.2f}", answer]
    )
  lines = list(zip(*rows))
  for line in lines:
    print("{:18} {:>14} {:>14}".format(*line))
  if _OUTPUT.value:
    _draw(_OUTPUT.value, crops, lines)


if __name__ == "__main__":
  command_line.run(main, "A.jpg", "B.jpg")
