"""What stands between the markers of docs/scalable.md, and its pictures.

Every number comes from experiments/results/scalable: standard codecs and models
measured on the same faces, judge by judge.
"""

import pathlib
import re
from typing import Any, Dict, Iterator, List

import numpy as np

from experiments import staleness
from experiments.report import measurements
from experiments.report.tables import NOT_MEASURED, markdown
from tsenh.base import results
from tsenh.images import evaluation

FOLDER = "scalable"
# The bar is about files of fewer bytes a face than these.
MOST_BYTES = 250
_LEAST = 3  # Points that a difference of rates takes.

Result = Dict[str, Any]


def read(folder: pathlib.Path) -> Dict[str, Result]:
  """The results by their files' names."""
  paths = sorted((folder / FOLDER).glob("*.json"))
  return {path.stem: results.read(str(path)) for path in paths}


def _status(found: Dict[str, Result]) -> str:
  return staleness.sentence(
    (f"{FOLDER}/{name}.json", staleness.reasons(result))
    for name, result in found.items()
  )


def judges(found: Dict[str, Result]) -> Dict[str, List[Dict[str, Any]]]:
  """All points by the network that recognised; `probes`, of each person."""
  points: Dict[str, List[Dict[str, Any]]] = {}
  for result in found.values():
    for point in result["points"]:
      probes = len(point["hits"]) // result["people"]
      points.setdefault(result["judge"], []).append({**point, "probes": probes})
  return points


def _with_interval(point, key: str, factor: float) -> str:
  low, high = (factor * end for end in point[f"{key}_interval"])
  return f"{factor * point[key]:.1f} ({low:.1f} to {high:.1f})"


def render_scalable_points(folder: pathlib.Path) -> str:
  """Every point: rate, who is recognised, fidelity."""
  found = read(folder)
  if not found:
    return NOT_MEASURED
  parts = [_status(found)]
  for judge, points in judges(found).items():
    rows = [
      {
        "coded by": point["name"],
        "bytes per face": f"{point['bytes_per_face']:.1f}",
        "rank-1, % (95 % interval)": _with_interval(point, "rank1", 100),
        "PSNR, dB": f"{point['psnr']:.2f}",
        "MS-SSIM, three scales": f"{point['ms_ssim']:.3f}",
        "FLIP": f"{point['flip']:.3f}",
      }
      for point in sorted(points, key=lambda p: p["bytes_per_face"])
    ]
    parts.append(f"Recognised by `{judge}`:\n\n{markdown(rows)}")
  return "\n\n".join(parts)


def hits(point: Dict[str, Any]) -> np.ndarray:
  """Whether each face was recognised, bool [n]."""
  return np.array([hit == "1" for hit in point["hits"]])


def _front(points, key: str) -> List[Dict[str, Any]]:
  """Points of rising rate, those left out that a smaller file outdoes."""
  sign = -1 if key == "flip" else 1
  found: List[Dict[str, Any]] = []
  for point in sorted(
    points, key=lambda p: (p["bytes_per_face"], -sign * p[key])
  ):
    if not found or sign * point[key] > sign * found[-1][key]:
      found.append(point)
  return found


def curve(points, *methods: str) -> evaluation.Curve:
  """Rates and hits of methods, rising, those that others outdo left out."""
  own = [p for p in points if p["method"] in methods]
  return [(p["bytes_per_face"], hits(p)) for p in _front(own, "rank1")]


def gains(points) -> Iterator[Dict[str, Any]]:
  """Rank-1 of the model's files above those of standard codecs as large."""
  for point in points:
    size = point["bytes_per_face"]
    if "base" not in point or size >= MOST_BYTES:
      continue
    row = {
      "coded by": point["name"],
      "bytes per face": f"{size:.1f}",
      "rank-1, %": f"{100 * point['rank1']:.1f}",
    }
    for kind in ("webp", "avif", "learned alone"):
      anchor = curve(points, kind, f"{kind}, a file each")
      if not anchor or not anchor[0][0] <= size <= anchor[-1][0]:
        missing = "no such file"
        if not anchor or size > anchor[-1][0]:
          missing = "not measured"
        row[f"{kind} as large"] = missing
        row[f"points above {kind}"] = ""
        continue
      other = evaluation.at_rate(anchor, size)
      change = hits(point).astype(float) - other
      people = np.arange(len(change)) // point["probes"]
      low, high = evaluation.interval(change, evaluation.resample(people))
      row[f"{kind} as large"] = f"{100 * other.mean():.1f}"
      row[f"points above {kind}"] = (
        f"{100 * change.mean():+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
      )
    yield row


def render_scalable_bars(folder: pathlib.Path) -> str:
  """The bar: rank-1 at equal bytes."""
  found = read(folder)
  parts = [_status(found)]
  for judge, points in judges(found).items():
    rows = [*gains(points)]
    if rows:
      parts.append(f"Recognised by `{judge}`:\n\n{markdown(rows)}")
  return "\n\n".join(parts) if len(parts) > 1 else NOT_MEASURED


def render_scalable_base(folder: pathlib.Path) -> str:
  """The base layer alone."""
  rows, found = [], read(folder)
  for result in found.values():
    for base, measured in result.get("base_layer", {}).items():
      size = measured.get("bytes_per_face")
      rows.append(
        {
          "features": base,
          "bytes per face, headers counted": f"{size:.1f}" if size else "512",
          "correct pairs": f"{measured['correct_pairs']:,}",
          "of": f"{measured['num_pairs']:,}",
          "equal error rate, %": f"{100 * measured['eer']:.2f}",
        }
      )
  seen, unique = set(), []
  for row in rows:
    if row["features"] not in seen:
      seen.add(row["features"])
      unique.append(row)
  return f"{_status(found)}\n\n{markdown(unique)}" if unique else NOT_MEASURED


# Layers, and the image codec that they stand against.
_AGAINST = (
  ("webp", "webp"),
  ("avif", "avif"),
  ("learned", "avif"),
  ("learned", "learned alone"),
)


def _rates(points, base: str, kind: str, other: str) -> Iterator[Dict]:
  """Of layers of one kind, against a codec alone and with a feature."""
  own = [p for p in points if p.get("base") == base]
  feature = [p for p in own if p["method"] == "generated"]
  layered = [
    p for p in own if re.fullmatch(rf"generated \+ {kind}:[\d:]+", p["method"])
  ]
  alone = [p for p in points if p["method"] == other]
  if not feature or len(layered) < _LEAST or len(alone) < _LEAST:
    return
  more = feature[0]["bytes_per_face"]
  both = [{**p, "bytes_per_face": p["bytes_per_face"] + more} for p in alone]
  alone_too = other if other.endswith("alone") else f"{other} alone"
  for name, anchor in (
    (alone_too, alone),
    (f"simulcast: {other}, and the feature in a file", both),
  ):
    row = {"features": base, "layers": kind, "against": name}
    yield {**row, **_differences(anchor, layered)}


def _differences(anchor, tested) -> Dict[str, str]:
  """Bjontegaard's, in percent, by what is equal."""
  row = {}
  for key, head in (
    ("psnr", "PSNR, %"),
    ("ms_ssim", "MS-SSIM, %"),
    ("flip", "FLIP, %"),
    ("rank1", "rank-1, %"),
  ):
    fronts = [_front(points, key) for points in (anchor, tested)]
    enough = min(map(len, fronts)) >= _LEAST
    value = evaluation.bd_rate(*fronts, key) if enough else np.nan
    row[head] = "no overlap" if np.isnan(value) else f"{value:+.0f}"
  return row


def render_scalable_rates(folder: pathlib.Path) -> str:
  """Bjontegaard's differences of rates against standard codecs."""
  parts, found = [], read(folder)
  for judge, points in judges(found).items():
    rows = [
      row
      for base in ("sharp", "base network")
      for kind, other in _AGAINST
      for row in _rates(points, base, kind, other)
    ]
    alone, avif = (
      [p for p in points if p["method"] == method]
      for method in ("learned alone", "avif")
    )
    if alone and avif:
      row = {"features": "none", "layers": "learned alone"}
      row["against"] = "avif alone"
      rows.append({**row, **_differences(avif, alone)})
    if rows:
      parts.append(f"Recognised by `{judge}`:\n\n{markdown(rows)}")
  return "\n\n".join([_status(found), *parts]) if parts else NOT_MEASURED


def render_scalable_costs(folder: pathlib.Path) -> str:
  """Size and work of the networks."""
  found = read(folder)
  for result in found.values():
    if "base_layer" in result:
      rows = [
        {
          "network": name,
          **{k.replace("_", "-"): f"{v:,}" for k, v in c.items()},
        }
        for name, c in result["costs"].items()
      ]
      return f"{_status(found)}\n\n{markdown(rows)}"
  return NOT_MEASURED


@measurements.measured("benchmarks/images.json")
def render_scalable_speed(found) -> str:
  """The benchmark of the layered codec beside standard ones."""
  rows = [
    {
      "what": row["name"],
      "bytes per face": f"{row['bytes_per_face']:.1f}",
      "encoded, faces/s": f"{row['encode_faces_per_second']:,.0f}",
      "decoded, faces/s": f"{row['decode_faces_per_second']:,.0f}",
    }
    for row in found["ways"]
  ]
  machine = found["machine"]
  return (
    f"{markdown(rows)}\n\n{found['faces']} faces in one file, the median of"
    f" {found['rounds']} rounds in turn ({machine['processor']},"
    f" {machine['cores']} cores)."
  )


_STYLES = {
  "learned alone": ("C5", "d"),
  "webp": ("C1", "s"),
  "avif": ("C2", "^"),
  "jpeg2000": ("C4", "v"),
  "jpeg": ("C7", "x"),
}


def draw(points) -> Any:
  """Rank-1 and PSNR over bytes per face."""
  from matplotlib import pyplot as plt

  figure, panels = plt.subplots(2, 1, figsize=(5.0, 6.0), sharex=True)
  groups = [
    (f"layered: {label}", belongs, color, "o")
    for label, belongs, color in (
      ("generated face alone", lambda p: p["method"] == "generated", "C3"),
      ("learned", lambda p: "generated + learned" in p["method"], "C0"),
      ("AVIF on the rest", lambda p: "generated + avif" in p["method"], "C6"),
    )
  ]
  groups += [
    (kind, lambda p, kind=kind: p["method"] == kind, color, marker)
    for kind, (color, marker) in _STYLES.items()
  ]
  for label, belongs, color, marker in groups:
    own = [p for p in points if p.get("base", "sharp") == "sharp"]
    own = sorted(filter(belongs, own), key=lambda p: p["bytes_per_face"])
    own = [p for p in own if p["bytes_per_face"] < 2 * MOST_BYTES]
    if not own:
      continue
    rates = [p["bytes_per_face"] for p in own]
    for axes, key, factor in zip(panels, ("rank1", "psnr"), (100, 1)):
      values = [factor * p[key] for p in own]
      axes.plot(rates, values, f"{color}{marker}-", label=label)
  panels[0].axvline(MOST_BYTES, color="0.6", lw=0.8)
  panels[0].set(ylabel="rank-1 among all people, %")
  panels[1].set(ylabel="PSNR, dB", xlabel="bytes per face, all counted")
  panels[1].legend(loc="lower right")
  return figure
