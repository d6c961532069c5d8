"""Which examples make which batch."""

from typing import Protocol

import numpy as np

from tsenh.base.errors import Error


class Sampler(Protocol):
  """Picks the batches of an epoch, always the same ones for the same epoch.

  Attributes:
    batch_size: examples per batch.
    steps_per_epoch: batches per epoch.
  """

  batch_size: int
  steps_per_epoch: int

  def batches(self, epoch: int) -> np.ndarray:
    """Rows of the examples, int64 [steps_per_epoch, batch_size]."""


class Shuffled:
  """Every example at most once an epoch, in an order keyed by (seed, epoch).

  Paper-silent (last_batch): examples that do not fill a batch are left out,
  others each epoch.
  """

  def __init__(self, count: int, batch_size: int, seed: int):
    """Prepares to shuffle.

    Args:
      count: how many examples there are.
      batch_size: examples per batch.
      seed: of the order.

    Raises:
      Error: if there is not one whole batch.
    """
    if count < batch_size:
      raise Error(
        f"{count} training features do not fill a batch of {batch_size}."
      )
    self.batch_size = batch_size
    self.steps_per_epoch = count // batch_size
    self._count = count
    self._seed = seed

  def batches(self, epoch: int) -> np.ndarray:
    """Rows of the examples, int64 [steps_per_epoch, batch_size]."""
    order = np.random.default_rng([self._seed, epoch]).permutation(self._count)
    used = self.steps_per_epoch * self.batch_size
    return order[:used].reshape(self.steps_per_epoch, self.batch_size)
