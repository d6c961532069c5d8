"""Training on several machines: all run one command, and share each batch.

Each machine takes its part of every batch, and after each update the gradients
are averaged over all (`tf.distribute.MultiWorkerMirroredStrategy`), so that the
weights stay the same everywhere. It is the training of one machine but for the
order in which sums are rounded. Who takes part, the environment variable
TF_CONFIG says, in TensorFlow's form.
"""

import json
import os
import pathlib
import shutil
import tempfile
from typing import Callable, NamedTuple, Optional

import numpy as np
import tensorflow as tf

from tsenh.base.errors import Error


class Machines(NamedTuple):
  """Those that train together.

  Attributes:
    count: how many there are.
    rank: the number of this one; 0 writes the run.
    strategy: what averages over all.
  """

  count: int
  rank: int
  strategy: tf.distribute.Strategy

  def part(self, rows: np.ndarray) -> np.ndarray:
    """This machine's part of batches [steps, batch, ...]."""
    return rows[:, self.rank :: self.count]

  def mean(self, function: Callable[..., tf.Tensor], *arguments) -> tf.Tensor:
    """The mean over all machines, which all have to ask for it.

    Args:
      function: gives this machine's value.
      *arguments: of the function, tensors.
    """

    def own(*arguments):
      context = tf.distribute.get_replica_context()
      value = function(*arguments)
      return context.all_reduce(tf.distribute.ReduceOp.MEAN, value)

    return self.strategy.run(own, arguments)


_joined: Optional[Machines] = None


def join() -> Machines:
  """Waits for all machines of TF_CONFIG; before TensorFlow computes anything.

  Raises:
    Error: if TF_CONFIG does not name some workers and this one.
  """
  global _joined
  if _joined is not None:
    return _joined
  try:
    config = json.loads(os.environ.get("TF_CONFIG", ""))
    count = len(config["cluster"]["worker"])
    kind, rank = config["task"]["type"], int(config["task"]["index"])
    right = [*config["cluster"]] == ["worker"] and kind == "worker"
  except (ValueError, KeyError, TypeError) as error:
    raise Error(f"TF_CONFIG is no JSON of a cluster ({error!r}).") from error
  if not right or not 0 <= rank < count:
    raise Error(
      "TF_CONFIG: expected a cluster of workers, and the task of one of them."
    )
  options = tf.distribute.experimental.CommunicationOptions(
    implementation=tf.distribute.experimental.CommunicationImplementation.RING
  )
  strategy = tf.distribute.MultiWorkerMirroredStrategy(
    communication_options=options
  )
  _joined = Machines(count, rank, strategy)
  return _joined


def joined() -> Optional[Machines]:
  """What `join` gave, if it was called."""
  return _joined


# Of a machine that does not write the run, for as long as the process lives.
_copies = []


def own_folder(folder: pathlib.Path) -> pathlib.Path:
  """Where this machine keeps a run: in its folder, or in a copy of it."""
  if _joined is None or _joined.rank == 0:
    return folder
  copy = tempfile.TemporaryDirectory()
  _copies.append(copy)
  path = pathlib.Path(copy.name, folder.name)
  if folder.is_dir():
    shutil.copytree(folder, path)
  return path
