import numpy as np
import pytest
import tensorflow as tf
import tensorflow_compression as tfc

from tsenh.base.errors import Error
from tsenh.features import networks
from tsenh.features import pro as codec_lib


def perturbed(**kwargs):
  """A codec whose every variable differs from its initial value."""
  codec = codec_lib.Codec(**kwargs)
  rng = np.random.default_rng(1)
  for variable in codec.named_variables().values():
    noise = rng.uniform(0, 0.1, variable.shape)
    variable.assign_add(noise.astype(np.float32))
  return codec


@pytest.mark.parametrize("inverse", [False, True])
def test_gdn_is_the_form_of_2016(inverse):
  layer = networks.GDN(inverse=inverse)
  x = np.random.default_rng(0).normal(size=[5, 3]).astype(np.float32)
  layer(x)
  for variable in layer.trainable_variables:
    variable.assign_add(tf.random.stateless_uniform(variable.shape, [1, 2]))
  beta, gamma = layer.beta.numpy(), layer.gamma.numpy()
  expected = np.empty_like(x)
  for n in range(5):
    for i in range(3):
      pool = beta[i] + sum(gamma[j, i] * x[n, j] ** 2 for j in range(3))
      expected[n, i] = x[n, i] * pool ** (0.5 if inverse else -0.5)
  np.testing.assert_allclose(layer(x), expected, rtol=1e-5)


def test_gdn_agrees_with_tensorflow_compression_in_value_and_gradient():
  ours = networks.GDN()
  theirs = tfc.GDN(alpha_parameter=2, epsilon_parameter=0.5)
  x = tf.random.stateless_normal([7, 4], [3, 4])
  gradients = []
  for layer in (ours, theirs):
    with tf.GradientTape() as tape:
      tape.watch(x)
      y = layer(x)
    gradients.append([y, *tape.gradient(y, [x, *layer.trainable_variables])])
  for a, b in zip(*gradients):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_the_models_mirror_the_paper():
  codec = codec_lib.Codec(128)
  for network in (codec.encoder, codec.decoder):
    kinds = [type(layer) for layer in network.layers]
    dense = tf.keras.layers.Dense
    assert kinds == [dense, networks.GDN, dense]
  assert not codec.encoder.layers[1].inverse
  assert codec.decoder.layers[1].inverse
  limit = np.sqrt(6 / 256)  # Glorot's bound for 128 in, 128 out.
  kernels = [
    v.numpy() for k, v in codec.named_variables().items() if "kernel" in k
  ]
  assert len(kernels) == 4
  for kernel in kernels:
    assert 0.99 * limit < np.abs(kernel).max() <= limit
  assert len({kernel.tobytes() for kernel in kernels}) == 4


def test_with_two_gdn_layers_the_decoder_mirrors_the_encoder():
  codec = codec_lib.Codec(6, 4, 5, gdn_layers=2)
  names = [layer.name for layer in codec.encoder.layers]
  assert names == ["fc1", "gdn", "fc2", "gdn_code"]
  names = [layer.name for layer in codec.decoder.layers]
  assert names == ["gdn_code", "fc1", "gdn", "fc2"]
  assert codec.encoder.layers[3].beta.shape == (4,)
  assert codec.decoder.layers[0].inverse


def test_the_seed_fixes_the_initial_weights():
  digests = [codec_lib.Codec(128, seed=seed).digest() for seed in (1, 1, 2)]
  assert digests[0] == digests[1] != digests[2]


def test_the_loss_by_hand():
  f_raw = tf.constant([[1.0, 2.0], [0.0, 0.0]])
  f_rec = tf.constant([[1.0, 0.0], [1.0, 1.0]])
  c = tf.constant([[1.0, -2.0, 0.5], [0.0, 0.0, -0.5]])
  # Squared errors 0 + 4 and 1 + 1; l1 norms 3.5 and 0.5.
  loss, d, r = codec_lib.rate_distortion_loss(f_raw, f_rec, c, 0.1, "sum")
  np.testing.assert_allclose([loss, d, r], [3.2, 3.0, 2.0], rtol=1e-6)
  loss, d, r = codec_lib.rate_distortion_loss(f_raw, f_rec, c, 0.1, "mean")
  np.testing.assert_allclose([loss, d, r], [1.7, 1.5, 2.0], rtol=1e-6)


def test_training_adds_the_noise_behind_the_clip():
  codec = perturbed(feature_dim=4, code_dim=3, hidden_dim=5, clip=0.5)
  f = tf.random.stateless_normal([6, 4], [0, 1]) * 10
  noise = tf.random.stateless_uniform([6, 3], [0, 2], -0.5, 0.5)
  f_rec, c = codec(f, noise)
  np.testing.assert_array_equal(c, np.clip(codec.encoder(f).numpy(), -0.5, 0.5))
  assert np.abs(c).max() == 0.5
  np.testing.assert_array_equal(f_rec, codec.decoder(c + noise))


def test_noise_before_the_clip_never_leaves_it():
  codec = perturbed(feature_dim=4, code_dim=3, hidden_dim=5, clip=0.5)
  f = tf.random.stateless_normal([6, 4], [0, 1]) * 10
  noise = tf.random.stateless_uniform([6, 3], [0, 2], -0.5, 0.5)
  f_rec, c = codec(f, noise, noise_first=True)
  np.testing.assert_allclose(c, codec.latent(f), rtol=1e-5)
  noisy = np.clip(codec.encoder(f).numpy() + noise, -0.5, 0.5)
  np.testing.assert_array_equal(f_rec, codec.decoder(noisy))


def test_rounding_takes_halves_to_even():
  values = np.array([0.5, 1.5, -0.5, -1.5, 2.4999, -19.6], np.float32)
  codes = codec_lib.Codec(feature_dim=4).quantize(values)
  assert codes.dtype == np.int32
  np.testing.assert_array_equal(codes, [0, 2, 0, -2, 2, -20])


def test_encoding_rounds_the_clipped_code_and_decoding_is_dec():
  codec = perturbed(feature_dim=4, code_dim=3, hidden_dim=5, clip=3)
  f = (tf.random.stateless_normal([50, 4], [0, 1]) * 100).numpy()
  codes = codec.encode(f)
  assert codes.dtype == np.int32
  assert np.abs(codes).max() == 3
  np.testing.assert_array_equal(codes, np.rint(codec.latent(f)))
  np.testing.assert_allclose(
    codec.decode(codes), codec.decoder(codes.astype(np.float32)), rtol=1e-6
  )


def test_a_code_beyond_the_clip_is_refused():
  codec = codec_lib.Codec(4, 3, 5, clip=3)
  with pytest.raises(Error, match="beyond 3"):
    codec.decode(np.array([[0, -4, 0]], np.int32))


def test_the_digest_sees_every_weight_and_the_architecture():
  codec = codec_lib.Codec(4, 3, 5)
  digests = {codec.digest(), codec_lib.Codec(4, 3, 5, clip=19).digest()}
  for variable in codec.named_variables().values():
    variable.assign_add(tf.fill(variable.shape, 1e-3))
    digests.add(codec.digest())
  assert len(digests) == 2 + len(codec.named_variables())
