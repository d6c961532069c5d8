"""A page of small pictures on which a person sees what an extraction did."""

import base64
import collections
import html
import io
from typing import Any, Dict, Iterable, List, NamedTuple, Sequence, Tuple

import numpy as np

_SIDE = 160
_MAX_PICTURES = 500  # Of one kind; what is not shown is in the report's JSON.
_MAX_NAMES = 10_000  # Of files that were passed over.
_STYLE = (
  "body{font-family:sans-serif}figure{display:inline-block;margin:4px;"
  "width:170px;vertical-align:top;font-size:11px;overflow-wrap:anywhere}"
)


class Finding(NamedTuple):
  """A photograph that somebody may look at.

  Attributes:
    name: of the photograph.
    reason: why, or "" for a crop that is as it should be.
    kept: whether it has a feature.
    picture: of it, as `picture` gives it, or "" if it cannot be read.
  """

  name: str
  reason: str
  kept: bool
  picture: str


def picture(
  image: np.ndarray, boxes: Sequence[np.ndarray] = (), main: int = -1
) -> str:
  """A small JPEG of an image with frames around its faces, in base64.

  Args:
    image: uint8 [h, w, 3], RGB.
    boxes: float [4] each: left, top, right, bottom.
    main: which of them is green; the others are red.
  """
  from PIL import Image, ImageDraw

  small = Image.fromarray(image)
  small.thumbnail((_SIDE, _SIDE))
  scale = small.width / image.shape[1]
  draw = ImageDraw.Draw(small)
  for number, (left, top, right, bottom) in enumerate(boxes):
    frame = [left * scale, top * scale, right * scale, bottom * scale]
    draw.rectangle(frame, outline="lime" if number == main else "red", width=2)
  buffer = io.BytesIO()
  small.save(buffer, "JPEG", quality=80)
  return base64.b64encode(buffer.getvalue()).decode()


class Report:
  """What an extraction found, shard by shard, with bounded memory.

  Attributes:
    counts: of the reasons.
    listed: name, reason and whether it was kept, of each that has a reason.
  """

  def __init__(self, others: Sequence[Tuple[str, str]] = ()):
    """Begins a report.

    Args:
      others: name and reason of files that were passed over.
    """
    self._others = others
    self.counts: Dict[str, int] = collections.Counter()
    self.listed: List[Dict[str, Any]] = []
    self._kinds = {
      "No feature": [],
      "Several faces: the green one was taken": [],
      "As the network gets them, some of each shard": [],
    }
    self._numbers = [0] * len(self._kinds)

  def add(self, findings: Iterable[Finding]) -> None:
    """Adds the findings of a shard; most pictures are not kept."""
    for finding in findings:
      kind = 2 if not finding.reason else 1 if finding.kept else 0
      shown = list(self._kinds.values())[kind]
      self._numbers[kind] += 1
      if len(shown) < _MAX_PICTURES:
        shown.append(finding)
      if finding.reason:
        several = "several faces, the main one kept"
        self.counts[several if finding.kept else finding.reason] += 1
        named = ("name", "reason", "kept")
        self.listed.append({key: getattr(finding, key) for key in named})

  def told(self) -> Dict[str, Any]:
    """The report as JSON; of files that were passed over the first alone."""
    others = collections.Counter(reason for _, reason in self._others)
    return {
      "counts": self.counts,
      "findings": self.listed,
      "passed_over": {
        "counts": others,
        "listed": [list(other) for other in self._others[:_MAX_NAMES]],
      },
    }

  def page(self, title: str) -> str:
    """The page, as HTML that needs no other file."""
    title = html.escape(title)
    parts = [
      f"<!doctype html><meta charset=utf-8><title>{title}</title>",
      f"<style>{_STYLE}</style><h1>{title}</h1>",
    ]
    for (heading, found), number in zip(self._kinds.items(), self._numbers):
      parts += [f"<h2>{heading} ({number})</h2>", *map(_figure, found)]
    lines = (f"{name}: {reason}" for name, reason in self._others[:_MAX_NAMES])
    parts.append(f"<h2>Passed over ({len(self._others)})</h2>")
    parts += [f"<div>{html.escape(line)}</div>" for line in lines]
    return "\n".join(parts)


def _figure(finding: Finding) -> str:
  text = html.escape(f"{finding.name}  {finding.reason}")
  image = (
    f'<img src="data:image/jpeg;base64,{finding.picture}" alt="">'
    if finding.picture
    else ""
  )
  return f"<figure>{image}<figcaption>{text}</figcaption></figure>"
