"""Scores and paired comparisons of predictions, worked out by hand."""

import numpy as np
import pytest
import scipy.stats

from tsenh.recognition import expression_scores


def test_scores_by_hand():
  labels = np.array([0, 0, 1, 3, 3])
  predicted = np.array([0, 1, 1, 3, 0])
  copies = np.array([True, False, False, False, True])
  found = expression_scores.score(labels, predicted, copies)
  assert (found["count"], found["correct"], found["accuracy"]) == (5, 3, 0.6)
  assert found["without_copies"] == {
    "count": 3,
    "correct": 2,
    "accuracy": 2 / 3,
  }
  assert found["per_class"]["neutral"]["accuracy"] == 0.5
  assert found["per_class"]["fear"] == {
    "count": 0,
    "correct": 0,
    "accuracy": None,
  }
  assert found["mean_class_accuracy"] == pytest.approx((0.5 + 1 + 0.5) / 3)
  assert found["confusion"][0][:2] == [1, 1]
  assert found["confusion"][3][0] == found["confusion"][3][3] == 1
  assert np.sum(found["confusion"]) == 5
  assert (found["labels"], found["predicted"]) == ("00133", "01130")
  assert expression_scores.hits(found).tolist() == [1, 0, 1, 1, 0]


def test_mcnemars_test_counts_what_just_one_has_right():
  first = np.array([1] * 90 + [0] * 8 + [1] * 2, bool)
  second = np.array([1] * 98 + [0] * 2, bool)
  found = expression_scores.compare([first], [second])
  assert found.difference == pytest.approx(6)
  # Eight heads and two tails, both sides: 2 (1 + 10 + 45) / 2^10.
  assert found.p_value == pytest.approx(112 / 1024)
  assert found.low < 6 < found.high
  assert found.low == pytest.approx(6 - 1.96 * 3.1, abs=0.6)
  assert found.detectable == pytest.approx(2.80 * 10**0.5, abs=0.05)


def test_equal_methods_do_not_differ():
  hits = np.array([True, False, True])
  found = expression_scores.compare([hits, hits], [hits, hits])
  assert found == (0, 0, 0, 1, 0)


def test_seeds_that_agree_tell_no_more_than_one_of_them():
  random = np.random.default_rng(1)
  first, second = random.random([2, 400]) < [[0.7], [0.76]]
  one = expression_scores.compare([first], [second])
  three = expression_scores.compare([first] * 3, [second] * 3)
  assert three.difference == pytest.approx(one.difference)
  assert three.detectable == pytest.approx(one.detectable)
  assert three.p_value == pytest.approx(one.p_value, abs=0.08)
  gained = (second & ~first).sum() - (first & ~second).sum()
  z = gained / np.sqrt((first != second).sum())
  assert three.p_value == pytest.approx(
    2 * scipy.stats.norm.sf(abs(z)), rel=1e-9
  )


def test_a_plane_in_many_dimensions_is_found_again():
  random = np.random.default_rng(0)
  places = random.normal(size=[60, 2]) * [5, 1]
  places -= places.mean(axis=0)
  basis, _ = np.linalg.qr(random.normal(size=[7, 2]))
  found = expression_scores.in_two_dimensions(places @ basis.T + 3)
  found = expression_scores.places(found)
  wide, narrow = found.T
  assert abs(np.corrcoef(wide, places[:, 0])[0, 1]) > 0.98
  assert abs(np.corrcoef(narrow, places[:, 1])[0, 1]) > 0.98
  assert np.abs(found.astype(int)).max() == 127
