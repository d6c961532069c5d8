"""Which results speak for others, and whether one that is made again agrees."""

import json
import math
import pathlib
import re
from typing import Any, Dict, Iterator

from experiments import jobs, staleness
from tsenh.base import results

# Of the eigenvalues of 128 dimensions, two processors gave 1 part in 10^14.
_DIGITS = 1e-10
# Digests of arrays, which these digits change: of PCA's and LDA's components.
_OF_ITS_PROCESSOR = {"codec_digest"}


def differences(first: Any, second: Any, key: str = "") -> Iterator[str]:
  """Where the second of two results differs, a line for each key of the first.

  Floating-point numbers may differ in the digits that another processor's
  linear algebra rounds otherwise. What the second says besides is not compared.
  """
  if isinstance(first, dict) and isinstance(second, dict):
    for name in [key for key in first if key not in _OF_ITS_PROCESSOR]:
      inner = f"{key}.{name}" if key else name
      yield from differences(first.get(name), second.get(name), inner)
  elif not _alike(first, second):
    short = (json.dumps(value)[:40] for value in (first, second))
    yield f"{key}: {' is now '.join(short)}"


def _alike(first: Any, second: Any) -> bool:
  """Whether two values are equal, floats but for their last digits.

  An option that is off may be left out.
  """
  if first is False and second is None:
    return True
  if isinstance(first, list) and isinstance(second, list):
    return len(first) == len(second) and all(map(_alike, first, second))
  if isinstance(first, float) and isinstance(second, float):
    return math.isclose(first, second, rel_tol=_DIGITS)
  return first == second


def _seconds(plan: Dict[str, jobs.Job], name: str) -> float:
  """What it takes to make a result from nothing."""
  needed = jobs.chosen(plan, re.escape(name))
  return sum(job.seconds for job in needed.values())


def chosen(
  folder: pathlib.Path, plan: Dict[str, jobs.Job]
) -> Dict[str, Dict[str, Any]]:
  """Recorded results, by name, that speak for all that is not current.

  Args:
    folder: of the recorded results.
    plan: whose jobs make them.
  """
  stale = []
  for name in plan:
    path = folder / f"{name}.json"
    if path.exists():
      result = results.read(str(path))
      if "code" in result and staleness.reasons(result):
        made = staleness.made_by(result)
        stale.append((-len(made), _seconds(plan, name), name, made, result))
  found, speaking = {}, []
  for _, _, name, made, result in sorted(stale, key=lambda item: item[:3]):
    if not any(staleness.covers(other, made) for other in speaking):
      found[name] = result
      speaking.append(made)
  return found
