"""LSQ and PRQ: sums of codewords, searched together or half by half, by Faiss.

A code of residual quantization (`quantization.py`) is a sum of codewords that
are chosen one after another. LSQ (local search quantization, LSQ++) chooses
again and again all of them at once; PRQ (product residual quantization) has a
residual quantizer for each half of the feature's dimensions, which costs less.
"""

import faiss
import numpy as np

from tsenh.base.errors import Error
from tsenh.baselines.faiss_codec import FaissCodec
from tsenh.data.feature_sets import FeatureSet
from tsenh.features.costs import Cost, Costs

BITS = 8  # Of a codebook.
# Faiss's defaults are 25 iterations with all features, hours at 128 bits.
LSQ_FEATURES = 32768
LSQ_ITERATIONS = 5
PRQ_SPLITS = 2


def fit(
  kind: str, training_set: FeatureSet, bits: int, seed: int
) -> FaissCodec:
  """Trains an index.

  Args:
    kind: lsq or prq, with codebooks of 256 codewords.
    training_set: what to fit to; LSQ takes as many as `LSQ_FEATURES` of it, in
      equal distances.
    bits: of a code.
    seed: of all that is random; 0 is Faiss's own.

  Raises:
    Error: if these features cannot be quantized so.
  """
  features = training_set.features
  dim, count = features.shape[1], bits // BITS
  if len(features) < 1 << BITS:
    raise Error(f"{kind}-{bits}: needs 256 training features or more.")
  if kind == "prq" and (dim % PRQ_SPLITS or count % PRQ_SPLITS):
    raise Error(
      f"{kind}-{bits}: expected a multiple of 16 bits, and features of an even"
      f" number of dimensions; these have {dim}."
    )
  if kind == "lsq":
    index = faiss.IndexLocalSearchQuantizer(dim, count, BITS)
    index.lsq.train_iters = LSQ_ITERATIONS
    index.lsq.random_seed += seed
    kept = min(len(features), LSQ_FEATURES)
    rows = np.linspace(0, len(features) - 1, kept).astype(int)
    features = features[rows]
  else:
    each = count // PRQ_SPLITS
    index = faiss.IndexProductResidualQuantizer(dim, PRQ_SPLITS, each, BITS)
    for split in range(PRQ_SPLITS):
      quantizer = index.prq.subquantizer(split)
      faiss.downcast_AdditiveQuantizer(quantizer).cp.seed += seed
  index.train(features)
  return FaissCodec(index, _costs(kind, dim, count))


def _costs(kind: str, dim: int, count: int) -> Costs:
  """Codebooks, of which the sender reads all; codewords are looked up."""
  centroids = (1 << BITS) * dim
  if kind == "prq":
    count //= PRQ_SPLITS
    # As RQ's in each half: the best few choices are followed.
    beam = faiss.ResidualQuantizer(dim, 1, BITS).max_beam_size
    sender = Cost(count * centroids, beam * count * centroids)
    return {"sender": sender, "receiver": Cost(count * centroids, 0)}
  # Every codeword against the feature, and against all others once: the local
  # search then adds what it looks up.
  sender = Cost(count * centroids + (count << BITS) ** 2, count * centroids)
  return {"sender": sender, "receiver": Cost(count * centroids, 0)}
