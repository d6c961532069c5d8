"""Features that are read once, in order, block by block."""

import contextlib
import dataclasses
from typing import BinaryIO, Callable, Iterator, Union

import numpy as np

from tsenh.base import arrays, files
from tsenh.base.errors import Error
from tsenh.data import feature_sets, manifests, shards

_CHUNK = 4096


@dataclasses.dataclass(frozen=True)
class FeatureStream:
  """Features that are read once, in order, block by block.

  Attributes:
    count: how many features there are.
    dim: how many values a feature has.
    blocks: the blocks, float32 [block_size, dim] and a shorter last one,
      checked as they are read.
  """

  count: int
  dim: int
  blocks: Iterator[np.ndarray]


def stream(features: np.ndarray, block_size: int) -> FeatureStream:
  """Features float32 [n, dim] that are in memory, as a stream."""
  starts = range(0, len(features), block_size)
  blocks = (features[start : start + block_size] for start in starts)
  return FeatureStream(*features.shape, blocks)


@contextlib.contextmanager
def open_stream(source: str, block_size: int) -> Iterator[FeatureStream]:
  """Opens features for reading with bounded memory, whatever their number.

  The file is read in order rather than memory-mapped: the pages of a map count
  as the process's memory for as long as the system lets them stay.

  Args:
    source: the name of a shipped set, the path of a `.npz` or `.npy` file or of
      a folder of shards, or `-` for a `.npy` stream on standard input.
    block_size: features per block.

  Yields:
    A FeatureStream.

  Raises:
    Error: as `feature_sets.load` does, for the features; those of a bad value
      come while the blocks are read.
  """
  with contextlib.ExitStack() as stack:
    if source == "-":
      file = stack.enter_context(files.source(source))
      yield _npy_stream(file, "standard input", block_size)
    elif _is_part(source) or shards.is_sharded(source):
      found = feature_sets.load(source, in_memory=False)
      yield stream(found.features, block_size)
    else:
      path = feature_sets.find(source)
      if path.suffix == ".npz":
        archive = stack.enter_context(arrays.open_archive(path))
        features = feature_sets.open_features(archive, source)
        file = stack.enter_context(features)
      else:
        with arrays.readable(source):
          file = stack.enter_context(open(path, "rb"))
      yield _npy_stream(file, source, block_size)


def _is_part(source: str) -> bool:
  """Whether it is a shipped set whose rows are picked from a larger one."""
  info = manifests.sets().get(source)
  return info is not None and info.split is not None


def _npy_stream(file: BinaryIO, source: str, block_size: int) -> FeatureStream:
  """The blocks of a `.npy` file that may not be seekable."""
  header = feature_sets.read_header(file, source)
  (count, dim), dtype = header.shape, header.dtype

  def blocks():
    for start in range(0, count, block_size):
      rows = min(block_size, count - start)
      with arrays.readable(source):
        data = files.read_fully(file, rows * dim * dtype.itemsize)
      if len(data) < rows * dim * dtype.itemsize:
        row = start + len(data) // (dim * dtype.itemsize)
        raise Error(
          f"{source}: array 'features' ends in row {row}, expected {count}."
        )
      block = np.frombuffer(data, dtype).reshape(rows, dim)
      feature_sets.check_values(block, source, start)
      yield block.astype(np.float32, copy=False)
    with arrays.readable(source):
      rest = file.read(1)
    if rest:
      raise Error(f"{source}: bytes follow the {count} features.")

  return FeatureStream(count, dim, blocks())


Array = Union[np.ndarray, shards.Rows]


def in_chunks(function: Callable, array: Array) -> Array:
  """Applies a function of rows to many of them, with bounded memory.

  Args:
    function: maps [k, ...] to [k, ...], row by row.
    array: [n, ...], n at least 1; may be memory-mapped, or on disk.

  Returns:
    [n, ...]: what it gives of chunks of 4,096 rows, put together; on disk if
    `array` is.
  """
  chunks = map(function, each_chunk(array))
  on_disk = isinstance(array, shards.Rows)
  return shards.spilled(chunks) if on_disk else np.concatenate(list(chunks))


def mean(function: Callable, array: Array) -> float:
  """The mean of a function of rows, [k, ...] to [k], with bounded memory."""
  return sum(float(function(c).sum()) for c in each_chunk(array)) / len(array)


def each_chunk(array: Array, size: int = _CHUNK) -> Iterator[np.ndarray]:
  """The rows of an array, in memory, so many at a time."""
  return (array[start : start + size] for start in range(0, len(array), size))
