"""Says which results are older than the code and the data that made them."""

import collections
import functools
from typing import Any, Dict, Iterable, List, Tuple

from tsenh.base import provenance
from tsenh.data import manifests

UNNAMED = "recorded before results named their code"


@functools.cache
def _changed(name: str, digest: str) -> bool:
  return bool(provenance.changed({name: digest}))


def reasons(result: Dict[str, Any]) -> List[str]:
  """The files and feature sets that have changed since a result was made.

  Args:
    result: with `code` and `data`, the digests of files and of feature sets;
      sets that no manifest knows are left out.
  """
  if "code" not in result:
    return [UNNAMED]
  found = [
    name for name, digest in result["code"].items() if _changed(name, digest)
  ]
  for name, digest in result.get("data", {}).items():
    if name in manifests.sets() and manifests.sets()[name].digest != digest:
      found.append(f"feature set {name}")
  return found


def sentence(results: Iterable[Tuple[str, List[str]]]) -> str:
  """What a page says of files and their `reasons`; empty if all are current."""
  results, files = list(results), collections.defaultdict(list)
  for name, why in results:
    for reason in why:
      files[reason].append(name)
  if not files:
    return ""
  stale = sum(bool(why) for _, why in results)
  parts = []
  for reason, names in sorted(files.items()):
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    parts.append(f"{reason} ({', '.join(names[:2])}{more})")
  return (
    f"**Not current:** {stale} of {len(results)} results were made by code or"
    f" data that has changed since: {'; '.join(parts)}."
  )
