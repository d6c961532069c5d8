"""How the layered codec is measured."""

import numpy as np
import pytest

from tsenh.base.errors import Error
from tsenh.data.feature_sets import FeatureSet
from tsenh.images import evaluation
from tsenh.recognition import matching


def test_people_of_enough_photographs_are_drawn_and_no_photograph_twice():
  identities = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2, -1, -1, -1, 3, 3, 3])
  chosen = evaluation.choose(identities, 3, 2)
  rows = [*chosen.gallery, *chosen.probes]
  assert len(set(rows)) == 9
  assert sorted(set(identities[chosen.gallery])) == [0, 2, 3]
  np.testing.assert_array_equal(
    identities[chosen.probes], identities[chosen.gallery][chosen.person]
  )
  with pytest.raises(Error, match="3 people have 3 photographs or more"):
    evaluation.choose(identities, 4, 2)


def test_a_probe_is_found_if_no_other_is_as_near():
  gallery = np.eye(3)
  probes = np.array([[1, 0, 0], [1, 1, 0], [0.1, 0.9, 0], [0, 0, 5]])
  found = evaluation.hits(probes, gallery, np.array([0, 0, 0, 2]))
  assert found.tolist() == [True, False, False, True]


def test_intervals_resample_people_not_photographs():
  person = np.repeat(np.arange(50), 2)
  weights = evaluation.resample(person)
  assert (weights.sum(1) == 100).all()
  assert (weights[:, ::2] == weights[:, 1::2]).all()
  values = np.repeat(np.arange(50) < 25, 2)
  low, high = evaluation.interval(values, weights)
  # Of 50 people, as the normal approximation has it: 0.5 +- 1.96 / (2 sqrt 50).
  assert abs(low - 0.361) < 0.02 and abs(high - 0.639) < 0.02


def test_psnr_by_hand():
  images = np.full([2, 4, 4, 3], 100, np.uint8)
  others = images.copy()
  others[0] += 10
  found = evaluation.psnr(images, others)
  np.testing.assert_allclose(found, [20 * np.log10(25.5), 99])


def test_ms_ssim_is_one_for_the_same_and_falls_with_noise():
  random = np.random.default_rng(0)
  images = random.integers(0, 256, [3, 64, 64, 3], np.uint8)
  noisy = np.clip(images + random.normal(0, 40, images.shape), 0, 255)
  np.testing.assert_allclose(evaluation.ms_ssim(images, images), 1, atol=1e-5)
  assert evaluation.ms_ssim(images, noisy.astype(np.uint8)).max() < 0.98


def test_flip_is_nothing_for_the_same_and_grows_with_the_difference():
  random = np.random.default_rng(0)
  images = random.integers(0, 256, [3, 64, 64, 3], np.uint8)
  nearer, further = (
    np.clip(images + random.normal(0, sigma, images.shape), 0, 255)
    for sigma in (10, 40)
  )
  np.testing.assert_array_equal(evaluation.flip(images, images), np.zeros(3))
  small = evaluation.flip(images, nearer.astype(np.uint8))
  large = evaluation.flip(images, further.astype(np.uint8))
  assert small.shape == (3,) and (small > 0).all()
  assert (small < large).all() and (large < 1).all()


def test_a_curve_has_nothing_below_its_first_point_and_is_linear_between():
  curve = [(100.0, np.array([0, 1])), (200.0, np.array([1, 1]))]
  assert evaluation.at_rate(curve, 99).tolist() == [0, 0]
  assert evaluation.at_rate(curve, 100).tolist() == [0, 1]
  assert evaluation.at_rate(curve, 150).tolist() == [0.5, 1]
  assert evaluation.at_rate(curve, 500).tolist() == [1, 1]


def test_eigenfaces_draw_what_they_span():
  random = np.random.default_rng(0)
  images = random.integers(100, 156, [6, 8, 8, 3], np.uint8)
  found = evaluation.eigenfaces(images, 5)
  np.testing.assert_allclose(
    found.components.T @ found.components, np.eye(5), atol=1e-3
  )
  drawn, rate = found.draw(images, 1.0)
  assert np.abs(drawn.astype(int) - images).max() <= 2
  # Six different values of each of five coefficients.
  assert 0 < rate <= 5 * np.log2(6) / 8 + 1e-9


def test_half_the_bytes_at_every_quality_is_minus_fifty_percent():
  anchor = [
    {"bytes_per_face": 100.0 * 2**i, "psnr": 20.0 + 3 * i} for i in range(5)
  ]
  tested = [{**p, "bytes_per_face": p["bytes_per_face"] / 2} for p in anchor]
  assert abs(evaluation.bd_rate(anchor, tested, "psnr") + 50) < 1e-6
  errors = [{**p, "flip": 1 / p["psnr"]} for p in anchor]
  halves = [{**p, "bytes_per_face": p["bytes_per_face"] / 2} for p in errors]
  assert abs(evaluation.bd_rate(errors, halves, "flip") + 50) < 1e-6
  apart = [{**p, "psnr": p["psnr"] + 100} for p in anchor]
  assert np.isnan(evaluation.bd_rate(anchor, apart, "psnr"))


def test_names_match_whole_or_without_folder_and_suffix():
  known = ["a/x.jpg", "b/x.jpg", "y"]
  found = matching.rows(["b/x.jpg", "c/y.png", "z"], known)
  assert found.tolist() == [1, 2, -1]
  # What follows a dot may be a number, and of two of a name none is meant.
  numbered = ["person.1", "person.2", "a/0001.png", "b/0001.png"]
  found = matching.rows(
    ["person.1.png", "person.png", "b/0001.jpg", "0001.png", "person.2"],
    numbered,
  )
  assert found.tolist() == [0, -1, 3, -1, 1]
  features = np.arange(6, dtype=np.float32).reshape(3, 2)
  faces = FeatureSet(features, names=np.array(known))
  got = matching.features_of(["y.jpg", "a/x.jpg"], faces, "it")
  np.testing.assert_array_equal(got, features[[2, 0]])
  with pytest.raises(Error, match="it: has no feature of z, nor of 0 others"):
    matching.features_of(["y", "z"], faces, "it")
  with pytest.raises(Error, match="it: has no names"):
    matching.features_of(["y"], FeatureSet(features), "it")
