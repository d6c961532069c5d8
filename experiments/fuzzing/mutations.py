"""Damage that gets past the checksums, so that what lies behind them is tried.

A fuzzer changes bytes; nearly all that it makes of a file with checksums ends
at the first of them. So a `.tsf` file gets its checksums back after each
change, a zip archive is changed member by member and packed again, and the
digests in a run's configuration are those of the files beside it.
"""

import contextlib
import io
import json
import pathlib
import random
import struct
import zipfile
import zlib
from typing import Callable, Dict

from tsenh.base import arrays, configs
from tsenh.base.errors import Error
from tsenh.coding import bitstream, entropy
from tsenh.features import compressor
from tsenh.images import tsi
from tsenh.training import run_folders

RAW_SHARE = 1 / 8  # Of the changes, those that nothing is repaired after.

Mutate = Callable[[bytes], bytes]


def repaired(data: bytes) -> bytes:
  """A `.tsf` file with all checksums and an index that fit what it holds."""
  end = bitstream.HEADER_BYTES
  if len(data) < end:
    return data
  parts, lengths = [bitstream.with_crc(data[: end - 4])], []
  block_size, features = struct.unpack_from("<IQ", data, 16)
  blocks = -(-features // block_size) if block_size else 0
  position = end
  while len(lengths) < blocks and position + 12 <= len(data):
    head = data[position : position + 8]
    length = min(struct.unpack("<II", head)[1], len(data) - position - 12)
    head = head[:4] + struct.pack("<I", length)
    payload = data[position + 12 : position + 12 + length]
    parts += [head, struct.pack("<I", zlib.crc32(head + payload)), payload]
    lengths.append(length)
    position += 12 + length
  parts.append(bitstream.with_crc(struct.pack(f"<{len(lengths)}I", *lengths)))
  return b"".join(parts)


def repaired_image(data: bytes) -> bytes:
  """A `.tsi` file with checksums and lengths that fit what it holds."""
  end = tsi.HEADER_BYTES
  if len(data) < end:
    return data
  (length,) = struct.unpack_from("<I", data, 20)
  base = repaired(data[end : end + length])
  head = data[:20] + struct.pack("<I", len(base))
  parts = [bitstream.with_crc(head), base]
  position = end + length
  while position + tsi.LAYER_BYTES <= len(data):
    what, length = struct.unpack_from("<2sI", data, position)
    position += tsi.LAYER_BYTES
    payload = data[position : position + length]
    position += length
    head = struct.pack("<2sI", what, len(payload))
    crc = zlib.crc32(head + payload)
    parts += [head, struct.pack("<I", crc), payload]
  return b"".join(parts)


def mutate_file(
  data: bytes,
  mutate: Mutate,
  rng: random.Random,
  repair: Callable[[bytes], bytes] = repaired,
) -> bytes:
  """Changes bytes of a file and repairs its checksums, or does not."""
  changed = mutate(data)
  return changed if rng.random() < RAW_SHARE else repair(changed)


def mutate_archive(data: bytes, mutate: Mutate, rng: random.Random) -> bytes:
  """Changes one member of a zip archive, however deep, or the archive."""
  files = {} if rng.random() < RAW_SHARE else unpacked(data)
  if not files:
    return mutate(data)
  name = rng.choice(sorted(files))
  choice = rng.random()
  if choice < 0.02:
    del files[name]
  elif choice < 0.04:
    files[rng.choice(sorted(files))] = files[name]
  elif files[name].startswith(b"PK"):
    files[name] = mutate_archive(files[name], mutate, rng)
  else:
    files[name] = mutate(files[name])
  return packed(files, rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))


def unpacked(data: bytes) -> Dict[str, bytes]:
  """The members of a zip archive by name; none if it is no such archive."""
  try:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
      if sum(entry.file_size for entry in archive.infolist()) > 1 << 22:
        return {}
      return {name: archive.read(name) for name in archive.namelist()}
  except Exception:  # Whatever zipfile makes of damage: it is not under test.
    return {}


def packed(files: Dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
  """A zip archive of files by name, the same bytes each time."""
  data = io.BytesIO()
  with zipfile.ZipFile(data, "w", method) as archive:
    for name, content in files.items():
      archive.writestr(zipfile.ZipInfo(name), content, method)
  return data.getvalue()


def sign(folder: pathlib.Path) -> None:
  """Writes the digests of a run's files into its configuration, if it can."""
  path = folder / run_folders.CONFIG
  # What cannot be read has no digest.
  with contextlib.suppress(Error, KeyError, TypeError):
    config = run_folders.read_config(folder)
    kinds = {**compressor.CODECS, **compressor.ENHANCERS}
    kind = kinds[config["kind"]]
    tables = folder / run_folders.TABLES
    if kind.ROLE == "codec" and tables.exists():
      coder = entropy.EntropyCoder.from_tables(arrays.read_all(tables), tables)
      config["table_digest"] = coder.digest()
      path.write_text(json.dumps(config))
    optional = {key for key, _ in getattr(kind, "OPTIONAL", ())}
    keys = [*kind.ARCHITECTURE, *(optional & config.keys())]
    configs.check(config, keys, path)
    architecture = {key: config[key] for key in keys}
    found = arrays.read_all(folder / run_folders.WEIGHTS)
    weights = {name: found[name] for name in kind.shapes(**architecture)}
    digest = kind.digest_of(architecture, weights)
    path.write_text(json.dumps({**config, f"{kind.ROLE}_digest": digest}))
