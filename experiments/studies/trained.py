"""What training adds to LDA at few bits, on held-out people.

  python -m experiments.studies.trained --output=trained.json

Around the recipe of `train_ahead` each of its choices is varied alone, at two
rates and for two seeds; LDA, which it begins as, stands beside it. Some half an
hour. What is measured already is kept, so it can be stopped and started again.
"""

import json
import pathlib
from typing import Any, Dict, Iterator, Tuple

import numpy as np
import tqdm
from absl import flags

from experiments import choices
from experiments.studies import network
from tsenh.base import command_line, files, results
from tsenh.data import feature_sets

_OUTPUT = flags.DEFINE_string("output", None, "The JSON to write.")
flags.mark_flag_as_required("output")

BITS = (64, 101)
SEEDS = (0, 1)
VARIED = {
  "epochs": (10, 40),
  "hidden_dim": (256, 2048),
  "dropout": (0.0, 0.6),
  "spread": (0.0, 1.0),
  "fine_weight": (0.1, 4.0),
  "dim": (1.6, 2.5),  # Bits of an element.
}
EPOCHS, BATCH_SIZE, LEARNING_RATE = 20, 1024, 1e-3


def _variants() -> Iterator[Tuple[str, Dict[str, Any]]]:
  """What is varied, and its value."""
  yield "LDA", {"epochs": 0}
  yield "recipe", {}
  for name, values in VARIED.items():
    for value in values:
      yield name, {name: value}


def _coder(bits, seed, training_set, epochs=EPOCHS, dim=None, **own):
  """A trained coder; of no epochs, what it begins as."""
  from tsenh.features import ahead, coarse, lda
  from tsenh.training.trainer import Recipe, Trainer

  features, identities = training_set.features, training_set.identities
  own.setdefault(
    "shrinkage", float(choices.SHRINKAGE.get(network.chosen().name, 0.6))
  )
  learner = ahead.Learner(
    bits,
    round(bits / (dim or lda.BITS_PER_DIRECTION)),
    features,
    identities,
    seed=seed,
    **own,
  )
  grain = coarse.prepare("contrastive", features, identities, BATCH_SIZE, seed)
  trainer = Trainer(
    learner.named_variables(),
    learner.loss_fn,
    ahead.METRICS,
    {"features": features, **grain.examples},
    Recipe(epochs, BATCH_SIZE, LEARNING_RATE, seed=seed),
    learner.noise_dim,
    decay_epochs=max(epochs, 1),
    **grain.training,
  )
  for _ in range(epochs):
    trainer.run_epoch(lambda steps, metrics: None)
  return learner.coder(features)


def _many_pairs(identities: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
  """All pairs of one person, and as many of two, in random order.

  Returns:
    int64 [n, 2], rows of faces, and bool [n], whether they are one person's.
  """
  random = np.random.default_rng(0)
  same = np.argwhere(np.triu(identities[:, None] == identities, 1))
  different = random.integers(len(identities), size=[2 * len(same), 2])
  a, b = identities[different].T
  pairs = np.concatenate([same, different[a != b][: len(same)]])
  is_same = np.arange(len(pairs)) < len(same)
  order = random.permutation(len(pairs) // 10 * 10)
  return pairs[order], is_same[order]


def _measure(coder, training_set, held_out) -> Dict[str, float]:
  from tsenh.coding import entropy
  from tsenh.recognition import dense, verification

  tables = entropy.fit_coder(coder.encode(training_set.features))
  codes = coder.encode(held_out.features)
  decoded = verification.normalize(coder.decode(codes))
  found = {"bits": float(tables.bits(codes).mean())}
  for name, (pairs, is_same) in {
    "": (held_out.pairs, held_out.is_same),
    "many_": _many_pairs(held_out.identities),
  }.items():
    distances = verification.squared_distances(decoded, pairs)
    verified = verification.verify(distances, is_same)
    for metric in ("num_pairs", "correct_pairs", "eer"):
      found[name + metric] = verified[metric]
  measured = dense.measure(decoded, held_out.identities)
  return {**found, **{metric: measured[metric] for metric in dense.METRICS}}


def main():
  files.check_output(_OUTPUT.value)
  command_line.set_thread_mode()
  sets = network.chosen()
  training_set = feature_sets.load(sets.held_in)
  held_out = feature_sets.load(sets.validation)
  path = pathlib.Path(_OUTPUT.value)
  points = json.loads(path.read_text())["points"] if path.exists() else []
  work = [
    {"wanted_bits": bits, "seed": seed, "varied": varied, **own}
    for seed in SEEDS
    for bits in BITS
    for varied, own in _variants()
    if varied != "LDA" or seed == SEEDS[0]
  ]
  for point in tqdm.tqdm(work, unit="codec"):
    if any(point.items() <= done.items() for done in points):
      continue
    own = {k: v for k, v in point.items() if k not in ("wanted_bits", "varied")}
    coder = _coder(point["wanted_bits"], training_set=training_set, **own)
    points.append({**point, **_measure(coder, training_set, held_out)})
    found = {"study": "Ahead's choices, held-out people", "points": points}
    results.write(_OUTPUT.value, found, network.digests())


if __name__ == "__main__":
  command_line.run(main)
