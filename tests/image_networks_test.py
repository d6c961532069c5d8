"""The networks of the layered codec and what they are trained for."""

import fractions

import numpy as np
import pytest
import tensorflow as tf

from tsenh.base.errors import Error
from tsenh.images import losses, networks, residual

SMALL = {"size": 32, "width": 4}
KINDS = {
  networks.Base: {**SMALL, "feature_dim": 8},
  networks.Generator: {**SMALL, "feature_dim": 8},
  residual.ResidualCoder: {
    **SMALL,
    **{"low_dim": 8, "code_channels": 8, "code_dim": 48},
  },
}


def images(n, seed=0, size=32):
  random = np.random.default_rng(seed)
  return random.integers(0, 256, [n, size, size, 3], np.uint8)


def noise(n, dim=losses.NOISE_DIM, seed=0):
  random = np.random.default_rng(seed)
  return tf.constant(random.uniform(-0.5, 0.5, [n, dim]), tf.float32)


@pytest.mark.parametrize("kind", KINDS)
def test_shapes_are_known_before_anything_is_built(kind):
  model = kind(**KINDS[kind])
  found = {name: array.shape for name, array in model.arrays().items()}
  assert found == kind.shapes(**model.architecture())
  assert {array.dtype for array in model.arrays().values()} == {
    np.dtype(np.float16)
  }


def test_perturbed_weights_survive_and_change_what_comes_out():
  faces = images(3)
  one, two = (networks.Base(**KINDS[networks.Base], seed=s) for s in (0, 1))
  random = np.random.default_rng(0)
  weights = {
    name: (array + random.normal(0, 0.05, array.shape)).astype(np.float16)
    for name, array in one.arrays().items()
  }
  one.assign(weights)
  assert np.abs(one.features(faces) - two.features(faces)).max() > 0.01
  two.assign(one.arrays())
  np.testing.assert_array_equal(one.features(faces), two.features(faces))
  assert one.digest() == two.digest()


def test_multiply_adds_are_those_of_a_hand():
  base = networks.Base(size=32, feature_dim=8, width=4)
  # Each layer: kernel times places.
  expected = 16 * 3 * 4 * 64 + 9 * 4 * 4 * 64 + 9 * 4 * 8 * 16
  expected += 2 * 9 * 8 * 8 * 16 + 9 * 8 * 16 * 4 + 64 * 8
  sketch = 8 * 256 + 256 * 768
  assert base.cost().multiply_adds == expected + sketch
  assert base.cost().parameters == sum(
    array.size for array in base.arrays().values()
  )


def test_a_feature_has_unit_length_and_no_batch_changes_it():
  base = networks.Base(**KINDS[networks.Base])
  faces = images(300)
  found = base.features(faces)
  np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
  np.testing.assert_allclose(base.features(faces[7:9]), found[7:9], atol=1e-5)


def test_the_generator_draws_the_direction_of_a_feature_alone():
  generator = networks.Generator(**KINDS[networks.Generator])
  features = np.random.default_rng(0).normal(size=[4, 8]).astype(np.float32)
  drawn = generator.images(features)
  assert drawn.shape == (4, 32, 32, 3) and drawn.dtype == np.uint8
  again = generator.images(3 * features).astype(int)
  assert np.abs(again - drawn).max() <= 1
  assert np.abs(generator.images(-features).astype(int) - drawn).max() > 1


def residual_coder(seed=0, kind=residual.ResidualCoder):
  return kind(**KINDS[residual.ResidualCoder], seed=seed)


def test_a_code_begins_as_principal_components():
  faces = (
    networks.to_bytes(np.random.default_rng(0).normal(0.5, 0.2, [100, 4, 4, 3]))
    .repeat(8, 1)
    .repeat(8, 2)
  )
  coder = residual_coder()
  coder.begin(faces)
  latent = coder.latent(networks.to_unit(faces))
  drawn = tf.zeros([100, 32, 32, 3])
  image = coder.draw(latent, drawn, tf.fill([100, 1], 50.0))
  np.testing.assert_allclose(image, networks.to_unit(faces), atol=1e-3)
  # Orthonormal: squared errors of codes are those of pixels.
  moved = coder.draw(latent + 1.0, drawn, tf.fill([100, 1], 50.0))
  errors = tf.reduce_sum(tf.square(moved - image), [1, 2, 3])
  np.testing.assert_allclose(errors, coder.code_dim * (200 / 255) ** 2, 0.01)
  with pytest.raises(
    Error, match="100 faces of 32x32 pixels have 100 principal"
  ):
    residual.ResidualCoder(32, 8, 4, 8, 101).begin(faces)


def test_what_a_reader_has_is_what_a_writer_rounded():
  coder, quality = residual_coder(), 60
  faces, drawn = images(5), images(5, 1)
  base = np.random.default_rng(0).integers(-3, 4, [5, 8]).astype(np.int32)
  side, codes, octaves = coder.encode(faces, base, quality)
  assert side.dtype == codes.dtype == np.int32
  np.testing.assert_array_equal(octaves, coder.octaves(side, base, quality))
  means, _ = coder.exact_conditions(side, base)
  latent = coder.latent(networks.to_unit(faces)).numpy()
  step = residual.step(quality)
  assert step == 2**-0.4
  rounded = means + step * codes
  assert np.abs(rounded - latent).max() <= 0.5 * step + 1e-4
  decoded = coder.decode(side, codes, base, quality, drawn)
  expected = coder.draw(
    tf.constant(rounded, tf.float32),
    networks.to_unit(drawn),
    tf.fill([5, 1], float(quality)),
  )
  expected = networks.to_bytes(expected.numpy()).astype(int)
  assert np.abs(expected - decoded).max() <= 1


def test_conditions_are_exact_in_any_order_and_close_to_those_of_training():
  coder = residual_coder()
  random = np.random.default_rng(0)
  side = random.integers(-50, 51, [200, coder.SIDE_DIM]).astype(np.int32)
  base = random.integers(-9, 10, [200, 8]).astype(np.int32)
  base[0, 0] = 2**31 - 1  # What PCA's codes may be.
  found = coder.exact_conditions(side, base)
  arrays = [w.numpy().astype(np.float16) for w in coder.parts[2].weights]
  numbers = np.clip(np.concatenate([side, base], 1), -127, 127)
  for row in (0, 7):
    sums = [
      fractions.Fraction(float(b))
      + sum(
        int(n) * fractions.Fraction(float(w))
        for n, w in zip(numbers[row], column)
      )
      for column, b in zip(arrays[0].T, arrays[1])
    ]
    floats = np.array([float(x) for x in sums])
    assert [fractions.Fraction(x) for x in floats] == sums
    hidden = np.rint(16 * np.where(floats < 0, 0.2 * floats, floats))
    hidden = np.clip(hidden, -2048, 2048).astype(int).tolist()
    last = [
      fractions.Fraction(float(b))
      + sum(h * fractions.Fraction(float(w)) for h, w in zip(hidden, column))
      / 16
      for column, b in zip(arrays[2].T, arrays[3])
    ]
    exact = [float(x) for x in last]
    np.testing.assert_array_equal(np.concatenate(found, 1)[row], exact)
  trained = coder.conditions(side.astype(np.float32), base.astype(np.float32))
  for one, two in zip(found, trained):
    assert np.abs(one - two).max() < 0.2
  for array in coder.parts[2].weights[2:]:
    array.assign(tf.fill(array.shape, 2000.0))
  with pytest.raises(Error, match="a weight of 1024"):
    coder.exact_conditions(side, base)


def test_laplace_bits_are_the_areas_under_its_density():
  scale, codes = 0.7, np.array([[0.0, 0.3, 1.0, -2.4]])

  def cdf(x):
    half = 0.5 * np.exp(-abs(x) / scale)
    return half if x < 0 else 1 - half

  expected = -sum(np.log2(cdf(c + 0.5) - cdf(c - 0.5)) for c in codes[0])
  found = losses.laplace_bits(
    tf.constant(codes, tf.float32), tf.fill([4], np.float32(scale))
  )
  np.testing.assert_allclose(found, [expected], rtol=1e-5)


def test_black_frames_have_no_part_in_an_error():
  faces = np.full([1, 4, 4, 3], 0.5, np.float32)
  faces[:, :, 2:] = 0
  drawn = np.full_like(faces, 0.7)
  mask = losses.seen(tf.constant(faces))
  assert mask.numpy().sum() == 8
  np.testing.assert_allclose(
    losses.squared_error(faces, drawn, mask), 0.04 * 8 / 9, rtol=1e-5
  )
  np.testing.assert_allclose(
    losses.absolute_error(faces, drawn, mask), 0.2 * 8 / 9, rtol=1e-5
  )


def test_mirror_turns_those_that_the_noise_says():
  faces = networks.to_unit(images(2))
  turned = losses.mirror(faces, tf.constant([[-0.1] * 4, [0.1] * 4]))
  np.testing.assert_array_equal(turned[0], faces[0])
  np.testing.assert_array_equal(turned[1], faces[1][:, ::-1])


def test_jitter_is_keyed_by_the_noise_and_small():
  faces = networks.to_unit(images(8))
  one, two = noise(8), noise(8, seed=1)
  first = losses.jitter(faces, one)
  np.testing.assert_array_equal(first, losses.jitter(faces, one))
  assert np.abs(first - losses.jitter(faces, two)).max() > 0.01
  flat = tf.fill([8, 32, 32, 3], 0.5)
  assert 0 < np.std(losses.jitter(flat, one) - flat) < losses.JITTER


def test_jitter_shifts_by_whole_pixels_and_blurs_by_a_share():
  faces = networks.to_unit(images(2))
  still = [0.0, 0.0, 0.0, -0.5, -0.5]  # No blur, no noise.
  moved = losses.jitter(faces, tf.constant([still, still]))
  np.testing.assert_allclose(
    moved, np.roll(faces, (-losses.SHIFT, -losses.SHIFT), (1, 2)), atol=1e-6
  )
  blurred = losses.jitter(faces, tf.constant([[0.0, 0, 0, 0.5, -0.5]] * 2))
  assert np.std(blurred) < 0.5 * np.std(faces)


def gradients(loss_fn, *models):
  variables = {}
  for model in models:
    for name, variable in model.named_variables().items():
      variables[model.name, name] = variable
  with tf.GradientTape() as tape:
    loss = loss_fn()
  found = tape.gradient(loss, list(variables.values()))
  return dict(zip(variables, found))


def test_each_task_of_the_base_network_trains_it():
  base = networks.Base(**KINDS[networks.Base])
  faces = networks.to_unit(images(6))
  features = tf.math.l2_normalize(tf.random.stateless_normal([6, 8], [0, 1]), 1)
  people = tf.constant([0, 0, 1, 1, -1, -1])
  classes = tf.Variable(features[:2])
  arguments = (base, classes, faces, noise(6), features, people)
  whole = losses.base_loss(*arguments, (0.5, 2.0))
  parts = [float(part) for part in whole]
  np.testing.assert_allclose(
    parts[0], parts[1] + 0.5 * parts[2] + 2 * parts[3], rtol=1e-5
  )
  alone = gradients(lambda: losses.base_loss(*arguments, (0.0, 0.0))[0], base)
  both = gradients(lambda: losses.base_loss(*arguments, (0.0, 1.0))[0], base)
  for (_, name), gradient in alone.items():
    if name.startswith("sketch"):
      assert gradient is None or not np.any(gradient)
      assert np.any(both["base", name])
    else:
      assert np.abs(gradient - both["base", name]).max() > 0


def test_the_generator_learns_from_pixels_and_from_the_judge():
  base = networks.Base(**KINDS[networks.Base])
  generator = networks.Generator(**KINDS[networks.Generator])
  faces = networks.to_unit(images(4))
  features = tf.math.l2_normalize(tf.random.stateless_normal([4, 8], [0, 1]), 1)
  arguments = (generator, base, faces, noise(4), 0.8 * features, features)
  loss, error, distance = losses.generator_loss(*arguments, 0.3)
  np.testing.assert_allclose(loss, error + 0.3 * distance, rtol=1e-5)
  for part in (1, 2):
    found = gradients(
      lambda part=part: losses.generator_loss(*arguments, 1.0)[part], generator
    )
    assert all(np.any(gradient) for gradient in found.values())


def test_the_residual_loss_is_distortion_and_rate():
  base = networks.Base(**KINDS[networks.Base])
  coder = residual_coder()
  faces, drawn = (networks.to_unit(images(4, seed)) for seed in (0, 1))
  features, codes = base(faces), np.zeros([4, 8], np.int32)
  scales = tf.Variable(tf.zeros(coder.SIDE_DIM))
  random = noise(4, losses.NOISE_DIM + 1 + coder.code_dim + coder.SIDE_DIM)
  random = random.numpy()
  low, high = losses.QUALITIES  # Of these the one with a step of one.
  random[:, losses.NOISE_DIM] = (50 - (low + high) / 2) / (high - low)
  loss, error, distance, bits = losses.residual_loss(
    *(coder, base, scales, faces, tf.constant(random), drawn, codes, features),
    *(1e-3, 0.1),
  )
  np.testing.assert_allclose(
    loss, error + 0.1 * distance + 1e-3 * bits, rtol=1e-5
  )
  # At least the bits of uniform noise under a Laplace of scale 1, per element.
  assert bits > coder.code_dim
