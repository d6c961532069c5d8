"""What commands that turn photographs into features share: their flags."""

from absl import flags

from tsenh.base.errors import Error
from tsenh.recognition import detection, extraction, face_networks

NETWORK = flags.DEFINE_string(
  "network",
  None,
  "The face network's file or folder, or dlib, or a shipped student, as"
  " student-16: a tiny network for faces of few pixels.",
)
_PRESET = flags.DEFINE_enum(
  "preset",
  None,
  list(face_networks.PRESETS),
  "How images are prepared and aligned. (default: facenet for TensorFlow and"
  " Keras, dlib for dlib, student for students, arcface for the others)",
)
_ALIGN = flags.DEFINE_enum(
  "align",
  None,
  ["none", *detection.CROPS],
  "The crop that the network takes; none where images are such crops already,"
  " which are resized at the most. (default: the preset's, none for student)",
)
_DETECTOR = flags.DEFINE_enum(
  "detector",
  None,
  detection.DETECTORS,
  "What finds faces; mtcnn needs pip install 'tsenh[photos]', dlib"
  " 'tsenh[dlib]'. (default: dlib for the crop of dlib, mtcnn for the others)",
)
_SIZE = flags.DEFINE_integer(
  "size",
  None,
  "Pixels of a side. (default: what the file states, or the preset's)",
  lower_bound=16,
  upper_bound=1024,
)
_CHANNELS = flags.DEFINE_enum(
  "channels", None, ["rgb", "bgr"], "Their order. (default: the preset's)"
)
_MEAN = flags.DEFINE_float(
  "mean", None, "Subtracted from the values 0 to 255. (default: the preset's)"
)
_SCALE = flags.DEFINE_float(
  "scale",
  None,
  "Divides them then. (default: the preset's)",
  lower_bound=1e-3,
)
_WHITEN = flags.DEFINE_bool(
  "whiten",
  None,
  "Zero mean and unit deviation of each image, in place of --mean and --scale."
  " (default: the preset's)",
)
_NORMALIZE = flags.DEFINE_bool(
  "normalize", None, "Features of unit length. (default: the preset's)"
)
_INPUT_NAME = flags.DEFINE_string(
  "input_name", None, "Of the network's input, where it has several."
)
_OUTPUT_NAME = flags.DEFINE_string(
  "output_name", None, "Of the network's output, where it has several."
)


def settings(
  shard_size: int = 1, find_faces: bool = False
) -> extraction.Settings:
  """The flags, with what they leave open.

  Args:
    shard_size: see `extraction.Settings`.
    find_faces: whether images are photographs for students too, and not crops.

  Raises:
    Error: if two of them exclude each other.
  """
  network = face_networks.find(NETWORK.value)
  preset = _PRESET.value or face_networks.preset_of(network)
  given = {
    "size": _SIZE.value,
    "channels": _CHANNELS.value,
    "mean": _MEAN.value,
    "scale": _SCALE.value,
    "whiten": _WHITEN.value,
    "normalize": _NORMALIZE.value,
  }
  given = {name: value for name, value in given.items() if value is not None}
  preprocessing = face_networks.PRESETS[preset]._replace(**given)
  if preprocessing.whiten and given.keys() & {"mean", "scale"}:
    raise Error("--mean and --scale have no effect with whitening: --nowhiten.")
  usual = preset
  if preset == "student":
    usual = "arcface" if find_faces else "none"
  align = _ALIGN.value or usual
  detector = _DETECTOR.value or ("dlib" if align == "dlib" else "mtcnn")
  return extraction.Settings(
    network,
    preprocessing,
    _INPUT_NAME.value,
    _OUTPUT_NAME.value,
    align,
    "" if align == "none" else detector,
    shard_size,
  )
