"""Sets in shards, encoded and decoded shard by shard, here or on an engine.

A set in a folder of shards becomes a folder of as many `.tsf` files, and these
a folder of shards. A shard's bytes are those of its features encoded alone.
"""

import functools
import os
import pathlib
from typing import Any, Callable, List, Optional

import numpy as np

from tsenh.base import cluster, files
from tsenh.data import feature_sets, shards, streams
from tsenh.data.shards import Shard
from tsenh.features import compressor


def encode(
  codec: str,
  source: str,
  output: str,
  packing: str,
  block_size: int,
  on_done: Callable[[int], None],
  engine: Optional[Callable[..., None]] = None,
) -> int:
  """Encodes a folder of shards to a folder of `.tsf` files.

  Args:
    codec: as `compressor.load` finds it, on every machine.
    source: the folder of shards.
    output: the folder to make.
    packing: see `compressor.encode`.
    block_size: likewise.
    on_done: called with the number of each shard when it is there.
    engine: does the shards in place of this process; see `cluster.run`.

  Returns:
    Bytes of all files.

  Raises:
    Error: as `cluster.run`, `compressor.load` and `shards.write` do.
  """
  paths = shards.paths(source)
  digest = compressor.load(codec).transform.digest()
  arguments = (codec, packing, block_size)
  target = _work(
    encode_shard,
    [(*arguments, str(path.absolute())) for path in paths],
    output,
    "tsf",
    [digest, packing, block_size],
    on_done,
    engine,
  )
  return sum(path.stat().st_size for path in target.iterdir())


def decode(
  codec: str,
  enhancer: Optional[str],
  source: str,
  output: str,
  on_done: Callable[[int], None],
  engine: Optional[Callable[..., None]] = None,
) -> None:
  """Decodes what `encode` wrote to a folder of shards.

  Args:
    codec: see `encode`.
    enhancer: decodes in place of the codec's own decoder, if given.
    source: the folder of `.tsf` files.
    output: the folder to make.
    on_done: see `encode`.
    engine: likewise.

  Raises:
    Error: as `encode` does, and `compressor.decode`.
  """
  paths = shards.paths(source, "tsf")
  loaded = compressor.load(codec, enhancer)
  own = loaded.enhancement and loaded.enhancement.enhancer.digest()
  _work(
    decode_shard,
    [(codec, enhancer, i, str(p.absolute())) for i, p in enumerate(paths)],
    output,
    "tar",
    [loaded.transform.digest(), own],
    on_done,
    engine,
  )


def _work(
  function: Callable[..., None],
  inputs: List[tuple],
  output: str,
  suffix: str,
  key: List[Any],
  on_done: Callable[[int], None],
  engine: Optional[Callable[..., None]],
) -> pathlib.Path:
  """Makes a folder of files, each of a task's arguments, whole or not at all.

  Args:
    function: takes the arguments, and the path of the file.
    inputs: arguments of each file, the last of them the file that it is of.
    output: the folder to make.
    suffix: of its files.
    key: what they depend on beside their inputs, JSON.
    on_done: called with the number of each file.
    engine: see `encode`.

  Returns:
    The folder.
  """
  target = shards.check_output(output)
  folder = target.with_name(f".{target.name}.shards")
  sizes = [(args[-1], os.path.getsize(args[-1])) for args in inputs]
  cluster.claim(folder, [suffix, *key, sizes])
  names = (
    shards.shard_name(target.name, i, len(inputs), suffix)
    for i in range(len(inputs))
  )
  tasks = [(*args, str(folder / name)) for args, name in zip(inputs, names)]
  (engine or cluster.run)(function, tasks, on_done)
  cluster.release(folder)
  os.replace(folder, target)
  return target


_load = functools.lru_cache(maxsize=1)(compressor.load)


def encode_shard(
  codec: str, packing: str, block_size: int, source: str, path: str
) -> None:
  """Encodes one shard to a `.tsf` file; a task."""
  features = shards.read_shard(pathlib.Path(source)).features
  features = feature_sets.check_features(features, source)
  stream = streams.stream(features, block_size)
  with files.replacing(path) as file:
    compressor.encode(_load(codec, None), stream, file, packing, block_size)


def decode_shard(
  codec: str, enhancer: Optional[str], number: int, source: str, path: str
) -> None:
  """Decodes one `.tsf` file to a shard; a task."""
  loaded = _load(codec, enhancer)
  with open(source, "rb") as file:
    header = compressor.read_header(loaded, file)
    blocks = list(compressor.decode(loaded, file, header))
  shard = Shard(np.concatenate(blocks), None, None)
  shards.write_shard(pathlib.Path(path), number, shard, f"decoded by {codec}")
