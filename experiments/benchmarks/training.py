"""Times a training step against the same model under plain Keras `fit`.

  python -m experiments.benchmark_training --output=benchmark_training.json

The two alternate in one process on the shipped training set (batch 32,
128-128-128), so that a drift of the machine's speed meets both; the ratio of
each round is what to quote.
"""

import os
import time

import numpy as np
import tensorflow as tf
import tqdm
from absl import flags

from tsenh import cli, features, files, provenance, results, training
from tsenh.codec import Codec, rate_distortion_loss

_OUTPUT = flags.DEFINE_string("output", None, "The JSON to write.")
_ROUNDS = flags.DEFINE_integer("rounds", 9, "Rounds.", lower_bound=1)
flags.mark_flag_as_required("output")

LAMBDA = 1e-6
BATCH_SIZE = 32


class KerasCodec(tf.keras.Model):
  """The codec as most would write it for `fit`."""

  def __init__(self):
    super().__init__()
    self.codec = Codec()

  def call(self, f_raw):
    """Adds Eq. (5) as a loss; returns the decoded features."""
    noise = tf.random.uniform(tf.shape(f_raw), -0.5, 0.5)
    f_rec, c = self.codec(f_raw, noise)
    self.add_loss(rate_distortion_loss(f_raw, f_rec, c, LAMBDA)[0])
    return f_rec


def main():
  files.check_output(_OUTPUT.value)
  codec = Codec()

  def loss_fn(f_raw, noise):
    f_rec, c = codec(f_raw, noise)
    return rate_distortion_loss(f_raw, f_rec, c, LAMBDA)

  subset = features.load("faces").features[: 1024 * BATCH_SIZE]
  variables = codec.named_variables()
  trainer = training.Trainer(
    *(variables, loss_fn, ("loss", "distortion", "rate"), subset),
    *(codec.code_dim, BATCH_SIZE, 1e-4, 0),
  )
  keras_model = KerasCodec()
  keras_model.compile(optimizer=tf.keras.optimizers.Adam(1e-4))

  def fit():
    keras_model.fit(subset, batch_size=BATCH_SIZE, verbose=0)

  def epoch():
    trainer.run_epoch(lambda *_: None)

  seconds = {"keras_fit": [], "tsenh": []}
  for round_number in tqdm.trange(_ROUNDS.value + 1, unit="round"):
    for name, run in (("keras_fit", fit), ("tsenh", epoch)):
      start = time.perf_counter()
      run()
      if round_number > 0:  # The first compiles.
        seconds[name].append(time.perf_counter() - start)
  steps = len(subset) // BATCH_SIZE
  ratios = np.divide(seconds["keras_fit"], seconds["tsenh"])
  result = {
    "format": results.FORMAT,
    "benchmark": "training step, batch 32, 128-128-128",
    "ms_per_step": {
      name: [round(1e3 * s / steps, 4) for s in values]
      for name, values in seconds.items()
    },
    "ratio_per_round": ratios.round(3).tolist(),
    "ratio_median": float(np.median(ratios)),
    "cores": os.cpu_count(),
    "thread_mode": training.THREAD_MODE,
    "date": provenance.now(),
    "versions": provenance.versions(),
    **provenance.source(),
  }
  files.write_json(_OUTPUT.value, result)
  print(
    f"keras fit over tsenh: {np.median(ratios):.2f} (rounds"
    f" {ratios.min():.2f} to {ratios.max():.2f}); tsenh"
    f" {np.median(result['ms_per_step']['tsenh']):.2f} ms a step"
  )


if __name__ == "__main__":
  cli.run(main)
