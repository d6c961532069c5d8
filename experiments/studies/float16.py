r"""Measures whether storing features as float16 changes any result.

  python -m experiments.studies.float16 --faces=faces.npz --lfw=lfw.npz \
      --output=experiments/results/studies/rank64/float16.json

--faces and --lfw are the float32 originals of the rank-64 sets; those of the
other main network are float16 already. LFW is verified
uncompressed from both, and one codec per seed is trained on each precision and
evaluated on its LFW.
"""

import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from absl import flags

from tsenh.base import command_line, files, results
from tsenh.data import manifests

_FACES = flags.DEFINE_string("faces", None, "The training set, float32 .npz.")
_LFW = flags.DEFINE_string("lfw", None, "The test set, float32 .npz.")
_OUTPUT = flags.DEFINE_string("output", None, "The JSON to write.")
_SEEDS = flags.DEFINE_integer("seeds", 3, "Seeds.", lower_bound=1)
_LAMBDA = flags.DEFINE_float("lambda", 1e-5, "Of the codecs.")
flags.mark_flags_as_required(["faces", "lfw", "output"])
_KEPT = (
  "correct_pairs",
  "correct_pairs_per_fold",
  "auc",
  "eer",
  "tar_at_far_1e-2",
  "tar_at_far_1e-3",
  "mse",
  "bits_per_feature",
)


def _run(module: str, *arguments: str) -> None:
  subprocess.run([sys.executable, "-m", module, *arguments], check=True)


def main():
  files.check_output(_OUTPUT.value)
  network = manifests.networks()["rank64"]
  shipped = (network.training, network.tests[0])
  sets = {"float32": (_FACES.value, _LFW.value), "float16": shipped}
  evaluations = {name: [] for name in sets}
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)

    def evaluate(codec, test_set):
      output = str(folder / "result.json")
      _run(
        "tsenh.evaluate",
        f"--codec={codec}",
        f"--features={test_set}",
        f"--output={output}",
      )
      # The looks at the test set are kept beside the output, one by one.
      own_log = folder / results.TEST_LOG
      log = pathlib.Path(_OUTPUT.value).parent / results.TEST_LOG
      with open(log, "a") as kept:
        kept.write(own_log.read_text())
      own_log.unlink()
      result = results.read(output)
      return {key: result[key] for key in _KEPT}

    uncompressed = {
      precision: evaluate("none", test_set)
      for precision, (_, test_set) in sets.items()
    }
    for seed in range(_SEEDS.value):
      for precision, (training_set, test_set) in sets.items():
        run = str(folder / f"{precision}-{seed}")
        _run(
          "tsenh.train_codec",
          f"--lambda={_LAMBDA.value}",
          f"--features={training_set}",
          f"--seed={seed}",
          f"--output={run}",
        )
        evaluations[precision].append(evaluate(run, test_set))

  def spread(key):
    """Mean difference between precisions, and between seeds within one."""
    table = np.array(
      [[e[key] for e in evaluations[precision]] for precision in sets]
    )
    return {
      "float16_minus_float32_per_seed": (table[1] - table[0]).tolist(),
      "standard_deviation_over_seeds": table.std(axis=1, ddof=1).tolist(),
    }

  difference = {
    key: spread(key) for key in ("correct_pairs", "bits_per_feature", "mse")
  }
  measured = {
    "benchmark": "float16 against float32 features",
    "lambda": _LAMBDA.value,
    "uncompressed": uncompressed,
    "trained": evaluations,
    "difference": difference,
  }
  data = {name: manifests.sets()[name].digest for name in shipped}
  commands = ("tsenh.train_codec", "tsenh.evaluate")
  results.write(_OUTPUT.value, measured, data, *commands)
  print(difference)


if __name__ == "__main__":
  command_line.run(main)
