"""All figures of the pages, in one style, each with the digest of what made it.

Color and marker are a method's, a dashed line is a shorter training, hollow
markers are the paper's Table 1. Bars are one standard deviation over seeds.
"""

import hashlib
import json
import pathlib
from functools import partial
from typing import Any, Callable, Dict

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pandas as pd
import PIL.Image
from matplotlib import pyplot as plt

from experiments import published
from experiments.report import reader
from experiments.report.reader import FAMILIES, Study
from tsenh.base import provenance

_STYLE = pathlib.Path(__file__).with_suffix(".mplstyle")
_COLORS = {k: f"C{i}" for k, i in zip(FAMILIES, "73104926589677082454")}
_MARKERS = dict(zip(FAMILIES, ".o^shPDvX<>d*xspDvX^"))
_PANELS = {
  "Quantization, and PRO": reader.QUANTIZATION,
  "Binary codes, and PRO": reader.HASHING,
}
_WIDTH = 5.0  # Inches; on a phone's width the letters stay legible.
_ZOOM = 2.4  # Points below the best that the panels of accuracy show.
_DRAWING = [
  f"report/{name}.py"
  for name in ("figures", "reader", "scalable", "walkthrough")
]
_DRAWING.append("published.py")


def _panel(axes, points, key: str, study: Study) -> None:
  """Methods of a `summary` over bits per face."""
  none = points["family"] == "none"
  for value in points[none][key] if key != "mse" else ():
    axes.axhline(value, color="k", lw=0.8, label="uncompressed")
  points = points[~none]
  for (family, label), curve in points.groupby(["family", "label"], sort=False):
    longest = points[points["family"] == family]["epochs"].max()
    axes.errorbar(
      curve["bits"],
      curve[key],
      curve[f"{key}_sd"].fillna(0),
      color=_COLORS.get(family, "C8"),
      marker=_MARKERS.get(family, "p"),
      ls="-" if curve["epochs"].iat[0] == longest else "--",
      label=label,
    )
  axes.set_xscale("log", base=2)
  axes.xaxis.set_major_formatter("{x:g}")
  axes.set_xlabel(f"bits per face (1 BPP is {study.dim})")
  place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.16)}
  axes.legend(ncols=3, frameon=False, **place)


def draw_histograms(study: Study):
  """The paper's Fig. 2: several dimensions, training and test set."""
  if study.features is None:
    return None
  size = (_WIDTH, 4.6)
  figure, axes = plt.subplots(2, 2, figsize=size, sharex=True, sharey=True)
  sides = [study.features[side]["histograms"] for side in ("training", "test")]
  names = [study.features[f"{side}_set"] for side in ("training", "test")]
  for panel, (first, second) in zip(axes.flat, zip(*sides)):
    style = {"fill": True, "color": "C0", "alpha": 0.4, "label": names[0]}
    panel.stairs(first["density"], first["edges"], **style)
    panel.stairs(second["density"], second["edges"], color="C3", label=names[1])
    z, sd = np.linspace(-4, 4, 201), second["standard_deviation"]
    normal = np.exp(-(z**2) / 2) / (sd * np.sqrt(2 * np.pi))
    label = f"normal, fitted to {names[1]}"
    panel.plot(second["mean"] + sd * z, normal, "k--", lw=1, label=label)
    panel.set_title(f"dimension {first['dimension']}", size=9)
  figure.supxlabel("value")
  figure.supylabel("density")
  handles = axes[0, 0].get_legend_handles_labels()
  figure.legend(*handles, loc="outside upper center", ncols=3)
  return figure


def draw_spectrum(study: Study):
  """Eigenvalues of the features' covariance."""
  if study.features is None:
    return None
  figure, axes = plt.subplots(figsize=(_WIDTH, 3))
  for side, style in (("training", "C0-"), ("test", "C3--")):
    values = study.features[side]["eigenvalues"]
    count = np.arange(1, len(values) + 1)
    axes.plot(count, values, style, label=study.features[f"{side}_set"])
  axes.set(xlabel="eigenvalue of the covariance, in order", ylabel="variance")
  axes.set_yscale("log")
  axes.legend()
  return figure


def _draw_over_rate(key: str, title: str, study: Study):
  """The paper's Fig. 4 and 5: PRO and PRO-E over the rate."""
  points = reader.summary(study).query("family in ('none', 'pro', 'pro-e')")
  if not any(points["family"] != "none"):
    return None
  figure, axes = plt.subplots(figsize=(_WIDTH, 3.9))
  _panel(axes, points, key, study)
  axes.set_ylabel(title)
  return figure


def draw_rate_accuracy(study: Study):
  """Accuracy of every method over bits per face, in up to three panels."""
  points = reader.summary(study).query(
    "family != 'pca-at-pro' and variant == ''"
  )
  others = [family for panel in _PANELS.values() for family in panel]
  rest = [family for family in points["family"] if family not in others]
  panels = {"PRO, PRO-E and PCA": ["pro", *rest], **_PANELS}
  panels = {
    title: points[points["family"].isin(["none", "pro", *families])]
    for title, families in panels.items()
    if any(points["family"].isin(set(families) - {"none"}))
  }
  if not panels:
    return None
  size = (_WIDTH, 3.9 * len(panels))
  figure, all_axes = plt.subplots(len(panels), figsize=size, squeeze=False)
  for axes, (title, shown) in zip(all_axes[:, 0], panels.items()):
    top = points["accuracy"].max()
    bottom = top - _ZOOM
    # Binary codes are shown down to their worst, the others magnified.
    if any(shown["family"].isin(reader.HASHING)):
      bottom = min(bottom, shown["accuracy"].min() - 0.3)
    for family in () if study.smoke else shown["family"].unique():
      color, marker = _COLORS.get(family), _MARKERS.get(family)
      for bpp, accuracy in published.TABLE_1.get(reader.label(family), ()):
        style = {"color": color, "mfc": "none", "alpha": 0.6, "ms": 6}
        axes.plot(study.dim * bpp, accuracy, marker, **style)
        top = max(top, accuracy)
    if not study.smoke:
      axes.plot([], [], "o", color="0.4", mfc="none", label="hollow: the paper")
    _panel(axes, shown, "accuracy", study)
    limits = (bottom, top + 0.06 * (top - bottom))
    axes.set(title=title, ylabel="accuracy, %", ylim=limits)
  return figure


def draw_front(study: Study):
  """The front page's: what came out, and what keeps up with it."""
  points = reader.summary(study)
  points = points[
    points["family"].isin(("none", "pro", "pro-e", "pca-at-pro", "pq", "rq"))
    & points["epochs"].isin((0, published.EPOCHS))
  ]
  if study.smoke or not any(points["family"] == "pro"):
    return None
  figure, axes = plt.subplots(figsize=(1.3 * _WIDTH, 3.9))
  _panel(axes, points, "accuracy", study)
  top = points["accuracy"].max()
  bottom = min(top - _ZOOM, points["accuracy"].min() - 0.3)
  axes.set(ylabel="LFW accuracy, %", ylim=(bottom, top + 0.3))
  axes.set_xlim(right=600)
  return figure


def draw_dense(study: Study):
  """TAR at FAR 1e-4 among all pairs of the test set, over bits per face."""
  points = reader.summary(study).dropna(subset="tar_at_far_1e-4")
  points = points[~points["family"].isin(("sq-mid", "pca-at-pro"))]
  points = points[points["variant"] == ""]
  if not any(points["family"] != "none"):
    return None
  figure, axes = plt.subplots(figsize=(_WIDTH, 5.4))
  _panel(axes, points, "tar_at_far_1e-4", study)
  axes.set_ylabel("TAR at FAR 1e-4, all pairs, %")
  return figure


def draw_distortion(study: Study):
  """Squared error over rate, beside the Gaussian bound."""
  points = reader.summary(study).query("mse > 0 and family != 'pca-at-pro'")
  if points.empty:
    return None
  figure, axes = plt.subplots(figsize=(_WIDTH, 5.4))
  axes.set(yscale="log", ylabel="mean squared error per dimension")
  if study.features:
    bound = study.features["test"]["gaussian_bound"]
    bits, mse = np.array(bound["bits_per_feature"]), np.array(bound["mse"])
    seen = (bits > points["bits"].min()) & (mse > points["mse"].min() / 5)
    axes.plot(bits[seen], mse[seen], "k-", lw=1.5, label="Gaussian bound")
  _panel(axes, points, "mse", study)
  return figure


def draw_length(study: Dict[str, Any], dim: int):
  """Rate, distortion and accuracy on held-out people against updates."""
  figure, panels = plt.subplots(3, 1, figsize=(_WIDTH, 7), sharex=True)
  runs = [run for run in study["runs"] if run["variant"] == "default"]
  for i, run in enumerate(runs):
    trained = pd.DataFrame(run["validations"])
    bits = trained["entropy_bits_per_feature"] / dim
    found = (bits, trained["mse"], 100 * trained["accuracy"])
    for axes, values in zip(panels, found):
      label = f"lambda {run['lambda']}"
      axes.plot(trained["step"], values, f"C{i}.-", label=label)
      axes.axvline(published.UPDATES, color="0.6", lw=0.8, ls="--")
      axes.axvline(trained["step"][0], color="0.6", lw=0.8)
    rate = study["paper_bits_per_dimension"][i]
    panels[0].axhline(rate, color=f"C{i}", ls=":", lw=1)
  title = "Dotted: the paper's rates, in the same order"
  panels[0].set(title=title, ylabel="bits per dimension", xscale="log")
  panels[1].set(yscale="log", ylabel="mean squared error")
  lines = "full line: 40 epochs here, dashed: the paper"
  panels[2].set(ylabel="accuracy, %", xlabel=f"updates ({lines})")
  panels[0].legend(ncols=2, loc="upper right")
  return figure


FIGURES: Dict[str, Callable[[Study], Any]] = {
  "front": draw_front,
  "dense": draw_dense,
  "rate_accuracy": draw_rate_accuracy,
  "histograms": draw_histograms,
  "spectrum": draw_spectrum,
  "auc": partial(_draw_over_rate, "auc", "AUC, %"),
  "eer": partial(_draw_over_rate, "eer", "equal error rate, %"),
  "distortion": draw_distortion,
}


def stamp(data: str) -> str:
  """What a figure carries: the digest of its data and of the drawing code."""
  code = provenance.code(
    "experiments.report.walkthrough", "experiments.report.scalable"
  )
  drawing = [code[f"experiments/{name}"] for name in _DRAWING]
  drawn = json.dumps([data, *drawing, _STYLE.read_text()])
  return hashlib.sha256(drawn.encode()).hexdigest()


def is_current(path: pathlib.Path, data: str) -> bool:
  """Whether a .png was drawn from these data by the code of today."""
  if not path.is_file():
    return False
  with PIL.Image.open(path) as image:
    return image.info.get("Source") == stamp(data)


def save(draw: Callable[[], Any], data: str, path: pathlib.Path) -> bool:
  """Draws a figure into a .png or .pdf, or removes it where there is none."""
  metadata = {"Source": stamp(data)}
  if path.suffix == ".pdf":
    metadata = {"Keywords": stamp(data), "CreationDate": None}
  path.parent.mkdir(parents=True, exist_ok=True)
  with plt.style.context(_STYLE):
    figure = draw()
    if figure is None:
      path.unlink(missing_ok=True)
    else:
      figure.savefig(path, metadata=metadata)
      plt.close(figure)
  return figure is not None
