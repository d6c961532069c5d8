"""What stands between the markers of docs/low-resolution.md, and its figures.

Every number is read from results (`make lowres`).
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
from experiments.report import measurements, significance, tables
from tsenh.base import provenance, results

FOLDER = "lowres"
_BENCHMARK = "benchmarks/students.json"
_LFW16 = provenance.ROOT / "tests" / "data" / "lfw16.npz"
_VARIANTS = {
  "scratch": "people alone (from scratch)",
  "regression": "teacher alone",
  "all": "teacher and people, all faces",
  **{
    f"{selection}{end}": f"teacher and people, {share} of the faces, {how}"
    for end, share in (
      ("25", "a quarter"),
      ("", "half"),
      ("75", "three quarters"),
    )
    for selection, how in (("random", "at random"), ("graph", "selected"))
  },
}
# What is tested: the second against the first.
_TESTS = (
  ("scratch", "regression"),
  ("scratch", "all"),
  ("regression", "all"),
  ("all", "random"),
  ("all", "graph"),
  *((f"random{end}", f"graph{end}") for end in ("25", "", "75")),
)
_SHOWN = 8  # Faces of the figure.


def _read(folder: pathlib.Path) -> pd.DataFrame:
  """A row for each result: what was measured, and what is wrong with it."""
  rows = []
  for path in sorted((folder / FOLDER).glob("*.json")):
    found = results.read(str(path))
    seed = re.fullmatch(r"(\w+)-s(\d+)", path.stem)
    rows.append(
      {
        "name": path.stem,
        "variant": seed[1] if seed else None,
        "seed": int(seed[2]) if seed else None,
        "result": found,
        "stale": staleness.reasons(found),
      }
    )
  return pd.DataFrame(rows)


def _row(found: Dict[str, Any]) -> Dict[str, Any]:
  """The numbers of one result, in percent."""
  sharp = found["against_sharp"]
  return {
    "accuracy, %": 100 * found["accuracy"],
    "with mirror images, %": 100 * found["mirrored"]["accuracy"],
    "TAR at FAR 1e-3, all pairs, %": 100 * found["dense"]["tar_at_far_1e-3"],
    "rank 1, low to low, %": 100 * found["dense"]["rank1"],
    "rank 1, low to sharp, %": 100 * sharp["rank1"]
    if "rank1" in sharp
    else None,
    "cosine to the sharp face's feature": sharp.get("cosine"),
  }


def _warning(rows: pd.DataFrame) -> str:
  return staleness.sentence(zip(rows["name"], rows["stale"]))


def render_students(folder: pathlib.Path) -> str:
  """The shipped students, beside the teacher on the same faces."""
  rows = _read(folder)
  rows = rows[rows["variant"].isna()] if len(rows) else rows
  if rows.empty:
    return tables.NOT_MEASURED
  rows = rows.assign(low=[found["low"] for found in rows["result"]])
  rows = rows.sort_values(["low", "name"], kind="stable")
  shown = [
    {
      "network": _label(row["name"]),
      "pixels": row["low"],
      **_row(row["result"]),
    }
    for _, row in rows.iterrows()
  ]
  return f"{_warning(rows)}\n\n{tables.markdown(shown)}"


def _label(name: str) -> str:
  kind = re.sub(r"-\d+", "", name, count=1)
  if kind == "teacher":
    return "teacher, faces enlarged"
  form = "float32" if kind.endswith("-float") else "int8"
  return f"{'a quarter, ' if 'quarter' in kind else ''}{form}"


def comparisons(folder: pathlib.Path) -> pd.DataFrame:
  """All tests of the page, corrected together."""
  runs = _read(folder)
  if runs.empty:
    return runs
  runs = runs[runs["variant"].notna()]
  hits = {
    variant: pd.Series(
      {
        int(row["seed"]): np.array(row["result"]["correct_pairs_per_fold"])
        for _, row in own.iterrows()
      }
    )
    for variant, own in runs.groupby("variant")
  }
  rows: List[Dict[str, Any]] = []
  for first, second in _TESTS:
    if {first, second} <= hits.keys():
      test = significance.compare(hits[first], hits[second], 6000, False)
      if test:
        test["interval"] = f"{test['low']:+.2f} to {test['high']:+.2f}"
        agree = "yes" if test["seeds_agree"] else "no"
        test["seeds_agree"] = agree if test["num_seeds"] > 2 else "too few"
        names = {"against": _VARIANTS[first], "taught_by": _VARIANTS[second]}
        rows.append({**names, **test})
  return tables.one_family(rows)


def render_selection(folder: pathlib.Path) -> str:
  """The ablation: means over seeds, and the tests."""
  runs = _read(folder)
  runs = runs[runs["variant"].notna()] if len(runs) else runs
  if runs.empty:
    return tables.NOT_MEASURED
  shown = []
  for variant, label in _VARIANTS.items():
    own = runs[runs["variant"] == variant]
    if len(own):
      values = pd.DataFrame([_row(found) for found in own["result"]])
      spread = values["accuracy, %"].std(ddof=1) if len(own) > 1 else None
      shown.append(
        {"taught by": label, **values.mean(), "± over seeds": spread}
      )
      shown[-1]["seeds"] = str(len(own))
  tests = comparisons(folder)
  table = tables.NOT_MEASURED
  if len(tests):
    table = tables.tests_table(
      tests,
      "taught_by against",
      len(tests),
      first="against, %",
      second="taught by, %",
    )
  return f"{_warning(runs)}\n\n{tables.markdown(shown)}\n\n{table}"


def render_ways(folder: pathlib.Path) -> str:
  """Accuracy of the students where faces were shrunk in other ways."""
  rows = _read(folder)
  if rows.empty:
    return tables.NOT_MEASURED
  rows = rows[[bool(found["ways"]) for found in rows["result"]]]
  if rows.empty:
    return tables.NOT_MEASURED
  shown = []
  for _, row in rows.iterrows():
    found = row["result"]
    ways = {"box (area)": found, **found["ways"]}
    values = {f"{way}, %": 100 * ways[way]["accuracy"] for way in ways}
    shown.append(
      {"network": f"{found['low']} pixels, {_label(row['name'])}", **values}
    )
  return f"{_warning(rows)}\n\n{tables.markdown(shown)}"


@measurements.measured(_BENCHMARK)
def render_student_speed(found) -> str:
  """The benchmark of students beside their teacher."""
  shown = [
    {
      "network": row["network"],
      **{
        head: f"{row[key]:,}" if key in row else None
        for head, key in (
          ("parameters", "parameters"),
          ("their bytes", "parameter_bytes"),
          ("bytes of the file", "file_bytes"),
          ("multiply-adds", "multiply_adds"),
        )
      },
      "faces/s": round(row["faces_per_second"]),
      "slowest and fastest round": (
        f"{row['slowest']:,.0f} to {row['fastest']:,.0f}"
      ),
      "memory, MiB": row["memory_mib"],
    }
    for row in found["networks"]
  ]
  table = tables.markdown(shown)
  chain = found["chain"]
  return (
    f"{table}\n\nThe whole chain, `{chain['network']}` and"
    f" `{chain['codec']}`, face to bytes to feature:"
    f" {chain['faces_per_second']:,.0f} faces a second,"
    f" {chain['bytes_per_face']:.1f} bytes a face."
    f" ({found['machine']['processor']}, one thread, one face at a time.)"
  )


def draw_resolution(rows: pd.DataFrame):
  """Accuracy over the pixels of a side: students and teacher."""
  figure, axes = plt.subplots(figsize=(5.0, 3.4))
  curves: Dict[str, List[Tuple[int, float]]] = {}
  for _, row in rows.iterrows():
    found = row["result"]
    point = (found["low"], 100 * found["accuracy"])
    curves.setdefault(_label(row["name"]), []).append(point)
  for i, (label, points) in enumerate(curves.items()):
    axes.plot(*zip(*sorted(points)), f"C{i}o-", label=label)
  axes.set(xlabel="pixels of a side", ylabel="LFW accuracy, %")
  axes.set_xticks(sorted({x for points in curves.values() for x, _ in points}))
  axes.legend()
  return figure


def draw_bytes(rows: pd.DataFrame, benchmark: Dict[str, Any]):
  """Accuracy over the bytes of a student's file."""
  sizes = {
    row["network"]: row.get("file_bytes") for row in benchmark["networks"]
  }
  figure, axes = plt.subplots(figsize=(5.0, 3.4))
  for _, row in rows.iterrows():
    size = sizes.get(row["name"])
    if size:
      found = row["result"]
      axes.plot(size / 1000, 100 * found["accuracy"], "C0o")
      label = f"{found['low']} px, {_label(row['name'])}"
      axes.annotate(
        label,
        (size / 1000, 100 * found["accuracy"]),
        size=7,
        xytext=(4, 4),
        textcoords="offset points",
      )
  axes.axvline(150, color="0.6", ls="--", lw=0.8)
  axes.set(xlabel="kilobytes of the file", ylabel="LFW accuracy, %")
  axes.set_xscale("log")
  return figure


def draw_faces():
  """What 16 pixels look like: faces of LFW as a student sees them."""
  from tsenh.recognition import image_sets

  images = image_sets.load(str(_LFW16))
  rows = np.linspace(0, len(images.names) - 1, _SHOWN).astype(int)
  figure, all_axes = plt.subplots(1, _SHOWN, figsize=(5.0, 0.8))
  for axes, face in zip(all_axes, images.decode(rows)):
    axes.imshow(face, interpolation="nearest")
    axes.axis("off")
  return figure


def pictures(
  folder: pathlib.Path,
) -> Iterator[Tuple[str, str, Callable[[], Any]]]:
  """Each figure of the page: its name, the digest of its data, its drawing."""
  own = pathlib.Path(__file__).read_bytes()
  yield "lowres/faces", hashlib.sha256(own).hexdigest(), draw_faces
  rows = _read(folder)
  if rows.empty:
    return
  rows = rows[rows["variant"].isna()]
  data = own + repr([_row(found) for found in rows["result"]]).encode()
  digest = hashlib.sha256(data).hexdigest()
  yield "lowres/resolution", digest, functools.partial(draw_resolution, rows)
  path = folder / _BENCHMARK
  if path.exists():
    digest = hashlib.sha256(data + path.read_bytes()).hexdigest()
    found = results.read(str(path))
    yield "lowres/bytes", digest, functools.partial(draw_bytes, rows, found)
