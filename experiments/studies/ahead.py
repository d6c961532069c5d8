"""What makes LDA a good codec at few bits, on held-out people.

  python -m experiments.studies.ahead --output=ahead.json

Around the recipe of `train_lda` each of its choices is varied alone: how many
directions are kept, how far the covariance within people is shrunk, how codes
are decoded, and how they are rounded (toward zero, which saves bits, or by a
trellis). Plain LDA stands beside them, and so does PCA. Each point has the step
that gives it the same bits, and beside them stand those that its error would
take at the Gaussian rate-distortion bound. Some ten minutes.
"""

from typing import Any, Dict, Iterator, Tuple

import numpy as np
import tqdm
from absl import flags

from experiments.studies import gaussian, network
from tsenh.base import command_line, files, results
from tsenh.data import feature_sets

_OUTPUT = flags.DEFINE_string("output", None, "The JSON to write.")
flags.mark_flag_as_required("output")

BITS = (64, 101)
BITS_PER_DIRECTION = (1.3, 1.6, 2.0, 2.5, 3.2)
SHRINKAGES = (0.0, 0.1, 0.3, 0.6, 1.0, 3.0)
DEAD_ZONES = (0.05, 0.1)
_EACH = 4  # The step is sought on so many times fewer features.


def _variants(bits: float) -> Iterator[Tuple[str, Dict[str, Any]]]:
  """What is varied, and with it the arguments of `_coder`."""
  from tsenh.features import lda

  best = {
    "dim": round(bits / lda.BITS_PER_DIRECTION),
    "shrinkage": lda.SHRINKAGE,
  }
  yield "recipe", best
  for share in BITS_PER_DIRECTION:
    yield "directions", {**best, "dim": round(bits / share)}
  for shrinkage in SHRINKAGES:
    yield "shrinkage", {**best, "shrinkage": shrinkage}
  yield "decoding", {**best, "decoding": "least_squares"}
  for zone in DEAD_ZONES:
    yield "rounding", {**best, "dead_zone": zone}
  yield "trellis", {**best, "trellis": True}
  plain = {"shrinkage": 0.0, "decoding": "least_squares"}
  yield "plain", {**plain, "dim": 48}
  yield "pca", {}


def _coder(bits, training_set, dim=0, dead_zone=0.0, trellis=False, **own):
  """A fitted coder, of so many bits on the training set, and its tables."""
  from tsenh.coding import entropy
  from tsenh.features import lda, pca

  features = training_set.features
  if dim:
    coder = lda.fit(1.0, dim, features, training_set.identities, **own)
  else:
    coder = pca.fit(1.0, features)
  coder.trellis = trellis
  if dead_zone:

    def quantize(latent):
      size = np.floor(np.abs(latent) + 0.5 - dead_zone)
      return (np.sign(latent) * np.maximum(size, 0)).astype(np.int32)

    coder.quantize = quantize
  coder.step = lda.step_for(bits, coder, features[::_EACH])
  return coder, entropy.fit_coder(coder.encode(features))


def _bound(coder, features: np.ndarray, codes: np.ndarray) -> float:
  """Bits at which the bound has the error that codes have in components."""
  latent = coder.latent(features) * coder.step
  error = np.square(latent - coder.values(codes) * coder.step).mean()
  own = np.linalg.eigvalsh(np.cov(latent, rowvar=False))
  levels = np.geomspace(own.max(), own.max() * 1e-6, 2000)
  bits, errors = gaussian.reverse_water_filling(own, levels)
  return float(np.interp(error, errors[::-1], bits[::-1]))


def main():
  from tsenh.recognition import dense, verification

  files.check_output(_OUTPUT.value)
  sets = network.chosen()
  training_set = feature_sets.load(sets.held_in)
  held_out = feature_sets.load(sets.validation)
  work = [
    (bits, varied, own) for bits in BITS for varied, own in _variants(bits)
  ]
  points = []
  for bits, varied, own in tqdm.tqdm(work, unit="codec"):
    coder, tables = _coder(bits, training_set, **own)
    codes = coder.encode(held_out.features)
    decoded = verification.normalize(coder.decode(codes))
    distances = verification.squared_distances(decoded, held_out.pairs)
    verified = verification.verify(distances, held_out.is_same)
    measured = dense.measure(decoded, held_out.identities)
    cosine = (decoded * held_out.features).sum(axis=1).mean()
    points.append(
      {
        "varied": varied,
        "wanted_bits": bits,
        **own,
        "step": coder.step,
        "bits": float(tables.bits(codes).mean()),
        "bound_bits": _bound(coder, held_out.features, codes),
        "correct_pairs": verified["correct_pairs"],
        "cosine": float(cosine),
        **{metric: measured[metric] for metric in dense.METRICS},
      }
    )
  found = {"study": "LDA at few bits, held-out people", "points": points}
  results.write(_OUTPUT.value, found, network.digests())


if __name__ == "__main__":
  command_line.run(main)
