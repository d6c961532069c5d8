"""Where does scalar quantization score 50 %? Every QP, three readings of SQ.

  python -m experiments.studies.sq_sweep --output=sq_sweep.json

Table 1 gives SQ 50.00 % at 1.21 BPP. This measures rate and verification
accuracy on the validation set for SQ as Eq. 7-9 print it
(floor), with truncation towards zero in place of the floor, and with the
integer codes compared unscaled. A minute.
"""

import numpy as np
import tqdm
from absl import flags

from experiments.studies import network
from tsenh.base import command_line, files, results
from tsenh.data import feature_sets
from tsenh.features.sq import ScalarQuantizer
from tsenh.recognition import verification

_OUTPUT = flags.DEFINE_string("output", None, "The JSON to write.")
flags.mark_flag_as_required("output")

QPS = range(28, 64)


def main():
  from tsenh.coding import entropy  # It imports TensorFlow.

  files.check_output(_OUTPUT.value)
  sets = network.chosen()
  training_set = feature_sets.load(sets.held_in)
  training = training_set.features
  test_set = feature_sets.load(sets.validation)

  def rate(training_codes, codes):
    coder = entropy.fit_coder(training_codes)
    return float(coder.bits(codes).mean() / codes.shape[1])

  def correct(vectors):
    distances = verification.squared_distances(vectors, test_set.pairs)
    return int(verification.decisions(distances, test_set.is_same).sum())

  points = []
  for qp in tqdm.tqdm(QPS, unit="QP"):
    sq = ScalarQuantizer(qp, training.shape[1])
    codes = sq.encode(test_set.features)
    truncated = np.trunc(test_set.features / sq.q_step).astype(np.int32)
    points.append(
      {
        "qp": qp,
        "bits_per_dimension": {
          "floor": rate(sq.encode(training), codes),
          "truncation": rate(
            np.trunc(training / sq.q_step).astype(np.int32), truncated
          ),
        },
        "correct_pairs": {
          "floor": correct(sq.decode(codes)),
          "truncation": correct(truncated * sq.q_step),
          "unscaled": correct(codes.astype(np.float32)),
        },
      }
    )
  measured = {
    "study": f"SQ over QP on {sets.validation}",
    "num_pairs": len(test_set.pairs),
    "points": points,
  }
  results.write(_OUTPUT.value, measured, network.digests())


if __name__ == "__main__":
  command_line.run(main)
