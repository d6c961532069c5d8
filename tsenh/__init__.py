"""Facial feature compression with teacher-student enhancement, reproduced.

The learned codec of arXiv 2002.03627 in TensorFlow/Keras, its entropy coder and
file format, and face verification on LFW. README.md shows the commands; each
module names the equation or section that it implements. In Python:

  import tsenh
  codec = tsenh.load("pro-1e-6")
  data = codec.compress(features)  # The bytes of a .tsf file.
  features = codec.decompress(data)
"""

import os
import typing

# TensorFlow reads this once, at its first import, where it would otherwise
# report the CUDA libraries that it did not find.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

__version__ = "0.1.0"

if typing.TYPE_CHECKING:
  from tsenh import compression


def load(
  name: str, enhancer: typing.Optional[str] = None
) -> "compression.Compressor":
  """Loads a codec by name; the first call imports TensorFlow, some seconds.

  Args:
    name: a shipped codec (pro-1e-4 and so on; README.md lists them), the path
      of a run folder, or sq:QP, scalar quantization.
    enhancer: the name or run folder of an enhancer to decode with.

  Returns:
    The codec; `compress` and `decompress` may be called from several threads.

  Raises:
    tsenh.errors.Error: a ValueError; if there is no such codec or enhancer, it
      is unfinished or damaged, or the enhancer is for another codec.
  """
  from tsenh import compression

  return compression.load(name, enhancer)
