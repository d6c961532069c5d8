"""Published numbers (arXiv 2002.03627), as printed."""

import re
from typing import Dict, NamedTuple, Optional, Tuple


class Point(NamedTuple):
  """One cell of Table 1.

  Attributes:
    bits_per_dimension: the paper's BPP, bits of a feature over its dimensions.
    accuracy: LFW verification accuracy in percent.
  """

  bits_per_dimension: float
  accuracy: float


def _points(*cells: float) -> Tuple[Point, ...]:
  return tuple(map(Point, cells[::2], cells[1::2]))


# Table 1, each method's points in order of rate.
TABLE_1: Dict[str, Tuple[Point, ...]] = {
  "PQ": _points(1.0, 98.48, 2.0, 99.13, 4.0, 99.28, 8.0, 99.25),
  "OPQ": _points(1.0, 98.40, 2.0, 99.17, 4.0, 99.25, 8.0, 99.27),
  "DBH": _points(1.0, 97.48, 2.0, 98.23, 4.0, 98.43, 8.0, 98.83),
  "DHN": _points(1.0, 98.25, 2.0, 98.70, 4.0, 99.08, 8.0, 99.13),
  "SQ": _points(1.21, 50.00, 1.70, 98.60, 2.58, 99.11, 4.21, 99.23),
  "SQ-E": _points(1.21, 50.41, 1.70, 98.72, 2.58, 99.15, 4.21, 99.26),
  "PRO": _points(0.81, 98.28, 1.42, 98.96, 2.03, 99.27, 2.61, 99.27),
  "PRO-E": _points(0.81, 98.63, 1.42, 99.10, 2.03, 99.30, 2.61, 99.30),
}
UNCOMPRESSED_ACCURACY = 99.32
EPOCHS = 40
# 40 epochs of 3.3 million faces in batches of 32.
UPDATES = EPOCHS * 3_300_000 // 32

# Which lambda, QP and bits gave which point. Lambda and QP are inferred: the
# paper prints rates, its range of lambda and the form of QP.
LAMBDAS = ("1e-4", "1e-5", "1e-6", "1e-7")
_QPS = ("50", "45", "40", "30")
_BITS = ("128", "256", "512", "1024")
SETTINGS: Dict[str, Tuple[str, ...]] = {
  **dict.fromkeys(("PRO", "PRO-E"), LAMBDAS),
  **dict.fromkeys(("SQ", "SQ-E"), _QPS),
  **dict.fromkeys(("PQ", "OPQ", "DBH", "DHN"), _BITS),
}


def counterpart(method: str) -> Optional[Point]:
  """The point of the paper that one of our codecs stands beside, if any.

  Args:
    method: as results call it: none, sq-QP, pq-BITS-sSEED, a codec's name with
      pro-LAMBDA and its like.
  """
  if method == "none":
    return Point(32, UNCOMPRESSED_ACCURACY)
  name = re.search(
    r"(?<!at-)(?<!\w)(pro-e|pro|sq-e|sq|pq|opq|dbh|dhn)-(\de-\d|\d+)"
    r"(-e\d+)?(-s\d+)?$",
    method,
  )
  if name and name[2] in SETTINGS[name[1].upper()]:
    label = name[1].upper()
    return TABLE_1[label][SETTINGS[label].index(name[2])]
  return None
