"""The tables and sentences of docs/paper.md, made from a study.

Each function of `PARTS` takes a study and returns Markdown: what stands between
the markers of that name. What was not measured stays a blank cell.
"""

from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple

import numpy as np

from experiments import comparisons, pages, paper, rates, significance, study
from experiments.study import Point, Study

DIM = 128
UNCOMPRESSED_PAIRS = 5961
PQ_TOLERANCE = 0.5  # Points.
PRO_TOLERANCE = 0.2  # Points.
SQ_SETTINGS = ("50", "45", "40", "30")  # QP.


def _number(value: Optional[float], form: str) -> str:
  return "" if value is None else format(value, form)


def _spread(value: Optional[float]) -> str:
  return "" if value is None else f"± {value:.2f}"


def _pairs(hits: Optional[np.ndarray]) -> str:
  """Correct pairs, the mean over seeds."""
  if hits is None:
    return ""
  return f"{hits.sum(axis=1).mean():,.{0 if len(hits) == 1 else 1}f}"


def _spreads(hits: Optional[np.ndarray], num_pairs: int) -> List[str]:
  if hits is None:
    return ["", ""]
  return [
    _spread(significance.seed_spread(hits, num_pairs)),
    _spread(significance.fold_spread(hits, num_pairs)),
  ]


def _percent(metrics: Iterable[Dict[str, Any]], key: str, form: str) -> str:
  return format(100 * np.mean([m[key] for m in metrics]), form)


def _snr(point: Point, described: Optional[Dict[str, Any]]) -> Optional[float]:
  """Variance over squared error, in decibels."""
  mse = point.mean("mse")
  if described is None or not mse:
    return None
  return float(10 * np.log10(described["test"]["variance"] / mse))


_TABLE_1_HEAD = (
  *("<", "BPP, paper", "accuracy, % paper", "accuracy, % here"),
  *("difference, points", "over seeds", "over folds", "pairs of 6,000"),
  *("normalized, %", "<setting", "bits per face", "BPP"),
)


def _table_1_row(
  study_: Study,
  name: str,
  published: paper.Point,
  here: str,
  bits: Optional[float],
  hits: Optional[np.ndarray],
  normalized: Optional[np.ndarray],
) -> List[str]:
  accuracy = significance.accuracy(hits, study_.num_pairs)
  difference = None if accuracy is None else accuracy - published.accuracy
  return [
    name,
    f"{published.bits_per_dimension:.2f}",
    f"{published.accuracy:.2f}",
    _number(accuracy, ".2f"),
    pages.signed(difference),
    *_spreads(hits, study_.num_pairs),
    _pairs(hits),
    _number(significance.accuracy(normalized, study_.num_pairs), ".2f"),
    here,
    _number(bits, ".1f"),
    _number(None if bits is None else bits / DIM, ".2f"),
  ]


def _measured_rows(
  study_: Study, families: Dict[str, Tuple[str, ...]], unit: str
) -> Tuple[List[List[str]], List[Optional[Point]]]:
  """Rows of methods that are measured at the paper's own settings."""
  rows, used = [], []
  for family, settings in families.items():
    for setting, published in zip(settings, study.counterparts(family)):
      point = study_.point(family, setting)
      used.append(point)
      rows.append(
        _table_1_row(
          study_,
          study.label(family),
          published,
          unit.format(setting),
          point and point.bits,
          None if point is None else point.hits(),
          None if point is None else point.hits(normalized=True),
        )
      )
  return rows, used


def render_quantization(study_: Study) -> str:
  """Table 1: product quantization and hashing, the same bits."""
  settings = ("128", "256", "512", "1024")
  families = dict.fromkeys(("pq", "opq", "ksh", "dhn"), settings)
  rows, used = _measured_rows(study_, families, "{} bits")
  return f"{pages.table(_TABLE_1_HEAD, rows)}\n\n{pages.sources(used)}"


def render_scalar(study_: Study) -> str:
  """Table 1: scalar quantization, the same QP."""
  families = dict.fromkeys(("sq", "sq-e"), SQ_SETTINGS)
  rows, used = _measured_rows(study_, families, "QP {}")
  return f"{pages.table(_TABLE_1_HEAD, rows)}\n\n{pages.sources(used)}"


def render_pro(study_: Study) -> str:
  """Table 1: PRO and PRO-E, interpolated at the paper's rates."""
  rows, used = [], []
  for family in ("pro", "pro-e"):
    for epochs in study_.epochs():
      curve = study_.curve(family, epochs)
      used += curve
      for published in study.counterparts(family):
        bits = DIM * published.bits_per_dimension
        hits = comparisons.interpolated(curve, bits)
        beyond = bool(curve) and hits is None
        rows.append(
          _table_1_row(
            study_,
            study.label(family, epochs),
            published,
            "beyond the measured rates" if beyond else "interpolated",
            bits,
            hits,
            comparisons.interpolated(curve, bits, normalized=True),
          )
        )
  return f"{pages.table(_TABLE_1_HEAD, rows)}\n\n{pages.sources(used)}"


def _bar(
  name, wanted, found, slack, form, otherwise="not measured"
) -> List[str]:
  """A row: the bar, what was found, and how far that is from the line."""
  if found is None:
    return [name, wanted, "", otherwise, ""]
  slack = round(slack, 2)  # 98.96 - 0.2 is not quite 98.76.
  met = slack >= 0
  by = abs(slack)
  return [
    name,
    wanted,
    format(found, form),
    "met" if met else "**not met**",
    format(by, ",.0f" if form == ",.0f" else ".2f"),
  ]


def _bars(study_: Study) -> Tuple[List[List[str]], List[Optional[Point]]]:
  """What this reproduction set itself: rows, and what they are made from."""
  rows, used = [], []
  none = study_.point("none")
  used.append(none)
  pairs = None if none is None else float(none.hits().sum())
  rows.append(
    _bar(
      "uncompressed, correct pairs",
      f"{UNCOMPRESSED_PAIRS:,}",
      pairs,
      None if pairs is None else -abs(pairs - UNCOMPRESSED_PAIRS),
      ",.0f",
    )
  )
  for setting, published in zip(
    ("128", "256", "512"), study.counterparts("pq")
  ):
    point = study_.point("pq", setting)
    used.append(point)
    found = point and significance.accuracy(point.hits(), study_.num_pairs)
    # Compared as printed: the paper's numbers have two decimals as well.
    found = None if found is None else round(found, 2)
    rows.append(
      _bar(
        f"PQ, {setting} bits, %",
        f"{published.accuracy:.2f} ± {PQ_TOLERANCE}",
        found,
        None
        if found is None
        else PQ_TOLERANCE - abs(found - published.accuracy),
        ".2f",
      )
    )
  for epochs in study_.epochs():
    curve = study_.curve("pro", epochs)
    used += curve
    for published in study.counterparts("pro"):
      bits = DIM * published.bits_per_dimension
      hits = comparisons.interpolated(curve, bits)
      found = significance.accuracy(hits, study_.num_pairs)
      found = None if found is None else round(found, 2)
      wanted = published.accuracy - PRO_TOLERANCE
      rows.append(
        _bar(
          f"{study.label('pro', epochs)}, {bits:.1f} bits, %",
          f"{wanted:.2f} or more",
          found,
          None if found is None else found - wanted,
          ".2f",
          "beyond its rates" if curve else "not measured",
        )
      )
  for setting in SQ_SETTINGS:
    points = [study_.point(family, setting) for family in ("sq", "sq-e")]
    used += points
    share = None
    if all(points):
      plain, enhanced = (point.mean("mse") for point in points)
      share = round(100 * enhanced / plain, 2)
    rows.append(
      _bar(
        f"SQ-E, QP {setting}, MSE over SQ's, %",
        "below 100",
        share,
        None if share is None else 100 - share,
        ".2f",
      )
    )
  return rows, used


def render_bars(study_: Study) -> str:
  """The bars, met or not, and by how much."""
  rows, used = _bars(study_)
  head = ("<bar", "<wanted", "found", "<", "by")
  return f"{pages.table(head, rows)}\n\n{pages.sources(used)}"


def render_points(study_: Study) -> str:
  """Every measured point, in order of rate within its method."""
  rows = []
  for point in study_.points:
    runs = list(point.runs.values())
    hits = point.hits()
    normalized = point.hits(normalized=True)
    rows.append(
      [
        point.label,
        point.setting,
        "" if None in point.runs else str(len(runs)),
        f"{point.bits:.1f}",
        f"{point.bits / DIM:.2f}",
        f"{significance.accuracy(hits, study_.num_pairs):.2f}",
        *_spreads(hits, study_.num_pairs),
        _pairs(hits),
        f"{significance.accuracy(normalized, study_.num_pairs):.2f}",
        *_spreads(normalized, study_.num_pairs),
        _percent(runs, "auc", ".3f"),
        _percent(runs, "eer", ".2f"),
        _percent(runs, "tar_at_far_1e-3", ".2f"),
        _number(point.mean("mse"), ".1e"),
        _number(_snr(point, study_.features), ".1f"),
      ]
    )
  head = (
    *("<method", "<setting", "seeds", "bits per face", "BPP"),
    *("accuracy, %", "over seeds", "over folds", "pairs of 6,000"),
    *("normalized, %", "over seeds", "over folds"),
    *("AUC, %", "EER, %", "TAR at FAR 0.1 %, %", "MSE", "SNR, dB"),
  )
  others = ["features.json"] if study_.features else []
  return f"{pages.table(head, rows)}\n\n{pages.sources(study_.points, *others)}"


def _accuracy_curve(points: List[Point], normalized: bool, num_pairs: int):
  return [
    (p.bits, significance.accuracy(p.hits(normalized), num_pairs))
    for p in points
  ]


def _fidelity_curve(points: List[Point]):
  """SNR up to a constant, which a difference does not see."""
  found = [(p.bits, p.mean("mse")) for p in points]
  return [(bits, -10 * np.log10(mse)) for bits, mse in found if mse]


def _cell(value, form: str) -> str:
  return value if isinstance(value, str) else format(value, form)


def render_bd(study_: Study) -> str:
  """Bjontegaard differences of every method against PRO."""
  rows, used = [], []
  n = study_.num_pairs
  for epochs in study_.epochs():
    anchor = study_.curve("pro", epochs)
    for points in study_.curves():
      family = points[0].family
      if family in ("none", "pca-at-pro") or points == anchor:
        continue
      used += points
      cells = []
      for normalized in (False, True):
        curves = [_accuracy_curve(p, normalized, n) for p in (anchor, points)]
        cells += [
          _cell(rates.bd_rate(*curves), "+.1f"),
          _cell(rates.bd_quality(*curves), "+.2f"),
        ]
      fidelity = [_fidelity_curve(p) for p in (anchor, points)]
      cells.append(_cell(rates.bd_rate(*fidelity), "+.1f"))
      rows.append([points[0].label, study.label("pro", epochs), *cells])
    used += anchor
  head = (
    *("<method", "<against", "rate at equal accuracy, %"),
    *("accuracy at equal rate, points", "rate, normalized, %"),
    *("accuracy, normalized, points", "rate at equal SNR, %"),
  )
  return f"{pages.table(head, rows)}\n\n{pages.sources(used)}"


def render_cost(study_: Study) -> str:
  """Bits, parameters and multiply-adds of each point."""
  rows, used = [], []
  for point in study_.points:
    run = next(iter(point.runs.values()))
    cells = []
    for key in ("parameters", "multiply_adds"):
      counts = run.get(key) or {}
      cells += [
        _number(counts.get(side), ",") for side in ("sender", "receiver")
      ]
    used.append(point)
    rows.append(
      [
        point.label,
        point.setting,
        f"{point.bits:,.1f}",
        f"{point.bits / 8:,.1f}",
        *cells,
      ]
    )
  head = (
    *("<method", "<setting", "bits per face", "bytes per face"),
    *("parameters, sender", "receiver", "multiply-adds, sender", "receiver"),
  )
  return f"{pages.table(head, rows)}\n\n{pages.sources(used)}"


def _seeds(points: List[Point]) -> str:
  """For example 5 seeds."""
  count = len({seed for point in points for seed in point.runs})
  return f"{count} seed{'s' if count > 1 else ''}"


def render_status(study_: Study) -> str:
  """How much of the study there is."""
  runs = study_.runs()
  dates = sorted(run["date"][:10] for run in runs)
  when = " to ".join(dict.fromkeys((dates[0], dates[-1])))
  trained = ", ".join(
    f"{study.epochs_in_words(e)} with {_seeds(study_.curve('pro', e))}"
    for e in study_.epochs()
  )
  missing = [
    study.LABELS[family] for family in study.LABELS if not study_.curves(family)
  ]
  lines = [
    f"{len(runs)} evaluations on {runs[0]['features']}, {study_.num_pairs:,}"
    f" pairs, made {when}. PRO: {trained or 'none'}."
  ]
  if missing:
    lines.append(f"Not measured: {', '.join(missing)}.")
  return " ".join(lines)


def render_summary(study_: Study) -> str:
  """What the bars and the tests say, counted."""
  rows, _ = _bars(study_)
  outcomes = [row[3] for row in rows]
  measured = outcomes.count("met") + outcomes.count("**not met**")
  lines = [
    f"* Of {len(rows)} bars {outcomes.count('met')} are met and"
    f" {outcomes.count('**not met**')} not; {len(rows) - measured} could not be"
    " measured."
  ]
  for second, first, words in (
    ("pro-e", "pro", "PRO-E against PRO, which have the same bytes"),
    ("pro", "pca-at-pro", "PRO against PCA at as many bytes"),
  ):
    outcomes = [
      comparisons.outcome(test)
      for *_, tests in comparisons.compare(study_, second, first)
      for test in tests
    ]
    if outcomes:
      lines.append(
        f"* {words}: of {len(outcomes)} tests {outcomes.count('better')} show"
        f" it better, {outcomes.count('worse')} worse, {outcomes.count('')}"
        " neither (5 % level after correction, and every seed agrees)."
      )
  lines += comparisons.peer_sentences(study_, normalized=False)
  return "\n".join(lines)


# What stands between the markers of docs/paper.md.
PARTS: Dict[str, Callable[[Study], str]] = {
  "status": render_status,
  "summary": render_summary,
  "bars": render_bars,
  "quantization": render_quantization,
  "scalar": render_scalar,
  "pro": render_pro,
  "enhancement": comparisons.render_enhancement,
  "pca": comparisons.render_pca,
  "peers": comparisons.render_peers,
  "bjontegaard": render_bd,
  "cost": render_cost,
  "points": render_points,
}
