"""Extracts the shipped test sets and samples again, and compares.

  python -m experiments.rebuild --crops=lfw_aligned.tar --pairs=pairs.txt \
    --fullrank=mobilefacenet128.param --rank64=MobileFaceNet.tflite \
    --projection=projection.npz --samples=samples --output=rebuild.json

Networks and photographs are not given on: DATA_CARD.md says where they came
from. Each part is one run of `tsenh.extract_features`; what it gives is held
against what is stored, photograph by photograph. `samples` holds the folders
aligned and photos, and what networks gave for them: aligned.npz (the output of
the network of rank64) and photos_dlib.npz (dlib's). A few minutes.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Sequence

import numpy as np
from absl import flags

from experiments import agreement
from tsenh.base import command_line, files, results
from tsenh.base.errors import Error
from tsenh.data import feature_sets, manifests
from tsenh.data.feature_sets import FeatureSet

_CROPS = flags.DEFINE_string("crops", None, "LFW's faces, aligned: tar.")
_PAIRS = flags.DEFINE_string("pairs", None, "LFW's pairs.txt.")
_FULLRANK = flags.DEFINE_string("fullrank", None, "Its network: .param.")
_RANK64 = flags.DEFINE_string("rank64", None, "Its network: .tflite.")
_PROJECTION = flags.DEFINE_string(
  "projection", None, "What makes 128 dimensions of its 192: .npz with matrix."
)
_SAMPLES = flags.DEFINE_string("samples", None, "The folder of samples.")
_OUTPUT = flags.DEFINE_string("output", None, "The JSON to write.")
flags.mark_flags_as_required(
  ["crops", "pairs", "fullrank", "rank64", "projection", "samples", "output"]
)

# Both networks were trained with (x - 127.5) / 128.
_CROP_FLAGS = ("--align=none", "--scale=128")
_COMMAND = "tsenh.extract_features"


def _extract(images: str, network: str, own_flags: Sequence[str]):
  """One run of the command: its feature set, and the seconds that it took."""
  with tempfile.TemporaryDirectory() as folder:
    path = f"{folder}/set.npz"
    command = [sys.executable, "-m", _COMMAND, f"--images={images}"]
    command += [f"--network={network}", f"--output={path}", *own_flags]
    began = time.monotonic()
    if subprocess.run(command, check=False).returncode:
      raise Error(f"{' '.join(command[1:])}: failed.")
    return feature_sets.load(path), time.monotonic() - began


def main():
  files.check_output(_OUTPUT.value)
  samples = pathlib.Path(_SAMPLES.value)
  with np.load(_PROJECTION.value, allow_pickle=False) as arrays:
    matrix = arrays["matrix"]

  def same(features):
    return features

  def stored_sample(name, key):
    with np.load(samples / name, allow_pickle=False) as arrays:
      return FeatureSet(arrays[key], arrays["names"])

  pairs = (*_CROP_FLAGS, f"--pairs={_PAIRS.value}")
  aligned = stored_sample("aligned.npz", "mobilefacenet")
  dlibs = stored_sample("photos_dlib.npz", "dlib")
  parts = (
    ("lfw", _CROPS.value, _FULLRANK.value, pairs, same),
    (
      *("rank64-lfw", _CROPS.value, _RANK64.value, pairs),
      lambda features: agreement.projected(features, matrix),
    ),
    (aligned, str(samples / "aligned"), _RANK64.value, _CROP_FLAGS, same),
    (dlibs, str(samples / "photos"), "dlib", (), same),
  )
  rows, data = [], {}
  for stored, images, network, own_flags, finish in parts:
    folder = pathlib.Path(images).name
    name = stored if isinstance(stored, str) else f"samples/{folder}"
    row = {"set": name}
    if isinstance(stored, str):
      info = manifests.sets()[name]
      row["correct_pairs_stored"] = info.correct_pairs
      data[name] = info.digest
      stored = feature_sets.load(name)
    found, seconds = _extract(images, network, own_flags)
    made = json.loads(found.provenance)
    row.update(agreement.compared(found, finish(found.features), stored))
    for key in ("network", "network_digest", "detector", "photographs"):
      row[key] = made[key]
    row["seconds"] = round(seconds, 1)
    rows.append(row)
  measured = {
    "study": "the shipped sets extracted again",
    "tolerance": agreement.TOLERANCE,
    "parts": rows,
  }
  results.write(_OUTPUT.value, measured, data, _COMMAND)
  for row in rows:
    print(row)
  for row in rows:
    if row.get("correct_pairs") != row.get("correct_pairs_stored"):
      command_line.fail(
        f"{row['set']}: decides other numbers of pairs rightly."
      )


if __name__ == "__main__":
  command_line.run(main)
