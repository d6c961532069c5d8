"""The tables of docs/paper.md, and the small one of a folder of results.

Each function of `PARTS` takes a study and returns Markdown: what stands between
the markers of that name. What was not measured stays a blank cell. Nothing here
says better or worse: the tables hold differences, intervals and p values.
"""

import functools
import re
from typing import Any, Callable, Dict, Iterable, List

import numpy as np
import pandas as pd

from experiments import bars, plans, published, staleness
from experiments.report import rates, reader, significance
from experiments.report.reader import Study, label, summary
from tsenh.data import manifests
from tsenh.recognition import dense

CONVENTIONS = {"hits": "as decoded", "n_hits": "normalized"}
# What the tests are of: the accuracy of features as decoded, and all pairs.
TESTED = {
  "accuracy": None,
  "TAR at FAR 1e-3": "tar_at_far_1e-3",
  "TAR at FAR 1e-4": "tar_at_far_1e-4",
}
# What PRO, trained by the paper's recipe, is compared with at other bits.
# SQ at mid-point is left out: an offset cancels in the distance of two faces.
PEERS = ("sq", "sq-e", "pq", "opq", "rq", *reader.RECENT, "lda", "ahead")
PEERS += reader.HASHING
NOT_MEASURED = "*Not measured.*"
_RECIPE = f"family == 'pro' and epochs == {published.EPOCHS}"


# Columns whose heads are not their names, or whose numbers have not two
# decimals.
_COLUMNS = {
  "label": ("method", ""),
  "bits": ("bits per face", ",.1f"),
  "bytes": ("bytes per face", ".1f"),
  "bpp": ("BPP", ".2f"),
  "paper_bpp": ("paper: BPP", ".2f"),
  "paper_accuracy": ("paper: accuracy, %", ".2f"),
  "accuracy": ("accuracy, %", ".2f"),
  "accuracy_sd": ("± over seeds", ".2f"),
  "over_folds": ("± over folds", ".2f"),
  "normalized": ("normalized, %", ".2f"),
  "difference": ("difference, points", "+.2f"),
  "correct_pairs": ("correct pairs", ",.5g"),
  "auc": ("AUC, %", ".3f"),
  "eer": ("EER, %", ".2f"),
  "tar": ("TAR at FAR 0.1 %, %", ".2f"),
  "mse": ("MSE", ".1e"),
  "snr": ("SNR, dB", ".1f"),
  "slack": ("slack", "+.2f"),
  "epochs": ("epochs", ".0f"),
  "updates": ("updates", ",.0f"),
  "auc_seen": ("AUC, people of the training set", ".2%"),
  "auc_unseen": ("AUC, other people", ".2%"),
}

TAR_HEADS = {
  f"tar_at_far_{rate}": f"TAR at FAR {rate}, all pairs, %"
  for rate in dense.FALSE_ACCEPT_RATES
}
_FURTHER_HEADS = {
  **{name: f"{name.upper()}, %" for name in reader.FURTHER},
  **{f"{name}_sd": "± over seeds" for name in reader.FURTHER},
}


def markdown(rows: Any, columns: str = "", **heads: str) -> str:
  """A Markdown table, the first column aligned left, the others right.

  Args:
    rows: a DataFrame, or what makes one. Text stands as it is, and what is
      missing is blank.
    columns: their names with blanks between; by default all.
    **heads: heads in place of those of `_COLUMNS`.
  """
  frame = pd.DataFrame(rows)
  if frame.empty:
    return NOT_MEASURED
  lines = []
  for key in columns.split() or frame.columns:
    head, spec = _COLUMNS.get(key, (key.replace("_", " "), ""))
    values = frame.get(key, pd.Series([""] * len(frame)))
    cells = ["" if pd.isna(value) else _cell(value, spec) for value in values]
    lines.append([heads.get(key, head), "--:" if lines else "---", *cells])
  return "\n".join(f"| {' | '.join(line)} |" for line in zip(*lines))


def _cell(value: Any, spec: str) -> str:
  if isinstance(value, (str, int, np.integer)):
    return value if isinstance(value, str) else f"{value:,}"
  default = ".2f" if value == 0 or abs(value) >= 1e-4 else ".1e"
  text = format(value, spec or default)
  # Never -0.00.
  return text.replace("-", "+") if not text.strip("-0.") else text


# The paper's Table 1.


def _at_rate(runs: pd.DataFrame, bits: float, study: Study) -> Dict[str, Any]:
  """What `summary` says of a method, interpolated at a rate."""
  row = {"bits": bits, "bpp": bits / study.dim, "setting": "beyond its rates"}
  hits, n_hits = (
    list(rates.interpolate_seeds(runs, key, bits)) for key in CONVENTIONS
  )
  if hits:
    hits, n_hits, num_pairs = np.stack(hits), np.stack(n_hits), study.num_pairs
    row["setting"] = "interpolated"
    row["accuracy"] = significance.accuracy(hits, num_pairs)
    row["accuracy_sd"] = significance.seed_spread(hits, num_pairs)
    row["over_folds"] = significance.fold_spread(hits, num_pairs)
    row["correct_pairs"] = hits.sum(axis=1).mean()
    row["normalized"] = significance.accuracy(n_hits, num_pairs)
  return row


def _render_table_1(families: str, study: Study) -> str:
  """Table 1 beside what is measured, PRO and PRO-E at the paper's rates."""
  rows = []
  for family in families.split():
    measured = summary(study).query("family == @family")
    name = label(family)
    for shown in measured["label"].unique() if len(measured) else [name]:
      own = measured[measured["label"] == shown].set_index("setting")
      runs = study.runs[study.runs["label"] == shown]
      points = zip(published.SETTINGS[name], published.TABLE_1[name])
      for setting, point in points:
        row = {"setting": setting}
        if family.startswith("pro") and len(runs):
          row = _at_rate(runs, study.dim * point.bits_per_dimension, study)
        elif setting in own.index:
          row.update(own.loc[setting])
        row["label"], row["paper_bpp"] = shown, point.bits_per_dimension
        row["paper_accuracy"] = point.accuracy
        row["difference"] = row.get("accuracy", np.nan) - point.accuracy
        rows.append(row)
  columns = "label setting paper_bpp paper_accuracy bpp bits accuracy"
  columns += " difference accuracy_sd over_folds correct_pairs normalized"
  return markdown(rows, columns)


# What this reproduction set itself.


def render_bars(study: Study) -> str:
  """The bars, met or not, and by how much."""
  known = study.runs.query(f"epochs in (0, {published.EPOCHS})")
  known = known.groupby(["family", "setting"])
  known = known[["correct_pairs", "accuracy", "bits", "mse"]].mean()
  pairs = round(published.UNCOMPRESSED_ACCURACY * study.num_pairs / 100)
  low, high = pairs - bars.UNCOMPRESSED, pairs + bars.UNCOMPRESSED
  found = known["correct_pairs"].get(("none", ""))
  rows = [("uncompressed, correct pairs", found, low, high)]
  for family, setting, key, least, most in bars.BARS[study.test_set.network]:
    found = known[key].get((family, setting))
    unit = "%" if key == "accuracy" else key
    rows.append((f"{label(family)}, {setting}, {unit}", found, least, most))
  slack = bars.AT_PAPERS_RATES.get(study.test_set.network)
  for point in published.TABLE_1["PRO"] if slack else ():
    bits = study.dim * point.bits_per_dimension
    found = _at_rate(study.runs.query(_RECIPE), bits, study).get("accuracy")
    name = f"PRO, {published.EPOCHS} epochs, {bits:.1f} bits, %"
    rows.append((name, found, point.accuracy - slack, np.nan))
  for qp in published.SETTINGS["SQ-E"]:
    mse = [known["mse"].get((f, qp), np.nan) for f in ("sq-e", "sq-mid")]
    name = f"SQ-E, QP {qp}, squared error over SQ's at the mid-point, %"
    most = bars.SQ_E[study.test_set.network]
    rows.append((name, 100 * mse[0] / mse[1], np.nan, most))
  columns = ["bar", "found", "at_least", "at_most"]
  # Compared as printed: the paper's numbers have two decimals as well.
  frame = pd.DataFrame(rows, columns=columns).astype({"found": float}).round(2)
  low, high = frame["at_least"], frame["at_most"]
  frame["slack"] = np.fmin(frame["found"] - low, high - frame["found"]).round(2)
  met = np.where(frame["slack"] >= 0, "met", "**not met**")
  frame["outcome"] = np.where(frame["found"].isna(), "not measured", met)
  return markdown(frame, "bar found at_least at_most slack outcome")


# Tests: one family of the page.


def tested(study: Study, name: str, row, first, second, paired, **more):
  """One test: what may differ is a row of `summary`, or PRO at its bits.

  Args:
    study: of both.
    name: a key of `TESTED`.
    row: of `summary`.
    first: see `significance.compare`, as are `second` and `paired`.
    second: of what may differ.
    paired: whether a training of the second starts from that of the first.
    **more: further columns.
  """
  test = significance.compare(
    first, second, study.num_pairs, paired, TESTED[name]
  )
  if test is None:
    return None
  test.update(row[["label", "setting", "bits"]], of=name, **more)
  test["interval"] = f"{test['low']:+.2f} to {test['high']:+.2f}"
  agree = {True: "yes", False: "no"}[test["seeds_agree"]]
  test["seeds_agree"] = agree if test["num_seeds"] > 2 else "too few"
  return test


@functools.lru_cache(maxsize=8)
def comparisons(study: Study) -> pd.DataFrame:
  """All tests of the page, corrected together: one family, a row for each."""
  rows, runs = [], study.runs
  parts = {"pro-e": ("enhancement", "pro"), "pro": ("pca", "pca-at-pro")}
  for name, metric in TESTED.items():
    key = "dense" if metric else "hits"
    for _, row in summary(study).iterrows():
      own = row["runs"].set_index("seed")[key]
      if row["family"] in PEERS and not row["variant"]:
        recipe = runs.query(_RECIPE)
        recipe = recipe[recipe[key].notna()]
        second = rates.interpolate_seeds(recipe, key, row["bits"])
        found = tested(study, name, row, own, second, False, part="peers")
        rows.append(found)
      elif row["family"] in parts:
        part, other = parts[row["family"]]
        keys = ["epochs", "setting"]
        same = (runs[keys] == row[keys]).all(axis=1)
        first = runs[same & (runs["family"] == other)].set_index("seed")[key]
        paired = part == "enhancement"
        rows.append(tested(study, name, row, first, own, paired, part=part))
  return one_family([row for row in rows if row])


def one_family(rows: List[Dict[str, Any]]) -> pd.DataFrame:
  """Tests that a page shows together: their p values corrected, as text too."""
  tests = pd.DataFrame(rows)
  if len(tests):
    tests["p_holm"] = significance.holm(list(tests["p"]))
    for key in ("p", "p_holm"):
      shown = tests[key].map("{:.3f}".format)
      tests[f"{key}_shown"] = shown.mask(tests[key] < 0.001, "< 0.001")
  return tests


def tests_table(
  tests: pd.DataFrame, columns: str, count: int, **heads: str
) -> str:
  """Some of a page's tests.

  Args:
    tests: rows of `one_family`.
    columns: what is compared; the tests' own columns follow.
    count: of all tests of the page.
    **heads: see `markdown`.
  """
  columns += " first second difference interval p_shown p_holm_shown seeds"
  return markdown(
    tests,
    f"{columns} seeds_agree",
    interval="95 % interval",
    p_shown="p",
    p_holm_shown=f"p (Holm, {count} tests)",
    **heads,
  )


def _render_tests(part: str, first: str, second: str, study: Study) -> str:
  tests = comparisons(study)
  own = tests[tests["part"] == part] if len(tests) else tests
  heads = {"first": f"{first}, %", "second": f"{second}, %"}
  return tests_table(own, "label setting bits of", len(tests), **heads)


# All pairs, and other test sets.


def render_dense(study: Study) -> str:
  """All pairs of the test set: means over seeds, intervals over people."""
  frame = summary(study)
  frame = frame[frame["rank1"].notna()]
  for column, name in enumerate(dense.METRICS):
    for i, runs in frame["runs"].items():
      samples = np.mean(np.stack(runs["dense"].dropna()), axis=0)[:, column]
      low, high = np.percentile(100 * samples[1:], [2.5, 97.5])
      mean = frame.at[i, name]
      frame.at[i, f"{name}_shown"] = f"{mean:.1f} ({low:.1f} to {high:.1f})"
  shown = [f"{name}_shown" for name in dense.METRICS]
  heads = [f"TAR at {name}, %" for name in dense.FALSE_ACCEPT_RATES]
  heads = dict(zip(shown, [*heads, "rank-1, %"]))
  table = markdown(frame, f"label setting bits {' '.join(shown)}", **heads)
  if frame["family"].eq("none").all():
    return table
  picture = f"figures/{study.test_set.network}/dense.png"
  return f"![TAR at FAR 1e-4 over bits per face]({picture})\n\n{table}"


def render_further(study: Study) -> str:
  """The further test sets."""
  frame = summary(study).dropna(subset=list(reader.FURTHER))
  columns = " ".join(f"{name} {name}_sd" for name in reader.FURTHER)
  return markdown(frame, f"label setting bits {columns}", **_FURTHER_HEADS)


def side_by_side(studies: Dict[str, Study]) -> str:
  """Table 1 and what each main network gives at its settings."""
  rows = []
  for name, points in published.TABLE_1.items():
    for setting, point in zip(published.SETTINGS[name], points):
      row = {"label": name, "setting": setting}
      row["paper_bpp"], row["paper_accuracy"] = point
      for network, study in studies.items():
        found = _table_1_row(study, name.lower(), setting, point)
        row[f"{network}, %"] = found.get("accuracy")
        row[f"{network}, normalized, %"] = found.get("normalized")
        row[f"{network}, TAR at FAR 1e-4, %"] = found.get("tar_at_far_1e-4")
      rows.append(row)
  return markdown(rows)


def _table_1_row(study: Study, family: str, setting: str, point):
  """What a study has of a cell of Table 1, by the paper's recipe."""
  if family.startswith("pro"):
    runs = study.runs.query("family == @family and epochs == @published.EPOCHS")
    bits = study.dim * point.bits_per_dimension
    row = _at_rate(runs, bits, study) if len(runs) else {}
    found = rates.interpolate_seeds(runs[runs["dense"].notna()], "dense", bits)
    if len(found):
      column = dense.METRICS.index("tar_at_far_1e-4")
      row["tar_at_far_1e-4"] = 100 * np.stack(list(found)).mean(0)[0, column]
    return row
  frame = summary(study).query("family == @family and setting == @setting")
  return dict(frame.iloc[0]) if len(frame) else {}


# Rates, costs, and everything.


def render_bd(study: Study) -> str:
  """Bits of every method against PRO's at equal squared error."""
  frame = summary(study).query("family != 'pca-at-pro'").dropna(subset="snr")
  curves = {
    name: list(zip(points["bits"], points["snr"]))
    for name, points in frame.groupby("label", sort=False)
  }
  rows = {name: {"label": name} for name in curves}
  for anchor in frame.query("family == 'pro'")["label"].unique():
    for name, curve in curves.items():
      value = rates.bd_rate(curves[anchor], curve) if name != anchor else ""
      value = value if isinstance(value, str) else f"{value:+.1f}"
      rows[name][f"bits against {anchor}, %"] = value
  return markdown(rows.values())


def render_cost(study: Study) -> str:
  """Parameters, and multiply-adds for one face, of sender and receiver."""
  frame = summary(study)
  for key in ("parameters", "multiply_adds"):
    for side in ("sender", "receiver"):
      counts = [(runs[key].iat[0] or {}).get(side) for runs in frame["runs"]]
      counts = ["" if count is None else f"{count:,}" for count in counts]
      frame[f"{key.replace('_', '-')}, {side}"] = counts
  costs = list(frame.columns[-4:])
  groups = frame.groupby(["label", *costs], sort=False)["setting"]
  return markdown(groups.agg(", ".join).reset_index())


def render_points(study: Study) -> str:
  """Every measured point, in order of rate, and its files by seed."""
  frame = summary(study)
  folder = f"../experiments/results/paper/{study.test_set.network}"
  frame["files"] = [
    " ".join(
      f"[{'json' if seed < 0 else seed}]({folder}/{file})"
      for seed, file in sorted(zip(runs["seed"], runs["file"]))
    )
    for runs in frame["runs"]
  ]
  columns = "label setting bits bpp accuracy accuracy_sd over_folds"
  columns += " correct_pairs normalized auc eer tar mse snr files"
  return markdown(frame, columns, files="files, by seed")


def _missing(study: Study, of: Iterable[str]) -> List[str]:
  """Evaluations of plans that are not there, without their seeds."""
  if study.test_set is None or study.smoke:
    return []
  network = manifests.networks()[study.test_set.network]
  jobs = [j for p in of for j in plans.PLANS[p](network, "", "").values()]
  planned = {job.name for job in jobs if job.module == "tsenh.evaluate"}
  left = planned - set(study.runs["method"])
  return sorted({re.sub(r"-s\d+$", "", name) for name in left})


def render_status(
  study: Study, of: Iterable[str] = ("paper", "recent", "ahead")
) -> str:
  """How much there is of some plans, and what of it is not current."""
  runs = study.runs
  dates = sorted({date[:10] for date in runs["date"]})
  counts = runs[runs["family"] == "pro"].groupby("label")["seed"].nunique()
  missing = _missing(study, of)
  stale = list(zip(runs["file"], runs["stale"]))
  if study.features:
    stale.append(("features.json", staleness.reasons(study.features)))
  return (
    f"{len(runs)} evaluations on {runs['features'].iat[0]},"
    f" {study.num_pairs:,} pairs, made"
    f" {' to '.join(dates[:1] + dates[1:][-1:])}."
    f" Seeds: {', '.join(f'{name}: {n}' for name, n in counts.items())}."
    f" Not measured with all seeds: {', '.join(missing) or 'nothing'}.\n\n"
    f"{staleness.sentence(stale)}"
  ).strip()


def small(study: Study) -> str:
  """The evaluations of a folder beside the paper's Table 1."""
  frame = study.runs.sort_values("bits")
  points = frame["method"].map(published.counterpart)
  frame["paper_bpp"] = [p.bits_per_dimension if p else None for p in points]
  frame["paper_accuracy"] = [p.accuracy if p else None for p in points]
  columns = "method bits bpp accuracy over_folds correct_pairs normalized mse"
  return markdown(frame, f"{columns} paper_bpp paper_accuracy")


# What stands between the markers of the pages of a study.
PARTS: Dict[str, Callable[[Study], str]] = {
  "status": render_status,
  "bars": render_bars,
  "pro": functools.partial(_render_table_1, "pro pro-e"),
  "quantization": functools.partial(_render_table_1, "pq opq dbh dhn"),
  "scalar": functools.partial(_render_table_1, "sq sq-e"),
  "enhancement": functools.partial(
    _render_tests, "enhancement", "PRO", "PRO-E"
  ),
  "pca": functools.partial(_render_tests, "pca", "PCA", "PRO"),
  "peers": functools.partial(_render_tests, "peers", "method", "PRO"),
  "dense": render_dense,
  "further": render_further,
  "bjontegaard": render_bd,
  "cost": render_cost,
  "points": render_points,
}
