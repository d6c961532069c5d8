"""The coarse grain: how well decoded features tell people apart (2021).

The codec of 2021 is trained with two constraints: a fine one, the decoded
feature's squared error (Eq. 5), and a coarse one, the accuracy of an analysis
of it. Which loss the coarse one is the paper does not say; here are two
families, softmax over the people of the training set, with or without an
angular margin, and a contrast of the pairs in a batch. All see the direction of
a feature alone, as a comparison by distance of unit vectors does.
"""

from typing import Any, Callable, Dict, NamedTuple, Optional

import numpy as np
import tensorflow as tf

from tsenh.data import streams
from tsenh.training import samplers

# Paper-silent (coarse): the form of the coarse term and its constants. The
# cosine is multiplied by the scale; the margin is an angle, in radians.
SCALE = 32.0
MARGIN = 0.3
TEMPERATURE = 0.1
_LARGE = 1e9


def labels(identities: np.ndarray) -> np.ndarray:
  """People of several photographs, numbered: int32 [n], -1 for all others.

  Args:
    identities: int [n], -1 where unknown.
  """
  _, person, faces = np.unique(
    identities, return_inverse=True, return_counts=True
  )
  several = (identities >= 0) & (faces[person] > 1)
  found = np.full(len(identities), -1, np.int32)
  found[several] = np.unique(person[several], return_inverse=True)[1]
  return found


def centres(features: np.ndarray, people: np.ndarray) -> np.ndarray:
  """The mean feature of each person, float32 [people, dim]: where they start.

  Args:
    features: float [n, dim]; may be on disk.
    people: from `labels`.
  """
  known = np.flatnonzero(people >= 0)
  sums = np.zeros([people.max() + 1, features.shape[1]])
  for rows in streams.each_chunk(known):
    np.add.at(sums, people[rows], features[rows])
  faces = np.bincount(people[known])
  return (sums / faces[:, None]).astype(np.float32)


def softmax_loss(f_rec, people, classes, margin: float = 0.0):
  """Cross-entropy of a feature's person among all, by angles to centres.

  With theta_j the angle between f_rec and the centre of person j, and y the
  right one: -log of exp(s cos(theta_y + m)) over that plus the sum of
  exp(s cos(theta_j)) of the others.

  Args:
    f_rec: float32 [batch, dim], decoded features.
    people: int32 [batch], from `labels`; -1 has no part.
    classes: float32 [people, dim], the centres; trained.
    margin: m, in radians; 0 is plain softmax.

  Returns:
    A float32 scalar, the mean over the features of known people.
  """
  f, w = (
    tf.math.l2_normalize(x, axis=1, epsilon=1e-12) for x in (f_rec, classes)
  )
  cosine = tf.matmul(f, w, transpose_b=True)
  right = tf.one_hot(people, classes.shape[0])
  own = tf.reduce_sum(cosine * right, axis=1, keepdims=True)
  sine = tf.sqrt(tf.maximum(1 - tf.square(own), 1e-6))
  harder = own * np.cos(margin) - sine * np.sin(margin)
  logits = SCALE * (cosine + right * (harder - own))
  losses = tf.reduce_logsumexp(logits, axis=1) - SCALE * harder[:, 0]
  return _mean(losses, people >= 0)


def contrastive_loss(f_rec, people):
  """Each feature finds those of its own person among all of the batch.

  With s the cosine of two features over the temperature: -log of the mean over
  the others of the same person of exp(s), over the sum over all others.

  Args:
    f_rec: float32 [batch, dim], decoded features.
    people: int32 [batch], from `labels`; -1 has no part.

  Returns:
    A float32 scalar, the mean over the features with another of their person.
  """
  f = tf.math.l2_normalize(f_rec, axis=1, epsilon=1e-12)
  similarity = tf.matmul(f, f, transpose_b=True) / TEMPERATURE
  known = people >= 0
  other = known[None] & ~tf.eye(f_rec.shape[0], dtype=tf.bool)
  same = other & (people[:, None] == people[None])
  number = tf.reduce_sum(tf.cast(same, tf.float32), axis=1)
  losses = (
    _log_sum(similarity, other)
    - _log_sum(similarity, same)
    + tf.math.log(tf.maximum(number, 1.0))
  )
  return _mean(losses, known & (number > 0))


def coarse_loss(form: str, f_rec, people, classes: Optional[tf.Variable]):
  """The coarse term of a form: softmax, margin or contrastive."""
  if form == "contrastive":
    return contrastive_loss(f_rec, people)
  margin = MARGIN if form == "margin" else 0.0
  return softmax_loss(f_rec, people, classes, margin)


class Coarse(NamedTuple):
  """What the coarse term adds to a training.

  Attributes:
    examples: further arrays of the examples, by name.
    training: further arguments of the `Trainer`: the classes' centres, which
      serve the training alone, and what picks balanced batches.
    term: maps decoded features float32 [batch, dim], and the batch of the
      examples, to the coarse term; None if there is none.
  """

  examples: Dict[str, np.ndarray]
  training: Dict[str, Any]
  term: Optional[Callable]


NONE = Coarse({}, {}, None)


def prepare(
  form: str,
  features: np.ndarray,
  identities: np.ndarray,
  batch_size: int,
  seed: int,
) -> Coarse:
  """What a form of the coarse term adds; `NONE` for "none".

  Args:
    form: none, softmax, margin or contrastive.
    features: float32 [n, dim], the training set's.
    identities: int [n], -1 where unknown.
    batch_size: features per update.
    seed: of the batches.

  Raises:
    Error: if nobody has several photographs.
  """
  if form == "none":
    return NONE
  people = labels(identities)
  sampler = samplers.Balanced(people, batch_size, seed)
  classes = None
  if form != "contrastive":
    classes = tf.Variable(centres(features, people), name="centres")

  def term(f_rec, batch):
    return coarse_loss(form, f_rec, batch["people"], classes)

  variables = {} if classes is None else {"centres": classes}
  training = {"training_variables": variables, "sampler": sampler}
  return Coarse({"people": people}, training, term)


def _log_sum(values, where):
  return tf.reduce_logsumexp(tf.where(where, values, -_LARGE), axis=1)


def _mean(losses, where):
  """The mean of those that count, and 0 if none does."""
  counted = tf.cast(where, tf.float32)
  total = tf.reduce_sum(tf.where(where, losses, 0.0))
  return total / tf.maximum(tf.reduce_sum(counted), 1.0)
