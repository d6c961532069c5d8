"""PQ, OPQ, RQ, ITQ and random hyperplanes, all of them Faiss's."""

import hashlib

import faiss
import numpy as np

from tsenh.errors import Error

BITS = 8  # Of a sub-quantizer, as in the paper's BPP.
# Faiss's defaults are 50 iterations on 65,536 features after 40 of k-means:
# with 128 sub-quantizers hours. Within this bound they are minutes.
OPQ_ITERATIONS = 10
OPQ_FEATURES = 16384
RQ_BEAM = 5  # Faiss's default.


class FaissCodec:
  """A trained Faiss index as a codec of fixed length; see `Baseline`."""

  objective = None  # Faiss reports it to the screen alone.

  def __init__(self, index: "faiss.Index", parameters, multiply_adds):
    """Takes a trained index with sa_encode, and sa_decode if it decodes."""
    self._index = index
    self.parameters = parameters
    self.multiply_adds = multiply_adds

  def encode(self, features: np.ndarray) -> np.ndarray:
    """Codes uint8 [n, bits / 8] of features float32 [n, dim]."""
    return self._index.sa_encode(np.ascontiguousarray(features, np.float32))

  def decode(self, codes: np.ndarray) -> np.ndarray:
    """Features float32 [n, dim] of codes uint8 [n, bits / 8]."""
    return self._index.sa_decode(codes)

  def digest(self) -> str:
    """SHA-256 of the serialised index, in hexadecimal."""
    return hashlib.sha256(faiss.serialize_index(self._index)).hexdigest()


def fit(kind: str, features: np.ndarray, bits: int) -> FaissCodec:
  """Trains an index.

  Args:
    kind: pq, opq or rq, vector quantization with 8 bits per sub-quantizer or
      stage; itq or lsh, binary codes.
    features: float32 [n, dim], the training set.
    bits: of a code.

  Raises:
    Error: if these features cannot be quantized so.
  """
  dim = features.shape[1]
  count = bits // BITS
  if kind in ("pq", "opq") and dim % count:
    raise Error(
      f"{kind}:{bits}: {count} sub-quantizers do not divide the {dim}"
      " dimensions of the features."
    )
  if len(features) < 1 << BITS:
    raise Error(f"{kind}:{bits}: needs 256 training features or more.")
  index = _index(kind, dim, bits)
  index.train(features)
  return FaissCodec(index, *_cost(kind, dim, bits))


def _cost(kind: str, dim: int, bits: int):
  """Parameters and multiply-adds for one feature, of sender and receiver."""
  centroids = (1 << BITS) * dim  # Of all sub-quantizers, or of one stage.
  stages = bits // BITS
  sender, receiver = {
    "pq": (centroids, centroids),
    "opq": (centroids + dim**2, centroids + dim**2),
    "rq": (stages * centroids, stages * centroids),
    "lsh": (dim * bits, 0),
    "itq": (dim * bits + bits**2, 0),
  }[kind]
  parameters = {"sender": sender, "receiver": receiver}
  # A centroid is looked up, not computed, and the encoder of RQ follows the
  # best few of its choices at a time.
  beam = RQ_BEAM if kind == "rq" else 1
  rotation = dim**2 if kind == "opq" else 0
  return parameters, {"sender": beam * sender, "receiver": rotation}


def _index(kind: str, dim: int, bits: int) -> "faiss.Index":
  """An index, not yet trained."""
  count = bits // BITS
  factory = {
    "pq": f"PQ{count}x{BITS}",
    "opq": f"OPQ{count},PQ{count}x{BITS}",
    "rq": f"RQ{count}x{BITS}",
    # Signs in a random rotation of the feature; where the code is longer, in a
    # random tight frame. ITQ learns another rotation after it.
    "lsh": f"RR{bits},LSH",
    "itq": f"RR{bits},ITQ{bits},LSH",
  }
  index = faiss.index_factory(dim, factory[kind])
  if kind == "opq":
    rotation = faiss.downcast_VectorTransform(index.chain.at(0))
    rotation.niter = OPQ_ITERATIONS
    rotation.max_train_points = OPQ_FEATURES
  if kind in ("pq", "opq"):
    quantizer = index if kind == "pq" else faiss.downcast_index(index.index)
    # It would renumber the centroids, for a search that nobody makes here.
    quantizer.do_polysemous_training = False
  return index
