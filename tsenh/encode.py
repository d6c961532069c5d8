"""Encodes face features to a .tsf bitstream (FORMAT.md).

  python -m tsenh.encode --codec=pro-1e-6 --input=mine.npz --output=mine.tsf

The file may be larger than memory. With - a .npy stream is read from standard
input, or the bitstream is written to standard output. Of a folder of shards,
--output may be a folder too, with a .tsf for each shard, which an Apache Beam
engine can make (docs/cluster.md):

  python -m tsenh.encode --codec=pro-1e-6 --input=faces --output=coded \
    --runner=DirectRunner -- --direct_num_workers=2
"""

import pathlib
import sys

from absl import flags

from tsenh.base import command_line, files, runner
from tsenh.base.errors import Error
from tsenh.coding import bitstream
from tsenh.data import manifests, shards, streams
from tsenh.training import run_folders

_CODEC = flags.DEFINE_string(
  "codec", None, f"What to encode with: {run_folders.codec_help()}."
)
_INPUT = flags.DEFINE_string(
  "input",
  None,
  "Features: a .npz or .npy file, a folder of shards, a shipped name"
  f" ({', '.join(manifests.sets())}), or - for a .npy stream.",
)
_OUTPUT = flags.DEFINE_string(
  "output",
  None,
  "The .tsf file to write, or -; of shards also a folder, whose name has no"
  " dot.",
)
_PACKING = flags.DEFINE_enum(
  "packing",
  "shared",
  bitstream.PACKINGS,
  "shared: one string per block, the smallest file; separate: one string per"
  " feature, each decodable alone.",
)
_BLOCK_SIZE = flags.DEFINE_integer(
  "block_size",
  bitstream.DEFAULT_BLOCK_SIZE,
  "Features per block.",
  lower_bound=1,
  upper_bound=bitstream.MAX_BLOCK_SIZE,
)
flags.adopt_module_key_flags(runner)  # So that --help shows it.
flags.mark_flags_as_required(["codec", "input", "output"])


def _in_shards() -> bool:
  """Whether a folder of files is to be made."""
  one = _OUTPUT.value == "-" or "." in pathlib.Path(_OUTPUT.value).name
  return shards.is_sharded(_INPUT.value) and not one


def main(*beam_flags):
  engine = runner.engine(beam_flags)
  files.check_apart(_OUTPUT.value, _INPUT.value)
  if _in_shards():
    _encode_shards(engine)
    return
  if engine:
    raise Error(
      "--runner works through shards: --input is a folder of them, and --output"
      " one to make, whose name has no dot."
    )

  from tsenh.features import compressor

  codec = compressor.load(_CODEC.value)
  with (
    streams.open_stream(_INPUT.value, _BLOCK_SIZE.value) as stream,
    files.output(_OUTPUT.value) as file,
    command_line.progress(stream.count, "feature", "encode") as bar,
  ):
    written = compressor.encode(
      codec, stream, file, _PACKING.value, _BLOCK_SIZE.value, bar.update
    )
  bits = 8 * (written - bitstream.HEADER_BYTES) / stream.count
  print(
    f"{stream.count} features, {written} bytes, {bits:.2f} bits per feature",
    file=sys.stderr,
  )


def _encode_shards(engine) -> None:
  """A folder of shards to a folder of .tsf files."""
  from tsenh.features import bulk

  paths = shards.paths(_INPUT.value)
  with command_line.progress(len(paths), "shard", "encode") as bar:
    size = bulk.encode(
      run_folders.absolute(_CODEC.value),
      _INPUT.value,
      _OUTPUT.value,
      _PACKING.value,
      _BLOCK_SIZE.value,
      lambda _: bar.update(),
      engine,
    )
  print(f"{len(paths)} files, {size} bytes", file=sys.stderr)


if __name__ == "__main__":
  command_line.run(main, further=True)
