import numpy as np
import pytest

from tsenh.data import feature_sets
from tsenh.recognition import dense


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
  pairs = dense.all_pairs(*people)
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


@pytest.mark.slow
def test_lfw_has_the_numbers_of_its_data_card():
  lfw = feature_sets.load("lfw")
  measured = dense.measure(lfw.features, lfw.identities)
  assert measured["num_same"] == 8101
  assert measured["num_different"] == 29640749
  expected = {"1e-3": 0.9861, "1e-4": 0.9567, "1e-5": 0.9038, "1e-6": 0.737}
  for rate, tar in expected.items():
    assert measured[f"tar_at_far_{rate}"] == pytest.approx(tar, abs=6e-4)
  assert measured["rank1"] == pytest.approx(0.978, abs=5e-4)


def test_a_set_without_two_of_a_person_or_without_two_people_has_none():
  assert not dense.possible(np.array([1, 2, 3, -1, -1]))
  assert not dense.possible(np.array([4, 4, -1]))
  assert dense.possible(np.array([4, 4, 5]))
