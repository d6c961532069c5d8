import numpy as np
import pytest

from tsenh.base.errors import Error
from tsenh.data import feature_sets, manifests
from tsenh.recognition import verification

SETS = list(manifests.sets())


@pytest.mark.parametrize("name", SETS)
def test_a_set_holds_what_its_manifest_says(name):
  info = manifests.sets()[name]
  found = feature_sets.load(name)
  assert found.features.shape == (info.count, info.dim)
  assert found.digest() == info.digest
  assert (found.pairs is not None) == (info.num_pairs > 0)
  if info.num_pairs:
    assert len(found.pairs) == info.num_pairs
    distances = verification.squared_distances(found.features, found.pairs)
    hits = verification.decisions(distances, found.is_same).sum()
    assert hits == info.correct_pairs


@pytest.mark.parametrize("network", list(manifests.networks()))
def test_every_network_has_training_validation_and_test(network):
  network = manifests.networks()[network]
  roles = {
    name: network.sets[name].role
    for name in (network.training, network.held_in, network.validation)
  }
  assert list(roles.values()) == ["training", "training", "validation"]
  assert network.tests
  for name in network.tests:
    assert network.sets[name].role == manifests.TEST
    assert network.sets[name].num_pairs > 0
  assert manifests.network_of(network.validation) == network


@pytest.mark.parametrize("network", list(manifests.networks()))
def test_people_of_the_validation_set_are_in_no_other_part(network):
  network = manifests.networks()[network]
  held_in, validation, whole = (
    feature_sets.load(name)
    for name in (network.held_in, network.validation, network.training)
  )
  assert len(held_in.features) + len(validation.features) == len(whole.features)
  assert not set(held_in.identities) & set(validation.identities)
  people = validation.identities[validation.pairs]
  np.testing.assert_array_equal(
    people[:, 0] == people[:, 1], validation.is_same
  )
  # People apart in the ten folds too, and no pair of one photograph.
  folds = people.reshape(feature_sets.NUM_FOLDS, -1)
  assert sum(len(set(fold)) for fold in folds) == len(set(folds.flat))
  names = validation.names[validation.pairs]
  photographs = np.char.rpartition(names, "/")[..., 2]
  assert (photographs[:, 0] != photographs[:, 1]).all()
  assert not np.char.endswith(names, "#flipped").any()


@pytest.mark.parametrize("network", list(manifests.networks()))
def test_the_validation_set_is_as_hard_as_the_test_set(network):
  network = manifests.networks()[network]
  validation = network.sets[network.validation]
  test = network.sets[network.tests[0]]
  assert (
    validation.correct_pairs / validation.num_pairs
    <= test.correct_pairs / test.num_pairs
  )


def test_there_is_one_default_and_it_comes_first():
  networks = list(manifests.networks().values())
  assert [network.default for network in networks].count(True) == 1
  assert networks[0] == manifests.default()


def test_sets_of_two_networks_are_not_mixed():
  digests = {name: info.digest for name, info in manifests.sets().items()}
  own = {name: digests[name] for name in ("faces", "lfw")}
  manifests.check_one_network({**own, "mine.npz": "0" * 64})
  with pytest.raises(
    Error, match="faces is of the network fullrank, but dlib-lfw of dlib"
  ):
    manifests.check_one_network({**own, "dlib-lfw": digests["dlib-lfw"]})


def test_a_set_is_known_by_its_features_whatever_its_name():
  lfw = manifests.sets()["lfw"]
  assert manifests.find(lfw.digest) == lfw
  assert manifests.is_test(lfw.digest)
  assert not manifests.is_test(manifests.sets()["faces-validation"].digest)
  assert manifests.find("0" * 64) is None
  assert manifests.is_test("0" * 64)  # Somebody's own.
