"""What stands between the markers of the other pages, as Markdown.

Each function takes the folder of all results; in front of what it shows stands
a sentence where that is not current.
"""

import json
import pathlib
from typing import Any, Dict

import numpy as np
import pandas as pd

from experiments import published, staleness
from experiments.report import reader
from experiments.report.tables import markdown
from tsenh.base import provenance, results
from tsenh.data import manifests

_QPS = (30, 40, 43, 44, 45, 46, 49, 50, 52, 54, 56, 58)


def _read(folder: pathlib.Path, *names: str):
  """The warning of some results, and these."""
  read = [results.read(str(folder / name)) for name in names]
  return staleness.sentence(zip(names, map(staleness.reasons, read))), *read


def render_speed(folder: pathlib.Path) -> str:
  """The benchmarks of training and coding, and of killing training runs."""
  names = ("training", "coding", "kill_and_resume")
  names = [f"benchmarks/{name}.json" for name in names]
  warning, training, coding, kills = _read(folder, *names)
  ratios, ms = training["ratio_per_round"], training["ms_per_step"]
  rows = []
  for packing in ("shared", "separate"):
    for way in ("encode", "decode"):
      row = {
        f"{coding['num_features']:,} features": f"{way}, {packing} packing"
      }
      rows.append({**row, **coding[packing][way]})
  return (
    f"{warning}\n\n"
    f"A training step is {training['ratio_median']:.1f} times as fast as under"
    f" plain Keras `fit` (rounds {min(ratios):.1f} to {max(ratios):.1f}:"
    f" {np.median(ms['tsenh']):.2f} against {np.median(ms['keras_fit']):.2f}"
    f" ms).\n\nOf {len(kills['trials'])} training runs killed at random times,"
    f" {kills['num_resumed']} were past their first checkpoint;"
    f" {kills['num_resumed_identical']} of these resumed to the bits of the run"
    f" that was left alone.\n\nWhole processes:\n\n{markdown(rows)}"
  )


def render_portable(folder: pathlib.Path) -> str:
  """How far NumPy and TensorFlow are apart, for each shipped codec."""
  warning, measured = _read(folder, "benchmarks/portable.json")
  columns = "codec largest_difference_over_length elements"
  columns += " elements_rounded_otherwise farthest_of_those_from_a_half"
  return f"{warning}\n\n{markdown(measured['codecs'], columns)}"


def _sensitivity(study, at: int) -> str:
  """All variants at the first validation (0), or at the last (-1)."""
  paper = pd.Series(study["paper_bits_per_dimension"], published.LAMBDAS)
  runs = pd.DataFrame(study["runs"])
  runs = runs.join(pd.DataFrame(runs["validations"].str[at].tolist()))
  dim = manifests.sets()[manifests.default().validation].dim
  rate = runs["entropy_bits_per_feature"] / dim
  runs["octaves"] = np.log2(rate / runs["lambda"].map(paper)).abs()
  pairs = runs["correct_pairs"].map(", {:,}".format)
  runs["cell"] = rate.map("{:.2f}".format) + pairs
  if at:
    runs["cell"] += (runs["step"] / 1e3).map(", {:,.0f} k".format)
    moved = (100 * runs["rate_change_when_doubled"]).map(" ({:+.0f} %)".format)
    runs["cell"] += moved.mask(runs["settled"], "")
    runs = runs.dropna(subset="rate_change_when_doubled")
  table = runs.pivot(index="variant", columns="lambda", values="cell")
  octaves = runs.pivot(index="variant", columns="lambda", values="octaves")
  table["octaves from the paper's rates"] = octaves.mean(axis=1, skipna=False)
  table.loc["*paper*"] = paper.map("*{:.2f}*".format)
  order = ["*paper*", *runs["variant"].unique()]
  return markdown(table.loc[order].reset_index(names=""))


def render_sensitivity(folder: pathlib.Path) -> str:
  """Each silent choice at the updates of 40 epochs, and at each run's end."""
  warning, study = _read(folder, "studies/sensitivity.json")
  first = study["runs"][0]["validations"][0]
  return (
    f"{warning}\n\nAt the {first['step']:,} updates that stand for"
    f" {published.EPOCHS} epochs: BPP, correct pairs of"
    f" {first['num_pairs']:,}.\n\n{_sensitivity(study, 0)}\n\nAt the end of"
    " each run: BPP, correct pairs, thousands of updates; in brackets how far"
    " the last doubling moved the rate of a run that is not settled.\n\n"
    f"{_sensitivity(study, -1)}"
  )


def render_hashing(folder: pathlib.Path) -> str:
  """Hashing on people it learned from and on others."""
  warning, study = _read(folder, "studies/hashing.json")
  return f"{warning}\n\n{markdown(study['points'])}"


def render_sq_sweep(folder: pathlib.Path) -> str:
  """SQ's rate and accuracy over QP."""
  warning, study = _read(folder, "studies/sq_sweep.json")
  rows = []
  for point in study["points"]:
    row = {"QP": str(point["qp"])}
    for name, pairs in point["correct_pairs"].items():
      if name in point["bits_per_dimension"]:
        row[f"{name}: BPP"] = point["bits_per_dimension"][name]
      row[f"{name}: accuracy"] = f"{pairs / study['num_pairs']:.2%}"
    rows += [row] if point["qp"] in _QPS else []
  return f"{warning}\n\n{markdown(rows)}"


def _checkpoints() -> Dict[pathlib.Path, Any]:
  """Config of each shipped codec, by its folder."""
  paths = sorted((provenance.ROOT / "checkpoints").glob("*/config.json"))
  return {path.parent: json.loads(path.read_text()) for path in paths}


def render_elements(folder: pathlib.Path) -> str:
  """How many elements of each learned codec's code cost more than 0.1 bit."""
  del folder  # The codecs' own tables tell.
  rows = {lmbda: {"lambda": lmbda} for lmbda in published.LAMBDAS}
  for path, config in _checkpoints().items():
    if "lambda" in config:
      with np.load(path / "tables.npz") as arrays:
        p = np.diff(arrays["cdf"]) / arrays["cdf"][:, -1:]
      entropies = -np.sum(p * np.log2(np.where(p > 0, p, 1)), axis=1)
      lmbda = next(name for name in rows if float(name) == config["lambda"])
      name = path.name.replace(lmbda, "LAMBDA")
      rows[lmbda][name] = np.sum(entropies > 0.1)
  return markdown(rows.values())


def studies(folder: pathlib.Path) -> Dict[str, reader.Study]:
  """The evaluations of each network that has some, the default one first."""
  return {
    name: reader.read(str(folder / "paper" / name), manifests.TEST)
    for name in manifests.networks()
    if (folder / "paper" / name).is_dir()
  }


def _with_warning(runs: pd.DataFrame, table: str) -> str:
  return f"{staleness.sentence(zip(runs['file'], runs['stale']))}\n\n{table}"


def taught(folder: pathlib.Path) -> pd.DataFrame:
  """The choice of teachers: PRO alone and with each teacher, by lambda.

  Returns:
    As `Study.runs`, and in `best` whether a teacher has the most correct pairs
    of a lambda's; of equals it is the nearer one.
  """
  choices = folder / "choices" / manifests.default().name
  runs = reader.read(str(choices), manifests.VALIDATION).runs
  runs = runs.query("family in ('pro', 'pro-e')")
  runs = runs.sort_values(["setting", "teacher"])
  students = runs.query("teacher != ''").groupby("setting")
  best = students["correct_pairs"].idxmax()  # The first of equals.
  return runs.assign(best=runs.index.isin(best))


def render_teachers(folder: pathlib.Path) -> str:
  """Every teacher of every student on held-out people; the best is bold."""
  runs = taught(folder)
  bold = "**" + runs["teacher"] + "**"
  runs["teacher"] = runs["teacher"].replace("", "none").mask(runs["best"], bold)
  runs["mse"] = runs["mse"].map("{:.3e}".format)
  columns = "setting teacher correct_pairs normalized mse"
  return _with_warning(runs, markdown(runs, columns, setting="lambda"))


def render_results(folder: pathlib.Path) -> str:
  """Five points that show what came out, and what did not."""
  frame = reader.summary(studies(folder)[manifests.default().name])
  recipe = f"setting == '1e-5' and epochs == {published.EPOCHS}"
  five = (
    f"family == 'none' or {recipe} or (family == 'pq' and setting == '256')"
  )
  frame = frame.query(five).assign(bytes=frame["bits"] / 8)
  columns = "label setting bytes accuracy accuracy_sd correct_pairs normalized"
  return _with_warning(pd.concat(list(frame["runs"])), markdown(frame, columns))


def render_zoo(folder: pathlib.Path) -> str:
  """The shipped codecs, each with the evaluation of its digest."""
  runs = pd.concat([study.runs for study in studies(folder).values()])
  runs = runs[~runs["family"].str.endswith("-e")].set_index("codec_digest")
  rows, shown = [], []
  for path, config in _checkpoints().items():
    found = runs[runs.index == config["codec_digest"]][:1]
    row = next(iter(found.to_dict("records")), {})
    row.update(name=path.name, bytes=row.get("bits", np.nan) / 8)
    row.update(trained_on=config["features"], updates=config.get("steps"))
    rows.append({**row, "epochs": config.get("epochs")})
    shown.append(found)
  columns = "name trained_on epochs updates bits bytes accuracy"
  return _with_warning(pd.concat(shown), markdown(rows, columns))
