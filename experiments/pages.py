"""Markdown pages whose numbers are made from results, between markers."""

from typing import Iterable, Optional

from experiments.study import Point
from tsenh.errors import Error


def replace(text: str, name: str, content: str) -> str:
  """A page's text with the content between the markers of that name.

  Raises:
    Error: if a marker is missing.
  """
  begin = f"<!-- {name}: made by `make table`, do not edit -->"
  end = f"<!-- end of {name} -->"
  if begin not in text or end not in text:
    raise Error(f"the page has no markers {begin} and {end}.")
  before, rest = text.split(begin, 1)
  after = rest.split(end, 1)[1]
  return f"{before}{begin}\n\n{content}\n\n{end}{after}"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
  """A Markdown table; a head that starts with `<` is aligned left."""
  head = list(head)
  lines = [
    "| " + " | ".join(h.lstrip("<") for h in head) + " |",
    "|" + "|".join("---" if h.startswith("<") else "--:" for h in head) + "|",
  ]
  lines += ["| " + " | ".join(row) + " |" for row in rows]
  return "\n".join(lines)


def sources(points: Iterable[Optional[Point]], *others: str) -> str:
  """The JSONs that a table is made from, folded away."""
  names = {run["file"] for p in points if p for run in p.runs.values()}
  if not names:
    return "*Not measured.*"
  listed = " ".join(
    f"<code>{name}</code>" for name in sorted({*names, *others})
  )
  return (
    f"<details><summary>Made from {len(names) + len(others)} result"
    f" files</summary>{listed}</details>"
  )


def signed(value: Optional[float]) -> str:
  """A difference in points; blank where there is none."""
  # Without "-0.00".
  return "" if value is None else f"{round(value, 2) + 0.0:+.2f}"
