"""LSH and ITQ: binary codes without labels, with Faiss."""

import faiss

from tsenh.baselines.faiss_codec import FaissCodec
from tsenh.data.feature_sets import FeatureSet
from tsenh.features.costs import Cost

_FIRST_SEED = 12345  # Of a random rotation, when Faiss is told none.


def fit(
  kind: str, training_set: FeatureSet, bits: int, seed: int
) -> FaissCodec:
  """Fits hyperplanes.

  Args:
    kind: lsh, signs in a random rotation of the feature, or where the code is
      longer in a random tight frame; itq, which learns another rotation after
      it.
    training_set: what to fit to.
    bits: of a code.
    seed: of the random rotations; 0 is Faiss's own.
  """
  features = training_set.features
  dim = features.shape[1]
  factory = {"lsh": f"RR{bits},LSH", "itq": f"RR{bits},ITQ{bits},LSH"}
  index = faiss.index_factory(dim, factory[kind])
  faiss.downcast_VectorTransform(index.chain.at(0)).init(_FIRST_SEED + seed)
  if kind == "itq":
    faiss.downcast_VectorTransform(index.chain.at(1)).itq.seed += seed
  index.train(features)
  size = dim * bits + (bits**2 if kind == "itq" else 0)
  return FaissCodec(index, {"sender": Cost(size, size), "receiver": Cost(0, 0)})
