"""The pages and figures of a checkout, as they should be today."""

import base64
import functools
import hashlib
import pathlib
import re
from typing import Any, Callable, Dict, Iterator, Tuple

import markdown

from experiments.report import figures, measurements, reader, tables
from tsenh.base import provenance, results
from tsenh.base.errors import Error
from tsenh.data import manifests

ROOT = provenance.ROOT
RESULTS = ROOT / "experiments" / "results"
FIGURES = pathlib.Path("figures", "paper")  # Beside the paper's page.
SMOKE_TITLE = "Smoke run: these numbers mean nothing"
PAPER = "docs/paper.md"
# The pages, and the parts of the others: `measurements.render_...`.
PAGES = {
  PAPER: "",
  "DEVIATIONS.md": "sensitivity elements teachers hashing sq_sweep",
  "FORMAT.md": "portable",
  "docs/benchmarks.md": "speed",
  "README.md": "results zoo",
}


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
  return f"{before}{begin}\n\n{content}\n\n{end}{rest.split(end, 1)[1]}"


def paper(study: reader.Study, others: Dict[str, reader.Study]) -> str:
  """docs/paper.md with the numbers of a study, and of other networks."""
  text = (ROOT / PAPER).read_text(encoding="utf-8")
  for name, render in tables.PARTS.items():
    text = replace(text, name, render(study))
  sections = []
  for name, other in others.items():
    sections.append(f"### {manifests.networks()[name].title}")
    sections.append(tables.render_status(other))
    sections.append(f"![Accuracy over rate]({FIGURES.as_posix()}/{name}.png)")
    sections.append(tables.render_points(other))
  content = "\n\n".join(sections) or tables.NOT_MEASURED
  text = replace(text, "networks", content)
  if study.smoke:
    text = re.sub("^# .*", f"# {SMOKE_TITLE}", text, count=1)
  return text


def updated(page: str, folder: pathlib.Path = RESULTS) -> str:
  """The text of a page, a key of `PAGES`, as it should be.

  Raises:
    Error: if a marker is missing, or a result does not belong.
  """
  if page == PAPER:
    studies = measurements.studies(folder)
    return paper(studies.pop(manifests.default().name), studies)
  text = (ROOT / page).read_text(encoding="utf-8")
  for name in PAGES[page].split():
    content = getattr(measurements, f"render_{name}")(folder)
    text = replace(text, name, content.strip())
  return text


Picture = Tuple[str, str, Callable[[], Any]]


def pictures(folder: pathlib.Path = RESULTS) -> Iterator[Picture]:
  """Each figure of the pages: its name, the digest of its data, its drawing."""
  studies = measurements.studies(folder)
  study = studies.pop(manifests.default().name)
  for name, draw in figures.FIGURES.items():
    yield name, study.digest, functools.partial(draw, study)
  for name, other in studies.items():
    draw = figures.draw_rate_accuracy
    yield name, other.digest, functools.partial(draw, other)
  path = folder / "studies" / "sensitivity.json"
  digest = hashlib.sha256(path.read_bytes()).hexdigest()
  draw = functools.partial(figures.draw_length, results.read(str(path)))
  yield "length", digest, draw


def to_html(text: str, folder: pathlib.Path) -> str:
  """A page in Markdown as one HTML file, with its figures from a folder."""

  def inlined(match):
    data = base64.b64encode((folder / match[1]).read_bytes()).decode()
    return f'src="data:image/png;base64,{data}"'

  text = re.sub(r"<!--.*?-->\n?", "", text)
  body = markdown.markdown(text, extensions=["tables", "toc"])
  body = re.sub(r'src="([^"]+\.png)"', inlined, body)
  # Where this file is read, the others of the checkout may not be.
  body = re.sub(r'<a href="(?!https?:|#)[^"]*">(.*?)</a>', r"\1", body)
  frame = (pathlib.Path(__file__).parent / "page.html").read_text("utf-8")
  return frame.format(title=re.search("^# (.*)", text)[1], body=body)
