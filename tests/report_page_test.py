import base64
import json
import re
import shutil

import PIL.Image
import pytest
from conftest import ROOT
from report_data import cells, evaluation, write, write_study

from experiments import release_check, staleness
from experiments.report import (
  figures,
  measurements,
  page,
  reader,
  tables,
)
from tsenh.base import provenance
from tsenh.base.errors import Error
from tsenh.data import manifests
from tsenh.training import run_folders


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
  """A study with invented evaluations of everything."""
  path = tmp_path_factory.mktemp("whole")
  write_study(path)
  return reader.read(str(path), "test")


# What is not current, says so.


def of_today(**changes):
  """A result of one of today's files and of today's LFW."""
  name = "tsenh/base/errors.py"
  code = provenance.digests([name])
  data = {"lfw": manifests.sets()["lfw"].digest}
  return {"code": code, "data": data, **changes}


def test_a_result_is_current_while_its_code_and_data_are():
  assert staleness.reasons(of_today()) == []
  old = {"tsenh/base/errors.py": "0" * 16, "tsenh/gone.py": "0" * 16}
  assert staleness.reasons(of_today(code=old)) == list(old)
  assert staleness.reasons(of_today(data={"lfw": "0"})) == ["feature set lfw"]
  assert staleness.reasons(of_today(data={"mine.npz": "0"})) == []
  assert staleness.reasons({"format": 1}) == [staleness.UNNAMED]


def test_a_result_is_current_while_what_trained_its_codec_is():
  assert (
    staleness.reasons(of_today(training={"code": of_today()["code"]})) == []
  )
  for part in ("training", "enhancer_training"):
    stale = of_today(**{part: {"code": {"tsenh/training/gone.py": "0" * 16}}})
    assert staleness.reasons(stale) == ["tsenh/training/gone.py"]
  assert staleness.reasons(of_today(training=None)) == []
  # A file of today in one part does not hide an old one in another.
  old = {"tsenh/base/errors.py": "0" * 16}
  for parts in ((old, None), (None, old)):
    codes = [part or of_today()["code"] for part in parts]
    result = of_today(
      training={"code": codes[0]}, enhancer_training={"code": codes[1]}
    )
    assert staleness.reasons(result) == list(old)


def test_a_result_is_current_while_its_shipped_codec_is():
  config = run_folders.finished("pro-1e-6")[1]
  data = {"codec pro-1e-6": config["codec_digest"]}
  assert staleness.reasons(of_today(data=data)) == []
  data = {"codec pro-1e-6": "0"}
  assert staleness.reasons(of_today(data=data)) == ["codec pro-1e-6"]


def test_a_sentence_counts_what_is_not_current():
  current = [("a.json", []), ("b.json", [])]
  assert staleness.sentence(current) == ""
  stale = [(f"{name}.json", ["x.py"]) for name in "cdef"]
  assert staleness.sentence(iter(current + stale)) == (
    "**Not current:** 4 of 6 results were made by code or data that has changed"
    " since; `make release-check` lists them."
  )


def test_a_page_says_that_its_results_are_not_current(tmp_path):
  write(tmp_path, {**evaluation("none", 4096, 99.35), **of_today()})
  write(tmp_path, {**evaluation("pq-128-s0", 128, 98.5), **of_today()})
  study = reader.read(str(tmp_path), "test")
  assert "Not current" not in page.paper("docs/paper.md", study, {})
  stale = of_today(code={"tsenh/gone.py": "0" * 16})
  write(tmp_path, {**evaluation("pq-128-s0", 128, 98.5), **stale})
  text = page.paper("docs/paper.md", reader.read(str(tmp_path), "test"), {})
  said = "1 of 2 results were made by code or data that has changed since"
  assert said in text


def copied_results(tmp_path):
  folder = tmp_path / "results"
  shutil.copytree(page.RESULTS, folder)
  return folder


@pytest.mark.slow
def test_every_part_of_every_page_warns(tmp_path):
  """Of the marked parts that show results, each says what is not current."""
  folder = copied_results(tmp_path)
  for path in folder.rglob("*.json"):
    result = json.loads(path.read_text())
    lowres = path.parent.name == "lowres"
    if lowres or "training" in result or "method" not in result:
      result["code"] = {"tsenh/gone.py": "0" * 16}
    path.write_text(json.dumps(result))
  for name in page.PAGES:
    text = page.updated(name, folder)
    paper = name in page.PAPERS
    for part in ["status"] if paper else page.PAGES[name].split():
      shown = re.search(rf"<!-- {part}: .*?-->(.*?)<!-- end", text, re.S)[1]
      # The tables of the codecs themselves have no results.
      silent = part == "elements" or tables.NOT_MEASURED in shown
      assert ("**Not current:**" in shown) != silent, (name, part)


@pytest.mark.slow
def test_release_check_lists_stale_results_and_old_pages(tmp_path, monkeypatch):
  folder = copied_results(tmp_path)
  (folder / "studies" / "rank64" / "float16.json").write_text(
    json.dumps({"format": 1, **of_today()})
  )
  stale = of_today(code={"tsenh/gone.py": "0" * 16})
  path = folder / "paper" / "rank64" / "none.json"
  stale["date"] = "2030-01-01T00:00:00+00:00"
  path.write_text(json.dumps({**json.loads(path.read_text()), **stale}))
  monkeypatch.setattr(page, "ROOT", tmp_path)
  monkeypatch.setattr(page, "RESULTS", folder)
  monkeypatch.setattr(page, "FIGURES", tmp_path / "docs" / "figures")
  monkeypatch.setattr(page.pictures, "__defaults__", (folder,))
  monkeypatch.setattr(page.updated, "__defaults__", (folder,))
  for name in page.PAGES:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / name, tmp_path / name)
  found = dict(line.split(": ", 1) for line in release_check.problems())
  assert found["results/paper/rank64/none.json"] == "tsenh/gone.py"
  assert "results/studies/rank64/float16.json" not in found
  # No figure was drawn from the changed result.
  assert found["docs/figures/rank64/auc.png"] == "run `make table`"
  name = "docs/paper-rank64.md"
  assert found[name] == "run `make table`"
  (tmp_path / name).write_text(page.updated(name))
  found = dict(line.split(": ", 1) for line in release_check.problems())
  assert name not in found


@pytest.mark.slow
@pytest.mark.parametrize("current", [True, False])
def test_release_check_fails_while_something_is_not_current(
  current, monkeypatch, capsys
):
  found = [] if current else ["results/x.json: tsenh/gone.py"]
  monkeypatch.setattr(release_check, "problems", lambda: iter(found))
  if current:
    release_check.main()
    assert "is current" in capsys.readouterr().out
  else:
    with pytest.raises(SystemExit) as stop:
      release_check.main()
    assert stop.value.code == 1
    output = capsys.readouterr()
    assert output.out.strip() == found[0]
    assert "1 files are not current" in output.err


# Figures.


def test_figures_are_current_while_data_and_drawing_code_are(
  tmp_path, monkeypatch
):
  write(tmp_path, evaluation("none", 4096, 99.35))
  write(tmp_path, evaluation("pro-1e-6-e40-s0", 325, 99.2))
  study = reader.read(str(tmp_path))
  path = tmp_path / "auc.png"
  assert not figures.is_current(path, study.digest)
  assert figures.save(lambda: figures.FIGURES["auc"](study), study.digest, path)
  assert figures.is_current(path, study.digest)
  # One byte of the data.
  other = {**evaluation("none", 4096, 99.35), "date": "2026-11-23"}
  write(tmp_path, other)
  assert not figures.is_current(path, reader.read(str(tmp_path)).digest)
  assert figures.is_current(path, study.digest)
  # One file of the drawing code.
  today = provenance.code("experiments.report.walkthrough")
  for name in figures._DRAWING:
    changed = {**today, f"experiments/{name}": "0" * 16}
    monkeypatch.setattr(provenance, "code", lambda *_, changed=changed: changed)
    assert not figures.is_current(path, study.digest)
  changed = {**today, "tsenh/base/errors.py": "0" * 16}
  monkeypatch.setattr(provenance, "code", lambda *_: changed)
  assert figures.is_current(path, study.digest)
  # The style.
  style = tmp_path / "figures.mplstyle"
  style.write_text(figures._STYLE.read_text().replace("dpi: 200", "dpi: 201"))
  monkeypatch.setattr(figures, "_STYLE", style)
  assert not figures.is_current(path, study.digest)


@pytest.mark.slow
def test_the_same_results_give_the_same_bytes(whole, tmp_path):
  for name, draw in figures.FIGURES.items():
    paths = [tmp_path / f"{name}{i}.png" for i in range(2)]
    for path in paths:
      assert figures.save(lambda draw=draw: draw(whole), whole.digest, path)
    assert paths[0].read_bytes() == paths[1].read_bytes(), name
    with PIL.Image.open(paths[0]) as image:
      assert min(image.size) > 400


def test_a_figure_that_has_nothing_to_show_any_more_is_removed(tmp_path):
  path = tmp_path / "eer.png"
  path.write_bytes(b"old")
  assert not figures.save(lambda: None, "0", path)
  assert not path.exists()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["none", "pq-128-s0", "dbh-128-s0", "mine"])
def test_figures_of_one_evaluation(tmp_path, method):
  write(tmp_path, evaluation(method, 128, 98))
  study = reader.read(str(tmp_path))
  for name, draw in figures.FIGURES.items():
    figures.save(lambda draw=draw: draw(study), "0", tmp_path / f"{name}.png")
  drawn = (tmp_path / "rate_accuracy.png").exists()
  assert drawn == (method != "none")


@pytest.mark.slow
def test_the_published_figures_are_current():
  expected = set()
  for name, data, _ in page.pictures():
    path = page.FIGURES / f"{name}.png"
    assert figures.is_current(path, data), f"{path}: run `make table`"
    expected.add(path)
  # Made of a codec and photographs, not of results (scalable_pages.py).
  expected.add(page.FIGURES / "scalable" / "faces.png")
  assert set(page.FIGURES.glob("*/*.png")) == expected


# Pages.


@pytest.mark.parametrize("name", list(page.PAGES))
def test_the_published_pages_are_current(name):
  assert page.updated(name) == (ROOT / name).read_text(), "run `make table`"


def test_every_marker_of_a_page_is_filled_and_every_part_has_one():
  for name, parts in page.PAGES.items():
    text = (ROOT / name).read_text()
    markers = re.findall(r"<!-- (\w+): made by", text)
    expected = parts.split()
    if name in page.PAPERS:
      expected = [*tables.PARTS]
    if name == "docs/paper.md":
      expected += ["networks", "others"]
    assert sorted(markers) == sorted(expected), name


def test_a_page_can_be_filled_again():
  text = page.replace(
    "<!-- a: made by `make table`, do not edit -->\nold\n<!-- end of a -->\nb",
    "a",
    "new",
  )
  assert text.splitlines()[2] == "new"
  assert page.replace(text, "a", "new") == text
  with pytest.raises(Error, match="no markers"):
    page.replace("nothing here", "a", "| |")


def test_other_networks_stand_in_sections_of_their_own(whole):
  studies = {"fullrank": whole, "rank64": whole, "dlib": whole}
  text = page.paper("docs/paper.md", whole, studies)
  section = text.split("## A network beside")[1]
  assert manifests.networks()["dlib"].title in section
  assert "figures/dlib/rate_accuracy.png" in section
  assert "| PRO, 400 epochs | 1e-7 |" in section
  rows = cells(text.split("side by side\n")[1].split("\n## ")[0])
  assert len(rows) == 8 * 4
  pro = next(row for row in rows if row["method"] == "PRO-E")
  assert pro["fullrank, %"] == pro["rank64, %"] != ""
  assert pro["paper: accuracy, %"] == "98.63"
  assert pro["fullrank, TAR at FAR 1e-4, %"] != ""


def test_the_html_needs_nothing_else(tmp_path):
  text = (ROOT / "docs" / "paper.md").read_text()
  html = page.to_html(text, ROOT / "docs")
  assert not re.search(r"<script|<link|<iframe|@import|url\(", html)
  sources = re.findall(r'src="([^"]*)"', html)
  assert all(s.startswith("data:image/png;base64,") for s in sources)
  inlined = {base64.b64decode(s.split(",")[1]) for s in sources}
  names = re.findall(r"\((figures/[^)]+)\)", text)
  assert len(names) == len(set(names)) >= 7
  assert inlined == {(ROOT / "docs" / name).read_bytes() for name in names}
  ids = set(re.findall(r'id="([^"]*)"', html))
  for link in re.findall(r'href="([^"]*)"', html):
    assert link.startswith("https://arxiv.org/") or link[1:] in ids
  assert html.count("<table>") == text.count("\n| ---") > 9
  assert 'name="viewport" content="width=device-width' in html


@pytest.mark.slow
def test_the_report_is_built_into_a_folder(run, tmp_path):
  run("experiments.report", f"--html={tmp_path / 'new'}", cwd=tmp_path)
  made = {
    path.relative_to(tmp_path / "new").as_posix()
    for path in (tmp_path / "new").rglob("*.*")
  }
  names = {name for name, _, _ in page.pictures()}
  pages = ("paper.html", "paper-rank64.html")
  assert made == {*pages, *(f"{name}.pdf" for name in names)}
  for name in names:
    path = tmp_path / "new" / f"{name}.pdf"
    assert path.read_bytes()[:4] == b"%PDF"


@pytest.mark.slow
def test_any_folder_has_a_small_table_and_a_picture(run, tmp_path):
  write(tmp_path, evaluation("none", 4096, 99.35))
  write(tmp_path, evaluation("pro-1e-6", 325, 99.2))
  write(tmp_path, evaluation("mine", 96, 98.4))
  process = run(
    "experiments.report",
    f"--results={tmp_path}",
    f"--output={tmp_path}",
    cwd=ROOT,
  )
  rows = process.stdout.decode().splitlines()
  assert rows[2].startswith("| mine | 96.0 | 0.75 |")
  assert rows[3].endswith("| 2.03 | 99.27 |")
  image = (tmp_path / "rate_accuracy.png").read_bytes()
  assert image[:4] == b"\x89PNG"
  assert not (tmp_path / "paper.md").exists()


@pytest.mark.slow
def test_a_smoke_runs_page_says_so_and_does_not_go_to_docs(run, tmp_path):
  write(tmp_path, evaluation("none", 4096, 95.9, "faces-validation"))
  for lmbda, bits in (("1e-6", 90), ("1e-7", 700)):
    name = f"pro-{lmbda}-e5-s0"
    write(tmp_path, evaluation(name, bits, 93, "faces-validation"))
  flags = [f"--results={tmp_path}", f"--output={ROOT / 'docs'}"]
  process = run("experiments.report", *flags, cwd=ROOT, check=False)
  assert process.returncode == 1
  assert b"pages of the checkout are made without flags" in process.stderr
  flags[1] = f"--output={tmp_path / 'out'}"
  run("experiments.report", *flags, cwd=ROOT)
  lines = (tmp_path / "out" / "paper.md").read_text().splitlines()
  assert lines[0] == f"# {page.SMOKE_TITLE}"
  assert any("PRO, 5 epochs" in line for line in lines)
  assert (tmp_path / "out" / "figures" / "fullrank" / "auc.png").exists()


@pytest.mark.slow
def test_help_and_bad_flags(run):
  process = run("experiments.report", "--help", cwd=ROOT, check=False)
  assert b"--html=build/report" in process.stdout
  process = run("experiments.report", "--output=x", cwd=ROOT, check=False)
  assert b"--results and --output go together" in process.stderr


# The other pages' parts.


def test_the_shipped_codecs_have_the_evaluations_of_their_digests():
  rows = measurements.render_zoo(page.RESULTS).splitlines()
  folders = sorted(
    p.parent.name for p in ROOT.glob("checkpoints/*/config.json")
  )
  assert [row.split(" | ")[0][2:] for row in rows[-len(folders) :]] == folders
  study = measurements.studies(page.RESULTS)["rank64"]
  config = json.loads(
    (ROOT / "checkpoints/rank64-pro-1e-6-e400/config.json").read_text()
  )
  found = study.runs[study.runs["codec_digest"] == config["codec_digest"]]
  bits, accuracy = found[["bits", "accuracy"]].iloc[0]
  row = next(row for row in rows if row.startswith("| rank64-pro-1e-6-e400 "))
  assert f"| rank64 | 400 | 826,000 | {bits:.1f} | {bits / 8:.1f} |" in row
  assert row.endswith(f"| {accuracy:.2f} |")


def test_the_study_of_silent_choices_is_whole():
  """Every choice at every lambda, at least at 40 epochs' updates."""
  path = page.RESULTS / "studies" / "rank64" / "sensitivity.json"
  study = json.loads(path.read_text())
  seen = {(run["variant"], run["lambda"]) for run in study["runs"]}
  variants = {variant for variant, _ in seen}
  assert len(seen) == 4 * len(variants) >= 40
  steps = {run["validations"][0]["step"] for run in study["runs"]}
  assert len(steps) == 1
