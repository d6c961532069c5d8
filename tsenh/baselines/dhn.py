"""The deep hashing network (Zhu et al., AAAI 2016), on features: DHN.

Its loss is a pairwise cross-entropy, which pulls the codes of one person
together and pushes those of two apart, and a quantization loss, which keeps the
code's elements near -1 and 1. There the network is AlexNet and sees images;
here it is two fully-connected layers behind the face network, whose features
are all that is at hand.
"""

import hashlib
from typing import Dict, List

import numpy as np
import tensorflow as tf

from tsenh.baselines import labels
from tsenh.data import streams
from tsenh.data.feature_sets import FeatureSet
from tsenh.features import networks
from tsenh.features.costs import Cost, Costs
from tsenh.training.trainer import Recipe, Trainer

# Paper-silent (dhn_network).
HIDDEN_DIM = 512
EPOCHS = 60
# A batch is 32 pairs of one person; they make 1,984 pairs of two.
BATCH_SIZE, LEARNING_RATE = 32, 1e-4
QUANTIZATION_WEIGHT = 0.1  # lambda there.


class HashNetwork:
  """A trained network; see `tsenh.baselines.Baseline`.

  Attributes:
    objective: the mean loss of each epoch.
  """

  def __init__(self, network: tf.keras.Sequential, objective: List[float]):
    """Takes what `fit` trained."""
    self._network = network
    self.objective = objective

  def encode(self, features: np.ndarray) -> np.ndarray:
    """Codes uint8 [n, bits / 8] of features float32 [n, dim]."""

    def chunk(rows):
      return np.packbits(self._network(rows).numpy() > 0, axis=1)

    return streams.in_chunks(chunk, features)

  def costs(self) -> Costs:
    """Of the sender; codes are compared, not decoded."""
    return {"sender": networks.cost(self._network), "receiver": Cost(0, 0)}

  def digest(self) -> str:
    """SHA-256 of the weights, in hexadecimal."""
    sha = hashlib.sha256()
    for variable in self._network.trainable_variables:
      sha.update(np.ascontiguousarray(variable.numpy(), "<f4"))
    return sha.hexdigest()


def pairwise_loss(z, person):
  """Both losses of a batch, Eq. (6) to (8) there.

  Args:
    z: float32 [n, bits], in (-1, 1).
    person: float32 [n], whose face it is.

  Returns:
    The cross-entropy, the mean of that over pairs of one person and of that
    over pairs of two, and the quantization loss, the mean over elements. In the
    sums there the rare pairs of one person would vanish.
  """
  # Scaled so that a logit lies within +-10 whatever the length of the code.
  logit = 10 * tf.matmul(z, z, transpose_b=True) / z.shape[1]
  same = tf.cast(tf.equal(person[:, None], person[None]), tf.float32)
  entropy = tf.nn.sigmoid_cross_entropy_with_logits(same, logit)
  same -= tf.eye(z.shape[0])  # A face and itself are no pair.
  different = 1 - same - tf.eye(z.shape[0])

  def mean(weight):
    weights = tf.reduce_sum(weight)
    return tf.math.divide_no_nan(tf.reduce_sum(weight * entropy), weights)

  excess = tf.abs(z) - 1
  # log cosh, without its overflow.
  log_cosh = excess + tf.nn.softplus(-2 * excess) - np.float32(np.log(2))
  return (mean(same) + mean(different)) / 2, tf.reduce_mean(log_cosh)


def _pairs(training_set: FeatureSet, seed: int) -> Dict[str, np.ndarray]:
  """Each face to learn from with another of the same person.

  Args:
    training_set: with identities.
    seed: of the order of the faces.

  Returns:
    `first` and `second`, float32 [n, dim], and `person`, float32 [n].
  """
  known = np.sort(labels.labelled(training_set.identities))
  known = np.random.default_rng(seed).permutation(known)
  person = training_set.identities[known]
  order = known[np.argsort(person, kind="stable")]
  person = training_set.identities[order]
  first = np.searchsorted(person, person, side="left")
  last = np.searchsorted(person, person, side="right") - 1
  place = np.arange(len(order))
  other = order[np.where(place < last, place + 1, first)]
  features = training_set.features
  return {
    "first": features[order],
    "second": features[other],
    "person": person.astype(np.float32),
  }


def fit(training_set: FeatureSet, bits: int, seed: int) -> HashNetwork:
  """Trains the network on the labelled faces.

  Args:
    training_set: with identities; -1 is unknown.
    bits: of a code.
    seed: of the weights and the order of the faces.

  Raises:
    Error: if there are too few labelled faces for a batch.
  """
  dim = training_set.features.shape[1]
  seeds = networks.seeds(seed, 2)

  def dense(units, activation, name):
    glorot = tf.keras.initializers.GlorotUniform(next(seeds))
    return tf.keras.layers.Dense(
      units, activation, kernel_initializer=glorot, name=name
    )

  network = tf.keras.Sequential(
    [dense(HIDDEN_DIM, "relu", "fc1"), dense(bits, "tanh", "hash")]
  )
  network.build((None, dim))

  def loss_fn(batch, noise):
    del noise
    faces = tf.concat([batch["first"], batch["second"]], axis=0)
    person = tf.tile(batch["person"], [2])
    entropy, quantization = pairwise_loss(network(faces), person)
    loss = entropy + QUANTIZATION_WEIGHT * quantization
    return loss, entropy, quantization

  trainer = Trainer(
    {v.name: v for v in network.trainable_variables},
    loss_fn,
    ("loss", "cross-entropy", "quantization"),
    _pairs(training_set, seed),
    Recipe(EPOCHS, BATCH_SIZE, LEARNING_RATE, seed=seed),
  )
  objective = []
  while trainer.epoch < EPOCHS:
    trainer.run_epoch(lambda steps, metrics: None)
    objective.append(trainer.metrics["loss"])
  return HashNetwork(network, objective)
