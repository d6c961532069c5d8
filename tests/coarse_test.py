import numpy as np
import pytest
import tensorflow as tf

from tsenh.features import coarse


def unit(rows):
  return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def batch():
  rng = np.random.default_rng(0)
  features = rng.normal(size=[6, 5]).astype(np.float32)
  people = np.array([0, 1, -1, 0, 2, 0], np.int32)
  classes = rng.normal(size=[3, 5]).astype(np.float32)
  return features, people, classes


def test_people_of_several_photographs_are_numbered():
  identities = np.array([7, 9, -1, 7, 5, -1, 3, 3])
  found = coarse.labels(identities)
  np.testing.assert_array_equal(found, [1, -1, -1, 1, -1, -1, 0, 0])


def test_centres_are_the_means_of_the_people():
  features = np.array([[1.0, 0], [3, 2], [9, 9], [4, 4], [0, 2]])
  found = coarse.centres(features, np.array([1, 1, -1, 0, 0]))
  np.testing.assert_array_equal(found, [[2, 3], [2, 1]])


@pytest.mark.parametrize("margin", [0.0, 0.3])
def test_the_softmax_loss_is_that_of_a_loop(batch, margin):
  features, people, classes = batch
  cosine = unit(features) @ unit(classes).T
  losses = []
  for row, person in zip(cosine, people):
    if person < 0:
      continue
    logits = coarse.SCALE * row
    harder = np.cos(np.arccos(row[person]) + margin)
    logits[person] = coarse.SCALE * harder
    losses.append(np.log(np.exp(logits).sum()) - logits[person])
  found = coarse.softmax_loss(*map(tf.constant, batch), margin)
  np.testing.assert_allclose(found, np.mean(losses), rtol=1e-4)


def test_the_contrastive_loss_is_that_of_a_loop(batch):
  features, people, _ = batch
  similarity = np.exp(unit(features) @ unit(features).T / coarse.TEMPERATURE)
  losses = []
  for i, person in enumerate(people):
    others = [j for j in range(6) if j != i and people[j] >= 0]
    same = [j for j in others if people[j] == person]
    if person >= 0 and same:
      whole = sum(similarity[i, j] for j in others)
      losses.append(-np.log(np.mean([similarity[i, j] for j in same]) / whole))
  assert len(losses) == 3
  found = coarse.contrastive_loss(tf.constant(features), tf.constant(people))
  np.testing.assert_allclose(found, np.mean(losses), rtol=1e-4)


@pytest.mark.parametrize("form", ["softmax", "margin", "contrastive"])
def test_the_gradient_draws_a_person_together_and_leaves_the_unknown(
  batch, form
):
  features, people, classes = map(tf.constant, batch)
  with tf.GradientTape() as tape:
    tape.watch(features)
    loss = coarse.coarse_loss(form, features, people, classes)
  gradient = tape.gradient(loss, features)
  assert np.isfinite(gradient).all()
  np.testing.assert_array_equal(gradient[2], np.zeros(5))
  better = coarse.coarse_loss(form, features - 0.01 * gradient, people, classes)
  assert better < loss


@pytest.mark.parametrize("form", ["softmax", "margin", "contrastive"])
def test_a_batch_of_unknown_people_costs_nothing(batch, form):
  features, _, classes = map(tf.constant, batch)
  nobody = tf.fill([6], -1)
  with tf.GradientTape() as tape:
    tape.watch(features)
    loss = coarse.coarse_loss(form, features, nobody, classes)
  assert loss == 0
  np.testing.assert_array_equal(tape.gradient(loss, features), np.zeros([6, 5]))


def test_the_centres_of_softmax_are_trained_and_contrast_has_none(batch):
  features, people, _ = batch
  people = np.where(people == 1, 2, people)
  prepared = [
    coarse.prepare(form, features, people, 4, 0)
    for form in ("none", "contrastive", "margin")
  ]
  assert prepared[0] == coarse.NONE
  assert prepared[1].training["training_variables"] == {}
  (found,) = prepared[2].training["training_variables"].values()
  assert found.shape == (2, 5) and found.trainable
  for one in prepared[1:]:
    assert one.training["sampler"].batch_size == 4
    assert np.isfinite(one.term(tf.constant(features), one.examples))
