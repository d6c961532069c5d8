"""Shrunken faces: who is who, and what is compared with what."""

import dataclasses

import numpy as np
import pytest
from conftest import ROOT

from tsenh.base import files
from tsenh.base.errors import Error
from tsenh.data.feature_sets import FeatureSet
from tsenh.recognition import (
  image_sets,
  low_resolution,
  matching,
  verification,
)

LFW16 = ROOT / "tests" / "data" / "lfw16.npz"


@pytest.fixture
def people():
  """A test set of 40 people with five faces each."""
  random = np.random.default_rng(0)
  identities = np.repeat(np.arange(40), 5)
  features = random.normal(size=[40, 16])[identities]
  features += 0.7 * random.normal(size=features.shape)
  first = random.integers(0, 200, 200)
  second = np.where(
    np.arange(200) % 2,
    first // 5 * 5 + (first + 1) % 5,
    (first + 5 + random.integers(0, 190, 200)) % 200,
  )
  pairs = np.stack([first, second], axis=1)
  return FeatureSet(
    verification.normalize(features).astype(np.float32),
    identities=identities,
    pairs=pairs,
    is_same=identities[first] == identities[second],
  )


def test_the_shipped_faces_are_all_of_lfws_pairs(lfw):
  images = image_sets.load(str(LFW16))
  rows = matching.rows_of(images, lfw.names.tolist())
  assert sorted(rows) == list(range(7701))
  faces = list(images.decode(range(20), size=16))
  assert len({face.tobytes() for face in faces}) == 20


def test_names_are_found_within_folders_and_missing_ones_are_named(tmp_path):
  path = str(tmp_path / "x.npz")
  file = image_sets.webp(np.zeros([16, 16, 3], np.uint8))
  files.write_arrays(path, image_sets.pack(["a/b.webp", "c.webp"], [file] * 2))
  images = image_sets.load(path)
  rows = matching.rows_of(images, ["c", "b", "a/b.webp"])
  assert rows.tolist() == [1, 0, 0]
  with pytest.raises(Error, match="lacks 1 of 2 faces, the first is d"):
    matching.rows_of(images, ["c", "d"])


def test_rank_1_is_that_of_a_loop(people):
  probes = people.features
  random = np.random.default_rng(1)
  gallery = probes + random.normal(size=probes.shape).astype(np.float32) / 4
  identities = people.identities.copy()
  identities[:5] = np.arange(100, 105)  # People with one face.
  hits = []
  for i in range(5, 200):
    similarity = gallery @ probes[i]
    similarity[i] = -2
    hits.append(identities[similarity.argmax()] == identities[i])
  found = low_resolution.rank1(probes, gallery, identities)
  assert found == np.mean(hits) and 0.3 < found < 1
  identities[:5] = -1  # Unknown people are not one person.
  assert low_resolution.rank1(probes, gallery, identities) == found


def test_a_face_of_the_networks_size_is_left_as_it_is():
  face = np.random.default_rng(0).integers(0, 256, [16, 16, 3], np.uint8)
  assert low_resolution.enlarged(face, 16) is face
  assert low_resolution.enlarged(face, 112).shape == (112, 112, 3)


def test_features_are_averaged_with_those_of_the_mirror_image():
  def network(faces):
    return verification.normalize(faces[:, 0, :, 0])

  faces = np.random.default_rng(0).integers(1, 256, [3, 4, 4, 3], np.uint8)
  found = low_resolution.mirrored(network, faces)
  np.testing.assert_allclose(found, found[:, ::-1], rtol=1e-6)
  np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-6)


def test_sharp_against_sharp_is_the_ordinary_verification(people):
  plain = low_resolution.measure(people.features, people)
  sharp = low_resolution.against_sharp(people.features, people)
  assert sharp["correct_pairs"] == plain["correct_pairs"]
  assert sharp["rank1"] == pytest.approx(plain["dense"]["rank1"])
  assert sharp["cosine"] == pytest.approx(1)
  assert low_resolution.against_sharp(people.features[:, :8], people) == {}
  nobody = dataclasses.replace(people, identities=None)
  assert (
    sharp.items()
    > low_resolution.against_sharp(people.features, nobody).items()
  )
