"""What stands between the markers of docs/ahead.md.

The codec ahead and LDA at few bits: beside PRO and the peers on the test sets,
and what their recipes were chosen by, on held-out people.
"""

import pathlib

import pandas as pd

from experiments import published, staleness
from experiments.report import measurements, rates, reader, tables
from tsenh.data import manifests

_MOST_BITS = 150
_METRIC = "tar_at_far_1e-4"
# The least that was asked for, by bits: accuracy of unit vectors, TAR at FAR
# 1e-4 among all pairs, in percent.
BARS = {64: (97.7, 60), 78: (98.0, 67), 101: (98.5, 77), 128: (98.7, 81)}
_OWN = ("lda", "ahead")
_PEERS = ("pro", "pro-e", "pq", "opq", "rq", *reader.RECENT, "itq", "pca")
_VARIED = {
  "recipe": "the recipe",
  "directions": "directions",
  "shrinkage": "shrinkage",
  "decoding": "decoded by least squares",
  "rounding": "rounded toward zero by",
  "trellis": "a trellis",
  "plain": "plain LDA",
  "pca": "PCA",
}
_VALUES = {
  "directions": "dim",
  "shrinkage": "shrinkage",
  "rounding": "dead_zone",
}
# Of what is trained, likewise; the values have the names of what is varied.
_TRAINED = {
  "LDA": "LDA, not trained",
  "recipe": "the recipe",
  "epochs": "epochs",
  "hidden_dim": "hidden units",
  "dropout": "dropout",
  "spread": "spread",
  "fine_weight": "weight of the squared error",
  "bits_per_direction": "bits of an element",
  "trellis": "rounded without a trellis",
}


def _recipe(frame: pd.DataFrame) -> pd.DataFrame:
  return frame[(frame["family"] == "ahead") & (frame["variant"] == "")]


def render_ahead(folder: pathlib.Path) -> str:
  """All that takes few bits, by rate, network by network."""
  parts = []
  for network, study in measurements.studies(folder).items():
    frame = reader.summary(study)
    few = frame["bits"] < _MOST_BITS
    known = frame["family"].isin((*_PEERS, *_OWN))
    shown = frame[few & known].sort_values("bits").copy()
    if _recipe(shown).empty:
      continue
    columns = f"label setting bits normalized tar_at_far_1e-3 {_METRIC} cfp-ff"
    parts += [
      measurements.title(network),
      _warning(study),
      tables.markdown(shown, f"{columns} cfp-fp", **tables.TAR_HEADS),
    ]
  return "\n\n".join(part for part in parts if part) or tables.NOT_MEASURED


def render_ahead_bars(folder: pathlib.Path) -> str:
  """What was asked for of the default network's codecs, met or not."""
  study = measurements.studies(folder).get(manifests.default().name)
  recipe = _recipe(reader.summary(study)) if study else pd.DataFrame()
  if recipe.empty:
    return tables.NOT_MEASURED
  rows = []
  for _, row in recipe.iterrows():
    bars = BARS.get(int(row["setting"]), ())
    for key, least in zip(("normalized", _METRIC), bars):
      slack = round(row[key] - least, 2)
      rows.append(
        {
          "bits wanted": row["setting"],
          "bits per face": row["bits"],
          "of": {"normalized": "accuracy, %"}.get(key, "TAR at FAR 1e-4, %"),
          "found": row[key],
          "at least": least,
          "slack": slack,
          "outcome": "met" if slack >= 0 else "**not met**",
        }
      )
  return f"{_warning(study)}\n\n{tables.markdown(rows)}"


def _warning(study: reader.Study) -> str:
  """What of LDA's and ahead's evaluations is not current."""
  runs = study.runs[study.runs["family"].isin(_OWN)]
  return staleness.sentence(zip(runs["file"], runs["stale"]))


def render_ahead_rates(folder: pathlib.Path) -> str:
  """Bits at equal TAR at FAR 1e-4, against PRO's (Bjontegaard)."""
  rows, warnings = [], {}
  for network, study in measurements.studies(folder).items():
    # Results of version 0.1.0 did not count all pairs.
    frame = reader.summary(study).dropna(subset=[_METRIC])
    curve = {
      key: list(zip(points["bits"], points[_METRIC]))
      for key, points in frame.groupby(["family", "label"], sort=False)
    }
    anchor = curve.get(("pro", f"PRO, {published.EPOCHS} epochs"))
    for (family, label), own in curve.items():
      if anchor and family in (*_OWN, "pca", "pro-e") and len(own) > 3:
        value = rates.bd_rate(anchor, own)
        warnings[network] = _warning(study)
        rows.append(
          {
            "network": network,
            "method": label,
            "bits against PRO's, %": value
            if isinstance(value, str)
            else f"{value:+.1f}",
          }
        )
  return "\n\n".join([*filter(None, warnings.values()), tables.markdown(rows)])


def render_trained(folder: pathlib.Path) -> str:
  """What the training of the codec ahead was chosen by, means over seeds."""

  def render(found, _) -> str:
    frame = pd.DataFrame(found["points"])
    frame["accuracy"] = frame["many_correct_pairs"] / frame["many_num_pairs"]
    shares = ["accuracy", "tar_at_far_1e-3", _METRIC]
    frame[shares] *= 100
    frame["varied"] = [
      # That there is no trellis is no number.
      f"{_TRAINED[v]} {row[v]:g}"
      if v in row and v != "trellis"
      else _TRAINED[v]
      for v, (_, row) in zip(frame["varied"], frame.iterrows())
    ]
    numbers = ["bits", "correct_pairs", *shares]
    groups = frame.groupby(["wanted_bits", "varied"], sort=False)
    means = groups[numbers].mean().round({"correct_pairs": 0}).reset_index()
    return tables.markdown(
      means.astype({"correct_pairs": int}),
      " ".join(["varied", *numbers]),
      varied="varied alone",
      accuracy="accuracy among many pairs, %",
      **tables.TAR_HEADS,
    )

  return measurements.each(folder, "trained", render)


def render_directions(folder: pathlib.Path) -> str:
  """What the recipe was chosen by."""

  def render(found, _) -> str:
    frame = pd.DataFrame(found["points"])
    frame["varied"] = [
      " ".join([_VARIED[v], f"{row[_VALUES[v]]:g}" if v in _VALUES else ""])
      for v, (_, row) in zip(frame["varied"], frame.iterrows())
    ]
    for key in ("tar_at_far_1e-3", _METRIC):
      frame[key] *= 100
    return tables.markdown(
      frame,
      f"varied bits bound_bits correct_pairs tar_at_far_1e-3 {_METRIC} cosine",
      varied="varied alone",
      bound_bits="bits at the Gaussian bound",
      cosine="cosine to the feature",
      **tables.TAR_HEADS,
    )

  return measurements.each(folder, "ahead", render)
