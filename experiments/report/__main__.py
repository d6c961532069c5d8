r"""Makes the pages and figures from recorded results, and nothing else.

  python -m experiments.report

brings what stands between the markers of the pages (`PAPERS` and `PAGES` of
`page`) up to date with experiments/results, draws the figures of docs/figures,
and makes ports/javascript/page/index.html, where the codec is tried in a
browser.

  python -m experiments.report --html=build/report

builds the page of each main network as one HTML file that needs nothing else,
and the figures as PDF.

  python -m experiments.report --results=demo --output=demo

prints the evaluations of any folder beside the paper's and draws
rate_accuracy.png. Of a smoke run, which is not on a test set, it also makes the
whole page, paper.md, which says so.

  python -m experiments.report --network=mine.json --results=runs/mine/results \
    --output=runs/mine/page

makes the whole page of feature sets of your own, as paper.md and paper.html.
"""

import pathlib

from absl import flags

from tsenh.base import command_line, files
from tsenh.base.errors import Error

_HTML = flags.DEFINE_string(
  "html", None, "Folder for the page as HTML and its figures as PDF."
)
_RESULTS = flags.DEFINE_string(
  "results", None, "Folder of result JSONs, instead of the checkout's."
)
_OUTPUT = flags.DEFINE_string("output", None, "With --results: where to write.")
_NETWORK = flags.DEFINE_string(
  "network",
  None,
  "With --results: the manifest (.json) of your own feature sets.",
)


def _write(path: pathlib.Path, text: str) -> None:
  path.parent.mkdir(parents=True, exist_ok=True)
  with files.replacing(str(path)) as file:
    file.write(text.encode())
  print(f"wrote {path}")


def _of_folder(folder: str, output: pathlib.Path) -> None:
  """A table and figures of any folder of evaluations."""
  from experiments.report import figures, page, reader, tables

  study = reader.read(folder)
  if page.ROOT / "docs" in (output, *output.parents):
    raise Error(f"{output}: the pages of the checkout are made without flags.")
  print(tables.small(study))
  drawn = {"rate_accuracy": output / "rate_accuracy.png"}
  if study.smoke:
    network = study.test_set.network
    paper = next(path for path, n in page.PAPERS.items() if n == network)
    _write(output / "paper.md", page.paper(paper, study, {}))
    place = output / "figures" / network
    drawn = {name: place / f"{name}.png" for name in figures.FIGURES}
  for name, path in drawn.items():
    if figures.save(lambda: figures.FIGURES[name](study), study.digest, path):  # noqa: B023
      print(f"wrote {path}")


def _own(folder: str, output: pathlib.Path) -> None:
  """The whole page of somebody's own feature sets."""
  from experiments import own_sets
  from experiments.report import figures, own_page, page, reader

  if not _NETWORK.value.endswith(".json"):
    raise Error("--network takes a manifest of your own, .json.")
  network = own_sets.network(_NETWORK.value, output)
  study = reader.read(folder)
  if study.test_set is None or study.test_set.network != network.name:
    raise Error(
      f"{folder}: of other features than those of {network.tests[0]} today;"
      " experiments.reproduce makes them again with --refresh."
    )
  for name in figures.FIGURES:
    path = output / "figures" / network.name / f"{name}.png"
    figures.save(lambda: figures.FIGURES[name](study), study.digest, path)  # noqa: B023
  text = own_page.render(study, network, pathlib.Path(folder), output)
  _write(output / "paper.md", text)
  _write(output / "paper.html", page.to_html(text, output))


def main():
  if bool(_RESULTS.value) != bool(_OUTPUT.value):
    raise Error("--results and --output go together.")
  if _NETWORK.value:
    if not _RESULTS.value:
      raise Error("--network goes with --results and --output.")
    _own(_RESULTS.value, pathlib.Path(_OUTPUT.value).resolve())
    return
  if _RESULTS.value:
    _of_folder(_RESULTS.value, pathlib.Path(_OUTPUT.value).resolve())
    return
  from experiments.report import demo_page, figures, measurements, page

  if _HTML.value:
    folder = pathlib.Path(_HTML.value)
    for name in page.PAPERS:
      path = page.ROOT / name
      text = page.to_html(path.read_text(encoding="utf-8"), path.parent)
      _write(folder / f"{path.stem}.html", text)
    for name, data, draw in page.pictures():
      figures.save(draw, data, folder / f"{name}.pdf")
    return
  for name, data, draw in page.pictures():
    path = page.FIGURES / f"{name}.png"
    if not figures.is_current(path, data) and figures.save(draw, data, path):
      print(f"wrote {path}")
  for name in page.PAGES:
    _write(page.ROOT / name, page.updated(name))
  studies = measurements.studies(page.RESULTS)
  _write(demo_page.PATH, demo_page.render(next(iter(studies.values()))))


if __name__ == "__main__":
  command_line.run(main)
