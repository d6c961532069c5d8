"""Which jobs make which experiments."""

import json
import math
import pathlib
import re
from typing import Dict, List, Optional, Sequence

from experiments import published
from experiments.choices import (
  EPOCHS,
  GRAINS,
  LAMBDAS,
  SHRINKAGE,
  TEACHERS,
  held_in_epochs,
  updates,
)
from experiments.jobs import Job
from tsenh.base.errors import Error
from tsenh.data import manifests
from tsenh.data.manifests import Network
from tsenh.training import run_folders

TEACHING = "1e-8"  # Trained to teach alone.
QPS = (50, 45, 40, 30)
# The shipped codecs that were trained longer stand beside the paper's 40
# epochs: `make checkpoints` trains them.
LONG_EPOCHS = 400
SEEDS = range(5)
BITS = (128, 256, 512, 1024)
RQ_BITS = (64, 96, 128, 192, 256)
# Of RaBitQ 64 are the two factors, the others signs.
RECENT_BITS = {"prq": (64, 128), "rabitq": (128, 192), "lsq": (64, 128)}
FEW_BITS = (64, 78, 101, 128)  # Where bars are (docs/ahead.md).
BITS_BEYOND = (40, 192, 256)
AHEAD_EPOCHS = 20
PCA_STEPS = (0.4, 0.28, 0.2, 0.14, 0.1, 0.07, 0.05, 0.035, 0.025)
SHORT_PCA_STEPS = (0.14, 0.1, 0.07, 0.05)
# About the seconds of each kind of job beside another one, of a baseline those
# at 256 bits, and the power of the bits with which they rise. The time left is
# told from them.
SECONDS = {
  "train_codec": 60,
  "train_enhancer": 40,
  "train_decoder": 45,
  "train_sq_enhancer": 60,
  "train_sq": 5,
  "train_pca": 5,
  "train_lda": 8,
  "train_ahead": 45,
  "none": 8,
  "sq": 8,
  "pca": 8,
  "lda": 8,
  "ahead": 8,
  "pro": 8,
  "lsh": 2,
  "itq": 30,
  "pq": 25,
  "opq": 55,
  "rq": 120,
  "prq": 60,
  "rabitq": 2,
  "lsq": 900,
  "dbh": 80,
  "dhn": 90,
}

RISES = {"dhn": 0, "rq": 2, "prq": 2, "lsq": 2}  # Others rise with the bits.


class _Plan:
  """Jobs in the order in which they are started."""

  def __init__(
    self, runs: str, output: str, training_set: str, *test_sets: str
  ):
    if not (training_set and test_sets[0]):
      raise Error("the network has no people apart, which this plan needs.")
    self.jobs: Dict[str, Job] = {}
    self._runs, self._output = pathlib.Path(runs), pathlib.Path(output)
    self._training_set, self._test_set = training_set, test_sets[0]
    self._also = [f"--also={','.join(test_sets[1:])}"] if test_sets[1:] else []

  def _add(self, name, module, own_flags, output, needs, seconds) -> None:
    self.jobs[name] = Job(
      name, module, own_flags, output, tuple(needs), seconds
    )

  def describe(self) -> None:
    """Adds what the figures need of the features themselves."""
    own_flags = [
      f"--training_set={self._training_set}",
      f"--test_set={self._test_set}",
    ]
    module = "experiments.studies.describe_features"
    output = self._output / "features.json"
    self._add("features", module, own_flags, output, (), 5)

  def run(self, name: str) -> pathlib.Path:
    """The folder of a run."""
    return self._runs / name

  def train(
    self,
    name: str,
    command: str,
    own_flags: List[str],
    epochs: int,
    needs: Sequence[str] = (),
    seed: int = 0,
    times: float = 1.0,
  ) -> None:
    """Adds a training run, which takes so many times as long as usual."""
    all_flags = [
      *own_flags,
      f"--features={self._training_set}",
      f"--epochs={epochs}",
      f"--seed={seed}",
      "--resume",
    ]
    share = updates(self._training_set, epochs) / updates(
      manifests.default().training, EPOCHS
    )
    self._add(
      f"train {name}",
      f"tsenh.{command}",
      all_flags,
      self.run(name),
      [f"train {need}" for need in needs],
      5 + SECONDS[command] * share * times,
    )

  def fit(self, name: str, command: str, own_flags, needs=()) -> None:
    """Adds a run that is fitted in one step; flags may follow from results."""

    def all_flags():
      own = own_flags() if callable(own_flags) else own_flags
      return [*own, f"--features={self._training_set}", "--overwrite"]

    self._add(
      f"train {name}",
      f"tsenh.{command}",
      all_flags if callable(own_flags) else all_flags(),
      self.run(name),
      needs,
      SECONDS[command],
    )

  def evaluate(
    self,
    method: str,
    codec: Optional[str] = None,
    own_flags: Sequence[str] = (),
    needs: Sequence[str] = (),
    times: float = 1.0,
  ) -> None:
    """Adds an evaluation; its JSON has the method's name.

    Args:
      method: its name.
      codec: what to evaluate; by default the run of that name.
      own_flags: further flags.
      needs: runs that it waits for, beside its own.
      times: how much longer than usual it takes.
    """
    if codec is None:
      codec, needs = str(self.run(method)), (method, *needs)
    all_flags = [
      f"--codec={codec}",
      f"--features={self._test_set}",
      *self._also,
      f"--method={method}",
      *own_flags,
    ]
    self._add(
      method,
      "tsenh.evaluate",
      all_flags,
      self._output / f"{method}.json",
      [f"train {need}" for need in needs],
      4 + SECONDS[re.split(r"[-+]", method)[0]] * times,
    )

  def codec(
    self,
    name: str,
    lmbda: str,
    epochs: int,
    seed: int,
    own_flags: Sequence[str] = (),
    times: float = 1.0,
  ) -> None:
    """Adds the training of a learned codec."""
    all_flags = [f"--lambda={lmbda}", *own_flags]
    self.train(name, "train_codec", all_flags, epochs, (), seed, times)

  def enhance(
    self,
    low: str,
    high: str,
    name: str,
    epochs: int,
    seed: int,
    own_flags: Sequence[str] = (),
  ) -> None:
    """Adds an enhancer between two codecs, and its evaluation.

    Args:
      low: a run of this plan.
      high: likewise.
      name: of the enhancer.
      epochs: of its training.
      seed: likewise.
      own_flags: further flags of its training.
    """
    ends = [f"--low={self.run(low)}", f"--high={self.run(high)}"]
    all_flags = [*ends, *own_flags]
    self.train(name, "train_enhancer", all_flags, epochs, (low, high), seed)
    self._evaluate_behind(low, name)

  def decoder(
    self, low: str, name: str, epochs: int, seed: int, own_flags: Sequence[str]
  ) -> None:
    """Adds a decoder trained anew behind a codec, and its evaluation."""
    all_flags = [f"--codec={self.run(low)}", *own_flags]
    self.train(name, "train_decoder", all_flags, epochs, (low,), seed)
    self._evaluate_behind(low, name)

  def _evaluate_behind(self, low: str, name: str) -> None:
    """Adds the evaluation of a codec's bytes decoded by another run."""
    enhancer = [f"--enhancer={self.run(name)}"]
    self.evaluate(name, str(self.run(low)), enhancer, (low, name))

  def sq(self, qp: int, epochs: int, seeds: Sequence[int]) -> None:
    """Adds SQ, SQ with mid-point reconstruction, and SQ-E at one QP."""
    self.fit(f"sq-{qp}", "train_sq", [f"--qp={qp}"])
    self.evaluate(f"sq-{qp}")
    middle = [f"--qp={qp}", "--reconstruction=middle"]
    self.fit(f"sq-mid-{qp}", "train_sq", middle)
    self.evaluate(f"sq-mid-{qp}")
    for seed in seeds:
      name = f"sq-e-{qp}-e{epochs}-s{seed}"
      own_flags = [f"--qp={qp}"]
      self.train(name, "train_sq_enhancer", own_flags, epochs, seed=seed)
      enhancer = [f"--enhancer={self.run(name)}"]
      needs = (f"sq-{qp}", name)
      self.evaluate(name, str(self.run(f"sq-{qp}")), enhancer, needs)

  def pca(self, step: float) -> None:
    """Adds PCA at one step."""
    self.fit(f"pca-{step}", "train_pca", [f"--step={step}"])
    self.evaluate(f"pca-{step}")

  def lda(self, bits: int, variant: str, own_flags: Sequence[str]) -> None:
    """Adds LDA at so many bits of a training feature."""
    name = f"lda+{variant}-{bits}" if variant else f"lda-{bits}"
    self.fit(name, "train_lda", [f"--bits={bits}", *own_flags])
    self.evaluate(name)

  def ahead(
    self, bits: int, variant: str, seed: int, own_flags: Sequence[str]
  ) -> None:
    """Adds the codec ahead at so many bits of a training feature."""
    method = f"ahead+{variant}" if variant else "ahead"
    name, all_flags = f"{method}-{bits}-s{seed}", [f"--bits={bits}", *own_flags]
    times = EPOCHS / AHEAD_EPOCHS
    self.train(name, "train_ahead", all_flags, AHEAD_EPOCHS, (), seed, times)
    self.evaluate(name)

  def baseline(
    self,
    kind: str,
    bits: int,
    seeds: Sequence[int],
    training_set: Optional[str] = None,
  ) -> None:
    """Adds a baseline of fixed length, once for each seed."""
    fitted_to = training_set or self._training_set
    for seed in seeds:
      own_flags = [f"--training_set={fitted_to}", f"--seed={seed}"]
      self.evaluate(
        f"{kind}-{bits}-s{seed}",
        f"{kind}-{bits}",
        own_flags,
        times=(bits / 256) ** RISES.get(kind, 1),
      )

  def pca_at(self, like: Sequence[str], method: str) -> None:
    """Adds PCA at as many bytes as other methods' mean."""
    paths = [self.jobs[name].output for name in like]

    def own_flags():
      bits = [json.loads(p.read_text())["bits_per_feature"] for p in paths]
      mean = sum(bits) / len(bits)
      step = matching_step(self._training_set, self._test_set, mean)
      return [f"--step={step:.6g}"]

    self.fit(method, "train_pca", own_flags, like)
    self.evaluate(method)


def lda_variants(network: Network) -> Dict[str, List[str]]:
  """Flags of LDA's recipe, of plain LDA, and of either with a change or two."""
  shrinkage = SHRINKAGE.get(network.name)
  recipe = {"shrinkage": shrinkage} if shrinkage else {}
  trellis = {**recipe, "trellis": "true"}
  plain = {"dim": "48", "shrinkage": "0", "decoding": "least_squares"}
  found = {
    "": recipe,
    "trellis": trellis,
    "plain": plain,
    "few": {**plain, "dim": None},
    "shrunk": {**plain, "shrinkage": shrinkage},
    "metric": {**plain, "decoding": None},
  }
  return {
    name: [f"--{flag}={value}" for flag, value in own.items() if value]
    for name, own in found.items()
  }


def matching_step(training_set: str, test_set: str, bits: float) -> float:
  """The step at which PCA takes so many bits a feature; accuracy has no say."""
  # These import TensorFlow.
  from tsenh.coding import bitstream, entropy
  from tsenh.data import feature_sets
  from tsenh.features import pca
  from tsenh.features.compressor import Compressor

  training, test = (
    feature_sets.load(name).features for name in (training_set, test_set)
  )
  whole = pca.fit(1.0, training)
  low, high = 1e-3, 1.0
  while high / low > 1.0005:
    step = math.sqrt(low * high)
    transform = pca.TransformCoder(
      step, whole.feature_dim, whole.mean, whole.components
    )
    coder = entropy.fit_coder(transform.encode(training))
    size = len(Compressor("pca", transform, coder).compress(test))
    size -= bitstream.HEADER_BYTES
    low, high = (step, high) if 8 * size / len(test) > bits else (low, step)
  return math.sqrt(low * high)


def _teachers(network: Network) -> Dict[str, str]:
  """Who teaches each codec of a network.

  A network of somebody's own has no people apart to choose with: the teachers
  are those of the default one.
  """
  if not network.validation:
    return TEACHERS[manifests.default().name]
  if network.name not in TEACHERS:
    raise Error(
      f"{network.name}: its teachers are not chosen (experiments/choices.py);"
      " --plan=choices measures them."
    )
  return TEACHERS[network.name]


def paper_plan(
  network: Network, runs: str, output: str, num_seeds: int = len(SEEDS)
) -> Dict[str, Job]:
  """Table 1, Figures 2, 4 and 5, and their peers, on the test set."""
  seeds = range(num_seeds)
  plan = _Plan(runs, output, network.training, *network.tests)
  teachers = _teachers(network)
  plan.describe()
  plan.evaluate("none", "none")
  for seed in seeds:
    end = f"e{EPOCHS}-s{seed}"
    for lmbda in (*LAMBDAS, TEACHING):
      plan.codec(f"pro-{lmbda}-{end}", lmbda, EPOCHS, seed)
    for lmbda in LAMBDAS:
      low, high = (f"pro-{x}-{end}" for x in (lmbda, teachers[lmbda]))
      plan.evaluate(low)
      plan.enhance(low, high, f"pro-e-{lmbda}-{end}", EPOCHS, seed)
  longer = [
    lmbda
    for lmbda in published.LAMBDAS
    if shipped_name(network, f"pro-{lmbda}-e{LONG_EPOCHS}")
    in run_folders.shipped()
  ]
  for lmbda in longer:
    name = f"pro-{lmbda}-e{LONG_EPOCHS}"
    plan.evaluate(f"{name}-s0", shipped_name(network, name))
  for epochs, own, lambdas in (
    (EPOCHS, seeds, LAMBDAS),
    (LONG_EPOCHS, [0], longer),
  ):
    for lmbda in lambdas:
      like = [f"pro-{lmbda}-e{epochs}-s{seed}" for seed in own]
      plan.pca_at(like, f"pca-at-pro-{lmbda}-e{epochs}")
  for step in PCA_STEPS:
    plan.pca(step)
  recipe = lda_variants(network)[""]
  for bits in (*FEW_BITS, *BITS_BEYOND):
    plan.lda(bits, "", recipe)
  for bits in FEW_BITS:
    for seed in seeds:
      plan.ahead(bits, "", seed, recipe)
  for qp in QPS:
    plan.sq(qp, EPOCHS, seeds)
  for bits in BITS:
    for kind in ("pq", "opq", "dbh", "dhn", "lsh"):
      plan.baseline(kind, bits, seeds)
  for bits in BITS[:2]:
    plan.baseline("itq", bits, seeds)
  for bits in RQ_BITS:
    plan.baseline("rq", bits, seeds)
  return plan.jobs


def shipped_name(network: Network, name: str) -> str:
  """What a shipped codec of a network is called."""
  return name if network.default else f"{network.name}-{name}"


def short_plan(network: Network, runs: str, output: str) -> Dict[str, Job]:
  """The shipped codecs of a network, PQ, OPQ and PCA."""
  plan = _Plan(runs, output, network.training, *network.tests)
  plan.evaluate("none", "none")
  shipped = re.compile(shipped_name(network, r"(pro-\de-\d-e\d+)"))
  for name in run_folders.shipped():
    match = shipped.fullmatch(name)
    if match:
      plan.evaluate(f"{match[1]}-s0", name)
  for bits in BITS[:2]:
    for kind in ("pq", "opq"):
      plan.baseline(kind, bits, SEEDS)
  for step in SHORT_PCA_STEPS:
    plan.pca(step)
  return plan.jobs


def recent_plan(network: Network, runs: str, output: str) -> Dict[str, Job]:
  """Quantizers younger than the paper's, at the bits of docs/ahead.md."""
  plan = _Plan(runs, output, network.training, *network.tests)
  for kind, bits in RECENT_BITS.items():
    for b in bits:
      plan.baseline(kind, b, SEEDS)
  return plan.jobs


def ahead_plan(network: Network, runs: str, output: str) -> Dict[str, Job]:
  """What each part of the codec ahead is worth: each left out, or alone."""
  plan = _Plan(runs, output, network.training, *network.tests)
  variants = lda_variants(network)
  for variant, own_flags in variants.items():
    for bits in FEW_BITS:
      plan.lda(bits, variant, own_flags)
  for bits in FEW_BITS:
    for seed in SEEDS:
      plan.ahead(bits, "scalar", seed, [*variants[""], "--notrellis"])
  return plan.jobs


def choices_plan(network: Network, runs: str, output: str) -> Dict[str, Job]:
  """Every teacher for every student, and hashing, on held-out people."""
  plan = _Plan(runs, output, network.held_in, network.validation)
  epochs = held_in_epochs(network)
  end = f"e{epochs}-s0"
  every = (*LAMBDAS, TEACHING)
  plan.evaluate("none", "none")
  for lmbda in every:
    plan.codec(f"pro-{lmbda}-{end}", lmbda, epochs, 0)
  for i, lmbda in enumerate(LAMBDAS):
    low = f"pro-{lmbda}-{end}"
    plan.evaluate(low)
    for teacher in every[i + 1 :]:
      name = f"pro-e-{lmbda}-by-{teacher}-{end}"
      plan.enhance(low, f"pro-{teacher}-{end}", name, epochs, 0)
  for kind in ("dbh", "dhn", "itq", "lsh"):
    plan.baseline(kind, BITS[0], [0])
  return plan.jobs


def smoke_plan(network: Network, runs: str, output: str) -> Dict[str, Job]:
  """A few epochs of everything at one rate or two, on held-out people."""
  plan = _Plan(runs, output, network.held_in, network.validation)
  plan.describe()
  plan.evaluate("none", "none")
  # After fewer epochs there is hardly a bit in the codes.
  for lmbda in ("1e-6", "1e-7"):
    plan.codec(f"pro-{lmbda}-e5-s0", lmbda, 5, 0)
  low, high = "pro-1e-6-e5-s0", "pro-1e-7-e5-s0"
  plan.evaluate(low)
  plan.enhance(low, high, "pro-e-1e-6-e5-s0", 5, 0)
  plan.pca_at([low], "pca-at-pro-1e-6-e5")
  plan.sq(50, 1, [0])
  # On a small set: these would take minutes otherwise.
  for kind in ("pq", "rq", "lsh", "itq"):
    plan.baseline(kind, 32, [0], network.validation)
  for kind in ("dbh", "dhn"):
    plan.baseline(kind, 128, [0], network.validation)
  plan.pca(0.1)
  return plan.jobs


# Other decoders: with twice the parameters of Dec, as Enh and the high-rate Dec
# have together, and Dec itself, trained on.
DECODERS = {
  "wide": ["--hidden_dim=211"],
  "deep": ["--num_layers=3", "--hidden_dim=144"],
  "longer": ["--from_codec"],
}
ENHANCED = ("1e-4", "3e-5", "1e-5")  # The lowest rates.
LONGER = 6  # Times as many epochs.


def enhancer_plan(network: Network, runs: str, output: str) -> Dict[str, Job]:
  """Is the enhancer worth more than as large or as long a decoder? Ten seeds.

  On the test set: PRO, PRO-E, and in its place a wider, a deeper and a
  longer-trained decoder; PRO trained six times as long, three seeds.
  """
  plan = _Plan(runs, output, network.training, *network.tests)
  teachers = _teachers(network)
  plan.evaluate("none", "none")
  for seed in range(10):
    end = f"e{EPOCHS}-s{seed}"
    for lmbda in dict.fromkeys((*ENHANCED, *map(teachers.get, ENHANCED))):
      plan.codec(f"pro-{lmbda}-{end}", lmbda, EPOCHS, seed)
    for lmbda in ENHANCED:
      low = f"pro-{lmbda}-{end}"
      high = f"pro-{teachers[lmbda]}-{end}"
      plan.evaluate(low)
      plan.enhance(low, high, f"pro-e-{lmbda}-{end}", EPOCHS, seed)
      for variant, own_flags in DECODERS.items():
        name = f"pro-d+{variant}-{lmbda}-{end}"
        plan.decoder(low, name, EPOCHS, seed, own_flags)
  for seed in range(3):
    for lmbda in ENHANCED:
      name = f"pro-{lmbda}-e{LONGER * EPOCHS}-s{seed}"
      plan.codec(name, lmbda, LONGER * EPOCHS, seed)
      plan.evaluate(name)
  return plan.jobs


# What is changed about the enhancer, one thing at a time.
VARIANTS = {
  "noisy": ["--low_codes=noisy"],
  "latent": ["--high_codes=latent"],
  "unclipped": ["--noclip_enhanced"],
  "feature": ["--loss=feature"],
  "width256": ["--hidden_dim=256"],
  "width512": ["--hidden_dim=512"],
  "width1024": ["--hidden_dim=1024"],
  "layers3": ["--num_layers=3"],
  "layers4": ["--num_layers=4"],
}
LONGER_ENHANCER = 3  # Times as many epochs.


def why_plan(network: Network, runs: str, output: str) -> Dict[str, Job]:
  """What about the enhancer matters, on held-out people, three seeds."""
  plan = _Plan(runs, output, network.held_in, network.validation)
  teachers = _teachers(network)
  plan.evaluate("none", "none")
  epochs = held_in_epochs(network)
  for seed in range(3):
    end = f"e{epochs}-s{seed}"
    for lmbda in (*LAMBDAS, TEACHING):
      plan.codec(f"pro-{lmbda}-{end}", lmbda, epochs, seed)
    for lmbda in ENHANCED:
      low = f"pro-{lmbda}-{end}"
      plan.evaluate(low)
      above = (*LAMBDAS, TEACHING)[LAMBDAS.index(lmbda) + 1 :]
      # One, two and three steps up, and the chosen one.
      for teacher in dict.fromkeys((*above[:3], teachers[lmbda])):
        name = f"pro-e-{lmbda}-by-{teacher}-{end}"
        plan.enhance(low, f"pro-{teacher}-{end}", name, epochs, seed)
      high = f"pro-{teachers[lmbda]}-{end}"
      for variant, own_flags in VARIANTS.items():
        name = f"pro-e+{variant}-{lmbda}-{end}"
        plan.enhance(low, high, name, epochs, seed, own_flags)
      name = f"pro-e+long{LONGER_ENHANCER}-{lmbda}-{end}"
      plan.enhance(low, high, name, LONGER_ENHANCER * epochs, seed)
  return plan.jobs


# In a batch of 32 few people are strangers who look alike: on held-out people
# the contrast gained nothing there. All grains have these batches.
WIDE = ["--batch_size=512", "--learning_rate=1e-3"]
# On two busy cores 15 epochs of the contrast took 74 to 84 s, where a codec
# without takes 20; an epoch of softmax over 10,599 people took 112 s in batches
# of 32, where one without takes 3.
TIMES = {"contrastive": 4.0, "softmax": 40.0, "margin": 40.0}
WEIGHTS = {
  "contrastive": ("1e-4", "3e-4", "1e-3", "3e-3"),
  "softmax": ("1e-4",),
  "margin": ("1e-4",),
}


def grains_plan(network: Network, runs: str, output: str) -> Dict[str, Job]:
  """Which coarse term, and how much of it, on held-out people.

  `fine` is the weight 0: the same batches, and no coarse term. `coarse` is the
  coarse term alone, at both ends of the rates: does it learn people by heart?
  """
  plan = _Plan(runs, output, network.held_in, network.validation)
  plan.evaluate("none", "none")
  cells = {"fine": ("contrastive", "0")}
  for form, weights in WEIGHTS.items():
    for weight in weights:
      cells[f"{form}{weight.replace('-', '')}"] = (form, weight)
  for variant, (form, weight) in cells.items():
    # Softmax over thousands of people takes the longest: one rate.
    for lmbda in ("1e-4", "3e-5")[: 2 if form == "contrastive" else 1]:
      name = f"pro+{variant}-{lmbda}-e{EPOCHS}-s0"
      own_flags = [f"--coarse={form}", f"--coarse_weight={weight}", *WIDE]
      plan.codec(name, lmbda, EPOCHS, 0, own_flags, TIMES[form])
      plan.evaluate(name)
  alone = ["--coarse=contrastive", "--coarse_weight=1e-3", "--fine_weight=0"]
  for lmbda in ("1e-4", "1e-7"):
    name = f"pro+coarse-{lmbda}-e{EPOCHS}-s0"
    own_flags = [*alone, *WIDE]
    plan.codec(name, lmbda, EPOCHS, 0, own_flags, TIMES["contrastive"])
    plan.evaluate(name)
  return plan.jobs


def ablation_plan(network: Network, runs: str, output: str) -> Dict[str, Job]:
  """Fine grain, coarse grain and both, plain and enhanced, on the test set.

  Four rates and five seeds. The enhancer of a codec is taught by that of the
  same grains with the highest rate, and trained with both its own grains; the
  highest rate has none.
  """
  if network.name not in GRAINS:
    raise Error(
      f"{network.name}: its coarse term is not chosen (experiments/choices.py);"
      " --plan=grains measures some."
    )
  form, weight = GRAINS[network.name]
  coarse = [f"--coarse={form}", f"--coarse_weight={weight}"]
  variants = {
    "fine": [f"--coarse={form}", "--coarse_weight=0"],
    "coarse": [*coarse, "--fine_weight=0"],
    "both": coarse,
  }
  plan = _Plan(runs, output, network.training, *network.tests)
  plan.evaluate("none", "none")
  *rates, highest = published.LAMBDAS
  for seed in SEEDS:
    end = f"e{EPOCHS}-s{seed}"
    for variant, own_flags in variants.items():
      for lmbda in (highest, *rates):
        name = f"pro+{variant}-{lmbda}-{end}"
        all_flags = [*own_flags, *WIDE]
        plan.codec(name, lmbda, EPOCHS, seed, all_flags, TIMES[form])
        plan.evaluate(name)
      for lmbda in rates:
        low, high = (f"pro+{variant}-{x}-{end}" for x in (lmbda, highest))
        name = f"pro-e+{variant}-{lmbda}-by-{highest}-{end}"
        plan.enhance(low, high, name, EPOCHS, seed, [*own_flags, *WIDE])
  return plan.jobs


PLANS = {
  "paper": paper_plan,
  "enhancer": enhancer_plan,
  "why": why_plan,
  "short": short_plan,
  "recent": recent_plan,
  "ahead": ahead_plan,
  "choices": choices_plan,
  "smoke": smoke_plan,
  "grains": grains_plan,
  "ablation": ablation_plan,
}
