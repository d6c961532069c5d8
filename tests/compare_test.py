"""Two photographs, one command."""

import numpy as np
import pytest
from extraction_test import HOPPER
from PIL import Image, ImageOps

from tsenh.data import feature_sets
from tsenh.data.feature_sets import FeatureSet
from tsenh.recognition import verification


def test_the_best_threshold_decides_most_pairs_rightly():
  distances = np.array([0.5, 0.7, 1.1, 0.9, 1.5, 1.6])
  is_same = np.array([True, True, True, False, False, False])
  best = verification.best_threshold(distances, is_same)
  assert 0.7 < best < 0.72  # One same pair is lost; at 1.1 one is let in.


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
  """A woman, the same in a mirror and half as large, and nobody."""
  folder = tmp_path_factory.mktemp("photos")
  image = Image.open(HOPPER)
  image.save(folder / "a.png")
  ImageOps.mirror(image).resize((256, 300)).save(folder / "b.jpg", quality=80)
  Image.new("RGB", (200, 200), "blue").save(folder / "nobody.png")
  return folder


@pytest.mark.slow
def test_two_photographs_of_a_woman_are_one_person_from_few_bytes(run, photos):
  process = run("tsenh.compare", "--output=x.png", "a.png", "b.jpg", cwd=photos)
  lines = process.stdout.decode().splitlines()
  found = {line[:18].strip(): line[18:].split() for line in lines}
  assert found["bytes"].count("512") == 2
  sizes = [word for word in found["bytes"] if word not in ("and", "512")]
  assert all(1 < int(size) < 40 for size in sizes) and len(sizes) == 2
  distances, thresholds = found["squared distance"], found["threshold"]
  for distance, threshold in zip(distances, thresholds):
    assert 0 < float(distance) < float(threshold)
  assert found["one person"] == ["yes", "yes"]
  picture = np.asarray(Image.open(photos / "x.png"))
  assert picture[:240].std() > 40 and picture[240:].min() == 0


@pytest.mark.slow
def test_a_codec_of_unknown_features_asks_for_a_test_set(run, photos):
  faces = feature_sets.load("dlib-faces").features[:500]
  feature_sets.save(str(photos / "own.npz"), FeatureSet(faces))
  own = ("--step=0.05", "--features=own.npz", "--output=own")
  run("tsenh.train_pca", *own, cwd=photos)
  command = ("tsenh.compare", "--codec=own", "a.png", "b.jpg")
  process = run(*command, cwd=photos, check=False)
  assert process.returncode == 1
  assert "own was trained on own.npz" in process.stderr.decode()
  text = run(*command, "--test_set=dlib-lfw", cwd=photos).stdout.decode()
  assert text.split()[-2:] == ["yes", "yes"]


@pytest.mark.slow
@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    (["a.png", "nobody.png"], "nobody.png: no face found."),
    (["a.png"], "expected A.jpg B.jpg"),
    (["a.png", "b.jpg", "c.jpg"], "unexpected argument 'c.jpg'"),
    (["a.png", "none.jpg"], "none.jpg: No such file"),
    (["a.png", "b.jpg", "--output=c.jpg"], "c.jpg: the picture's name ends"),
    (
      ["a.png", "b.jpg", "--codec=pro-1e-5"],
      "pro-1e-5 is for features of fullrank, not of dlib.",
    ),
    (
      ["a.png", "b.jpg", "--network=student-16"],
      "dlib-pro-1e-5-e282 is for features of dlib, not of student-16.",
    ),
    (
      ["a.png", "b.jpg", "--codec=pro-1e-5", "--network=student-16"],
      "student-16: the threshold of sharp faces is not its own",
    ),
  ],
)
def test_bad_input_is_one_sentence(run, photos, arguments, message):
  process = run("tsenh.compare", *arguments, cwd=photos, check=False)
  assert process.returncode == 1
  lines = process.stderr.decode().splitlines()
  assert lines[-1].startswith(f"error: {message}"), lines
