"""Times the layered face codec beside the image codecs that it is built from.

  python -m experiments.benchmarks.images --output=images.json

Faces a second to encode and to decode, all faces in one file, on all cores that
there are: the median of some rounds in turn. The faces are those under
tests/faces64, some times over.
"""

import time

import numpy as np
from absl import flags

from experiments.benchmarks import machine
from tsenh.base import command_line, files, provenance, results

_OUTPUT = flags.DEFINE_string("output", None, "The JSON to write.")
_MODEL = flags.DEFINE_string(
  "model", "faces64", "A shipped model or a folder of train_scalable."
)
_ROUNDS = flags.DEFINE_integer("rounds", 7, "Of each.", lower_bound=1)
flags.mark_flag_as_required("output")

_FACES = provenance.ROOT / "tests" / "faces64" / "lfw64.npz"
_TIMES = 4
_LAYERS = ("learned:50", "avif:10", "webp:10")
_STANDARD = (("avif", 10), ("webp", 10))


def _ways(model, faces):
  """How to encode, and how to decode, by name."""
  from tsenh.images import pictures

  n, size = faces.shape[:2]

  def compress(layers):
    return lambda: model.compress(faces, layers)

  found = {"feature": (compress([]), model.features)}
  found["generated face"] = (
    compress([]),
    lambda data: model.decompress(data, "generated"),
  )
  for layer in _LAYERS:
    found[f"generated + {layer}"] = (compress([layer]), model.decompress)
  for kind, quality in _STANDARD:
    found[f"{kind}:{quality} alone"] = (
      lambda kind=kind, quality=quality: pictures.encode(faces, kind, quality),
      lambda data, kind=kind: pictures.decode(data, kind, n, size),
    )
  return found


def main():
  files.check_output(_OUTPUT.value)
  from tsenh.images import codec
  from tsenh.recognition import image_sets

  model = codec.load(_MODEL.value)
  packed = image_sets.load(str(_FACES))
  faces = np.stack([*packed.decode(range(len(packed.names)))] * _TIMES)
  ways = _ways(model, faces)
  seconds = {name: ([], []) for name in ways}
  sizes = {}
  with command_line.progress((_ROUNDS.value + 1) * len(ways), "round") as bar:
    for number in range(_ROUNDS.value + 1):
      for name, (encode, decode) in ways.items():
        began = time.perf_counter()
        data = encode()
        between = time.perf_counter()
        decode(data)
        ended = time.perf_counter()
        sizes[name] = len(data) / len(faces)
        if number:  # The first one warms up.
          seconds[name][0].append(between - began)
          seconds[name][1].append(ended - between)
        bar.update()
  measured = {
    "benchmark": "the layered face codec, to encode and to decode",
    "model": _MODEL.value,
    "faces": len(faces),
    "rounds": _ROUNDS.value,
    "ways": [
      {
        "name": name,
        "bytes_per_face": sizes[name],
        "encode_faces_per_second": len(faces) / float(np.median(encoding)),
        "decode_faces_per_second": len(faces) / float(np.median(decoding)),
        "encode_seconds": encoding,
        "decode_seconds": decoding,
      }
      for name, (encoding, decoding) in seconds.items()
    ],
    "machine": machine.describe(),
    "packages": machine.versions("tensorflow", "Pillow"),
  }
  results.write(_OUTPUT.value, measured, {})


if __name__ == "__main__":
  command_line.run(main)
