"""Who is in a photograph, which pairs are verified, and who is left out.

Photographs are known by their names: paths with slashes, as
`tsenh.extract_features` stores them.
"""

import collections
import csv
import pathlib
import re
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from tsenh.base.errors import Error
from tsenh.data import feature_sets

FOLDERS = "folders"
_NAMED = 3  # Missing photographs that a message names.
_CHUNK = 4096


def read_pairs(path: str) -> Tuple[List[Tuple[str, str]], np.ndarray]:
  """Reads pairs in the form of LFW's pairs.txt.

  Returns:
    The two photographs of each pair, file names without suffix, and whether
    they show one person, bool [m]; the pairs make ten equal folds.

  Raises:
    Error: if a line has another form, or the pairs do not divide into folds.
  """
  pairs, is_same = [], []
  for number, line in enumerate(_lines(path), 1):
    words = line.split()
    if number == 1 and all(word.isdigit() for word in words):
      continue  # The folds and their pairs.
    if len(words) == 3:
      words.insert(2, words[0])
    if len(words) != 4 or not (words[1].isdigit() and words[3].isdigit()):
      raise Error(
        f"{path}: line {number} is {line!r}, expected a name and two numbers or"
        " two names with a number each."
      )
    first, one, second, two = words
    pairs.append((f"{first}_{int(one):04}", f"{second}_{int(two):04}"))
    is_same.append(first == second)
  if not pairs or len(pairs) % feature_sets.NUM_FOLDS:
    raise Error(
      f"{path}: {len(pairs)} pairs, expected {feature_sets.NUM_FOLDS} equal"
      " folds."
    )
  return pairs, np.array(is_same)


def rows_of(
  pairs: List[Tuple[str, str]],
  names: Sequence[str],
  reasons: Optional[Dict[str, str]] = None,
) -> np.ndarray:
  """Where the photographs of pairs are.

  Args:
    pairs: as `read_pairs` gives them.
    names: of the photographs.
    reasons: by the names of others, why they are not among these.

  Returns:
    int64 [m, 2], rows of `names`.

  Raises:
    Error: if a photograph is not there, or there twice; it is named.
  """
  stems = [pathlib.PurePosixPath(name).stem for name in names]
  rows = {stem: row for row, stem in enumerate(stems)}
  needed = {stem for pair in pairs for stem in pair}
  count = collections.Counter(stems)
  why = {
    pathlib.PurePosixPath(name).stem: f" ({reason})"
    for name, reason in (reasons or {}).items()
  }
  missing = "without a feature" if reasons else "missing"
  for found, what in (
    (sorted(needed - rows.keys()), missing),
    (sorted(stem for stem in needed if count[stem] > 1), "there twice"),
  ):
    if found:
      several = len(found) > 1
      named = ", ".join(stem + why.get(stem, "") for stem in found[:_NAMED])
      raise Error(
        f"{len(found)} photograph{'s' * several} of the pairs"
        f" {'are' if several else 'is'} {what}:"
        f" {named}{', ...' * (len(found) > _NAMED)}."
      )
  return np.array([[rows[stem] for stem in pair] for pair in pairs])


def identities(source: str, names: Sequence[str]) -> np.ndarray:
  """Numbers for the people in photographs.

  Args:
    source: `folders`, where each person has a folder of photographs, or a file
      with a photograph and a person in each line, as CelebA's, or a `.csv` with
      the columns FILE and SUBJECT_ID, as UMDFaces'.
    names: of the photographs.

  Returns:
    int64 [n], people in the order of their names, or -1 where the file does not
    say who it is.

  Raises:
    Error: if the file has another form, or knows none of the photographs.
  """
  paths = [pathlib.PurePosixPath(name) for name in names]
  if source == FOLDERS:
    people = [
      str(path.parent) if len(path.parts) > 1 else None for path in paths
    ]
    if not any(people):
      raise Error(
        f"--identities={FOLDERS}: no photograph lies in a folder of its person"
        f" ({names[0]}, ...)."
      )
  else:
    known = _people(source)
    # By the path, or by as much of its end as the list has.
    people = [
      next(
        (
          known[end]
          for end in ("/".join(p.parts[i:]) for i in range(len(p.parts)))
          if end in known
        ),
        None,
      )
      for p in paths
    ]
    if not any(people):
      raise Error(f"{source}: knows none of the photographs ({names[0]}, ...).")
  order = {person: i for i, person in enumerate(sorted({*people} - {None}))}
  return np.array([order.get(person, -1) for person in people], np.int64)


def near(
  features: np.ndarray, others: np.ndarray, threshold: float
) -> np.ndarray:
  """Which features look like one of others.

  Args:
    features: float32 [n, dim].
    others: float32 [m, dim].
    threshold: the cosine similarity above which two are alike.

  Returns:
    bool [n].

  Raises:
    Error: if the dimensions differ.
  """
  if features.shape[1] != others.shape[1]:
    raise Error(
      f"features of {features.shape[1]} dimensions cannot be compared with some"
      f" of {others.shape[1]}."
    )

  def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)

  turned = unit(others).T
  return np.concatenate(
    [
      (unit(features[s : s + _CHUNK]) @ turned).max(axis=1) > threshold
      for s in range(0, len(features), _CHUNK)
    ]
  )


def without(near: np.ndarray, people: np.ndarray) -> np.ndarray:
  """Which features stay where people go of whom one is near.

  Args:
    near: bool [n], from `near`.
    people: int64 [n], -1 for unknown. A person goes whole.

  Returns:
    bool [n].
  """
  gone = set(people[near]) - {-1}
  return ~(near | np.isin(people, list(gone)))


def _lines(path: str) -> List[str]:
  try:
    text = pathlib.Path(path).read_text(encoding="utf-8-sig")
  except UnicodeDecodeError as error:
    raise Error(f"{path}: not a text file ({error}).") from error
  return text.strip().splitlines()


def _people(path: str) -> dict:
  """The person in each photograph of a list."""
  lines = _lines(path)
  rows = list(csv.DictReader(lines)) if path.endswith(".csv") else []
  columns = ("FILE", "SUBJECT_ID")
  if rows and not rows[0].keys() >= {*columns}:
    if len(rows[0]) != 2:
      raise Error(
        f"{path}: has no columns {' and '.join(columns)}, nor two alone, of"
        " photographs and people."
      )
    columns = tuple(rows[0])
  known = {row[columns[0]]: row[columns[1]] for row in rows}
  if not rows:
    for number, line in enumerate(lines, 1):
      # A photograph's name may have blanks, where it has a suffix.
      words = re.fullmatch(r"([^\s,]+|.*\.\w+)[\s,]+([^\s,]+)", line.strip())
      if words is None:
        raise Error(
          f"{path}: line {number} is {line!r}, expected a photograph and a"
          " person."
        )
      known[words[1]] = words[2]
  return known
