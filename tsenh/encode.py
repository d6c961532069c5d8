"""Encodes face features to a .tsf bitstream (FORMAT.md).

  python -m tsenh.encode --codec=pro-1e-6 --input=mine.npz --output=mine.tsf

The file may be larger than memory. With - a .npy stream is read from standard
input, or the bitstream is written to standard output.
"""

import sys

from absl import flags

from tsenh.base import command_line, files
from tsenh.coding import bitstream
from tsenh.data import manifests, streams
from tsenh.training import run_folders

_CODEC = flags.DEFINE_string(
  "codec", None, f"What to encode with: {run_folders.codec_help()}."
)
_INPUT = flags.DEFINE_string(
  "input",
  None,
  "Features: a .npz or .npy file, a shipped name"
  f" ({', '.join(manifests.sets())}), or - for a .npy stream.",
)
_OUTPUT = flags.DEFINE_string("output", None, "The .tsf file to write, or -.")
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
flags.mark_flags_as_required(["codec", "input", "output"])


def main():
  files.check_apart(_OUTPUT.value, _INPUT.value)

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


if __name__ == "__main__":
  command_line.run(main)
