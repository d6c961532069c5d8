"""Faces in photographs, and the crop of each that a network takes.

Two detectors with landmarks: MTCNN, which FaceNet's makers use, and dlib's.
Three crops: five points to the template of ArcFace by the similarity transform
of least squares; FaceNet's, the box with a margin; dlib's, by the corners of
the eyes.
"""

from typing import Callable, List, NamedTuple, Tuple

import numpy as np

from tsenh.recognition.face_networks import dlib_model, package

DETECTORS = ("mtcnn", "dlib")
# The middle of each eye, the nose, the corners of the mouth, left in the image
# first, in a crop of 112 pixels: as InsightFace has them.
ARCFACE = np.array(
  [
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
  ]
)
_ARCFACE_SIZE = 112
_FACENET_SIZE, _FACENET_MARGIN, _FACENET_INNER = 182, 44, 160
_DLIB_PADDING = 0.25
_ROOM = 1.15  # Ours: the faces of FER2013 have about as much around them.
# Faces are looked for in a copy with sides of at most so many pixels.
_MAX_SIDE = 1600


class Face(NamedTuple):
  """A face in an image.

  Attributes:
    box: float64 [4]: left, top, right, bottom, in pixels.
    points: float64 [5, 2], x and y, in the order of `ARCFACE`, in pixels from
      the middle of the first pixel.
  """

  box: np.ndarray
  points: np.ndarray


Detector = Callable[[np.ndarray], List[Face]]
Cropper = Callable[[np.ndarray, Face, int], np.ndarray]


def detector(name: str) -> Detector:
  """A function from an image uint8 [h, w, 3], RGB, to its faces.

  Args:
    name: one of `DETECTORS`.

  Raises:
    Error: if its package is not installed.
  """
  found = {"mtcnn": _mtcnn, "dlib": _dlib}[name]()

  def faces(image):
    scale = max(1.0, max(image.shape[:2]) / _MAX_SIDE)
    if scale > 1:
      height, width = (max(1, round(side / scale)) for side in image.shape[:2])
      image = _resized(image, width, height)
    return [
      Face(face.box * scale, (face.points + 0.5) * scale - 0.5)
      for face in found(image)
    ]

  return faces


def main_face(faces: List[Face], image: np.ndarray) -> int:
  """The number of the face that a photograph is of, as FaceNet chooses.

  Args:
    faces: one or more.
    image: uint8 [h, w, 3].

  Returns:
    That of the largest area less twice the squared distance of its middle from
    the image's.
  """
  height, width = image.shape[:2]

  def weight(face):
    left, top, right, bottom = face.box
    x, y = (left + right - width) / 2, (top + bottom - height) / 2
    return (right - left) * (bottom - top) - 2 * (x * x + y * y)

  return int(np.argmax([weight(face) for face in faces]))


def square(box: np.ndarray, width: int, height: int) -> Tuple[float, ...]:
  """The square around a face's box, a little larger than its longer side.

  Args:
    box: of `Face`.
    width: of the image, in pixels.
    height: likewise.

  Returns:
    left, top, right, bottom. Where it would reach beyond the image it is moved
    into it, or smaller if it does not fit.
  """
  left, top, right, bottom = map(float, box)
  side = min(_ROOM * max(right - left, bottom - top), width, height)
  left = min(max((left + right - side) / 2, 0), width - side)
  top = min(max((top + bottom - side) / 2, 0), height - side)
  return left, top, left + side, top + side


def cropper(align: str) -> Cropper:
  """A function from an image, a face and a size to uint8 [size, size, 3].

  Args:
    align: one of `CROPS`.

  Raises:
    Error: if a package is not installed.
  """
  return _CROPPERS[align]()


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
  """The rotation, scale and shift of least squares, without reflection.

  Args:
    source: float [n, 2] of x, y.
    target: float [n, 2].

  Returns:
    float64 [2, 3]: target is about source @ m[:, :2].T + m[:, 2].
  """
  # A turn and scale of the plane is one complex factor.
  z, w = (points @ np.array([1, 1j]) for points in (source, target))
  centred = z - z.mean()
  factor = np.vdot(centred, w - w.mean()) / np.vdot(centred, centred)
  shift = w.mean() - factor * z.mean()
  return np.array(
    [
      [factor.real, -factor.imag, shift.real],
      [factor.imag, factor.real, shift.imag],
    ]
  )


def arcface_crop(image: np.ndarray, face: Face, size: int) -> np.ndarray:
  """Five points brought to the template of ArcFace; what is outside is black.

  Args:
    image: uint8 [h, w, 3].
    face: in the image.
    size: of the crop; the template is scaled with it.

  Returns:
    uint8 [size, size, 3].
  """
  from PIL import Image

  target = ARCFACE * (size / _ARCFACE_SIZE)
  to_image = similarity(target, face.points)
  # A large face is shrunk first: the four neighbours of a point would be too
  # few of its pixels.
  shrink = max(1, int(np.hypot(*to_image[:, 0])))
  pixels = Image.fromarray(image).reduce(shrink)
  points = (face.points + 0.5) / shrink - 0.5
  to_image = similarity(target, points)
  # Pillow counts from the corner of the first pixel, not from its middle.
  to_image[:, 2] += 0.5 - to_image[:, :2] @ [0.5, 0.5]
  crop = pixels.transform(
    (size, size),
    Image.Transform.AFFINE,
    to_image.ravel().tolist(),
    Image.Resampling.BILINEAR,
  )
  return np.array(crop)


def facenet_crop(image: np.ndarray, face: Face, size: int) -> np.ndarray:
  """The box and 22 pixels on each side, at 182, and of that the inner 160.

  Args:
    image: uint8 [h, w, 3].
    face: in the image.
    size: of the crop; FaceNet's networks take 160.

  Returns:
    uint8 [size, size, 3].
  """
  height, width = image.shape[:2]
  margin = _FACENET_MARGIN // 2
  left, top = np.maximum(face.box[:2] - margin, 0).astype(int)
  right, bottom = np.minimum(face.box[2:] + margin, (width, height)).astype(int)
  crop = _resized(image[top:bottom, left:right], _FACENET_SIZE, _FACENET_SIZE)
  edge = (_FACENET_SIZE - _FACENET_INNER) // 2
  return _resized(crop[edge:-edge, edge:-edge], size, size)


def resized(image: np.ndarray, size: int) -> np.ndarray:
  """An image that is a crop already, uint8 [h, w, 3], at the given size."""
  return _resized(image, size, size)


def _resized(image: np.ndarray, width: int, height: int) -> np.ndarray:
  from PIL import Image

  if image.shape[:2] == (height, width):
    return image
  return np.array(
    Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
  )


def _mtcnn() -> Detector:
  mtcnn = package("mtcnn", "photos").MTCNN()

  def faces(image):
    # Columns: number of the image, box, confidence, five x, five y.
    rows = mtcnn.detect_faces(image, box_format="xyxy", output_type="numpy")
    return [
      Face(row[1:5], row[6:].reshape(2, 5).T) for row in np.array(rows, float)
    ]

  return faces


def _dlib() -> Detector:
  dlib = package("dlib", "dlib")
  find = dlib.get_frontal_face_detector()
  model = dlib_model("shape_predictor_68_face_landmarks.dat")
  predictor = dlib.shape_predictor(str(model))

  def faces(image):
    found = []
    for box in find(image, 0):
      parts = predictor(image, box).parts()
      all_points = np.array([(p.x, p.y) for p in parts], float)
      eyes = [all_points[36:42].mean(axis=0), all_points[42:48].mean(axis=0)]
      points = np.array([*eyes, *all_points[[30, 48, 54]]])
      sides = (box.left(), box.top(), box.right() + 1, box.bottom() + 1)
      found.append(Face(np.array(sides, float), points))
    return found

  return faces


def _dlib_cropper() -> Cropper:
  dlib = package("dlib", "dlib")
  model = dlib_model("shape_predictor_5_face_landmarks.dat")
  predictor = dlib.shape_predictor(str(model))

  def crop(image, face, size):
    left, top, right, bottom = (round(side) for side in face.box)
    box = dlib.rectangle(left, top, right - 1, bottom - 1)
    shape = predictor(image, box)
    return dlib.get_face_chip(image, shape, size, _DLIB_PADDING)

  return crop


_CROPPERS = {
  "arcface": lambda: arcface_crop,
  "facenet": lambda: facenet_crop,
  "dlib": _dlib_cropper,
}
CROPS = tuple(_CROPPERS)
