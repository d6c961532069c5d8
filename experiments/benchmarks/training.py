"""Times a training step against the same model under plain Keras `fit`.

  python -m experiments.benchmarks.training --output=training.json

The two alternate in one process on the shipped training set (batch 32,
128-128-128), so that a drift of the machine's speed meets both; the ratio of
each round is what to quote.
"""

import os
import time

import numpy as np
import tqdm
from absl import flags

from tsenh.base import command_line, files, results
from tsenh.data import feature_sets, manifests

_OUTPUT = flags.DEFINE_string("output", None, "The JSON to write.")
_ROUNDS = flags.DEFINE_integer("rounds", 9, "Rounds.", lower_bound=1)
flags.mark_flag_as_required("output")

LAMBDA = 1e-6
BATCH_SIZE = 32


def keras_codec(dim: int):
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
  model.compile(optimizer=tf.keras.optimizers.Adam(1e-4))
  return model


def main():
  files.check_output(_OUTPUT.value)
  # They import TensorFlow.
  from tsenh.features.pro import Codec, rate_distortion_loss
  from tsenh.training.trainer import Recipe, Trainer

  name = manifests.default().training
  subset = feature_sets.load(name).features[: 1024 * BATCH_SIZE]
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
  keras_model = keras_codec(subset.shape[1])

  def fit():
    keras_model.fit(subset, batch_size=BATCH_SIZE, verbose=0)

  def epoch():
    trainer.run_epoch(lambda *_: None)

  seconds = {"keras_fit": [], "tsenh": []}
  for round_number in tqdm.trange(_ROUNDS.value + 1, unit="round"):
    for way, run in (("keras_fit", fit), ("tsenh", epoch)):
      start = time.perf_counter()
      run()
      if round_number > 0:  # The first compiles.
        seconds[way].append(time.perf_counter() - start)
  steps = len(subset) // BATCH_SIZE
  ratios = np.divide(seconds["keras_fit"], seconds["tsenh"])
  ms_per_step = {
    way: [round(1e3 * s / steps, 4) for s in values]
    for way, values in seconds.items()
  }
  measured = {
    "benchmark": "training step, batch 32, 128-128-128",
    "ms_per_step": ms_per_step,
    "ratio_per_round": ratios.round(3).tolist(),
    "ratio_median": float(np.median(ratios)),
    "cores": os.cpu_count(),
    "thread_mode": command_line.THREAD_MODE,
  }
  data = {name: manifests.sets()[name].digest}
  results.write(_OUTPUT.value, measured, data)
  print(
    f"keras fit over tsenh: {np.median(ratios):.2f} (rounds"
    f" {ratios.min():.2f} to {ratios.max():.2f}); tsenh"
    f" {np.median(ms_per_step['tsenh']):.2f} ms a step"
  )


if __name__ == "__main__":
  command_line.run(main)
