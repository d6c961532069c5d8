"""Standard codecs on images of many faces: one picture, the faces as tiles.

So the codec's own headers, which are longer than a face's bytes at low rates,
are paid once for all faces of a file.
"""

import io
import math
from typing import Dict

import numpy as np

from tsenh.base.errors import Error

# By the names that `tsi.KINDS` and the flags have: Pillow's.
FORMATS = {
  "webp": "WEBP",
  "avif": "AVIF",
  "jpeg2000": "JPEG2000",
  "jpeg": "JPEG",
}
_GREY = 128
_BITS = 8.0


def tile(images: np.ndarray) -> np.ndarray:
  """Images as the tiles of one picture, in rows, as square as may be.

  Args:
    images: uint8 [n, size, size, 3].

  Returns:
    uint8 [rows size, columns size, 3]; places that are left over are grey.
  """
  n, size = images.shape[:2]
  rows, columns = grid(n)
  tiles = np.full([rows * columns, size, size, 3], _GREY, np.uint8)
  tiles[:n] = images
  tiles = tiles.reshape(rows, columns, size, size, 3)
  return tiles.swapaxes(1, 2).reshape(rows * size, columns * size, 3)


def untile(picture: np.ndarray, n: int, size: int) -> np.ndarray:
  """The inverse of `tile`: uint8 [n, size, size, 3]."""
  rows, columns = grid(n)
  tiles = picture.reshape(rows, size, columns, size, 3).swapaxes(1, 2)
  return tiles.reshape(-1, size, size, 3)[:n]


def grid(n: int):
  """Rows and columns of the tiles of `n` images."""
  columns = math.isqrt(n - 1) + 1
  return -(-n // columns), columns


def _options(kind: str, quality: int) -> Dict[str, object]:
  """What Pillow takes for a quality of 0 to 100."""
  if kind == "jpeg2000":
    # Bits per pixel of three channels fall from 24 by this factor.
    return {
      "quality_mode": "rates",
      "quality_layers": [3 * _BITS / (0.02 * max(quality, 1))],
      "irreversible": True,
      "no_jp2": True,
    }
  effort = {"webp": {"method": 6}, "avif": {"speed": 2}, "jpeg": {}}[kind]
  return {"quality": quality, **effort}


def encode(images: np.ndarray, kind: str, quality: int) -> bytes:
  """Images uint8 [n, size, size, 3] as one file of a standard codec.

  Args:
    images: the tiles.
    kind: a key of `FORMATS`.
    quality: 0 to 100.

  Returns:
    The bytes of the file.

  Raises:
    Error: if Pillow was built without the codec.
  """
  from PIL import Image

  buffer = io.BytesIO()
  picture = Image.fromarray(tile(images))
  try:
    picture.save(buffer, FORMATS[kind], **_options(kind, quality))
  except (KeyError, OSError) as error:
    raise Error(f"{kind}: this Pillow cannot write it ({error}).") from error
  return buffer.getvalue()


def decode(data: bytes, kind: str, n: int, size: int) -> np.ndarray:
  """The inverse of `encode`: uint8 [n, size, size, 3].

  Raises:
    Error: if the bytes are no picture of so many tiles. Its size is looked at
      before any memory is taken for it.
  """
  from PIL import Image, UnidentifiedImageError

  rows, columns = grid(n)
  expected = (columns * size, rows * size)
  try:
    with Image.open(io.BytesIO(data), formats=[FORMATS[kind]]) as picture:
      if picture.size != expected:
        raise Error(
          f"a {kind} picture of {picture.size[0]}x{picture.size[1]} pixels,"
          f" expected {expected[0]}x{expected[1]}."
        )
      if picture.mode != "RGB" or getattr(picture, "n_frames", 1) > 1:
        raise Error(f"a {kind} picture of another kind than one of RGB.")
      if not _alone(data, kind):
        raise Error(f"more or less than a {kind} picture.")
      pixels = np.asarray(picture)
  except (Error, MemoryError):
    raise
  except UnidentifiedImageError as error:
    raise Error(f"no {kind} picture.") from error
  except Exception as error:  # Each of Pillow's codecs has its own.
    raise Error(f"a damaged {kind} picture ({error}).") from error
  return untile(pixels, n, size)


def _alone(data: bytes, kind: str) -> bool:
  """Whether bytes are a picture and nothing else, as far as its frame tells."""
  if kind == "webp":
    return int.from_bytes(data[4:8], "little") + 8 == len(data)
  if kind == "jpeg2000":  # A bare codestream.
    return data[:2] == b"\xff\x4f" and data[-2:] == b"\xff\xd9"
  place = 0
  while kind == "avif" and place < len(data):  # From box to box.
    length = int.from_bytes(data[place : place + 4], "big")
    if length < 8:
      return False
    place += length
  return kind != "avif" or place == len(data)


def differences(images, others, divisor: int) -> np.ndarray:
  """Differences as an image around grey, uint8, divided to fit.

  Args:
    images: uint8 [n, size, size, 3].
    others: what is subtracted, as `images`.
    divisor: 2 keeps all that there can be; a larger one takes fewer bytes.
  """
  change = images.astype(np.int16) - others
  scaled = np.rint(change / divisor) + _GREY
  return np.clip(scaled, 0, 255).astype(np.uint8)


def add(others: np.ndarray, change: np.ndarray, divisor: int) -> np.ndarray:
  """The inverse of `differences`: uint8 [n, size, size, 3]."""
  moved = others + (change.astype(np.int16) - _GREY) * divisor
  return np.clip(moved, 0, 255).astype(np.uint8)


def shrink(image: np.ndarray, size: int) -> np.ndarray:
  """An image as a square of `size` pixels a side, by the mean over areas.

  Args:
    image: uint8 [h, w, 3].
    size: of the result.

  Raises:
    Error: if it is not square, or smaller than that.
  """
  from PIL import Image

  height, width = image.shape[:2]
  if height != width or height < size:
    raise Error(
      f"an image of {width}x{height} pixels, expected a square of {size} or"
      " more."
    )
  box = Image.Resampling.BOX
  return np.asarray(Image.fromarray(image).resize((size, size), box))
