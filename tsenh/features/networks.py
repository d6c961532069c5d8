"""Dense layers with GDN: what Enc, Dec (Eq. 1, 2) and Enh (Eq. 3) are."""

import hashlib
from typing import Dict, Iterator, Sequence, Tuple

import numpy as np
import tensorflow as tf
import tensorflow_compression as tfc

from tsenh.base.errors import Error
from tsenh.features.costs import Cost


class GDN(tfc.GDN):
  """GDN in the form that the paper cites, or IGDN if `inverse`.

  GDN divides `x_i`, IGDN multiplies it, by
  `sqrt(beta_i + sum_j gamma_ij x_j^2)`. The parameters, their constraints and
  their initial values are those of tfc.GDN (Paper-silent (gdn_init): beta 1,
  gamma 0.1 on the diagonal); so is the function, with alpha 2 and epsilon 1/2.
  There the exponents are tensors, and every call branches on them: XLA takes
  half as long again to compile a training step.
  """

  def call(self, x):
    """Maps float32 [n, dim] to float32 [n, dim]."""
    pool = tf.sqrt(tf.matmul(tf.square(x), self.gamma) + self.beta)
    return x * pool if self.inverse else x / pool


# Paper-silent (gdn): the paper cites the 2016 form; "tfc" is today's default
# there, x_i / (beta_i + sum_j gamma_ij |x_j|).
GDN_FORMS = {"classic": GDN, "tfc": tfc.GDN}


def seeds(seed: int, count: int) -> Iterator[int]:
  """Seeds for the layers of a model."""
  return iter(np.random.SeedSequence(seed).generate_state(count).tolist())


def dense_layers(
  name: str,
  dims: Sequence[int],
  gdn: str,
  inverse: bool,
  layer_seeds: Iterator[int],
  gdn_layers: int = 1,
) -> tf.keras.Sequential:
  """Builds `fc1`, `gdn`, `fc2` with Glorot-initialised weights.

  Of more layers there follow `gdn2`, `fc3` and so on.

  Args:
    name: of the network.
    dims: of what goes in, float32 [n, dims[0]], between the layers, and of what
      comes out.
    gdn: a key of `GDN_FORMS`.
    inverse: whether it is IGDN.
    layer_seeds: gives a seed for each dense layer.
    gdn_layers: 2 adds `gdn_code`, GDN behind the last layer or IGDN before the
      first.

  Returns:
    The network, built.
  """

  def dense(units, name):
    glorot = tf.keras.initializers.GlorotUniform(next(layer_seeds))
    return tf.keras.layers.Dense(units, kernel_initializer=glorot, name=name)

  def gdn_layer(name):
    return GDN_FORMS[gdn](inverse=inverse, name=name)

  layers = []
  for i, units in enumerate(dims[1:], 1):
    if i > 1:
      layers.append(gdn_layer("gdn" if i == 2 else f"gdn{i - 1}"))
    layers.append(dense(units, f"fc{i}"))
  if gdn_layers == 2:
    layers.insert(0 if inverse else len(layers), gdn_layer("gdn_code"))
  model = tf.keras.Sequential(layers, name=name)
  model.build((None, dims[0]))
  return model


class StoredModel(tf.keras.Model):
  """A model of networks that a run folder holds.

  A subclass has an attribute for each name in `ARCHITECTURE`, and its networks
  in `parts`.

  Attributes:
    KIND: what the run's config.json calls it.
    ROLE: "codec" or "enhancer".
    ARCHITECTURE: arguments that, beside the weights, determine its function.
    OPTIONAL: further ones and their defaults, with which they are left out.
    parts: its networks, in the order of their weights.
  """

  KIND = ROLE = ""
  ARCHITECTURE: Tuple[str, ...] = ()
  OPTIONAL: Tuple[Tuple[str, object], ...] = ()
  parts: Sequence[tf.keras.Sequential]

  def architecture(self) -> Dict[str, object]:
    """The attributes of `ARCHITECTURE`, and of `OPTIONAL` those that differ."""
    found = {name: getattr(self, name) for name in self.ARCHITECTURE}
    for name, default in self.OPTIONAL:
      if getattr(self, name) != default:
        found[name] = getattr(self, name)
    return found

  def named_variables(self) -> Dict[str, tf.Variable]:
    """Variables by name, `encoder/fc1/kernel` and so on.

    `reparam_beta` and `reparam_gamma` of GDN are stored as the square roots of
    beta and gamma plus 2^-36 (tfc.GDNParameter).
    """
    return {
      f"{network.name}/{variable.name.split(':')[0]}": variable
      for network in self.parts
      for variable in network.trainable_variables
    }

  def arrays(self) -> Dict[str, np.ndarray]:
    """The variables' values, float32, by name."""
    return {k: v.numpy() for k, v in self.named_variables().items()}

  def assign(self, arrays: Dict[str, np.ndarray]) -> None:
    """Takes what `arrays` once gave.

    Raises:
      Error: if names or shapes are another architecture's.
    """
    variables = self.named_variables()
    expected = {name: tuple(v.shape) for name, v in variables.items()}
    if {name: array.shape for name, array in arrays.items()} != expected:
      raise Error("not the weights of this architecture.")
    for name, variable in variables.items():
      variable.assign(arrays[name])

  def digest(self) -> str:
    """SHA-256 of the architecture and weights, in hexadecimal (FORMAT.md)."""
    words = map(_word, self.architecture().values())
    sha = hashlib.sha256(" ".join(words).encode())
    for name, array in self.arrays().items():
      sha.update(name.encode())
      sha.update(np.ascontiguousarray(array, "<f4"))
    return sha.hexdigest()


def _word(value: object) -> str:
  """An architecture's value as the digest has it: 20, not 20.0; 1, not True."""
  if isinstance(value, bool):
    return str(int(value))
  return f"{value:g}" if isinstance(value, float) else str(value)


def cost(*networks: tf.keras.Sequential) -> Cost:
  """Parameters and multiply-adds of networks that run one after the other."""
  return Cost(
    sum(network.count_params() for network in networks),
    sum(map(multiply_adds, networks)),
  )


def multiply_adds(network: tf.keras.Sequential) -> int:
  """Multiply-adds for one vector: dense layers and the sums of GDN."""
  shapes = [v.shape for v in network.trainable_variables]
  return sum(int(np.prod(shape)) for shape in shapes if shape.rank == 2)
