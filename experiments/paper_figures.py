"""Draws the figures of docs/paper.md; experiments.report saves them.

Color and marker are a method's, the line is PRO's length of training, hollow
markers are the paper's Table 1. Bars are one standard deviation over seeds.
"""

import hashlib
import json
import pathlib
from typing import Callable, Dict, List, Optional

import matplotlib

matplotlib.use("Agg")

import numpy as np
import PIL.Image
from matplotlib import pyplot as plt

from experiments import paper, study
from experiments.paper_tables import DIM
from experiments.study import Point, Study

_COLORS = {
  "pro": ("#c1272d", "o"),
  "pro-e": ("#e69f00", "^"),
  "sq": ("#0072b2", "s"),
  "sq-e": ("#56b4e9", "P"),
  "pq": ("#009e73", "D"),
  "opq": ("#7a52a3", "v"),
  "rq": ("#8c564b", "X"),
  "pca": ("#444444", "*"),
  "ksh": ("#0072b2", "s"),
  "dhn": ("#009e73", "D"),
  "itq": ("#7a52a3", "v"),
  "lsh": ("#8c564b", "X"),
}
_LINES = ("--", "-", ":")  # PRO's epochs, the shortest first.
_WIDTH = 5.0  # Inches; on a phone's width the letters stay legible.
# How far below the uncompressed feature the accuracy's panels reach, in points.
_ZOOM = 2.4
_PANELS = {
  "The paper's codec, and a linear transform": ("pro", "pro-e", "pca"),
  "Quantization": ("sq", "sq-e", "pq", "opq", "rq"),
  "Binary codes": study.HASHING,
}


def _style(points: List[Point], epochs: List[int]) -> Dict:
  color, marker = _COLORS[points[0].family]
  line = "-"
  if points[0].epochs in epochs:
    # The longest training has the full line.
    place = epochs.index(points[0].epochs) + max(0, 2 - len(epochs))
    line = _LINES[min(place, len(_LINES) - 1)]
  return {
    "color": color,
    "marker": marker,
    "ls": line,
    "ms": 5,
    "lw": 1.3,
    "label": points[0].label,
  }


def _values(point: Point, key: str) -> np.ndarray:
  return np.array([run[key] for run in point.runs.values()], np.float64)


def _curve(axes, points, key, epochs, scale=1.0, per_dimension=False) -> None:
  """A method's curve over rate, its bars one standard deviation over seeds."""
  values = [scale * _values(point, key) for point in points]
  axes.errorbar(
    [point.bits / (DIM if per_dimension else 1) for point in points],
    [v.mean() for v in values],
    [v.std(ddof=1) if len(v) > 1 else 0 for v in values],
    capsize=2,
    **_style(points, epochs),
  )


def _bits_axis(axes, points: List[Point]) -> None:
  """Bits per face on a logarithmic axis, and BPP above it."""
  axes.set_xscale("log", base=2)
  bits = [point.bits for point in points]
  low, high = np.floor(np.log2(min(bits))), np.ceil(np.log2(max(bits)))
  ticks = 2.0 ** np.arange(low, high + 1)
  axes.set_xlim(ticks[0] / 1.1, ticks[-1] * 1.1)
  axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
  axes.minorticks_off()
  axes.grid(alpha=0.3)
  top = axes.secondary_xaxis(
    "top", functions=(lambda x: x / DIM, lambda x: x * DIM)
  )
  top.set_xscale("log", base=2)
  top.set_xticks(ticks / DIM, [f"{t / DIM:g}" for t in ticks])
  top.minorticks_off()
  return top


def draw_histograms(s: Study):
  """The paper's Fig. 2: several dimensions, training and test set."""
  if s.features is None:
    return None
  histograms = [s.features[side]["histograms"] for side in ("training", "test")]
  figure, axes = plt.subplots(
    2, 2, figsize=(_WIDTH, 4.6), layout="constrained", sharex=True, sharey=True
  )
  names = (s.features["training_set"], s.features["test_set"])
  for panel, pair in zip(axes.flat, zip(*histograms)):
    for histogram, name, color in zip(pair, names, ("C0", "C3")):
      panel.stairs(
        histogram["density"],
        histogram["edges"],
        color=color,
        fill=color == "C0",
        alpha=0.4 if color == "C0" else 1,
        label=name,
      )
    mean, sd = pair[1]["mean"], pair[1]["standard_deviation"]
    x = np.linspace(mean - 4 * sd, mean + 4 * sd, 201)
    density = np.exp(-np.square((x - mean) / sd) / 2) / (
      sd * np.sqrt(2 * np.pi)
    )
    panel.plot(x, density, "k--", lw=1, label=f"normal, fitted to {names[1]}")
    panel.set_title(f"dimension {pair[0]['dimension']}", size=9)
  figure.supxlabel("value", size=10)
  figure.supylabel("density", size=10)
  handles, labels = axes[0, 0].get_legend_handles_labels()
  figure.legend(
    handles, labels, loc="outside upper center", ncols=3, fontsize=8
  )
  return figure


def draw_spectrum(s: Study):
  """Eigenvalues of the features' covariance."""
  if s.features is None:
    return None
  figure, axes = plt.subplots(figsize=(_WIDTH, 3), layout="constrained")
  for side, color, line in (("training", "C0", "-"), ("test", "C3", "--")):
    values = np.array(s.features[side]["eigenvalues"])
    axes.plot(
      np.arange(1, len(values) + 1),
      values,
      line,
      color=color,
      label=s.features[f"{side}_set"],
    )
  axes.set_yscale("log")
  axes.set_xlabel("eigenvalue of the covariance, in order")
  axes.set_ylabel("variance")
  axes.grid(alpha=0.3)
  axes.legend(fontsize=8)
  return figure


def _draw_over_bpp(s: Study, key: str, title: str):
  """The paper's form of Fig. 4 and 5: PRO and PRO-E over BPP."""
  curves = s.curves("pro", "pro-e")
  if not curves:
    return None
  figure, axes = plt.subplots(figsize=(_WIDTH, 3.6), layout="constrained")
  for points in curves:
    _curve(axes, points, key, s.epochs(), 100, per_dimension=True)
  none = s.point("none")
  if none:
    value = 100 * none.mean(key)
    axes.axhline(value, color="k", lw=0.8, label=f"uncompressed, {value:.2f}")
  axes.set_xlabel("rate, bits per dimension (BPP)")
  axes.set_ylabel(title)
  axes.grid(alpha=0.3)
  axes.legend(fontsize=8)
  return figure


def draw_auc(s: Study):
  """The paper's Fig. 4: area under the ROC curve over the rate."""
  return _draw_over_bpp(s, "auc", "AUC, %")


def draw_eer(s: Study):
  """The paper's Fig. 5: equal error rate over the rate."""
  return _draw_over_bpp(s, "eer", "equal error rate, %")


def _paper_points(axes, family: str, bottom: float, hidden: List) -> None:
  """The paper's points; those below the panel go to `hidden`."""
  color, marker = _COLORS[family]
  points = study.counterparts(family)
  shown = [p for p in points if p.accuracy >= bottom]
  hidden += [(family, p) for p in points if p.accuracy < bottom]
  axes.plot(
    [DIM * p.bits_per_dimension for p in shown],
    [p.accuracy for p in shown],
    marker,
    color=color,
    mfc="none",
    ms=6,
    alpha=0.6,
  )


def _fold_error(axes, error: float, best: float) -> None:
  """What one standard error over folds is, where no curve passes."""
  middle = best - 0.45 * _ZOOM
  at = axes.get_yaxis_transform()
  axes.errorbar(
    [0.62], [middle], [error], transform=at, color="k", capsize=3, lw=1
  )
  words = "± one standard error\nover the ten folds"
  axes.text(0.64, middle, words, transform=at, size=7.5, va="center")


def draw_rate_accuracy(s: Study):
  """Accuracy of every method over bits per face, in three panels."""
  panels = {
    title: s.curves(*families)
    for title, families in _PANELS.items()
    if s.curves(*families)
  }
  if not panels:
    return None
  none, epochs = s.point("none"), s.epochs()
  reference = s.curve("pro", epochs[-1]) if epochs else []
  height = 3.4 * len(panels)
  figure, all_axes = plt.subplots(
    len(panels), figsize=(_WIDTH, height), layout="constrained", squeeze=False
  )
  shown = [p for curves in panels.values() for c in curves for p in c]
  best = max(100 * p.mean("accuracy") for p in shown)
  if none:
    best = max(best, 100 * none.mean("accuracy"))
  for axes, (title, curves) in zip(all_axes[:, 0], panels.items()):
    lowest = min(100 * p.mean("accuracy") for c in curves for p in c)
    # Binary codes are shown down to their worst, the others magnified.
    hashing = curves[0][0].family in study.HASHING
    bottom = min(lowest, best - _ZOOM) - 0.3 if hashing else best - _ZOOM
    hidden: List = []
    for points in curves:
      _curve(axes, points, "accuracy", epochs, 100)
      hidden += [
        (p.family, paper.Point(p.bits / DIM, 100 * p.mean("accuracy")))
        for p in points
        if 100 * p.mean("accuracy") < bottom
      ]
    if not s.smoke:
      for family in dict.fromkeys(points[0].family for points in curves):
        _paper_points(axes, family, bottom, hidden)
      axes.plot([], [], "o", color="0.4", mfc="none", label="hollow: the paper")
    if reference and reference not in curves:
      accuracy = [100 * p.mean("accuracy") for p in reference]
      axes.plot(
        [p.bits for p in reference],
        accuracy,
        color="0.6",
        lw=3,
        alpha=0.5,
        zorder=0,
        label=reference[0].label,
      )
    if none:
      accuracy = 100 * none.mean("accuracy")
      axes.axhline(accuracy, color="k", lw=0.8, label="uncompressed")
      if not hashing:
        _fold_error(axes, 100 * none.mean("accuracy_std") / 3, best)
    for row, (family, point) in enumerate(hidden):
      axes.annotate(
        f"↓ {point.accuracy:.1f}",
        (DIM * point.bits_per_dimension, bottom),
        xytext=(0, 3 + 9 * (row % 3)),
        textcoords="offset points",
        color=_COLORS[family][0],
        size=7,
        ha="center",
      )
    axes.set_ylim(bottom, best + 0.12 * (best - bottom) / 2)
    top = _bits_axis(axes, shown)
    axes.set_ylabel("accuracy, %")
    axes.set_title(title, size=10, weight="bold", loc="left")
    axes.legend(fontsize=7.5, ncols=2, loc="lower right")
    axes.set_xlabel("bits per face (above: per dimension)")
    top.tick_params(labelsize=8)
  return figure


def draw_distortion(s: Study):
  """Squared error over rate, beside the Gaussian bound."""
  families = [f for f in _COLORS if f not in study.HASHING]
  curves = [
    [p for p in points if p.mean("mse")] for points in s.curves(*families)
  ]
  curves = [points for points in curves if points]
  if not curves:
    return None
  figure, axes = plt.subplots(figsize=(_WIDTH, 5), layout="constrained")
  shown = [p for points in curves for p in points]
  for points in curves:
    _curve(axes, points, "mse", s.epochs())
  _bits_axis(axes, shown)
  axes.set_yscale("log")
  if s.features:
    bound = s.features["test"]["gaussian_bound"]
    bits, mse = np.array(bound["bits_per_feature"]), np.array(bound["mse"])
    visible = (bits >= axes.get_xlim()[0]) & (bits <= axes.get_xlim()[1])
    visible &= mse > min(p.mean("mse") for p in shown) / 5
    axes.plot(bits[visible], mse[visible], "k-", lw=1.5, label="Gaussian bound")
  axes.set_xlabel("bits per face (above: per dimension)")
  axes.set_ylabel("mean squared error per dimension")
  axes.legend(fontsize=8, ncols=2, loc="lower left")
  return figure


def draw_objectives(s: Study):
  """Training objectives of the hashing methods."""
  curves = [
    [p for p in points if _objective(p)] for points in s.curves(*study.HASHING)
  ]
  curves = [points for points in curves if points]
  if not curves:
    return None
  figure, all_axes = plt.subplots(
    len(curves),
    figsize=(_WIDTH, 2.3 * len(curves)),
    layout="constrained",
    squeeze=False,
  )
  for axes, points in zip(all_axes[:, 0], curves):
    for i, point in enumerate(points):
      objective = np.array(_objective(point))
      axes.plot(
        np.arange(1, len(objective) + 1),
        objective / objective[0],
        color=plt.get_cmap("viridis")(i / max(len(points), 2)),
        marker="." if len(objective) < 60 else "",
        label=f"{point.setting} bits",
      )
    axes.set_title(points[0].label, size=10, weight="bold", loc="left")
    axes.set_ylabel("objective / first", size=9)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, ncols=2)
  all_axes[-1, 0].set_xlabel("value, in the order of training")
  return figure


def _objective(point: Point) -> Optional[List[float]]:
  return next(iter(point.runs.values())).get("objective")


FIGURES: Dict[str, Callable[[Study], Optional[plt.Figure]]] = {
  "histograms": draw_histograms,
  "spectrum": draw_spectrum,
  "auc": draw_auc,
  "eer": draw_eer,
  "rate_accuracy": draw_rate_accuracy,
  "distortion": draw_distortion,
  "objectives": draw_objectives,
}


def digest(s: Study) -> str:
  """SHA-256 of all that figures are drawn from; each file carries it."""
  drawn = json.dumps([s.runs(), s.features, s.smoke], sort_keys=True)
  return hashlib.sha256(drawn.encode()).hexdigest()


def save(s: Study, folder: pathlib.Path) -> List[str]:
  """Draws every figure that there is something for, as .png and .pdf.

  Args:
    s: the study.
    folder: to write to; figures of an earlier run that there is nothing for
      any more are removed.

  Returns:
    The names of the figures that were drawn.
  """
  folder.mkdir(parents=True, exist_ok=True)
  drawn = []
  for name, draw in FIGURES.items():
    with plt.rc_context({"font.size": 9}):
      figure = draw(s)
    paths = [folder / f"{name}{suffix}" for suffix in (".png", ".pdf")]
    if figure is None:
      for path in paths:
        path.unlink(missing_ok=True)
      continue
    figure.savefig(paths[0], dpi=200, metadata={"Source": digest(s)})
    figure.savefig(
      paths[1], metadata={"Keywords": digest(s), "CreationDate": None}
    )
    plt.close(figure)
    drawn.append(name)
  return drawn


def source_of(path: pathlib.Path) -> Optional[str]:
  """The digest that a .png carries of what it was drawn from."""
  with PIL.Image.open(path) as image:
    return image.info.get("Source")
