import numpy as np
import pytest

from tsenh.data import feature_sets
from tsenh.recognition import verification


def random_pairs(seed, n=200, decimals=2):
  """Distances with many ties, ten folds of both kinds."""
  rng = np.random.default_rng(seed)
  is_same = np.arange(n) % 2 == 0
  distances = np.round(rng.gamma(4, 0.2, n) + 0.6 * ~is_same, decimals)
  return distances, is_same


def correct_per_fold(distances, is_same):
  """Correct pairs per fold."""
  return verification.decisions(distances, is_same).sum(axis=1).tolist()


def test_lfw_gives_the_check_values_of_the_data_card():
  lfw = feature_sets.load("rank64-lfw")
  distances = verification.squared_distances(lfw.features, lfw.pairs)
  metrics = verification.verify(distances, lfw.is_same)
  assert metrics["correct_pairs"] == 5961
  assert metrics["correct_pairs_per_fold"] == [
    595,
    599,
    595,
    595,
    593,
    597,
    594,
    599,
    599,
    595,
  ]
  assert metrics["accuracy"] == 5961 / 6000
  assert len(metrics["wrong_pairs"]) == 39
  in_fold = np.bincount(np.array(metrics["wrong_pairs"]) // 600, minlength=10)
  assert (600 - in_fold).tolist() == metrics["correct_pairs_per_fold"]
  assert metrics["auc"] == pytest.approx(0.999233, abs=5e-7)
  assert metrics["eer"] == pytest.approx(0.0067, abs=5e-5)
  assert metrics["tar_at_far_1e-2"] == pytest.approx(0.9940)
  assert metrics["tar_at_far_1e-3"] == pytest.approx(0.9850)
  assert metrics["facenet_auc"] == pytest.approx(0.999237, abs=5e-7)
  assert metrics["facenet_eer"] == pytest.approx(0.0068, abs=5e-5)
  assert metrics["facenet_tar_at_far_1e-3"] == pytest.approx(0.984)


def test_the_first_of_equal_thresholds_wins_and_the_test_is_strict():
  # Folds of one same pair at 0.10 and one different pair at 0.20: thresholds
  # 0.11 to 0.20 are right twice, and 0.11 is the first of them.
  distances = np.tile([0.10, 0.20], 10)
  is_same = np.tile([True, False], 10)
  assert correct_per_fold(distances, is_same) == [2] * 10
  # In the last fold both are off by what only the first best one shows.
  distances[-2:] = 0.11, 0.115
  assert correct_per_fold(distances, is_same) == [2] * 9 + [1]


@pytest.mark.parametrize("seed", range(3))
def test_decisions_equal_a_plain_loop(seed):
  distances, is_same = random_pairs(seed)
  expected = []
  for fold in range(10):
    test = np.arange(len(distances)) // 20 == fold
    best, best_hits = None, -1
    for k in range(400):
      hits = np.sum((distances[~test] < k / 100) == is_same[~test])
      if hits > best_hits:
        best, best_hits = k / 100, hits
    expected.append(int(np.sum((distances[test] < best) == is_same[test])))
  assert correct_per_fold(distances, is_same) == expected


@pytest.mark.parametrize("seed", range(3))
def test_auc_counts_every_pair_of_pairs_and_ties_half(seed):
  distances, is_same = random_pairs(seed)
  same, different = distances[is_same], distances[~is_same]
  below = same[:, None] < different
  ties = same[:, None] == different
  assert verification.area_under_curve(distances, is_same) == pytest.approx(
    (below + ties / 2).mean(), abs=1e-12
  )


def test_eer_by_hand():
  is_same = np.array([True] * 4 + [False] * 4)
  # Between 3 and 4, one of four same pairs is out, one of four others is in.
  distances = np.array([1, 2, 3, 6, 2.5, 4, 5, 7])
  assert verification.equal_error_rate(distances, is_same) == 0.25
  # All tied: the rates cross halfway.
  assert verification.equal_error_rate(np.ones(8), is_same) == 0.5
  assert verification.equal_error_rate(is_same * -1.0, is_same) == 0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("far", [0.01, 0.05, 0.2])
def test_tar_equals_a_search_over_all_thresholds(seed, far):
  distances, is_same = random_pairs(seed)
  candidates = np.concatenate([np.unique(distances), [99]])
  allowed = [
    t for t in candidates if np.mean(distances[~is_same] < t) <= far + 1e-12
  ]
  expected = np.mean(distances[is_same] < max(allowed))
  assert verification.true_accept_rate(distances, is_same, far) == expected


def test_normalizing_leaves_a_zero_feature_alone():
  features = np.array([[3, 4], [0, 0]], np.float32)
  np.testing.assert_array_equal(
    verification.normalize(features), [[0.6, 0.8], [0, 0]]
  )


def test_separable_and_hopeless_sets_have_finite_metrics():
  is_same = np.tile([True, False], 50)
  perfect = verification.verify(np.where(is_same, 0.5, 1.5), is_same)
  assert perfect["correct_pairs"] == 100
  assert perfect["auc"] == perfect["facenet_auc"] == 1
  assert perfect["eer"] == 0
  far_away = verification.verify(np.where(is_same, 5.0, 6.0), is_same)
  assert far_away["correct_pairs"] == 50  # All beyond the grid's 3.99.
  assert far_away["auc"] == 1
  assert all(np.isfinite(v) for v in far_away.values() if np.isscalar(v))
