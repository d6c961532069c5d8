"""Draws what the layered face codec does to faces: a picture and a slider page.

  python -m experiments.scalable_pages

Twenty of the faces under tests/faces64, all in one file: the original, the
generated face, and the sum at four rates, beside WebP and AVIF of at most as
many bytes, which get the same faces as the tiles of one picture. The picture is
docs/figures/scalable/faces.png; the page, docs/scalable-slider.html, shows one
of them at a time beside what a slider says, and needs nothing but itself.
"""

import base64
import html
import io
import json
import pathlib
from typing import Dict, List, NamedTuple, Optional

import numpy as np
from absl import flags

from tsenh.base import command_line, files, provenance
from tsenh.data import feature_sets
from tsenh.recognition import image_sets, matching

_MODEL = flags.DEFINE_string(
  "model", "faces64", "A shipped model or a folder of train_scalable."
)
_PEOPLE = 20
_CHAINS = ((), *((f"learned:{quality}",) for quality in (30, 45, 60, 80)))
_DOCS = provenance.ROOT / "docs"
_FACES = provenance.ROOT / "tests" / "faces64" / "lfw64.npz"


class Column(NamedTuple):
  """One way to store the faces.

  Attributes:
    title: for people.
    bytes_per_face: all counted.
    images: uint8 [n, size, size, 3]; None where no file is so small.
  """

  title: str
  bytes_per_face: float
  images: Optional[np.ndarray]


def ladder(faces: np.ndarray, kind: str, limit: float) -> List[Column]:
  """A standard codec at rising qualities, up to `limit` bytes a face."""
  from tsenh.images import pictures

  found = []
  for quality in range(0, 60, 2):
    data = pictures.encode(faces, kind, quality)
    size = len(data) / len(faces)
    if size > limit:
      break
    images = pictures.decode(data, kind, len(faces), faces.shape[1])
    title = f"{kind.upper()}, {size:.0f} bytes"
    found.append(Column(title, size, images))
  return found


def best(steps: List[Column], kind: str, limit: float) -> Column:
  """The best of a ladder that takes at most `limit` bytes a face."""
  fitting = [step for step in steps if step.bytes_per_face <= limit]
  return (fitting or [Column(f"{kind.upper()}: no such file", 0.0, None)])[-1]


def columns(model, faces: np.ndarray, features: np.ndarray) -> List[Column]:
  """The original, the layers, and the standard codecs at their rates."""
  layered = []
  for layers in _CHAINS:
    data = model.compress(faces, layers, features)
    size = len(data) / len(faces)
    title = f"{' + '.join(['generated', *layers])}, {size:.0f} bytes"
    layered.append(Column(title, size, model.decompress(data)))
  most = layered[-1].bytes_per_face
  ladders = {kind: ladder(faces, kind, most) for kind in ("webp", "avif")}
  found = [Column("original", float(faces[0].size), faces), layered[0]]
  for column in layered[1:]:
    limit = column.bytes_per_face
    found.append(column)
    found += [best(steps, kind, limit) for kind, steps in ladders.items()]
  return found


def picture(found: List[Column]) -> np.ndarray:
  """A row for each face, a column for each way; what is missing is white."""
  size = found[0].images.shape[1]
  blank = np.full_like(found[0].images, 255)
  images = [blank if c.images is None else c.images for c in found]
  table = np.stack(images, 1)
  rows, ways = table.shape[:2]
  table = table.transpose(0, 2, 1, 3, 4)
  return table.reshape(rows * size, ways * size, 3)


def _data_uri(image: np.ndarray) -> str:
  from PIL import Image

  buffer = io.BytesIO()
  Image.fromarray(image).save(buffer, "PNG", optimize=True)
  return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def page(found: List[Column]) -> str:
  """The slider page."""
  shown: List[Dict] = [
    {
      "title": column.title,
      "images": None
      if column.images is None
      else [_data_uri(image) for image in column.images],
    }
    for column in found
  ]
  text = (pathlib.Path(__file__).parent / "report" / "slider.html").read_text(
    encoding="utf-8"
  )
  options = "".join(
    f'<option value="{i}">{html.escape(column["title"])}</option>'
    for i, column in enumerate(shown)
    if column["images"]
  )
  return text.replace("OPTIONS", options).replace("SHOWN", json.dumps(shown))


def main():
  from PIL import Image

  from tsenh.images import codec

  model = codec.load(_MODEL.value)
  packed = image_sets.load(str(_FACES))
  rows = range(0, 2 * _PEOPLE, 2)
  faces = np.stack([*packed.decode(rows)])
  names = packed.names[list(rows)].tolist()
  features = matching.features_of(names, feature_sets.load("lfw"), "lfw")
  found = columns(model, faces, features)
  buffer = io.BytesIO()
  Image.fromarray(picture(found)).save(buffer, "PNG", optimize=True)
  target = _DOCS / "figures" / "scalable" / "faces.png"
  target.parent.mkdir(parents=True, exist_ok=True)
  for path, data in (
    (target, buffer.getvalue()),
    (_DOCS / "scalable-slider.html", page(found).encode()),
  ):
    with files.replacing(str(path)) as file:
      file.write(data)
    print(f"wrote {path}")
  for column in found:
    print(column.title)


if __name__ == "__main__":
  command_line.run(main)
