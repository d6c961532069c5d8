"""Does accuracy-aware training help the people it has seen, or all?

  python -m experiments.studies.seen_people --output=seen_people.json

Measures each codec that `make grains` trained by all pairs of two sets of
people: some of those whom it was trained on, and the validation set, whom it
never saw. Uncompressed features show how much harder the one set is than the
other. Some seconds for each codec.
"""

import pathlib

import tqdm
from absl import flags

from experiments import choices
from experiments.studies import network
from tsenh.base import command_line, files, results
from tsenh.base.errors import Error
from tsenh.data import feature_sets
from tsenh.training import run_folders

_OUTPUT = flags.DEFINE_string("output", None, "The JSON to write.")
_RUNS = flags.DEFINE_string(
  "runs", None, "The codecs' folder. (default: runs/grains/NETWORK)"
)
flags.mark_flag_as_required("output")


def main():
  from tsenh.features import compressor
  from tsenh.recognition import dense

  files.check_output(_OUTPUT.value)
  sets = network.chosen()
  folder = pathlib.Path(_RUNS.value or f"runs/grains/{sets.name}")
  finished = [
    path.parent
    for path in sorted(folder.glob(f"*/{run_folders.CONFIG}"))
    if run_folders.read_config(path.parent)["status"] == run_folders.FINISHED
  ]
  if not finished:
    raise Error(f"{folder}: no finished run in it; `make grains` makes some.")
  training_set = feature_sets.load(sets.held_in)
  held_out = feature_sets.load(sets.validation)
  rows = choices.seen_rows(training_set, len(held_out.features))
  groups = {
    "seen": (training_set.features[rows], training_set.identities[rows]),
    "unseen": (held_out.features, held_out.identities),
  }
  points = []
  for path in tqdm.tqdm([None, *finished], unit="codec"):
    codec = path and compressor.load(str(path))
    point = {"method": path.name if path else "none"}
    for name, (features, identities) in groups.items():
      decoded = features
      if codec:
        codes = codec.transform.encode(features)
        decoded = codec.transform.decode(codes)
        point[f"bits_{name}"] = float(codec.coder.bits(codes).mean())
      measured = dense.measure(decoded, identities)
      for metric in dense.METRICS:
        point[f"{metric}_{name}"] = measured[metric]
    points.append(point)
  measured = {
    "study": "codecs of two grains, seen and unseen people",
    "num_seen_faces": len(rows),
    "num_unseen_faces": len(held_out.features),
    "points": points,
  }
  results.write(_OUTPUT.value, measured, network.digests())


if __name__ == "__main__":
  command_line.run(main)
