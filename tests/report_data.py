"""Invented evaluations, with the keys of real ones, for tests of the report."""

import base64
import hashlib

import numpy as np

from experiments import choices, published
from experiments.report import reader
from experiments.studies import gaussian
from tsenh.base import files
from tsenh.data import manifests
from tsenh.recognition import dense

# Bits and accuracy, about those of a trial.
SHAPES = {
  "pq-{}-s0": {128: (128, 98.7), 256: (256, 99.2), 512: (512, 99.3)},
  "opq-{}-s0": {128: (128, 98.8), 256: (256, 99.2), 512: (512, 99.3)},
  "rq-{}-s0": {64: (64, 97.6), 128: (128, 98.9), 256: (256, 99.3)},
  "sq-{}": {50: (150, 98.6), 45: (232, 99.1), 40: (331, 99.3)},
  "sq-mid-{}": {50: (150, 98.6), 45: (232, 99.1), 40: (331, 99.3)},
  "sq-e-{}-e40-s0": {50: (150, 98.8), 45: (232, 99.2), 40: (331, 99.3)},
  "pca-{}": {0.3: (70, 96.9), 0.2: (140, 98.7), 0.1: (260, 99.2)},
  "dbh-{}-s0": {128: (128, 93.0), 256: (256, 95.0), 512: (512, 96.0)},
  "dhn-{}-s0": {128: (128, 95.0), 256: (256, 96.0), 512: (512, 97.0)},
  "itq-{}-s0": {128: (128, 97.0), 256: (256, 97.6), 512: (512, 98.3)},
  "lsh-{}-s0": {128: (128, 90.0), 256: (256, 95.0), 512: (512, 97.9)},
}
PRO = {
  40: ((77, 98.1), (152, 99.0), (325, 99.2), (450, 99.3)),
  400: ((77, 98.2), (148, 99.1), (235, 99.3), (340, 99.35)),
}


def evaluation(method, bits, accuracy, feature_set="lfw"):
  """An invented evaluation on 6,000 pairs, seeded by its method."""
  name = reader._NAME.fullmatch(method)
  name = name.groupdict() if name else {"family": method}
  digest = hashlib.sha256(method.encode()).hexdigest()
  random = np.random.default_rng(int(digest[:8], 16))

  def metrics(shift):
    wrong = random.random(6000) > (accuracy + shift) / 100
    hits = (~wrong).reshape(10, 600).sum(axis=1)
    return {
      "num_pairs": 6000,
      "correct_pairs": int(hits.sum()),
      "correct_pairs_per_fold": hits.tolist(),
      "accuracy": float(hits.sum() / 6000),
      "accuracy_std": float((hits / 600).std()),
      "auc": 1 - (100 - accuracy) / 900,
      "eer": (100 - accuracy) / 100,
      "tar_at_far_1e-3": 0.97,
    }

  family, setting = name["family"], name.get("setting")
  test_set = manifests.sets()[feature_set]
  network = manifests.network_of(feature_set)
  training_set = (
    network.training if test_set.role == "test" else network.held_in
  )
  trained = {
    "epochs": int(name.get("epochs") or 40),
    "seed": int(name.get("seed") or 0),
    "num_training_features": network.sets[training_set].count,
  }
  training = enhancer = None
  if family in ("pro", "pro-e"):
    training = {**trained, "lambda": float(setting)}
  if family == "pro-e":
    teacher = name["teacher"] or choices.TEACHERS[network.name][setting]
    high = f"pro-{teacher}-e{trained['epochs']}-s{trained['seed']}"
    enhancer = {**trained, "high_digest": high}
  if family == "sq-e":
    enhancer = {**trained, "qp": int(setting)}
  codec = method
  if family == "pro-e":
    codec = f"pro-{setting}-e{trained['epochs']}-s{trained['seed']}"
  if family == "sq-e":
    codec = f"sq-{setting}"
  hashing = family in reader.HASHING
  result = {
    "format": 1,
    "method": method,
    "codec": method,
    "features": feature_set,
    "features_digest": test_set.digest,
    "dim": test_set.dim,
    "bits_per_feature": float(bits),
    "bits_per_dimension": bits / test_set.dim,
    "mse": None if hashing else float(family != "none") * 2 ** (-9 - bits / 60),
    **metrics(0),
    "normalized": metrics(0.05),
    "dense": invented_dense(random, accuracy),
    "also": {
      other: {"accuracy": (accuracy - 1) / 100}
      for other in network.tests[1:]
      if test_set.role == "test"
    },
    "codec_digest": codec,
    "training": training,
    "enhancer_training": enhancer,
    "objective": [3.0, 2.0, 1.5, 1.4] if hashing else None,
    "parameters": {"sender": 49536, "receiver": 49536} if training else None,
    "multiply_adds": {"sender": 49152, "receiver": 49152} if training else None,
    "code": {},
    "data": {feature_set: test_set.digest},
    "command": ["python", "-m", "tsenh.evaluate", f"--method={method}"],
    "date": "2026-11-22T04:06:46+00:00",
  }
  if hashing:
    result["normalized"] = {key: result[key] for key in result["normalized"]}
  return result


def invented_dense(random, accuracy):
  """Shares that rise with the accuracy, and resamples around them."""
  shares = np.clip((accuracy - np.array([90, 91, 92, 94, 89])) / 12, 0, 1)
  noise = 0.01 * random.normal(size=[50, 5])
  samples = np.rint(65535 * np.clip(shares + noise, 0, 1)).astype("<u2")
  return {
    "num_same": 8101,
    "num_different": 29640749,
    **dict(zip(dense.METRICS, shares.tolist())),
    "samples": base64.b64encode(samples.tobytes()).decode(),
  }


def with_hits(method, bits, hits, **more):
  """An evaluation with these correct pairs in each fold of 600."""
  result = evaluation(method, bits, 99)
  metrics = {
    "correct_pairs": sum(hits),
    "correct_pairs_per_fold": list(hits),
    "accuracy": sum(hits) / 6000,
    "accuracy_std": float((np.array(hits) / 600).std()),
  }
  result.update(metrics)
  result["normalized"].update(metrics)
  return {**result, **more}


def write(folder, result, name=None):
  """Writes a result as a JSON of its method's name."""
  files.write_json(str(folder / f"{name or result['method']}.json"), result)


def write_study(folder, seeds=3):
  """Invented evaluations of every method, and described features."""
  write(folder, evaluation("none", 4096, 99.35))
  for name, shape in SHAPES.items():
    for setting, point in shape.items():
      write(folder, evaluation(name.format(setting), *point))
  for epochs, points in PRO.items():
    for lmbda, (bits, accuracy) in zip(published.LAMBDAS, points):
      name = f"{lmbda}-e{epochs}"
      write(folder, evaluation(f"pca-at-pro-{name}", bits, accuracy - 0.8))
      for seed in range(seeds):
        rate = bits + seed / 8
        write(folder, evaluation(f"pro-{name}-s{seed}", rate, accuracy))
        write(
          folder, evaluation(f"pro-e-{name}-s{seed}", rate, accuracy + 0.02)
        )
  random = np.random.default_rng(0)
  scale = np.geomspace(0.3, 0.003, 128)
  described = [
    gaussian.describe(random.normal(size=(500, 128)) * scale) for _ in range(2)
  ]
  features = {"format": 1, "training_set": "faces", "test_set": "lfw"}
  features.update(training=described[0], test=described[1], code={}, data={})
  write(folder, features, "features")


def cells(text):
  """The rows of the first table in Markdown, by the heads of its columns."""
  rows = [line for line in text.splitlines() if line.startswith("|")]
  rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]
  return [dict(zip(rows[0], row)) for row in rows[2:]]
