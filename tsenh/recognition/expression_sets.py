"""Faces with an expression: FER+ and AffectNet, as their makers give them.

FER+ is votes of ten people on each image of FER2013, in Microsoft's table
`fer2013new.csv` or in its three label files. The label of an image is what more
than half of the votes say, votes of one removed. Images without such a majority
are left out, and those of which it says that there is no face or that the
emotion is not known, as FER+'s authors do with "majority".
"""

import csv
import hashlib
import os
import pathlib
from typing import Callable, Dict, Iterable, List, NamedTuple, Optional, Tuple

import numpy as np

from tsenh.base.errors import Error
from tsenh.recognition import image_sets

EMOTIONS = (
  *("neutral", "happiness", "surprise", "sadness"),
  *("anger", "disgust", "fear", "contempt"),
)
PARTS = ("training", "validation", "test")
SIZE = 48  # Pixels of a side, as FER2013 has them.
# Images with a majority: of the label files, and of the table.
COUNTS = ((25045, 3191, 3137), (25057, 3199, 3152))
_USAGE = dict(zip(("Training", "PublicTest", "PrivateTest"), PARTS))
_FILES = dict(zip(("FER2013Train", "FER2013Valid", "FER2013Test"), PARTS))
_TABLE = (
  *("Usage", "Image name", *EMOTIONS),
  *("unknown", "NF"),
)
_KAGGLE = ("emotion", "pixels", "Usage")
# AffectNet's files, its columns that count, and its numbers of the emotions.
_AFFECTNET = ("training.csv", "validation.csv")
_PATH, _EXPRESSION = "subDirectory_filePath", "expression"
_BOX = ("face_x", "face_y", "face_width", "face_height")
_NUMBERS = (0, 1, 3, 2, 6, 5, 4, 7)
# Of AffectNet's training part, every so many is for validation: its test part
# is not public, and its validation part stands in for it. Ours.
_HELD_OUT = 20


class ExpressionSet(NamedTuple):
  """Faces and what they express.

  Attributes:
    names: text [n].
    images: uint8 [n, size, size], grey.
    votes: float32 [n, 8], the share of the votes for each of `EMOTIONS`.
    labels: int64 [n], the emotion of the majority.
    is_copy: bool [n], whether the same pixels are in the training part too;
      False there.
    copies: of all images of the part, with a majority or without, how many are
      in the training part too.
  """

  names: np.ndarray
  images: np.ndarray
  votes: np.ndarray
  labels: np.ndarray
  is_copy: np.ndarray
  copies: int

  def digest(self) -> str:
    """SHA-256 of images and votes, in hexadecimal."""
    sha = hashlib.sha256(np.ascontiguousarray(self.images))
    sha.update(np.ascontiguousarray(self.votes, "<f4"))
    return sha.hexdigest()


class _Row(NamedTuple):
  """An image that is not read yet.

  Attributes:
    name: of its file.
    part: one of `PARTS`.
    votes: int [10], on `EMOTIONS`, unknown and no face.
    number: its row in the table, from 0 on; -1 in a label file.
    box: of the face in the image, left, top, right, bottom; None for all of it.
  """

  name: str
  part: str
  votes: Tuple[int, ...]
  number: int = -1
  box: Optional[Tuple[int, ...]] = None


def load(
  data: str, labels: str, partial: bool = False
) -> Dict[str, ExpressionSet]:
  """Reads the three parts of a set of expressions.

  Args:
    data: the images: a packed `.npz`, a folder, a tar file, or Kaggle's
      `fer2013.csv`; of AffectNet the folder with its images.
    labels: `fer2013new.csv`; or a folder with FER+'s three label files, as
      NAME.csv or NAME/label.csv, or with AffectNet's two tables.
    partial: whether images may be missing on purpose. Otherwise all must be
      there, and of FER+ as many as one of `COUNTS` says.

  Returns:
    Each of `PARTS`.

  Raises:
    Error: if a file cannot be read, or something is missing.
  """
  affectnet = all((pathlib.Path(labels) / name).exists() for name in _AFFECTNET)
  if affectnet:
    rows = _affectnet(labels)
  else:
    rows = _label_files(labels) if os.path.isdir(labels) else _table(labels)
    _check_counts(labels, rows, partial)
  if data.endswith(".csv"):
    read = _kaggle(data, rows)
  else:
    read = _images(data, whole_names=affectnet)
  pixels = read(rows, partial)
  training = {
    _hash(pixels[row.name])
    for row in rows
    if row.part == PARTS[0] and row.name in pixels
  }
  found = {}
  for part in PARTS:
    own = [row for row in rows if row.part == part and row.name in pixels]
    is_copy = np.array(
      [part != PARTS[0] and _hash(pixels[row.name]) in training for row in own],
      bool,
    )
    labelled = [majority(row.votes) for row in own]
    kept = [i for i, label in enumerate(labelled) if label is not None]
    if not kept:
      raise Error(f"{data}: no image of the {part} part has a majority.")
    votes = [_shares(own[i].votes) for i in kept]
    found[part] = ExpressionSet(
      np.array([own[i].name for i in kept]),
      np.stack([pixels[own[i].name] for i in kept]),
      np.array(votes, np.float32),
      np.array([labelled[i] for i in kept]),
      is_copy[kept],
      int(is_copy.sum()),
    )
  return found


def majority(votes: Tuple[int, ...]) -> Optional[int]:
  """The emotion that more than half of the votes are for, or None.

  Args:
    votes: on `EMOTIONS`, unknown and no face; single ones count for nothing.

  Returns:
    Its place in `EMOTIONS`.
  """
  counted = [vote if vote > 1 else 0 for vote in votes]
  most = max(counted)
  best = counted.index(most)
  return best if 2 * most > sum(counted) and best < len(EMOTIONS) else None


def _shares(votes: Tuple[int, ...]) -> List[float]:
  """What share of the votes on an emotion each has, single ones left out."""
  counted = [vote if vote > 1 else 0 for vote in votes[: len(EMOTIONS)]]
  return [vote / sum(counted) for vote in counted]


def _hash(image: np.ndarray) -> bytes:
  return hashlib.sha256(image.tobytes()).digest()


def _check_counts(labels: str, rows: List[_Row], partial: bool) -> None:
  """Raises an Error unless they are all of FER+."""
  parts = [row.part for row in rows if majority(row.votes) is not None]
  counts = tuple(parts.count(part) for part in PARTS)
  if partial or counts in COUNTS:
    return

  def told(numbers):
    return " / ".join(f"{number:,}" for number in numbers)

  expected = min(
    COUNTS, key=lambda c: sum(abs(a - b) for a, b in zip(c, counts))
  )
  wrong = ", ".join(
    f"{part} {a - b:+,}"
    for part, a, b in zip(PARTS, counts, expected)
    if a != b
  )
  raise Error(
    f"{labels}: {told(counts)} images with a majority (training / validation /"
    f" test), but FER+ has {told(expected)}: {wrong}. Rows are missing or"
    " changed; --partial takes them as they are."
  )


def _lines(path) -> List[List[str]]:
  """The rows of a CSV file.

  Raises:
    Error: if it is none.
  """
  try:
    with open(path, newline="", encoding="utf-8") as file:
      csv.field_size_limit(1 << 20)
      return list(csv.reader(file))
  except (OSError, ValueError, csv.Error) as error:
    raise Error(f"{path}: missing or no CSV file ({error}).") from error


def _votes(path, number: int, cells: List[str]) -> Tuple[int, ...]:
  try:
    votes = tuple(map(int, cells))
  except ValueError:
    votes = ()
  if len(votes) != len(_TABLE) - 2 or min(votes) < 0:
    raise Error(f"{path}: line {number}: expected ten counts of votes.")
  return votes


def _table(path: str) -> List[_Row]:
  """Microsoft's table, which has a row for each image of FER2013.

  Rows without a name are of images that are left out. In the table that is
  handed around four names stand in two rows. The number in a name falls behind
  its row by those left out, 85 at the end, so the nearer row is the name's own;
  where the votes of both differ, nobody knows whose they are, and the image is
  left out.
  """
  first, *lines = _lines(path) or [[]]
  if tuple(first) != _TABLE:
    raise Error(f"{path}: its first line is not {','.join(_TABLE)}.")
  rows, disputed = {}, set()
  for number, cells in enumerate(lines):
    if len(cells) != len(_TABLE) or cells[0] not in _USAGE:
      raise Error(
        f"{path}: line {number + 2}: expected {len(_TABLE)} columns, the first"
        f" one of {', '.join(_USAGE)}."
      )
    name = cells[1].strip()
    votes = _votes(path, number + 2, cells[2:])
    row = _Row(name, _USAGE[cells[0]], votes, number)
    if name in rows and rows[name].votes != votes:
      disputed.add(name)
    if name and (name not in rows or _astray(row) < _astray(rows[name])):
      rows[name] = row
  return [row for name, row in rows.items() if name not in disputed]


def _astray(row: _Row) -> int:
  """How far a name's number is from its row."""
  digits = "".join(filter(str.isdigit, row.name))
  return abs(row.number - int(digits or 0))


def _label_files(folder: str) -> List[_Row]:
  """FER+'s three label files: name, box and votes in each line."""
  rows = []
  for name, part in _FILES.items():
    places = (
      pathlib.Path(folder, f"{name}.csv"),
      pathlib.Path(folder, name, "label.csv"),
    )
    path = next((place for place in places if place.exists()), None)
    if path is None:
      raise Error(
        f"{folder}: neither {places[0].name} nor {name}/label.csv is there;"
        " expected FER+'s three label files, or AffectNet's"
        f" {' and '.join(_AFFECTNET)}."
      )
    for number, cells in enumerate(_lines(path), 1):
      votes = _votes(path, number, cells[2:])
      rows.append(_Row(cells[0], part, votes))
  return rows


def _affectnet(folder: str) -> List[_Row]:
  """AffectNet's tables: a path, a box and one expression in each line."""
  rows = []
  for name in _AFFECTNET:
    path = pathlib.Path(folder, name)
    first, *lines = _lines(path) or [[]]
    missing = {_PATH, _EXPRESSION, *_BOX} - {*first}
    if missing:
      raise Error(f"{path}: has no column {', '.join(sorted(missing))}.")
    kept = 0
    for number, cells in enumerate(lines, 2):
      cell = dict(zip(first, cells))
      try:
        expression = int(cell[_EXPRESSION])
        left, top, width, height = (int(cell[key]) for key in _BOX)
      except (KeyError, ValueError) as error:
        raise Error(f"{path}: line {number}: damaged ({error}).") from error
      if expression not in _NUMBERS:
        continue  # None, uncertain, or no face.
      emotion = _NUMBERS.index(expression)
      votes = tuple(10 * (i == emotion) for i in range(len(_TABLE) - 2))
      part = PARTS[2]
      if name == _AFFECTNET[0]:
        part = PARTS[1] if kept % _HELD_OUT == _HELD_OUT - 1 else PARTS[0]
      kept += 1
      box = (left, top, left + width, top + height)
      rows.append(_Row(cell[_PATH], part, votes, box=box))
  return rows


_Read = Callable[[List[_Row], bool], Dict[str, np.ndarray]]


def _images(data: str, whole_names: bool) -> _Read:
  """What reads the images of rows, by name, from an image set."""
  found = image_sets.load(data)
  shown = found.names.tolist()
  if not whole_names:
    shown = [name.rpartition("/")[2] for name in shown]
  places = {name: i for i, name in enumerate(shown)}

  def read(rows, partial):
    missing = [row.name for row in rows if row.name not in places]
    if missing and not partial:
      raise Error(
        f"{data}: {len(missing):,} of {len(rows):,} labelled images are not"
        f" there, {missing[0]} for one."
      )
    there = [row for row in rows if row.name in places]
    there.sort(key=lambda row: places[row.name])
    decoded = found.decode([places[row.name] for row in there])
    return {row.name: grey(i, row.box) for row, i in zip(there, decoded)}

  return read


def grey(
  image: np.ndarray, box: Optional[Iterable[float]] = None
) -> np.ndarray:
  """A face as the networks see it.

  Args:
    image: uint8 [h, w, 3], RGB.
    box: of the face, left, top, right, bottom; None for the whole image.

  Returns:
    uint8 [SIZE, SIZE].
  """
  from PIL import Image

  picture = Image.fromarray(image).convert("L")
  if box is None and picture.size == (SIZE, SIZE):
    return np.array(picture)
  return np.array(
    picture.resize(
      (SIZE, SIZE),
      Image.Resampling.BILINEAR,
      box=_inside(box or (0, 0, *picture.size), picture.size),
      reducing_gap=3.0,
    )
  )


def _inside(box: Iterable[float], size: Tuple[int, int]) -> Tuple[float, ...]:
  """The part of a box that is inside of an image; of none, all of it."""
  left, top, right, bottom = box
  left, top = max(left, 0), max(top, 0)
  right, bottom = min(right, size[0]), min(bottom, size[1])
  inside = left < right and top < bottom
  return (left, top, right, bottom) if inside else (0, 0, *size)


def _kaggle(path: str, rows: List[_Row]) -> _Read:
  """What reads the images of rows from Kaggle's file, by their number."""
  if any(row.number < 0 for row in rows):
    raise Error(
      f"{path}: has no names of images; only the table fer2013new.csv, as"
      " --labels, says which row is which image."
    )
  first, *lines = _lines(path) or [[]]
  if tuple(first) != _KAGGLE:
    raise Error(f"{path}: its first line is not {','.join(_KAGGLE)}.")

  def read(rows, partial):
    last = max(row.number for row in rows)
    if last >= len(lines) and not partial:
      raise Error(
        f"{path}: {len(lines):,} images, but the table has {last + 1:,} rows."
      )
    images = {}
    for row in rows:
      if row.number >= len(lines):
        continue
      what = f"{path}: line {row.number + 2}"
      cells = lines[row.number]
      if len(cells) != len(_KAGGLE) or _USAGE.get(cells[2]) != row.part:
        raise Error(f"{what}: not of the {row.part} part, as the table says.")
      try:
        pixels = np.array(cells[1].split(), np.int64)
        if not 0 <= pixels.min() <= pixels.max() <= 255:
          raise ValueError("a value beyond 8 bits")
        images[row.name] = pixels.reshape(SIZE, SIZE).astype(np.uint8)
      except ValueError as error:
        raise Error(f"{what}: not {SIZE * SIZE} pixels of 0 to 255.") from error
    return images

  return read
