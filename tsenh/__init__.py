"""Facial feature compression with teacher-student enhancement, reproduced.

The learned codec of arXiv 2002.03627 in TensorFlow/Keras, its entropy coder and
file format, and face verification on LFW. README.md shows the commands; each
module names the equation or section that it implements. In Python:

  import tsenh
  features = tsenh.load_features("lfw").features
  codec = tsenh.load("pro-1e-6")
  data = codec.compress(features)  # The bytes of a .tsf file.
  features = codec.decompress(data)
"""

import os
import sys
import typing

# `python -m tsenh.NAME` or the script `tsenh`, and no other program. Before
# Python 3.10 the former is not known, and signals are handled a little later.
_words = getattr(sys, "orig_argv", [])
_module = _words[_words.index("-m") + 1] if "-m" in _words[:-1] else ""
if _module.split(".")[0] == "tsenh" or (
  sys.argv and os.path.basename(sys.argv[0]) == "tsenh"
):
  from tsenh.base import errors, processes, signals

  signals.handle()  # Before anything large is imported.
  try:
    processes.guard_address_space()
  except errors.Error as error:
    sys.exit(f"error: {error}")

# TensorFlow reads this once, at its first import, where it would otherwise
# report the CUDA libraries that it did not find.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

if typing.TYPE_CHECKING:
  from tsenh.data.feature_sets import FeatureSet
  from tsenh.features.compressor import Compressor
  from tsenh.images.codec import ImageCodec


def __getattr__(name: str) -> str:
  """`tsenh.__version__`, as the package was installed."""
  if name == "__version__":
    import importlib.metadata

    return importlib.metadata.version("tsenh")
  raise AttributeError(f"module 'tsenh' has no attribute {name!r}")


Name = typing.Union[str, "os.PathLike[str]"]


def load(name: Name, enhancer: typing.Optional[Name] = None) -> "Compressor":
  """Loads a codec by name; the first call imports TensorFlow, some seconds.

  Args:
    name: a shipped codec (pro-1e-4 and so on; README.md lists them), or the
      path of a run folder.
    enhancer: a shipped enhancer ("pro-e-1e-4"), or the run folder of one, to
      decode with.

  Returns:
    The codec; `compress` and `decompress` may be called from several threads,
    but not from a process that is forked after this call.

  Raises:
    tsenh.base.errors.Error: a ValueError; if there is no such codec or
      enhancer, it is unfinished or damaged, or the enhancer is for another
      codec.
  """
  from tsenh.features import compressor

  return compressor.load(os.fspath(name), enhancer and os.fspath(enhancer))


def load_scalable(name: Name = "faces64") -> "ImageCodec":
  """Loads a codec of faces as feature and texture in one file (`.tsi`).

  Args:
    name: a shipped model, or a folder of `tsenh.train_scalable`.

  Returns:
    The codec; see `tsenh.images.codec`.

  Raises:
    tsenh.base.errors.Error: a ValueError; as `load` does.
  """
  from tsenh.images import codec

  return codec.load(os.fspath(name))


def load_features(name: Name) -> "FeatureSet":
  """Loads a feature set.

  Args:
    name: a shipped set ("lfw" and so on; docs/features.md lists them), or the
      path of a `.npz` or `.npy` file or of a folder of shards.

  Returns:
    The set; its `features` are float32 [n, dim].

  Raises:
    tsenh.base.errors.Error: a ValueError; if it is no feature set.
  """
  from tsenh.data import feature_sets

  return feature_sets.load(os.fspath(name))
