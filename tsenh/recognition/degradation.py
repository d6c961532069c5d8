"""Sharp faces to faces of few pixels, as cameras far away would show them.

A face in the wild has not been shrunk by one filter. For training each face is
shrunk a few times, by filters, blur and JPEG qualities drawn at random, and the
results are stored: what is drawn anew in each epoch is only which of them, a
mirror image, brightness and contrast. Which degradations the paper of 2019 has
its abstract does not say; all constants here are ours.
"""

import io
from typing import Callable, Dict, Sequence

import numpy as np

from tsenh.recognition.image_sets import ImageSet

# Ours; each name is a filter of Pillow's.
FILTERS = ("box", "bilinear", "hamming", "bicubic", "lanczos")
QUALITIES = (40, 95)
_BLUR = 0.6  # The largest standard deviation, in pixels of the small face.
_ZOOM = 0.05  # How far the crop grows or shrinks, as a share of its side.
_SHIFT = 0.03  # How far it moves, as a share of its side.
_CHUNK = 512


def shrink(image: np.ndarray, size: int, name: str = "box") -> np.ndarray:
  """Shrinks an aligned face; a box averages the area below each pixel.

  Args:
    image: uint8 [h, w, 3].
    size: pixels of a side that it gets.
    name: of a filter, one of `FILTERS`.

  Returns:
    uint8 [size, size, 3].
  """
  from PIL import Image

  if image.shape[:2] == (size, size):
    return image
  found = Image.Resampling[name.upper()]
  return np.array(Image.fromarray(image).resize((size, size), found))


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
  """What JPEG of a quality leaves of an image, uint8 [h, w, 3]."""
  from PIL import Image

  buffer = io.BytesIO()
  Image.fromarray(image).save(buffer, "JPEG", quality=quality)
  return np.array(Image.open(buffer))


def blur(image: np.ndarray, deviation: float) -> np.ndarray:
  """An image blurred by a Gaussian, uint8 [h, w, 3].

  Args:
    image: uint8 [h, w, 3].
    deviation: of the Gaussian, in pixels.
  """
  from PIL import Image, ImageFilter

  return np.array(
    Image.fromarray(image).filter(ImageFilter.GaussianBlur(deviation))
  )


def degrade(
  image: np.ndarray, size: int, random: np.random.Generator
) -> np.ndarray:
  """Shrinks an aligned face in a way drawn at random.

  Args:
    image: uint8 [h, w, 3], square.
    size: pixels of a side that it gets.
    random: draws a crop that is off by a little, a blur for every other face, a
      filter, and for every other face a JPEG quality.

  Returns:
    uint8 [size, size, 3].
  """
  from PIL import Image

  side = image.shape[0]
  if random.random() < 0.5:
    image = blur(image, random.uniform(0, _BLUR) * side / size)
  half = side / 2 * (1 + random.uniform(-_ZOOM, _ZOOM))
  x, y = side / 2 + side * random.uniform(-_SHIFT, _SHIFT, 2)
  # Pillow refuses a box beyond the image, which a mirrored margin makes larger.
  margin = side // 8
  pad = ((margin, margin), (margin, margin), (0, 0))
  padded = Image.fromarray(np.pad(image, pad, "reflect"))
  box = tuple(margin + v for v in (x - half, y - half, x + half, y + half))
  found = Image.Resampling[FILTERS[random.integers(len(FILTERS))].upper()]
  small = np.array(padded.resize((size, size), found, box=box))
  if random.random() < 0.5:
    small = jpeg(small, int(random.integers(*QUALITIES, endpoint=True)))
  return small


def variants(
  images: ImageSet,
  rows: Sequence[int],
  size: int,
  count: int,
  seed: int,
  progress: Callable[[int], object] = lambda done: None,
) -> np.ndarray:
  """Each face shrunk a few times.

  Args:
    images: square, aligned faces.
    rows: rising, the faces wanted.
    size: pixels of a side that they get.
    count: of the variants; the first is shrunk by area and nothing else.
    seed: of what is drawn for the others; a row's draws depend on nothing else.
    progress: called with the number of faces done.

  Returns:
    uint8 [n, count, size, size, 3].

  Raises:
    Error: if an image does not decode.
  """
  rows = np.asarray(rows)
  found = np.empty([len(rows), count, size, size, 3], np.uint8)

  for start in range(0, len(rows), _CHUNK):
    chunk = rows[start : start + _CHUNK]
    for i, face in enumerate(images.decode(chunk), start):
      random = np.random.default_rng([seed, rows[i]])
      found[i, 0] = shrink(face, size)
      for j in range(1, count):
        found[i, j] = degrade(face, size, random)
    progress(len(chunk))
  return found


def robustness(face: np.ndarray, size: int) -> Dict[str, np.ndarray]:
  """One face shrunk in each of the ways that an evaluation looks at.

  Args:
    face: uint8 [h, w, 3].
    size: pixels of a side.

  Returns:
    uint8 [size, size, 3] by the name of the way: each filter, a blur, and two
    qualities of JPEG.
  """
  small = {name: shrink(face, size, name) for name in FILTERS}
  blurred = blur(face, _BLUR * face.shape[0] / size)
  small["blur"] = shrink(blurred, size)
  for quality in QUALITIES:
    small[f"jpeg {quality}"] = jpeg(small["box"], quality)
  return small
