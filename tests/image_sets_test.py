"""Sets of images: packed, in folders and in tar files."""

import tarfile

import numpy as np
import pytest

from tsenh.base import files
from tsenh.base.errors import Error
from tsenh.recognition import image_sets


@pytest.fixture
def images():
  return np.random.default_rng(0).integers(0, 256, [4, 20, 20, 3], np.uint8)


@pytest.fixture
def packed(images, tmp_path):
  """The path of a packed set of them, a to d."""
  path = str(tmp_path / "set.npz")
  webp = [image_sets.webp(image) for image in images]
  files.write_arrays(path, image_sets.pack("abcd", webp))
  return path


def test_a_packed_set_gives_back_the_pixels(images, packed):
  found = image_sets.load(packed)
  assert found.names.tolist() == [*"abcd"]
  decoded = list(found.decode([0, 2, 3], size=20))
  np.testing.assert_array_equal(decoded, images[[0, 2, 3]])


def test_a_folder_and_a_tar_are_sets_too(images, tmp_path):
  folder = tmp_path / "faces"
  folder.mkdir()
  for name, image in zip("abcd", images):
    (folder / f"{name}.webp").write_bytes(image_sets.webp(image))
  (folder / "e.webp").write_bytes(b"no image")
  with tarfile.open(tmp_path / "faces.tar", "w") as archive:
    archive.add(folder, ".")
  for path in (folder, tmp_path / "faces.tar"):
    found = image_sets.load(str(path))
    assert sorted(found.names) == [f"{name}.webp" for name in "abcde"]
    rows = [i for i, name in enumerate(found.names) if name != "e.webp"]
    order = ["abcd".index(found.names[row][0]) for row in rows]
    np.testing.assert_array_equal(list(found.decode(rows)), images[order])
    with pytest.raises(Error, match=r"e\.webp: not an image of a known format"):
      list(found.decode(range(5)))


def test_images_of_another_size_are_refused(packed):
  with pytest.raises(Error, match="a: 20x20 pixels, expected 16x16"):
    list(image_sets.load(packed).decode([0], size=16))


@pytest.mark.parametrize(
  ("change", "said"),
  [
    (lambda s: s.pop("webp"), "it has no webp"),
    (lambda s: s.update(offsets=s["offsets"][:-1]), "fit no files"),
    (lambda s: s.update(offsets=s["offsets"] + 1), "fit no files"),
    (lambda s: s.update(offsets=s["offsets"][::-1]), "fit no files"),
    (lambda s: s.update(names=np.array([b"a"] * 4)), "have one name"),
  ],
)
def test_a_damaged_set_is_refused(packed, change, said):
  with np.load(packed) as stored:
    arrays = dict(stored)
  change(arrays)
  files.write_arrays(packed, arrays)
  with pytest.raises(Error, match=said):
    image_sets.load(packed)


def test_what_is_no_set_is_refused(tmp_path):
  path = tmp_path / "x.npz"
  path.write_bytes(b"nothing")
  with pytest.raises(Error, match=r"not in \.npz format"):
    image_sets.load(str(path))
