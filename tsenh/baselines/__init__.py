"""What the paper compares with, and what it should have: by name.

`pq:128`, `opq:128`, `rq:128` are vector quantizers of so many bits, `itq:128`,
`lsh:128`, `ksh:128` (the paper's DBH) and `dhn:128` binary codes. Each is
fitted to a training set when it is loaded, which takes seconds to minutes, and
has a fixed length: what it writes is as long as its name says, and is not
entropy-coded.
"""

import logging
import re
from typing import Dict, Optional, Protocol, Sequence

import numpy as np

from tsenh import features as features_lib
from tsenh.errors import Error

QUANTIZERS = ("pq", "opq", "rq")
HASHES = ("itq", "lsh", "ksh", "dhn")
MAX_BITS = 4096
HELP = (
  "a baseline with its bits, fitted to faces (pq:128:FILE: to FILE): pq, opq,"
  " rq, vector quantization; lsh, itq, ksh, dhn, binary codes"
)
_NAME = re.compile(rf"({'|'.join((*QUANTIZERS, *HASHES))}):(\d+)(?::(.+))?")


class Baseline(Protocol):
  """What all of them can do; quantizers can decode as well.

  Attributes:
    objective: what fitting minimised, as it went; None where the library does
      not tell.
    parameters: numbers that sender and receiver need.
    multiply_adds: for one feature, of sender and receiver.
  """

  objective: Optional[Sequence[float]]
  parameters: Dict[str, int]
  multiply_adds: Dict[str, int]

  def encode(self, features: np.ndarray) -> np.ndarray:
    """Codes uint8 [n, bits / 8] of features float32 [n, dim]."""

  def decode(self, codes: np.ndarray) -> np.ndarray:
    """Features float32 [n, dim] of codes uint8 [n, bits / 8]."""

  def digest(self) -> str:
    """SHA-256 of all that was fitted, in hexadecimal."""


def named(name: str) -> bool:
  """Whether this is the name of a baseline."""
  return name.split(":")[0] in (*QUANTIZERS, *HASHES) and ":" in name


def is_hash(name: str) -> bool:
  """Whether its codes are compared by Hamming distance, and not decoded."""
  return name.split(":")[0] in HASHES


def load(name: str) -> Baseline:
  """Fits a baseline to its training set.

  Args:
    name: see the module.

  Raises:
    Error: if there is no such baseline, or the training set cannot serve it.
  """
  match = _NAME.fullmatch(name)
  bits = int(match[2]) if match else 0
  if not match or bits % 8 or not 8 <= bits <= MAX_BITS:
    raise Error(
      f"{name}: expected {', '.join(QUANTIZERS + HASHES)} with a multiple of"
      f" 8 bits, 8 to {MAX_BITS}, as in pq:128."
    )
  training_set = features_lib.load(match[3] or "faces")
  kind = match[1]
  # It would tell which processor's code it did not find.
  logging.getLogger("faiss.loader").setLevel(logging.WARNING)
  try:
    import faiss  # noqa: F401
    import threadpoolctl
  except ImportError as error:
    raise Error(f"{name}: needs more, pip install 'tsenh[paper]'.") from error
  # One thread: the same bits whatever the number of cores, and two fits share
  # two cores.
  with threadpoolctl.threadpool_limits(1):
    return _fit(kind, training_set, bits, match[3])


def _fit(kind, training_set, bits, source) -> Baseline:
  if kind in ("ksh", "dhn"):
    if training_set.identities is None or training_set.identities.max() < 0:
      raise Error(f"{source}: {kind} needs a training set with identities.")
    if kind == "ksh":
      from tsenh.baselines import ksh

      return ksh.fit(training_set, bits)
    from tsenh.baselines import dhn

    return dhn.fit(training_set, bits)
  from tsenh.baselines import faiss_codecs

  return faiss_codecs.fit(kind, training_set.features, bits)


def hamming_distances(codes: np.ndarray, pairs: np.ndarray) -> np.ndarray:
  """Hamming distance of each pair: int64 [m].

  Args:
    codes: uint8 [n, bits / 8].
    pairs: int [m, 2], rows of `codes`.
  """
  differing = codes[pairs[:, 0]] ^ codes[pairs[:, 1]]
  return np.unpackbits(differing, axis=1).sum(axis=1, dtype=np.int64)
