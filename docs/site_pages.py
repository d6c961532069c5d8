"""Brings pages that lie elsewhere in the checkout into the site (mkdocs hook).

They are read where they lie, on the web and in an editor, so their links lead
to files of the checkout; in the site they lead to pages of the site, and a link
to a file that is no page is left as its text.
"""

import pathlib
import posixpath
import re

from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).resolve().parent.parent
# By their place in the checkout: their place in the site.
PAGES = {
  "README.md": "index.md",
  "FORMAT.md": "FORMAT.md",
  "DEVIATIONS.md": "DEVIATIONS.md",
  "CONTRIBUTING.md": "CONTRIBUTING.md",
  "CHANGELOG.md": "CHANGELOG.md",
  "SECURITY.md": "SECURITY.md",
  "checkpoints/README.md": "checkpoints.md",
  "tsenh/data/DATA_CARD.md": "DATA_CARD.md",
}
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)#\s]+)(#[^)]*)?\)")


def on_files(files, config):
  """Adds the pages, as mkdocs knows pages that are not in its folder."""
  for source, place in PAGES.items():
    text = (ROOT / source).read_text(encoding="utf-8")
    files.append(File.generated(config, place, content=text))
  return files


def on_page_markdown(markdown, page, config, files):
  """Turns links to files of the checkout into links of the site."""
  del config
  places = {place: source for source, place in PAGES.items()}
  here = page.file.src_uri
  source = places.get(here, f"docs/{here}")

  def turned(match):
    image, text, target, anchor = match.groups()
    if re.match(r"\w+:", target):
      return match[0]
    there = posixpath.normpath(
      posixpath.join(posixpath.dirname(source), target)
    )
    place = PAGES.get(there, there.removeprefix("docs/"))
    if files.get_file_from_path(place) is None:
      # No page of the site; what is not in the checkout is mkdocs's to refuse.
      return text if (ROOT / there).exists() else match[0]
    relative = posixpath.relpath(place, posixpath.dirname(here) or ".")
    return f"{image}[{text}]({relative}{anchor or ''})"

  return _LINK.sub(turned, markdown)
