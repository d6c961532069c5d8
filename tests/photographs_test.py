"""Photographs of every kind, and files that are none."""

import io
import os
import tarfile

import numpy as np
import pytest
from PIL import Image

from tsenh.base.errors import Error
from tsenh.recognition import photographs


def encoded(image, form="PNG", **options):
  buffer = io.BytesIO()
  image.save(buffer, form, **options)
  return buffer.getvalue()


@pytest.fixture(scope="module")
def image():
  """Half red, half blue, so that a turn is seen."""
  pixels = np.zeros([40, 60, 3], np.uint8)
  pixels[:, :30], pixels[:, 30:] = (200, 0, 0), (0, 0, 200)
  return Image.fromarray(pixels)


def test_exif_turns_a_photograph_upright(image):
  exif = Image.Exif()
  exif[0x0112] = 6  # To be turned by 90 degrees clockwise.
  upright = photographs.decode(encoded(image, "JPEG", exif=exif))
  assert upright.shape == (60, 40, 3)
  assert upright[5, 20, 0] > 150 and upright[55, 20, 2] > 150


def test_every_mode_becomes_rgb_of_8_bits(image):
  grey = np.asarray(image.convert("L"))
  deep = Image.fromarray(grey.astype(np.uint16) * 257)
  for data in (encoded(image.convert("L")), encoded(deep)):
    found = photographs.decode(data)
    assert found.shape == (40, 60, 3) and found.dtype == np.uint8
    np.testing.assert_array_equal(found, np.stack([grey] * 3, axis=-1))
  for mode, form in (("CMYK", "JPEG"), ("P", "GIF"), ("RGBA", "PNG")):
    found = photographs.decode(encoded(image.convert(mode), form)).astype(int)
    assert np.abs(found - np.asarray(image, int)).max() < 60, mode
  clear = image.convert("RGBA")
  clear.putalpha(0)
  assert (photographs.decode(encoded(clear)) == 255).all()


def test_a_wrong_suffix_is_no_matter_and_large_photographs_are_shrunk(
  image, monkeypatch
):
  large = encoded(image.resize((600, 400)), "JPEG")
  assert photographs.decode(large).shape == (400, 600, 3)
  monkeypatch.setattr(photographs, "MAX_PIXELS", 100_000)
  assert photographs.decode(large).shape == (200, 300, 3)
  # Pillow's own limit is no other.
  monkeypatch.setattr(photographs, "MAX_PIXELS", 20_000)
  monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50_000)
  assert photographs.decode(large).shape == (100, 150, 3)
  assert Image.MAX_IMAGE_PIXELS == 50_000
  with pytest.raises(Error, match="too large: 600 x 400 pixels"):
    photographs.decode(encoded(image.resize((600, 400))))


def test_a_hundred_megapixels_of_one_colour_are_refused_before_they_are_read():
  bomb = encoded(Image.new("1", (10000, 10000)))
  assert len(bomb) < 100_000
  with pytest.raises(Error, match="too large: 10000 x 10000 pixels"):
    photographs.decode(bomb)


@pytest.mark.parametrize(
  ("change", "said"),
  [
    (lambda data: b"", "an empty file"),
    (lambda data: b"plain text" * 50, "not an image of a known format"),
    (lambda data: data[: len(data) // 2], "truncated|incomplete|broken"),
    (lambda data: encoded(Image.new("RGB", (1, 1))), "too small: 1 x 1"),
    (lambda data: encoded(Image.new("F", (40, 40)), "TIFF"), "floating point"),
  ],
)
def test_what_does_not_decode_has_a_reason(image, change, said):
  noise = np.random.default_rng(2).integers(0, 256, [90, 90, 3], np.uint8)
  for form in ("JPEG", "PNG"):
    data = encoded(Image.fromarray(noise), form)
    with pytest.raises(Error, match=said):
      photographs.decode(change(data))


def test_a_folder_and_a_tar_of_it_give_the_same(image, tmp_path):
  folder = tmp_path / "photos"
  for name in ("b/2.png", "a/1.jpg", "a/x.txt", "c.JPG"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(image) + name.encode())
  (folder / "link.jpg").symlink_to(folder / "nowhere")
  (folder / "whole.jpg").symlink_to(folder / "c.JPG")
  (folder / "other").symlink_to(folder / "a")
  os.mkfifo(folder / "pipe.png")
  listing = photographs.find(str(folder))
  names = [entry.name for entry in listing.entries]
  assert names == [
    "a/1.jpg",
    "b/2.png",
    "c.JPG",
    "link.jpg",
    "pipe.png",
    "whole.jpg",
  ]
  assert listing.others == (
    ("a/x.txt", "not the suffix of a photograph"),
    ("other", "a link to a folder"),
  )
  read = list(photographs.read(listing.source, listing.entries))
  for name, data in zip(names[:3], read):
    assert data.endswith(name.encode())
  assert read.pop() == read[2]  # What a link leads to is read whole.
  assert [str(data) for data in read[3:]] == [
    "No such file or directory",
    "not a regular file",
  ]
  for mode, name in (("w", "photos.tar"), ("w:gz", "photos.tgz")):
    with tarfile.open(tmp_path / name, mode) as archive:
      for inside in names[:3]:
        archive.add(folder / inside, inside)
      archive.add(folder / "link.jpg", "link.jpg")
      archive.add(folder / "c.JPG", "a/1.jpg")
    packed = photographs.find(str(tmp_path / name))
    assert [entry.name for entry in packed.entries] == names[:3]
    assert packed.others == (
      ("a/1.jpg", "a second file of this name"),
      ("link.jpg", "a link, or not a regular file"),
    )
    again = list(photographs.read(packed.source, packed.entries[1:]))
    assert again == read[1:3]


def test_a_name_that_is_no_text_is_shown_and_read(image, tmp_path):
  (tmp_path / os.fsdecode(b"\xff.png")).write_bytes(encoded(image))
  listing = photographs.find(str(tmp_path))
  assert listing.entries[0].name == "\\xff.png"
  (data,) = photographs.read(listing.source, listing.entries)
  assert photographs.decode(data).shape == (40, 60, 3)


def test_a_source_without_photographs_is_refused(tmp_path):
  with pytest.raises(Error, match="no photographs among 0 files"):
    photographs.find(str(tmp_path))
  with pytest.raises(Error, match="neither a folder nor a tar file"):
    photographs.find(str(tmp_path / "none"))
  (tmp_path / "x.tar").write_bytes(b"no tar")
  with pytest.raises(Error, match="not a whole tar file"):
    photographs.find(str(tmp_path / "x.tar"))
  np.savez(tmp_path / "packed.npz", images=np.zeros(3))
  with pytest.raises(Error, match=r"packed faces \(\.npz\) are for train_stud"):
    photographs.find(str(tmp_path / "packed.npz"))


@pytest.mark.parametrize("mode", ["gz", "bz2", "xz"])
def test_a_damaged_compressed_tar_is_not_whole(image, tmp_path, mode):
  path = tmp_path / "photos.tar"
  (tmp_path / "1.png").write_bytes(encoded(image) * 20)
  with tarfile.open(path, f"w:{mode}") as archive:
    for i in range(20):
      archive.add(tmp_path / "1.png", f"{i}.png")
  sound = path.read_bytes()
  random = np.random.default_rng(0)
  refused = 0
  for _ in range(40):
    data = bytearray(sound)
    for place in random.integers(len(data), size=3):
      data[place] ^= 0xFF
    path.write_bytes(data)
    try:
      photographs.find(str(path))
    except Error as error:
      refused += "not a whole tar file" in str(error)
  assert refused > 20


def test_the_digest_is_of_names_sizes_and_times(image, tmp_path):
  (tmp_path / "1.png").write_bytes(encoded(image))
  before = photographs.find(str(tmp_path)).digest()
  assert photographs.find(str(tmp_path)).digest() == before
  os.utime(tmp_path / "1.png", (1, 1))
  changed = photographs.find(str(tmp_path)).digest()
  assert changed != before
  before = changed
  (tmp_path / "2.png").write_bytes(encoded(image))
  assert photographs.find(str(tmp_path)).digest() != before
