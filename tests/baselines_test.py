import numpy as np
import pytest

from tsenh import baselines
from tsenh.base.errors import Error
from tsenh.baselines import (
  additive,
  binary_codes,
  dbh,
  dhn,
  faiss_codec,
  labels,
  quantization,
  rabitq,
)
from tsenh.data import feature_sets
from tsenh.data.feature_sets import FeatureSet


@pytest.fixture(scope="module")
def people():
  """The 1,500 faces of the people with the most of them."""
  faces = feature_sets.load("faces")
  count = np.bincount(faces.identities[faces.identities >= 0])
  rank = np.argsort(np.argsort(-count, kind="stable"))
  rows = np.flatnonzero(faces.identities >= 0)
  rows = rows[np.argsort(rank[faces.identities[rows]], kind="stable")][:1500]
  return FeatureSet(faces.features[rows], identities=faces.identities[rows])


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*baselines.QUANTIZERS, *baselines.HASHES])
def test_a_code_is_as_long_as_the_name_says_and_the_fit_is_repeatable(
  kind, people
):
  bits = 128 if kind == "rabitq" else 32  # Of which 64 are its factors.
  first, again, other = (
    baselines.load(f"{kind}-{bits}", people, seed) for seed in (0, 0, 1)
  )
  codes = first.encode(people.features)
  assert codes.dtype == np.uint8
  assert codes.shape == (1500, bits // 8)
  assert first.digest() == again.digest()
  assert first.digest() != other.digest()
  np.testing.assert_array_equal(codes, again.encode(people.features))
  # It says something; DBH not much more than whose face of these it is.
  assert len(np.unique(codes, axis=0)) > (20 if kind == "dbh" else 400)
  assert first.costs()["sender"].multiply_adds > 0
  if not baselines.is_hash(kind):
    decoded = first.decode(codes)
    error = np.square(decoded - people.features).mean()
    assert error < 0.8 * people.features.var()
  if kind in ("dbh", "dhn"):
    assert first.objective[-1] < 0.9 * first.objective[0]


@pytest.mark.slow
def test_more_bits_and_a_rotation_lower_the_error(people):
  def error(name):
    codec = baselines.load(name, people)
    decoded = codec.decode(codec.encode(people.features))
    return np.square(decoded - people.features).mean()

  assert error("pq-64") < error("pq-32")
  assert error("opq-32") < error("pq-32")
  assert error("rq-64") < error("rq-32")
  assert error("prq-64") < error("prq-32")
  assert error("lsq-64") < error("lsq-32")


@pytest.mark.parametrize("name", ["pq-12", "pq-0", "pq-9999", "itq-4"])
def test_a_bad_length_is_refused(name, people):
  assert baselines.named(name)
  with pytest.raises(Error, match="multiple of 8 bits"):
    baselines.load(name, people)


def test_what_cannot_be_fitted_is_refused(people):
  with pytest.raises(Error, match="3 sub-quantizers do not divide the 128"):
    baselines.load("pq-24", people)
  with pytest.raises(Error, match="multiple of 16 bits"):
    baselines.load("prq-24", people)
  for bits in (64, 200):
    with pytest.raises(Error, match="expected 72 to 192 bits"):
      baselines.load(f"rabitq-{bits}", people)
  few = FeatureSet(people.features[:255])
  with pytest.raises(Error, match="256 training features or more"):
    baselines.load("lsq-32", few)
  nameless = FeatureSet(people.features)
  with pytest.raises(Error, match="needs a training set with identities"):
    baselines.load("dbh-32", nameless)
  for other in ("pq", "pro-1e-6", "sq-40", "pq-x", "rq-"):
    assert not baselines.named(other)


def test_hamming_distances_equal_a_plain_loop():
  codes = np.random.default_rng(0).integers(0, 256, [9, 3], np.uint8)
  pairs = np.array([[0, 1], [2, 2], [8, 3]])
  expected = [
    sum(bin(int(x) ^ int(y)).count("1") for x, y in zip(codes[a], codes[b]))
    for a, b in pairs
  ]
  assert baselines.hamming_distances(codes, pairs).tolist() == expected


def test_dbhs_objective_is_that_of_the_explicit_matrices(people):
  bits = 16
  hashing = dbh.fit(people, bits, 0)
  h = np.unpackbits(hashing.encode(people.features), axis=1) * 2.0 - 1
  same = people.identities[:, None] == people.identities
  s = np.where(same, 1.0, -1.0)
  explicit = np.square(h @ h.T / bits - s).sum() / np.square(s).sum()
  # Encoding has the kernel in single precision: a sign may turn.
  assert hashing.objective[-1] == pytest.approx(explicit, rel=2e-3)
  assert len(hashing.objective) == bits + 1
  assert np.diff(hashing.objective).max() < 0


def test_dhns_losses_equal_a_plain_loop():
  rng = np.random.default_rng(0)
  z = np.tanh(rng.normal(size=[6, 5])).astype(np.float32)
  person = np.array([1, 1, 2, 3, 3, 3], np.float32)
  same, different = [], []
  for i in range(6):
    for j in range(6):
      if i != j:
        logit = 10 * z[i] @ z[j] / 5
        if person[i] == person[j]:
          same.append(np.log1p(np.exp(logit)) - logit)
        else:
          different.append(np.log1p(np.exp(logit)))
  entropy, quantization = dhn.pairwise_loss(z, person)
  expected = (np.mean(same) + np.mean(different)) / 2
  assert float(entropy) == pytest.approx(expected, rel=1e-5)
  expected = np.log(np.cosh(np.abs(z) - 1)).mean()
  assert float(quantization) == pytest.approx(expected, rel=1e-4)


def test_supervised_hashing_learns_from_people_with_five_faces_or_more():
  identities = np.array([3, 3, 3, 3, 3, 8, 8, 8, 8, 5, 5, 5, 5, 5, 5, -1])
  rows = labels.labelled(identities)
  assert rows.tolist() == [9, 10, 11, 12, 13, 14, 0, 1, 2, 3, 4]


def test_a_face_is_paired_with_another_of_the_same_person(monkeypatch):
  monkeypatch.setattr(labels, "MIN_FACES", 1)
  faces = np.arange(6, dtype=np.float32)[:, None]
  training_set = FeatureSet(faces, identities=np.array([4, -1, 7, 4, 4, 9]))
  found = dhn._pairs(training_set, 0)
  columns = (found[name].ravel() for name in ("first", "second", "person"))
  pairs = set(zip(*columns))
  of_four = {(a, b) for a, b, person in pairs if person == 4}
  assert {a for a, _ in of_four} == {b for _, b in of_four} == {0, 3, 4}
  assert all(a != b for a, b in of_four)
  # Who has one face is paired with it.
  assert {(2, 2, 7), (5, 5, 9)} <= pairs
  assert len(pairs) == 5


def test_costs_count_codebooks_and_rotations():
  pq, opq, rq = (quantization._costs(k, 128, 16) for k in ("pq", "opq", "rq"))
  assert pq["sender"] == (256 * 128, 256 * 128)
  assert pq["receiver"] == (256 * 128, 0)
  assert opq["receiver"] == (256 * 128 + 128**2, 128**2)
  # A stage has centroids of the whole dimension, and five are followed.
  assert rq["sender"] == (16 * 256 * 128, 5 * 16 * 256 * 128)


def test_costs_count_what_an_additive_code_is_searched_in():
  prq, lsq = (additive._costs(kind, 128, 16) for kind in ("prq", "lsq"))
  # Half as many stages as RQ's, each of both halves.
  assert prq["sender"] == (8 * 256 * 128, 5 * 8 * 256 * 128)
  assert prq["receiver"] == (8 * 256 * 128, 0)
  assert lsq["receiver"] == (16 * 256 * 128, 0)
  assert lsq["sender"].parameters == 16 * 256 * 128 + (16 * 256) ** 2


def test_rabitq_has_a_sign_a_dimension_and_two_numbers(people):
  whole, half = (rabitq.fit(people, bits, 0) for bits in (192, 128))
  codes = whole.encode(people.features)
  assert codes.shape == (1500, 16 + 8)
  numbers = codes[:, 16:].copy().view(np.float32)
  assert np.isfinite(numbers).all()
  # The decoded feature's part along the feature is as long as the feature.
  centred = people.features - people.features.mean(axis=0)
  along = (whole.decode(codes) - people.features.mean(axis=0)) * centred
  ratio = along.sum(axis=1) / np.square(centred).sum(axis=1)
  np.testing.assert_allclose(ratio, 1, atol=1e-3)
  # Of half as many signs it holds the leading components alone.
  decoded = half.decode(half.encode(people.features))
  assert np.linalg.matrix_rank(decoded - decoded.mean(axis=0), 1e-3) == 64
  assert half.costs()["sender"].multiply_adds == 128 * 64


def test_hyperplanes_are_signs_of_a_rotation_that_the_seed_turns(people):
  first, second = (binary_codes.fit("lsh", people, 32, seed) for seed in (0, 1))
  assert isinstance(first, faiss_codec.FaissCodec)
  codes = np.unpackbits(first.encode(people.features), axis=1)
  mirrored = np.unpackbits(first.encode(-people.features), axis=1)
  assert (codes != mirrored).mean() > 0.99
  assert (codes != np.unpackbits(second.encode(people.features), axis=1)).any()
  assert first.costs()["sender"].multiply_adds == 128 * 32
