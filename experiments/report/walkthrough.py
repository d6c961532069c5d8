"""Draws the figures of docs/walkthrough.md: one face, its code, its bytes.

python -m experiments.report.walkthrough --output=docs/figures
"""

import pathlib

import matplotlib

matplotlib.use("Agg")

import numpy as np
from absl import flags
from matplotlib import pyplot as plt

import tsenh
from tsenh.base import command_line

_OUTPUT = flags.DEFINE_string("output", None, "The folder to write to.")
flags.mark_flag_as_required("output")

CODEC = "pro-3e-5"
SYMBOLS_SHOWN = 4


def draw_code(f_raw, code, decoded):
  """The feature, its code, and the decoded feature over the feature."""
  figure, axes = plt.subplots(
    3, 1, figsize=(7.2, 6), layout="constrained", height_ratios=[1, 1, 1.4]
  )
  axes[0].bar(range(len(f_raw)), f_raw, color="C0")
  axes[0].set_title("f_raw: the feature's 128 numbers")
  axes[1].bar(range(len(code)), code, color="C1")
  axes[1].set_title(
    f"c: its code, {np.count_nonzero(code)} of {len(code)} integers not 0"
  )
  axes[2].plot(f_raw, decoded, "o", ms=4, color="C3")
  limit = 1.1 * np.abs(f_raw).max()
  axes[2].plot([-limit, limit], [-limit, limit], "k", lw=0.8)
  axes[2].set(xlabel="f_raw", ylabel="f_rec", aspect="equal")
  axes[2].set_title("f_rec: decoded, against the feature")
  return figure


def draw_bits(bits):
  """Bits of each element, in order of cost."""
  figure, axes = plt.subplots(figsize=(7.2, 3), layout="constrained")
  axes.bar(range(len(bits)), np.sort(bits)[::-1], color="C1")
  axes.set_xlabel("element of the code, the costliest first")
  axes.set_ylabel("-log2 p, bits")
  axes.set_title(f"{bits.sum():.0f} bits in all")
  return figure


def draw_interval(probabilities, symbols, names):
  """The narrowing interval, each row a magnification of the one above."""
  rows = len(symbols)
  figure, axes = plt.subplots(figsize=(7.2, 4), layout="constrained")
  low, high = 0.0, 1.0
  for row, (p, symbol) in enumerate(zip(probabilities, symbols)):
    edges = np.concatenate([[0], np.cumsum(p)])
    y = rows - 1 - row
    for s in range(len(p)):
      axes.barh(
        y,
        p[s],
        left=edges[s],
        height=0.5,
        color="C1" if s == symbol else "0.9",
        edgecolor="0.4",
        lw=0.5,
      )
    begin, end = edges[symbol], edges[symbol + 1]
    axes.text(
      0.003,
      y + 0.31,
      f"{names[row]}, in [{low:.6f}, {high:.6f})",
      size=8,
      va="bottom",
      bbox={"color": "white", "pad": 0.5},
    )
    if row + 1 < rows:
      for x, corner in ((begin, 0), (end, 1)):
        axes.plot([x, corner], [y - 0.25, y - 0.75], color="C1", lw=0.8)
    low, high = low + begin * (high - low), low + end * (high - low)
  axes.set_title(
    f"After {rows} symbols: a number in [{low:.6f}, {high:.6f})", size=10
  )
  axes.set_xlim(0, 1)
  axes.set_ylim(-0.5, rows - 0.2)
  axes.axis("off")
  return figure


def main():
  folder = pathlib.Path(_OUTPUT.value)
  folder.mkdir(parents=True, exist_ok=True)
  lfw = tsenh.load_features("lfw")
  f_raw = lfw.features[lfw.pairs[0, 0]]
  codec = tsenh.load(CODEC)
  code = codec.transform.encode(f_raw[None])[0]
  decoded = codec.transform.decode(code[None])[0]
  coder = codec.coder
  probabilities = np.diff(coder.cdf) / coder.cdf[0, -1]
  symbols = code - coder.lower
  bits = -np.log2(probabilities[np.arange(len(code)), symbols])
  # Elements that say something; a sure one leaves the interval as it is.
  telling = np.flatnonzero(bits > 0.3)[:SYMBOLS_SHOWN]
  figures = {
    "code": draw_code(f_raw, code, decoded),
    "bits": draw_bits(bits),
    "interval": draw_interval(
      probabilities[telling],
      symbols[telling],
      [f"element {j} is {code[j]}" for j in telling],
    ),
  }
  for name, figure in figures.items():
    figure.savefig(folder / f"{name}.png", dpi=110)


if __name__ == "__main__":
  command_line.run(main)
