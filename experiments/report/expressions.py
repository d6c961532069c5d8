"""What stands between the markers of docs/expressions.md, and its figures.

A result's name is HIDDEN_METHOD-sSEED: the half that is hidden, what taught.
All tests of the page are one family.
"""

import functools
import hashlib
import pathlib
import re
from typing import Any, Callable, Dict, Iterator, List, Tuple

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from experiments import staleness
from experiments.report import tables
from tsenh.base import provenance, results
from tsenh.recognition import expression_scores, expression_sets
from tsenh.recognition.expression_sets import EMOTIONS

FOLDER = "expression"
HIDDEN = {
  "none": "nothing",
  "upper": "upper half",
  "lower": "lower half",
}
METHODS = {
  "teacher": "teacher, trained on whole faces",
  "plain": "plain",
  "kd": "distillation",
  "triplet": "triplet across the two",
  "kd+triplet": "distillation + triplet, SVM",
  "plain+plain": "two plain of different seeds, SVM",
  "votes": "plain, votes as labels (ours)",
  "kd-votes": "distillation, votes as labels (ours)",
  "kd-stages": "distillation of answers and stages (ours)",
  "kd-votes+triplet": "distillation with votes + triplet, SVM (ours)",
  "mixed": "one student for all three, distillation with votes (ours)",
  "shipped-float": "shipped, weights of 16 bits",
  "shipped-int8": "shipped, 8 bits",
}
# What is tested against what.
_TESTED = (
  *(("plain", "teacher"), ("kd", "plain"), ("triplet", "plain")),
  *(("kd+triplet", "plain"), ("plain+plain", "plain")),
  *(("kd+triplet", "plain+plain"), ("votes", "plain"), ("kd-votes", "plain")),
  *(("kd-stages", "kd"), ("kd-votes+triplet", "kd+triplet")),
  *(("kd-votes", "kd+triplet"), ("mixed", "kd+triplet")),
)
# Drawn emotion by emotion.
_SHOWN = (("none", "teacher"), ("upper", "plain"), ("lower", "plain"))
_NAME = re.compile(r"(none|upper|lower)_(.+)-s(\d+)")
_WIDTH = 5.0
_SAMPLE = provenance.ROOT / "tests" / "samples" / "ferplus"


def read(folder: pathlib.Path) -> pd.DataFrame:
  """The results, a row each, in the order of tables."""
  rows = []
  for path in sorted((folder / FOLDER).glob("*.json")):
    match = _NAME.fullmatch(path.stem)
    if match is None or match[2] not in METHODS:
      continue
    result = results.read(str(path))
    rows.append(
      {
        "file": path.name,
        "stale": staleness.reasons(result),
        "hidden": match[1],
        "method": match[2],
        "seed": int(match[3]),
        "accuracy": 100 * result["accuracy"],
        "without": 100 * result["without_copies"]["accuracy"],
        "mean_class": 100 * result["mean_class_accuracy"],
        "hits": expression_scores.hits(result),
        "result": result,
      }
    )
  found = pd.DataFrame(rows)
  if found.empty:
    return found
  order = [
    found["hidden"].map(list(HIDDEN).index),
    found["method"].map(list(METHODS).index),
    found["seed"],
  ]
  return found.iloc[np.lexsort(order[::-1])].reset_index(drop=True)


def _groups(runs: pd.DataFrame) -> Dict[Tuple[str, str], pd.DataFrame]:
  """The seeds of each method on each half."""
  if runs.empty:
    return {}
  return dict(list(runs.groupby(["hidden", "method"], sort=False)))


def _with_status(runs: pd.DataFrame, text: str) -> str:
  if runs.empty:
    return text
  status = staleness.sentence(zip(runs["file"], runs["stale"]))
  return f"{status}\n\n{text}" if status else text


def render_expression_accuracy(folder: pathlib.Path) -> str:
  """Accuracy on the test part, by what is hidden and what taught."""
  runs = read(folder)
  rows = [
    {
      "hidden": HIDDEN[hidden],
      "method": METHODS[method],
      "accuracy": own["accuracy"].mean(),
      "over_seeds": own["accuracy"].std(ddof=1),
      "without": own["without"].mean(),
      "mean_class": own["mean_class"].mean(),
      "seeds": len(own),
    }
    for (hidden, method), own in _groups(runs).items()
  ]
  heads = {
    "over_seeds": "± over seeds",
    "without": "without copies, %",
    "mean_class": "mean over emotions, %",
  }
  return _with_status(runs, tables.markdown(rows, **heads))


def comparisons(folder: pathlib.Path) -> pd.DataFrame:
  """All tests of the page, corrected together; a row each."""
  groups, rows = _groups(read(folder)), []
  for hidden in HIDDEN:
    for second, first in _TESTED:
      pair = [groups.get((hidden, name)) for name in (first, second)]
      if any(own is None for own in pair):
        continue
      a, b = (own.set_index("seed")["hits"] for own in pair)
      # One teacher stands against all seeds.
      seeds = list(b.index) if len(a) == 1 else sorted({*a.index} & {*b.index})
      if not seeds:
        continue
      firsts = [a.iloc[0] if len(a) == 1 else a[seed] for seed in seeds]
      found = expression_scores.compare(firsts, [b[seed] for seed in seeds])
      rows.append(
        {
          "hidden": HIDDEN[hidden],
          "method": METHODS[second],
          "against": METHODS[first],
          "difference": found.difference,
          "interval": f"{found.low:+.2f} to {found.high:+.2f}",
          "p": found.p_value,
          "detectable": found.detectable,
          "seeds": len(seeds),
        }
      )
  return tables.one_family(rows)


def render_expression_tests(folder: pathlib.Path) -> str:
  """Each method against the one that it should improve on."""
  tests = comparisons(folder)
  text = tables.markdown(
    tests,
    "hidden method against difference interval p_shown p_holm_shown detectable"
    " seeds",
    interval="95 %",
    p_shown="p",
    p_holm_shown=f"p (Holm, {len(tests)} tests)",
    detectable="seen with 80 % power, points",
  )
  return _with_status(read(folder), text)


def render_expression_shipped(folder: pathlib.Path) -> str:
  """The card's table: the shipped network on each half, emotion by emotion."""
  runs = read(folder)
  if len(runs):
    runs = runs[runs["method"].str.startswith("shipped")]
  return _classes(runs)


def render_expression_classes(folder: pathlib.Path) -> str:
  """The accuracy of each emotion, the mean over seeds."""
  return _classes(read(folder))


def _classes(runs: pd.DataFrame) -> str:
  rows = []
  for (hidden, method), own in _groups(runs).items():
    row: Dict[str, Any] = {"hidden": HIDDEN[hidden], "method": METHODS[method]}
    row["accuracy"] = own["accuracy"].mean()
    for name in EMOTIONS:
      shares = [r["per_class"][name]["accuracy"] for r in own["result"]]
      row[name] = f"{100 * np.mean(shares):.0f}"
    rows.append(row)
  if rows:
    counts = runs["result"].iloc[0]["per_class"]
    heads = {name: f"{name} ({counts[name]['count']:,})" for name in EMOTIONS}
    return _with_status(runs, tables.markdown(rows, **heads))
  return tables.NOT_MEASURED


def _draw_seen():
  """One face of each emotion, whole and half hidden."""
  parts = expression_sets.load(f"{_SAMPLE}.npz", f"{_SAMPLE}.csv", partial=True)
  test = parts["test"]
  chosen = [int(np.flatnonzero(test.labels == i)[0]) for i in range(8)]
  figure, axes = plt.subplots(3, 8, figsize=(_WIDTH, 2.2))
  half = expression_sets.SIZE // 2
  for j, i in enumerate(chosen):
    axes[0, j].set_title(EMOTIONS[j], fontsize=7, loc="center")
    for k, hidden in enumerate(HIDDEN):
      face = test.images[i].copy()
      if hidden == "upper":
        face[:half] = 0
      elif hidden == "lower":
        face[half:] = 0
      axes[k, j].imshow(face, cmap="gray", vmin=0, vmax=255)
      axes[k, j].set_axis_off()
  return figure


def _draw_classes(runs: pd.DataFrame):
  """Accuracy by emotion: the whole face, and either half."""
  figure, axes = plt.subplots(figsize=(_WIDTH, 2.8))
  groups = _groups(runs)
  width = 0.8 / len(_SHOWN)
  for k, key in enumerate(_SHOWN):
    if key in groups:
      shares = [
        [100 * r["per_class"][name]["accuracy"] for name in EMOTIONS]
        for r in groups[key]["result"]
      ]
      places = np.arange(len(EMOTIONS)) + (k - 1) * width
      label = f"hidden: {HIDDEN[key[0]]} ({METHODS[key[1]]})"
      axes.bar(places, np.mean(shares, axis=0), width, label=label)
  axes.set_xticks(range(len(EMOTIONS)), EMOTIONS, rotation=30)
  axes.set_ylabel("accuracy, %")
  axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.3), frameon=False)
  return figure


def _draw_confusion(runs: pd.DataFrame):
  """Confusion matrices, in percent of each row."""
  groups = _groups(runs)
  shown = [key for key in _SHOWN if key in groups]
  if not shown:
    return None
  figure, axes = plt.subplots(
    len(shown), 1, figsize=(_WIDTH, 3.6 * len(shown)), squeeze=False
  )
  for key, panel in zip(shown, axes[:, 0]):
    counts = sum(np.array(r["confusion"]) for r in groups[key]["result"])
    shares = 100 * counts / counts.sum(axis=1, keepdims=True)
    panel.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    panel.grid(False)
    for (i, j), share in np.ndenumerate(shares):
      color = "white" if share > 50 else "black"
      panel.text(
        j, i, f"{share:.0f}", ha="center", va="center", color=color, fontsize=7
      )
    panel.set_xticks(range(8), EMOTIONS, rotation=30)
    panel.set_yticks(range(8), EMOTIONS)
    panel.set_title(f"hidden: {HIDDEN[key[0]]}; {METHODS[key[1]]}", fontsize=8)
    panel.set(xlabel="predicted", ylabel="majority of votes")
  return figure


def _draw_curves(runs: pd.DataFrame):
  """The accuracy on the validation part while training."""
  figure, panels = plt.subplots(1, 2, figsize=(_WIDTH, 2.6), sharey=True)
  for (hidden, method), own in _groups(runs).items():
    curve = pd.DataFrame(own["result"].iloc[0]["curve"])
    if curve.empty or "+" in method:
      continue
    if method == "teacher":
      if hidden != "none":
        continue
      panel = panels[0]
    elif hidden == "upper" and method != "mixed":
      panel = panels[1]
    else:
      continue
    label = METHODS[method].removesuffix(" (ours)")
    panel.plot(curve["epoch"], 100 * curve["accuracy"], ".-", label=label)
  panels[0].set(title="teacher", ylabel="validation accuracy, %")
  panels[1].set(title="students, upper half hidden")
  for panel in panels:
    panel.set_xlabel("epoch")
    panel.xaxis.get_major_locator().set_params(integer=True)
    panel.legend(fontsize=6)
  return figure


def _draw_embeddings(runs: pd.DataFrame):
  """Embeddings of the test part in the two directions that vary most."""
  drawn = [
    (key, own["result"].iloc[0])
    for key, own in _groups(runs).items()
    if own["result"].iloc[0].get("map")
    and key[1] in ("teacher", "plain", "kd", "triplet")
  ]
  if not drawn:
    return None
  columns = 2
  lines = -(-len(drawn) // columns)
  figure, axes = plt.subplots(
    lines, columns, figsize=(_WIDTH, 2.5 * lines), squeeze=False
  )
  for panel in axes.flat:
    panel.set_axis_off()
  for panel, ((hidden, method), result) in zip(axes.flat, drawn):
    places = expression_scores.places(result["map"])
    labels = np.array([*map(int, result["labels"])])
    for i, name in enumerate(EMOTIONS):
      own = places[labels == i]
      panel.scatter(own[:, 0], own[:, 1], 1.5, f"C{i}", label=name)
    panel.set_title(
      f"{METHODS[method].split(',')[0]}, {HIDDEN[hidden]} hidden", fontsize=7
    )
  figure.legend(
    *axes.flat[0].get_legend_handles_labels(),
    loc="outside lower center",
    ncols=4,
    markerscale=4,
  )
  return figure


def pictures(
  folder: pathlib.Path,
) -> Iterator[Tuple[str, str, Callable[[], Any]]]:
  """Each figure of the page: see `page.pictures`."""
  paths = sorted((folder / FOLDER).glob("*.json"))
  if not paths:
    return
  code = provenance.digests(["experiments/report/expressions.py"])
  parts: List[bytes] = [str(code).encode()]
  parts += [path.read_bytes() for path in (*paths, _SAMPLE.with_suffix(".csv"))]
  digest = hashlib.sha256(b"".join(parts)).hexdigest()
  runs = read(folder)
  yield f"{FOLDER}/seen", digest, _draw_seen
  for name, draw in (
    ("classes", _draw_classes),
    ("confusion", _draw_confusion),
    ("curves", _draw_curves),
    ("embeddings", _draw_embeddings),
  ):
    yield f"{FOLDER}/{name}", digest, functools.partial(draw, runs)
