"""The page on which the codec is tried in a browser, as one file.

It holds the modules of ports/javascript, two shipped codecs and an enhancer, a
sample of LFW's features, and the accuracies of PRO from the recorded results.
"""

import base64
import json
import pathlib
import re
from typing import Any, Dict

import numpy as np

from experiments import published
from experiments.report import reader
from tsenh.base import provenance
from tsenh.data import feature_sets, manifests
from tsenh.recognition import verification
from tsenh.training import run_folders

_PORT = provenance.ROOT / "ports" / "javascript"
PATH = _PORT / "page" / "index.html"
# In the order in which they import each other.
_MODULES = (
  "error",
  "npy",
  "range_coder",
  "rounding",
  "trellis",
  "models",
  "index",
)
_CODECS = ("pro-1e-4", "pro-1e-6")
_ENHANCER, _HIGH = "pro-e-1e-4", "pro-1e-6"
_PEOPLE = 30  # With two faces each.


def _bundled(name: str) -> str:
  """A module as one statement, for a page cannot import files beside it."""
  text = (_PORT / "src" / f"{name}.mjs").read_text(encoding="utf-8")
  passed_on = re.findall(
    r'^export \{([^}]*)\} from "\./(\w+)\.mjs";\n', text, re.M
  )
  text = re.sub(r"^export \{[^}]*\} from .*\n", "", text, flags=re.M)
  text = re.sub(
    r'^import \{([^}]*)\} from "\./(\w+)\.mjs";',
    r"const {\1} = \2;",
    text,
    flags=re.M,
  )
  own = re.findall(r"^export (?:class|const|function\*?) (\w+)", text, re.M)
  text = re.sub(r"^export ", "", text, flags=re.M)
  own += [f"...(({{{names}}}) => ({{{names}}}))({m})" for names, m in passed_on]
  return (
    f"const {name} = (() => {{\n{text}\nreturn {{ {', '.join(own)} }};\n}})();"
  )


def _packed(folder: pathlib.Path) -> Dict[str, str]:
  """A run folder's files in base64."""
  names = (run_folders.CONFIG, run_folders.WEIGHTS, run_folders.TABLES)
  return {
    name: base64.b64encode((folder / name).read_bytes()).decode()
    for name in names
    if (folder / name).exists()
  }


def _sample() -> Dict[str, Any]:
  """Two faces each of some people of LFW, as float16."""
  lfw = feature_sets.load(manifests.default().tests[0])
  people, counts = np.unique(lfw.identities, return_counts=True)
  chosen = people[(counts > 1) & (people >= 0)][:_PEOPLE]
  rows = [
    row for p in chosen for row in np.flatnonzero(lfw.identities == p)[:2]
  ]
  features = np.asarray(lfw.features[rows], "<f2")
  return {
    "names": [str(lfw.names[row]) for row in rows],
    "dim": features.shape[1],
    "features": base64.b64encode(features.tobytes()).decode(),
  }


def _threshold() -> float:
  """The best threshold on held-out people, uncompressed, at unit length."""
  faces = feature_sets.load(manifests.default().validation)
  features = verification.normalize(faces.features)
  distances = verification.squared_distances(features, faces.pairs)
  below = distances[:, None] < verification.THRESHOLDS
  hits = np.sum(below == faces.is_same[:, None], axis=0)
  return float(verification.THRESHOLDS[hits.argmax()])


def _curve(study: reader.Study) -> Dict[str, Any]:
  frame = reader.summary(study)
  recipe = (frame["family"] == "pro") & (frame["epochs"] == published.EPOCHS)
  (uncompressed,) = frame[frame["family"] == "none"]["normalized"]
  return {
    "uncompressed": uncompressed,
    "points": [
      {
        "codec": f"pro-{row['setting']}",
        "bits": round(row["bits"], 2),
        "accuracy": round(row["normalized"], 3),
      }
      for _, row in frame[recipe].iterrows()
    ],
  }


def render(study: reader.Study) -> str:
  """The page, with the accuracies of a study of the default network."""
  shipped = run_folders.shipped()
  enhancer = run_folders.shipped(run_folders.ENHANCERS)[_ENHANCER]
  data = {
    "codecs": {name: _packed(shipped[name]) for name in _CODECS},
    "enhancer": {"files": _packed(enhancer), "high": _HIGH},
    "sample": _sample(),
    "threshold": _threshold(),
    "curve": _curve(study),
  }
  page = (_PORT / "page" / "template.html").read_text(encoding="utf-8")
  page = page.replace("/*MODULES*/", "\n".join(map(_bundled, _MODULES)))
  return page.replace("/*DATA*/", json.dumps(data))
