"""The figures of docs/walkthrough.md: one face, its code, its bytes."""

import functools
from typing import Any, Callable, Iterator, NamedTuple, Tuple

import numpy as np
from matplotlib import pyplot as plt

from tsenh.data import manifests
from tsenh.training import run_folders

CODEC = "pro-3e-5"
SYMBOLS_SHOWN = 4


class _Face(NamedTuple):
  """What the figures show."""

  f_raw: np.ndarray
  code: np.ndarray
  decoded: np.ndarray
  probabilities: np.ndarray  # Of each element's symbols.
  symbols: np.ndarray
  bits: np.ndarray  # Of each element.


@functools.cache
def _face() -> _Face:
  """The first face of the first pair, coded."""
  import tsenh

  lfw = tsenh.load_features(manifests.default().tests[0])
  f_raw = lfw.features[lfw.pairs[0, 0]]
  codec = tsenh.load(CODEC)
  code = codec.transform.encode(f_raw[None])[0]
  decoded = codec.transform.decode(code[None])[0]
  coder = codec.coder
  probabilities = np.diff(coder.cdf) / coder.cdf[0, -1]
  symbols = code - coder.lower
  bits = -np.log2(probabilities[np.arange(len(code)), symbols])
  return _Face(f_raw, code, decoded, probabilities, symbols, bits)


def draw_code():
  """The feature, its code, and the decoded feature over the feature."""
  f_raw, code, decoded = _face()[:3]
  figure, axes = plt.subplots(
    3, 1, figsize=(7.2, 6), layout="constrained", height_ratios=[1, 1, 1.4]
  )
  axes[0].bar(range(len(f_raw)), f_raw, color="C0")
  axes[0].set_title(f"f_raw: the feature's {len(f_raw)} numbers")
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


def draw_bits():
  """Bits of each element, in order of cost."""
  bits = _face().bits
  figure, axes = plt.subplots(figsize=(7.2, 3), layout="constrained")
  axes.bar(range(len(bits)), np.sort(bits)[::-1], color="C1")
  axes.set_xlabel("element of the code, the costliest first")
  axes.set_ylabel("-log2 p, bits")
  axes.set_title(f"{bits.sum():.0f} bits in all")
  return figure


def draw_interval():
  """The narrowing interval, each row a magnification of the one above."""
  face = _face()
  # Elements that say something; a sure one leaves the interval as it is.
  telling = np.flatnonzero(face.bits > 0.3)[:SYMBOLS_SHOWN]
  probabilities, symbols = face.probabilities[telling], face.symbols[telling]
  names = [f"element {j} is {face.code[j]}" for j in telling]
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


def pictures() -> Iterator[Tuple[str, str, Callable[[], Any]]]:
  """Each figure: its name, the digest of its data, its drawing."""
  config = run_folders.finished(CODEC)[1]
  test_set = manifests.sets()[manifests.default().tests[0]]
  data = config["codec_digest"] + config["table_digest"] + test_set.digest
  for draw in (draw_code, draw_bits, draw_interval):
    yield f"walkthrough/{draw.__name__.removeprefix('draw_')}", data, draw
