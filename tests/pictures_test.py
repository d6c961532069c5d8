"""Faces as the tiles of one picture, and their differences."""

import io

import numpy as np
import pytest
from PIL import Image

from tsenh.base.errors import Error
from tsenh.images import pictures


@pytest.fixture(scope="module")
def images():
  return np.random.default_rng(0).integers(0, 256, [7, 16, 16, 3], np.uint8)


def test_tiles_lie_in_rows_and_come_back(images):
  picture = pictures.tile(images)
  assert picture.shape == (48, 48, 3)
  np.testing.assert_array_equal(picture[16:32, :16], images[3])
  assert (picture[32:, 16:] == 128).all()
  np.testing.assert_array_equal(pictures.untile(picture, 7, 16), images)
  assert [pictures.grid(n) for n in (1, 2, 4, 5)] == [
    *((1, 1), (1, 2), (2, 2), (2, 3))
  ]


@pytest.mark.parametrize("kind", pictures.FORMATS)
def test_better_quality_takes_more_bytes_and_errs_less(kind, faces64):
  found = []
  for quality in (10, 60):
    data = pictures.encode(faces64[:5], kind, quality)
    decoded = pictures.decode(data, kind, 5, 64)
    error = np.square(decoded.astype(float) - faces64[:5]).mean()
    found.append((len(data), error))
  (small, bad), (large, good) = found
  assert small < large and good < bad < 1000


def test_no_difference_is_lost_with_divisor_two_but_a_rounding(images):
  others = images[::-1].copy()
  change = pictures.differences(images, others, 2)
  back = pictures.add(others, change, 2)
  assert np.abs(back.astype(int) - images).max() <= 1
  extremes = np.array([0, 255], np.uint8).reshape(2, 1, 1, 1)
  change = pictures.differences(extremes, extremes[::-1], 2)
  back = pictures.add(extremes[::-1], change, 2)
  assert np.abs(back.astype(int) - extremes).max() <= 1


def test_a_picture_of_another_size_or_kind_or_none_is_refused(images):
  data = pictures.encode(images, "webp", 50)
  with pytest.raises(Error, match="48x48 pixels, expected 64x48"):
    pictures.decode(data, "webp", 12, 16)
  with pytest.raises(Error, match="no avif picture"):
    pictures.decode(data, "avif", 7, 16)
  for bad in (b"", data[:20], data[: len(data) // 2]):
    with pytest.raises(Error, match=r"(a damaged|no) webp picture"):
      pictures.decode(bad, "webp", 7, 16)


@pytest.mark.parametrize("kind", ["webp", "avif", "jpeg2000"])
def test_a_picture_is_alone_of_one_frame_and_rgb(images, kind):
  def saved(mode, **more):
    tiles = Image.fromarray(pictures.tile(images)).convert(mode)
    if mode == "RGBA":
      tiles.putalpha(100)
    buffer = io.BytesIO()
    tiles.save(buffer, pictures.FORMATS[kind], **more)
    return buffer.getvalue()

  sound = pictures.encode(images, kind, 60)
  pictures.decode(sound, kind, 7, 16)
  others = [sound + b"more", saved("RGBA")]
  if kind == "jpeg2000":
    others += [saved("RGB"), saved("L", no_jp2=True)]  # In boxes, and grey.
  else:
    frame = Image.fromarray(pictures.tile(images[::-1]))
    others.append(saved("RGB", save_all=True, append_images=[frame]))
  for data in others:
    with pytest.raises(Error, match="picture"):
      pictures.decode(data, kind, 7, 16)


def test_an_image_shrinks_by_the_mean_over_areas():
  image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3) * 2
  small = pictures.shrink(image, 2)
  np.testing.assert_allclose(small[0, 0], image[:2, :2].mean((0, 1)), atol=0.51)
  with pytest.raises(Error, match="4x4 pixels, expected a square of 8"):
    pictures.shrink(image, 8)
