"""Encodes faces to one scalable file: feature, generated face, texture (.tsi).

  python -m tsenh.encode_image --input=faces.npz --output=faces.tsi
  python -m tsenh.encode_image --input=faces.npz --output=faces.tsi \
    --layers=avif:0,webp:20 --features=sharp.npz

The input is a packed set of aligned faces, a folder of them or a tar file; they
are shrunk to the model's size. The base layer holds their features: those that
the model's base network sees in the shrunken faces or, better, what --features
knows of the same names, from when they were sharp. Enhancement layers follow in
the order of --layers; the file may be cut off behind any of them.
"""

import logging
import sys

import numpy as np
from absl import flags

from tsenh.base import command_line, files
from tsenh.base.errors import Error
from tsenh.data import feature_sets
from tsenh.recognition import image_sets, matching

_MODEL = flags.DEFINE_string(
  "model", "faces64", "A shipped model or a folder of train_scalable."
)
_INPUT = flags.DEFINE_string(
  "input", None, "Aligned faces: a packed set (.npz), a folder or a tar file."
)
_OUTPUT = flags.DEFINE_string("output", None, "The .tsi file to write, or -.")
_LAYERS = flags.DEFINE_list(
  "layers",
  ["webp:5"],
  "Enhancement layers in order: learned:QUALITY, where the model has such a"
  " layer, which is best as the first; webp:QUALITY, avif:QUALITY or"
  " jpeg2000:QUALITY, a standard codec on what is still wrong, with another"
  " colon and what differences are divided by, if it is not 2. Qualities are 0"
  " to 100. Empty: the generated face is all that there is.",
)
_FEATURES = flags.DEFINE_string(
  "features", None, "Features of the same names for the base layer."
)
flags.mark_flags_as_required(["input", "output"])


def main():
  files.check_apart(_OUTPUT.value, _INPUT.value, _FEATURES.value)
  found = image_sets.load(_INPUT.value)
  names = found.names.tolist()
  features = None
  if _FEATURES.value is not None:
    known = feature_sets.load(_FEATURES.value)
    features = matching.features_of(names, known, _FEATURES.value)

  from tsenh.images import codec, pictures, tsi

  # Each of the networks is compiled once, which TensorFlow takes for a mistake.
  logging.getLogger("tensorflow").setLevel(logging.ERROR)
  for layer in _LAYERS.value:
    codec.step(layer)
  model = codec.load(_MODEL.value)
  size = model.generator.size
  tsi.check_pixels(len(names), size)
  images = np.empty([len(names), size, size, 3], np.uint8)
  with command_line.progress(len(names), "image", "read") as bar:
    for i, image in enumerate(found.decode(range(len(names)))):
      try:
        images[i] = pictures.shrink(image, size)
      except Error as error:
        raise Error(f"{_INPUT.value}: {names[i]}: {error}") from error
      bar.update(1)
  data = model.compress(images, [x for x in _LAYERS.value if x], features)
  with files.output(_OUTPUT.value) as file:
    file.write(data)
  header = tsi.read_header(data)
  parts = [f"base {tsi.HEADER_BYTES + header.base_length}"]
  for layer in tsi.read_layers(data, header):
    parts.append(f"{layer.kind} {tsi.LAYER_BYTES + len(layer.payload)}")
  print(
    f"{len(names)} faces, {len(data)} bytes ({', '.join(parts)}),"
    f" {len(data) / len(names):.1f} bytes per face",
    file=sys.stderr,
  )


if __name__ == "__main__":
  command_line.run(main)
