"""Dense layers with GDN: what Enc, Dec (Eq. 1, 2) and Enh (Eq. 3) are."""

import contextlib
import contextvars
import hashlib
from typing import Any, Callable, Dict, Iterator, List, Sequence, Tuple

import numpy as np
import tensorflow as tf
import tensorflow_compression as tfc

from tsenh.base.errors import Error
from tsenh.features.costs import Cost

_NO_GRADIENT = contextvars.ContextVar("no_gradient", default=False)


@contextlib.contextmanager
def _no_gradient() -> Iterator[None]:
  """Where a graph is made that nothing is trained with."""
  token = _NO_GRADIENT.set(True)
  try:
    yield
  finally:
    _NO_GRADIENT.reset(token)


def _nonnegative(parameter: tfc.GDNParameter) -> tf.Tensor:
  """Beta or gamma from how it is stored: what `parameter()` gives.

  tfc registers a gradient of its own each time that a graph is made, for good
  and with the whole graph: a megabyte of each codec that was ever loaded.
  """
  if not _NO_GRADIENT.get():
    return parameter()
  stored, pedestal = parameter.variable, parameter.offset**2
  bound = (parameter.minimum + pedestal) ** 0.5
  return tf.square(tf.maximum(stored, bound)) - pedestal


def inference(function: Callable, dim: int) -> Callable:
  """Compiles what a model does once it is trained.

  Args:
    function: maps float32 [n, dim] to float32 [n, ...].
    dim: of what goes in.

  Returns:
    The same as a tf.function, without gradients.
  """

  def untrained(x):
    with _no_gradient():
      return function(x)

  return tf.function(untrained, input_signature=[tf.TensorSpec([None, dim])])


class TfcGDN(tfc.GDN):
  """GDN as tfc has it, or IGDN if `inverse`.

  It divides `x_i`, IGDN multiplies it, by `beta_i + sum_j gamma_ij |x_j|`.
  """

  @property
  def beta(self):
    """Float32 [dim]."""
    return _nonnegative(self.beta_parameter)

  @property
  def gamma(self):
    """Float32 [dim, dim]."""
    return _nonnegative(self.gamma_parameter)


class GDN(TfcGDN):
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
GDN_FORMS = {"classic": GDN, "tfc": TfcGDN}


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

  units = iter(dims[1:])
  layers = [
    dense(next(units), layer) if layer.startswith("fc") else gdn_layer(layer)
    for layer in _layer_names(len(dims) - 1, inverse, gdn_layers)
  ]
  model = tf.keras.Sequential(layers, name=name)
  with _no_gradient():
    model.build((None, dims[0]))
  return model


def _layer_names(num_dense: int, inverse: bool, gdn_layers: int) -> List[str]:
  """The layers of a network, in their order."""
  names = ["fc1"]
  for i in range(2, num_dense + 1):
    names += ["gdn" if i == 2 else f"gdn{i - 1}", f"fc{i}"]
  if gdn_layers == 2:
    names.insert(0 if inverse else len(names), "gdn_code")
  return names


def weight_shapes(
  name: str, dims: Sequence[int], inverse: bool, gdn_layers: int = 1
) -> Dict[str, Tuple[int, ...]]:
  """Names and shapes of what `StoredModel.arrays` has of such a network.

  Args: see `dense_layers`.
  """
  shapes, width, units = {}, dims[0], iter(dims[1:])
  for layer in _layer_names(len(dims) - 1, inverse, gdn_layers):
    before = width
    if layer.startswith("fc"):
      width = next(units)
      parts = ("kernel", "bias")
      own = ((before, width), (width,))
    else:
      parts = ("reparam_beta", "reparam_gamma")
      own = ((width,), (width, width))
    shapes.update(zip((f"{name}/{layer}/{part}" for part in parts), own))
  return shapes


class StoredModel(tf.keras.Model):
  """A model of networks that a run folder holds.

  A subclass has an attribute for each name in `ARCHITECTURE`, its networks in
  `parts`, and says in `plans` what these are.

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

  @staticmethod
  def plans(**architecture) -> List[Dict[str, Any]]:
    """What `dense_layers` builds each network of `parts` from, but for GDN."""
    raise NotImplementedError

  @classmethod
  def shapes(cls, **architecture) -> Dict[str, Tuple[int, ...]]:
    """Names and shapes of `arrays`, in their order, with nothing built."""
    shapes = {}
    for plan in cls.plans(**architecture):
      shapes.update(weight_shapes(**plan))
    return shapes

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
      Error: if names, shapes or types are another architecture's.
    """
    variables = self.named_variables()
    expected = {k: (v.shape, v.dtype) for k, v in self.arrays().items()}
    if {k: (v.shape, v.dtype) for k, v in arrays.items()} != expected:
      raise Error("not the weights of this architecture.")
    for name, variable in variables.items():
      variable.assign(arrays[name])

  @classmethod
  def digest_of(
    cls, architecture: Dict[str, object], arrays: Dict[str, np.ndarray]
  ) -> str:
    """The `digest` of a model that is not built."""
    defaults = dict(cls.OPTIONAL)
    words = [
      _word(value)
      for name, value in architecture.items()
      if name not in defaults or value != defaults[name]
    ]
    sha = hashlib.sha256(" ".join(words).encode())
    for name, array in arrays.items():
      sha.update(name.encode())
      sha.update(np.ascontiguousarray(array, "<f4"))
    return sha.hexdigest()

  def digest(self) -> str:
    """SHA-256 of the architecture and weights, in hexadecimal (FORMAT.md)."""
    return self.digest_of(self.architecture(), self.arrays())


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
