"""What stands between the markers of docs/enhancer.md.

The enhancer beside decoders of its size and length, on each main network, and
what about it matters, on held-out people. All tests of the page are one family.
"""

import pathlib
from typing import Dict, Iterator, List, Tuple

import pandas as pd

from experiments import choices, plans, staleness
from experiments.report import measurements, reader, tables
from tsenh.data import manifests

# Of what the variations are tested: the test with most power.
_WHY = "TAR at FAR 1e-3"
_VARIED = {
  "noisy": "noisy codes as input",
  "latent": "codes before rounding as target",
  "unclipped": "enhanced codes not clipped",
  "feature": "loss on features, Dec frozen",
  "width256": "256 wide",
  "width512": "512 wide",
  "width1024": "1,024 wide",
  "layers3": "three layers",
  "layers4": "four layers",
  f"long{plans.LONGER_ENHANCER}": "trained three times as long",
}


def _pairs(frame: pd.DataFrame) -> Iterator[Tuple[pd.Series, pd.Series]]:
  """What is compared: rows of `summary`, the second with the first.

  Every other decoder with PRO of its bytes, and PRO-E with the others.
  """
  for _, own in frame.groupby("setting", sort=False):
    rows = [row for _, row in own.iterrows()]
    enhanced = [row for row in rows if row["family"] == "pro-e"]
    for plain in rows:
      if plain["family"] == "pro":
        for row in rows:
          same = row["epochs"] == plain["epochs"]
          if same and row["family"] != "pro":
            yield plain, row
    for row in rows:
      if row["family"] == "pro-d":
        yield from ((row, other) for other in enhanced)


def _worth(network: str, study: reader.Study) -> Iterator[Dict]:
  frame = reader.summary(study).query("family != 'none'")
  frame = frame.sort_values(["order", "epochs"])
  for first, second in _pairs(frame):
    for name, metric in tables.TESTED.items():
      key = "dense" if metric else "hits"
      runs = [row["runs"].set_index("seed")[key] for row in (first, second)]
      more = {"part": "worth", "against": first["label"]}
      more["network"] = network
      yield tables.tested(study, name, second, *runs, True, **more)


def _why(network: str, study: reader.Study) -> Iterator[Dict]:
  """Every variation, and PRO alone, against PRO-E by its chosen teacher."""
  runs = study.runs.query("family != 'none'").copy()
  taught = runs["teacher"].map("taught by {}".format)
  plain = runs["family"].map({"pro": "no enhancer"})
  names = runs["variant"].map(_VARIED).fillna(plain).fillna(taught)
  for setting, own in runs.assign(label=names).groupby("setting", sort=False):
    base = f"taught by {choices.TEACHERS[network][setting]}"
    by_label = dict(list(own.groupby("label")))
    if base in by_label:
      first = by_label.pop(base).set_index("seed")["dense"]
      more = {"part": "why", "network": network, "base": base}
      for rows in by_label.values():
        second = rows.set_index("seed")["dense"]
        row = rows.iloc[0]
        yield tables.tested(study, _WHY, row, first, second, True, **more)


def comparisons(folder: pathlib.Path) -> pd.DataFrame:
  """All tests of the page, corrected together: one family, a row for each."""
  rows: List[Dict] = []
  for network, study in measurements.studies(folder, "enhancer").items():
    rows += _worth(network, study)
  held_out = measurements.studies(folder, "why", manifests.VALIDATION)
  for network, study in held_out.items():
    rows += _why(network, study)
  return tables.one_family([row for row in rows if row])


def _of(tests: pd.DataFrame, part: str, network: str) -> pd.DataFrame:
  return tests[(tests["part"] == part) & (tests["network"] == network)]


def _head(network: str, study: reader.Study) -> List[str]:
  runs = study.runs
  return [
    measurements.title(network),
    staleness.sentence(zip(runs["file"], runs["stale"])),
  ]


def render_worth(folder: pathlib.Path) -> str:
  """The means over seeds, and the tests, network by network."""
  parts, tests = [], comparisons(folder)
  for network, study in measurements.studies(folder, "enhancer").items():
    points = reader.summary(study)
    points["seeds"] = [str(len(runs)) for runs in points["runs"]]
    columns = "label setting bits accuracy normalized mse"
    parts += [
      *_head(network, study),
      tables.markdown(
        points,
        f"{columns} tar_at_far_1e-3 tar_at_far_1e-4 seeds",
        label="decoded by",
        **tables.TAR_HEADS,
      ),
      tables.tests_table(
        _of(tests, "worth", network),
        "label against setting bits of",
        len(tests),
        label="decoded by",
        against="against",
        first="against, %",
        second="decoded by, %",
      ),
    ]
  return "\n\n".join(part for part in parts if part) or tables.NOT_MEASURED


def render_why(folder: pathlib.Path) -> str:
  """The enhancer varied in one thing at a time, a column for each rate."""
  parts, tests = [], comparisons(folder)
  studies = measurements.studies(folder, "why", manifests.VALIDATION)
  for network, study in studies.items():
    own = _of(tests, "why", network)
    mark = (own["p_holm"] < 0.05).map({True: "**", False: ""})
    points = own["difference"].map("{:+.2f}".format)
    cell = mark + points + mark + " (" + own["interval"] + ")"
    shown = own.assign(cell=cell)
    table = shown.pivot(index="label", columns="setting", values="cell")
    first = shown.groupby("setting")["first"].first().map("*{:.2f}*".format)
    order = shown["label"].unique()
    table.loc["*PRO-E, %*"] = first
    table = table.loc[["*PRO-E, %*", *order], list(shown["setting"].unique())]
    heads = {x: f"{x}: {_WHY}, points" for x in table}
    table = table.reset_index(names="PRO-E with this changed")
    parts += [*_head(network, study), tables.markdown(table, **heads)]
  return "\n\n".join(part for part in parts if part) or tables.NOT_MEASURED
