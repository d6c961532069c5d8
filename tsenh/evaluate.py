r"""Evaluates a codec by face verification (Sec. 4, the FaceNet protocol).

  python -m tsenh.evaluate --codec=pro-1e-6 --features=lfw --output=result.json

The features are really encoded to a .tsf file and decoded from it; its bytes
are the rate. --codec=none evaluates the features as they are, and
--codec=external somebody else's decoded features:

  python -m tsenh.evaluate --codec=external --decoded=mine.npz \
      --bits_per_feature=96 --method=mine --features=lfw --output=mine.json

--codec=pq-128 and its like are fitted first, which takes seconds to minutes.
Binary codes are compared by Hamming distance, as 4 / bits times it: the squared
Euclidean distance of codes of -1 and 1 scaled to unit length.

The JSON holds all metrics on the distances as decoded, and under "normalized"
again with the decoded features scaled to unit length; under "dense" those of
all pairs of the set, not of ten folds alone; under "also" what the sets of
--also gave. docs/results.md lists its keys. Each look at a test set is noted in
test_log.jsonl beside the JSON.
"""

import math
import sys
import tempfile
from typing import Any, Callable, Dict, Optional, Tuple

import numpy as np
from absl import flags

from tsenh import baselines
from tsenh.base import command_line, files, results
from tsenh.base.errors import Error
from tsenh.coding import bitstream
from tsenh.data import feature_sets, manifests, streams
from tsenh.features import costs
from tsenh.training import run_folders

_CODEC = flags.DEFINE_string(
  "codec",
  None,
  f"What to evaluate: {run_folders.codec_help()}; {baselines.HELP}; none; or"
  " external.",
)
_ENHANCER = flags.DEFINE_string(
  "enhancer",
  None,
  "Decode with this enhancer: a run folder of train_enhancer or train_decoder,"
  " for SQ of train_sq_enhancer.",
)
_FEATURES = flags.DEFINE_string(
  "features",
  manifests.default().tests[0],
  "Feature set with pairs: a .npz file, or a shipped name.",
)
_ALSO = flags.DEFINE_list(
  "also",
  [],
  "Further feature sets with pairs to measure the same codec on, with commas"
  " between.",
)
_TRAINING_SET = flags.DEFINE_string(
  "training_set",
  None,
  "With a baseline: the feature set that it is fitted to. (default: that of the"
  " network of --features)",
)
_SEED = flags.DEFINE_integer(
  "seed",
  None,
  "With a baseline: of all that is random in fitting. (default: 0)",
  lower_bound=0,
)
_OUTPUT = flags.DEFINE_string(
  "output", None, "The result file (.json) to write."
)
_PACKING = flags.DEFINE_enum(
  "packing", "shared", bitstream.PACKINGS, "See tsenh.encode."
)
_DECODED = flags.DEFINE_string(
  "decoded",
  None,
  "With --codec=external: the decoded features, row for row those of"
  " --features.",
)
_BITS_PER_FEATURE = flags.DEFINE_float(
  "bits_per_feature",
  None,
  "With --codec=external: the rate, everything counted.",
  lower_bound=0,
)
_METHOD = flags.DEFINE_string(
  "method", None, "Name in tables and plots. (default: the codec's)"
)
flags.mark_flags_as_required(["codec", "output"])

# What a result tells of a run.
_TRAINING = (
  "kind",
  "lambda",
  "qp",
  "step",
  "code_dim",
  "coarse",
  "coarse_weight",
  "fine_weight",
  "hidden_dim",
  "num_layers",
  "loss",
  "low_codes",
  "high_codes",
  "clip_enhanced",
  "codes",
  "from_codec",
  "epochs",
  "seed",
  "steps",
  "features",
  "num_training_features",
  "training_set_digest",
  "wall_time_seconds",
  "low_digest",
  "high_digest",
  "commits",
  "code",
)


# What turns features into decoded features, and says at what rates. Of a
# hashing method the codes, uint8, stand for the decoded features.
Subject = Callable[[np.ndarray], Tuple[np.ndarray, Dict[str, Any]]]


def _subject(test_digest: str) -> Tuple[Subject, Dict[str, Any]]:
  """What is to be evaluated on a set, and what a result tells of it."""
  baseline = baselines.named(_CODEC.value)
  if _ENHANCER.value and (baseline or _CODEC.value in ("none", "external")):
    raise Error("--enhancer goes with the codec of a run.")
  if _CODEC.value == "external":
    return _external()
  if _DECODED.value or _BITS_PER_FEATURE.value is not None:
    raise Error("--decoded and --bits_per_feature go with --codec=external.")
  if not baseline and (_TRAINING_SET.value or _SEED.value is not None):
    raise Error("--training_set and --seed go with a baseline.")
  if _CODEC.value == "none":
    return lambda original: (
      original,
      {"bits_per_feature": 32.0 * original.shape[1]},
    ), {}
  if baseline:
    return _baseline(test_digest)
  return _codec(test_digest)


def _codec(test_digest: str) -> Tuple[Subject, Dict[str, Any]]:
  """A trained codec: really encoded to a file and decoded from it."""
  from tsenh.coding import entropy
  from tsenh.features import compressor

  codec = compressor.load(_CODEC.value, _ENHANCER.value)
  training = _training(_CODEC.value)
  trained_on = training.get("training_set_digest", "")
  digests = {_CODEC.value: trained_on, _FEATURES.value: test_digest}
  manifests.check_one_network(digests)
  size, packing = bitstream.DEFAULT_BLOCK_SIZE, _PACKING.value

  def measure(original: np.ndarray):
    count = len(original)
    stream = streams.stream(original, size)
    with tempfile.TemporaryFile() as file:
      file_bytes = compressor.encode(codec, stream, file, packing, size)
      file.seek(0)
      header = bitstream.read_header(file)
      codes = np.concatenate(list(compressor.decode_codes(codec, file, header)))
      file.seek(bitstream.HEADER_BYTES)
      decoded = np.concatenate(list(compressor.decode(codec, file, header)))
      file.seek(bitstream.HEADER_BYTES)
      string_bytes = sum(
        entropy.string_bytes(payload, header.count(block), packing)
        for block, payload in enumerate(bitstream.read_blocks(file, header))
      )
    return decoded, {
      "file_bytes": file_bytes,
      "bits_per_feature": 8 * (file_bytes - bitstream.HEADER_BYTES) / count,
      "payload_bits_per_feature": 8 * string_bytes / count,
      "entropy_bits_per_feature": float(codec.coder.bits(codes).mean()),
    }

  enhancer = codec.enhancement and codec.enhancement.enhancer
  return measure, {
    "packing": packing,
    "codec_digest": codec.transform.digest(),
    "enhancer_digest": enhancer and enhancer.digest(),
    "training": training,
    "enhancer_training": _training(_ENHANCER.value),
    **costs.as_json(codec.costs()),
  }


def _training(name: Optional[str]) -> Optional[Dict[str, Any]]:
  """How the codec or enhancer of that name was made."""
  if name is None:
    return None
  config = run_folders.read_config(run_folders.find(name))
  return {key: config[key] for key in _TRAINING if key in config}


def _external() -> Tuple[Subject, Dict[str, Any]]:
  """Somebody else's decoded features, and the rate that they report."""
  bits = _BITS_PER_FEATURE.value
  if _DECODED.value is None or bits is None or not math.isfinite(bits):
    raise Error("--codec=external needs --decoded and --bits_per_feature.")
  if _ALSO.value:
    raise Error("--codec=external goes with one feature set, not with --also.")

  def measure(original: np.ndarray):
    decoded = feature_sets.load(_DECODED.value).features
    if decoded.shape != original.shape:
      raise Error(
        f"{_DECODED.value}: {list(decoded.shape)} features, expected"
        f" {list(original.shape)} as in {_FEATURES.value}."
      )
    return decoded, {"bits_per_feature": bits}

  return measure, {}


def _baseline(test_digest: str) -> Tuple[Subject, Dict[str, Any]]:
  """Codes of fixed length, decoded where they can be."""
  known = manifests.sets().get(_FEATURES.value)
  network = manifests.networks()[known.network] if known else None
  name = _TRAINING_SET.value or (network or manifests.default()).training
  training_set = feature_sets.load(name)
  digests = {name: training_set.digest(), _FEATURES.value: test_digest}
  manifests.check_one_network(digests)
  seed = _SEED.value or 0
  baseline = baselines.load(_CODEC.value, training_set, seed)
  decodes = not baselines.is_hash(_CODEC.value)

  def measure(original: np.ndarray):
    codes = baseline.encode(original)
    return baseline.decode(codes) if decodes else codes, {
      "file_bytes": codes.nbytes,
      "bits_per_feature": 8.0 * codes.shape[1],
    }

  return measure, {
    "codec_digest": baseline.digest(),
    "objective": baseline.objective,
    "training": {
      "kind": _CODEC.value.split("-")[0],
      "seed": seed,
      "features": name,
      "num_training_features": len(training_set.features),
      "training_set_digest": training_set.digest(),
    },
    **costs.as_json(baseline.costs()),
  }


def _verify(decoded: np.ndarray, test_set: feature_sets.FeatureSet):
  """Verification of features, or of binary codes uint8 [n, bits / 8]."""
  from tsenh.recognition import verification

  if decoded.dtype != np.uint8:
    distances = verification.squared_distances(decoded, test_set.pairs)
    return verification.verify(distances, test_set.is_same)
  bits = 8 * decoded.shape[1]
  distances = baselines.hamming_distances(decoded, test_set.pairs)
  every = np.arange(bits + 2)  # Each distance, and what is above all of them.
  scale = 4 / bits
  return verification.verify(scale * distances, test_set.is_same, scale * every)


def _metrics(decoded, test_set: feature_sets.FeatureSet) -> Dict[str, Any]:
  """Distortion and verification, as decoded and normalized."""
  from tsenh.recognition import verification

  dense = _dense(decoded, test_set.identities)
  if decoded.dtype == np.uint8:  # Binary codes: nothing decoded, equally long.
    metrics = _verify(decoded, test_set)
    return {"mse": None, **metrics, "normalized": metrics, "dense": dense}
  difference = np.subtract(decoded, test_set.features, dtype=np.float64)
  return {
    "mse": float(np.square(difference).mean()),
    **_verify(decoded, test_set),
    "normalized": _verify(verification.normalize(decoded), test_set),
    "dense": dense,
  }


def _dense(decoded: np.ndarray, identities: Optional[np.ndarray]):
  """Verification over all pairs of people who are known; None without any."""
  from tsenh.recognition import dense

  if identities is None or not dense.possible(identities):
    return None
  return dense.measure(decoded, identities)


def _load(name: str) -> feature_sets.FeatureSet:
  """A feature set that has pairs."""
  found = feature_sets.load(name)
  if found.pairs is None:
    raise Error(f"{name}: has no pairs to verify.")
  return found


def _measure(
  subject: Subject, name: str, test_set: feature_sets.FeatureSet
) -> Dict[str, Any]:
  """What a result says of one feature set."""
  original = test_set.features
  decoded, rates = subject(original)
  return {
    "features": name,
    "features_digest": test_set.digest(),
    "num_features": len(original),
    "dim": original.shape[1],
    "file_bytes": None,
    "payload_bits_per_feature": None,
    "entropy_bits_per_feature": None,
    **rates,
    "bits_per_dimension": rates["bits_per_feature"] / original.shape[1],
    **_metrics(decoded, test_set),
  }


def main():
  test_sets = {name: _load(name) for name in (_FEATURES.value, *_ALSO.value)}
  digests = {name: found.digest() for name, found in test_sets.items()}
  manifests.check_one_network(digests)
  output = files.check_output(_OUTPUT.value)
  inputs = (_FEATURES.value, _DECODED.value, _TRAINING_SET.value, *_ALSO.value)
  files.check_apart(_OUTPUT.value, *inputs)
  log = files.check_output(str(output.parent / results.TEST_LOG))
  results.read_log(log)  # Before the work.
  subject, described = _subject(digests[_FEATURES.value])
  measured = {
    "method": _METHOD.value or _CODEC.value,
    "codec": _CODEC.value,
    "enhancer": _ENHANCER.value,
    "packing": None,
    "codec_digest": None,
    "enhancer_digest": None,
    "parameters": None,
    "multiply_adds": None,
    "training": None,
    "enhancer_training": None,
    "objective": None,
    **described,
  }
  first, *others = (
    _measure(subject, name, test_set) for name, test_set in test_sets.items()
  )
  measured.update(first, also={other["features"]: other for other in others})
  data = {
    found["features"]: found["features_digest"] for found in (first, *others)
  }
  training = measured["training"]
  if training:
    data[training["features"]] = training["training_set_digest"]
  if _CODEC.value in run_folders.shipped():
    data[f"codec {_CODEC.value}"] = measured["codec_digest"]
  result = results.describe(measured, data)
  # The log first: no result without a line in it.
  for found in (first, *others):
    if manifests.is_test(found["features_digest"]):
      look = results.log_look(output.parent, {**result, **found})
      print(look, file=sys.stderr)
  files.write_json(_OUTPUT.value, result)
  for found in (first, *others):
    print(_summary({**measured, **found}))


def _summary(result: Dict[str, Any]) -> str:
  """The result in a few lines, for reading."""
  lines = [
    f"{result['method']} on {result['features']}:"
    f" {result['bits_per_feature']:.1f} bits per feature"
    f" ({result['bits_per_dimension']:.3f} per dimension)"
    + (f", MSE {result['mse']:.3e}" if result["mse"] is not None else "")
  ]
  for name, metrics in (
    ("as decoded", result),
    ("normalized", result["normalized"]),
  ):
    lines.append(
      f"  {name}: {metrics['correct_pairs']} of {metrics['num_pairs']} pairs,"
      f" {100 * metrics['accuracy']:.2f} % (sd over folds"
      f" {100 * metrics['accuracy_std']:.2f}), AUC {metrics['auc']:.6f},"
      f" EER {100 * metrics['eer']:.2f} %, TAR@FAR 1e-2"
      f" {100 * metrics['tar_at_far_1e-2']:.2f} %, 1e-3"
      f" {100 * metrics['tar_at_far_1e-3']:.2f} %"
    )
  return "\n".join(lines)


if __name__ == "__main__":
  command_line.run(main)
