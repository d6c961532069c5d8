import numpy as np
import pytest
import tensorflow as tf

from tsenh import features, training
from tsenh.codec import Codec, rate_distortion_loss
from tsenh.errors import Error


@pytest.fixture(scope="module")
def faces():
  return features.load("faces").features[:300]


def make(faces, seed=3, learning_rate=1e-3, epsilon=1e-7):
  codec = Codec(128, 16, 24, seed=seed)

  def loss_fn(f_raw, noise):
    f_rec, c = codec(f_raw, noise)
    return rate_distortion_loss(f_raw, f_rec, c, 1e-4)

  variables = codec.named_variables()
  return training.Trainer(
    *(variables, loss_fn, ("loss", "distortion", "rate"), faces),
    *(16, 32, learning_rate, seed, epsilon),
  )


def run(trainer, epochs):
  metrics = []
  for _ in range(epochs):
    trainer.run_epoch(lambda *_: None)
    metrics.append(trainer.metrics)
  return metrics


def assert_same_state(a, b):
  assert a.keys() == b.keys()
  for key in a:
    np.testing.assert_array_equal(a[key], b[key], err_msg=key)


@pytest.mark.parametrize("epsilon", [1e-7, 1e-3])
def test_the_compiled_loop_equals_adam_written_out(faces, epsilon):
  """Three epochs against a plain loop of the update rule in NumPy float64."""
  trainer = make(faces, epsilon=epsilon)
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
  metrics = run(trainer, 3)
  np.testing.assert_allclose([e["loss"] for e in metrics], losses, rtol=1e-4)
  state = trainer.state()
  assert (state["epoch"], state["step"]) == (3, 27)
  for name, variable in reference.named_variables().items():
    np.testing.assert_allclose(
      state[f"weights/{name}"], variable, atol=2e-5, err_msg=name
    )


def test_the_loss_falls(faces):
  metrics = run(make(faces), 8)
  assert metrics[-1]["loss"] < 0.5 * metrics[0]["loss"]


def test_one_seed_one_result_and_another_seed_another(faces):
  states = []
  for seed in (3, 3, 4):
    trainer = make(faces, seed)
    run(trainer, 2)
    states.append(trainer.state())
  assert_same_state(states[0], states[1])
  name = "weights/encoder/fc1/kernel"
  assert (states[0][name] != states[2][name]).any()


def test_a_restored_run_ends_in_the_same_bits(faces):
  whole = make(faces)
  run(whole, 4)
  first = make(faces)
  run(first, 2)
  second = make(faces)
  second.restore(first.state())
  run(second, 2)
  assert_same_state(second.state(), whole.state())


def test_the_length_of_a_call_does_not_change_the_result(faces, monkeypatch):
  states = []
  for steps in (1024, 4):  # 9 steps an epoch: one call, or three of 3.
    monkeypatch.setattr(training, "MAX_FEATURES_PER_CALL", 32 * steps)
    trainer = make(faces)
    run(trainer, 2)
    states.append(trainer.state())
    del states[-1]["metrics"]  # Sums, in another order.
  assert_same_state(*states)


def test_too_few_features_and_a_diverged_run_are_errors(faces):
  with pytest.raises(Error, match="20 training features do not fill a batch"):
    make(faces[:20])
  with pytest.raises(Error, match="learning rate is too high"):
    run(make(faces, learning_rate=1e30), 3)
