"""Decodes a .tsf bitstream (FORMAT.md) to face features.

  python -m tsenh.decode --codec=pro-1e-6 --input=mine.tsf --output=back.npz

The output is a feature set (.npz) or a plain array (.npy), written under its
name only once it is complete. With - the bitstream is read from standard input,
or a .npy stream is written to standard output, each block verified before it is
passed on. --start and --count decode a range; of a file only the blocks that
hold it are read. With --enhancer the same bitstream gives better features.
A folder of .tsf files becomes a folder of shards, which an Apache Beam engine
can make (--runner, docs/cluster.md).
"""

import contextlib
import zipfile

import numpy as np
from absl import flags

from tsenh.base import command_line, files, runner
from tsenh.base.errors import Error
from tsenh.data import shards
from tsenh.training import run_folders

_CODEC = flags.DEFINE_string(
  "codec", None, f"What the file was encoded with: {run_folders.codec_help()}."
)
_INPUT = flags.DEFINE_string(
  "input", None, "The .tsf file to read, or -, or a folder of them."
)
_OUTPUT = flags.DEFINE_string(
  "output",
  None,
  "The .npz or .npy file to write, or - for a .npy stream; of a folder, the"
  " folder of shards.",
)
_ENHANCER = flags.DEFINE_string(
  "enhancer",
  None,
  "Decode with this enhancer: a run folder of train_enhancer or train_decoder"
  " for the codec, or of train_sq_enhancer for SQ.",
)
_START = flags.DEFINE_integer(
  "start", 0, "The first feature to decode.", lower_bound=0
)
_COUNT = flags.DEFINE_integer(
  "count", None, "How many features. (default: all from --start)", lower_bound=1
)
_MAX_FEATURES = flags.DEFINE_integer(
  "max_features",
  None,
  "Refuse to decode more features than these: a damaged or hostile file of some"
  " hundred bytes may state millions. (default: 64 for each byte of the input,"
  " which no file of --block_size=1024 or less exceeds)",
  lower_bound=1,
)
flags.adopt_module_key_flags(runner)  # So that --help shows it.
flags.mark_flags_as_required(["codec", "input", "output"])


@contextlib.contextmanager
def _array_file(path: str):
  """Where the .npy bytes go: the file itself, or a member of the .npz."""
  with contextlib.ExitStack() as stack:
    file = stack.enter_context(files.output(path))
    if path.endswith(".npz"):
      archive = stack.enter_context(zipfile.ZipFile(file, "w"))
      member = archive.open("features.npy", "w", force_zip64=True)
      file = stack.enter_context(member)
    yield file


def _decode_shards(engine) -> None:
  """A folder of .tsf files to a folder of shards."""
  given = [f for f in (_START, _COUNT, _MAX_FEATURES) if f.present]
  if given:
    raise Error(f"--{given[0].name} is for one file, not for a folder.")
  from tsenh.features import bulk

  paths = shards.paths(_INPUT.value, "tsf")
  enhancer = _ENHANCER.value
  with command_line.progress(len(paths), "shard", "decode") as bar:
    bulk.decode(
      run_folders.absolute(_CODEC.value),
      enhancer and run_folders.absolute(enhancer),
      _INPUT.value,
      _OUTPUT.value,
      lambda _: bar.update(),
      engine,
    )


def main(*beam_flags):
  engine = runner.engine(beam_flags)
  if shards.is_sharded(_INPUT.value):
    _decode_shards(engine)
    return
  if engine:
    raise Error("--runner decodes a folder of .tsf files.")
  if not _OUTPUT.value.endswith((".npz", ".npy")) and _OUTPUT.value != "-":
    raise Error(f"--output={_OUTPUT.value}: expected .npz, .npy or -.")
  files.check_apart(_OUTPUT.value, _INPUT.value)

  from tsenh.features import compressor

  codec = compressor.load(_CODEC.value, _ENHANCER.value)
  with files.source(_INPUT.value) as input_file:
    header = compressor.read_header(codec, input_file)
    count = _COUNT.value
    if count is None:
      count = header.num_features - _START.value
    decoded = compressor.decode(
      codec, input_file, header, _START.value, count, _MAX_FEATURES.value
    )
    with _array_file(_OUTPUT.value) as file:
      shape = (count, header.feature_dim)
      np.lib.format.write_array_header_1_0(
        file, {"descr": "<f4", "fortran_order": False, "shape": shape}
      )
      with command_line.progress(count, "feature", "decode") as bar:
        for block in decoded:
          file.write(np.ascontiguousarray(block, "<f4"))
          bar.update(len(block))


if __name__ == "__main__":
  command_line.run(main, further=True)
