"""What stands between the markers of docs/enhancer.md.

The enhancer beside decoders of its size and length, on each main network. All
tests of the page are one family.
"""

import pathlib
from typing import Dict, Iterator, Tuple

import pandas as pd

from experiments import choices, staleness
from experiments.report import reader, tables
from tsenh.data import manifests


def studies(folder: pathlib.Path) -> Dict[str, reader.Study]:
  """The study of each main network that has one."""
  return {
    network: reader.read(str(folder / "enhancer" / network), manifests.TEST)
    for network in choices.TEACHERS
    if (folder / "enhancer" / network).is_dir()
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


def comparisons(found: Dict[str, reader.Study]) -> pd.DataFrame:
  """All tests of the page, corrected together: one family, a row for each."""
  rows = []
  for network, study in found.items():
    frame = reader.summary(study).query("family != 'none'")
    frame = frame.sort_values(["order", "epochs"])
    for first, second in _pairs(frame):
      for name, metric in tables.TESTED.items():
        key = "dense" if metric else "hits"
        runs = [row["runs"].set_index("seed")[key] for row in (first, second)]
        more = {"network": network, "against": first["label"]}
        rows.append(tables.tested(study, name, second, *runs, True, **more))
  return tables.one_family([row for row in rows if row])


def render_worth(folder: pathlib.Path) -> str:
  """The means over seeds, and the tests, network by network."""
  found, parts = studies(folder), []
  tests = comparisons(found)
  for network, study in found.items():
    runs = study.runs
    points = reader.summary(study)
    points["seeds"] = [str(len(runs)) for runs in points["runs"]]
    columns = "label setting bits accuracy normalized mse"
    parts += [
      f"**{manifests.networks()[network].title}**",
      staleness.sentence(zip(runs["file"], runs["stale"])),
      tables.markdown(
        points,
        f"{columns} tar_at_far_1e-3 tar_at_far_1e-4 seeds",
        label="decoded by",
        **tables.TAR_HEADS,
      ),
      tables.tests_table(
        tests[tests["network"] == network],
        "label against setting bits of",
        len(tests),
        label="decoded by",
        against="against",
        first="against, %",
        second="decoded by, %",
      ),
    ]
  return "\n\n".join(part for part in parts if part) or tables.NOT_MEASURED
