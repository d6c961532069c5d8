"""Draws figures from result JSONs alone.

  python -m experiments.figures --results=demo

writes rate_accuracy.png and .pdf, accuracy against rate beside the paper's
points, into the folder; where it holds sensitivity.json also length.png and
.pdf, what becomes of a codec as it is trained longer.
"""

import pathlib
import re

import matplotlib

matplotlib.use("Agg")

from absl import flags
from matplotlib import pyplot as plt

from experiments import paper
from tsenh import cli, results

_RESULTS = flags.DEFINE_string(
  "results", None, "Folder of result JSONs, from tsenh.evaluate."
)
flags.mark_flag_as_required("results")

LOWEST = 95  # Percent; what the paper has below is named in the legend.
_PAPER = {"PRO": "C3", "SQ": "C0", "PQ": "C2", "OPQ": "C4"}
# Our lines: the methods' names, their label, color and style.
_OURS = (
  (r"pro-[^-]+-\d", "PRO, here, 40 epochs", "C3", "o-"),
  (r"pro-.*-long", "PRO, here, 400 epochs", "C1", "^-"),
  (r"sq:\d+", "SQ, here", "C0", "o-"),
)


def draw(evaluations):
  """A figure of accuracy against bits per dimension."""
  figure, axes = plt.subplots(figsize=(7.2, 4.6), layout="constrained")
  for method, color in _PAPER.items():
    points = [p for p in paper.TABLE_1[method] if p.accuracy >= LOWEST]
    hidden = [p for p in paper.TABLE_1[method] if p.accuracy < LOWEST]
    beyond = "".join(
      f" ({p.accuracy:.2f} at {p.bits_per_dimension} not shown)" for p in hidden
    )
    axes.plot(
      [p.bits_per_dimension for p in points],
      [p.accuracy for p in points],
      "o--",
      color=color,
      mfc="none",
      alpha=0.6,
      label=f"{method}, paper{beyond}",
    )
  drawn = set()
  for pattern, label, color, style in _OURS:
    ours = [e for e in evaluations if re.fullmatch(pattern, e["method"])]
    if ours:
      drawn.update(e["method"] for e in ours)
      _errorbar(axes, ours, style, color=color, label=label)
  for result in evaluations:
    if result["method"] == "none":
      accuracy = 100 * result["accuracy"]
      axes.axhline(
        accuracy, color="k", lw=0.8, label=f"uncompressed, here {accuracy:.2f}"
      )
    elif result["method"] not in drawn:
      _errorbar(axes, [result], "D", label=result["method"])
  axes.axhline(
    paper.UNCOMPRESSED_ACCURACY,
    color="k",
    lw=0.8,
    ls=":",
    label=f"uncompressed, paper {paper.UNCOMPRESSED_ACCURACY}",
  )
  axes.set_xscale("log", base=2)
  ticks = [0.5, 1, 2, 4, 8]
  axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
  axes.set_xlabel("rate, bits per feature dimension (128 dimensions)")
  axes.set_ylabel("LFW verification accuracy, %")
  axes.set_title("Bars: standard error of the mean over the ten folds", size=9)
  axes.grid(alpha=0.3)
  axes.legend(fontsize=8, ncols=2, loc="lower right")
  return figure


def _errorbar(axes, evaluations, style, **kwargs):
  axes.errorbar(
    [e["bits_per_dimension"] for e in evaluations],
    [100 * e["accuracy"] for e in evaluations],
    [100 * e["accuracy_std"] / 9**0.5 for e in evaluations],
    fmt=style,
    capsize=2,
    lw=1.5,
    **kwargs,
  )


def draw_length(study):
  """Rate, distortion and validation accuracy against updates."""
  runs = [run for run in study["runs"] if run["variant"] == "default"]
  figure, axes = plt.subplots(
    3, 1, figsize=(7.2, 8), sharex=True, layout="constrained"
  )
  for i, run in enumerate(runs):
    validations = run["validations"]
    style = {
      "marker": ".",
      "color": f"C{i}",
      "label": f"lambda {run['lambda']}",
    }
    steps = [v["step"] for v in validations]
    bits = [v["entropy_bits_per_feature"] / 128 for v in validations]
    axes[0].plot(steps, bits, **style)
    published = study["paper_bits_per_dimension"][i]
    axes[0].axhline(published, color=f"C{i}", ls=":", lw=1)
    axes[1].plot(steps, [v["mse"] for v in validations], **style)
    accuracy = [100 * v["accuracy"] for v in validations]
    axes[2].plot(steps, accuracy, **style)
  axes[0].set_ylabel("bits per dimension")
  axes[0].set_title("Dotted: the paper's rates, in the same order", size=9)
  axes[1].set_ylabel("mean squared error")
  axes[1].set_yscale("log")
  axes[2].set_ylabel("accuracy on faces-validation, %")
  axes[2].set_xlabel("updates (batches of 32)")
  for panel in axes:
    panel.set_xscale("log")
    panel.axvline(82_600, color="0.6", lw=0.8)
    panel.axvline(4_125_000, color="0.6", lw=0.8, ls="--")
    panel.grid(alpha=0.3)
  low = axes[1].get_ylim()[0]
  axes[1].text(82_600, low, " 40 epochs here", va="bottom")
  axes[1].text(4_125_000, low, "the paper ", va="bottom", ha="right")
  axes[0].legend(fontsize=8)
  return figure


def _save(figure, path: pathlib.Path) -> None:
  for suffix, metadata in ((".png", {}), (".pdf", {"CreationDate": None})):
    figure.savefig(path.with_suffix(suffix), dpi=150, metadata=metadata)
    print(f"wrote {path.with_suffix(suffix)}")


def main():
  folder = pathlib.Path(_RESULTS.value)
  _save(draw(results.read_evaluations(folder)), folder / "rate_accuracy")
  study = folder / "sensitivity.json"
  if study.exists():
    _save(draw_length(results.read(study)), folder / "length")


if __name__ == "__main__":
  cli.run(main)
