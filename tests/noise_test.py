import numpy as np
import pytest
import tensorflow as tf

from tsenh.training import noise


def make(seed, steps, shape):
  compiled = tf.function(
    lambda steps: noise.uniform(seed, steps, shape), jit_compile=True
  )
  return compiled(tf.constant(steps)).numpy()


@pytest.mark.parametrize(
  "seed, shape",
  [(0, [32, 128]), (2**31 - 1, [3, 5]), (3, [32, 0])],
  ids=["training", "no whole block", "none"],
)
def test_it_is_the_noise_of_tensorflow_to_the_bit(seed, shape):
  steps = [0, 1, 70_000, 2**31 - 1]
  expected = [
    tf.random.stateless_uniform(shape, [seed, step], -0.5, 0.5)
    for step in steps
  ]
  np.testing.assert_array_equal(make(seed, steps, shape), np.stack(expected))


def test_it_is_uniform_and_each_step_has_its_own():
  found = make(7, np.arange(64, dtype=np.int32), [32, 128])
  assert found.min() >= -0.5 and found.max() < 0.5
  counts, _ = np.histogram(found, 16, (-0.5, 0.5))
  # Five standard deviations of a count.
  mean = found.size / 16
  assert abs(counts - mean).max() < 5 * np.sqrt(mean * 15 / 16)
  # As many as there are numbers, but for some that meet by chance.
  assert len(np.unique(found)) > 0.98 * found.size
