"""Ahead: a transform coder that is trained to tell people apart at few bits.

It begins as regularised LDA (`lda`) and is trained from there: the sender adds
to LDA's components what one hidden layer makes of the feature. The receiver
stays linear: codes times one matrix. The loss has three parts: a contrast of
people, as the coarse grain of 2021 is; the decoded feature's squared error, the
fine one; and the bits above those that are wanted, under normal distributions
of the code's elements that are learned beside it.
"""

from typing import Dict, Sequence

import numpy as np
import tensorflow as tf

from tsenh.features import coarse, lda
from tsenh.features.costs import Cost, Costs
from tsenh.features.pca import TransformCoder

# Chosen on held-out people (docs/ahead.md).
HIDDEN_DIM = 1024
DROPOUT = 0.3
SPREAD = 0.5
FINE_WEIGHT = 4.0
RATE_WEIGHT = 0.02  # Of a bit above those that are wanted.
METRICS = ("loss", "coarse", "fine", "bits")


class AheadCoder(TransformCoder):
  """Components and, at the sender, what a hidden layer adds to them.

  With a feature f as a row and g = f - mean, its code is

    (g components + max(g hidden + bias, 0) output) / step,

  rounded, or in integers of a trellis, and it decodes as LDA does, to
  (step c) reconstruction + mean.

  Attributes:
    hidden_dim: width of the hidden layer.
    hidden: float64 [feature_dim, hidden_dim].
    bias: float64 [hidden_dim].
    output: float64 [hidden_dim, code_dim].
  """

  KIND = "ahead"
  ARCHITECTURE = ("step", "feature_dim", "code_dim", "hidden_dim")
  OPTIONAL = (("trellis", False),)

  def __init__(
    self,
    step: float,
    feature_dim: int,
    code_dim: int,
    hidden_dim: int,
    trellis: bool = False,
  ):
    """All arrays are 0, for `assign`; see `TransformCoder`."""
    self.hidden_dim = hidden_dim
    super().__init__(step, feature_dim, code_dim=code_dim, trellis=trellis)
    self.hidden = np.zeros([feature_dim, hidden_dim])
    self.bias = np.zeros(hidden_dim)
    self.output = np.zeros([hidden_dim, code_dim])

  @staticmethod
  def shapes(feature_dim, code_dim, hidden_dim, **_):
    """Names and shapes of `arrays`."""
    return {
      **TransformCoder.shapes(feature_dim, code_dim),
      "hidden": (feature_dim, hidden_dim),
      "bias": (hidden_dim,),
      "output": (hidden_dim, code_dim),
    }

  def latent(self, features: np.ndarray) -> np.ndarray:
    """Codes before they are rounded, float64 [n, code_dim]."""
    centred = features.astype(np.float64) - self.mean
    added = np.maximum(centred @ self.hidden + self.bias, 0) @ self.output
    return (centred @ self.components + added) / self.step

  def costs(self) -> Costs:
    """The sender has the hidden layer besides."""
    linear = super().costs()
    size = self.hidden_dim * (self.feature_dim + self.code_dim)
    parameters, multiply_adds = linear["sender"]
    own = Cost(parameters + size + self.hidden_dim, multiply_adds + size)
    return {**linear, "sender": own}


class Learner:
  """An `AheadCoder` in training.

  Attributes:
    noise_dim: how many uniform numbers the loss takes of each feature.
  """

  def __init__(
    self,
    bits: float,
    dim: int,
    features: np.ndarray,
    identities: np.ndarray,
    shrinkage: float = lda.SHRINKAGE,
    hidden_dim: int = HIDDEN_DIM,
    dropout: float = DROPOUT,
    spread: float = SPREAD,
    fine_weight: float = FINE_WEIGHT,
    seed: int = 0,
  ):
    """Begins at LDA, of as many bits.

    Args:
      bits: wanted of a feature, on average.
      dim: see `lda.fit`, as is `shrinkage`.
      features: float32 [n, feature_dim].
      identities: int [n], -1 where unknown.
      shrinkage: see `lda.fit`.
      hidden_dim: width of the hidden layer.
      dropout: of its units, while training.
      spread: of noise in the features, in deviations within people: it stands
        for photographs that are not there.
      fine_weight: of the squared error beside the contrast.
      seed: of the hidden layer's weights; what it adds is 0 at first.

    Raises:
      Error: as `lda.fit` and `lda.step_for` do.
    """
    start = lda.fit(1.0, dim, features, identities, shrinkage)
    step = lda.step_for(bits, start, features)
    feature_dim = features.shape[1]
    latent = start.latent(features) / step
    random = np.random.default_rng(seed)
    # Features of unit length have elements of about this size.
    size = np.sqrt(np.square(features).mean(dtype=np.float64))
    scale = np.sqrt(2 / feature_dim) / size
    values = {
      "components": start.components / step,
      "reconstruction": start.reconstruction * step,
      "hidden": scale * random.standard_normal([feature_dim, hidden_dim]),
      "bias": np.zeros(hidden_dim),
      "output": np.zeros([hidden_dim, dim]),
    }
    self._bits, self._dropout, self._fine = bits, dropout, fine_weight
    self._mean = start.mean
    own, directions = np.linalg.eigh(lda.within(features, identities))
    # Uniform noise of the covariance within people, but for its spread.
    deviations = np.sqrt(12 * np.maximum(own, 0))[:, None]
    self._noise = spread * deviations * directions.T
    self._coder = {
      name: tf.Variable(value.astype(np.float32), name=name)
      for name, value in values.items()
    }
    # Of the normal distributions of the code's elements.
    normal = {"location": latent.mean(0), "log_scale": np.log(latent.std(0))}
    self._normal = {
      name: tf.Variable(value.astype(np.float32), name=name)
      for name, value in normal.items()
    }
    self._dims = [dim, hidden_dim, feature_dim]
    self.noise_dim = sum(self._dims)

  def named_variables(self) -> Dict[str, tf.Variable]:
    """All that is trained, by name."""
    return {**self._coder, **self._normal}

  def loss_fn(self, batch, noise) -> Sequence[tf.Tensor]:
    """`METRICS` of a batch.

    Args:
      batch: `features`, float32 [n, feature_dim], and `people`, int32 [n], from
        `coarse.labels`.
      noise: float32 [n, noise_dim], uniform in [-0.5, 0.5): for rounding, for
        dropout, and for photographs that are not there.
    """
    rounding, dropout, spread = tf.split(noise, self._dims, axis=1)
    f_raw = batch["features"]
    mean = tf.constant(self._mean, tf.float32)
    g = f_raw + tf.matmul(spread, tf.constant(self._noise, tf.float32)) - mean
    v = self._coder
    hidden = tf.nn.relu(tf.matmul(g, v["hidden"]) + v["bias"])
    kept = tf.cast(dropout >= self._dropout - 0.5, tf.float32)
    kept /= 1 - self._dropout
    code = tf.matmul(g, v["components"])
    code += tf.matmul(hidden * kept, v["output"]) + rounding
    f_rec = tf.matmul(code, v["reconstruction"]) + mean
    fine = tf.reduce_mean(tf.reduce_sum(tf.square(f_raw - f_rec), axis=1))
    term = coarse.contrastive_loss(f_rec, batch["people"])
    bits = tf.reduce_mean(self._rate(code))
    loss = term + self._fine * fine
    loss += RATE_WEIGHT * tf.nn.relu(bits - self._bits)
    return loss, term, fine, bits

  def _rate(self, code):
    """Bits of each code: of an interval of 1 under the normal distributions."""
    deviation = tf.exp(-self._normal["log_scale"])
    # In the lower tail, where differences keep their digits.
    distance = -tf.abs(code - self._normal["location"])
    upper, lower = (
      tf.math.erfc(-(distance + half) * deviation / np.sqrt(2)) / 2
      for half in (0.5, -0.5)
    )
    share = tf.maximum(upper - lower, 1e-9)
    return -tf.reduce_sum(tf.math.log(share), axis=1) / np.log(2)

  def coder(self, features: np.ndarray, trellis: bool = True) -> AheadCoder:
    """What has been trained so far, of the bits that are wanted.

    Args:
      features: float32 [n, feature_dim], on which they are counted.
      trellis: see `AheadCoder`.
    """
    dim, hidden_dim, feature_dim = self._dims
    coder = AheadCoder(1.0, feature_dim, dim, hidden_dim, trellis)
    arrays = {k: v.numpy().astype(np.float64) for k, v in self._coder.items()}
    arrays["mean"] = self._mean
    coder.assign(arrays)
    # The step stays 1, the arrays take what it would be.
    step = lda.step_for(self._bits, coder, features)
    for name in ("components", "output"):
      arrays[name] /= step
    arrays["reconstruction"] *= step
    # Single precision, as it was trained in: half the bytes once zipped.
    coder.assign({k: np.float64(np.float32(v)) for k, v in arrays.items()})
    return coder
