"""Draws accuracy against rate beside the paper's points; reads JSONs alone.

  python -m experiments.figures --results=demo --output=demo/rate_accuracy

writes demo/rate_accuracy.png and .pdf.
"""

import matplotlib

matplotlib.use("Agg")

from absl import flags
from matplotlib import pyplot as plt

from experiments import paper
from tsenh import cli, results

_RESULTS = flags.DEFINE_string(
  "results", None, "Folder of result JSONs, from tsenh.evaluate."
)
_OUTPUT = flags.DEFINE_string(
  "output", None, "The pictures to write, without their suffix."
)
flags.mark_flags_as_required(["results", "output"])

LOWEST = 95  # Percent; what the paper has below is named in the legend.
_COLORS = {"PRO": "C3", "SQ": "C0", "PQ": "C2", "OPQ": "C4"}
_OURS = {"pro": "PRO", "sq:": "SQ"}


def draw(evaluations):
  """A figure of accuracy against bits per dimension."""
  figure, axes = plt.subplots(figsize=(7.2, 4.6), layout="constrained")
  for method, color in _COLORS.items():
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
  for prefix, method in _OURS.items():
    ours = [e for e in evaluations if e["method"].startswith(prefix)]
    if ours:
      drawn.update(e["method"] for e in ours)
      _errorbar(
        axes, ours, "o-", color=_COLORS[method], label=f"{method}, here"
      )
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


def main():
  figure = draw(results.read_evaluations(_RESULTS.value))
  for suffix, metadata in (("png", {}), ("pdf", {"CreationDate": None})):
    path = f"{_OUTPUT.value}.{suffix}"
    figure.savefig(path, dpi=150, metadata=metadata)
    print(f"wrote {path}")


if __name__ == "__main__":
  cli.run(main)
