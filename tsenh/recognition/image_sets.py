"""Sets of images to train and test on: packed in one file, a folder or a tar.

A packed set is a `.npz` of three arrays: `webp` uint8, all WebP files one after
the other; `offsets` int64 [n + 1], where each begins and the last one ends; and
`names` bytes [n]. It is one file instead of tens of thousands, and it needs no
more memory than its files take.
"""

import dataclasses
import io
from typing import Callable, Dict, Iterator, Optional, Sequence

import numpy as np

from tsenh.base import arrays
from tsenh.base.errors import Error
from tsenh.recognition import photographs

_KEYS = ("webp", "offsets", "names")


@dataclasses.dataclass(frozen=True)
class ImageSet:
  """Images that have not been decoded.

  Attributes:
    source: the file or folder.
    names: text [n], unique.
  """

  source: str
  names: np.ndarray
  # Of rising rows: the bytes of their files, or an Error in their place.
  _read: Callable[[np.ndarray], Iterator] = dataclasses.field(repr=False)

  def files(self, rows: Sequence[int]) -> Iterator[bytes]:
    """The bytes of images.

    Args:
      rows: rising; a compressed tar file is read forward alone.

    Yields:
      The bytes of each.

    Raises:
      Error: if one cannot be read.
    """
    rows = np.asarray(rows, np.int64)
    for row, data in zip(rows, self._read(rows)):
      if isinstance(data, Error):
        raise Error(f"{self.source}: {self.names[row]}: {data}.")
      yield data

  def decode(self, rows: Sequence[int], size: Optional[int] = None):
    """Decodes images.

    Args:
      rows: rising.
      size: pixels of a side that they must have; None is whatever they have.

    Yields:
      uint8 [h, w, 3] of each, RGB.

    Raises:
      Error: if one does not decode, or is of another size.
    """
    for row, data in zip(rows, self.files(rows)):
      what = f"{self.source}: {self.names[row]}"
      try:
        image = photographs.decode(data)
      except Error as error:
        raise Error(f"{what}: {error}.") from error
      if size is not None and image.shape[:2] != (size, size):
        raise Error(
          f"{what}: {image.shape[1]}x{image.shape[0]} pixels, expected"
          f" {size}x{size}."
        )
      yield image


def load(path: str) -> ImageSet:
  """Opens a packed set (`.npz`), a folder of images or a tar file of them.

  Raises:
    Error: if it is none, or has no images.
  """
  if path.endswith(".npz"):
    return _packed(path)
  listing = photographs.find(path)
  entries = listing.entries
  return ImageSet(
    path,
    np.array([entry.name for entry in entries]),
    lambda rows: photographs.read(path, [entries[row] for row in rows]),
  )


def _packed(path: str) -> ImageSet:
  with arrays.open_archive(path) as archive:
    missing = {*_KEYS} - {*arrays.names(archive)}
    if missing:
      raise Error(
        f"{path}: not a set of images; it has no {', '.join(sorted(missing))}."
      )
    webp, offsets, names = (arrays.read_entry(archive, key) for key in _KEYS)
  sound = (
    webp.dtype == np.uint8
    and webp.ndim == 1
    and offsets.dtype.kind in "iu"
    and names.ndim == 1
    and names.dtype.kind in "SU"
    and offsets.shape == (len(names) + 1,)
    and len(names) > 0
    and offsets[0] == 0
    and offsets[-1] == len(webp)
    and (offsets[1:] > offsets[:-1]).all()
  )
  if not sound:
    raise Error(f"{path}: a set of images whose offsets fit no files in it.")
  if names.dtype.kind == "S":
    names = np.char.decode(names, "utf-8", "backslashreplace")
  if len(np.unique(names)) < len(names):
    raise Error(f"{path}: a set of images in which two have one name.")
  return ImageSet(
    path,
    names,
    lambda rows: (webp[offsets[r] : offsets[r + 1]].tobytes() for r in rows),
  )


def pack(names: Sequence[str], files: Sequence[bytes]) -> Dict[str, np.ndarray]:
  """The arrays of a packed set.

  Args:
    names: of the images.
    files: WebP files.
  """
  return {
    "webp": np.frombuffer(b"".join(files), np.uint8),
    "offsets": np.cumsum([0, *map(len, files)]),
    "names": np.array([name.encode() for name in names]),
  }


def webp(image: np.ndarray) -> bytes:
  """An image as a WebP file, without loss.

  Args:
    image: uint8 [h, w, 3], RGB.
  """
  from PIL import Image

  buffer = io.BytesIO()
  Image.fromarray(image).save(
    buffer, "WEBP", lossless=True, quality=100, method=6, exact=True
  )
  return buffer.getvalue()
