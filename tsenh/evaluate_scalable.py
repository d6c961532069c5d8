"""Measures the layered face codec at a rate, beside standard image codecs.

  python -m tsenh.evaluate_scalable --images=lfw_aligned.tar \
    --network=mobilefacenet128.param --scale=128 --output=scalable.json

Draws people of the set, takes one sharp photograph of each as the gallery, and
codes others, shrunk to the model's size, in files of many faces: by the model
with several layers, and by WebP, AVIF, JPEG 2000 and JPEG, which get the same
faces as the tiles of one picture, so that nobody pays for a file's header face
by face; and once more in a file for each face. --network, which must be none
that the model was trained with to mean anything, then looks for every decoded
face in the gallery (rank-1). All bytes of the files count.
"""

import sys
from typing import Any, Dict

import numpy as np
from absl import flags

from tsenh.base import command_line, files, results
from tsenh.base.errors import Error
from tsenh.data import feature_sets, manifests
from tsenh.images import matching
from tsenh.recognition import command, image_sets

_MODEL = flags.DEFINE_string(
  "model", "faces64", "A shipped model or a folder of train_scalable."
)
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
  [
    "",
    "learned",
    "webp:0:4",
    "webp:0",
    "webp:5",
    "avif:0:4",
    "avif:0",
    "avif:10",
  ]
  + ["learned+avif:0:4", "learned+avif:0", "learned+avif:10"],
  "Enhancement layers to measure; + joins several, nothing is none.",
)
_CODECS = flags.DEFINE_list(
  "codecs",
  ["webp:0", "webp:1", "webp:5", "webp:10", "avif:0", "avif:5", "avif:10"]
  + ["avif:20", "avif:30", "jpeg2000:5", "jpeg2000:10", "jpeg2000:20"]
  + ["jpeg2000:30", "jpeg:1", "jpeg:5", "jpeg:10"],
  "Standard codecs to measure beside it, with their qualities.",
)
_SINGLE = flags.DEFINE_list(
  "single",
  ["webp:0", "avif:0", "jpeg2000:10"],
  "Those to measure with a file for each face too.",
)
_EIGENFACES = flags.DEFINE_string(
  "eigenfaces",
  None,
  "Training faces for the control of eigenfaces, of the model's size.",
)
flags.adopt_module_key_flags(command)
flags.mark_flags_as_required(["images", "network", "output"])


def _read(names, size):
  """Images by name: sharp ones as a list, and shrunk ones as an array."""
  from tsenh.images import pictures

  found = image_sets.load(_IMAGES.value)
  rows = matching.rows(names, found.names.tolist())
  if rows.min() < 0:
    raise Error(f"{_IMAGES.value}: has no image {names[rows.argmin()]}.")
  order = np.argsort(rows)
  sharp = [None] * len(rows)
  for i, image in zip(order, found.decode(rows[order])):
    sharp[i] = image
  return sharp, np.stack([pictures.shrink(image, size) for image in sharp])


class _Judge:
  """What is measured of decoded faces."""

  def __init__(self, originals, gallery, person, network):
    from tsenh.images import evaluation

    self.originals, self.gallery, self.person = originals, gallery, person
    self.network = network
    self.weights = evaluation.resample(person)

  def look(self, images) -> np.ndarray:
    """Features of images of any size, enlarged or shrunk to the network's."""
    from PIL import Image

    side = self.network.preprocessing.size
    way = Image.Resampling.BICUBIC
    return self.network(
      np.stack(
        [
          np.asarray(Image.fromarray(i).resize((side, side), way))
          for i in images
        ]
      )
    )

  def __call__(self, name: str, num_bytes: float, images, **more):
    """A point: rate, fidelity, rank-1, with 95 % intervals over people."""
    from tsenh.images import evaluation

    found = evaluation.hits(self.look(images), self.gallery, self.person)
    quality = {
      "psnr": evaluation.psnr(self.originals, images),
      "ms_ssim": evaluation.ms_ssim(self.originals, images),
      "rank1": found,
    }
    point: Dict[str, Any] = {
      "name": name,
      "bytes_per_face": num_bytes / len(images),
      **more,
    }
    for key, values in quality.items():
      point[key] = float(values.mean())
      point[f"{key}_interval"] = evaluation.interval(values, self.weights)
    point["hits"] = "".join("01"[int(hit)] for hit in found)
    print(
      f"{name}: {point['bytes_per_face']:.1f} bytes, rank-1"
      f" {point['rank1']:.3f}, PSNR {point['psnr']:.2f}",
      file=sys.stderr,
    )
    return point


def main():
  files.check_output(_OUTPUT.value)
  known = feature_sets.load(_FEATURES.value)
  if known.names is None or known.identities is None:
    raise Error(f"{_FEATURES.value}: has no names or no identities.")

  from tsenh.images import codec, evaluation, networks, pictures
  from tsenh.recognition import face_networks

  settings = command.settings()
  network = face_networks.load(*settings[:4])
  model = codec.load(_MODEL.value)
  size = model.generator.size
  chosen = evaluation.choose(known.identities, _PEOPLE.value, _PROBES.value)
  _, originals = _read(known.names[chosen.probes].tolist(), size)
  gallery, _ = _read(known.names[chosen.gallery].tolist(), size)
  judge = _Judge(originals, None, chosen.person, network)
  judge.gallery = judge.look(gallery)
  features = known.features[chosen.probes]
  n, group = len(originals), _FACES_PER_FILE.value
  parts = [slice(i, i + group) for i in range(0, n, group)]
  points = [judge("original", 0.0, originals, method="original")]

  def coded(layers, given):
    data = [
      model.compress(originals[p], layers, None if given is None else given[p])
      for p in parts
    ]
    return sum(map(len, data)), np.concatenate([*map(model.decompress, data)])

  for text in _LAYERS.value:
    layers = [layer for layer in text.split("+") if layer]
    name = "+".join(["generated", *layers])
    for given, base in ((features, "sharp"), (None, "base network")):
      total, images = coded(layers, given)
      points.append(
        judge(f"{name}, {base}", total, images, method=name, base=base)
      )
  for text in _CODECS.value:
    kind, quality = text.split(":")
    for single in (False, True):
      if single and text not in _SINGLE.value:
        continue
      each = [slice(i, i + 1) for i in range(n)] if single else parts
      data = [pictures.encode(originals[p], kind, int(quality)) for p in each]
      images = np.concatenate(
        [
          pictures.decode(d, kind, len(originals[p]), size)
          for d, p in zip(data, each)
        ]
      )
      method = f"{kind}, single files" if single else kind
      total = sum(map(len, data))
      points.append(judge(f"{method}:{quality}", total, images, method=method))
  # Controls: what the generator knows without the right feature.
  shuffled = np.roll(features, _PROBES.value, axis=0)
  total, images = coded([], shuffled)
  points.append(
    judge("another person's feature", total, images, method="control")
  )
  if _EIGENFACES.value:
    training = image_sets.load(_EIGENFACES.value)
    rows = range(min(2000, len(training.names)))
    faces = np.stack([*training.decode(rows, size)])
    found = evaluation.eigenfaces(faces, 192)
    mean = np.broadcast_to(found.mean.reshape(size, size, 3), originals.shape)
    mean = networks.to_bytes(mean / 255)
    points.append(judge("mean face", 0.0, mean, method="control"))
    for step in (400.0, 200.0, 100.0):
      images, rate = found.draw(originals, step)
      points.append(
        judge(f"eigenfaces:{step:g}", rate * n, images, method="eigenfaces")
      )
  measured = {
    "model": _MODEL.value,
    "judge": network.name,
    "people": _PEOPLE.value,
    "faces": n,
    "faces_per_file": group,
    "size": size,
    "points": points,
    "costs": model.costs(),
  }
  data = {_FEATURES.value: known.digest()}
  results.write(_OUTPUT.value, measured, data)


if __name__ == "__main__":
  command_line.run(main)
