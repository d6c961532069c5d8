"""Prints results beside the paper's Table 1; reads result JSONs alone.

  python -m experiments.table --results=demo
  python -m experiments.table --results=experiments/results --update

With --update it replaces what stands between its markers in README.md,
DEVIATIONS.md and FORMAT.md; a test holds them current.
"""

import pathlib
import re
from typing import Any, Callable, Dict, List

import numpy as np
from absl import flags

from experiments import paper
from experiments.pages import replace
from tsenh import cli, files, results

_RESULTS = flags.DEFINE_string(
  "results", None, "Folder of result JSONs, from tsenh.evaluate."
)
_UPDATE = flags.DEFINE_bool(
  "update", False, "Bring the pages of the checkout up to date."
)
flags.mark_flag_as_required("results")

_LAMBDAS = ("1e-4", "1e-5", "1e-6", "1e-7")
_KINDS = (("", ""), ("", "-long"), ("dlib-", ""))
ROOT = pathlib.Path(__file__).resolve().parent.parent


def _percent(metrics: Dict[str, Any]) -> str:
  accuracy, spread = 100 * metrics["accuracy"], 100 * metrics["accuracy_std"]
  return f"{accuracy:.2f} ± {spread:.2f}"


def _mse(result: Dict[str, Any]) -> str:
  """Blank for binary codes, which are compared and never decoded."""
  return "" if result["mse"] is None else f"{result['mse']:.1e}"


def render(evaluations: List[Dict[str, Any]]) -> str:
  """Evaluations beside the paper's Table 1, in Markdown."""
  lines = [
    "| codec | bits per face | BPP | accuracy, % | pairs of 6,000 |"
    " normalized, % | MSE | paper: BPP | accuracy, % |",
    "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
  ]
  for result in evaluations:
    point = paper.counterpart(result["method"])
    published = "| | |"
    if point:
      published = f"| {point.bits_per_dimension:.2f} | {point.accuracy:.2f} |"
    lines.append(
      f"| {result['method']} | {result['bits_per_feature']:.1f}"
      f" | {result['bits_per_dimension']:.2f} | {_percent(result)}"
      f" | {result['correct_pairs']:,} | {_percent(result['normalized'])}"
      f" | {_mse(result)} {published}"
    )
  return "\n".join(lines)


def render_speed(folder: pathlib.Path) -> str:
  """The benchmarks as a list in Markdown."""
  training = results.read(folder / "benchmark_training.json")
  coding = results.read(folder / "benchmark_coding.json")
  kills = results.read(folder / "kill_and_resume.json")["trials"]
  ratios = training["ratio_per_round"]
  steps = {k: np.median(v) for k, v in training["ms_per_step"].items()}
  lines = [
    f"* A training step is {training['ratio_median']:.1f} times as fast as"
    f" under plain Keras `fit` (rounds {min(ratios):.1f} to {max(ratios):.1f};"
    f" medians {steps['tsenh']:.2f} and {steps['keras_fit']:.2f} ms)."
  ]
  for packing in ("shared", "separate"):
    run = coding[packing]
    lines.append(
      f"* {coding['num_features']:,} features, `--packing={packing}`: encoded"
      f" at {run['encode']['features_per_second']:,} a second in"
      f" {run['encode']['peak_memory_mib']:.0f} MiB of memory, decoded at"
      f" {run['decode']['features_per_second']:,} a second in"
      f" {run['decode']['peak_memory_mib']:.0f} MiB, whole processes."
    )
  same = sum(trial["identical"] for trial in kills)
  lines.append(
    f"* Of {len(kills)} training runs killed at random times and resumed,"
    f" {same} ended in the bits of the run that was left alone."
  )
  return "\n".join(lines)


def render_portable(folder: pathlib.Path) -> str:
  """How far NumPy and TensorFlow are apart, as a sentence."""
  codecs = results.read(folder / "portable.json")["codecs"]
  difference = max(c["largest_difference_over_length"] for c in codecs)
  elements = sum(c["elements"] for c in codecs)
  other = sum(c["elements_rounded_otherwise"] for c in codecs)
  farthest = max(c["farthest_of_those_from_a_half"] for c in codecs)
  return (
    f"Measured on LFW with the {len(codecs)} shipped codecs,"
    f" NumPy in double against TensorFlow in single precision: decoded features"
    f" differ by at most {difference:.1e} of their length, and {other} of"
    f" {elements:,} elements of codes round to another integer, none of them"
    f" further than {farthest:.1e} from a half."
  )


def _by_variant(study):
  """The runs of the study of silent choices, by variant and lambda."""
  table = {}
  for run in study["runs"]:
    table.setdefault(run["variant"], {})[run["lambda"]] = run
  return table


def _bpp(validation) -> float:
  return validation["entropy_bits_per_feature"] / 128


def _distance(rates, published) -> str:
  """Mean distance to the paper's rates, in octaves."""
  if len(rates) < len(published):
    return ""
  return f"{np.mean(np.abs(np.log2(np.divide(rates, published)))):.2f}"


def render_sensitivity(folder: pathlib.Path) -> str:
  """Two tables in Markdown: at 40 epochs' updates, and at each run's end."""
  study = results.read(folder / "sensitivity.json")
  published = study["paper_bits_per_dimension"]
  head = [
    "| | " + " | ".join(_LAMBDAS) + " | from the paper's rates, octaves |",
    "|---|" + "--:|" * (len(_LAMBDAS) + 1),
    "| *paper* | " + " | ".join(f"*{p:.2f}*" for p in published) + " | |",
  ]
  first, last = [], []
  for variant, runs in _by_variant(study).items():
    cells, rates = [], []
    for lmbda in _LAMBDAS:
      if lmbda in runs:
        v = runs[lmbda]["validations"][0]
        rates.append(_bpp(v))
        cells.append(f"{_bpp(v):.2f}, {v['correct_pairs']:,}")
      else:
        cells.append("")
    distance = _distance(rates, published)
    first.append(f"| {variant} | {' | '.join(cells)} | {distance} |")
    cells, rates = [], []
    for lmbda in _LAMBDAS:
      run = runs.get(lmbda)
      if run is None or run["rate_change_when_doubled"] is None:
        cells.append("")
        continue
      v = run["validations"][-1]
      rates.append(_bpp(v))
      moved = 100 * run["rate_change_when_doubled"]
      unsettled = "" if run["settled"] else f" ({moved:+.0f} %)"
      cells.append(
        f"{_bpp(v):.2f}, {v['correct_pairs']:,}, {v['step'] / 1e3:,.0f} k"
        f"{unsettled}"
      )
    if any(cells):
      distance = _distance(rates, published)
      last.append(f"| {variant} | {' | '.join(cells)} | {distance} |")
  return "\n".join(
    [
      "At the 82,524 updates that stand for 40 epochs: BPP, correct pairs of"
      " 6,000.",
      "",
      *head,
      *first,
      "",
      "At the end of each run: BPP, correct pairs, thousands of updates; in"
      " brackets how far the last doubling moved the rate, where that is 2 % or"
      " more and the run is not settled.",
      "",
      *head,
      *last,
    ]
  )


def render_elements(folder: pathlib.Path) -> str:
  """How many elements of each shipped codec's code say something."""
  del folder  # The codecs' own tables tell.
  names = [f"{start}pro-{{}}{end}" for start, end in _KINDS]
  lines = [
    "| lambda | " + " | ".join(n.format("LAMBDA") for n in names) + " |",
    "|---|" + "--:|" * len(names),
  ]
  for lmbda in _LAMBDAS:
    counts = []
    for name in names:
      path = ROOT / "checkpoints" / name.format(lmbda) / "tables.npz"
      with np.load(path) as arrays:
        p = np.diff(arrays["cdf"]) / arrays["cdf"][:, -1:]
      entropies = -np.sum(p * np.log2(np.where(p > 0, p, 1)), axis=1)
      counts.append(f"{np.count_nonzero(entropies > 0.1)}")
    lines.append(f"| {lmbda} | {' | '.join(counts)} |")
  return "\n".join(lines)


def render_sq_sweep(folder: pathlib.Path) -> str:
  """SQ's rate and accuracy over QP, in Markdown."""
  study = results.read(folder / "sq_sweep.json")
  lines = [
    "| QP | floor (Eq. 8): BPP | accuracy, % | truncation: BPP | accuracy, % |"
    " codes unscaled: accuracy, % |",
    "|--:|--:|--:|--:|--:|--:|",
  ]
  for point in study["points"]:
    if point["qp"] in (30, 40, 43, 44, 45, 46, 49, 50, 52, 54, 56, 58):
      accuracy = {
        key: f"{100 * count / study['num_pairs']:.2f}"
        for key, count in point["correct_pairs"].items()
      }
      bpp = point["bits_per_dimension"]
      lines.append(
        f"| {point['qp']} | {bpp['floor']:.2f} | {accuracy['floor']}"
        f" | {bpp['truncation']:.2f} | {accuracy['truncation']}"
        f" | {accuracy['unscaled']} |"
      )
  return "\n".join(lines)


def best_teachers(folder: pathlib.Path) -> Dict[str, str]:
  """Of each lambda the teacher with the most correct pairs; ties: the nearer.

  Args:
    folder: of results, with those of `make choices` in choices/.
  """
  best: Dict[str, str] = {}
  for lmbda, taught in _taught(folder).items():
    teachers = sorted(filter(None, taught), reverse=True, key=float)
    best[lmbda] = max(teachers, key=lambda t: taught[t]["correct_pairs"])
  return best


def _taught(folder: pathlib.Path) -> Dict[str, Dict[str, Any]]:
  """Results by lambda and teacher; the codec's own under an empty name."""
  found: Dict[str, Dict[str, Any]] = {lmbda: {} for lmbda in _LAMBDAS}
  for path in sorted((folder / "choices").glob("pro-*.json")):
    result = results.read(str(path))
    name = re.fullmatch(r"pro-(?:e-)?(1e-\d)-(?:(1e-\d)-)?s0", result["method"])
    found[name[1]][name[2] or ""] = result
  return found


def render_teachers(folder: pathlib.Path) -> str:
  """Every teacher of every student on held-out people, in Markdown."""
  lines = [
    "| lambda | teacher | correct pairs of 6,000 | normalized | MSE |",
    "|---|---|--:|--:|--:|",
  ]
  best = best_teachers(folder)
  for lmbda, taught in _taught(folder).items():
    for teacher in sorted(taught, key=lambda t: -float(t or 1)):
      result = taught[teacher]
      name = f"**{teacher}**" if teacher == best[lmbda] else teacher or "none"
      lines.append(
        f"| {lmbda} | {name} | {result['correct_pairs']:,}"
        f" | {result['normalized']['correct_pairs']:,} | {result['mse']:.3e} |"
      )
  return "\n".join(lines)


def render_hashing(folder: pathlib.Path) -> str:
  """Hashing on people it learned from and on others, in Markdown."""
  study = results.read(str(folder / "hashing.json"))
  lines = [
    "| | AUC, people of the training set, % | AUC, other people, % |",
    "|---|--:|--:|",
  ]
  for point in study["points"]:
    aucs = (100 * point[f"auc_{name}"] for name in ("seen", "unseen"))
    lines.append(
      f"| {point['method']} | " + " | ".join(f"{a:.2f}" for a in aucs) + " |"
    )
  return "\n".join(lines)


def _evaluations(feature_set: str) -> Callable[[pathlib.Path], str]:
  return lambda folder: render(results.read_evaluations(folder, feature_set))


# What stands between a pair of markers in a page is made from JSONs.
PAGES: Dict[str, Dict[str, Callable[[pathlib.Path], str]]] = {
  "README.md": {
    "table": _evaluations("lfw"),
    "dlib": _evaluations("dlib-lfw"),
    "speed": render_speed,
  },
  "DEVIATIONS.md": {
    "sensitivity": render_sensitivity,
    "elements": render_elements,
    "teachers": render_teachers,
    "hashing": render_hashing,
    "sq_sweep": render_sq_sweep,
  },
  "FORMAT.md": {"portable": render_portable},
}


def updated(page: str, folder: pathlib.Path) -> str:
  """A page's text with what is made from the results of a folder."""
  text = (ROOT / page).read_text()
  for name, render_part in PAGES[page].items():
    text = replace(text, name, render_part(folder))
  return text


def main():
  folder = pathlib.Path(_RESULTS.value)
  if not _UPDATE.value:
    print(render(results.read_evaluations(folder)))
    return
  for page in PAGES:
    text = updated(page, folder)
    with files.replacing(str(ROOT / page)) as file:
      file.write(text.encode())


if __name__ == "__main__":
  cli.run(main)
