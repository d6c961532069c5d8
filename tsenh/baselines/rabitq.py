"""RaBitQ: a sign for each dimension, and two factors that make it unbiased.

Faiss keeps the factors as numbers of 32 bits beside the signs, and they are
counted: of a code of 128 bits 64 are signs. Where the signs are fewer than the
dimensions, the leading principal components are coded, as users of Faiss do.
"""

import faiss

from tsenh.base.errors import Error
from tsenh.baselines.faiss_codec import FaissCodec
from tsenh.data.feature_sets import FeatureSet
from tsenh.features.costs import Cost

FACTOR_BITS = 64
_FIRST_SEED = 12345  # Of a random rotation, when Faiss is told none.


def fit(training_set: FeatureSet, bits: int, seed: int) -> FaissCodec:
  """Finds the components, draws a rotation of them, and takes the mean.

  Args:
    training_set: what to fit to.
    bits: of a code, the factors' 64 with the signs.
    seed: of the rotation; 0 is Faiss's own.

  Raises:
    Error: if so many bits leave no signs, or more than there are dimensions.
  """
  features = training_set.features
  dim, signs = features.shape[1], bits - FACTOR_BITS
  if not 0 < signs <= dim:
    raise Error(
      f"rabitq-{bits}: two factors take {FACTOR_BITS} bits, and each of the"
      f" features' {dim} dimensions one: expected {FACTOR_BITS + 8} to"
      f" {FACTOR_BITS + dim // 8 * 8} bits."
    )
  components = f"PCA{signs}," if signs < dim else ""
  index = faiss.index_factory(dim, f"{components}RR{signs},RaBitQ")
  rotation = index.chain.at(index.chain.size() - 1)
  faiss.downcast_VectorTransform(rotation).init(_FIRST_SEED + seed)
  index.train(features)
  # Both maps are linear: together one matrix, and two vectors that are taken
  # away, the features' mean and that of what is coded.
  size = dim * signs
  cost = Cost(size + dim + signs, size)
  return FaissCodec(index, {"sender": cost, "receiver": cost})
