"""Trains a network to tell the expressions of whole or half-hidden faces.

  python -m tsenh.train_expression --data=ferplus.npz --labels=fer2013new.csv
  python -m tsenh.train_expression --data=ferplus.npz --labels=fer2013new.csv \
    --occlusion=upper --method=kd --teacher=runs/expression-none-plain

The first trains a teacher on whole faces, the second a student that sees their
lower half alone, and learns from the labels and from the teacher's answers:
arXiv 2008.01003. --method=triplet learns from the teacher's embeddings of other
faces in their place. evaluate_expression tests what came out, or two students
put together.

The network `small` takes about a minute an epoch on one core; a teacher 16
epochs, a student that starts from it 6. The two networks of the paper want a
graphics card. Training can be stopped and goes on with --resume.
"""

import pathlib

from absl import flags

from tsenh.base import command_line, files, provenance
from tsenh.base.errors import Error
from tsenh.recognition import expression_flags
from tsenh.training import command, recipe, run_folders

_NETWORK = flags.DEFINE_enum(
  "network",
  "small",
  ["small", "vgg-f", "vgg-face"],
  "small: ours, of 350,000 parameters; vgg-f and vgg-face: the paper's.",
)
_OCCLUSION = flags.DEFINE_enum(
  "occlusion",
  "none",
  ["none", "upper", "lower", "mixed"],
  "The half of the face that is blacked out; mixed: each of the three alike.",
)
_METHOD = flags.DEFINE_enum(
  "method",
  "plain",
  ["plain", "kd", "triplet"],
  "What teaches beside the labels. plain: nothing; kd: the teacher's softened"
  " answers; triplet: its embeddings of faces of the same class.",
)
_TEACHER = flags.DEFINE_string(
  "teacher", None, "The run of a network that sees whole faces."
)
_START = flags.DEFINE_enum(
  "start",
  "random",
  ["random", "teacher"],
  "The weights that training begins with; teacher: those of --teacher, which"
  " must be of the same network.",
)
_PRETRAINED = flags.DEFINE_string(
  "pretrained",
  None,
  "Weights of another task to begin with: VGG-face's as MatConvNet or Keras has"
  " them (.mat, .h5).",
)
_TARGETS = flags.DEFINE_enum(
  "targets",
  "majority",
  ["majority", "votes"],
  "What the labels are: the emotion of the majority, or all votes.",
)
_TEMPERATURE = flags.DEFINE_float(
  "temperature",
  4.0,
  "With kd: what the answers are divided by.",
  lower_bound=0.1,
)
_KD_WEIGHT = flags.DEFINE_float(
  "kd_weight",
  0.7,
  "With kd: the weight of the teacher's answers; the labels have the rest.",
  lower_bound=0,
  upper_bound=1,
)
_MARGIN = flags.DEFINE_float(
  "margin", 0.2, "With triplet: of the squared distances.", lower_bound=0
)
_TRIPLET_WEIGHT = flags.DEFINE_float(
  "triplet_weight",
  1.0,
  "With triplet: the weight of its loss beside that of the labels.",
  lower_bound=0,
)
_MINING = flags.DEFINE_enum(
  "mining",
  "random",
  ["random", "hard"],
  "With triplet: which positive and negative of the batch.",
)
_STAGE_WEIGHT = flags.DEFINE_float(
  "stage_weight",
  0.0,
  "The weight of feature distillation at all stages; ours, for a teacher of the"
  " same network.",
  lower_bound=0,
)
_THREADS = flags.DEFINE_integer(
  "threads",
  1,
  "Of TensorFlow; another number gives other bits.",
  lower_bound=1,
  upper_bound=256,
)
flags.adopt_module_key_flags(expression_flags)
# Those of a recipe that count here.
for _flag in (
  *(command.OUTPUT, command.OVERWRITE, recipe.EPOCHS, recipe.BATCH_SIZE),
  *(recipe.LEARNING_RATE, recipe.ADAM_EPSILON, recipe.SEED, recipe.RESUME),
):
  flags.declare_key_flag(_flag.name)
flags.set_default(recipe.EPOCHS, 16)
flags.set_default(recipe.BATCH_SIZE, 64)
flags.set_default(recipe.LEARNING_RATE, 3e-3)

_OF_METHODS = {
  "kd": (_TEMPERATURE, _KD_WEIGHT),
  "triplet": (_MARGIN, _TRIPLET_WEIGHT, _MINING),
}


def _check_flags() -> None:
  """Raises an Error if flags are given that do not go together."""
  for method, own_flags in _OF_METHODS.items():
    for flag in own_flags:
      if flag.present and method != _METHOD.value:
        raise Error(f"--{flag.name} goes with --method={method}.")
  needed = (
    _METHOD.value != "plain"
    or _START.value == "teacher"
    or _STAGE_WEIGHT.value > 0
  )
  if needed != (_TEACHER.value is not None):
    raise Error(
      "--teacher goes with --method=kd or triplet, --start=teacher or"
      " --stage_weight, which need it."
    )
  if _START.value == "teacher" and _PRETRAINED.value:
    raise Error("--start=teacher and --pretrained exclude each other.")


def main():
  _check_flags()
  files.check_apart(command.OUTPUT.value or "", _TEACHER.value)
  parts = expression_flags.load()
  training, validation = parts["training"], parts["validation"]

  import numpy as np
  import tensorflow as tf

  tf.config.threading.set_intra_op_parallelism_threads(_THREADS.value)
  tf.config.threading.set_inter_op_parallelism_threads(1)
  from tsenh.recognition import expressions

  student = expressions.Classifier(_NETWORK.value, recipe.SEED.value)
  method, occlusion = _METHOD.value, _OCCLUSION.value
  choices = {
    flag.name: flag.value
    for flag in (
      *(recipe.EPOCHS, recipe.BATCH_SIZE, recipe.LEARNING_RATE),
      *(recipe.ADAM_EPSILON, recipe.SEED),
      *(_OCCLUSION, _METHOD, _START, _TARGETS, _STAGE_WEIGHT, _THREADS),
      *_OF_METHODS.get(method, ()),
    )
  }
  classes = np.eye(len(expressions.EMOTIONS), dtype=np.float32)
  of_votes = _TARGETS.value == "votes"
  examples = {
    "images": training.images,
    "labels": training.labels,
    "targets": training.votes if of_votes else classes[training.labels],
  }
  if _TEACHER.value:
    teacher = expressions.load(*run_folders.finished(_TEACHER.value))
    choices["teacher_digest"] = teacher.digest()
    if _START.value == "teacher":
      student.assign(teacher.arrays())
  if _PRETRAINED.value:
    student.load_pretrained(_PRETRAINED.value)
    choices["pretrained_digest"] = student.digest()
  label = f"expression-{occlusion}-{method}"
  folder, config = command.open_run(
    label,
    {
      "kind": student.KIND,
      **student.architecture(),
      **choices,
      # The learning rate falls to nothing at the end of these.
      "decay_epochs": recipe.EPOCHS.value,
      "data": expression_flags.DATA.value,
      "training_set_digest": training.digest(),
      "num_training_images": len(training.images),
      "thread_mode": command_line.THREAD_MODE,
      "versions": provenance.versions(),
    },
    recipe.RESUME.value,
  )
  if config is None:
    return
  if method != "plain" or _STAGE_WEIGHT.value:
    known = teacher.predict(training.images)
    for name, array in known._asdict().items():
      examples[f"teacher_{name}"] = array
    widths = (student.model.output.embedding.shape, known.embedding.shape)
    if method == "triplet" and widths[0][1] != widths[1][1]:
      raise Error(
        f"{_TEACHER.value}: its embeddings have {widths[1][1]} dimensions, the"
        f" student's {widths[0][1]}; the triplet loss needs as many."
      )

  def loss_fn(batch, noise):
    seen = expressions.augment(batch["images"], noise)
    seen = expressions.occlude(seen, occlusion, noise)
    out = student.model(seen, training=True)
    of_labels = expressions.cross_entropy(out.logits, batch["targets"])
    loss, taught = of_labels, tf.zeros([])
    if method == "kd":
      taught = expressions.distillation(
        out.logits, batch["teacher_logits"], _TEMPERATURE.value
      )
      weight = _KD_WEIGHT.value
      loss = (1 - weight) * of_labels + weight * taught
    elif method == "triplet":
      own, others = (
        tf.math.l2_normalize(embedding, axis=1)
        for embedding in (out.embedding, batch["teacher_embedding"])
      )
      positives, negatives = expressions.mine(
        batch["labels"], own, others, _MINING.value, noise
      )
      taught = expressions.triplet(
        own,
        tf.gather(others, positives),
        tf.gather(own, negatives),
        _MARGIN.value,
      )
      loss = of_labels + _TRIPLET_WEIGHT.value * taught
    if _STAGE_WEIGHT.value:
      close = expressions.closeness(out.stages, batch["teacher_stages"])
      loss += _STAGE_WEIGHT.value * close
    hits = tf.argmax(out.logits, axis=1) == batch["labels"]
    return loss, of_labels, taught, tf.reduce_mean(tf.cast(hits, tf.float32))

  shown = ("none", "upper", "lower") if occlusion == "mixed" else (occlusion,)

  def validate():
    correct = [
      student.predict(expressions.occlude(validation.images, half)).logits
      for half in shown
    ]
    hits = [np.argmax(c, axis=1) == validation.labels for c in correct]
    return {"accuracy": float(np.mean(hits))}

  config = recipe.train(
    student,
    loss_fn,
    ("loss", "labels", "taught", "training_accuracy"),
    examples,
    folder,
    config,
    label,
    noise_dim=expressions.NOISE_DIM,
    validate=validate,
    statistics=student.statistics(),
    decay_epochs=recipe.EPOCHS.value,
    xla=False,
  )
  records = run_folders.read_validation(pathlib.Path(folder))
  accuracy = records[-1]["accuracy"]
  about = f"{100 * accuracy:.2f} % of the validation part"
  recipe.finish(folder, config, student, about)


if __name__ == "__main__":
  command_line.run(main)
