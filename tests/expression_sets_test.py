"""FER+ and AffectNet, read from real images and from small tables."""

import csv
import tarfile

import numpy as np
import pytest
from conftest import ROOT, SHARED
from PIL import Image

from tsenh.base.errors import Error
from tsenh.recognition import expression_sets, image_sets
from tsenh.recognition.expression_sets import EMOTIONS, PARTS

IMAGES, TABLE = (
  str(ROOT / "tests" / "samples" / f"ferplus.{end}") for end in ("npz", "csv")
)
FER = SHARED / "images"


def table():
  with open(TABLE, newline="") as file:
    return list(csv.reader(file))


def written(path, rows):
  with open(path, "w", newline="") as file:
    csv.writer(file).writerows(rows)
  return str(path)


@pytest.fixture(scope="module")
def sample():
  return expression_sets.load(IMAGES, TABLE, partial=True)


def test_the_majority_is_more_than_half_of_the_votes_without_single_ones():
  none = (0, 0, 0)
  assert (
    expression_sets.majority((4, 0, 0, 1, 3, 2, 0, *none)) is None
  )  # 4 of 9
  assert expression_sets.majority((5, 0, 0, 1, 3, 1, 0, *none)) == 0  # 5 of 8
  assert expression_sets.majority((5, 0, 0, 0, 5, 0, 0, *none)) is None
  assert expression_sets.majority((4, 0, 0, 0, 0, 0, 0, 0, 6, 0)) is None
  assert expression_sets.majority((0, 0, 0, 0, 0, 0, 0, 0, 0, 10)) is None
  assert expression_sets.majority((1, 1, 1, 1, 1, 1, 1, 1, 1, 1)) is None


def test_the_sample_has_its_parts_its_votes_and_its_copies(sample):
  assert {part: len(s.labels) for part, s in sample.items()} == {
    "training": 97,
    "validation": 32,
    "test": 33,
  }
  for found in sample.values():
    assert found.images.shape == (len(found.names), 48, 48)
    assert found.images.dtype == np.uint8
    np.testing.assert_allclose(found.votes.sum(axis=1), 1, rtol=1e-6)
    # More than half of all votes, so the largest share.
    np.testing.assert_array_equal(found.votes.argmax(axis=1), found.labels)
    assert set(found.labels) == set(range(len(EMOTIONS)))
  test = sample["test"]
  assert test.copies == test.is_copy.sum() == 1
  (copy,) = test.images[test.is_copy]
  assert (sample["training"].images == copy).all(axis=(1, 2)).sum() == 1


def test_images_are_found_by_name_whatever_they_are_in(sample, tmp_path):
  found = image_sets.load(IMAGES)
  folder = tmp_path / "images"
  for i, image in enumerate(found.decode(range(len(found.names)))):
    place = folder / f"part{i % 3}" / str(found.names[i])
    place.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image[..., 0]).save(place)
  with tarfile.open(tmp_path / "images.tar", "w") as archive:
    archive.add(folder, ".")
  for data in (folder, tmp_path / "images.tar"):
    again = expression_sets.load(str(data), TABLE, partial=True)
    for part in PARTS:
      assert again[part].digest() == sample[part].digest()


def test_the_label_files_give_what_the_table_gives(sample, tmp_path):
  _, *rows = table()
  names = ("FER2013Train", "FER2013Valid", "FER2013Test")
  usages = ("Training", "PublicTest", "PrivateTest")
  (tmp_path / names[2]).mkdir()
  for name, usage in zip(names, usages):
    place = f"{name}/label.csv" if name == names[2] else f"{name}.csv"
    lines = [
      [row[1], "(0, 0, 48, 48)", *row[2:]]
      for row in rows
      if row[0] == usage and row[1] != "fer0033120.png"
    ]
    written(tmp_path / place, lines)
  again = expression_sets.load(IMAGES, str(tmp_path), partial=True)
  for part in PARTS:
    assert again[part].digest() == sample[part].digest()
  (tmp_path / "FER2013Valid.csv").unlink()
  with pytest.raises(Error, match=r"neither FER2013Valid\.csv nor"):
    expression_sets.load(IMAGES, str(tmp_path), partial=True)


def test_kaggles_file_is_joined_by_row_with_the_table(sample, tmp_path):
  _, *rows = table()
  found = image_sets.load(IMAGES)
  images = dict(
    zip(found.names.tolist(), found.decode(range(len(found.names))))
  )
  # The row of a disputed name is somebody else's image.
  lines = [["emotion", "pixels", "Usage"]]
  for usage, name, *_ in rows:
    pixels = " ".join(map(str, images[name][..., 0].ravel()))
    lines.append(["0", pixels, usage])
  data = written(tmp_path / "fer2013.csv", lines)
  again = expression_sets.load(data, TABLE, partial=True)
  for part in PARTS:
    assert again[part].digest() == sample[part].digest()
  lines[3][2] = "PublicTest"
  with pytest.raises(Error, match="line 4: not of the training part"):
    expression_sets.load(
      written(tmp_path / "fer2013.csv", lines), TABLE, partial=True
    )
  for pixels in ("1 2 3", " ".join(["300"] * 2304)):
    lines[3][1:] = [pixels, "Training"]
    with pytest.raises(Error, match="line 4: not 2304 pixels of 0 to 255"):
      expression_sets.load(
        written(tmp_path / "fer2013.csv", lines), TABLE, partial=True
      )


def test_of_two_rows_with_a_name_the_nearer_counts_unless_they_differ(
  tmp_path,
):
  header, *_ = table()
  votes = [9, 0, 0, 0, 0, 0, 0, 0, 0, 0]
  rows = [["Training", f"fer{i:07d}.png", *votes] for i in range(6)]
  rows[1][1] = "fer0000004.png"
  found = expression_sets._table(written(tmp_path / "t.csv", [header, *rows]))
  assert {row.name: row.number for row in found}["fer0000004.png"] == 4
  rows[1][2:] = votes[::-1]
  found = expression_sets._table(written(tmp_path / "t.csv", [header, *rows]))
  assert "fer0000004.png" not in {row.name for row in found}
  assert len(found) == 4


def test_all_of_fer_plus_must_be_there(tmp_path):
  with pytest.raises(
    Error,
    match=r"97 / 32 / 33 images .* FER\+ has 25,045 / 3,191 / 3,137: training"
    r" -24,948, validation -3,159, test -3,104",
  ):
    expression_sets.load(IMAGES, TABLE)
  rows = table()
  rows.append(["Test", "a.png", *rows[1][2:]])
  with pytest.raises(Error, match="expected 12 columns, the first one of"):
    expression_sets.load(IMAGES, written(tmp_path / "t.csv", rows))
  rows[-1] = [*rows[1][:-1], "many"]
  with pytest.raises(Error, match="expected ten counts of votes"):
    expression_sets.load(IMAGES, written(tmp_path / "t.csv", rows))
  with pytest.raises(Error, match="its first line is not Usage"):
    expression_sets.load(IMAGES, written(tmp_path / "t.csv", rows[1:]))


def test_missing_images_are_counted(tmp_path, monkeypatch):
  rows = table()
  rows.append(["Training", "fer9999999.png", *rows[1][2:]])
  labels = written(tmp_path / "t.csv", rows)
  counts = tuple(
    len(s.labels) + (part == "training" and 0)
    for part, s in expression_sets.load(IMAGES, TABLE, True).items()
  )
  found = [row for row in expression_sets._table(labels)]
  added = expression_sets.majority(found[-1].votes) is not None
  monkeypatch.setattr(
    expression_sets, "COUNTS", ((counts[0] + added, *counts[1:]),)
  )
  with pytest.raises(Error, match=r"1 of 167 labelled images are not there"):
    expression_sets.load(IMAGES, labels)


def test_affectnet_is_read_by_its_structure(tmp_path):
  """Invented pictures: its own may not be handed on."""
  random = np.random.default_rng(0)
  head = [
    *("subDirectory_filePath", "face_x", "face_y", "face_width"),
    *("face_height", "facial_landmarks", "expression", "valence", "arousal"),
  ]
  numbers = list(range(11)) * 4  # 0 to 7 are emotions; 8, 9, 10 are none.
  for name, first in (("training.csv", 0), ("validation.csv", 100)):
    lines = [head]
    for i, number in enumerate(numbers, first):
      place = f"{i % 2}/{i}.png"
      path = tmp_path / "images" / place
      path.parent.mkdir(parents=True, exist_ok=True)
      picture = np.zeros([80, 90, 3], np.uint8)
      picture[10:70, 20:80] = random.integers(1, 256)
      Image.fromarray(picture).save(path)
      lines.append([place, 20, 10, 60, 60, "1;2", number, 0.1, 0.2])
    written(tmp_path / name, lines)
  found = expression_sets.load(str(tmp_path / "images"), str(tmp_path))
  assert {part: len(s.labels) for part, s in found.items()} == {
    "training": 31,
    "validation": 1,  # The twentieth of 32.
    "test": 32,
  }
  # AffectNet's order is neutral, happy, sad, surprise, fear, disgust, anger.
  order = [EMOTIONS.index(name) for name in (
    *("neutral", "happiness", "sadness", "surprise"),
    *("fear", "disgust", "anger", "contempt"),
  )]  # fmt: skip
  by_number = sorted(
    zip((int(n.split("/")[1][:-4]) for n in found["test"].names),
        found["test"].labels)
  )  # fmt: skip
  assert [label for _, label in by_number] == order * 4
  # Of the box alone: the black frame is cut away.
  assert (found["test"].images > 0).all()
  (tmp_path / "images" / "0" / "0.png").unlink()
  with pytest.raises(Error, match=r"1 of 64 labelled images are not there"):
    expression_sets.load(str(tmp_path / "images"), str(tmp_path))


@pytest.mark.slow
@pytest.mark.skipif(not FER.is_dir(), reason="needs FER+, which is not shipped")
@pytest.mark.parametrize(
  ("labels", "counts", "copies"),
  [
    ("fer2013new.csv", (25057, 3199, 3152), (288, 259)),
    ("ferplus-labels", (25045, 3191, 3137), (288, 244)),
  ],
)
def test_fer_plus_has_exactly_its_images(labels, counts, copies):
  found = expression_sets.load(str(FER / "ferplus.npz"), str(FER / labels))
  assert tuple(len(found[part].labels) for part in PARTS) == counts
  test = found["test"]
  assert (test.copies, test.is_copy.sum()) == copies
  if labels.endswith(".csv"):
    assert np.bincount(test.labels).tolist() == [
      *(1089, 893, 396, 384, 273, 18, 83, 16),
    ]
