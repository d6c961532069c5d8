"""What the commands of expressions share: the flags of their images."""

from typing import Dict

from absl import flags

from tsenh.recognition import expression_sets

DATA = flags.DEFINE_string(
  "data",
  None,
  "The images: FER2013 packed in a .npz, in a folder or a tar file, or Kaggle's"
  " fer2013.csv; or the folder of AffectNet's.",
)
LABELS = flags.DEFINE_string(
  "labels",
  None,
  "FER+'s fer2013new.csv, or a folder with its three label files, or with"
  " AffectNet's training.csv and validation.csv.",
)
PARTIAL = flags.DEFINE_bool(
  "partial",
  False,
  "Take what is there of the images and labels; without it all must be.",
)
flags.mark_flags_as_required(["data", "labels"])


def load() -> Dict[str, expression_sets.ExpressionSet]:
  """The three parts that the flags name.

  Raises:
    Error: as `expression_sets.load` does.
  """
  return expression_sets.load(DATA.value, LABELS.value, PARTIAL.value)
