import numpy as np
import pytest
import tensorflow as tf

from tsenh.base.errors import Error
from tsenh.data import feature_sets
from tsenh.features.pro import Codec, rate_distortion_loss
from tsenh.training import samplers, trainer
from tsenh.training.trainer import Recipe


@pytest.fixture(scope="module")
def faces():
  return feature_sets.load("faces").features[:300]


def make(
  faces, seed=3, learning_rate=1e-3, epsilon=1e-7, sampler=None, lmbda=1e-4
):
  codec = Codec(128, 16, 24, seed=seed)

  def loss_fn(batch, noise):
    f_rec, c = codec(batch["features"], noise)
    return rate_distortion_loss(batch["features"], f_rec, c, lmbda)

  return trainer.Trainer(
    codec.named_variables(),
    loss_fn,
    ("loss", "distortion", "rate"),
    {"features": faces},
    Recipe(learning_rate=learning_rate, adam_epsilon=epsilon, seed=seed),
    noise_dim=16,
    sampler=sampler,
  )


def run(loop, epochs):
  metrics = []
  for _ in range(epochs):
    loop.run_epoch(lambda *_: None)
    metrics.append(loop.metrics)
  return metrics


def assert_same_state(a, b):
  assert a.keys() == b.keys()
  for key in a:
    np.testing.assert_array_equal(a[key], b[key], err_msg=key)


@pytest.mark.slow
@pytest.mark.parametrize("epsilon", [1e-7, 1e-3])
def test_the_compiled_loop_equals_adam_written_out(faces, epsilon):
  """Three epochs against a plain loop of the update rule in NumPy float64."""
  loop = make(faces, epsilon=epsilon)
  reference = Codec(128, 16, 24, seed=3)
  variables = list(reference.named_variables().values())
  m = [np.zeros(v.shape) for v in variables]
  s = [np.zeros(v.shape) for v in variables]
  step, losses = 0, []
  for epoch in range(3):
    order = np.random.default_rng([3, epoch]).permutation(300)
    epoch_losses = []
    for batch in range(9):
      f_raw = faces[order[32 * batch : 32 * batch + 32]]
      noise = tf.random.stateless_uniform([32, 16], [3, step], -0.5, 0.5)
      with tf.GradientTape() as tape:
        f_rec, c = reference(f_raw, noise)
        loss, _, _ = rate_distortion_loss(f_raw, f_rec, c, 1e-4)
      step += 1
      rate = 1e-3 * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
      for i, g in enumerate(tape.gradient(loss, variables)):
        m[i] = 0.9 * m[i] + 0.1 * g.numpy()
        s[i] = 0.999 * s[i] + 0.001 * g.numpy().astype(float) ** 2
        variables[i].assign_sub(rate * m[i] / (np.sqrt(s[i]) + epsilon))
      epoch_losses.append(float(loss))
    losses.append(np.mean(epoch_losses))
  metrics = run(loop, 3)
  np.testing.assert_allclose([e["loss"] for e in metrics], losses, rtol=1e-4)
  state = loop.state()
  assert (state["epoch"], state["step"]) == (3, 27)
  for name, variable in reference.named_variables().items():
    np.testing.assert_allclose(
      state[f"weights/{name}"], variable, atol=2e-5, err_msg=name
    )


def test_the_loss_falls(faces):
  metrics = run(make(faces), 8)
  assert metrics[-1]["loss"] < 0.5 * metrics[0]["loss"]


@pytest.mark.slow
def test_one_seed_one_result_and_another_seed_another(faces):
  states = []
  for seed in (3, 3, 4):
    loop = make(faces, seed)
    run(loop, 2)
    states.append(loop.state())
  assert_same_state(states[0], states[1])
  name = "weights/encoder/fc1/kernel"
  assert (states[0][name] != states[2][name]).any()


@pytest.mark.slow
def test_a_restored_run_ends_in_the_same_bits(faces):
  whole = make(faces)
  run(whole, 4)
  first = make(faces)
  run(first, 2)
  second = make(faces)
  second.restore(first.state())
  run(second, 2)
  assert_same_state(second.state(), whole.state())


@pytest.mark.slow
def test_the_length_of_a_call_does_not_change_the_result(faces, monkeypatch):
  states = []
  row_bytes = 4 * (128 + 16)
  for steps in (1024, 4):  # 9 steps an epoch: one call, or three of 3.
    limit = 32 * steps * row_bytes
    monkeypatch.setattr(trainer, "MAX_BYTES_PER_CALL", limit)
    loop = make(faces)
    run(loop, 2)
    states.append(loop.state())
    del states[-1]["metrics"]  # Sums, in another order.
  assert_same_state(*states)


def test_too_few_features_and_a_diverged_run_are_errors(faces):
  with pytest.raises(Error, match="20 training features do not fill a batch"):
    make(faces[:20])
  with pytest.raises(Error, match="learning rate is too high"):
    run(make(faces, learning_rate=1e30), 3)


def test_weights_that_are_no_numbers_end_a_run_whose_loss_is_one(faces):
  with pytest.raises(
    Error, match=r"kernel is not finite at update 9: .*lambda"
  ):
    run(make(faces, lmbda=1e30), 1)


@pytest.mark.slow
def test_a_call_takes_no_more_memory_than_it_may(faces, monkeypatch):
  row_bytes = 4 * (128 + 16)
  sizes = []
  for limit in (1 << 25, 32 * row_bytes * 2, 1):
    monkeypatch.setattr(trainer, "MAX_BYTES_PER_CALL", limit)
    loop = make(faces)
    compiled = loop._run

    def spy(examples, noise, steps, compiled=compiled):
      arrays = [*examples.values(), noise]
      sizes.append(sum(a.numpy().nbytes for a in arrays))
      return compiled(examples, noise, steps)

    loop._run = spy
    sizes.clear()
    run(loop, 1)
    # One batch at least, however little is allowed.
    assert max(sizes) <= max(limit, 32 * row_bytes)


@pytest.mark.slow
def test_a_sampler_picks_the_batches(faces):
  class Same:
    batch_size, steps_per_epoch = 32, 9

    def batches(self, epoch):
      return np.tile(np.arange(32) + epoch, [9, 1])

  chosen = make(faces, sampler=Same())
  run(chosen, 1)
  small = make(np.tile(faces[:32], [9, 1]), sampler=Same())
  run(small, 1)
  first, second = chosen.state(), small.state()
  for key in first:
    np.testing.assert_array_equal(first[key], second[key], err_msg=key)
  shuffled = make(faces)
  run(shuffled, 1)
  name = "weights/encoder/fc1/kernel"
  assert (shuffled.state()[name] != first[name]).any()


@pytest.mark.slow
def test_variables_of_training_alone_are_trained_and_kept_apart(faces):
  codec = Codec(128, 16, 24, seed=3)
  scale = tf.Variable(2.0 * tf.ones([1]))

  def loss_fn(batch, noise):
    f_rec, _ = codec(batch["features"], noise)
    return (
      tf.reduce_mean(tf.square(scale * f_rec - batch["features"]))
      + tf.reduce_mean(batch["weight"]),
    )

  loop = trainer.Trainer(
    codec.named_variables(),
    loss_fn,
    ("loss",),
    {"features": faces, "weight": np.zeros(len(faces), np.float32)},
    Recipe(),
    noise_dim=16,
    training_variables={"scale": scale},
  )
  run(loop, 1)
  state = loop.state()
  assert state["training/scale"] != 2.0
  assert "scale" not in " ".join(codec.named_variables())


def test_arrays_of_other_lengths_and_an_unset_thread_mode_are_refused(
  faces, monkeypatch
):
  with pytest.raises(Error, match="differ in length"):
    trainer.Trainer(
      {}, None, (), {"a": faces, "b": faces[:7]}, Recipe(), noise_dim=1
    )
  monkeypatch.setenv("XLA_FLAGS", "")
  with pytest.raises(Error, match="set_thread_mode"):
    make(faces)


def test_shuffled_batches_hold_each_example_at_most_once():
  sampler = samplers.Shuffled(100, 32, seed=5)
  first, second = sampler.batches(0), sampler.batches(1)
  assert first.shape == (3, 32)
  assert len(set(first.flat)) == 96
  assert (first != second).any()
  np.testing.assert_array_equal(
    samplers.Shuffled(100, 32, 5).batches(1), second
  )


def test_balanced_batches_hold_pairs_of_people_and_everybody_else():
  people = np.array([0, 0, 1, 1, 1, 2, 2] + [-1] * 43)
  sampler = samplers.Balanced(people, 10, seed=5)
  batches = sampler.batches(0)
  assert batches.shape == (sampler.steps_per_epoch, 10) == (5, 10)
  pairs = batches[:, :4].reshape(-1, 2)
  assert (people[pairs] >= 0).all()
  assert (people[pairs[:, 0]] == people[pairs[:, 1]]).all()
  assert (pairs[:, 0] != pairs[:, 1]).all()
  # Each person alike, however many photographs there are.
  many = np.concatenate([sampler.batches(i)[:, 0] for i in range(60)])
  shares = np.bincount(people[many]) / len(many)
  np.testing.assert_allclose(shares, 1 / 3, atol=0.08)
  assert len(np.unique(batches[:, 4:])) == 30
  np.testing.assert_array_equal(sampler.batches(0), batches)
  assert (sampler.batches(1) != batches).any()
  with pytest.raises(Error, match="has no pairs"):
    samplers.Balanced(people, 3, 5)
  with pytest.raises(Error, match="of 0 people with several photographs"):
    samplers.Balanced(people[7:], 10, 5)


@pytest.mark.slow
@pytest.mark.parametrize("xla", [True, False])
def test_what_a_loss_keeps_for_itself_is_restored_and_the_rate_decays(
  faces, xla
):
  def make():
    weight, seen = tf.Variable(tf.ones([128])), tf.Variable(tf.zeros([128]))

    def loss_fn(batch, noise):
      seen.assign(0.5 * seen + tf.reduce_mean(batch["features"], axis=0))
      return (tf.reduce_mean(tf.square(batch["features"] * weight - seen)),)

    return trainer.Trainer(
      {"weight": weight},
      loss_fn,
      ("loss",),
      {"features": faces},
      Recipe(learning_rate=1e-2),
      statistics={"seen": seen},
      decay_epochs=2,
      xla=xla,
    )

  whole, first, second = make(), make(), make()
  run(whole, 2)
  run(first, 1)
  assert first.state()["statistics/seen"].any()
  second.restore(first.state())
  run(second, 1)
  assert_same_state(whole.state(), second.state())
  before = whole.state()["weights/weight"]
  run(whole, 1)  # Beyond the end of the cosine.
  np.testing.assert_array_equal(whole.state()["weights/weight"], before)
