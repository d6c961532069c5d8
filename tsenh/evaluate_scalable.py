"""Measures the layered face codec at a rate, beside standard image codecs.

  python -m tsenh.evaluate_scalable --images=lfw_aligned.tar \
    --network=mobilefacenet128.param --scale=128 --output=model.json
  python -m tsenh.evaluate_scalable --images=lfw_aligned.tar --model=none \
    --network=mobilefacenet128.param --scale=128 --output=codecs.json

Draws people of the set, takes one sharp photograph of each as the gallery, and
codes others, shrunk to 64x64, in files of many faces: by the model with several
layers or, with --model=none, by WebP, AVIF, JPEG 2000 and JPEG, which get the
same faces as the tiles of one picture, so that nobody pays for a file's header
face by face; and once more in a file for each face. --network then looks for
every decoded face in the gallery (rank-1). All bytes of the files count.
"""

import re
import sys
from typing import Any, Dict

import numpy as np
from absl import flags

from tsenh.base import command_line, files, results
from tsenh.base.errors import Error
from tsenh.data import feature_sets, manifests
from tsenh.recognition import command, image_sets, matching

_MODEL = flags.DEFINE_string(
  "model",
  "faces64",
  "A shipped model or a folder of train_scalable; none measures the standard"
  " codecs alone.",
)
_SIZE = 64  # Of images where there is no model.
_EIGENFACES_OF = 2000  # Training faces.
_COMPONENTS = 192
_IMAGES = flags.DEFINE_string(
  "images", None, "Sharp aligned faces: a packed set, a folder or a tar file."
)
_FEATURES = flags.DEFINE_string(
  "features",
  manifests.default().tests[0],
  "Features of the same faces by the network that the base network learned"
  " from, with identities and pairs.",
)
_OUTPUT = flags.DEFINE_string("output", None, "The JSON file to write.")
_PEOPLE = flags.DEFINE_integer("people", 300, "In the gallery.", lower_bound=2)
_PROBES = flags.DEFINE_integer(
  "probes", 2, "Photographs of each that are coded.", lower_bound=1
)
_FACES_PER_FILE = flags.DEFINE_integer(
  "faces_per_file", 100, "Faces that share a file.", lower_bound=1
)
_LAYERS = flags.DEFINE_list(
  "layers",
  ["", "webp:0:4", "webp:0", "avif:0:4", "avif:0", "avif:10", "avif:20"],
  "Enhancement layers to measure; + joins several, nothing is none. Of a model"
  " that train_scalable --alone trained, the learned one alone: its base layer"
  " is not counted, for nothing needs it.",
)
_BASES = flags.DEFINE_list(
  "bases",
  ["sharp", "base network"],
  "Whose features are in the base layer: those of --features, or the base"
  " network's.",
)
_CODECS = flags.DEFINE_list(
  "codecs",
  ["webp:0", "webp:1", "webp:5", "webp:10", "avif:0", "avif:5", "avif:10"]
  + ["avif:20", "avif:30", "jpeg2000:5", "jpeg2000:10", "jpeg2000:20"]
  + ["jpeg2000:30", "jpeg:1", "jpeg:5", "jpeg:10"],
  "With --model=none: standard codecs and their qualities.",
)
_SINGLE = flags.DEFINE_list(
  "single",
  ["webp:0", "avif:0", "jpeg2000:10"],
  "Those to measure with a file for each face too.",
)
flags.register_validator(
  "codecs",
  lambda codecs: all(re.fullmatch(r"[a-z0-9]+:\d{1,3}", c) for c in codecs),
  "expected names and qualities, as webp:10,avif:20",
)
_EIGENFACES = flags.DEFINE_string(
  "eigenfaces",
  None,
  "With --model=none: training faces for the mean face and eigenfaces.",
)
flags.adopt_module_key_flags(command)
flags.register_validator(
  "bases",
  lambda values: {*values} <= {"sharp", "base network"},
  "expected sharp, base network or both",
)
flags.mark_flags_as_required(["images", "network", "output"])


def _read(names, size):
  """The images of these names, shrunk: uint8 [n, size, size, 3], and sharp."""
  from tsenh.images import pictures

  found = image_sets.load(_IMAGES.value)
  rows = matching.rows_of(found, names)
  order = np.argsort(rows)
  sharp = [None] * len(rows)
  with command_line.progress(len(rows), "image", "read") as bar:
    for i, image in zip(order, found.decode(rows[order])):
      sharp[i] = image
      bar.update(1)
  return np.stack([pictures.shrink(image, size) for image in sharp]), sharp


class _Judge:
  """Measures decoded faces."""

  def __init__(self, network, originals, gallery, person):
    """Prepares.

    Args:
      network: that recognises.
      originals: uint8 [n, size, size, 3], what was coded.
      gallery: sharp images, one of each person.
      person: int [n], of the originals, places in `gallery`.
    """
    from tsenh.images import evaluation

    self._network, self._originals, self._person = network, originals, person
    self._gallery = self._look(gallery)
    self._weights = evaluation.resample(person)
    self.points = []

  def _look(self, images) -> np.ndarray:
    """Features of images of any size, made as large as the network's."""
    from PIL import Image

    sides = [self._network.preprocessing.size] * 2
    way = Image.Resampling.BICUBIC
    resized = (Image.fromarray(image).resize(sides, way) for image in images)
    return self._network(np.stack([np.asarray(image) for image in resized]))

  def add(self, name: str, num_bytes: float, images, **more) -> None:
    """Adds a point: rate, fidelity, rank-1, with 95 % intervals over people."""
    from tsenh.images import evaluation

    found = evaluation.hits(self._look(images), self._gallery, self._person)
    point: Dict[str, Any] = {
      "name": name,
      "bytes_per_face": num_bytes / len(images),
      **more,
    }
    for key, values in (
      ("psnr", evaluation.psnr(self._originals, images)),
      ("ms_ssim", evaluation.ms_ssim(self._originals, images)),
      ("flip", evaluation.flip(self._originals, images)),
      ("rank1", found),
    ):
      point[key] = float(values.mean())
      point[f"{key}_interval"] = evaluation.interval(values, self._weights)
    point["hits"] = "".join("01"[int(hit)] for hit in found)
    self.points.append(point)
    print(
      f"{name}: {point['bytes_per_face']:.1f} bytes, rank-1"
      f" {point['rank1']:.3f}, PSNR {point['psnr']:.2f}",
      file=sys.stderr,
    )


def _groups(n: int, size: int):
  """Which faces share a file."""
  return [slice(i, i + size) for i in range(0, n, size)]


def _measure_codecs(judge, originals) -> None:
  """Standard codecs, the mean face and eigenfaces."""
  from tsenh.images import evaluation, networks, pictures

  n, size = originals.shape[:2]
  for text in _CODECS.value:
    kind, quality = text.split(":")
    for single in (False, *([True] if text in _SINGLE.value else [])):
      groups = _groups(n, 1 if single else _FACES_PER_FILE.value)
      data = [pictures.encode(originals[g], kind, int(quality)) for g in groups]
      images = np.concatenate(
        [
          pictures.decode(d, kind, len(originals[g]), size)
          for d, g in zip(data, groups)
        ]
      )
      method = f"{kind}, a file each" if single else kind
      total = sum(map(len, data))
      judge.add(f"{method}:{quality}", total, images, method=method)
  if _EIGENFACES.value:
    training = image_sets.load(_EIGENFACES.value)
    rows = range(min(_EIGENFACES_OF, len(training.names)))
    faces = np.stack([*training.decode(rows, size)])
    found = evaluation.eigenfaces(faces, _COMPONENTS)
    mean = networks.to_bytes(found.mean.reshape(size, size, 3) / 255)
    mean = np.broadcast_to(mean, originals.shape)
    judge.add("mean face", 0, mean, method="mean face")
    for step in (800, 400, 200):
      images, rate = found.draw(originals, step)
      judge.add(f"eigenfaces:{step}", rate * n, images, method="eigenfaces")


def _measure_model(judge, model, originals, features) -> None:
  """The model: its layers, from two kinds of features, and a wrong one."""
  from tsenh.images import tsi

  groups = _groups(len(originals), _FACES_PER_FILE.value)

  def add(name, layers, given, **more):
    data = [
      model.compress(originals[g], layers, None if given is None else given[g])
      for g in groups
    ]
    images = np.concatenate([*map(model.decompress, data)])
    size = sum(map(len, data))
    if model.alone:
      size -= sum(tsi.read_header(one).base_length for one in data)
    judge.add(name, size, images, **more)

  if model.alone:
    for text in _LAYERS.value:
      name = text.replace("learned", "learned alone")
      add(name, [text], features, method="learned alone")
    return
  for text in _LAYERS.value:
    layers = [layer for layer in text.split("+") if layer]
    name = " + ".join(["generated", *layers])
    for base in _BASES.value:
      given = features if base == "sharp" else None
      add(f"{name}, {base}", layers, given, method=name, base=base)
  # The next person's: what the generator knows without the right feature.
  wrong = np.roll(features, _PROBES.value, axis=0)
  add("another person's feature", [], wrong, method="another person")


def _measure_base(model, known) -> Dict[str, Any]:
  """Verification by the base layer alone, and its bytes, header and all."""
  from tsenh.images import tsi
  from tsenh.recognition import verification

  images, _ = _read(known.names.tolist(), model.generator.size)
  found = {}
  for base, features in (
    ("sharp", known.features),
    ("base network", model.base.features(images)),
  ):
    total, decoded = 0, []
    for group in _groups(len(features), _FACES_PER_FILE.value):
      data = model.compressor.compress(features[group])
      total += tsi.HEADER_BYTES + len(data)
      decoded.append(model.compressor.decompress(data))
    for name, vectors in (
      (base, np.concatenate(decoded)),
      (f"{base}, not coded", features),
    ):
      distances = verification.squared_distances(
        verification.normalize(vectors), known.pairs
      )
      measured = verification.verify(distances, known.is_same)
      found[name] = {
        key: measured[key] for key in ("num_pairs", "correct_pairs", "eer")
      }
    found[base]["bytes_per_face"] = total / len(features)
  return found


def main():
  files.check_output(_OUTPUT.value)
  inputs = (_IMAGES.value, _FEATURES.value, _EIGENFACES.value)
  files.check_apart(_OUTPUT.value, *filter(None, inputs))
  known = feature_sets.load(_FEATURES.value)
  if known.names is None or known.identities is None:
    raise Error(f"{_FEATURES.value}: has no names or no identities.")

  from tsenh.images import codec, evaluation
  from tsenh.recognition import face_networks

  settings = command.settings()
  network = face_networks.load(*settings[:4])
  model = None if _MODEL.value == "none" else codec.load(_MODEL.value)
  learned = [re.fullmatch(r"learned:\d+", layer) for layer in _LAYERS.value]
  if model and model.alone and not all(learned):
    raise Error(
      f"{_MODEL.value} was trained alone: --layers=learned:QUALITY,... is all"
      " that can be measured of it."
    )
  size = model.generator.size if model else _SIZE
  chosen = evaluation.choose(known.identities, _PEOPLE.value, _PROBES.value)
  originals, _ = _read(known.names[chosen.probes].tolist(), size)
  _, gallery = _read(known.names[chosen.gallery].tolist(), size)
  judge = _Judge(network, originals, gallery, chosen.person)
  measured: Dict[str, Any] = {
    "model": _MODEL.value,
    "judge": network.name,
    "people": _PEOPLE.value,
    "faces": len(originals),
    "faces_per_file": _FACES_PER_FILE.value,
    "size": size,
  }
  if model:
    _measure_model(judge, model, originals, known.features[chosen.probes])
    measured["costs"] = model.costs()
    if known.pairs is not None and not model.alone:
      measured["base_layer"] = _measure_base(model, known)
  else:
    judge.add("original", 0, originals, method="original")
    _measure_codecs(judge, originals)
  measured["points"] = judge.points
  results.write(_OUTPUT.value, measured, {_FEATURES.value: known.digest()})


if __name__ == "__main__":
  command_line.run(main)
