"""The arithmetic floor of a training step: its matrix products alone."""

import time

import numpy as np
import threadpoolctl

_SIZE = 1024  # Rows and columns of the product that gives the rate.


def operations(codec, batch_size: int) -> int:
  """Of the matrix products of a step: multiplications and additions.

  Each product of the forward pass has two more behind it, the gradients of its
  two factors; but those of the features nobody needs.
  """
  forward = sum(cost.multiply_adds for cost in codec.costs().values())
  unneeded = codec.feature_dim * codec.hidden_dim
  return 2 * batch_size * (3 * forward - unneeded)


def rate() -> float:
  """Operations a second of a large product on one thread: the best of three."""
  factor = np.ones([_SIZE, _SIZE], np.float32)
  seconds = []
  with threadpoolctl.threadpool_limits(1):
    for _ in range(3):
      start = time.perf_counter()
      factor @ factor
      seconds.append(time.perf_counter() - start)
  return 2 * _SIZE**3 / min(seconds)
