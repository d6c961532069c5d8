"""Makes the shipped network of expressions from a run: two TFLite files.

  python -m experiments.ship_expression --run=runs/expression/mixed-s0 \
    --data=ferplus.npz --labels=fer2013new.csv \
    --output=checkpoints/expressions/half-hidden

float.tflite has weights of 16 bits, int8.tflite computes in 8 bits, with ranges
from training faces, a third of them whole, a third with either half hidden.
config.json is the run's, with the digests of both files. The card beside them
is written by hand; its tables are of evaluate_expression.
"""

import hashlib
import pathlib

import numpy as np
from absl import flags

from tsenh.base import command_line, files
from tsenh.recognition import expression_flags
from tsenh.training import run_folders

_RUN = flags.DEFINE_string("run", None, "The run folder.")
_OUTPUT = flags.DEFINE_string("output", None, "The folder to write.")
_FACES = flags.DEFINE_integer(
  "faces", 600, "Training faces that show the ranges of values.", lower_bound=3
)
flags.mark_flags_as_required(["run", "output"])


def main():
  training = expression_flags.load()["training"]

  from tsenh.recognition import expression_models, expressions

  folder, config = expression_models.find(_RUN.value)
  classifier = expressions.load(folder, config)
  rows = np.random.default_rng(0).permutation(len(training.images))
  thirds = np.array_split(training.images[rows[: _FACES.value]], 3)
  shown = np.concatenate(
    [expressions.occlude(*pair) for pair in zip(thirds, expressions.OCCLUSIONS)]
  )
  output = pathlib.Path(_OUTPUT.value)
  output.mkdir(parents=True, exist_ok=True)
  digests = {}
  for precision in expression_models.PRECISIONS:
    content = expression_models.to_lite(classifier, precision, shown)
    with files.replacing(str(output / f"{precision}.tflite")) as file:
      file.write(content)
    digests[f"{precision}_sha256"] = hashlib.sha256(content).hexdigest()
    print(f"{precision}: {len(content):,} bytes")
  config = {k: v for k, v in config.items() if k != "data"}
  run_folders.write_config(output, {**config, **digests})


if __name__ == "__main__":
  command_line.run(main)
