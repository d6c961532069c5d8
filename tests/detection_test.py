"""Faces are found and brought to the template, by either detector."""

import pathlib

import matplotlib
import numpy as np
import pytest
from PIL import Image

from tsenh.recognition import detection, photographs
from tsenh.recognition.detection import ARCFACE, Face


@pytest.fixture(scope="module")
def hopper():
  """A photograph of Grace Hopper, in the public domain."""
  folder = pathlib.Path(matplotlib.get_data_path(), "sample_data")
  return photographs.decode((folder / "grace_hopper.jpg").read_bytes())


@pytest.fixture(scope="module")
def found(hopper):
  """Her face, by each detector."""
  faces = {name: detection.detector(name)(hopper) for name in ("mtcnn", "dlib")}
  for name, several in faces.items():
    assert len(several) == 1, name
  return {name: several[0] for name, several in faces.items()}


def test_the_similarity_is_the_one_that_made_the_points():
  angle, scale = 0.7, 2.5
  turn = scale * np.array(
    [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
  )
  target = ARCFACE @ turn.T + [3, -4]
  found = detection.similarity(ARCFACE, target)
  np.testing.assert_allclose(found, np.c_[turn, [3, -4]], atol=1e-9)


def test_the_square_around_a_box_stays_in_the_image():
  found = detection.square(np.array([30.0, 20, 50, 60]), 200, 100)
  np.testing.assert_allclose(found, [17, 17, 63, 63])  # 46 by 46.
  found = detection.square(np.array([0.0, 0, 20, 20]), 200, 100)
  np.testing.assert_allclose(found, [0, 0, 23, 23])
  found = detection.square(np.array([150.0, -10, 260, 120]), 200, 100)
  np.testing.assert_allclose(found, [100, 0, 200, 100])


def test_the_similarity_is_of_least_squares():
  rng = np.random.default_rng(3)
  target = ARCFACE * 1.3 + rng.normal(0, 4, ARCFACE.shape)
  # The same as linear equations in a, b, x and y.
  rows, values = [], []
  for (x, y), (u, v) in zip(ARCFACE, target):
    rows += [[x, -y, 1, 0], [y, x, 0, 1]]
    values += [u, v]
  a, b, dx, dy = np.linalg.lstsq(np.array(rows), np.array(values), rcond=None)[
    0
  ]
  expected = [[a, -b, dx], [b, a, dy]]
  found = detection.similarity(ARCFACE, target)
  np.testing.assert_allclose(found, expected, atol=1e-8)


@pytest.mark.parametrize("scale", [0.5, 1, 4])
def test_a_crop_has_the_points_where_the_template_has_them(scale):
  """White dots at the points of a turned face come out on the template."""
  angle = 0.3
  turn = scale * np.array(
    [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
  )
  points = ARCFACE @ turn.T + [200, 100]
  y, x = np.mgrid[:700, :700]
  squares = np.square(np.stack([x, y], -1)[None] - points[:, None, None]).sum(
    -1
  )
  dots = np.exp(-squares / (2 * (2 * scale) ** 2)).max(axis=0)
  image = np.repeat(np.uint8(255 * dots)[..., None], 3, axis=2)
  crop = detection.arcface_crop(image, Face(np.zeros(4), points), 112)
  values = crop[..., 0].astype(float)
  y, x = np.mgrid[:112, :112]
  for point in ARCFACE:
    near = (
      np.exp(-np.square(np.stack([x, y], -1) - point).sum(-1) / 50) * values
    )
    middle = np.array([(near * x).sum(), (near * y).sum()]) / near.sum()
    np.testing.assert_allclose(middle, point, atol=0.15)


def test_both_detectors_find_the_same_points(found):
  eyes = found["dlib"].points[:2]
  distance = np.linalg.norm(eyes[1] - eyes[0])
  off = np.linalg.norm(found["mtcnn"].points - found["dlib"].points, axis=1)
  assert off.max() < 0.2 * distance
  assert found["dlib"].points[0, 0] < found["dlib"].points[1, 0]


@pytest.mark.parametrize("align", detection.CROPS)
def test_each_crop_shows_the_face(hopper, found, align):
  crop = detection.cropper(align)(hopper, found["dlib"], 160)
  assert crop.shape == (160, 160, 3) and crop.dtype == np.uint8
  # A detector that knows nothing of the crop finds one face in its middle.
  (face,) = detection.detector("dlib")(
    np.asarray(Image.fromarray(crop).resize((320, 320)))
  )
  middle = (face.box[:2] + face.box[2:]) / 2
  assert np.abs(middle - 160).max() < 60


def test_facenets_crop_is_the_box_with_its_margin():
  image = np.zeros([400, 500, 3], np.uint8)
  image[78:322, 128:372] = 255  # The box below with 22 pixels on each side.
  face = Face(np.array([150.0, 100, 350, 300]), ARCFACE)
  assert (detection.facenet_crop(image, face, 160) == 255).all()
  image[130:270, 180:320] = 0
  assert (detection.facenet_crop(image, face, 160) == 0).any()


def test_a_large_photograph_is_searched_in_a_smaller_copy(hopper, found):
  large = np.asarray(Image.fromarray(hopper).resize((2048, 2400)))
  (face,) = detection.detector("dlib")(large)
  scale = 2048 / hopper.shape[1]
  expected = found["dlib"].points * scale
  eyes = expected[1, 0] - expected[0, 0]
  np.testing.assert_allclose(face.points, expected, atol=0.1 * eyes)


@pytest.mark.parametrize("name", detection.DETECTORS)
def test_a_long_thin_picture_has_no_face(name):
  assert detection.detector(name)(np.zeros([16, 60_000, 3], np.uint8)) == []


def test_the_main_face_is_large_and_in_the_middle(hopper):
  small, middle, edge = (
    Face(np.array(box, float), ARCFACE)
    for box in ((240, 240, 260, 260), (200, 200, 300, 300), (0, 0, 100, 100))
  )
  image = np.zeros([500, 500, 3], np.uint8)
  assert detection.main_face([small, edge, middle], image) == 2


@pytest.mark.parametrize("name", detection.DETECTORS)
def test_no_face_is_found_where_there_is_none(name):
  noise = np.random.default_rng(4).integers(0, 256, [99, 70, 3], np.uint8)
  for image in (noise, np.zeros([16, 16, 3], np.uint8), noise[:16]):
    assert detection.detector(name)(image) == []
