"""What stands between the markers of docs/two-grains.md.

Codecs of the fine grain, of the coarse one and of both: which coarse term, on
held-out people, and what it is worth, on the test sets. All tests of the page
are one family.
"""

import functools
import hashlib
import pathlib
import re
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pandas as pd
from matplotlib import pyplot as plt

from experiments import staleness
from experiments.report import measurements, rates, reader, tables
from tsenh.recognition import dense

_METRIC = "tar_at_far_1e-4"
_GRAINS = {
  "fine": "fine grain",
  "coarse": "coarse grain",
  "both": "both grains",
}
# What has no weight in its name.
_ALONE = {"fine": "none", "coarse": "contrastive alone"}
# What is tested: the column of runs, and what `tables.tested` calls it. The
# coarse term sees directions alone, so accuracy is that of unit vectors.
_TESTED = {
  "accuracy, normalized": ("n_hits", "accuracy"),
  **{name: ("dense", name) for name, far in tables.TESTED.items() if far},
}
_SIDES = ("seen", "unseen")
_TRIED = re.compile(
  r"pro\+(?P<term>[a-z]+)(?P<weight>\de\d+)?-(?P<rate>\de-\d)"
)


def render_coarse_terms(folder: pathlib.Path) -> str:
  """Which term, and how much: people of the training set, and others."""

  def render(found, _) -> str:
    rows = []
    for point in found["points"]:
      row = {"coarse term": "uncompressed", "lambda": ""}
      name = _TRIED.match(point["method"])
      if name:
        weight = (name["weight"] or "").replace("e", "e-")
        term = _ALONE.get(name["term"], f"{name['term']} {weight}")
        row = {"coarse term": term, "lambda": name["rate"]}
      row["bits"] = point.get("bits_unseen", float("nan"))
      shares = [100 * point[f"{_METRIC}_{side}"] for side in _SIDES]
      for side, share in zip(_SIDES, shares):
        row[f"TAR at FAR 1e-4, {side} people, %"] = share
      row["less among seen, points"] = f"{shares[1] - shares[0]:+.2f}"
      rows.append(row)
    # By falling lambda, and at one lambda by bits.
    rows.sort(key=lambda row: (-float(row["lambda"] or 1), row["bits"]))
    return tables.markdown(rows)

  return measurements.each(folder, "seen_people", render)


def _grain(network: str, study: reader.Study) -> Iterator[Dict[str, Any]]:
  """Codecs with a coarse term against those without, at the same bits."""
  frame = reader.summary(study).query("family == 'pro'")
  fine = study.runs.query("family == 'pro' and variant == 'fine'")
  for _, row in frame[frame["variant"] != "fine"].iterrows():
    own = row["runs"].set_index("seed")
    for name, (key, of) in _TESTED.items():
      base = rates.interpolate_seeds(fine, key, row["bits"])
      more = {"part": "grain", "network": network}
      test = tables.tested(study, of, row, base, own[key], False, **more)
      yield test and {**test, "of": name}


def _enhanced(network: str, study: reader.Study) -> Iterator[Dict[str, Any]]:
  """PRO-E against PRO of the same grains, at the same bytes."""
  runs = study.runs
  for _, row in reader.summary(study).query("family == 'pro-e'").iterrows():
    keys = ["variant", "epochs", "setting"]
    same = (runs[keys] == row[keys]).all(axis=1) & (runs["family"] == "pro")
    plain = runs[same].set_index("seed")
    own = row["runs"].set_index("seed")
    for name, (key, of) in _TESTED.items():
      more = {"part": "enhanced", "network": network}
      test = tables.tested(study, of, row, plain[key], own[key], True, **more)
      yield test and {**test, "of": name}


def comparisons(folder: pathlib.Path) -> pd.DataFrame:
  """All tests of the page, corrected together: one family, a row for each."""
  rows: List[Dict] = []
  for network, study in measurements.studies(folder, "ablation").items():
    rows += [*_grain(network, study), *_enhanced(network, study)]
  return tables.one_family([row for row in rows if row])


def _warned(network: str, study: reader.Study) -> List[str]:
  runs = study.runs
  warning = staleness.sentence(zip(runs["file"], runs["stale"]))
  return [measurements.title(network), warning]


def _each(folder: pathlib.Path, render: Callable) -> str:
  parts = []
  for network, study in measurements.studies(folder, "ablation").items():
    parts += [*_warned(network, study), render(network, study)]
  return "\n\n".join(part for part in parts if part) or tables.NOT_MEASURED


def render_grains(folder: pathlib.Path) -> str:
  """The ablation: means over seeds, plain and enhanced."""

  def render(network: str, study: reader.Study) -> str:
    points = reader.summary(study)
    points["seeds"] = [str(len(runs)) for runs in points["runs"]]
    shown = " ".join(name for name in dense.METRICS if name in points)
    heads = {**tables.TAR_HEADS, "rank1": "rank 1, %"}
    heads.update({name: f"{name.upper()}, %" for name in reader.FURTHER})
    columns = "label setting bits accuracy normalized"
    further = " ".join(n for n in reader.FURTHER if points[n].notna().any())
    table = tables.markdown(
      points, f"{columns} {shown} {further} seeds", label="codec", **heads
    )
    return f"![TAR over rate](figures/{network}/grains.png)\n\n{table}"

  return _each(folder, render)


def render_grains_rates(folder: pathlib.Path) -> str:
  """Bits at equal TAR at FAR 1e-4, against the fine grain's (Bjontegaard)."""

  def render(_, study: reader.Study) -> str:
    rows = []
    frame = reader.summary(study).query("family == 'pro'")
    curves = {
      variant: list(zip(points["bits"], points[_METRIC]))
      for variant, points in frame.groupby("variant", sort=False)
    }
    for variant, curve in curves.items():
      if variant != "fine" and "fine" in curves:
        value = rates.bd_rate(curves["fine"], curve)
        value = value if isinstance(value, str) else f"{value:+.1f}"
        row = {"grains": _GRAINS[variant]}
        rows.append({**row, "bits against the fine grain's, %": value})
    return tables.markdown(rows)

  return _each(folder, render)


def render_grains_tests(folder: pathlib.Path) -> str:
  """With a coarse term against without, at the same bits."""
  return _tests(folder, "grain", "fine alone, %", "with a coarse term, %")


def render_grains_enhanced(folder: pathlib.Path) -> str:
  """PRO-E against PRO, of the same grains."""
  return _tests(folder, "enhanced", "PRO, %", "PRO-E, %")


def _tests(folder: pathlib.Path, part: str, first: str, second: str) -> str:
  tests = comparisons(folder)

  def render(network: str, _) -> str:
    own = tests[(tests["part"] == part) & (tests["network"] == network)]
    columns, count = "label setting bits of", len(tests)
    heads = {"label": "codec", "first": first, "second": second}
    return tables.tests_table(own, columns, count, **heads)

  return _each(folder, render) if len(tests) else tables.NOT_MEASURED


def _draw(study: reader.Study):
  """TAR over rate: each grain plain (full lines) and enhanced (dashed)."""
  figure, axes = plt.subplots(figsize=(5, 4.4))
  frame = reader.summary(study)
  for value in frame.query("family == 'none'")[_METRIC]:
    axes.axhline(value, color="k", lw=0.8, label="uncompressed")
  coded = frame.query("family != 'none'")
  colors = {variant: f"C{i}" for i, variant in enumerate(_GRAINS)}
  for (family, variant), curve in coded.groupby(["family", "variant"]):
    axes.errorbar(
      curve["bits"],
      curve[_METRIC],
      curve[f"{_METRIC}_sd"].fillna(0),
      color=colors[variant],
      marker="os"[family == "pro-e"],
      ls={"pro": "-", "pro-e": "--"}[family],
      label=f"{reader.label(family)}, {_GRAINS[variant]}",
    )
  axes.set_xscale("log", base=2)
  axes.xaxis.set_major_formatter("{x:g}")
  axes.set(xlabel="bits per face", ylabel="TAR at FAR 1e-4, all pairs, %")
  axes.legend()
  return figure


def pictures(
  folder: pathlib.Path,
) -> Iterator[Tuple[str, str, Callable[[], Any]]]:
  """Each figure of the page: see `page.pictures`."""
  own = pathlib.Path(__file__).read_bytes()
  for network, study in measurements.studies(folder, "ablation").items():
    data = hashlib.sha256(own + study.digest.encode()).hexdigest()
    yield f"{network}/grains", data, functools.partial(_draw, study)
