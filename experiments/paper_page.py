"""docs/paper.md with its numbers, and the same as one HTML file.

The HTML holds its style and its figures, needs no script and no network, and
names for every number the result file, command, commit and date.
"""

import base64
import html
import pathlib
import re
import shlex
from typing import List

import markdown

from experiments import paper_figures, paper_tables, study
from experiments.pages import replace
from experiments.study import Study

TEMPLATE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "paper.md"
FIGURES = pathlib.PurePosixPath("figures/paper")  # Beside the page.
SMOKE_TITLE = "Smoke run: these numbers mean nothing"

_STYLE = """
body { margin: 0 auto; max-width: 46rem; padding: 1rem; color: #1a1a1a;
  background: #fff; font: 16px/1.55 system-ui, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; }
h2 { font-size: 1.25rem; margin-top: 2.2rem; border-bottom: 1px solid #ccc; }
h3 { font-size: 1.05rem; margin-top: 1.6rem; }
a { color: #0b57a4; }
img { max-width: 100%; height: auto; display: block; margin: 1rem auto; }
code { font-size: 0.85em; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; margin: 1rem 0; border: 1px solid #ccc;
  box-sizing: border-box; width: max-content; min-width: 100%;
  max-width: min(calc(100vw - 2rem), 76rem); position: relative; left: 50%;
  transform: translateX(-50%); }
table { border-collapse: collapse; font-size: 0.85rem; line-height: 1.3;
  font-variant-numeric: tabular-nums; min-width: 100%; }
th, td { padding: 0.3rem 0.55rem; border-bottom: 1px solid #e3e3e3;
  white-space: nowrap; }
th { background: #f4f4f4; white-space: normal; vertical-align: bottom;
  text-align: left; min-width: 3.6rem; }
td:first-child, th:first-child { position: sticky; left: 0; min-width: 0;
  border-right: 1px solid #ccc; }
td:first-child { background: #fff; }
tr:last-child td { border-bottom: 0; }
details { margin: 0.4rem 0 1rem; font-size: 0.85rem; }
summary { cursor: pointer; color: #444; }
nav { background: #f4f4f4; padding: 0.2rem 0.6rem; font-size: 0.95rem; }
nav ul { padding-left: 1.3rem; }
.smoke { background: #b00020; color: #fff; padding: 0.6rem; }
@media (max-width: 30rem) { table { font-size: 0.8rem; }
  th, td { padding: 0.3rem 0.35rem; } th { min-width: 3rem; } }
@media print { details { display: none; } .scroll { overflow: visible; } }
""".strip()


def _figure(name: str, drawn: List[str]) -> str:
  if name not in drawn:
    return "*Not drawn: nothing of it was measured.*"
  path = FIGURES / name
  words = name.replace("_", " ")
  return f"![{words}]({path}.png)\n\n*[PDF]({path}.pdf)*"


def updated(template: str, results: Study, drawn: List[str]) -> str:
  """The page's text with the numbers of a study.

  Args:
    template: the page with its markers.
    results: the study.
    drawn: names of the figures that lie beside the page.

  Returns:
    Markdown; a smoke run's says so in its title.
  """
  for name, render in paper_tables.PARTS.items():
    template = replace(template, name, render(results))
  for name in paper_figures.FIGURES:
    template = replace(template, f"figure_{name}", _figure(name, drawn))
  if results.smoke:
    template = re.sub("^# .*", f"# {SMOKE_TITLE}", template, count=1)
  return template


def _inlined(match: re.Match, folder: pathlib.Path) -> str:
  data = base64.b64encode((folder / match[1]).read_bytes()).decode()
  return f'src="data:image/png;base64,{data}"'


def _provenance(results: Study) -> str:
  """What made each result file, folded by method."""
  groups = {study.LABELS[p.family]: [] for p in results.points}
  for point in results.points:
    groups[study.LABELS[point.family]] += point.runs.values()
  if results.features:
    described = {**results.features, "file": "features.json"}
    groups["features"] = [described]
  parts = []
  for name, runs in groups.items():
    items = []
    for run in runs:
      commit = run["git_commit"] or "no checkout"
      changed = ", with changes" if run["git_dirty"] else ""
      items.append(
        f'<li id="{html.escape(run["file"])}">'
        f"<b>{html.escape(run['file'])}</b><br>"
        f"<code>{html.escape(shlex.join(run['command']))}</code><br>"
        f"commit <code>{commit}</code>{changed}, {run['date']}</li>"
      )
    parts.append(
      f"<details><summary>{html.escape(name)}: {len(runs)} result"
      f" file{'s' * (len(runs) != 1)}</summary><ul>{''.join(items)}</ul>"
      "</details>"
    )
  return "\n".join(parts)


def to_html(page: str, results: Study, folder: pathlib.Path) -> str:
  """One HTML file with everything in it.

  Args:
    page: Markdown, as `updated` made it.
    results: the study, for where each number comes from.
    folder: where the page lies, with its figures beside it.

  Returns:
    The file's text.
  """
  converter = markdown.Markdown(
    extensions=["tables", "toc"],
    extension_configs={"toc": {"toc_depth": "2-3"}},
  )
  body = converter.convert(re.sub(r"<!--.*?-->\n?", "", page))
  body = re.sub(r'<p><em><a href="[^"]*\.pdf">PDF</a></em></p>\n?', "", body)
  body = re.sub(
    r'src="(figures/[^"]+\.png)"', lambda match: _inlined(match, folder), body
  )
  # Where this file is read, the others of the checkout may not be.
  body = re.sub(r'<a href="(?!https?:|#)[^"]*">(.*?)</a>', r"\1", body)
  # "1e-4" is one word.
  body = re.sub(
    r"<li>.*?</li>", lambda m: m[0].replace("1e-", "1e\u2011"), body
  )
  body = body.replace("<table>", '<div class="scroll"><table>')
  body = body.replace("</table>", "</table></div>")
  body = re.sub(
    r"<code>([^<>]+\.json)</code>",
    r'<a href="#\1"><code>\1</code></a>',
    body,
  )
  body = body.replace("</h1>", f"</h1>\n{converter.toc}", 1)
  body = body.replace('<div class="toc">', "<nav>").replace(
    "</div>\n\n<p>", "</nav>\n<p>", 1
  )
  if results.smoke:
    body = body.replace("<h1", '<h1 class="smoke"', 1)
  title = re.search(r"^# (.*)", page)[1]
  return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>
{_STYLE}
</style>
</head>
<body>
{body}
{_provenance(results)}
</body>
</html>
"""
