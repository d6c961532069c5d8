"""What is run on photographs, in order: students of few pixels, expressions.

Plans like those of `plans`, of networks that see images. What they need is not
shipped, and so they are told where it lies.
"""

import pathlib
from typing import Dict, List, Sequence

from experiments.jobs import Job
from tsenh.data import manifests
from tsenh.recognition import face_networks

# Students of few pixels.

LOWRES_SIZES = (16, 32)
LOWRES_EPOCHS, LOWRES_SEEDS = 8, 3
LOWRES_QUARTER = "8,24/24,24/64"
# Percent of the faces, by what names of variants end in.
LOWRES_SHARES = {"25": 25, "": 50, "75": 75}
LOWRES_VARIANTS = {
  "scratch": ["--regression_weight=0", "--classification_weight=1"],
  "regression": ["--classification_weight=0"],
  "all": [],
  **{
    f"{selection}{end}": [
      f"--selection={selection}",
      f"--share={percent / 100}",
    ]
    for end, percent in LOWRES_SHARES.items()
    for selection in ("random", "graph")
  },
}


def lowres_plan(
  images: str,
  lfw: str,
  teacher: str,
  runs: str,
  output: str,
  epochs: int = LOWRES_EPOCHS,
  seeds: int = LOWRES_SEEDS,
) -> Dict[str, Job]:
  """Students, and what makes them good: see experiments.lowres.

  Args:
    images: sharp faces to train on.
    lfw: LFW's aligned faces.
    teacher: the file of the network of the teacher's features.
    runs: folder for what is trained.
    output: folder for results.
    epochs: of each student of the ablation.
    seeds: trainings of each.
  """
  folder = pathlib.Path(runs)
  found: Dict[str, Job] = {}

  def evaluate(name: str, network: str, own: List[str], low: int, needs=()):
    own_flags = [
      f"--network={network}",
      f"--low={low}",
      f"--images={lfw}",
      f"--method={name}",
      *own,
    ]
    path = pathlib.Path(output) / f"{name}.json"
    found[name] = Job(
      name, "tsenh.evaluate_student", own_flags, path, tuple(needs), 30
    )

  for low in LOWRES_SIZES:
    evaluate(f"teacher-{low}", teacher, ["--scale=128"], low)
  for name in face_networks.students():
    evaluate(name, name, ["--ways"], int(name.split("-")[1]))
  for seed in range(seeds):
    for variant, own in LOWRES_VARIANTS.items():
      name = f"{variant}-s{seed}"
      run = folder / name
      own_flags = [
        *own,
        f"--images={images}",
        f"--teacher={manifests.default().held_in}",
        f"--validation={manifests.default().validation}",
        f"--widths={LOWRES_QUARTER}",
        f"--epochs={epochs}",
        f"--seed={seed}",
        f"--shrunken={folder / 'shrunken16.npz'}",
        "--resume",
      ]
      found[f"train {name}"] = Job(
        f"train {name}", "tsenh.train_student", own_flags, run, (), 240
      )
      evaluate(
        name,
        str(run / "float32.tflite"),
        ["--preset=student"],
        16,
        [f"train {name}"],
      )
  return found


# Expressions of half-hidden faces.

TEACHER = "teacher-s0"
TEACHER_EPOCHS, STUDENT_EPOCHS = 10, 2
SEEDS = range(3)
HALVES = ("upper", "lower")
# By the name in tables; the last three are ours.
METHODS = {
  "plain": ["--method=plain"],
  "kd": ["--method=kd"],
  "triplet": ["--method=triplet"],
  "votes": ["--method=plain", "--targets=votes"],
  "kd-votes": ["--method=kd", "--targets=votes"],
  "kd-stages": ["--method=kd", "--stage_weight=10"],
}
# Put together: two methods of one seed, or one of this seed and of the next.
TOGETHER = (("kd", "triplet"), ("kd-votes", "triplet"), ("plain", "plain"))
# Drawn in two dimensions.
MAPPED = (f"none_{TEACHER}", *(f"upper_{m}-s0" for m in METHODS))
SHIPPED = "half-hidden"  # By experiments.ship_expression, from a mixed one.
MIXED = "mixed"  # One student for whole faces and either half; ours.
# On one core of two that are busy.
_EPOCH, _EVALUATION, _MACHINE = 90, 30, 90


def expression_plan(
  data: str, labels: str, runs: str, output: str
) -> Dict[str, Job]:
  """The jobs, by name, in the order in which they are started."""
  found: Dict[str, Job] = {}
  images = [f"--data={data}", f"--labels={labels}"]
  folder = pathlib.Path(runs)

  def train(name: str, epochs: int, own: List[str], needs=()) -> None:
    found[f"train {name}"] = Job(
      f"train {name}",
      "tsenh.train_expression",
      [*images, *own, f"--epochs={epochs}", "--resume"],
      folder / name,
      tuple(needs),
      _EPOCH * epochs,
    )

  def test(
    name: str, models: List[str], hidden: str, own: Sequence[str] = ()
  ) -> None:
    runs_of = [model for model in models if model != SHIPPED]
    named = [str(folder / model) for model in runs_of] or [SHIPPED]
    found[name] = Job(
      name,
      "tsenh.evaluate_expression",
      [
        *images,
        f"--model={','.join(named)}",
        f"--occlusion={hidden}",
        f"--method={name}",
        *(["--map"] if name in MAPPED else []),
        *own,
      ],
      pathlib.Path(output) / f"{name}.json",
      tuple(f"train {model}" for model in dict.fromkeys(runs_of)),
      _EVALUATION if len(models) == 1 else _MACHINE,
    )

  train(TEACHER, TEACHER_EPOCHS, ["--seed=0", "--threads=2"])
  for hidden in ("none", *HALVES):
    test(f"{hidden}_{TEACHER}", [TEACHER], hidden)
  of_teacher = [
    f"--teacher={folder / TEACHER}",
    "--start=teacher",
    "--learning_rate=0.002",
  ]
  for seed in SEEDS:
    end = f"s{seed}"
    for hidden in HALVES:
      for method, own in METHODS.items():
        name = f"{hidden}_{method}-{end}"
        own = [*own, *of_teacher, f"--occlusion={hidden}", f"--seed={seed}"]
        train(name, STUDENT_EPOCHS, own, [f"train {TEACHER}"])
        test(name, [name], hidden)
    name = f"{MIXED}-{end}"
    own = [*METHODS["kd-votes"], *of_teacher, "--occlusion=mixed"]
    own.append(f"--seed={seed}")
    train(name, 2 * STUDENT_EPOCHS, own, [f"train {TEACHER}"])
    for hidden in ("none", *HALVES):
      test(f"{hidden}_{name}", [name], hidden)
  for seed in SEEDS:
    for hidden in HALVES:
      for first, second in TOGETHER:
        other = (seed + 1) % len(SEEDS) if first == second else seed
        test(
          f"{hidden}_{first}+{second}-s{seed}",
          [f"{hidden}_{first}-s{seed}", f"{hidden}_{second}-s{other}"],
          hidden,
        )
  for precision in ("float", "int8"):
    for hidden in ("none", *HALVES):
      name = f"{hidden}_shipped-{precision}-s0"
      test(name, [SHIPPED], hidden, [f"--precision={precision}"])
  return found
