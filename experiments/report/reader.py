"""Reads a folder of evaluations into one tidy table, and refuses strangers.

A page is about one set of evaluations: of the networks that their names
promise, on one test set. A smoke run, whose numbers mean nothing, is known by
the role of its feature set (validation); no page of published results takes it.
"""

import dataclasses
import hashlib
import pathlib
import re
from typing import Any, Dict, Optional

import numpy as np
import pandas as pd

from experiments import choices, jobs, plans, staleness
from tsenh.base import results
from tsenh.base.errors import Error
from tsenh.data import manifests
from tsenh.recognition import dense

# The methods, in the order of the pages.
_TRAINED = ("pro", "pro-e", "pro-d", "sq-e")
RECENT = ("lsq", "prq", "rabitq")
QUANTIZATION = ("sq", "sq-mid", "sq-e", "pq", "opq", "rq", *RECENT)
HASHING = ("dbh", "dhn", "itq", "lsh")
FAMILIES = (
  "none",
  "pro",
  "pro-e",
  *QUANTIZATION,
  "pca",
  "pca-at-pro",
  "lda",
  "ahead",
  *HASHING,
  "pro-d",
)
_LABELS = {
  "none": "uncompressed",
  "pca-at-pro": "PCA at PRO's bytes",
  "pro-d": "PRO, another Dec",
  "ahead": "ahead",
  "rabitq": "RaBitQ",
}
_NAME = re.compile(
  rf"(?P<family>{'|'.join(sorted(FAMILIES, key=len, reverse=True))})"
  r"(?:\+(?P<variant>[a-z0-9]+))?"
  r"(?:-(?P<setting>\de-\d+|[\d.]+))?(?:-by-(?P<teacher>\de-\d+))?"
  r"(?:-e(?P<epochs>\d+))?(?:-s(?P<seed>\d+))?"
)
_POINT = ["family", "variant", "label", "epochs", "setting"]
_NUMBERS = ["bits", "bpp", "accuracy", "over_folds", "correct_pairs"]
_NUMBERS += ["normalized", "auc", "eer", "tar", "mse"]
# Further test sets; a column of each has the accuracy on its pairs.
FURTHER = ("cfp-ff", "cfp-fp")


@dataclasses.dataclass(frozen=True, eq=False)
class Study:
  """The evaluations of one folder."""

  runs: pd.DataFrame  # A row for each: its JSON, and what `_row` sets.
  features: Optional[Dict[str, Any]]  # What features.json says of them.
  test_set: Optional[manifests.FeatureSetInfo]  # None: no manifest knows it.
  smoke: bool  # It is not a test set: the numbers mean nothing.
  digest: str  # SHA-256 of all files.
  num_pairs: int
  dim: int


def label(family: str) -> str:
  """What a method is called on the pages."""
  known = family.upper() if family in FAMILIES else family
  return _LABELS.get(family, known)


def summary(study: Study) -> pd.DataFrame:
  """Means over seeds: a row for each setting, by method, epochs and rate.

  Columns are numbers (percent, bits per face), their standard deviations over
  seeds with _sd behind the name, snr in decibels, and runs, those of the row.
  """
  groups = study.runs.groupby(_POINT, sort=False)
  numbers = groups[[*_NUMBERS, *dense.METRICS, *FURTHER]]
  frame = numbers.mean().join(numbers.std(), rsuffix="_sd").reset_index()
  variance = study.features["test"]["variance"] if study.features else np.nan
  frame["snr"] = 10 * np.log10(variance / frame["mse"].where(frame["mse"] > 0))
  frame["runs"] = [runs for _, runs in groups]
  order = [*FAMILIES, *frame["family"]]
  frame["order"] = frame["family"].map(order.index)
  return frame.sort_values(["order", "epochs", "bits"], ignore_index=True)


def read(folder: str, role: Optional[str] = None) -> Study:
  """Reads a folder of evaluations, and features.json beside them.

  Args:
    folder: holds JSONs; those that are no evaluations are left out.
    role: the role that their feature set must have in its manifest; None takes
      any features, and methods that are not this project's.

  Raises:
    Error: if there are no evaluations, or one that does not belong.
  """
  rows, described, digest = [], None, hashlib.sha256()
  for path in sorted(pathlib.Path(folder).glob("*.json")):
    digest.update(path.name.encode() + path.read_bytes())
    result = results.read(str(path))
    if path.name == "features.json":
      described = result
    if "correct_pairs_per_fold" in result:
      rows.append(_row(path, result, role))
  if not rows:
    raise Error(f"{folder}: no evaluations in it.")
  runs, first = pd.DataFrame(rows), rows[0]
  sets = {
    *runs["features"],
    described["test_set"] if described else first["features"],
  }
  if len(sets) > 1 or runs["features_digest"].nunique() > 1:
    raise Error(f"{folder}: on several sets, {', '.join(sorted(sets))}.")
  twice = runs[runs.duplicated([*_POINT, "teacher", "seed"], keep=False)]
  if len(twice):
    raise Error(f"{folder}: one method in {' and '.join(twice['file'])}.")
  for _, run in runs[runs["family"].isin(_TRAINED[1:])].iterrows():
    _check_enhanced(run, runs, role)
  test_set = manifests.find(first["features_digest"])
  smoke = bool(test_set) and test_set.role != manifests.TEST
  digest, num_pairs = digest.hexdigest(), first["num_pairs"]
  return Study(
    runs, described, test_set, smoke, digest, num_pairs, first["dim"]
  )


def _row(path: pathlib.Path, result: Dict[str, Any], role) -> Dict[str, Any]:
  """An evaluation's row of `Study.runs`: its keys, and those that are set."""
  match = _NAME.fullmatch(result["method"])
  name = match.groupdict() if match else {"family": result["method"]}
  row = dict(result, file=path.name, stale=staleness.reasons(result))
  row["family"] = name["family"]
  row["variant"] = name.get("variant") or ""
  row["setting"] = name.get("setting") or ""
  row["teacher"] = name.get("teacher") or ""
  row["epochs"] = int(name.get("epochs") or 0)  # 0: the name has none.
  row["seed"] = int(name.get("seed") or -1)  # -1: the name has none.
  problem = _foreign(row, role) or _disagreement(row, role)
  if problem:
    raise Error(f"{path}: {problem}.")
  epochs = f", {row['epochs']} epochs" if row["epochs"] else ""
  variant = f" {row['variant']}" if row["variant"] else ""
  row["label"] = label(row["family"]) + variant + epochs
  row["bits"], row["bpp"] = row["bits_per_feature"], row["bits_per_dimension"]
  row["mse"] = np.nan if result["mse"] is None else result["mse"]
  row["over_folds"], row["tar"] = row["accuracy_std"], row["tar_at_far_1e-3"]
  for key in ("accuracy", "over_folds", "auc", "eer", "tar"):
    row[key] *= 100
  # Correct pairs of each fold, int [folds], as decoded and at unit length.
  # What was recorded before resamples were kept, its page calls not current.
  kept = "samples" in (result.get("dense") or {})
  row["dense"] = dense.read(result["dense"]) if kept else None
  shares = np.full(5, np.nan) if row["dense"] is None else row["dense"][0]
  row.update(zip(dense.METRICS, 100 * shares))
  for name in FURTHER:
    other = result.get("also", {}).get(name)
    row[name] = 100 * other["accuracy"] if other else np.nan
  row["hits"] = np.array(result["correct_pairs_per_fold"])
  row["n_hits"] = np.array(result["normalized"]["correct_pairs_per_fold"])
  row["normalized"] = 100 * result["normalized"]["accuracy"]
  return row


def _foreign(row, role: Optional[str]) -> str:
  """Why an evaluation is none of the project's; empty if it is one."""
  if role is None:
    return ""
  if (row["family"] == "none") == bool(row["setting"]):
    return f"unknown method {row['method']}"
  if row["family"] in _TRAINED and (row["epochs"] == 0 or row["seed"] < 0):
    return f"{row['method']} names no epochs or no seed"
  known = manifests.sets().get(row["features"])
  if known is None or known.role != role:
    return f"it is on {row['features']}, expected a {role} set"
  if known.digest != row["features_digest"]:
    return f"its features are not the shipped {known.name}"
  return ""


def _disagreement(row, role: Optional[str]) -> str:
  """How what ran differs from what the name promises; empty if it does not."""
  family, setting = row["family"], row["setting"]
  codec = {} if row["seed"] < 0 else {"seed": row["seed"]}
  length = {**codec, **({"epochs": row["epochs"]} if row["epochs"] else {})}
  if role and family in _TRAINED:
    network = manifests.network_of(row["features"])
    test = role == manifests.TEST
    training_set = network.sets[network.training if test else network.held_in]
    length["num_training_features"] = training_set.count
  longer = re.fullmatch(r"long(\d+)", row["variant"])
  enhancer = length if family in ("pro-e", "pro-d") else {}
  if longer:  # Of that many times the epochs.
    enhancer = {**enhancer, "epochs": int(longer[1]) * row["epochs"]}
  if family in ("pro", "pro-e", "pro-d"):
    codec = {**length, "lambda": float(setting)}
  if family == "sq-e":
    codec, enhancer = {}, {**length, "qp": int(setting)}
  for part, expected in (("training", codec), ("enhancer_training", enhancer)):
    # What was recorded before this was, its page calls not current.
    too_old = part not in row and "code" not in row
    if too_old or (row.get(part) is None and family not in _TRAINED):
      continue
    for key, value in expected.items():
      found = (row.get(part) or {}).get(key)
      if found != value:
        return f"{part}: {key} {found}, expected {value:g} from its name"
  varied = {**plans.VARIANTS, **plans.DECODERS}
  for flag in varied.get(row["variant"], ()):
    if not jobs.agrees(row["enhancer_training"], flag):
      return f"enhancer_training: not of {flag}, as its name says"
  return ""


def _check_enhanced(run, runs: pd.DataFrame, role: Optional[str]) -> None:
  """An enhanced method decodes another's bytes, taught as its name says."""
  codecs = runs[runs["family"] == run["family"][:-2]]
  if run["family"] != "sq-e":
    keys = ["epochs", "seed"]
    codecs = codecs[(codecs[keys] == run[keys]).all(axis=1)]
    # A codec that is varied has an enhancer of that name; others vary alone.
    own = codecs["variant"] == run["variant"]
    codecs = codecs[own if own.any() else codecs["variant"] == ""]
  for _, plain in codecs[codecs["setting"] == run["setting"]].iterrows():
    for key in ("bits_per_feature", "codec_digest"):
      if run[key] != plain[key]:
        raise Error(
          f"{run['file']}: {key} {run[key]}, but {plain['file']}, whose bytes"
          f" it should decode, has {plain[key]}."
        )
  if role and run["family"] == "pro-e":
    digests = dict(zip(codecs["setting"], codecs["codec_digest"]))
    teachers = choices.TEACHERS[manifests.network_of(run["features"]).name]
    teacher = run["teacher"] or teachers.get(run["setting"])
    found = (run["enhancer_training"] or {}).get("high_digest")
    # A teacher that was not evaluated itself is at least no other codec.
    other = found in digests.values()
    if found != digests[teacher] if teacher in digests else other:
      raise Error(
        f"{run['file']}: its enhancer did not learn from"
        f" pro-{teacher}-e{run['epochs']}-s{run['seed']}, which its name and"
        " experiments/choices.py promise."
      )
