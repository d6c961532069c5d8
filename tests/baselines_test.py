import numpy as np
import pytest

from tsenh import baselines, compression, features
from tsenh.baselines import dhn, ksh
from tsenh.baselines.transform_coding import TransformCoder
from tsenh.errors import Error
from tsenh.features import FeatureSet


@pytest.fixture(scope="module")
def people():
  """The 1,500 faces of the people with the most of them."""
  faces = features.load("faces")
  count = np.bincount(faces.identities[faces.identities >= 0])
  rank = np.argsort(np.argsort(-count, kind="stable"))
  rows = np.flatnonzero(faces.identities >= 0)
  rows = rows[np.argsort(rank[faces.identities[rows]], kind="stable")][:1500]
  return FeatureSet(faces.features[rows], identities=faces.identities[rows])


@pytest.fixture(scope="module")
def path(people, tmp_path_factory):
  path = tmp_path_factory.mktemp("people") / "people.npz"
  features.save(str(path), people)
  return path


@pytest.mark.parametrize("kind", [*baselines.QUANTIZERS, *baselines.HASHES])
def test_a_code_is_as_long_as_the_name_says_and_the_fit_is_repeatable(
  kind, path, people
):
  first, again = (baselines.load(f"{kind}:32:{path}") for _ in range(2))
  codes = first.encode(people.features)
  assert codes.dtype == np.uint8
  assert codes.shape == (1500, 4)
  assert first.digest() == again.digest()
  np.testing.assert_array_equal(codes, again.encode(people.features))
  # It says something; KSH not much more than whose face of these it is.
  assert len(np.unique(codes, axis=0)) > (20 if kind == "ksh" else 400)
  assert first.multiply_adds["sender"] > 0
  if not baselines.is_hash(kind):
    decoded = first.decode(codes)
    error = np.square(decoded - people.features).mean()
    assert error < 0.8 * people.features.var()
  if kind in ("ksh", "dhn"):
    assert first.objective[-1] < 0.9 * first.objective[0]


def test_more_bits_and_a_rotation_lower_the_error(path, people):
  def error(name):
    codec = baselines.load(f"{name}:{path}")
    decoded = codec.decode(codec.encode(people.features))
    return np.square(decoded - people.features).mean()

  assert error("pq:64") < error("pq:32")
  assert error("opq:32") < error("pq:32")
  assert error("rq:64") < error("rq:32")


@pytest.mark.parametrize("name", ["pq:12", "pq:0", "pq:9999", "itq:x", "rq:"])
def test_a_bad_length_is_refused(name):
  assert baselines.named(name)
  with pytest.raises(Error, match="multiple of 8 bits"):
    baselines.load(name)


def test_what_cannot_be_fitted_is_refused(path, small_faces):
  with pytest.raises(Error, match="3 sub-quantizers do not divide the 128"):
    baselines.load(f"pq:24:{path}")
  with pytest.raises(Error, match="needs a training set with identities"):
    baselines.load(f"ksh:32:{small_faces}")
  assert not baselines.named("pq")
  assert not baselines.named("pro-1e-6")


def test_hamming_distances_equal_a_plain_loop():
  codes = np.random.default_rng(0).integers(0, 256, [9, 3], np.uint8)
  pairs = np.array([[0, 1], [2, 2], [8, 3]])
  expected = [
    sum(bin(int(x) ^ int(y)).count("1") for x, y in zip(codes[a], codes[b]))
    for a, b in pairs
  ]
  assert baselines.hamming_distances(codes, pairs).tolist() == expected


def test_kshs_objective_is_that_of_the_explicit_matrices(people):
  bits = 16
  hashing = ksh.fit(people, bits)
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


def test_a_face_is_paired_with_another_of_the_same_person():
  faces = np.arange(6, dtype=np.float32)[:, None]
  training_set = FeatureSet(faces, identities=np.array([4, -1, 7, 4, 4, 9]))
  pairs = {tuple(row) for row in dhn._pairs(training_set).tolist()}
  of_four = {(a, b) for a, b, person in pairs if person == 4}
  assert {a for a, _ in of_four} == {b for _, b in of_four} == {0, 3, 4}
  assert all(a != b for a, b in of_four)
  # Who has one face is paired with it.
  assert {(2, 2, 7), (5, 5, 9)} <= pairs
  assert len(pairs) == 5


def test_pca_is_off_by_half_a_step_per_component_at_most(people):
  coder = TransformCoder(0.1, people.features)
  codes = coder.encode(people.features)
  difference = (coder.decode(codes) - people.features) @ coder._components
  assert np.abs(difference).max() < 0.05 + 1e-6
  # The components are those of the covariance: their codes are uncorrelated.
  exact = (people.features - coder._mean) @ coder._components
  covariance = np.cov(exact, rowvar=False)
  off_diagonal = covariance - np.diag(np.diag(covariance))
  assert np.abs(off_diagonal).max() < 1e-6
  assert coder.digest() != TransformCoder(0.2, people.features).digest()


def test_pca_goes_through_the_same_file(path, people):
  codec = compression.load(f"pca:0.1:{path}")
  decoded = codec.decompress(codec.compress(people.features))
  np.testing.assert_array_equal(
    decoded, codec.transform.decode(codec.transform.encode(people.features))
  )
  for name in ("pca:0", "pca:nan", "pca:x", "pca:-1"):
    with pytest.raises(Error, match=r"expected pca:STEP"):
      compression.load(name)
  with pytest.raises(Error, match="expected sq:QP"):
    compression.load("sq:4.5")
