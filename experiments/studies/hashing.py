"""Do hashing methods learn faces, or the people they were shown?

  python -m experiments.studies.hashing --output=hashing.json

Fits the hashing methods to people of the training set and measures verification
(AUC, Hamming distance) twice: on pairs of the people whom supervised hashing
learned from, and on the pairs of the validation set, whom it never saw. Methods
that have no labels show how much harder the second set is. Five minutes.
"""

import numpy as np
import tqdm
from absl import flags

from experiments.studies import network
from tsenh import baselines
from tsenh.base import command_line, files, results
from tsenh.baselines import dbh, labels
from tsenh.data import feature_sets
from tsenh.data.feature_sets import FeatureSet
from tsenh.recognition import verification

_OUTPUT = flags.DEFINE_string("output", None, "The JSON to write.")
flags.mark_flag_as_required("output")

BITS = 128
NUM_PAIRS = 3000  # Of either kind.


def seen_pairs(training_set: FeatureSet):
  """Pairs of the people with the most faces, whom DBH learns from.

  Args:
    training_set: with identities, and mirror images in its second half.

  Returns:
    int64 [2 * NUM_PAIRS, 2], rows of the training set, no mirror images; and
    bool [2 * NUM_PAIRS], whether they are one person.
  """
  rows = labels.labelled(training_set.identities)[: dbh.NUM_LABELLED]
  rows = rows[~np.char.endswith(training_set.names[rows], "#flipped")]
  rng = np.random.default_rng(0)
  person = training_set.identities[rows]
  a, b = rng.integers(0, len(rows), [2, 200 * NUM_PAIRS])
  is_same = person[a] == person[b]
  same = np.flatnonzero(is_same & (a != b))[:NUM_PAIRS]
  different = np.flatnonzero(~is_same)[:NUM_PAIRS]
  chosen = np.concatenate([same, different])
  return np.stack([rows[a], rows[b]], axis=1)[chosen], is_same[chosen]


def main():
  files.check_output(_OUTPUT.value)
  sets = network.chosen()
  training_set = feature_sets.load(sets.held_in)
  held_out = feature_sets.load(sets.validation)
  seen = seen_pairs(training_set)
  unseen = held_out.pairs, held_out.is_same
  points = []
  for kind in tqdm.tqdm(baselines.HASHES, unit="fit"):
    hashing = baselines.load(f"{kind}-{BITS}", training_set)
    point = {"method": f"{kind}-{BITS}"}
    for name, vectors, (pairs, is_same) in (
      ("seen", training_set.features, seen),
      ("unseen", held_out.features, unseen),
    ):
      distances = baselines.hamming_distances(hashing.encode(vectors), pairs)
      point[f"auc_{name}"] = verification.area_under_curve(distances, is_same)
    points.append(point)
  measured = {
    "study": "hashing, seen and unseen people",
    "num_seen_pairs": len(seen[0]),
    "num_unseen_pairs": len(held_out.pairs),
    "points": points,
  }
  results.write(_OUTPUT.value, measured, network.digests())


if __name__ == "__main__":
  command_line.run(main)
