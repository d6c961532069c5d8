"""What stands between the markers of the other pages, as Markdown.

Each function takes the folder of all results; in front of what it shows stands
a sentence where that is not current.
"""

import collections
import json
import pathlib
from typing import Any, Callable, Dict, Iterator, Tuple

import numpy as np
import pandas as pd

from experiments import choices, published, staleness
from experiments.report import reader
from experiments.report.tables import NOT_MEASURED, TAR_HEADS, markdown
from tsenh.base import provenance, results
from tsenh.data import manifests

_QPS = (30, 40, 43, 44, 45, 46, 49, 50, 52, 54, 56, 58)


def _read(folder: pathlib.Path, *names: str):
  """The warning of some results, and these."""
  read = [results.read(str(folder / name)) for name in names]
  return staleness.sentence(zip(names, map(staleness.reasons, read))), *read


def render_speed(folder: pathlib.Path) -> str:
  """The benchmarks of training and coding."""
  names = [f"benchmarks/{name}.json" for name in ("training", "coding")]
  warning, training, coding = _read(folder, *names)
  ratios, ms = training["ratio_per_round"], training["ms_per_step"]
  rows = []
  for packing in ("shared", "separate"):
    for way in ("encode", "decode"):
      row = {
        f"{coding['num_features']:,} features": f"{way}, {packing} packing"
      }
      for key, value in coding[packing][way].items():
        row[key.replace("_mib", ", MiB").replace("_", " ")] = value
      rows.append(row)
  return (
    f"{warning}\n\n"
    f"A training step is {training['ratio_median']:.1f} times as fast as under"
    f" plain Keras `fit` (rounds {min(ratios):.1f} to {max(ratios):.1f}:"
    f" {np.median(ms['tsenh']):.2f} against {np.median(ms['keras_fit']):.2f}"
    f" ms).{_curve(training)}\n\n{_trainers(training)}"
    f"Whole processes:\n\n{markdown(rows)}"
  )


def _curve(training) -> str:
  """What an update takes beside Keras's where one command trains a curve."""
  curve = training.get("curve")
  if curve is None:
    return ""
  ratios, ms = curve["keras_fit_over_curve"], curve["ms_per_update"]
  return (
    f" Where `train_codec` trains {len(curve['lambdas'])} lambdas in one"
    f" command on {training['cores']} cores, {curve['epochs']} epochs each, an"
    f" update is {np.median(ratios):.1f} times as fast ({min(ratios):.1f} to"
    f" {max(ratios):.1f}: {np.median(ms):.2f} ms), the command's start,"
    " checkpoints and tables counted in."
  )


def _trainers(training) -> str:
  """A step in Keras, PyTorch and ours, if all of them were timed."""
  rows = [
    {
      "a step of": way.replace("_", " "),
      "ms": np.median(training["ms_per_step"][way]),
      "over ours": ratio,
      "over ours, lowest": min(training["over_tsenh_per_round"][way]),
      "over ours, highest": max(training["over_tsenh_per_round"][way]),
    }
    for way, ratio in training.get("over_tsenh", {}).items()
  ]
  return f"{markdown(rows)}\n\n" if rows else ""


def render_growth(folder: pathlib.Path) -> str:
  """Time and memory of encode and decode over what grows."""
  name = "benchmarks/growth.json"
  if not (folder / name).is_file():
    return NOT_MEASURED
  warning, measured = _read(folder, name)
  rows = []
  for line in measured["lines"]:
    row = {
      "features": f"{line['features']:,}",
      "dimensions": line["dim"],
      "of the code": line["code_dim"],
      "bytes each": line["bytes_per_feature"],
    }
    for way in ("encode", "decode"):
      row[f"{way}: s"] = line[way]["seconds"]
      row[f"{way}: peak, MiB"] = line[way]["peak_memory_mib"]
    rows.append(row)
  return f"{warning}\n\n{markdown(rows)}".strip()


def render_peers(folder: pathlib.Path) -> str:
  """The way to bytes and back beside Faiss, the coder beside constriction."""
  name = "benchmarks/peers.json"
  if not (folder / name).is_file():
    return NOT_MEASURED
  warning, measured = _read(folder, name)
  parts = [warning]
  for group in ("memory", "files", "coder"):
    rows = [
      {group: way.replace("_", " "), **values}
      for way, values in measured[group].items()
    ]
    shown = [k for k, v in rows[0].items() if not isinstance(v, dict)]
    parts.append(markdown(pd.DataFrame(rows)[shown]))
  return "\n\n".join(filter(None, [*parts, measured["constriction"]]))


def render_portable(folder: pathlib.Path) -> str:
  """How far NumPy and TensorFlow are apart, for each shipped codec."""
  warning, measured = _read(folder, "benchmarks/portable.json")
  columns = "codec largest_difference_over_length elements"
  columns += " elements_rounded_otherwise farthest_of_those_from_a_half"
  return f"{warning}\n\n{markdown(measured['codecs'], columns)}"


def render_exports(folder: pathlib.Path) -> str:
  """What exported codecs keep of the codes and of accuracy."""
  warning, measured = _read(folder, "benchmarks/exports.json")
  rows = pd.DataFrame(measured["exports"])
  rows["format"] += " " + rows["precision"]
  rows["codes_that_differ"] = rows["codes_that_differ"].map("{:.4%}".format)
  rows["size, kB"] = (rows["bytes"] / 1000).map("{:.0f}".format)
  columns = ["codec", "format", "size, kB", "codes_that_differ"]
  columns += ["entropy_bits_per_feature", "correct_pairs"]
  shown = rows[[*columns, "correct_pairs_normalized"]]
  return f"{warning}\n\n{markdown(shown)}"


def of_networks(
  folder: pathlib.Path, name: str
) -> Iterator[Tuple[str, pathlib.Path]]:
  """The studies of that name: of each main network that has one, its JSON."""
  for network in choices.TEACHERS:
    path = folder / "studies" / network / f"{name}.json"
    if path.is_file():
      yield network, path


def _each(folder: pathlib.Path, name: str, render: Callable) -> str:
  """A study network by network, each with its warning."""
  parts = []
  for network, path in of_networks(folder, name):
    warning, study = _read(folder, path.relative_to(folder).as_posix())
    shown = render(study, manifests.networks()[network].dim)
    parts += [_title(network), warning, shown]
  return "\n\n".join(part for part in parts if part) or NOT_MEASURED


def _title(network: str) -> str:
  return f"**{manifests.networks()[network].title}**"


def _sensitivity(study, dim: int, at: int) -> str:
  """All variants at the first validation (0), or at the last (-1)."""
  paper = pd.Series(study["paper_bits_per_dimension"], published.LAMBDAS)
  runs = pd.DataFrame(study["runs"])
  runs = runs.join(pd.DataFrame(runs["validations"].str[at].tolist()))
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

  def render(study, dim):
    first = study["runs"][0]["validations"][0]
    return (
      f"At the {first['step']:,} updates that stand for {published.EPOCHS}"
      f" epochs: BPP, correct pairs of {first['num_pairs']:,}.\n\n"
      f"{_sensitivity(study, dim, 0)}\n\nAt the end of each run: BPP, correct"
      " pairs, thousands of updates; in brackets how far the last doubling"
      " moved the rate of a run that is not settled.\n\n"
      f"{_sensitivity(study, dim, -1)}"
    )

  return _each(folder, "sensitivity", render)


def render_effort(folder: pathlib.Path) -> str:
  """OPQ, DBH and DHN with more of what each spends."""
  columns = "method effort seconds auc tar_at_far_1e-3 tar_at_far_1e-4"

  def render(study, _):
    points = pd.DataFrame(study["points"])
    points[list(TAR_HEADS)] *= 100
    points["auc"] *= 100
    return markdown(points, columns, **TAR_HEADS)

  return _each(folder, "effort", render)


def render_hashing(folder: pathlib.Path) -> str:
  """Hashing on people it learned from and on others."""
  return _each(folder, "hashing", lambda study, _: markdown(study["points"]))


def render_sq_sweep(folder: pathlib.Path) -> str:
  """SQ's rate and accuracy over QP."""

  def render(study, _):
    rows = []
    for point in study["points"]:
      row = {"QP": str(point["qp"])}
      for name, pairs in point["correct_pairs"].items():
        if name in point["bits_per_dimension"]:
          row[f"{name}: BPP"] = point["bits_per_dimension"][name]
        row[f"{name}: accuracy"] = f"{pairs / study['num_pairs']:.2%}"
      rows += [row] if point["qp"] in _QPS else []
    return markdown(rows)

  return _each(folder, "sq_sweep", render)


def _checkpoints() -> Dict[pathlib.Path, Any]:
  """Config of each shipped codec, by its folder."""
  paths = sorted((provenance.ROOT / "checkpoints").glob("*/config.json"))
  return {path.parent: json.loads(path.read_text()) for path in paths}


def render_elements(folder: pathlib.Path) -> str:
  """How many elements of each learned codec's code cost more than 0.1 bit."""
  del folder  # The codecs' own tables tell.
  rows = {lmbda: {"lambda": lmbda} for lmbda in choices.LAMBDAS}
  for path, config in _checkpoints().items():
    if config["kind"] == "pro":
      with np.load(path / "tables.npz") as arrays:
        p = np.diff(arrays["cdf"]) / arrays["cdf"][:, -1:]
      entropies = -np.sum(p * np.log2(np.where(p > 0, p, 1)), axis=1)
      lmbda = next(name for name in rows if float(name) == config["lambda"])
      name = path.name.replace(lmbda, "LAMBDA")
      rows[lmbda][name] = str(np.sum(entropies > 0.1))
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


def taught(folder: pathlib.Path, network: str) -> pd.DataFrame:
  """The choice of teachers: PRO alone and with each teacher, by lambda.

  Returns:
    As `Study.runs`, and in `best` whether a teacher is the best of a lambda's
    by `choices.CHOSEN_BY`; of equals it is the nearer one.
  """
  where = folder / "choices" / network
  runs = reader.read(str(where), manifests.VALIDATION).runs
  runs = runs.query("family in ('pro', 'pro-e')").assign(
    order=lambda frame: -frame["setting"].astype(float)
  )
  runs["nearness"] = -runs["teacher"].replace("", "1").astype(float)
  runs = runs.sort_values(["order", "nearness"], ignore_index=True)
  students = runs.query("teacher != ''").groupby("setting", sort=False)
  best = students[choices.CHOSEN_BY[network]].idxmax()  # The first of equals.
  return runs.assign(best=runs.index.isin(best))


def render_teachers(folder: pathlib.Path) -> str:
  """Every teacher of every student on held-out people; the best is bold."""
  parts = []
  for network in choices.TEACHERS:
    if (folder / "choices" / network).is_dir():
      runs = taught(folder, network)
      bold = "**" + runs["teacher"] + "**"
      names = runs["teacher"].replace("", "none")
      runs["teacher"] = names.mask(runs["best"], bold)
      runs["mse"] = runs["mse"].map("{:.3e}".format)
      columns = "setting teacher tar_at_far_1e-3 tar_at_far_1e-4 correct_pairs"
      columns += " normalized mse"
      table = markdown(runs, columns, setting="lambda", **TAR_HEADS)
      parts += [_title(network), _with_warning(runs, table)]
  return "\n\n".join(parts)


def render_results(folder: pathlib.Path) -> str:
  """Five points that show what came out, and what did not."""
  frame = reader.summary(studies(folder)[manifests.default().name])
  recipe = frame["epochs"] == published.EPOCHS
  lowest, next_one = (frame["setting"] == name for name in choices.LAMBDAS[:2])
  enhanced = lowest & frame["family"].isin(("pro", "pro-e"))
  linear = next_one & frame["family"].isin(("pro", "pca-at-pro"))
  frame = frame[(frame["family"] == "none") | (recipe & (enhanced | linear))]
  frame = frame.sort_values(["bits", "order"]).assign(bytes=frame["bits"] / 8)
  columns = "label setting bytes accuracy accuracy_sd normalized"
  table = markdown(frame, f"{columns} tar_at_far_1e-4", **TAR_HEADS)
  return _with_warning(pd.concat(list(frame["runs"])), table)


def render_zoo(folder: pathlib.Path) -> str:
  """The shipped codecs, each with the evaluation of its digest."""
  runs = pd.concat([study.runs for study in studies(folder).values()])
  runs = runs[~runs["family"].str.endswith("-e")]
  networks = [manifests.network_of(name).name for name in runs["features"]]
  # SQ at one QP is one codec to all networks; its tables are not.
  runs = runs.assign(network=networks)
  rows, shown = [], []
  for path, config in _checkpoints().items():
    network = manifests.network_of(config["features"]).name
    keys = {"codec_digest": config["codec_digest"], "network": network}
    found = runs[(runs[list(keys)] == keys).all(axis=1)][:1]
    row = next(iter(found.to_dict("records")), {})
    row.update(name=path.name, bytes=row.get("bits", np.nan) / 8)
    row.update(network=network, updates=config.get("steps"))
    rows.append({**row, "epochs": config.get("epochs")})
    shown.append(found)
  columns = "name network epochs updates bits bytes accuracy"
  return _with_warning(pd.concat(shown), markdown(rows, columns))


def render_fuzzing(folder: pathlib.Path) -> str:
  """How many inputs each reader got, and what of its files they covered."""
  paths = sorted((folder / "fuzzing").glob("*.json"))
  if not paths:
    return NOT_MEASURED
  warning, *measured = _read(folder, *(f"fuzzing/{p.name}" for p in paths))
  rows = []
  for path, found in zip(paths, measured):
    lines = np.sum(list(found["lines_covered"].values()), axis=0)
    rows.append(
      {
        "reader": path.stem,
        "inputs": f"{found['executions']:,}",
        "lines of its files": f"{lines[0]} of {lines[1]}",
        "memory above the start, MB": found["peak_rss_above_base_mb"],
        "findings": found["findings"],
      }
    )
  return f"{warning}\n\n{markdown(rows)}"


def render_faults(folder: pathlib.Path) -> str:
  """How often each task met each kind of fault, and how it ended."""
  names = [f"faults/{kind}.json" for kind in ("kills", "errors", "memory")]
  if not all((folder / name).is_file() for name in names):
    return NOT_MEASURED
  warning, *measured = _read(folder, *names)
  rows = {}
  for trial in (trial for found in measured for trial in found["trials"]):
    row = rows.setdefault(trial["task"], collections.Counter())
    kills = trial.get("kills", ())
    row["kills"] += len(kills)
    row["after a checkpoint"] += sum(
      kill["after_first_checkpoint"] for kill in kills
    )
    row["ends after kills"] += "kills" in trial
    row["errors of the disk"] += "error" in trial
    row["limits of memory"] += "address_space_mb" in trial
    row["the same bits in the end"] += trial["identical"]
    row["findings"] += bool(trial["findings"])
  shown = pd.DataFrame.from_dict(rows, "index").reset_index(names="task")
  total = shown.sum(numeric_only=True).to_dict()
  rows = [*shown.to_dict("records"), {"task": "all", **total}]
  return f"{warning}\n\n{markdown(rows)}"


def render_rebuilt(folder: pathlib.Path) -> str:
  """The shipped sets, extracted again."""
  if not (folder / "rebuild.json").is_file():
    return NOT_MEASURED
  warning, measured = _read(folder, "rebuild.json")
  rows = [
    {
      "set": part["set"],
      "network": part["network"],
      "compared": part["compared"],
      "farther than 1e-3": part["beyond_tolerance"],
      "median cosine distance": part["median_cosine_distance"],
      "largest": part["largest_cosine_distance"],
      "correct pairs": part.get("correct_pairs", ""),
      "of the stored": part.get("correct_pairs_stored", ""),
    }
    for part in measured["parts"]
  ]
  return f"{warning}\n\n{markdown(rows)}"


def render_extraction(folder: pathlib.Path) -> str:
  """Where the time goes from aligned crops to features."""
  name = "benchmarks/extraction.json"
  if not (folder / name).is_file():
    return NOT_MEASURED
  warning, measured = _read(folder, name)
  rounds = pd.DataFrame(measured["processor_seconds_per_round"])
  share = (rounds.div(rounds.sum(axis=1), axis=0).median() * 100).to_dict()
  rows = [
    {"stage": k, "share of a worker's time, %": v} for k, v in share.items()
  ]
  speed = measured["images_per_second"]
  shown = ", ".join(f"{v:.0f} with {k}" for k, v in speed.items())
  return (
    f"{warning}\n\n{markdown(rows)}\n\n"
    f"{measured['photographs']:,} crops through {measured['network']} on"
    f" {measured['machine']['cores']} cores: {shown} processes, images/s of the"
    " whole command, its start included, beside a load of"
    f" {measured['load_average_before']:.1f};"
    f" {measured['images_per_processor_second']:.0f} a second of a worker's"
    " processor."
  ).strip()


def render_streaming(folder: pathlib.Path) -> str:
  """Memory and time of training from memory, from a map and from shards."""
  name = "benchmarks/streaming.json"
  if not (folder / name).is_file():
    return NOT_MEASURED
  warning, measured = _read(folder, name)
  rows = []
  for found in measured["sets"]:
    row = {"features": found["features"], "MiB of features": found["mib"]}
    for way, head in (
      ("memory", ".npz"),
      ("mapped", ".npy"),
      ("shards", "shards"),
    ):
      row[f"{head}: peak, MiB"] = found[way]["peak_mib"]
      row[f"{head}: s"] = found[way]["seconds"]
    row["same bits"] = "yes" if found["identical"] else "no"
    rows.append(row)
  return f"{warning}\n\n{markdown(rows)}".strip()


_SIZES = {"3.3 million": 3.3e6, "a billion": 1e9}


def render_cluster(folder: pathlib.Path) -> str:
  """Core-hours and bytes of large sets, from what a shard of each took."""
  names = [f"benchmarks/{name}.json" for name in ("cluster", "extraction")]
  if not all((folder / name).is_file() for name in names):
    return NOT_MEASURED
  warning, measured, extraction = _read(folder, *names)
  found = measured["photographs_per_core_second"]
  coded = measured["features_per_core_second"]
  rates = {
    **{f"find faces, {k}": v for k, v in found.items()},
    f"decode crops, {extraction['network']}": extraction[
      "images_per_processor_second"
    ],
    f"encode, {measured['codec']}": coded["encode"],
    f"decode, {measured['codec']}": coded["decode"],
  }
  rows = []
  for work, rate in rates.items():
    row = {"work": work, "a core-second": f"{rate:,.3g} faces"}
    for name, count in _SIZES.items():
      row[f"{name}, core-hours"] = f"{count / rate / 3600:,.3g}"
    rows.append(row)
  rate = measured["pairs_per_core_second"]
  row = {"work": "count all pairs", "a core-second": f"{rate:,.3g} pairs"}
  for name, count in _SIZES.items():
    row[f"{name}, core-hours"] = f"{count**2 / 2 / rate / 3600:,.3g}"
  sizes = {
    "photographs, as the samples": measured["bytes_per_photograph"],
    "shards of features, with names": measured["bytes_per_feature"]["shard"],
    f"bitstreams, {measured['codec']}": measured["bytes_per_feature"]["coded"],
  }
  stored = [
    {
      "stored": what,
      "bytes each": f"{size:,.0f}",
      **{f"{k}, GB": f"{n * size / 1e9:,.3g}" for k, n in _SIZES.items()},
    }
    for what, size in sizes.items()
  ]
  two = measured["two_machines"]
  pixels = measured["pixels_per_photograph"] / 1e6
  return (
    f"{warning}\n\nOne core of {measured['machine']['processor']}, photographs"
    f" of {pixels:.2f} megapixels on average; nothing but the rates is"
    f" measured, the rest is multiplication.\n\n{markdown([*rows, row])}\n\n"
    f"{markdown(stored)}\n\nAfter {two['updates']:,} updates on two machines,"
    " two processes here, the weights differ from those of one by"
    f" {two['relative_difference_of_weights']:.1e} of their length, the loss of"
    f" the last epoch by {two['relative_difference_of_loss']:.1e} of itself."
  ).strip()
