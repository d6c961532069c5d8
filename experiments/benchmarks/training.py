"""Times a training step against the same model in Keras and PyTorch.

  python -m experiments.benchmarks.training --output=training.json

All alternate in one process on the shipped training set (batch 32,
128-128-128), so that a drift of the machine's speed meets each; the ratios of
a round are what to quote. Keras trains by `fit`, plain and with
`steps_per_execution`; PyTorch, where it is installed (`pip install torch`, not
an extra of ours), by the usual loop, as it is and with torch.compile. The floor
is what a step's matrix products alone would take at the rate of one large
product, on one thread as ours, measured in the same round.

Beside some of the rounds the command trains a whole curve, its start, its
checkpoints and its tables counted in, as often as --curves says.
"""

import math
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Any, Callable, Dict

import numpy as np
import tqdm
from absl import flags

from experiments.benchmarks import floor, machine
from tsenh.base import command_line, files, results
from tsenh.data import feature_sets, manifests
from tsenh.training import run_folders

_OUTPUT = flags.DEFINE_string("output", None, "The JSON to write.")
_ROUNDS = flags.DEFINE_integer("rounds", 9, "Rounds.", lower_bound=1)
_STEPS = flags.DEFINE_integer(
  "steps", 1024, "Steps of each in a round.", lower_bound=1
)
_CURVES = flags.DEFINE_integer(
  "curves", 3, "Curves of four lambdas.", lower_bound=1
)
_EPOCHS = flags.DEFINE_integer(
  "epochs", 40, "Epochs of each run of a curve.", lower_bound=1
)
flags.mark_flag_as_required("output")

LAMBDA = 1e-6
LAMBDAS = ("1e-4", "1e-5", "1e-6", "1e-7")
BATCH_SIZE = 32
STEPS_PER_EXECUTION = 256
WAYS = (
  "keras_fit",
  "keras_fit_many_steps",
  "tsenh",
  "pytorch_eager",
  "pytorch_compiled",
  "floor",
)
_COMMAND = "tsenh.train_codec"
NO_PYTORCH = "PyTorch is not installed: pip install torch, the build for CPUs."
NO_COMPILER = "torch.compile failed; it needs a C++ compiler."


def keras_codec(dim: int, steps_per_execution: int):
  """The codec as most would write it for `fit`."""
  import tensorflow as tf

  from tsenh.features.pro import Codec, rate_distortion_loss

  class KerasCodec(tf.keras.Model):
    """Adds Eq. (5) as a loss; gives the decoded features."""

    def __init__(self):
      super().__init__()
      self.codec = Codec(dim)

    def call(self, f_raw):
      noise = tf.random.uniform(tf.shape(f_raw), -0.5, 0.5)
      f_rec, c = self.codec(f_raw, noise)
      self.add_loss(rate_distortion_loss(f_raw, f_rec, c, LAMBDA)[0])
      return f_rec

  model = KerasCodec()
  model.compile(
    optimizer=tf.keras.optimizers.Adam(1e-4),
    steps_per_execution=steps_per_execution,
  )
  return model


def pytorch_epochs(codec, features: np.ndarray) -> Dict[str, Any]:
  """What trains for an epoch, or a sentence why there is none."""
  try:
    from experiments.benchmarks import pytorch_codec
  except ImportError:
    return {"pytorch_eager": NO_PYTORCH, "pytorch_compiled": NO_PYTORCH}
  trainer = pytorch_codec.trainer
  epochs = {
    "pytorch_eager": trainer(codec, features, BATCH_SIZE, LAMBDA, False),
    "pytorch_compiled": trainer(codec, features, BATCH_SIZE, LAMBDA, True),
  }
  try:
    epochs["pytorch_compiled"]()
  except RuntimeError:
    epochs["pytorch_compiled"] = NO_COMPILER
  return epochs


def curve() -> Dict[str, float]:
  """Trains a codec for each lambda by one command; how long it took.

  Returns:
    `seconds`, and `ms_per_update`, of which each run makes as many.
  """
  with tempfile.TemporaryDirectory() as folder:
    command = [sys.executable, "-m", _COMMAND]
    command += [f"--lambda={','.join(LAMBDAS)}", f"--epochs={_EPOCHS.value}"]
    start = time.perf_counter()
    process = subprocess.run(
      [*command, f"--output={folder}"], stderr=subprocess.DEVNULL
    )
    seconds = time.perf_counter() - start
    if process.returncode:
      command_line.fail(f"{' '.join(command)}: failed.")
    configs = map(run_folders.read_config, pathlib.Path(folder).iterdir())
    updates = sum(config["steps"] for config in configs)
  return {
    "seconds": round(seconds, 2),
    "ms_per_update": round(1e3 * seconds / updates, 4),
  }


def main():
  files.check_output(_OUTPUT.value)
  # They import TensorFlow.
  from tsenh.features.pro import Codec, rate_distortion_loss
  from tsenh.training.trainer import Recipe, Trainer

  name = manifests.default().training
  subset = feature_sets.load(name).features[: _STEPS.value * BATCH_SIZE]
  steps = len(subset) // BATCH_SIZE
  codec = Codec(subset.shape[1])

  def loss_fn(batch, noise):
    f_raw = batch["features"]
    f_rec, c = codec(f_raw, noise)
    return rate_distortion_loss(f_raw, f_rec, c, LAMBDA)

  trainer = Trainer(
    codec.named_variables(),
    loss_fn,
    ("loss", "distortion", "rate"),
    {"features": subset},
    Recipe(batch_size=BATCH_SIZE),
    noise_dim=codec.code_dim,
  )

  def fit(steps_per_execution: int) -> Callable[[], Any]:
    model = keras_codec(subset.shape[1], steps_per_execution)
    return lambda: model.fit(subset, batch_size=BATCH_SIZE, verbose=0)

  epochs = {
    "keras_fit": fit(1),
    "keras_fit_many_steps": fit(STEPS_PER_EXECUTION),
    "tsenh": lambda: trainer.run_epoch(lambda *_: None),
    **pytorch_epochs(codec, subset),
  }
  notes = {way: why for way, why in epochs.items() if isinstance(why, str)}
  for why in sorted(set(notes.values())):
    print(why, file=sys.stderr)
  operations = floor.operations(codec, BATCH_SIZE)
  seconds = {way: [] for way in WAYS if way not in notes}
  curves = []
  apart = math.ceil(_ROUNDS.value / _CURVES.value)
  for round_number in tqdm.trange(_ROUNDS.value + 1, unit="round"):
    for way, values in seconds.items():
      if way == "floor":
        taken = steps * operations / floor.rate()
      else:
        start = time.perf_counter()
        epochs[way]()
        taken = time.perf_counter() - start
      if round_number > 0:  # The first compiles.
        values.append(taken)
    if round_number % apart == 1 % apart and round_number > 0:
      ms = 1e3 * seconds["keras_fit"][-1] / steps
      found = curve()
      found["keras_fit_over_curve"] = round(ms / found["ms_per_update"], 3)
      curves.append(found)
  over_tsenh = {
    way: np.divide(values, seconds["tsenh"]) for way, values in seconds.items()
  }
  ms_per_step = {way: None for way in notes}
  for way, values in seconds.items():
    ms_per_step[way] = [round(1e3 * s / steps, 4) for s in values]
  ratios = over_tsenh["keras_fit"]
  measured = {
    "benchmark": "training step, batch 32, 128-128-128",
    "steps_in_a_round": steps,
    "ms_per_step": ms_per_step,
    "ratio_per_round": ratios.round(3).tolist(),
    "ratio_median": float(np.median(ratios)),
    "over_tsenh_per_round": {
      way: values.round(3).tolist() for way, values in over_tsenh.items()
    },
    "over_tsenh": {
      way: float(np.median(values)) for way, values in over_tsenh.items()
    },
    "curve": {
      "lambdas": LAMBDAS,
      "epochs": _EPOCHS.value,
      **{key: [found[key] for found in curves] for key in curves[0]},
    },
    "notes": notes,
    "operations_of_a_step": operations,
    **machine.describe(),
    "thread_mode": command_line.THREAD_MODE,
    "peers": machine.versions("torch"),
  }
  data = {name: manifests.sets()[name].digest}
  results.write(_OUTPUT.value, measured, data, _COMMAND)
  for way, values in over_tsenh.items():
    print(
      f"{way} over tsenh: {np.median(values):.2f} (rounds {values.min():.2f}"
      f" to {values.max():.2f}); {np.median(ms_per_step[way]):.3f} ms a step"
    )
  ratios = measured["curve"]["keras_fit_over_curve"]
  print(
    f"keras_fit over an update of a curve: {np.median(ratios):.2f}"
    f" ({min(ratios):.2f} to {max(ratios):.2f})"
  )


if __name__ == "__main__":
  command_line.run(main)
