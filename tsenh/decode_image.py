"""Decodes a scalable file of faces (.tsi) to features or to images.

  python -m tsenh.decode_image --input=faces.tsi --layers=feature \
    --output=features.npz
  python -m tsenh.decode_image --input=faces.tsi --layers=generated \
    --output=generated.npz
  python -m tsenh.decode_image --input=faces.tsi --output=faces.png
  python -m tsenh.decode_image --input=cut.tsi --layers=1 --output=faces.png

Features come from the base layer alone and are a feature set. Images are a
packed set without further loss (.npz) or one picture of all of them (.png):
those that the generator draws of the features, or the sum of all enhancement
layers that the file still has, or of a number of them: a file that ends within
a layer still has those before it. Faces have the numbers of their order.
"""

import io

from absl import flags

from tsenh.base import command_line, files
from tsenh.base.errors import Error
from tsenh.data import feature_sets
from tsenh.data.feature_sets import FeatureSet
from tsenh.recognition import image_sets

_MODEL = flags.DEFINE_string(
  "model", "faces64", "A shipped model or a folder of train_scalable."
)
_INPUT = flags.DEFINE_string("input", None, "The .tsi file to read, or -.")
_OUTPUT = flags.DEFINE_string(
  "output", None, "What to write: .npz, or .png for images."
)
_LAYERS = flags.DEFINE_string(
  "layers",
  "all",
  "feature: the base layer's features; generated: the faces drawn of them; all:"
  " these and every enhancement layer that is there; or how many of these.",
)
_MOST_BYTES = 1 << 28  # Of the largest number of pixels, without compression.
flags.mark_flags_as_required(["input", "output"])


@flags.validator("layers", "expected feature, generated, all or a number")
def _is_known(value: str) -> bool:
  return value in ("feature", "generated", "all") or (
    value.isascii() and value.isdigit()
  )


def main():
  files.check_apart(_OUTPUT.value, _INPUT.value)
  suffixes = (".npz",) if _LAYERS.value == "feature" else (".npz", ".png")
  if not _OUTPUT.value.endswith(suffixes):
    raise Error(f"--output={_OUTPUT.value}: expected {' or '.join(suffixes)}.")
  files.check_output(_OUTPUT.value)
  with files.source(_INPUT.value) as file:
    data = files.read_fully(file, _MOST_BYTES + 1)
  if len(data) > _MOST_BYTES:
    raise Error(f"{_INPUT.value}: larger than any .tsi file.")

  from tsenh.images import codec, pictures

  model = codec.load(_MODEL.value)
  try:
    if _LAYERS.value == "feature":
      features = model.features(data)
      feature_sets.save(_OUTPUT.value, FeatureSet(features))
      return
    layers = _LAYERS.value
    images = model.decompress(data, int(layers) if layers.isdigit() else layers)
  except Error as error:
    raise Error(f"{_INPUT.value}: {error}") from error
  if _OUTPUT.value.endswith(".png"):
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pictures.tile(images)).save(buffer, "PNG")
    with files.output(_OUTPUT.value) as file:
      file.write(buffer.getvalue())
    return
  names = [f"{i:06}" for i in range(len(images))]
  packed = image_sets.pack(names, [image_sets.webp(image) for image in images])
  files.write_arrays(_OUTPUT.value, packed)


if __name__ == "__main__":
  command_line.run(main)
