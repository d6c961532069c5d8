"""The pages and figures of a checkout, as they should be today."""

import base64
import functools
import hashlib
import json
import pathlib
import re
from typing import Any, Callable, Dict, Iterator, Tuple

import markdown

from experiments import choices
from experiments.report import (
  ahead,
  enhancer,
  expressions,
  figures,
  grains,
  low_resolution,
  measurements,
  reader,
  scalable,
  tables,
  walkthrough,
)
from tsenh.base import provenance, results
from tsenh.base.errors import Error
from tsenh.data import manifests

ROOT = provenance.ROOT
RESULTS = ROOT / "experiments" / "results"
FIGURES = ROOT / "docs" / "figures"
SMOKE_TITLE = "Smoke run: these numbers mean nothing"
# The page of each main network, the default one first.
PAPERS = {
  "docs/paper.md" if i == 0 else f"docs/paper-{name}.md": name
  for i, name in enumerate(choices.TEACHERS)
}
# The pages, and the parts of the others: `render_...` of one of these modules.
_RENDERING = (
  measurements,
  low_resolution,
  enhancer,
  ahead,
  grains,
  expressions,
  scalable,
)
PAGES = {
  **dict.fromkeys(PAPERS, ""),
  "DEVIATIONS.md": "sensitivity elements teachers effort hashing sq_sweep",
  "FORMAT.md": "portable",
  "docs/enhancer.md": "worth why",
  "docs/ahead.md": "ahead_bars ahead ahead_rates trained directions",
  "docs/two-grains.md": (
    "coarse_terms grains grains_rates grains_tests grains_enhanced"
  ),
  "docs/low-resolution.md": "students selection ways student_speed",
  "docs/expressions.md": (
    "expression_accuracy expression_tests expression_classes"
  ),
  "checkpoints/expressions/half-hidden/README.md": "expression_shipped",
  "docs/porting.md": "exports",
  "docs/scalable.md": (
    "scalable_bars scalable_base scalable_rates scalable_points scalable_costs"
    " scalable_speed"
  ),
  "docs/benchmarks.md": "speed growth peers",
  "docs/cluster.md": "cluster",
  "docs/photographs.md": "rebuilt extraction streaming",
  "README.md": "results zoo",
  "SECURITY.md": "fuzzing faults",
}


Studies = Dict[str, reader.Study]


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


def paper(page: str, study: reader.Study, studies: Studies) -> str:
  """A page of `PAPERS` with the numbers of a study.

  Args:
    page: its path.
    study: what it is of.
    studies: of all networks; the default one's page shows them as well.
  """
  text = (ROOT / page).read_text(encoding="utf-8")
  for name, render in tables.PARTS.items():
    text = replace(text, name, render(study))
  if page == next(iter(PAPERS)):
    main = {k: s for k, s in studies.items() if k in PAPERS.values()}
    text = replace(text, "networks", tables.side_by_side(main))
    text = replace(text, "others", _others(studies))
  if study.smoke:
    text = re.sub("^# .*", f"# {SMOKE_TITLE}", text, count=1)
  return text


def _others(studies: Studies) -> str:
  """The networks that have no page of their own."""
  sections = []
  others = {k: v for k, v in studies.items() if k not in PAPERS.values()}
  for name, study in others.items():
    sections.append(f"### {manifests.networks()[name].title}")
    sections.append(tables.render_status(study, ["short"]))
    sections.append(f"![Accuracy over rate](figures/{name}/rate_accuracy.png)")
    sections.append(tables.render_points(study))
  return "\n\n".join(sections) or tables.NOT_MEASURED


def updated(page: str, folder: pathlib.Path = RESULTS) -> str:
  """The text of a page, a key of `PAGES`, as it should be.

  Raises:
    Error: if a marker is missing, or a result does not belong.
  """
  if page in PAPERS:
    studies = measurements.studies(folder)
    return paper(page, studies[PAPERS[page]], studies)
  text = (ROOT / page).read_text(encoding="utf-8")
  for name in PAGES[page].split():
    found = (getattr(m, f"render_{name}", None) for m in _RENDERING)
    content = next(filter(None, found))(folder)
    text = replace(text, name, content.strip())
  return text


Picture = Tuple[str, str, Callable[[], Any]]


def pictures(folder: pathlib.Path = RESULTS) -> Iterator[Picture]:
  """Each figure of the pages: its name, the digest of its data, its drawing."""
  yield from walkthrough.pictures()
  yield from low_resolution.pictures(folder)
  for network, study in measurements.studies(folder).items():
    for name, draw in figures.FIGURES.items():
      if name == "dense" and study.runs["rank1"].isna().all():
        continue  # Recorded before all pairs were compared.
      if network in PAPERS.values() or name == "rate_accuracy":
        drawn = functools.partial(draw, study)
        yield f"{network}/{name}", study.digest, drawn
  for network, path in measurements.of_networks(folder, "sensitivity"):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    dim = manifests.networks()[network].dim
    draw = functools.partial(figures.draw_length, results.read(str(path)), dim)
    yield f"{network}/length", digest, draw
  for judge, points in scalable.judges(scalable.read(folder)).items():
    data = json.dumps(points)
    digest = hashlib.sha256(data.encode()).hexdigest()
    name = f"scalable/{pathlib.Path(judge).stem}"
    yield name, digest, functools.partial(scalable.draw, points)
  yield from grains.pictures(folder)
  yield from expressions.pictures(folder)


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
