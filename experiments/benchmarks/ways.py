"""Ways to bytes and back, and how they take turns: for `peers`."""

import pathlib
import time
from typing import Any, Callable, Dict, Iterator, NamedTuple, Tuple

import numpy as np
import tqdm

from tsenh import baselines
from tsenh.coding import bitstream
from tsenh.data import streams

# What the others are compared with.
REFERENCES = {
  "memory": "opq-128",
  "files": "opq-128",
  "coder": "constriction_range",
}


class Way(NamedTuple):
  """One way to bytes and back.

  Attributes:
    encode: maps what is given to what is coded.
    decode: maps that to what was given, or nearly.
    size: bytes of what is coded.
  """

  encode: Callable[[Any], Any]
  decode: Callable[[Any], Any]
  size: Callable[[Any], int]


def in_memory(name: str, codec) -> Way:
  """A codec or a baseline, from array to array."""
  if not baselines.named(name):
    return Way(codec.compress, codec.decompress, len)
  return Way(codec.encode, codec.decode, lambda codes: codes.nbytes)


def in_files(name: str, codec, folder: pathlib.Path) -> Way:
  """The same from a .npy file to a .npy file; its functions map paths."""
  from tsenh.features import compressor

  coded, decoded = folder / "coded.npy", folder / "decoded.npy"

  def encode(path):
    if not baselines.named(name):
      with (
        streams.open_stream(str(path), bitstream.DEFAULT_BLOCK_SIZE) as stream,
        open(coded, "wb") as file,
      ):
        compressor.encode(codec, stream, file)
    else:
      np.save(coded, codec.encode(np.load(path)))
    return coded

  def decode(path):
    if not baselines.named(name):
      with open(path, "rb") as file, open(decoded, "wb") as output:
        header = compressor.read_header(codec, file)
        shape = (header.num_features, header.feature_dim)
        np.lib.format.write_array_header_1_0(
          output, {"descr": "<f4", "fortran_order": False, "shape": shape}
        )
        for block in compressor.decode(codec, file, header):
          output.write(block)
    else:
      np.save(decoded, codec.decode(np.load(path)))
    return decoded

  return Way(encode, decode, lambda path: path.stat().st_size)


def _blocks(codes: np.ndarray) -> Iterator[np.ndarray]:
  size = bitstream.DEFAULT_BLOCK_SIZE
  return (codes[start : start + size] for start in range(0, len(codes), size))


def _size(strings) -> int:
  return sum(memoryview(string).nbytes for string, _ in strings)


def own_coder(coder) -> Way:
  """An EntropyCoder, one string for each block."""

  def encode(codes):
    return [(coder.pack_shared(block), len(block)) for block in _blocks(codes)]

  def decode(strings):
    payloads, counts = zip(*strings)
    return coder.unpack("shared", payloads, counts)

  return Way(encode, decode, _size)


def constriction_coder(coder, kind: str) -> Way:
  """One of constriction's coders with the tables of an EntropyCoder.

  Args:
    coder: the EntropyCoder. Its escape is never coded: a value that a table
      does not hold becomes the nearest that it does.
    kind: range or ans.

  Raises:
    ImportError: if constriction is not installed.
  """
  from constriction import stream

  frequencies = np.diff(coder.cdf, axis=1)
  last = (frequencies > 0).sum(axis=1) - 2  # Behind it is the escape.
  models = [
    stream.model.Categorical(row[row > 0] / row.sum(), perfect=False)
    for row in frequencies
  ]

  def encode(codes):
    strings = []
    for block in _blocks(codes):
      symbols = np.clip(block - coder.lower, 0, last).astype(np.int32)
      columns = zip(np.ascontiguousarray(symbols.T), models)
      if kind == "range":
        encoder = stream.queue.RangeEncoder()
        for column, model in columns:
          encoder.encode(column, model)
      else:  # Last in, first out.
        encoder = stream.stack.AnsCoder()
        for column, model in reversed(list(columns)):
          encoder.encode_reverse(column, model)
      strings.append((encoder.get_compressed(), len(block)))
    return strings

  def decode(strings):
    decoder = {
      "range": stream.queue.RangeDecoder,
      "ans": stream.stack.AnsCoder,
    }[kind]
    blocks = []
    for string, count in strings:
      decoding = decoder(string)
      columns = [decoding.decode(model, count) for model in models]
      blocks.append(np.stack(columns, axis=1) + coder.lower)
    return np.concatenate(blocks)

  return Way(encode, decode, _size)


def _timed(function: Callable, argument) -> Tuple[Any, float]:
  start = time.perf_counter()
  result = function(argument)
  return result, time.perf_counter() - start


def take_turns(
  groups: Dict[str, Tuple[Any, Dict[str, Way]]], rounds: int
) -> Dict[str, Dict[str, Dict[str, Any]]]:
  """Times all ways of all groups, one after the other in each round.

  Args:
    groups: by name, an array or the path of one, and the ways that take it.
    rounds: how many.

  Returns:
    By group and way: `bytes_per_feature`, or per code; `mse`, the mean squared
    error of an element; `seconds` of each round, by `encode` and `decode`.
  """
  found = {group: {} for group in groups}
  for _ in tqdm.trange(rounds, unit="round"):
    for group, (given, ways) in groups.items():
      for name, way in ways.items():
        coded, encode_seconds = _timed(way.encode, given)
        decoded, decode_seconds = _timed(way.decode, coded)
        if name not in found[group]:
          first, second = _array(given), _array(decoded)
          found[group][name] = {
            "bytes_per_feature": way.size(coded) / len(first),
            "mse": float(np.square(first - second).mean()),
            "seconds": {"encode": [], "decode": []},
          }
        seconds = found[group][name]["seconds"]
        seconds["encode"].append(round(encode_seconds, 6))
        seconds["decode"].append(round(decode_seconds, 6))
  return found


def _array(given) -> np.ndarray:
  return np.load(given) if isinstance(given, pathlib.Path) else given


def summarize(found, count: int) -> None:
  """Adds medians of features a second, and of the ratios of each round.

  Args:
    found: from `take_turns`.
    count: of features.
  """
  for group, ways in found.items():
    reference = ways.get(REFERENCES[group])
    for name, way in ways.items():
      others = {f"to_{REFERENCES[group]}": reference}
      if group == "files":
        others["to_memory"] = found["memory"][name]
      way["ratios"] = {}
      for direction, seconds in way["seconds"].items():
        way[f"{direction}_per_second"] = round(count / np.median(seconds))
        for key, other in others.items():
          if other is not None:
            ratios = np.divide(other["seconds"][direction], seconds)
            way["ratios"][f"{direction}_{key}"] = ratios.round(3).tolist()
            way[f"{direction}_{key}"] = round(float(np.median(ratios)), 3)
