"""Says what the face in a photograph expresses, half hidden or not.

  python -m tsenh.recognise_expression photo.jpg
  python -m tsenh.recognise_expression --output=seen.png photo.jpg

Finds the main face (pip install 'tsenh[photos]'), and prints the likelihood of
each of eight emotions, the likeliest first. --occlusion says which half of the
face a headset, a mask or a hand hides; auto takes a half for hidden in which
grey hardly varies beside the other one. What is hidden is blacked out before
the network sees it. With --face the photograph is a face and nothing else.

It tells what people who looked at photographs would have said, not what anybody
feels: read the card of the network before any use, checkpoints/expressions.
"""

import numpy as np
from absl import flags

from tsenh.base import command_line, files
from tsenh.base.errors import Error
from tsenh.recognition import detection, expression_sets, photographs

_MODEL = flags.DEFINE_string(
  "model", "half-hidden", "A shipped network or a run folder."
)
_PRECISION = flags.DEFINE_enum(
  "precision", "int8", ["float", "int8"], "Of a shipped network."
)
_OCCLUSION = flags.DEFINE_enum(
  "occlusion",
  "auto",
  ["auto", "none", "upper", "lower"],
  "The half of the face that is hidden.",
)
_DETECTOR = flags.DEFINE_enum(
  "detector",
  "mtcnn",
  detection.DETECTORS,
  "What finds the face; dlib needs pip install 'tsenh[dlib]'.",
)
_FACE = flags.DEFINE_bool(
  "face", False, "The photograph is one face, cut out already."
)
_OUTPUT = flags.DEFINE_string(
  "output", None, "A picture of the face and the answer to write (.png)."
)


def _draw(path, photograph, box, seen, lines) -> None:
  """Draws the photograph with its face, what the network saw, the answer."""
  from PIL import Image, ImageDraw, ImageFont

  side, margin, height = 320, 16, 24
  picture = Image.fromarray(photograph)
  scale = side / max(picture.size)
  picture = picture.resize([max(1, round(scale * s)) for s in picture.size])
  width = 2 * side + 3 * margin
  page = Image.new(
    "RGB", (width, side + 3 * margin + height * len(lines)), "white"
  )
  page.paste(picture, (margin, margin))
  small = Image.fromarray(seen).resize((side, side), Image.Resampling.NEAREST)
  page.paste(small.convert("RGB"), (side + 2 * margin, margin))
  draw, font = ImageDraw.Draw(page), ImageFont.load_default(height * 2 // 3)
  corners = [margin + scale * corner for corner in box]
  draw.rectangle(corners, outline="red", width=3)
  for i, (name, share) in enumerate(lines):
    top = side + 2 * margin + i * height
    draw.text((margin, top), f"{name} {100 * share:.0f} %", "black", font)
    left = side // 2
    right = left + share * (width - margin - left)
    draw.rectangle((left, top, right, top + height * 2 // 3), "steelblue")
  with files.replacing(path) as file:
    page.save(file, "png")


def main(path: str):
  if _OUTPUT.value:
    files.check_output(_OUTPUT.value)
    files.check_apart(_OUTPUT.value, path)
  try:
    with open(path, "rb") as file:
      photograph = photographs.decode(file.read())
  except Error as error:
    raise Error(f"{path}: {error}.") from error
  height, width = photograph.shape[:2]
  box = (0, 0, width, height)
  if not _FACE.value:
    faces = detection.detector(_DETECTOR.value)(photograph)
    if not faces:
      raise Error(
        f"{path}: no face was found; with --face the whole photograph is one."
      )
    box = detection.square(
      faces[detection.main_face(faces, photograph)].box, width, height
    )
  face = expression_sets.grey(photograph, box)

  from tsenh.recognition import expression_models, expressions

  hidden = _OCCLUSION.value
  if hidden == "auto":
    hidden = expressions.hidden_half(face)
  seen = expressions.occlude(face[None], hidden)
  model = expression_models.load(_MODEL.value, _PRECISION.value, mirror=True)
  logits = model(seen)[0].astype(np.float64)
  shares = np.exp(logits - logits.max())
  shares /= shares.sum()
  lines = [
    (expressions.EMOTIONS[i], float(shares[i])) for i in np.argsort(-shares)
  ]
  print(f"hidden half: {hidden}")
  for name, share in lines:
    print(f"{name:10} {100 * share:5.1f} %")
  if _OUTPUT.value:
    _draw(_OUTPUT.value, photograph, box, seen[0], lines)


if __name__ == "__main__":
  command_line.run(main, "PHOTO.jpg")
