"""Reads the evaluations of the paper's study and refuses what is none of it.

The published page is about one set of evaluations: shipped LFW, networks that
were trained on all of `faces` for 40 epochs (the paper's recipe) or 400 (longer
training). A smoke run checks the same commands on faces-validation in minutes;
its numbers mean nothing, and `read` lets neither kind into the other's page.
"""

import dataclasses
import pathlib
import re
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from experiments import paper
from tsenh import results
from tsenh.errors import Error

FEATURES_DIGEST = (
  "134dab32652d8fae5cbccc60e093bb556dd77f709455b47ab4048148b3511e01"
)
EPOCHS = (40, 400)
NUM_TRAINING_FEATURES = 66108
# What each method is called on the page, in the page's order.
LABELS = {
  "none": "uncompressed",
  "pro": "PRO",
  "pro-e": "PRO-E",
  "sq": "SQ",
  "sq-e": "SQ-E",
  "pq": "PQ",
  "opq": "OPQ",
  "rq": "RQ",
  "pca": "PCA",
  "pca-at-pro": "PCA at PRO's bytes",
  "ksh": "DBH",
  "dhn": "DHN",
  "itq": "ITQ",
  "lsh": "LSH",
}
HASHING = ("ksh", "dhn", "itq", "lsh")
_NAMES = (
  r"(?P<family>none)",
  r"(?P<family>pro|pro-e)-(?P<setting>1e-\d)-e(?P<epochs>\d+)-s(?P<seed>\d+)",
  r"(?P<family>pca-at-pro)-(?P<setting>1e-\d)-e(?P<epochs>\d+)",
  r"(?P<family>sq|sq-e|pq|opq|rq|ksh|dhn|itq|lsh):(?P<setting>\d+)",
  r"(?P<family>pca):(?P<setting>[-.e\d]+)",
)


class Method(NamedTuple):
  """What the name of an evaluation says.

  Attributes:
    family: a key of `LABELS`.
    setting: lambda, QP, bits or step, as the name has it; empty for none.
    epochs: of PRO's training, or None.
    seed: of PRO's training, or None.
  """

  family: str
  setting: str
  epochs: Optional[int]
  seed: Optional[int]


@dataclasses.dataclass(frozen=True)
class Point:
  """One setting of a method: its evaluations, one per seed.

  Attributes:
    family: a key of `LABELS`.
    setting: lambda, QP, bits or step.
    epochs: of PRO's training, or None.
    runs: by seed (None where a method has none): the result, and its `file`.
  """

  family: str
  setting: str
  epochs: Optional[int]
  runs: Dict[Optional[int], Dict[str, Any]]

  @property
  def label(self) -> str:
    """The name of its method in tables and legends."""
    return label(self.family, self.epochs)

  @property
  def bits(self) -> float:
    """Bits per face, the mean over seeds."""
    return self.mean("bits_per_feature")

  def hits(self, normalized: bool = False, seeds=None) -> np.ndarray:
    """Correct pairs of these seeds, or of all: int [seeds, 10 folds]."""
    runs = [self.runs[seed] for seed in (seeds or self.runs)]
    return np.array(
      [metrics(run, normalized)["correct_pairs_per_fold"] for run in runs]
    )

  def mean(self, key: str) -> Optional[float]:
    """The mean over seeds of a value; None where the method has none."""
    values = [run[key] for run in self.runs.values()]
    return None if None in values else float(np.mean(values))


@dataclasses.dataclass(frozen=True)
class Study:
  """All that the page is made from.

  Attributes:
    points: in the order of `LABELS`, then epochs, then rate.
    features: what experiments.describe_features wrote, or None.
    smoke: whether these are the numbers of a smoke run.
    num_pairs: of the test set.
  """

  points: Tuple[Point, ...]
  features: Optional[Dict[str, Any]]
  smoke: bool
  num_pairs: int

  def curve(self, family: str, epochs: Optional[int] = None) -> List[Point]:
    """A method's points in order of rate."""
    return [
      point
      for point in self.points
      if (point.family, point.epochs) == (family, epochs)
    ]

  def point(
    self, family: str, setting: str = "", epochs: Optional[int] = None
  ) -> Optional[Point]:
    """One setting of a method, or None."""
    found = [p for p in self.curve(family, epochs) if p.setting == setting]
    return found[0] if found else None

  def curves(self, *families: str) -> List[List[Point]]:
    """The curves of these methods, or of all; one for each epochs."""
    keys = dict.fromkeys((p.family, p.epochs) for p in self.points)
    return [
      self.curve(*key) for key in keys if not families or key[0] in families
    ]

  def epochs(self) -> List[int]:
    """The epochs that PRO was trained for."""
    return sorted({p.epochs for p in self.points if p.family == "pro"})

  def runs(self) -> List[Dict[str, Any]]:
    """All evaluations."""
    return [run for point in self.points for run in point.runs.values()]


def metrics(run: Dict[str, Any], normalized: bool) -> Dict[str, Any]:
  """An evaluation's metrics, as decoded or on features of unit length."""
  return run["normalized"] if normalized else run


def label(family: str, epochs: Optional[int] = None) -> str:
  """The name of a method in tables and legends."""
  if epochs is None:
    return LABELS[family]
  return f"{LABELS[family]}, {epochs_in_words(epochs)}"


def epochs_in_words(epochs: int) -> str:
  """For example 40 epochs."""
  return f"{epochs} epoch{'s' if epochs != 1 else ''}"


def parse(name: str) -> Optional[Method]:
  """What the name of an evaluation says, or None."""
  for pattern in _NAMES:
    match = re.fullmatch(pattern, name)
    if match:
      found = match.groupdict()
      epochs, seed = found.get("epochs"), found.get("seed")
      return Method(
        found["family"],
        found.get("setting") or "",
        int(epochs) if epochs else None,
        int(seed) if seed else None,
      )
  return None


def read(folder: str, smoke: bool = False) -> Study:
  """Reads a folder of evaluations.

  Args:
    folder: holds JSONs; those that are no evaluations are left out, but for
      features.json of experiments.describe_features.
    smoke: whether it is a smoke run's. Neither kind is read as the other.

  Returns:
    The study; methods and seeds that were not evaluated are missing from it.

  Raises:
    Error: if there are no evaluations, or one that is none of the study's.
  """
  runs, described = {}, None
  for path in sorted(pathlib.Path(folder).glob("*.json")):
    result = results.read(str(path))
    if path.name == "features.json":
      described = result
    if "correct_pairs_per_fold" not in result:
      continue
    method = parse(result["method"])
    problem = _foreign(method, result, smoke)
    if problem:
      kind = "a smoke run" if smoke else "the published study"
      raise Error(f"{path}: no evaluation of {kind}: {problem}.")
    if method in runs:
      raise Error(f"{path}: {runs[method]['file']} is {result['method']} too.")
    runs[method] = {**result, "file": path.name}
  if not runs:
    raise Error(f"{folder}: no evaluations in it.")
  test_set = next(iter(runs.values()))["features"]
  if described and described["test_set"] != test_set:
    raise Error(
      f"{folder}/features.json: describes {described['test_set']}, expected"
      f" {test_set}, which the evaluations beside it are on."
    )
  _check_same_bytes(runs)
  num_pairs = {run["num_pairs"] for run in runs.values()}
  if len(num_pairs) > 1:
    raise Error(f"{folder}: evaluations on {sorted(num_pairs)} pairs.")
  return Study(_points(runs), described, smoke, num_pairs.pop())


def _foreign(method, result, smoke: bool) -> str:
  """Why an evaluation is none of the study's; empty if it is one."""
  if method is None:
    return f"unknown method {result['method']}"
  if "wrong_pairs" not in result:
    return "it does not name the wrong pairs, so it is an older version's"
  wanted = results.VALIDATION_SET if smoke else "lfw"
  if result["features"] != wanted:
    return f"it is on {result['features']}, not {wanted}"
  if smoke:
    return ""
  if result["features_digest"] != FEATURES_DIGEST:
    return "its features are not the shipped lfw"
  if method.epochs not in (None, *EPOCHS):
    return f"{method.epochs} epochs, expected one of {EPOCHS}"
  return _untrained(method, result)


def _untrained(method: Method, result) -> str:
  """Why its networks are not those that its name promises; empty if they are.

  The enhancers train for as long as a codec does, either one.
  """
  codec, enhancer = {}, {}
  everything = {"num_training_features": (NUM_TRAINING_FEATURES,)}
  if method.family in ("pro", "pro-e"):
    everything["seed"] = (method.seed,)
    codec = {"epochs": (method.epochs,), "lambda": (float(method.setting),)}
    codec.update(everything)
  if method.family in ("pro-e", "sq-e"):
    enhancer = {"epochs": EPOCHS, **everything}
  if method.family == "sq-e":
    enhancer["qp"] = (int(method.setting),)
  for trained, expected in (
    ("training", codec),
    ("enhancer_training", enhancer),
  ):
    found = result.get(trained) or {}
    for key, allowed in expected.items():
      if found.get(key) not in allowed:
        words = " or ".join(f"{value:g}" for value in allowed)
        return f"{trained}: {key} {found.get(key)}, expected {words}"
  return ""


def _check_same_bytes(runs: Dict[Method, Dict[str, Any]]) -> None:
  """An enhanced method decodes another's bytes: every bit is the same."""
  for method, run in runs.items():
    plain = {"pro-e": "pro", "sq-e": "sq"}.get(method.family)
    other = runs.get(method._replace(family=plain)) if plain else None
    for key in ("bits_per_feature", "codec_digest") if other else ():
      if run[key] != other[key]:
        raise Error(
          f"{run['file']}: {key} {run[key]}, but {other['file']}, whose bytes"
          f" it should decode, has {other[key]}."
        )


def _points(runs: Dict[Method, Dict[str, Any]]) -> Tuple[Point, ...]:
  groups: Dict[Tuple, Dict] = {}
  for method in sorted(runs, key=lambda m: -1 if m.seed is None else m.seed):
    groups.setdefault(method[:3], {})[method.seed] = runs[method]
  points = [Point(*key, seeds) for key, seeds in groups.items()]
  order = list(LABELS)
  return tuple(
    sorted(points, key=lambda p: (order.index(p.family), p.epochs or 0, p.bits))
  )


def counterparts(family: str) -> Tuple[paper.Point, ...]:
  """The paper's points of a method, if it has them."""
  return paper.TABLE_1.get(LABELS[family], ())
