"""What training adds to LDA at few bits, on held-out people.

  python -m experiments.studies.trained --output=trained.json

Around the recipe of `train_ahead` each of its choices is varied alone, at two
rates and for two seeds; LDA, which it begins as, stands beside it. Some half an
hour. What today's code has measured already is kept, so it can be stopped and
started again.
"""

import pathlib
import subprocess
import sys
import tempfile
from typing import Any, Dict, Iterator, Tuple

import numpy as np
import tqdm
from absl import flags

from experiments import choices, staleness
from experiments.studies import network
from tsenh.base import command_line, files, results
from tsenh.base.errors import Error
from tsenh.data import feature_sets

_OUTPUT = flags.DEFINE_string("output", None, "The JSON to write.")
flags.mark_flag_as_required("output")

_COMMANDS = ("tsenh.train_ahead", "tsenh.train_lda")
BITS = (64, 128)
SEEDS = (0, 1)
VARIED = {
  "fine_weight": (1.0, 16.0),
  "dropout": (0.0,),
  "spread": (0.0, 1.0),
  "hidden_dim": (256,),
  "bits_per_direction": (1.6, 2.5),
  "trellis": (False,),
}


def _variants() -> Iterator[Tuple[str, Dict[str, Any]]]:
  """What is varied, and its value."""
  yield "LDA", {}
  yield "recipe", {}
  for name, values in VARIED.items():
    for value in values:
      yield name, {name: value}


def _train(bits, seed, varied, folder, **own):
  """Trains a codec in a folder, by the project's own command."""
  from tsenh.features import compressor

  sets = network.chosen()
  command = "tsenh.train_lda" if varied == "LDA" else "tsenh.train_ahead"
  if "bits_per_direction" in own:
    own["dim"] = round(bits / own.pop("bits_per_direction"))
  if sets.name in choices.SHRINKAGE:
    own["shrinkage"] = choices.SHRINKAGE[sets.name]
  if varied != "LDA":
    own["seed"] = seed
  own.update(bits=bits, features=sets.held_in, output=folder)
  all_flags = [f"--{name}={value}" for name, value in own.items()]
  process = subprocess.run(
    [sys.executable, "-m", command, *all_flags],
    stderr=subprocess.PIPE,
    text=True,
  )
  if process.returncode:
    said = process.stderr.strip().splitlines() or ["it said nothing."]
    raise Error(f"{command}: {said[-1]}")
  return compressor.load(folder)


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


def _measure(codec, held_out) -> Dict[str, float]:
  from tsenh.recognition import dense, verification

  codes = codec.transform.encode(held_out.features)
  decoded = verification.normalize(codec.transform.decode(codes))
  found = {"bits": float(codec.coder.bits(codes).mean())}
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
  held_out = feature_sets.load(sets.validation)
  points = []
  if pathlib.Path(_OUTPUT.value).exists():
    result = results.read(_OUTPUT.value)
    if not staleness.reasons(result):
      points = result["points"]
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
    own = {k: v for k, v in point.items() if k != "wanted_bits"}
    with tempfile.TemporaryDirectory() as folder:
      run = f"{folder}/run"
      codec = _train(point["wanted_bits"], folder=run, **own)
      points.append({**point, **_measure(codec, held_out)})
    found = {"study": "Ahead's choices, held-out people", "points": points}
    results.write(_OUTPUT.value, found, network.digests(), *_COMMANDS)


if __name__ == "__main__":
  command_line.run(main)
