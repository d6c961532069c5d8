"""Extracts face features from photographs with a face network of your own.

  python -m tsenh.extract_features --images=lfw.tgz --network=dlib \
    --output=lfw.npz
  python -m tsenh.extract_features --images=crops/ --align=none \
    --network=mobilefacenet.onnx --output=set.npz

The network's file tells its kind: .pb (FaceNet's frozen graph), a SavedModel's
folder, .keras, .h5, .tflite, .onnx, .param with .bin (ncnn), or the word dlib.
How images are prepared is the network's own: a preset, and flags where the
network differs from it. In each photograph the face is found and aligned;
--align=none is for photographs that are aligned crops already.

Every photograph without a feature, and each of several faces, is listed in
OUTPUT.report.json and shown in OUTPUT.report.html. A run that was stopped goes
on where it was when the same command starts again. docs/photographs.md has
commands for well-known networks. With --runner an Apache Beam engine does the
work (docs/cluster.md):

  python -m tsenh.extract_features --images=photos --network=dlib \
    --output=faces --runner=DirectRunner -- \
    --direct_running_mode=multi_processing --direct_num_workers=2
"""

import json
import os
import pathlib
import sys

import numpy as np
from absl import flags

from tsenh.base import command_line, files, runner
from tsenh.base.errors import Error
from tsenh.data import feature_sets, protocols, shards
from tsenh.recognition import (
  command,
  contact_sheet,
  extraction,
  face_networks,
  photographs,
)

_IMAGES = flags.DEFINE_string(
  "images", None, "A folder of photographs, with its folders, or a tar file."
)
_OUTPUT = flags.DEFINE_string(
  "output",
  None,
  "The feature set to write: a .npz, or for more than memory holds a folder of"
  " shards, whose name has no dot.",
)
_PAIRS = flags.DEFINE_string(
  "pairs", None, "Pairs to verify, in the form of LFW's pairs.txt."
)
_IDENTITIES = flags.DEFINE_string(
  "identities",
  None,
  "Who is in a photograph: folders, for one folder a person (VGG-Face2, LFW),"
  " or a list: photograph and person in each line (CelebA), or a .csv with FILE"
  " and SUBJECT_ID (UMDFaces).",
)
_EXCLUDE_LIKE = flags.DEFINE_string(
  "exclude_like",
  None,
  "Leave out people of whom a feature is like one of this set, of the same"
  " network: a test set's people do not belong into training.",
)
_THRESHOLD = flags.DEFINE_float(
  "threshold",
  0.6,
  "With --exclude_like: the cosine similarity above which two are alike.",
  lower_bound=-1.0,
  upper_bound=1.0,
)
_RESTART = flags.DEFINE_bool(
  "restart",
  False,
  "Begin anew: remove what a stopped run has left, perhaps of other flags.",
)
_STRICT = flags.DEFINE_bool(
  "strict", False, "Stop at the first photograph that gives no feature."
)
_SHARD_SIZE = flags.DEFINE_integer(
  "shard_size",
  500,
  "Photographs that are done at a time; what a stopped run repeats at most.",
  lower_bound=1,
)
_WORKERS = flags.DEFINE_integer(
  "workers",
  None,
  "Processes; the features do not depend on it. (default: one a core)",
  lower_bound=1,
)
flags.adopt_module_key_flags(runner)  # So that --help shows them.
flags.adopt_module_key_flags(command)
flags.mark_flags_as_required(["images", "network", "output"])


def main(*beam_flags):
  engine = runner.engine(beam_flags)
  in_shards = not pathlib.Path(_OUTPUT.value).suffix
  output = (shards if in_shards else files).check_output(_OUTPUT.value)
  if output.suffix not in ("", ".npz"):
    raise Error(
      f"{output}: a feature set's name ends in .npz, that of a folder of shards"
      " has no dot."
    )
  if _PAIRS.value and (_EXCLUDE_LIKE.value or in_shards):
    raise Error(
      "--pairs is for test sets: not with --exclude_like, and into a .npz."
    )
  files.check_apart(
    _OUTPUT.value,
    *(_IMAGES.value, _PAIRS.value, _IDENTITIES.value, _EXCLUDE_LIKE.value),
    command.NETWORK.value,
  )
  settings = command.settings(_SHARD_SIZE.value)
  digest = face_networks.digest(settings.network)
  listing = photographs.find(_IMAGES.value)
  # What is wrong with the lists is said before the long work.
  all_names = [entry.name for entry in listing.entries]
  pairs = is_same = others = None
  if _PAIRS.value:
    pairs, is_same = protocols.read_pairs(_PAIRS.value)
    protocols.rows_of(pairs, all_names)
  if _IDENTITIES.value:
    protocols.identities(_IDENTITIES.value, all_names)
  if _EXCLUDE_LIKE.value:
    others = feature_sets.load(_EXCLUDE_LIKE.value).features
  folder = output.with_name(f".{output.name}.shards")
  if _RESTART.value:
    extraction.remove(folder)
  workers = _WORKERS.value or os.cpu_count() or 1

  with command_line.progress(len(listing.entries), "image", "extract") as bar:

    def on_shard(count, findings):
      bar.update(count)
      lost = next((f for f in findings if not f.kept), None)
      if _STRICT.value and lost:
        raise Error(f"{lost.name}: {lost.reason} (--strict).")

    paths = extraction.extract(
      listing, settings, folder, workers, on_shard, engine
    )
  report = contact_sheet.Report(listing.others)
  names, near = [], []
  for path in paths:
    found = extraction.read(path)
    report.add(found.findings)
    names.append(found.names)
    size = found.size
    if others is not None and len(found.names):
      close = protocols.near(found.features, others, _THRESHOLD.value)
      near.append(close)
  names = np.concatenate(names)
  people = np.full(len(names), -1)
  if _IDENTITIES.value and len(names):
    people = protocols.identities(_IDENTITIES.value, names.tolist())
  kept = np.ones(len(names), bool)
  if near:
    kept = protocols.without(np.concatenate(near), people)
  provenance = {
    "network": pathlib.Path(command.NETWORK.value).name,
    "network_digest": digest,
    "align": settings.align,
    "detector": settings.detector,
    "preprocessing": {**settings.preprocessing._asdict(), "size": size},
    "photographs": len(listing.entries),
    "without_a_feature": len(listing.entries) - len(names),
  }
  if others is not None:
    provenance["excluded"] = {
      "like": _EXCLUDE_LIKE.value,
      "threshold": _THRESHOLD.value,
      "photographs": int((~kept).sum()),
      "people": len({*people[~kept].tolist()} - {-1}),
    }
  told = str(output.with_suffix(".report.json"))
  files.write_json(told, {**provenance, **report.told()})
  with files.replacing(str(output.with_suffix(".report.html"))) as file:
    file.write(report.page(output.name).encode())
  if not len(names):
    extraction.remove(folder)
    lost = report.listed[0]
    raise Error(
      f"{listing.source}: no photograph gave a feature; the first is"
      f" {lost['name']}: {lost['reason']}."
    )
  if not kept.any():
    raise Error(f"everybody is like somebody of {_EXCLUDE_LIKE.value}.")
  if pairs:
    reasons = {f["name"]: f["reason"] for f in report.listed if not f["kept"]}
    rows = protocols.rows_of(pairs, names.tolist(), reasons)

  def pieces():
    """What is kept, shard by shard."""
    first = 0
    for path in paths:
      found = extraction.read(path)
      rows = slice(first, first + len(found.names))
      first = rows.stop
      stays = kept[rows]
      who = people[rows][stays] if _IDENTITIES.value else None
      if stays.any():
        yield shards.Shard(found.features[stays], found.names[stays], who)

  if in_shards:
    shards.write(str(output), pieces(), kept.sum(), json.dumps(provenance))
  else:
    whole = shards.joined(list(pieces()))
    feature_sets.save(
      str(output),
      feature_sets.FeatureSet(
        *whole,
        pairs=rows if pairs else None,
        is_same=is_same,
        provenance=json.dumps(provenance),
      ),
    )
  extraction.remove(folder)
  print(
    f"{len(all_names)} photographs, {kept.sum()} features,"
    f" {len(all_names) - len(names)} without one, {(~kept).sum()} excluded;"
    f" {len(listing.others)} other files passed over",
    file=sys.stderr,
  )


if __name__ == "__main__":
  command_line.run(main, further=True)
