"""PQ, OPQ and RQ: vector quantization with Faiss."""

import faiss

from tsenh.base.errors import Error
from tsenh.baselines.faiss_codec import FaissCodec
from tsenh.data.feature_sets import FeatureSet
from tsenh.features.costs import Cost, Costs

BITS = 8  # Of a sub-quantizer, as in the paper's BPP.
# Faiss's defaults are as many iterations on 65,536 features: with 128
# sub-quantizers hours. Within this bound they are minutes.
# Paper-silent (opq_effort).
OPQ_ITERATIONS = 50
OPQ_FEATURES = 16384
RQ_BEAM = 5  # Faiss's default.


def fit(
  kind: str, training_set: FeatureSet, bits: int, seed: int
) -> FaissCodec:
  """Trains an index.

  Args:
    kind: pq, opq or rq, with 8 bits per sub-quantizer or stage.
    training_set: what to fit to.
    bits: of a code.
    seed: of k-means, and of OPQ's first rotation; 0 is Faiss's own.

  Raises:
    Error: if these features cannot be quantized so.
  """
  features = training_set.features
  dim = features.shape[1]
  count = bits // BITS
  if kind in ("pq", "opq") and dim % count:
    raise Error(
      f"{kind}-{bits}: {count} sub-quantizers do not divide the {dim}"
      " dimensions of the features."
    )
  if len(features) < 1 << BITS:
    raise Error(f"{kind}-{bits}: needs 256 training features or more.")
  factory = {
    "pq": f"PQ{count}x{BITS}",
    "opq": f"OPQ{count},PQ{count}x{BITS}",
    "rq": f"RQ{count}x{BITS}",
  }
  index = faiss.index_factory(dim, factory[kind])
  if kind == "rq":
    index.rq.cp.seed += seed
  else:
    quantizer = index if kind == "pq" else faiss.downcast_index(index.index)
    quantizer.pq.cp.seed += seed
    # It would renumber the centroids, for a search that nobody makes here.
    quantizer.do_polysemous_training = False
  if kind == "opq":
    rotation = faiss.downcast_VectorTransform(index.chain.at(0))
    rotation.niter = OPQ_ITERATIONS
    rotation.max_train_points = OPQ_FEATURES
    if seed:
      first = faiss.RandomRotationMatrix(dim, dim)
      first.init(seed)
      rotation.A = first.A
  index.train(features)
  return FaissCodec(index, _costs(kind, dim, count))


def _costs(kind: str, dim: int, count: int) -> Costs:
  """Codebooks and rotation; a centroid is looked up, not computed."""
  centroids = (1 << BITS) * dim  # Of all sub-quantizers, or of one stage.
  if kind == "rq":
    # The encoder follows the best few of its choices at a time.
    sender = Cost(count * centroids, RQ_BEAM * count * centroids)
    return {"sender": sender, "receiver": Cost(count * centroids, 0)}
  rotation = dim**2 if kind == "opq" else 0
  size = centroids + rotation
  return {"sender": Cost(size, size), "receiver": Cost(size, rotation)}
