import numpy as np
import pytest

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
  return lda.fit(2.8, 48, faces.features, faces.identities)


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
  # Not quite one, for the ridge.
  np.testing.assert_allclose(spread, np.eye(48), atol=0.06)
  latent = coder.latent(faces.features) * coder.step
  variances = latent.var(axis=0)
  assert (np.diff(variances) < 0).all() and variances[-1] > 1.5
  centred = faces.features - coder.mean
  best, *_ = np.linalg.lstsq(latent, centred, rcond=None)
  np.testing.assert_allclose(coder.reconstruction, best, atol=1e-6)


def test_it_tells_held_out_people_apart_better_than_pca_with_fewer_bits(
  faces, coder
):
  held_out = feature_sets.load("faces-validation")
  some = held_out.identities < np.quantile(held_out.identities, 0.25)
  found = []
  for codec in (coder, pca.fit(0.27, faces.features)):
    tables = entropy.fit_coder(codec.encode(faces.features[::8]))
    codes = codec.encode(held_out.features[some])
    people = held_out.identities[some]
    measured = dense.measure(codec.decode(codes), people)
    found.append((tables.bits(codes).mean(), measured["tar_at_far_1e-3"]))
  (lda_bits, lda_tar), (pca_bits, pca_tar) = found
  assert 60 < lda_bits < pca_bits < 80
  assert lda_tar > pca_tar + 0.1


def test_directions_of_no_variance_do_not_lead():
  """Of rank 64, a rounding's noise tells nobody apart."""
  faces = feature_sets.load("rank64-faces-train")
  coder = lda.fit(1.0, 48, faces.features, faces.identities)
  values = np.linalg.eigvalsh(np.cov(faces.features, rowvar=False))
  assert values[0] < 1e-4 * values[-1]
  assert np.linalg.norm(coder.components, axis=0).max() < 100


def test_a_run_folder_holds_it_and_portable_agrees(coder, lfw, tmp_path):
  faces = lfw.features[:300]
  tables = entropy.fit_coder(coder.encode(faces))
  config = {"kind": coder.KIND, **coder.architecture()}
  run_folders.finish(tmp_path, config, coder, tables)
  codec = compressor.load(str(tmp_path))
  port = portable.load(tmp_path)
  data = codec.compress(faces)
  assert portable.compress(port, faces) == data
  decoded = codec.decompress(data)
  np.testing.assert_array_equal(decoded, coder.decode(coder.encode(faces)))
  np.testing.assert_allclose(portable.decompress(port, data), decoded)
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
