"""Does more effort in fitting make the paper's peers better?

  python -m experiments.studies.effort --network=fullrank --output=effort.json

Fits OPQ, DBH and DHN at 128 bits with more and less of what each spends
(iterations, features, anchors, width, epochs), on the training set without the
people of the validation set, and measures them on these people. What the paper
leaves silent is chosen by this, with as much search for one method as for the
next, within what a few minutes allow. Half an hour.
"""

import contextlib
import importlib
import time
from typing import Any, Dict, Iterator

import tqdm
from absl import flags

from experiments.studies import network
from tsenh import baselines
from tsenh.base import command_line, files, results
from tsenh.data import feature_sets
from tsenh.recognition import dense, verification

_OUTPUT = flags.DEFINE_string("output", None, "The JSON to write.")
flags.mark_flag_as_required("output")

BITS = 128
MODULES = {"opq": "quantization", "dbh": "dbh", "dhn": "dhn"}
# By method: the constants of its module, by what they are called.
VARIANTS: Dict[str, Dict[str, Dict[str, Any]]] = {
  "opq": {
    "10 iterations, 16,384 faces": {"OPQ_ITERATIONS": 10},
    "50 iterations, 16,384 faces": {},
    "10 iterations, 65,536 faces": {
      "OPQ_ITERATIONS": 10,
      "OPQ_FEATURES": 65536,
    },
  },
  "dbh": {
    "300 anchors, 5,000 faces": {"NUM_LABELLED": 5000},
    "300 anchors, 20,000 faces": {},
    "1,000 anchors, 5,000 faces": {"NUM_ANCHORS": 1000, "NUM_LABELLED": 5000},
    "1,000 anchors, 20,000 faces": {"NUM_ANCHORS": 1000},
  },
  "dhn": {
    "512 wide, 20 epochs": {"EPOCHS": 20},
    "2,048 wide, 20 epochs": {"EPOCHS": 20, "HIDDEN_DIM": 2048},
    "512 wide, 60 epochs": {},
    "512 wide, 5 epochs": {"EPOCHS": 5},
    "512 wide, 20 epochs, quantization weight 1": {
      "EPOCHS": 20,
      "QUANTIZATION_WEIGHT": 1.0,
    },
  },
}


@contextlib.contextmanager
def changed(kind: str, constants: Dict[str, Any]) -> Iterator[None]:
  """A method's module with other constants."""
  module = importlib.import_module(f"tsenh.baselines.{MODULES[kind]}")
  before = {name: getattr(module, name) for name in constants}
  try:
    for name, value in constants.items():
      setattr(module, name, value)
    yield
  finally:
    for name, value in before.items():
      setattr(module, name, value)


def main():
  files.check_output(_OUTPUT.value)
  sets = network.chosen()
  training_set, held_out = map(
    feature_sets.load, (sets.held_in, sets.validation)
  )

  def measure(kind: str, name: str, constants) -> Dict[str, Any]:
    began = time.monotonic()
    with changed(kind, constants):
      baseline = baselines.load(f"{kind}-{BITS}", training_set)
    seconds = time.monotonic() - began
    codes = baseline.encode(held_out.features)
    if baselines.is_hash(kind):
      vectors, distances = (
        codes,
        baselines.hamming_distances(codes, held_out.pairs),
      )
    else:
      vectors = baseline.decode(codes)
      distances = verification.squared_distances(
        verification.normalize(vectors), held_out.pairs
      )
    found = dense.measure(vectors, held_out.identities)
    return {
      "method": f"{kind}-{BITS}",
      "effort": name,
      "seconds": round(seconds, 1),
      "auc": verification.area_under_curve(distances, held_out.is_same),
      **{key: found[key] for key in (*dense.METRICS, "interval")},
    }

  jobs = [(k, n, c) for k, own in VARIANTS.items() for n, c in own.items()]
  points = [measure(*job) for job in tqdm.tqdm(jobs, unit="fit")]
  measured = {
    "study": f"effort of peers on {sets.validation}",
    "points": points,
  }
  results.write(_OUTPUT.value, measured, network.digests())


if __name__ == "__main__":
  command_line.run(main)
