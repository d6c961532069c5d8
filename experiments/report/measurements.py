"""What stands between the markers of the other pages, as Markdown.

Each function takes the folder of all results; in front of what it shows stands
a sentence where that is not current.
"""

import collections
import functools
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


def measured(*names: str) -> Callable:
  """Of a function of results: of their folder, with the warning in front.

  Args:
    *names: of the results' files, below the folder; where one is missing,
      nothing was measured.
  """

  def decorate(render: Callable[..., str]) -> Callable[[pathlib.Path], str]:
    @functools.wraps(render)
    def of_folder(folder: pathlib.Path) -> str:
      if not all((folder / name).is_file() for name in names):
        return NOT_MEASURED
      warning, *read = _read(folder, *names)
      return f"{warning}\n\n{render(*read)}".strip()

    return of_folder

  return decorate


@measured("benchmarks/training.json", "benchmarks/coding.json")
def render_speed(training, coding) -> str:
  """The benchmarks of training and coding."""
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


@measured("benchmarks/growth.json")
def render_growth(found) -> str:
  """Time and memory of encode and decode over what grows."""
  rows = []
  for line in found["lines"]:
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
  return markdown(rows)


@measured("benchmarks/peers.json")
def render_peers(found) -> str:
  """The way to bytes and back beside Faiss, the coder beside constriction."""
  parts = []
  for group in ("memory", "files", "coder"):
    rows = [
      {group: way.replace("_", " "), **values}
      for way, values in found[group].items()
    ]
    shown = [k for k, v in rows[0].items() if not isinstance(v, dict)]
    parts.append(markdown(pd.DataFrame(rows)[shown]))
  return "\n\n".join(filter(None, [*parts, found["constriction"]]))


@measured("benchmarks/portable.json")
def render_portable(found) -> str:
  """How far NumPy and TensorFlow are apart, for each shipped codec."""
  columns = "codec largest_difference_over_length elements"
  columns += " elements_rounded_otherwise farthest_of_those_from_a_half"
  return markdown(found["codecs"], columns)


@measured("benchmarks/exports.json")
def render_exports(found) -> str:
  """What exported codecs keep of the codes and of accuracy."""
  rows = pd.DataFrame(found["exports"])
  rows["format"] += " " + rows["precision"]
  rows["codes_that_differ"] = rows["codes_that_differ"].map("{:.4%}".format)
  rows["size, kB"] = (rows["bytes"] / 1000).map("{:.0f}".format)
  columns = ["codec", "format", "size, kB", "codes_that_differ"]
  columns += ["entropy_bits_per_feature", "correct_pairs"]
  shown = rows[[*columns, "correct_pairs_normalized"]]
  return markdown(shown)


def of_networks(
  folder: pathlib.Path, name: str
) -> Iterator[Tuple[str, pathlib.Path]]:
  """The studies of that name: of each main network that has one, its JSON."""
  for network in choices.TEACHERS:
    path = folder / "studies" / network / f"{name}.json"
    if path.is_file():
      yield network, path


def each(folder: pathlib.Path, name: str, render: Callable) -> str:
  """A study network by network, each with its warning."""
  parts = []
  for network, path in of_networks(folder, name):
    warning, study = _read(folder, path.relative_to(folder).as_posix())
    shown = render(study, manifests.networks()[network].dim)
    parts += [title(network), warning, shown]
  return "\n\n".join(part for part in parts if part) or NOT_MEASURED


def title(network: str) -> str:
  """What a page calls a network."""
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

  return each(folder, "sensitivity", render)


def render_effort(folder: pathlib.Path) -> str:
  """OPQ, DBH and DHN with more of what each spends."""
  columns = "method effort seconds auc tar_at_far_1e-3 tar_at_far_1e-4"

  def render(study, _):
    points = pd.DataFrame(study["points"])
    points[list(TAR_HEADS)] *= 100
    points["auc"] *= 100
    return markdown(points, columns, **TAR_HEADS)

  return each(folder, "effort", render)


def render_hashing(folder: pathlib.Path) -> str:
  """Hashing on people it learned from and on others."""
  return each(folder, "hashing", lambda study, _: markdown(study["points"]))


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

  return each(folder, "sq_sweep", render)


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


def studies(
  folder: pathlib.Path, plan: str = "paper", role: str = manifests.TEST
) -> Dict[str, reader.Study]:
  """The evaluations of each network that has some, the default one first."""
  return {
    name: reader.read(str(folder / plan / name), role)
    for name in manifests.networks()
    if (folder / plan / name).is_dir()
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
      parts += [title(network), _with_warning(runs, table)]
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
  warning, *all_found = _read(folder, *(f"fuzzing/{p.name}" for p in paths))
  rows = []
  for path, found in zip(paths, all_found):
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


@measured("faults/kills.json", "faults/errors.json", "faults/memory.json")
def render_faults(*found) -> str:
  """How often each task met each kind of fault, and how it ended."""
  rows = {}
  for trial in (trial for kind in found for trial in kind["trials"]):
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
  return markdown(rows)


@measured("rebuild.json")
def render_rebuilt(found) -> str:
  """The shipped sets, extracted again."""
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
    for part in found["parts"]
  ]
  return markdown(rows)


@measured("benchmarks/extraction.json")
def render_extraction(found) -> str:
  """Where the time goes from aligned crops to features."""
  rounds = pd.DataFrame(found["processor_seconds_per_round"])
  share = (rounds.div(rounds.sum(axis=1), axis=0).median() * 100).to_dict()
  rows = [
    {"stage": k, "share of a worker's time, %": v} for k, v in share.items()
  ]
  speed = found["images_per_second"]
  shown = ", ".join(f"{v:.0f} with {k}" for k, v in speed.items())
  return (
    f"{markdown(rows)}\n\n"
    f"{found['photographs']:,} crops through {found['network']} on"
    f" {found['machine']['cores']} cores: {shown} processes, images/s of the"
    " whole command, its start included, beside a load of"
    f" {found['load_average_before']:.1f};"
    f" {found['images_per_processor_second']:.0f} a second of a worker's"
    " processor."
  )


@measured("benchmarks/streaming.json")
def render_streaming(found) -> str:
  """Memory and time of training from memory, from a map and from shards."""
  rows = []
  for ways in found["sets"]:
    row = {"features": ways["features"], "MiB of features": ways["mib"]}
    for way, head in (
      ("memory", ".npz"),
      ("mapped", ".npy"),
      ("shards", "shards"),
    ):
      row[f"{head}: peak, MiB"] = ways[way]["peak_mib"]
      row[f"{head}: s"] = ways[way]["seconds"]
    row["same bits"] = "yes" if ways["identical"] else "no"
    rows.append(row)
  return markdown(rows)


_SIZES = {"3.3 million": 3.3e6, "a billion": 1e9}


@measured("benchmarks/cluster.json", "benchmarks/extraction.json")
def render_cluster(found, extraction) -> str:
  """Core-hours and bytes of large sets, from what a shard of each took."""
  detected = found["photographs_per_core_second"]
  coded = found["features_per_core_second"]
  rates = {
    **{f"find faces, {k}": v for k, v in detected.items()},
    f"decode crops, {extraction['network']}": extraction[
      "images_per_processor_second"
    ],
    f"encode, {found['codec']}": coded["encode"],
    f"decode, {found['codec']}": coded["decode"],
  }
  rows = []
  for work, rate in rates.items():
    row = {"work": work, "a core-second": f"{rate:,.3g} faces"}
    for name, count in _SIZES.items():
      row[f"{name}, core-hours"] = f"{count / rate / 3600:,.3g}"
    rows.append(row)
  rate = found["pairs_per_core_second"]
  row = {"work": "count all pairs", "a core-second": f"{rate:,.3g} pairs"}
  for name, count in _SIZES.items():
    row[f"{name}, core-hours"] = f"{count**2 / 2 / rate / 3600:,.3g}"
  sizes = {
    "photographs, as the samples": found["bytes_per_photograph"],
    "shards of features, with names": found["bytes_per_feature"]["shard"],
    f"bitstreams, {found['codec']}": found["bytes_per_feature"]["coded"],
  }
  stored = [
    {
      "stored": what,
      "bytes each": f"{size:,.0f}",
      **{f"{k}, GB": f"{n * size / 1e9:,.3g}" for k, n in _SIZES.items()},
    }
    for what, size in sizes.items()
  ]
  two = found["two_machines"]
  pixels = found["pixels_per_photograph"] / 1e6
  return (
    f"One core of {found['machine']['processor']}, photographs"
    f" of {pixels:.2f} megapixels on average; nothing but the rates is"
    f" measured, the rest is multiplication.\n\n{markdown([*rows, row])}\n\n"
    f"{markdown(stored)}\n\nAfter {two['updates']:,} updates on two machines,"
    " two processes here, the weights differ from those of one by"
    f" {two['relative_difference_of_weights']:.1e} of their length, the loss of"
    f" the last epoch by {two['relative_difference_of_loss']:.1e} of itself."
  )
