"""Builds tests/data/lfw16.npz: LFW's test faces at 16x16 pixels.

  python -m experiments.build_lfw16 --images=lfw_aligned.tar

Run once; the result is part of the repository (tests/data/README.md).
"""

import pathlib

import numpy as np
from absl import flags

from tsenh.base import command_line, files, provenance

_IMAGES = flags.DEFINE_string(
  "images", None, "LFW's aligned faces of 112x112: a folder or a tar file."
)
flags.mark_flags_as_required(["images"])

PATH = provenance.ROOT / "tests" / "data" / "lfw16.npz"
SIZE = 16


def main():
  from tsenh.recognition import degradation, image_sets

  images = image_sets.load(_IMAGES.value)
  rows = range(len(images.names))
  packed = {}
  with command_line.progress(len(rows), "face") as bar:
    for name, face in zip(images.names, images.decode(rows, 112)):
      small = degradation.shrink(face, SIZE)
      packed[pathlib.PurePath(name).stem] = image_sets.webp(small)
      bar.update()
  names = sorted(packed)
  files.write_arrays(
    str(PATH),
    image_sets.pack(names, [packed[name] for name in names]),
    np.savez_compressed,
  )


if __name__ == "__main__":
  command_line.run(main)
