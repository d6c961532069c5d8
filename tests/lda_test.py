import numpy as np
import pytest
import scipy.linalg
from stored_runs import assert_stored

from tsenh import portable
from tsenh.base.errors import Error
from tsenh.coding import entropy
from tsenh.data import feature_sets
from tsenh.features import compressor, lda, pca
from tsenh.recognition import dense
from tsenh.training import run_folders


@pytest.fixture(scope="module")
def faces():
  return feature_sets.load("faces-train")


@pytest.fixture(scope="module")
def coder(faces):
  """Plain LDA, but for a little shrinkage, and its way back."""
  arguments = (faces.features, faces.identities, 0.01, "least_squares")
  return lda.fit(2.8, 48, *arguments)


@pytest.fixture(scope="module")
def best(faces):
  """As `ahead-64` is fitted."""
  return lda.fit(1.55, 32, faces.features, faces.identities)


def test_the_covariance_within_people_by_hand():
  features = np.array([[1, 0], [3, 0], [0, 5], [9, 9], [7, 7], [0, 1]])
  identities = np.array([4, 4, 2, -1, -1, 2])
  # Differences from the means (2, 0) and (0, 3), with 4 - 2 degrees of freedom.
  expected = [[2 / 2, 0], [0, 8 / 2]]
  np.testing.assert_allclose(lda.within(features, identities), expected)


def test_people_spread_alike_in_all_directions_and_the_way_back_is_the_best(
  faces, coder
):
  w = coder.components
  spread = w.T @ lda.within(faces.features, faces.identities) @ w
  # Not quite one, for the shrinkage.
  np.testing.assert_allclose(spread, np.eye(48), atol=0.06)
  latent = coder.latent(faces.features) * coder.step
  variances = latent.var(axis=0)
  assert (np.diff(variances) < 0).all() and variances[-1] > 1.5
  centred = faces.features - coder.mean
  best, *_ = np.linalg.lstsq(latent, centred, rcond=None)
  np.testing.assert_allclose(coder.reconstruction, best, atol=1e-6)


def test_it_tells_held_out_people_apart_better_with_fewer_bits(
  faces, coder, best
):
  held_out = feature_sets.load("faces-validation")
  some = held_out.identities < np.quantile(held_out.identities, 0.25)
  found = []
  for codec in (best, coder, pca.fit(0.27, faces.features)):
    tables = entropy.fit_coder(codec.encode(faces.features[::8]))
    codes = codec.encode(held_out.features[some])
    people = held_out.identities[some]
    measured = dense.measure(codec.decode(codes), people)
    found.append((tables.bits(codes).mean(), measured["tar_at_far_1e-3"]))
  (best_bits, best_tar), (lda_bits, lda_tar), (pca_bits, pca_tar) = found
  assert 60 < best_bits < lda_bits < pca_bits < 80
  assert best_tar > lda_tar + 0.03
  assert lda_tar > pca_tar + 0.1


def test_decoded_features_have_the_distances_of_the_components(faces, best):
  some = faces.features[:500]
  latent = best.latent(some)
  spread = best.reconstruction @ best.reconstruction.T
  np.testing.assert_allclose(spread, spread[0, 0] * np.eye(32), atol=1e-9)
  centred = best.decode(latent) - best.mean
  np.testing.assert_allclose(
    np.square(centred[:250] - centred[250:]).sum(axis=1),
    spread[0, 0]
    * best.step**2
    * np.square(latent[:250] - latent[250:]).sum(axis=1),
    rtol=1e-4,
  )
  # No such rotation comes nearer to the features.
  original = faces.features - best.mean
  error = np.square(best.decode(best.latent(faces.features)) - faces.features)
  random = np.random.default_rng(0)
  for scale in (0.9, 1.1):
    turned = (best.latent(faces.features) * best.step) @ best.reconstruction
    other = np.square(scale * turned - original)
    assert other.sum() > error.sum()
  for _ in range(3):
    tilt = random.normal(size=[128, 128]) * 0.01
    turn = scipy.linalg.expm(tilt - tilt.T)
    other = (best.latent(faces.features) * best.step) @ best.reconstruction
    assert np.square(other @ turn - original).sum() > error.sum()


def test_without_end_shrinkage_makes_principal_components(faces):
  coder = lda.fit(0.1, 20, faces.features, faces.identities, 1e9)
  leading = pca.fit(0.1, faces.features).components[:, :-21:-1]
  own = coder.components / np.linalg.norm(coder.components, axis=0)
  np.testing.assert_allclose(np.abs((own * leading).sum(axis=0)), 1, atol=1e-4)


def test_the_step_for_so_many_bits(faces, best):
  for bits in (32.0, 64.0):
    step = lda.step_for(bits, best, faces.features[::16])
    coder = lda.fit(step, 32, faces.features, faces.identities)
    codes = coder.encode(faces.features[::16])
    assert entropy.fit_coder(codes).bits(codes).mean() == pytest.approx(
      bits, rel=2e-3
    )
  with pytest.raises(Error, match="no step gives 1000 bits in 32 directions"):
    lda.step_for(1000, best, faces.features[::16])


def test_directions_of_no_variance_do_not_lead():
  """Of rank 64, a rounding's noise tells nobody apart."""
  faces = feature_sets.load("rank64-faces-train")
  coder = lda.fit(1.0, 48, faces.features, faces.identities, 0.01)
  values = np.linalg.eigvalsh(np.cov(faces.features, rowvar=False))
  assert values[0] < 1e-4 * values[-1]
  assert np.linalg.norm(coder.components, axis=0).max() < 100


def test_a_run_folder_holds_it_and_portable_agrees(coder, lfw, tmp_path):
  codec = assert_stored(coder, lfw.features[:300], tmp_path)
  costs = codec.costs()["receiver"]
  assert costs.multiply_adds == 48 * 128
  # What says that it has no reconstruction has other arrays.
  run_folders.write_config(
    tmp_path,
    {
      key: value
      for key, value in run_folders.read_config(tmp_path).items()
      if key != "code_dim"
    },
  )
  for load in (compressor.load, portable.load):
    with pytest.raises(Error, match="not the weights of this architecture"):
      load(str(tmp_path))


def test_portable_reads_principal_components(lfw, tmp_path):
  coder = pca.fit(0.1, lfw.features[:300])
  tables = entropy.fit_coder(coder.encode(lfw.features[:300]))
  config = {"kind": coder.KIND, **coder.architecture()}
  run_folders.finish(tmp_path, config, coder, tables)
  port = portable.load(tmp_path)
  data = compressor.load(str(tmp_path)).compress(lfw.features[:20])
  assert portable.compress(port, lfw.features[:20]) == data
  expected = coder.decode(coder.encode(lfw.features[:20]))
  np.testing.assert_allclose(
    portable.decompress(port, data), expected, atol=1e-6
  )


@pytest.mark.parametrize(
  "dim, identities, said",
  [
    (3, [0, 0, 1, 1], "3 directions, but a feature has 2 dimensions"),
    (1, [0, 1, 2, -1], "nobody in the training set"),
    (1, [0, 0, 1, 2], "nobody in the training set"),
  ],
)
def test_what_it_cannot_be_fitted_to_is_an_error(dim, identities, said):
  features = np.array([[1, 2], [1, 2], [0, 1], [3, 1]], np.float32)
  with pytest.raises(Error, match=said):
    lda.fit(1.0, dim, features, np.array(identities))


def test_codes_beyond_32_bits_are_refused(coder):
  loud = np.full([1, 128], 1e6, np.float32)
  small = pca.TransformCoder(
    1e-4, 128, coder.mean, coder.components, coder.reconstruction, 48
  )
  with pytest.raises(Error, match=r"steps of 0\.0001 long"):
    small.encode(loud)
