import numpy as np
import pytest

from tsenh.base.errors import Error
from tsenh.data import feature_sets
from tsenh.recognition import dense, verification


@pytest.fixture(scope="module")
def people():
  """Noisy copies of 60 directions; 50 people have four faces, ten have one."""
  rng = np.random.default_rng(0)
  identities = np.concatenate([np.repeat(np.arange(50), 4), np.arange(50, 60)])
  centres = rng.normal(size=[60, 16])
  features = centres[identities] + 0.9 * rng.normal(size=[210, 16])
  return features.astype(np.float32), identities


def by_loops(features, identities, rate):
  """TAR and rank-1 from every pair, one by one, as the definition reads."""
  vectors = features / np.linalg.norm(features, axis=1, keepdims=True)
  same, different, hits, probes = [], [], 0, 0
  for i in range(len(vectors)):
    similarities = []
    for j in range(len(vectors)):
      if i == j:
        continue
      similarity = float(np.float64(vectors[i]) @ np.float64(vectors[j]))
      similarities.append((similarity, identities[j]))
      if i < j:
        is_same = identities[i] == identities[j]
        (same if is_same else different).append(similarity)
    if np.sum(identities == identities[i]) > 1:
      probes += 1
      hits += max(similarities)[1] == identities[i]
  different.sort(reverse=True)
  threshold = different[int(rate * len(different))]
  tar = np.mean([similarity > threshold for similarity in same])
  return len(same), len(different), tar, hits / probes


@pytest.mark.parametrize("rate", ["1e-3", "1e-4"])
def test_it_equals_the_definition_written_out(people, monkeypatch, rate):
  monkeypatch.setattr(dense, "_ROWS", 37)
  monkeypatch.setattr(dense, "NUM_SAMPLES", 20)
  measured = dense.measure(*people)
  same, different, tar, rank1 = by_loops(*people, float(rate))
  assert (measured["num_same"], measured["num_different"]) == (same, different)
  assert measured[f"tar_at_far_{rate}"] == pytest.approx(tar, abs=1e-12)
  assert measured["rank1"] == pytest.approx(rank1, abs=1e-12)
  assert 0 < tar < 1
  assert 0 < rank1 < 1


def test_unknown_people_and_the_length_of_features_have_no_say(people):
  features, identities = people
  rng = np.random.default_rng(1)
  extra = rng.normal(size=[30, 16]).astype(np.float32)
  longer = features * rng.uniform(1, 9, [len(features), 1]).astype(np.float32)
  everyone = np.concatenate([longer, extra])
  known = np.concatenate([identities, np.full(30, -1)])
  plain, other = (
    dense.measure(features, identities),
    dense.measure(everyone, known),
  )
  for key in ("num_same", "num_different", "tar_at_far_1e-3", "rank1"):
    assert plain[key] == other[key]


def test_the_interval_is_of_people_and_wider_than_that_of_pairs(people):
  features, identities = people
  measured = dense.measure(features, identities)
  low, high = measured["interval"]["tar_at_far_1e-3"]
  tar = measured["tar_at_far_1e-3"]
  assert low < tar < high
  of_pairs = 2 * 1.96 * np.sqrt(tar * (1 - tar) / measured["num_same"])
  assert high - low > of_pairs


def test_people_counted_twice_are_the_set_with_them_twice(people):
  """A resample's threshold and shares, against those of repeated pairs."""
  features, identities = people
  pairs = dense.all_pairs(verification.normalize(features), identities)
  rng = np.random.default_rng(2)
  times = rng.multinomial(60, np.full(60, 1 / 60))
  found = dense._rates(pairs, times)
  a, b = pairs.different_people.T
  different = np.repeat(pairs.different, times[a] * times[b])
  faces = times * pairs.num_faces
  count = (faces.sum() ** 2 - np.square(faces).sum()) // 2
  same = np.repeat(pairs.same, times[pairs.same_person])
  tar = np.mean(same > different[int(1e-3 * count)])
  assert found[0] == pytest.approx(tar, abs=1e-12)


def test_binary_codes_are_compared_by_hamming_distance(people):
  features, identities = people
  codes = np.packbits(features > 0, axis=1)
  signs = np.where(features > 0, 1.0, -1.0)
  found, expected = (
    dense.measure(vectors, identities) for vectors in (codes, signs)
  )
  assert found == expected  # 16 bits: their length is 4, without rounding.
  same, different, tar, _ = by_loops(signs, identities, 1e-3)
  assert (found["num_same"], found["num_different"]) == (same, different)
  assert found["tar_at_far_1e-3"] == pytest.approx(tar, abs=1e-12)


def test_an_equally_near_face_of_another_person_counts_against_rank_1():
  features = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [0, 1]], np.float32)
  measured = dense.measure(features, np.array([0, 0, 1, 1, 2]))
  assert measured["rank1"] == 0.5  # Person 1's faces have person 2's as near.


def noisy(people, amount, seed):
  features, identities = people
  noise = np.random.default_rng(seed).normal(size=features.shape)
  return dense.read(dense.measure(features + amount * noise, identities))


def test_resamples_are_kept_and_pair_two_measurements(people):
  measured = dense.measure(*people)
  found = dense.read(measured)
  assert found.shape == (1 + dense.NUM_SAMPLES, 5)
  for column, name in enumerate(dense.METRICS):
    assert found[0, column] == measured[name]
    interval = np.percentile(found[1:, column], [2.5, 97.5])
    np.testing.assert_allclose(interval, measured["interval"][name], atol=2e-5)
  itself = dense.compare([found], [found])
  assert itself["rank1"] == (0, 0, 0, 1)
  # Of the same people, so much tighter than each measurement's own interval.
  worse = noisy(people, 0.1, 0)
  paired = dense.compare([found], [worse])["rank1"]
  assert paired.low < paired.difference < paired.high
  assert paired.difference == pytest.approx(worse[0, 4] - found[0, 4])
  low, high = measured["interval"]["rank1"]
  assert paired.high - paired.low < high - low


def test_a_difference_without_spread_is_no_chance():
  same = np.full([9, 5], 0.5)
  found = dense.compare([same], [same + 0.1])["rank1"]
  assert found.difference == pytest.approx(0.1)
  assert found.p == 0


def test_seeds_widen_the_interval_and_a_large_difference_is_seen(people):
  plain = dense.read(dense.measure(*people))
  seeds = [noisy(people, 0.6, seed) for seed in range(4)]
  lost = dense.compare([plain], seeds)["rank1"]
  assert lost.difference < 0
  assert lost.p < 0.05
  shuffled = dense.compare(seeds, [seeds[i] for i in (1, 2, 3, 0)])["rank1"]
  assert shuffled.difference == pytest.approx(0, abs=1e-12)
  assert shuffled.p == pytest.approx(1)
  gain = [b[0, 4] - plain[0, 4] for b in seeds]
  of_seeds = np.var(gain, ddof=1) / 4
  spread = np.mean([s[1:, 4] - plain[1:, 4] for s in seeds], axis=0)
  error = np.sqrt(of_seeds + np.var(spread, ddof=1))
  assert lost.high - lost.difference > 1.96 * error
  with pytest.raises(Error, match="no pairs"):
    dense.compare(seeds[:2], seeds[:3])


@pytest.mark.slow
@pytest.mark.parametrize(
  ("name", "expected", "rank1"),
  [
    ("lfw", (0.9800, 0.9526, 0.9056, 0.780), 4870),
    ("rank64-lfw", (0.9861, 0.9567, 0.9038, 0.737), 4870),
  ],
)
def test_lfw_has_the_numbers_of_its_data_card(name, expected, rank1):
  lfw = feature_sets.load(name)
  measured = dense.measure(lfw.features, lfw.identities)
  assert measured["num_same"] == 8101
  assert measured["num_different"] == 29640749
  for metric, tar in zip(dense.METRICS, expected):
    assert measured[metric] == pytest.approx(tar, abs=6e-5 + 5e-4 * (tar < 0.8))
  assert measured["rank1"] * 4979 == pytest.approx(rank1)


def test_a_set_without_two_of_a_person_or_without_two_people_has_none():
  assert not dense.possible(np.array([1, 2, 3, -1, -1]))
  assert not dense.possible(np.array([4, 4, -1]))
  assert dense.possible(np.array([4, 4, 5]))
