"""Times the road from aligned crops to features, and says where time goes.

  python -m experiments.benchmarks.extraction --crops=lfw_aligned.tar \
    --network=mobilefacenet128.param --output=extraction.json

One process does what a worker of `tsenh.extract_features` does, with the
processor time of each stage: reading, decoding, resizing, the network with its
preprocessing, and the shard with the small pictures of the report. Beside it
the whole command is timed with one process and with two. The preprocessing is
that of the default features.
"""

import collections
import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Dict

import numpy as np
import tqdm
from absl import flags

from experiments.benchmarks import machine
from tsenh.base import command_line, files, results
from tsenh.recognition import (
  contact_sheet,
  extraction,
  face_networks,
  photographs,
)

_CROPS = flags.DEFINE_string("crops", None, "Aligned crops: folder or tar.")
_NETWORK = flags.DEFINE_string("network", None, "A face network's file.")
_OUTPUT = flags.DEFINE_string("output", None, "The JSON to write.")
_COUNT = flags.DEFINE_integer("count", 1000, "Photographs.", lower_bound=100)
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Of all of it.", lower_bound=1)
flags.mark_flags_as_required(["crops", "network", "output"])

LEAST = 0.85  # Of a worker's time is the network's, for aligned crops.
_SHARD = 500  # As the command has it.
_FLAGS = ("--align=none", "--scale=128")
_COMMAND = "tsenh.extract_features"


def stages(settings, listing, folder: pathlib.Path) -> Dict[str, float]:
  """Seconds of processor time of each stage of a worker's shards."""
  extractor = extraction.Extractor(settings)
  spent = collections.Counter()

  @contextlib.contextmanager
  def timed(stage):
    began = time.process_time()
    yield
    spent[stage] += time.process_time() - began

  for first in range(0, len(listing.entries), _SHARD):
    entries = listing.entries[first : first + _SHARD]
    with timed("read"):
      data = list(photographs.read(listing.source, entries))
    with timed("decode"):
      images = [photographs.decode(d) for d in data]
    with timed("resize"):
      crops = [extractor.crop(image)[0] for image in images]
    with timed("network"):
      features = extractor.network(np.stack(crops))
    with timed("shard"):
      shown = [contact_sheet.picture(c) for c in crops[: extraction.SHOWN]]
      text = np.frombuffer("".join(shown).encode(), np.uint8)
      arrays = {"features": features, "findings": text}
      files.write_arrays(str(folder / "shard.npz"), arrays)
  return dict(spent)


def _seconds(settings, workers: int, folder: pathlib.Path) -> float:
  """Of the whole command."""
  command = [sys.executable, "-m", _COMMAND, f"--images={folder / 'crops'}"]
  command += [f"--network={settings.network}", *_FLAGS, f"--workers={workers}"]
  command += [f"--output={folder / 'set.npz'}", f"--shard_size={_SHARD}"]
  began = time.monotonic()
  subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
  return time.monotonic() - began


def main():
  files.check_output(_OUTPUT.value)
  preprocessing = face_networks.PRESETS["arcface"]._replace(scale=128.0)
  settings = extraction.Settings(
    _NETWORK.value, preprocessing, None, None, "none", "", _SHARD
  )
  listing = photographs.find(_CROPS.value)
  listing = listing._replace(entries=listing.entries[: _COUNT.value])
  load = os.getloadavg()[0]
  rounds, whole = [], {"1": [], "2": []}
  with tempfile.TemporaryDirectory() as temporary:
    folder = pathlib.Path(temporary)
    (folder / "crops").mkdir()
    found = zip(
      listing.entries, photographs.read(listing.source, listing.entries)
    )
    for number, (_, data) in enumerate(found):
      (folder / "crops" / f"{number:06}.jpg").write_bytes(data)
    for _ in tqdm.trange(_ROUNDS.value, unit="round"):
      rounds.append(stages(settings, listing, folder))
      for workers, seconds in whole.items():
        seconds.append(_seconds(settings, int(workers), folder))
  shares = [r["network"] / sum(r.values()) for r in rounds]
  count = len(listing.entries)
  measured = {
    "benchmark": "extraction from aligned crops",
    "machine": machine.describe(),
    "libraries": machine.versions("ncnn", "pillow"),
    "load_average_before": load,
    "network": pathlib.Path(_NETWORK.value).name,
    "network_digest": face_networks.digest(_NETWORK.value),
    "photographs": count,
    "processor_seconds_per_round": rounds,
    "network_share_per_round": shares,
    "network_share": float(np.median(shares)),
    "command_seconds_per_round": whole,
    "images_per_second": {
      workers: count / float(np.median(seconds))
      for workers, seconds in whole.items()
    },
    "images_per_processor_second": count
    / float(np.median([sum(r.values()) for r in rounds])),
  }
  results.write(_OUTPUT.value, measured, {}, _COMMAND)
  print(
    f"{measured['network_share']:.1%} of a worker's time is the network's;"
    f" images/s: {measured['images_per_second']}"
  )
  if measured["network_share"] < LEAST:
    command_line.fail(f"the network has less than {LEAST:.0%} of the time.")


if __name__ == "__main__":
  command_line.run(main)
