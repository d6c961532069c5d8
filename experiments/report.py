"""Makes the page of the paper's results, its HTML and its figures.

  python -m experiments.report --results=experiments/results/paper \
      --output=docs/paper.html

reads JSONs alone (of tsenh.evaluate, and features.json of
experiments.describe_features) and writes the page three times over: paper.html,
one file that needs nothing else; paper.md; and figures/paper/ beside them. What
is missing is left blank, so it can be run while the results come in. --smoke is
for the results of a smoke run, which go into a folder of their own.
"""

import pathlib

from absl import flags

from experiments import paper_figures, paper_page, study
from tsenh import cli, files
from tsenh.errors import Error

_RESULTS = flags.DEFINE_string("results", None, "Folder of result JSONs.")
_OUTPUT = flags.DEFINE_string(
  "output", None, "The .html to write; .md and figures/paper/ go beside it."
)
_SMOKE = flags.DEFINE_bool(
  "smoke", False, "These are the results of a smoke run, on faces-validation."
)
flags.mark_flags_as_required(["results", "output"])


def main():
  output = pathlib.Path(_OUTPUT.value).resolve()
  if output.suffix != ".html":
    raise Error(f"{_OUTPUT.value}: expected a name that ends in .html.")
  if _SMOKE.value and output.parent == paper_page.TEMPLATE.parent:
    raise Error(f"{_OUTPUT.value}: a smoke run's page does not go to docs.")
  files.check_output(str(output))
  results = study.read(_RESULTS.value, _SMOKE.value)
  drawn = paper_figures.save(results, output.parent / paper_page.FIGURES)
  template = paper_page.TEMPLATE.read_text(encoding="utf-8")
  page = paper_page.updated(template, results, drawn)
  html = paper_page.to_html(page, results, output.parent)
  for path, text in ((output.with_suffix(".md"), page), (output, html)):
    with files.replacing(str(path)) as file:
      file.write(text.encode())
    print(f"wrote {path}")


if __name__ == "__main__":
  cli.run(main)
