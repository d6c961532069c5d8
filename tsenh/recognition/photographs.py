"""Photographs in a folder or a tar file, and whatever else lies there.

Nothing of what a file holds ends a run: a photograph that cannot be read is an
`Error` with its reason, for whoever asks for that photograph alone.
"""

import contextlib
import hashlib
import io
import lzma
import os
import pathlib
import stat
import tarfile
import warnings
import zipfile
import zlib
from typing import Iterable, Iterator, List, NamedTuple, Tuple

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
    changed: when it was, in nanoseconds.
  """

  name: str
  path: str
  offset: int
  size: int
  changed: int


# Takes name and reason of what is passed over.
_Others = List[Tuple[str, str]]


class Listing(NamedTuple):
  """The photographs of a folder or tar file, in order.

  Attributes:
    source: the folder or tar file.
    entries: by name in a folder, in the order of the archive in a tar file.
    others: name and reason of whatever was passed over.
  """

  source: str
  entries: Tuple[Entry, ...]
  others: Tuple[Tuple[str, str], ...] = ()

  def digest(self) -> str:
    """SHA-256 of names, sizes and times: whether these are the same files."""
    lines = (f"{e.name}\0{e.size}\0{e.changed}\n" for e in self.entries)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def find(source: str) -> Listing:
  """Lists the photographs of a folder, with its folders, or of a tar file.

  Links to folders are not followed, but for the folder itself.

  Raises:
    Error: if there are none, or the tar file cannot be read.
  """
  others: _Others = []
  if os.path.isdir(source):
    files = sorted(_in_folder(source, others))
  elif not os.path.isfile(source):
    raise Error(f"{source}: neither a folder nor a tar file.")
  elif zipfile.is_zipfile(source):
    raise Error(
      f"{source}: a zip file, expected a folder or a tar file; packed faces"
      " (.npz) are for train_student and evaluate_student."
    )
  else:
    files = list(_in_tar(source, others))
  chosen = []
  for file in files:
    if pathlib.PurePath(file.name).suffix.lower() in SUFFIXES:
      chosen.append(file)
    else:
      others.append((file.name, "not the suffix of a photograph"))
  if not chosen:
    raise Error(
      f"{source}: no photographs among {len(files)} files"
      f" ({', '.join(sorted(SUFFIXES))})."
    )
  return Listing(source, tuple(chosen), tuple(sorted(others)))


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
      with _unlimited(Image):
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
      if image.format in ("JPEG", "MPO"):
        width, height, shrink = *image.size, 1
        while width * height > MAX_PIXELS * shrink**2 and shrink < 8:
          shrink *= 2
        if shrink > 1:
          image.draft(image.mode, (width // shrink, height // shrink))
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


def _in_folder(source: str, others: _Others) -> Iterator[Entry]:
  def name_of(path):
    return _printable(pathlib.Path(path).relative_to(source).as_posix())

  def unreadable(error):
    others.append((name_of(error.filename), error.strerror))

  for folder, folders, files in os.walk(source, onerror=unreadable):
    for path in (os.path.join(folder, inner) for inner in folders):
      if os.path.islink(path):
        others.append((name_of(path), "a link to a folder"))
    for path in (os.path.join(folder, file) for file in files):
      found = os.lstat(path)
      yield Entry(name_of(path), path, 0, found.st_size, found.st_mtime_ns)


def _in_tar(source: str, others: _Others) -> Iterator[Entry]:
  seen = set()
  try:
    with tarfile.open(source) as archive:
      for member in archive:
        name = _printable(member.name.removeprefix("./"))
        if member.isdir():
          continue
        if not member.isfile() or member.issparse():
          others.append((name, "a link, or not a regular file"))
        elif name in seen:
          others.append((name, "a second file of this name"))
        else:
          seen.add(name)
          changed = int(member.mtime * 1e9)
          yield Entry(name, "", member.offset_data, member.size, changed)
  except _NOT_WHOLE as error:
    raise Error(f"{source}: not a whole tar file ({error}).") from error


def _printable(name: str) -> str:
  """A name that is no text, as bytes that are."""
  return name.encode("utf-8", "surrogateescape").decode(
    "utf-8", "backslashreplace"
  )


@contextlib.contextmanager
def _unlimited(module) -> Iterator[None]:
  """Lifts Pillow's own limit of pixels, while a header alone is read."""
  limit, module.MAX_IMAGE_PIXELS = module.MAX_IMAGE_PIXELS, None
  try:
    yield
  finally:
    module.MAX_IMAGE_PIXELS = limit


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
