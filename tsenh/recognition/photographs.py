"""Photographs in a folder or a tar file, and whatever else lies there.

Nothing of what a file holds ends a run: a photograph that cannot be read is an
`Error` with its reason, for whoever asks for that photograph alone.
"""

import hashlib
import io
import lzma
import os
import pathlib
import stat
import tarfile
import warnings
import zlib
from typing import Iterable, Iterator, NamedTuple, Tuple

import numpy as np

from tsenh.base.errors import Error

SUFFIXES = {
  *(".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".gif"),
  *(".ppm", ".pgm", ".tif", ".tiff"),
}
_NOT_WHOLE = (
  *(tarfile.TarError, OSError, EOFError, ValueError),
  *(zlib.error, lzma.LZMAError),
)
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "PPM", "TIFF")
MAX_PIXELS = 90_000_000
_MAX_BYTES = 1 << 28
MIN_SIDE = 16  # Pixels; a face of less is a guess.


class Entry(NamedTuple):
  """A photograph that has not been read.

  Attributes:
    name: its path within the folder or tar file, printable, with slashes.
    path: of the file, or "" in a tar file.
    offset: of its bytes in a tar file.
    size: of the file, in bytes.
  """

  name: str
  path: str
  offset: int
  size: int


class Listing(NamedTuple):
  """The photographs of a folder or tar file, in order.

  Attributes:
    source: the folder or tar file.
    entries: by name in a folder, in the order of the archive in a tar file.
    others: files that were passed over for their suffix.
  """

  source: str
  entries: Tuple[Entry, ...]
  others: int

  def digest(self) -> str:
    """SHA-256 of names and sizes: whether this is the same list."""
    lines = (f"{entry.name}\0{entry.size}\n" for entry in self.entries)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def find(source: str) -> Listing:
  """Lists the photographs of a folder, with its folders, or of a tar file.

  Links to folders are not followed, but for the folder itself.

  Raises:
    Error: if there are none, or the tar file cannot be read.
  """
  if os.path.isdir(source):
    files = list(_in_folder(source))
  elif os.path.isfile(source):
    files = list(_in_tar(source))
  else:
    raise Error(f"{source}: neither a folder nor a tar file.")
  chosen = [
    f for f in files if pathlib.PurePath(f.name).suffix.lower() in SUFFIXES
  ]
  if not chosen:
    raise Error(
      f"{source}: no photographs among {len(files)} files"
      f" ({', '.join(sorted(SUFFIXES))})."
    )
  return Listing(source, tuple(chosen), len(files) - len(chosen))


def read(source: str, entries: Iterable[Entry]) -> Iterator[bytes]:
  """The bytes of photographs, or an Error with the reason in their place.

  Args:
    source: of the listing.
    entries: of it, in its order: a compressed tar file is read forward alone.
  """
  entries = list(entries)
  if entries and not entries[0].path:
    with tarfile.open(source) as archive:
      for entry in entries:
        archive.fileobj.seek(entry.offset)
        yield _bytes(archive.fileobj, entry.size)
    return
  for entry in entries:
    try:
      found = os.stat(entry.path)  # Of what a link leads to.
      # Not what only looks like a file, and might never end.
      if not stat.S_ISREG(found.st_mode):
        raise Error("not a regular file")
      with open(entry.path, "rb") as file:
        yield _bytes(file, found.st_size)
    except (Error, OSError) as error:
      yield Error(getattr(error, "strerror", None) or error)


def decode(data: bytes) -> np.ndarray:
  """Decodes a photograph upright, whatever it is in.

  16 bits become 8, grey and CMYK become RGB, what is transparent becomes white.

  Args:
    data: of the file; its content tells the format, not its name.

  Returns:
    uint8 [h, w, 3], RGB.

  Raises:
    Error: with the reason alone, if it does not decode to the end or has fewer
      than `MIN_SIDE` pixels on a side or more than `MAX_PIXELS`.
  """
  from PIL import Image, ImageOps, UnidentifiedImageError

  if not data:
    raise Error("an empty file")
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Of size, which is looked at here.
    try:
      image = Image.open(io.BytesIO(data), formats=_FORMATS)
      if image.format in ("JPEG", "MPO") and _pixels(image) > MAX_PIXELS:
        image.draft(image.mode, (image.width // 2, image.height // 2))
      if _pixels(image) > MAX_PIXELS:
        raise Error(f"too large: {image.width} x {image.height} pixels")
      image.load()
      image = ImageOps.exif_transpose(image)
      if min(image.size) < MIN_SIDE:
        raise Error(f"too small: {image.width} x {image.height} pixels")
      return np.array(_to_rgb(image))
    except (Error, MemoryError):
      raise
    except Exception as error:  # Pillow's decoders raise almost anything.
      unknown = isinstance(error, UnidentifiedImageError)
      reason = "not an image of a known format" if unknown else error
      raise Error(str(reason) or type(error).__name__) from error


def _in_folder(source: str) -> Iterator[Entry]:
  found = []
  for folder, folders, files in os.walk(source):
    folders.sort()
    for file in files:
      path = os.path.join(folder, file)
      name = pathlib.Path(path).relative_to(source).as_posix()
      size = os.lstat(path).st_size
      found.append(Entry(_printable(name), path, 0, size))
  return iter(sorted(found))


def _in_tar(source: str) -> Iterator[Entry]:
  seen = set()
  try:
    with tarfile.open(source) as archive:
      for member in archive:
        name = _printable(member.name.removeprefix("./"))
        if member.isfile() and not member.issparse() and name not in seen:
          seen.add(name)
          yield Entry(name, "", member.offset_data, member.size)
  except _NOT_WHOLE as error:
    raise Error(f"{source}: not a whole tar file ({error}).") from error


def _printable(name: str) -> str:
  """A name that is no text, as bytes that are."""
  return name.encode("utf-8", "surrogateescape").decode(
    "utf-8", "backslashreplace"
  )


def _bytes(file, size: int):
  if size > _MAX_BYTES:
    return Error(f"too large: {size} bytes")
  return file.read(min(size, _MAX_BYTES))


def _pixels(image) -> int:
  return image.width * image.height


def _to_rgb(image):
  """8 bits of red, green and blue, from any of Pillow's modes."""
  from PIL import Image

  if image.mode.startswith("I"):
    values = np.asarray(image).astype(np.int64)
    if not 0 <= values.min() <= values.max() < 1 << 16:
      raise Error("values beyond 16 bits")
    image = Image.fromarray((values >> 8).astype(np.uint8))
  if image.mode == "F":
    raise Error("values of floating point")
  if image.mode in ("LA", "PA", "RGBA", "RGBa", "La") or (
    "transparency" in image.info
  ):
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    image = Image.alpha_composite(white, image)
  return image.convert("RGB")
