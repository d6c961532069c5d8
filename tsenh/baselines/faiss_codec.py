"""A trained Faiss index as a codec of fixed length."""

import hashlib

import faiss
import numpy as np

from tsenh.features.costs import Costs


class FaissCodec:
  """What an index encodes and decodes; see `tsenh.baselines.Baseline`."""

  objective = None  # Faiss reports it to the screen alone.

  def __init__(self, index: faiss.Index, costs: Costs):
    """Takes a trained index with sa_encode, and sa_decode if it decodes."""
    self._index = index
    self._costs = costs

  def encode(self, features: np.ndarray) -> np.ndarray:
    """Codes uint8 [n, bits / 8] of features float32 [n, dim]."""
    return self._index.sa_encode(np.ascontiguousarray(features, np.float32))

  def decode(self, codes: np.ndarray) -> np.ndarray:
    """Features float32 [n, dim] of codes uint8 [n, bits / 8]."""
    return self._index.sa_decode(codes)

  def digest(self) -> str:
    """SHA-256 of the serialised index, in hexadecimal."""
    return hashlib.sha256(faiss.serialize_index(self._index)).hexdigest()

  def costs(self) -> Costs:
    """Of sender and receiver."""
    return self._costs
