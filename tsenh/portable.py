"""The codec and its file in NumPy alone: what a port has to do, and no more.

  from tsenh import portable
  codec = portable.load("checkpoints/pro-1e-6")
  data = portable.compress(codec, features)  # The bytes of a .tsf file.
  features = portable.decompress(codec, data)

FORMAT.md is the text to this code. Nothing but the reading of .npz and JSON is
shared with the TensorFlow implementation, so that each can be held against the
other. It is for reading and for small machines: the range coder is a Python
loop.
"""

import bisect
import hashlib
import pathlib
import struct
import zlib
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from tsenh.base import arrays, configs
from tsenh.base.errors import Error

MAGIC, VERSION = b"TSF\x1a", 1
SHARED, SEPARATE = 0, 1
HEADER_BYTES, MAX_BLOCK_SIZE = 48, 1 << 16
FEATURES_PER_BYTE = 64  # More take a reader that asks for them.
MAX_MAGNITUDE = 1e6  # Of a feature's elements.
TOTAL = 1 << 16  # The frequencies of a table's symbols sum to it.


class PortableCodec(NamedTuple):
  """A run folder, read.

  Attributes:
    config: config.json; `clip` and `code_dim` are there of every kind.
    weights: float64 arrays by name, from weights.npz.
    lower: int [code_dim], the value that each table's first symbol stands for.
    cdf: each table's cumulative frequencies, from 0 to 2^16, padding cut off.
  """

  config: Dict[str, Any]
  weights: Dict[str, np.ndarray]
  lower: List[int]
  cdf: List[List[int]]


class PortableEnhancer(NamedTuple):
  """An enhancer's run folder, read.

  Attributes:
    config: config.json.
    weights: float64 arrays by name, from weights.npz.
    high: the high-rate codec, whose decoder it feeds.
  """

  config: Dict[str, Any]
  weights: Dict[str, np.ndarray]
  high: PortableCodec


def load(folder: str) -> PortableCodec:
  """Reads the finished run folder of a codec, learned or linear.

  Raises:
    Error: if it is none, unfinished, damaged, or not what its digests say.
  """
  keys = ("feature_dim", "code_dim", "hidden_dim", "clip", "gdn", "gdn_layers")
  linear = ("step", "feature_dim")
  optional = ["code_dim", "trellis"]
  kinds = {"pro": keys, "pca": linear, "ahead": (*linear, *keys[1:3])}
  config = _read_config(folder, kinds, optional)
  if config["kind"] != "pro":
    return _load_linear(folder, config)
  ins, codes, hidden = (config[key] for key in keys[:3])
  encoder, decoder = ["fc1", "gdn", "fc2"], ["fc1", "gdn", "fc2"]
  if config["gdn_layers"] == 2:
    encoder, decoder = [*encoder, "gdn_code"], ["gdn_code", *decoder]
  shapes = {
    **_shapes("encoder", encoder, [ins, hidden, codes]),
    **_shapes("decoder", decoder, [codes, hidden, ins]),
  }
  words = [config[key] for key in keys]
  weights = _read_weights(folder, shapes, words, config.get("codec_digest"))
  tables = _read_tables(folder, codes, config.get("table_digest"))
  return PortableCodec(config, weights, *tables)


def _load_linear(folder: str, config: Dict[str, Any]) -> PortableCodec:
  """A codec whose receiver is a matrix and a step, section 7."""
  dim, kind = config["feature_dim"], config["kind"]
  codes = config.get("code_dim", dim)
  shapes = {"mean": (dim,), "components": (dim, codes)}
  if "code_dim" in config:
    shapes["reconstruction"] = (codes, dim)
  if kind == "ahead":
    units = config["hidden_dim"]
    shapes.update(hidden=(dim, units), bias=(units,), output=(units, codes))
  weights = _read_arrays(folder, shapes, np.float64)
  end = ":trellis" if config.get("trellis") else ""
  sha = hashlib.sha256(f"{kind}:{config['step']!r}{end}".encode())
  for name in shapes:
    sha.update(weights[name].astype("<f8").tobytes())
  path = pathlib.Path(folder) / "weights.npz"
  _check_digest(path, sha, config.get("codec_digest"))
  weights.setdefault("reconstruction", weights["components"].T)
  tables = _read_tables(folder, codes, config.get("table_digest"))
  # Its integers have no other limit than their 32 bits.
  config = {**config, "code_dim": codes, "clip": 2.0**31}
  return PortableCodec(config, weights, *tables)


def load_enhancer(folder: str) -> PortableEnhancer:
  """Reads the finished run folder of an enhancer.

  Raises:
    Error: as `load` does; also if `high/` is another codec than its own.
  """
  keys = "low_dim high_dim hidden_dim low_clip high_clip gdn clip_enhanced"
  keys = keys.split()
  config = _read_config(folder, {"pro-e": keys}, ["num_layers"])
  layers, num_layers = ["fc1"], config.get("num_layers", 2)
  for layer in range(2, num_layers + 1):
    layers += ["gdn" if layer == 2 else f"gdn{layer - 1}", f"fc{layer}"]
  low, high, hidden = (config[key] for key in keys[:3])
  dims = [low, *[hidden] * (num_layers - 1), high]
  words = [config[key] for key in keys] + [num_layers] * (num_layers > 2)
  shapes = _shapes("enhancer", layers, dims)
  digest = config.get("enhancer_digest")
  weights = _read_weights(folder, shapes, words, digest)
  codec = load(f"{folder}/high")
  its = [codec.config[key] for key in ("codec_digest", "code_dim", "clip")]
  if [config.get("high_digest"), high, config["high_clip"]] != its:
    raise Error(f"{folder}: high/ is another codec than it was trained for.")
  return PortableEnhancer(config, weights, codec)


def _read_config(
  folder: str, kinds: Dict[str, Sequence[str]], optional: Sequence[str] = ()
) -> Dict[str, Any]:
  """The configuration of a finished run, with sound values for its kind's keys.

  `kind` is in it in any case.
  """
  path = pathlib.Path(folder) / "config.json"
  config = configs.read(path)
  if config["status"] != "finished":
    raise Error(f"{folder}: the run is unfinished.")
  # Runs of version 0.1.0 do not say what they are.
  marks = {"lambda": "pro", "high_digest": "pro-e"}
  before_0_2 = next((marks[key] for key in marks if key in config), None)
  kind = config.get("kind", before_0_2)
  if not isinstance(kind, str) or kind not in kinds:
    expected = " or ".join(kinds)
    raise Error(f"{folder}: the run of something else than {expected}.")
  keys = [*kinds[kind], *(set(optional) & config.keys())]
  configs.check(config, keys, path)
  return {**config, "kind": kind}


def _shapes(
  network: str, layers: Sequence[str], dims: Sequence[int]
) -> Dict[str, Tuple[int, ...]]:
  """Names and shapes of a network's weights, in the order of section 2."""
  shapes, width, dims = {}, dims[0], iter(dims[1:])
  for layer in layers:
    name, before = f"{network}/{layer}", width
    if layer.startswith("fc"):
      width = next(dims)
      shapes[f"{name}/kernel"] = (before, width)
      shapes[f"{name}/bias"] = (width,)
    else:
      shapes[f"{name}/reparam_beta"] = (width,)
      shapes[f"{name}/reparam_gamma"] = (width, width)
  return shapes


def _read_weights(
  folder: str, shapes: Dict[str, Tuple], words: Sequence, digest: Any
) -> Dict[str, np.ndarray]:
  """The weights, float64 by name, checked against shapes and digest."""
  path = pathlib.Path(folder) / "weights.npz"
  weights = _read_arrays(folder, shapes, np.float32)
  text = " ".join(map(_word, words))
  sha = hashlib.sha256(text.encode())
  for name in shapes:
    sha.update(name.encode() + weights[name].astype("<f4").tobytes())
  _check_digest(path, sha, digest)
  return {name: np.float64(array) for name, array in weights.items()}


def _read_arrays(
  folder: str, shapes: Dict[str, Tuple], dtype: type
) -> Dict[str, np.ndarray]:
  """The finite arrays of weights.npz, which have these shapes and this type."""
  path = pathlib.Path(folder) / "weights.npz"
  weights = arrays.read_all(path)
  if {name: array.shape for name, array in weights.items()} != shapes or any(
    array.dtype != dtype or not np.isfinite(array).all()
    for array in weights.values()
  ):
    raise Error(f"{path}: not the weights of this architecture.")
  return weights


def _word(value: Any) -> str:
  """A value as the digest has it: 20, not 20.0; 1, not True."""
  if isinstance(value, str):
    return value
  return f"{value:g}" if isinstance(value, float) else f"{value:d}"


def _read_tables(
  folder: str, code_dim: int, digest: Any
) -> Tuple[List[int], List[List[int]]]:
  """`lower` and `cdf` without its padding; see section 3."""
  path = pathlib.Path(folder) / "tables.npz"
  tables = arrays.read_all(path)
  damaged = Error(f"{path}: the entropy tables are damaged.")
  if tables.keys() != {"lower", "cdf"} or any(
    array.dtype != np.int32 for array in tables.values()
  ):
    raise damaged
  lower, cdf = tables["lower"], tables["cdf"]
  if lower.shape != (code_dim,) or cdf.ndim != 2 or len(cdf) != code_dim:
    raise damaged
  sha = hashlib.sha256(np.array(cdf.shape, "<i4").tobytes())
  sha.update(lower.astype("<i4").tobytes() + cdf.astype("<i4").tobytes())
  lower, rows = lower.tolist(), []
  for first, row in zip(lower, cdf.tolist()):
    size = row.index(TOTAL) + 1 if TOTAL in row else 0
    used, padding = row[:size], row[size:]
    if (
      size < 2
      or used[0] != 0
      or used != sorted(set(used))
      or set(padding) - {TOTAL}
      or first + size - 3 >= 1 << 31
    ):
      raise damaged
    rows.append(used)
  _check_digest(path, sha, digest)
  return lower, rows


def _check_digest(path: pathlib.Path, sha, digest: Any) -> None:
  if sha.hexdigest() != digest:
    raise Error(f"{path}: not the file that config.json describes.")


# The networks.


def encode(codec: PortableCodec, features: np.ndarray) -> np.ndarray:
  """Eq. (1): integer codes, int32 [n, code_dim], of float [n, feature_dim].

  Raises:
    Error: if these are not features of this codec, one at least, finite and of
      magnitude 1e6 or less.
  """
  features = np.asarray(features)
  if features.dtype.kind != "f" or features.shape[1:] != (
    codec.config["feature_dim"],
  ):
    raise Error(f"features {features.dtype} {list(features.shape)} do not fit.")
  # NaN and infinity fail the comparison as well.
  if not len(features) or not (np.abs(features) <= MAX_MAGNITUDE).all():
    raise Error("there is no feature, or one is not finite or beyond 1e6.")
  if codec.config["kind"] != "pro":
    return _encode_linear(codec, np.float64(features))
  x = _dense(codec, "encoder/fc1", np.float64(features))
  x = _gdn(codec, "encoder/gdn", x)
  x = _dense(codec, "encoder/fc2", x)
  if codec.config["gdn_layers"] == 2:
    x = _gdn(codec, "encoder/gdn_code", x)
  if not np.isfinite(x).all():
    raise Error("a code is not finite; the codec's weights are damaged.")
  clip = codec.config["clip"]
  return np.rint(np.clip(x, -clip, clip)).astype(np.int32)  # Halves to even.


def _encode_linear(codec: PortableCodec, features: np.ndarray) -> np.ndarray:
  weights, step = codec.weights, codec.config["step"]
  centred = features - weights["mean"]
  x = centred @ weights["components"]
  if codec.config["kind"] == "ahead":
    hidden = np.maximum(centred @ weights["hidden"] + weights["bias"], 0)
    x = x + hidden @ weights["output"]
  x = x / step
  trellis = codec.config.get("trellis", False)
  if np.abs(x).max() >= 2**31 - 1 - 2 * trellis:
    raise Error("a code's element is beyond 32 bits.")
  if trellis:
    return np.array([_nearest(row) for row in x.tolist()], np.int32)
  return np.rint(x).astype(np.int32)


def _nearest(row: List[float]) -> List[int]:
  """The integers whose `_stands_for` is nearest to a row: Viterbi's algorithm.

  A state is two bits: whether this element is mirrored, and whether the next
  would be, were this one's integer even.
  """
  ways = {(0, 0): (0.0, [])}  # The best to each state: its error, its integers.
  for x in row:
    longer = {}
    for (mirrored, odd), (error, codes) in sorted(ways.items()):
      place = (-x if mirrored else x) - 0.25
      for code in (2 * round(place / 2), 2 * round((place - 1) / 2) + 1):
        state = (odd ^ code & 1, mirrored)
        total = error + (place - code) ** 2
        if state not in longer or total < longer[state][0]:
          longer[state] = (total, [*codes, code])
    ways = longer
  return min(ways.items(), key=lambda way: (way[1][0], way[0]))[1][1]


def _stands_for(codes: np.ndarray) -> np.ndarray:
  """Adds 1/4; minus that, if the codes 1, 3, 5 ... places before sum to odd."""
  found = codes + 0.25
  for j in range(1, codes.shape[1]):
    odd = codes[:, j - 1 :: -2].sum(axis=1) % 2 == 1
    found[odd, j] *= -1
  return found


def decode(codec: PortableCodec, codes: np.ndarray) -> np.ndarray:
  """Eq. (2): features, float32 [n, feature_dim], of int [n, code_dim]."""
  _check(codes, codec.config["clip"])
  if codec.config["kind"] != "pro":
    weights = codec.weights
    x = _stands_for(codes) if codec.config.get("trellis") else codes
    x = x * codec.config["step"]
    return np.float32(x @ weights["reconstruction"] + weights["mean"])
  return _decoder(codec, np.float64(codes))


def decode_enhanced(
  enhancer: PortableEnhancer, codes: np.ndarray
) -> np.ndarray:
  """Features, float32 [n, feature_dim], of the low-rate codec's codes."""
  _check(codes, enhancer.config["low_clip"])
  return _decoder(enhancer.high, enhance(enhancer, codes))


def enhance(enhancer: PortableEnhancer, codes: np.ndarray) -> np.ndarray:
  """Eq. (3): c_enh, float64 [n, high_dim], of int codes [n, low_dim]."""
  x = codes / enhancer.config["low_clip"]
  x = _dense(enhancer, "enhancer/fc1", x)
  for layer in range(2, enhancer.config.get("num_layers", 2) + 1):
    gdn = "gdn" if layer == 2 else f"gdn{layer - 1}"
    x = _gdn(enhancer, f"enhancer/{gdn}", x)
    x = _dense(enhancer, f"enhancer/fc{layer}", x)
  clip = enhancer.config["high_clip"]
  x = clip * x
  return np.clip(x, -clip, clip) if enhancer.config["clip_enhanced"] else x


def _check(codes: np.ndarray, clip: float) -> None:
  # Not their magnitudes: that of -2^31 is no int32.
  if codes.max() > np.rint(clip) or codes.min() < -np.rint(clip):
    raise Error("a code's element is beyond the codec's clip.")


def _decoder(codec: PortableCodec, x: np.ndarray) -> np.ndarray:
  if codec.config["gdn_layers"] == 2:
    x = _gdn(codec, "decoder/gdn_code", x)
  x = _dense(codec, "decoder/fc1", x)
  x = _gdn(codec, "decoder/gdn", x)
  return np.float32(_dense(codec, "decoder/fc2", x))


def _dense(model, name: str, x: np.ndarray) -> np.ndarray:
  return x @ model.weights[f"{name}/kernel"] + model.weights[f"{name}/bias"]


def _gdn(model, name: str, x: np.ndarray) -> np.ndarray:
  """GDN in the encoder and the enhancer, IGDN in the decoder."""
  beta = _unfold(model.weights[f"{name}/reparam_beta"], 1e-6)
  gamma = _unfold(model.weights[f"{name}/reparam_gamma"], 0.0)
  if model.config["gdn"] == "classic":
    pool = np.sqrt(beta + np.square(x) @ gamma)
  else:
    pool = beta + np.abs(x) @ gamma
  return x * pool if name.startswith("decoder") else x / pool


def _unfold(stored: np.ndarray, minimum: float) -> np.ndarray:
  """Beta or gamma of its stored form."""
  return np.maximum(stored, np.sqrt(minimum + 2.0**-36)) ** 2 - 2.0**-36


# The range coder. `cdfs` holds a table for each symbol of a string.


def encode_string(symbols: Sequence[int], cdfs: Sequence[List[int]]) -> bytes:
  """A string of symbols: the shortest number in their interval."""
  digits, low, size = [], 0, 1 << 32

  def carry():
    i = len(digits) - 1
    while digits[i] == 0xFFFF:
      digits[i] = 0
      i -= 1
    digits[i] += 1

  for symbol, cdf in zip(symbols, cdfs):
    first, end = size * cdf[symbol] >> 16, size * cdf[symbol + 1] >> 16
    low, size = low + first, end - first
    if low >> 32:
      carry()
      low &= 0xFFFFFFFF
    if size <= 1 << 16:
      digits.append(low >> 16)
      low, size = (low & 0xFFFF) << 16, size << 16
  if low == 0:
    return struct.pack(f">{len(digits)}H", *digits)
  if low + size > 1 << 32:
    carry()
    tail = 0
  else:
    tail = _round_up(low, size)
  return struct.pack(f">{len(digits)}HI", *digits, tail).rstrip(b"\0")


def _round_up(low: int, size: int) -> int:
  """The multiple of 2^24, or else 2^16, from `low` on in the interval."""
  up = (low + 0xFFFFFF) & ~0xFFFFFF
  return up if up < low + size else (low + 0xFFFF) & ~0xFFFF


def decode_string(string: bytes, cdfs: Sequence[List[int]]) -> List[int]:
  """The symbols of a string."""
  padded = string + bytes(4 + 2 * len(cdfs))  # Zeros follow a string's end.
  value, position = int.from_bytes(padded[:4], "big"), 4
  symbols, low, size = [], 0, 1 << 32
  for cdf in cdfs:
    offset = (value - low) & 0xFFFFFFFF
    # The last symbol that begins at or before the offset: the smallest `end`
    # with offset < size * end / 2^16.
    least = -(-((offset + 1) << 16) // size)
    symbol = bisect.bisect_left(cdf, least) - 1
    symbols.append(symbol)
    first, end = size * cdf[symbol] >> 16, size * cdf[symbol + 1] >> 16
    low, size = (low + first) & 0xFFFFFFFF, end - first
    if size <= 1 << 16:
      low, size = (low & 0xFFFF) << 16, size << 16
      digit = int.from_bytes(padded[position : position + 2], "big")
      value, position = (value & 0xFFFF) << 16 | digit, position + 2
  straddles = low == 0 or low + size > 1 << 32
  expected = 0 if straddles else _round_up(low, size)
  if value != expected or position < len(string):
    raise Error("a block's string does not end where its codes do.")
  return symbols


# Payloads: the codes of a block.


def pack(codec: PortableCodec, codes: np.ndarray, packing: int) -> bytes:
  """The payload of codes int [n, code_dim]."""
  symbols, escaped = [], []
  for code in codes.tolist():
    for value, lower, cdf in zip(code, codec.lower, codec.cdf):
      symbol, escape = value - lower, len(cdf) - 2
      if not 0 <= symbol < escape:
        symbol = escape
        escaped.append(value)
      symbols.append(symbol)
  payload = struct.pack(f"<I{len(escaped)}i", len(escaped), *escaped)
  if packing == SHARED:
    return payload + encode_string(symbols, codec.cdf * len(codes))
  dim = len(codec.cdf)
  strings = [
    encode_string(symbols[start : start + dim], codec.cdf)
    for start in range(0, len(symbols), dim)
  ]
  longest = max(map(len, strings))
  width, kind = (1, "B") if longest < 256 else (2, "H")
  if longest >= 65536:
    width, kind = 4, "I"
  payload += struct.pack(f"<B{len(strings)}{kind}", width, *map(len, strings))
  return payload + b"".join(strings)


def unpack(
  codec: PortableCodec, payload: bytes, count: int, packing: int
) -> np.ndarray:
  """The codes of a payload, int32 [count, code_dim]."""
  try:
    (num_escapes,) = struct.unpack_from("<I", payload)
    escaped = list(struct.unpack_from(f"<{num_escapes}i", payload, 4))
    rest = payload[4 + 4 * num_escapes :]
    if packing == SHARED:
      strings = [rest]
    else:
      kind = {1: "B", 2: "H", 4: "I"}.get(rest[0], "")
      lengths = struct.unpack_from(f"<{count}{kind}", rest, 1) if kind else ()
      strings, position = [], 1 + rest[0] * count
      for length in lengths:
        strings.append(rest[position : position + length])
        position += length
      if position != len(rest) or not kind:
        raise Error("a block's strings are not as long as it says.")
  except (struct.error, IndexError) as error:
    raise Error("a block ends within its lists.") from error
  repeats = count if packing == SHARED else 1
  symbols = []
  for string in strings:
    symbols += decode_string(string, codec.cdf * repeats)
  values = []
  for symbol, lower, cdf in zip(
    symbols, codec.lower * count, codec.cdf * count
  ):
    if symbol < len(cdf) - 2:
      values.append(symbol + lower)
    elif escaped:
      values.append(escaped.pop(0))
    else:
      raise Error("a block lists fewer escaped values than it uses.")
  if escaped:
    raise Error("a block lists more escaped values than it uses.")
  return np.array(values, np.int32).reshape(count, len(codec.lower))


# The file.


def compress(
  codec: PortableCodec,
  features: np.ndarray,
  packing: int = SHARED,
  block_size: int = 1024,
) -> bytes:
  """A whole .tsf file of features, float [n, feature_dim]."""
  return compress_codes(codec, encode(codec, features), packing, block_size)


def compress_codes(
  codec: PortableCodec, codes: np.ndarray, packing: int, block_size: int
) -> bytes:
  """A whole .tsf file of codes, int [n, code_dim].

  Raises:
    Error: if no reader would take it.
  """
  if (
    codes.dtype.kind not in "iu"
    or codes.ndim != 2
    or codes.shape[0] < 1
    or codes.shape[1] != codec.config["code_dim"]
  ):
    raise Error(
      f"codes {codes.dtype} {list(codes.shape)} do not fit the codec."
    )
  _check(codes, codec.config["clip"])
  if packing not in (SHARED, SEPARATE) or not 1 <= block_size <= MAX_BLOCK_SIZE:
    raise Error(f"packing {packing}, block size {block_size}: no such file.")
  header = struct.pack(
    "<4sBBHIIIQ8s8s",
    MAGIC,
    VERSION,
    packing,
    0,
    *_dimensions(codec),
    block_size,
    len(codes),
    *_digests(codec),
  )
  parts, lengths = [_with_crc(header)], []
  for start in range(0, len(codes), block_size):
    block = codes[start : start + block_size]
    payload = pack(codec, block, packing)
    head = struct.pack("<II", len(block), len(payload))
    parts += [head, struct.pack("<I", zlib.crc32(head + payload)), payload]
    lengths.append(len(payload))
  parts.append(_with_crc(struct.pack(f"<{len(lengths)}I", *lengths)))
  return b"".join(parts)


def decompress(
  codec: PortableCodec,
  data: bytes,
  enhancer: Optional[PortableEnhancer] = None,
  max_features: Optional[int] = None,
) -> np.ndarray:
  """The features of a whole .tsf file, float32 [n, feature_dim].

  Raises:
    Error: as `decompress_codes` does; also if the enhancer is another codec's.
  """
  codes = decompress_codes(codec, data, max_features)
  if enhancer is None:
    return decode(codec, codes)
  own, low, high = enhancer.config, codec.config, enhancer.high.config
  if (own.get("low_digest"), own["low_dim"], own["low_clip"]) != (
    low["codec_digest"],
    low["code_dim"],
    low["clip"],
  ) or high["feature_dim"] != low["feature_dim"]:
    raise Error("the enhancer is for another codec's codes.")
  return decode_enhanced(enhancer, codes)


def decompress_codes(
  codec: PortableCodec, data: bytes, max_features: Optional[int] = None
) -> np.ndarray:
  """The codes of a whole .tsf file, int32 [n, code_dim].

  Args:
    codec: from `load`.
    data: the file's bytes.
    max_features: refuse more than these; None is 64 for each byte.

  Raises:
    Error: if the file is damaged, of another version, or another codec's, or
      holds more features than it may.
  """
  packing, block_size, num_features = _read_header(codec, data)
  if max_features is None:
    max_features = FEATURES_PER_BYTE * len(data)
  if num_features > max_features:
    raise Error(f"{num_features} features, but the limit is {max_features}.")
  codes, lengths, position = [], [], HEADER_BYTES
  for start in range(0, num_features, block_size):
    expected = min(block_size, num_features - start)
    payload = _read_block(codec, data, position, expected)
    codes.append(unpack(codec, payload, expected, packing))
    lengths.append(len(payload))
    position += 12 + len(payload)
  if data[position:] != _with_crc(struct.pack(f"<{len(lengths)}I", *lengths)):
    raise Error("the index at the end is damaged, cut off or followed by more.")
  return np.concatenate(codes)


def _read_header(codec: PortableCodec, data: bytes) -> Tuple[int, int, int]:
  """Checks the header; returns packing, block_size and num_features."""
  header = data[:HEADER_BYTES]
  if header[:4] != MAGIC:
    raise Error("not a .tsf file.")
  if len(header) < HEADER_BYTES:
    raise Error("the file ends within its header.")
  if header[4] != VERSION:
    raise Error(f"a .tsf file of version {header[4]}, expected {VERSION}.")
  if header != _with_crc(header[:-4]):
    raise Error("the header is damaged.")
  packing, reserved, *dimensions, block_size, num_features = struct.unpack_from(
    "<BHIIIQ", header, 5
  )
  if (
    packing not in (SHARED, SEPARATE)
    or reserved != 0
    or not 1 <= block_size <= MAX_BLOCK_SIZE
    or num_features == 0
  ):
    raise Error("the header holds values that no writer writes.")
  if (*dimensions, header[28:36], header[36:44]) != (
    *_dimensions(codec),
    *_digests(codec),
  ):
    raise Error("written with another codec or other tables.")
  return packing, block_size, num_features


def _read_block(
  codec: PortableCodec, data: bytes, position: int, expected: int
) -> bytes:
  """The payload of the block at a position, checked."""
  if len(data) < position + 12:
    raise Error("the file ends within a block.")
  count, length, crc = struct.unpack_from("<III", data, position)
  longest = count * (6 * len(codec.lower) + 16) + 16
  if count != expected or length > longest:
    raise Error("a block is damaged.")
  payload = data[position + 12 : position + 12 + length]
  if crc != zlib.crc32(data[position : position + 8] + payload):
    raise Error("a block is damaged or cut off.")
  return payload


def _dimensions(codec: PortableCodec) -> Tuple[int, int]:
  return codec.config["feature_dim"], codec.config["code_dim"]


def _digests(codec: PortableCodec) -> Tuple[bytes, bytes]:
  """The first 8 bytes of the codec's and of the tables' SHA-256."""
  return tuple(
    bytes.fromhex(codec.config[key])[:8]
    for key in ("codec_digest", "table_digest")
  )


def _with_crc(data: bytes) -> bytes:
  return data + struct.pack("<I", zlib.crc32(data))
