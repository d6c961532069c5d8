"""What the paper compares with, and what it should have: by name.

`pq-128`, `opq-128`, `rq-128`, `lsq-128`, `prq-128` and `rabitq-128` are vector
quantizers of so many bits, `itq-128`, `lsh-128`, `dbh-128` and `dhn-128` binary
codes. Each is fitted to a training
set when it is evaluated, which takes seconds to minutes, and has a fixed
length: what it writes is as long as its name says, and is not entropy-coded.
"""

import functools
import logging
import re
from typing import Callable, Optional, Protocol, Sequence

import numpy as np

from tsenh.base.errors import Error
from tsenh.data.feature_sets import FeatureSet
from tsenh.features.costs import Costs

QUANTIZERS = ("pq", "opq", "rq", "lsq", "prq", "rabitq")
HASHES = ("itq", "lsh", "dbh", "dhn")
MAX_BITS = 4096
HELP = (
  "a baseline with its bits, as in pq-128, fitted to --training_set: pq, opq,"
  " rq, lsq, prq, rabitq, vector quantization; lsh, itq, dbh, dhn, binary codes"
)
_NAME = re.compile(rf"({'|'.join((*QUANTIZERS, *HASHES))})-(\d+)")


class Baseline(Protocol):
  """What all of them can do; quantizers can decode as well.

  Attributes:
    objective: what fitting minimised, as it went; None where the library does
      not tell.
  """

  objective: Optional[Sequence[float]]

  def encode(self, features: np.ndarray) -> np.ndarray:
    """Codes uint8 [n, bits / 8] of features float32 [n, dim]."""

  def decode(self, codes: np.ndarray) -> np.ndarray:
    """Features float32 [n, dim] of codes uint8 [n, bits / 8]."""

  def digest(self) -> str:
    """SHA-256 of all that was fitted, in hexadecimal."""

  def costs(self) -> Costs:
    """Of sender and receiver."""


def named(name: str) -> bool:
  """Whether this is the name of a baseline."""
  return _NAME.fullmatch(name) is not None


def is_hash(name: str) -> bool:
  """Whether its codes are compared by Hamming distance, and not decoded."""
  return name.split("-")[0] in HASHES


def load(name: str, training_set: FeatureSet, seed: int = 0) -> Baseline:
  """Fits a baseline.

  Args:
    name: see the module.
    training_set: for dbh and dhn with identities.
    seed: of all that is random in fitting.

  Raises:
    Error: if there is no such baseline, or the training set cannot serve it.
  """
  kind, bits = name.split("-")
  if int(bits) % 8 or not 8 <= int(bits) <= MAX_BITS:
    raise Error(f"{name}: expected a multiple of 8 bits, 8 to {MAX_BITS}.")
  if kind in ("dbh", "dhn") and not _has_people(training_set):
    raise Error(f"{name}: needs a training set with identities.")
  # It would tell which processor's code it did not find.
  logging.getLogger("faiss.loader").setLevel(logging.WARNING)
  try:
    import faiss  # noqa: F401
    import threadpoolctl
  except ImportError as error:
    raise Error(f"{name}: needs more, pip install 'tsenh[paper]'.") from error
  # Imported before the threads are limited: libraries that come later are not.
  fit = _fitter(kind)
  # One thread: the same bits whatever the number of cores, and two fits share
  # two cores.
  with threadpoolctl.threadpool_limits(1):
    return fit(training_set, int(bits), seed)


def _has_people(training_set: FeatureSet) -> bool:
  """Whether it says of some faces whose they are."""
  identities = training_set.identities
  return identities is not None and identities.max() >= 0


def _fitter(kind: str) -> Callable[[FeatureSet, int, int], Baseline]:
  """What fits a baseline to a training set, with its bits and its seed."""
  if kind == "dbh":
    from tsenh.baselines import dbh

    return dbh.fit
  if kind == "dhn":
    from tsenh.baselines import dhn

    return dhn.fit
  if kind in ("lsq", "prq"):
    from tsenh.baselines import additive

    return functools.partial(additive.fit, kind)
  if kind == "rabitq":
    from tsenh.baselines import rabitq

    return rabitq.fit
  if kind in QUANTIZERS:
    from tsenh.baselines import quantization

    return functools.partial(quantization.fit, kind)
  from tsenh.baselines import binary_codes

  return functools.partial(binary_codes.fit, kind)


def hamming_distances(codes: np.ndarray, pairs: np.ndarray) -> np.ndarray:
  """Hamming distance of each pair: int64 [m].

  Args:
    codes: uint8 [n, bits / 8].
    pairs: int [m, 2], rows of `codes`.
  """
  differing = codes[pairs[:, 0]] ^ codes[pairs[:, 1]]
  return np.unpackbits(differing, axis=1).sum(axis=1, dtype=np.int64)
