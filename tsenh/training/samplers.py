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


class Balanced:
  """Half of each batch pairs of photographs of one person, each person alike.

  The other half is of all examples, as `Shuffled` orders them, so that those of
  unknown people count too. An epoch has as many batches as there.
  """

  def __init__(self, people: np.ndarray, batch_size: int, seed: int):
    """Prepares to draw.

    Args:
      people: int [n], whose an example is; -1 of who has no part in pairs,
        others two examples or more.
      batch_size: examples per batch, 4 or more.
      seed: of all that is random.

    Raises:
      Error: if there is no pair, or not one whole batch.
    """
    self.batch_size = batch_size
    self._pairs = batch_size // 4
    faces = np.bincount(people[people >= 0])
    if not self._pairs or not len(faces):
      raise Error(
        f"a batch of {batch_size} of {len(faces)} people with several"
        " photographs has no pairs; expected 4 or more and some people."
      )
    self.steps_per_epoch = Shuffled(
      len(people), batch_size, seed
    ).steps_per_epoch
    self._others = Shuffled(len(people), batch_size - 2 * self._pairs, seed)
    self._seed = seed
    self._faces = faces
    self._rows = np.argsort(people, kind="stable")[-faces.sum() :]
    self._first = np.cumsum(faces) - faces

  def batches(self, epoch: int) -> np.ndarray:
    """Rows of the examples, int64 [steps_per_epoch, batch_size]."""
    random = np.random.default_rng([self._seed, epoch, 1])
    count = self.steps_per_epoch * self._pairs
    rounds = -(-count // len(self._faces))
    person = np.concatenate(
      [random.permutation(len(self._faces)) for _ in range(rounds)]
    )[:count]
    faces = self._faces[person]
    one = random.integers(faces)
    two = (one + 1 + random.integers(faces - 1)) % faces
    places = np.stack([one, two], axis=1) + self._first[person][:, None]
    pairs = self._rows[places].reshape(self.steps_per_epoch, -1)
    others = self._others.batches(epoch)[: self.steps_per_epoch]
    return np.concatenate([pairs, others], axis=1)
