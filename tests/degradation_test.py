"""Faces shrunk by area, and in ways drawn at random."""

import numpy as np
import pytest

from tsenh.base import files
from tsenh.recognition import degradation, image_sets


@pytest.fixture
def face():
  """Smooth, and another on each side."""
  x = np.linspace(0, 255, 64)
  planes = np.broadcast_arrays(x, x[:, None], 255 - x)
  return np.stack(planes, axis=-1).astype(np.uint8)


def test_a_box_is_the_mean_of_the_area(face):
  small = degradation.shrink(face, 16)
  means = face.reshape(16, 4, 16, 4, 3).mean(axis=(1, 3))
  assert np.abs(small - means).max() <= 1
  assert degradation.shrink(small, 16) is small


def test_a_degraded_face_is_another_of_the_same(face):
  random = np.random.default_rng(0)
  small = degradation.shrink(face, 16).astype(int)
  found = [degradation.degrade(face, 16, random) for _ in range(20)]
  assert len({image.tobytes() for image in found}) == 20
  for image in found:
    assert image.shape == (16, 16, 3)
    # Some columns further at the most, and what JPEG does.
    assert np.abs(image - small).mean() < 16


def test_variants_depend_on_the_row_and_the_seed_alone(face, tmp_path):
  path = str(tmp_path / "set.npz")
  webp = [image_sets.webp(np.rot90(face, i)) for i in range(4)]
  files.write_arrays(path, image_sets.pack("abcd", webp))
  images = image_sets.load(path)
  done = []
  every = degradation.variants(images, range(4), 16, 3, 7, done.append)
  assert every.shape == (4, 3, 16, 16, 3) and sum(done) == 4
  np.testing.assert_array_equal(
    every[2, 0], degradation.shrink(np.rot90(face, 2), 16)
  )
  some = degradation.variants(images, [1, 3], 16, 3, 7)
  np.testing.assert_array_equal(some, every[[1, 3]])
  other = degradation.variants(images, [1, 3], 16, 3, 8)
  np.testing.assert_array_equal(other[:, 0], some[:, 0])
  assert (other[:, 1:] != some[:, 1:]).any()


def test_robustness_looks_at_filters_blur_and_jpeg(face):
  found = degradation.robustness(face, 16)
  assert set(degradation.FILTERS) < set(found) and len(found) == 8
  np.testing.assert_array_equal(found["box"], degradation.shrink(face, 16))
  assert all(image.shape == (16, 16, 3) for image in found.values())
