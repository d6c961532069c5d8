"""What the networks of the layered face codec are trained for.

All of these are sums of few terms whose weights are flags of `train_scalable`;
the paper's abstract names the tasks and no more.
"""

import tensorflow as tf

from tsenh.features import coarse
from tsenh.images import residual

# Paper-silent (image_jitter): before the base network sees images they are
# shifted at random by up to so many pixels, blurred more or less, and get noise
# of up to this strength. What a network of clean images takes for a feature a
# generator learns to fake: by patterns that lie on the network's own grid, or
# are too fine for a face.
SHIFT = 3
JITTER = 0.08
# Paper-silent (image_frame): a pixel darker than this in all channels has no
# part in a loss: where a photograph ended, its crop was filled with black.
DARKEST = 8 / 255
# Random numbers of one image that `mirror` and `jitter` take.
NOISE_DIM = 5
# Paper-silent (image_qualities): those that the learned layer is trained for.
QUALITIES = 10.0, 100.0
LOG_2 = 0.6931471805599453


def mirror(images, noise):
  """Each image mirrored or not, at random.

  Args:
    images: float32 [batch, h, w, c].
    noise: float32 [batch, NOISE_DIM], uniform in [-0.5, 0.5).
  """
  return tf.where(noise[:, :1, None, None] < 0, images, images[:, :, ::-1])


def jitter(images, noise):
  """Images shifted, blurred, with noise, at random; arguments as `mirror`."""
  shift = tf.cast(tf.round(2 * SHIFT * noise[0, 3:5]), tf.int32)
  images = tf.roll(images, shift, [1, 2])
  blurred = tf.nn.avg_pool2d(images, 3, 1, "SAME")
  # The last rows' numbers are others than those of the first, used above.
  share = noise[::-1, 3, None, None, None] + 0.5
  images += share * (blurred - images)
  seed = tf.cast(noise[0, 1:3] * 2.0**30, tf.int32)
  strength = JITTER * (noise[:, 4, None, None, None] + 0.5)
  return images + strength * tf.random.stateless_normal(tf.shape(images), seed)


def seen(images):
  """Where an image is more than its black frame: float32 [batch, h, w, 1]."""
  brightest = tf.reduce_max(images, 3, keepdims=True)
  return tf.cast(brightest > DARKEST, tf.float32)


def squared_error(images, others, mask):
  """Mean squared error over the pixels that are seen, a scalar."""
  errors = mask * tf.reduce_mean(tf.square(images - others), 3, keepdims=True)
  return tf.reduce_sum(errors) / (tf.reduce_sum(mask) + 1)


def absolute_error(images, others, mask):
  """Mean absolute error over the pixels that are seen, a scalar."""
  errors = mask * tf.reduce_mean(tf.abs(images - others), 3, keepdims=True)
  return tf.reduce_sum(errors) / (tf.reduce_sum(mask) + 1)


def cosine_distance(features, others):
  """1 minus the cosine of rows of unit length, the mean over the batch."""
  return 1 - tf.reduce_mean(tf.reduce_sum(features * others, 1))


def base_loss(base, classes, images, noise, features, people, weights):
  """Of the base network: recognition, twice, and reconstruction.

  Args:
    base: the `Base`.
    classes: float32 [people, dim], centres of the people; trained.
    images: float32 [batch, size, size, 3], in [0, 1].
    noise: float32 [batch, NOISE_DIM].
    features: float32 [batch, dim], the teacher's, of unit length.
    people: int32 [batch], from `coarse.labels`.
    weights: of identity and of reconstruction; that of the teacher is 1.

  Returns:
    The loss and its three parts: cosine distance to the teacher, the softmax
    over people, and the squared error of the sketch.
  """
  identity, reconstruction = weights
  images = mirror(images, noise)
  found = base(jitter(images, noise))
  distance = cosine_distance(found, features)
  softmax = coarse.softmax_loss(found, people, classes)
  small = tf.nn.avg_pool2d(
    images, *[images.shape[1] // base.SKETCH_SIZE] * 2, "VALID"
  )
  sketch = tf.reshape(base.sketch(found), tf.shape(small))
  error = squared_error(small, sketch, seen(small))
  loss = distance + identity * softmax + reconstruction * error
  return loss, distance, softmax, error


def generator_loss(
  generator, base, images, noise, decoded, features, consistency
):
  """Of the generator: its pixels, and the feature that its image has.

  Args:
    generator: the `Generator`.
    base: the `Base`, frozen, which judges.
    images: float32 [batch, size, size, 3], in [0, 1].
    noise: float32 [batch, NOISE_DIM].
    decoded: float32 [batch, dim], features as the codec decodes them.
    features: float32 [batch, dim], as they were before, of unit length.
    consistency: weight of the second part; that of the pixels is 1.

  Returns:
    The loss and its two parts: the absolute error of the pixels, and the
    cosine distance of the generated face's feature to the original one.
  """
  generated = generator(decoded)
  error = absolute_error(images, generated, seen(images))
  found = base(jitter(mirror(generated, noise), noise))
  distance = cosine_distance(found, features)
  return error + consistency * distance, error, distance


def laplace_bits(codes, scales):
  """Bits of noisy or rounded codes under Laplace distributions around zero.

  Args:
    codes: float32 [batch, code_dim].
    scales: float32 [code_dim] or [batch, code_dim], above zero.

  Returns:
    float32 [batch]: -log2 of the probability of the interval of length one
    around each element, summed.
  """
  away = tf.abs(codes)
  far = 0.5 * (
    tf.exp(-tf.maximum(away - 0.5, 0.0) / scales)
    - tf.exp(-(away + 0.5) / scales)
  )
  near = 1 - 0.5 * (
    tf.exp(-tf.maximum(0.5 - away, 0.0) / scales)
    + tf.exp(-(away + 0.5) / scales)
  )
  mass = tf.where(away > 0.5, far, near)
  return -tf.reduce_sum(tf.math.log(tf.maximum(mass, 1e-9)), 1) / LOG_2


def residual_loss(
  coder,
  base,
  log_scales,
  images,
  noise,
  generated,
  codes,
  features,
  lmbda,
  weight,
):
  """Of the learned enhancement layer: D + lambda R, and the feature it shows.

  Each image has a quality of its own, drawn from `QUALITIES`. With a step twice
  as large a bit saves four times the squared error, and errors are about twice
  as large; so of an image with the step `s` all counts as D / s + lambda s R.

  Rates are those of codes with noise, distortions those of rounded codes.

  Args:
    coder: the `ResidualCoder`.
    base: the `Base`, frozen, which judges.
    log_scales: float32 [SIDE_DIM], of `laplace_bits`; trained.
    images: float32 [batch, size, size, 3], in [0, 1].
    noise: float32 [batch, NOISE_DIM + 1 + code_dim + SIDE_DIM]: one number for
      the quality, and those that stand in for rounding.
    generated: as `images`, what the generator made of the decoded features.
    codes: [batch, low_dim], the base layer's codes.
    features: float32 [batch, dim], of the original faces, of unit length.
    lmbda: weight of a bit, as of the squared error of pixels in [0, 1].
    weight: of the cosine distance of the sum's feature to the original one.

  Returns:
    The loss, the squared error, the cosine distance, the bits of a face.
  """
  images, generated = (mirror(x, noise) for x in (images, generated))
  draw, code_noise, side_noise = tf.split(
    noise[:, NOISE_DIM:], [1, coder.code_dim, coder.SIDE_DIM], 1
  )
  low, high = QUALITIES
  quality = (low + high) / 2 + (high - low) * draw
  step = residual.step(quality)
  latent = coder.latent(images)
  side = coder.side(latent) + side_noise
  means, octaves = coder.conditions(side, tf.cast(codes, tf.float32))
  code = (latent - means) / step
  bits = laplace_bits(side, tf.exp(log_scales)) + laplace_bits(
    code + code_noise, 2.0 ** tf.clip_by_value(octaves, -5.0, 8.0) / step
  )
  rounded = code + tf.stop_gradient(tf.round(code) - code)
  decoded = coder.draw(means + step * rounded, generated, quality)
  mask = seen(images)
  errors = mask * tf.reduce_mean(tf.square(images - decoded), 3, keepdims=True)
  errors = tf.reduce_sum(errors, [1, 2, 3]) / (
    tf.reduce_sum(mask, [1, 2, 3]) + 1
  )
  distance = cosine_distance(base(jitter(decoded, noise)), features)
  scaled = errors / step[:, 0] + lmbda * step[:, 0] * bits
  loss = tf.reduce_mean(scaled) + weight * distance
  return loss, tf.reduce_mean(errors), distance, tf.reduce_mean(bits)
