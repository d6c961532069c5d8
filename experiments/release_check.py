"""Lists every result, page and figure that is not current; exit code 1 if any.

  python -m experiments.release_check

A page is current while `make table` would write the same, a figure while it was
drawn from today's results by today's code.
"""

from typing import Iterator

from tsenh.base import command_line, results
from tsenh.base.errors import Error


def problems() -> Iterator[str]:
  """One line for each thing that is not current."""
  from experiments import staleness
  from experiments.report import demo_page, figures, measurements, page

  # Replays are judged one by one where they speak for a result.
  for path in sorted({*page.RESULTS.rglob("*.json")} - {staleness.REPLAYS}):
    why = staleness.reasons(results.read(str(path)))
    if why:
      yield f"{path.relative_to(page.ROOT)}: {', '.join(why)}"
  for name in page.PAGES:
    try:
      if page.updated(name) != (page.ROOT / name).read_text(encoding="utf-8"):
        yield f"{name}: run `make table`"
    except Error as error:
      yield f"{name}: {error}"
  studies = measurements.studies(page.RESULTS)
  demo = demo_page.render(next(iter(studies.values())))
  if demo != demo_page.PATH.read_text(encoding="utf-8"):
    yield f"{demo_page.PATH.relative_to(page.ROOT)}: run `make table`"
  for name, data, _ in page.pictures():
    path = page.FIGURES / f"{name}.png"
    if not figures.is_current(path, data):
      yield f"{path.relative_to(page.ROOT)}: run `make table`"


def main():
  found = list(problems())
  print("\n".join(found) or "Every result, page and figure is current.")
  if found:
    command_line.fail(f"{len(found)} files are not current.")


if __name__ == "__main__":
  command_line.run(main)
