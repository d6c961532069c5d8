"""What a codec's run folder holds, for the tests of several codecs."""

import numpy as np

from tsenh import portable
from tsenh.coding import entropy
from tsenh.features import compressor
from tsenh.training import run_folders


def assert_stored(coder, faces, folder):
  """Makes a run of a coder, which both implementations read to the same codec.

  Returns:
    The main implementation's `Compressor`.
  """
  tables = entropy.fit_coder(coder.encode(faces))
  config = {"kind": coder.KIND, **coder.architecture()}
  run_folders.finish(folder, config, coder, tables)
  codec, port = compressor.load(str(folder)), portable.load(folder)
  data = codec.compress(faces)
  assert portable.compress(port, faces) == data
  decoded = codec.decompress(data)
  np.testing.assert_array_equal(decoded, coder.decode(coder.encode(faces)))
  np.testing.assert_allclose(portable.decompress(port, data), decoded)
  return codec
