"""The graph of faces, and what is kept of it."""

import itertools

import numpy as np
import pytest
import scipy.sparse

from tsenh.recognition import selection


@pytest.fixture
def faces():
  """Features of four people with five photographs, and of two unknown ones."""
  random = np.random.default_rng(0)
  centres = np.repeat(random.normal(size=[4, 8]), 5, axis=0)
  features = centres + 0.4 * random.normal(size=[20, 8])
  features = np.concatenate([features, random.normal(size=[2, 8])])
  features /= np.linalg.norm(features, axis=1, keepdims=True)
  people = np.concatenate([np.repeat(range(4), 5), [-1, -1]])
  return features.astype(np.float32), people


def test_the_unary_term_is_the_cosine_to_the_centre(faces):
  features, people = faces
  found = selection.unary(features, people)
  centre = features[5:10].sum(axis=0)
  np.testing.assert_allclose(
    found[5:10],
    features[5:10] @ centre / np.linalg.norm(centre),
    rtol=1e-5,
  )
  np.testing.assert_allclose(found[20:], found[:20].mean(), rtol=1e-5)
  survived = selection.unary(features, people, 3 * features)
  np.testing.assert_allclose(survived, found + 1, rtol=1e-5)


def test_edges_are_those_of_a_loop_over_pairs(faces, monkeypatch):
  features, people = faces
  monkeypatch.setattr(selection, "_ROWS", 7)
  found = selection.edges(features, people).toarray()
  for i, j in itertools.product(range(22), repeat=2):
    cosine = float(features[i] @ features[j])
    if people[i] == people[j] >= 0:
      expected = selection.REDUNDANCY * max(cosine, 0)
    else:
      expected = selection.CONFUSION * max(cosine - 0.4, 0)
    assert found[i, j] == pytest.approx(0 if i == j else expected, abs=1e-6)


def test_the_greedy_method_always_takes_the_face_that_adds_most(faces):
  values = selection.unary(*faces)
  weights = selection.edges(*faces)
  for budget in (1, 5, 22):
    kept = np.zeros(22, bool)
    for _ in range(budget):
      before = selection.energy(kept, values, weights)
      adds = np.full(22, -np.inf)
      for i in np.flatnonzero(~kept):
        more = kept.copy()
        more[i] = True
        adds[i] = selection.energy(more, values, weights) - before
      kept[adds.argmax()] = True
    found = selection.greedy(values, weights, budget)
    np.testing.assert_array_equal(found, kept)


def test_of_two_alike_one_is_kept():
  weights = scipy.sparse.csr_matrix(
    np.array([[0, 0.9, 0], [0.9, 0, 0], [0, 0, 0]])
  )
  kept = selection.greedy(np.array([1.0, 0.95, 0.3]), weights, 2)
  np.testing.assert_array_equal(kept, [True, False, True])


def test_every_method_keeps_its_share(faces):
  assert selection.select("all", 1.0, *faces, seed=0).all()
  kept = {
    method: selection.select(method, 0.5, *faces, seed=0)
    for method in ("random", "graph")
  }
  assert [k.sum() for k in kept.values()] == [11, 11]
  assert (kept["random"] != kept["graph"]).any()
  other = selection.select("random", 0.5, *faces, seed=1)
  assert (other != kept["random"]).any()
