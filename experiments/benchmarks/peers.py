"""Times the way to bytes and back beside Faiss, and our coder's beside another.

  python -m experiments.benchmarks.peers --output=peers.json

The shipped training set, repeated to --num_features, becomes bytes and features
again: in memory and from file to file, with --codecs and with PQ, OPQ and RQ
of 16 bytes, each loaded or fitted once and with all cores. The entropy
coder takes the codes of the first codec beside the range coder and the ANS
coder of `constriction`, with the same tables, on one thread. All take turns in
each round, so that a drift of the machine's speed meets them all: the ratios
within a round are what to quote.
"""

import pathlib
import sys
import tempfile

import numpy as np
from absl import flags

from experiments.benchmarks import machine, ways
from tsenh import baselines
from tsenh.base import command_line, files, results
from tsenh.base.errors import Error
from tsenh.data import feature_sets, manifests, streams
from tsenh.training import run_folders

_OUTPUT = flags.DEFINE_string("output", None, "The JSON to write.")
_NUM_FEATURES = flags.DEFINE_integer(
  "num_features", 300_000, "Features that each codes.", lower_bound=256
)
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Rounds.", lower_bound=1)
_CODECS = flags.DEFINE_list(
  "codecs",
  "rank64-pro-1e-5,rank64-pro-1e-5-e400",
  "Codecs of one training set; the coders take the codes of the first.",
)
_FOLDER = flags.DEFINE_string(
  "folder", None, "Where files go, 400 MB in all. (default: the system's)"
)
flags.mark_flag_as_required("output")

QUANTIZERS = ("pq-128", "opq-128", "rq-128")
# It encodes for half a minute, next to which files are nothing.
NOT_IN_FILES = ("rq-128",)
NO_CONSTRICTION = (
  "constriction is not installed, so our coder stands alone: pip install"
  " 'tsenh[benchmark]'."
)


def main():
  files.check_output(_OUTPUT.value)
  from tsenh.coding import entropy
  from tsenh.features import compressor

  sets = {run_folders.finished(name)[1]["features"] for name in _CODECS.value}
  if len(sets) != 1:
    raise Error("--codecs: expected codecs of one training set.")
  (name,), first = sets, _CODECS.value[0]
  faces = feature_sets.load(name).features.astype(np.float32, copy=False)
  features = np.resize(faces, [_NUM_FEATURES.value, faces.shape[1]])
  training_set = feature_sets.FeatureSet(features[: len(faces)])
  codecs = {codec: compressor.load(codec) for codec in _CODECS.value}
  for quantizer in QUANTIZERS:
    codecs[quantizer] = baselines.load(quantizer, training_set)
  coder = codecs[first].coder
  coders, note = {"tsenh": ways.own_coder(coder)}, None
  try:
    for kind in ("range", "ans"):
      coders[f"constriction_{kind}"] = ways.constriction_coder(coder, kind)
  except ImportError:
    note = NO_CONSTRICTION
    print(note, file=sys.stderr)
  with tempfile.TemporaryDirectory(dir=_FOLDER.value) as parent:
    folder = pathlib.Path(parent)
    memory = {key: ways.in_memory(key, codec) for key, codec in codecs.items()}
    in_folder = {
      key: ways.in_files(key, codec, folder)
      for key, codec in codecs.items()
      if key not in NOT_IN_FILES
    }

    def groups(count):
      given = features[:count]
      path = folder / f"features-{count}.npy"
      np.save(path, given)
      codes = streams.in_chunks(codecs[first].transform.encode, given)
      return {
        "memory": (given, memory),
        "files": (path, in_folder),
        "coder": (codes, coders),
      }

    # By then all is compiled.
    warm_up = min(entropy.COMPILED_AFTER, len(features))
    ways.take_turns(groups(warm_up), 1)
    found = ways.take_turns(groups(len(features)), _ROUNDS.value)
  ways.summarize(found, len(features))
  measured = {
    "benchmark": "features to bytes and back, beside Faiss and constriction",
    "num_features": len(features),
    "rounds": _ROUNDS.value,
    "codec_of_the_coder": first,
    "constriction": note,
    **found,
    **machine.describe(),
    "peers": machine.versions("faiss-cpu", "constriction", "numba"),
  }
  data = {name: manifests.sets()[name].digest}
  for codec in _CODECS.value:
    data[f"codec {codec}"] = codecs[codec].transform.digest()
  results.write(_OUTPUT.value, measured, data)
  for group, members in found.items():
    for key, way in members.items():
      print(
        f"{group}, {key}: {way['bytes_per_feature']:.1f} bytes,"
        f" {way['encode_per_second']:,} and {way['decode_per_second']:,} a"
        " second"
      )


if __name__ == "__main__":
  command_line.run(main)
