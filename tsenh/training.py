"""The one compiled training loop: Adam on batches, a few hundred per call.

Everything random is keyed by the seed and the position in the run (the noise by
the global step, the order of the features by the epoch), and the thread mode is
fixed, so a run can stop and continue anywhere and end in the same bits.
"""

import math
import os
from typing import Callable, Dict, Sequence

import numpy as np
import tensorflow as tf

from tsenh.errors import Error

# XLA's matrix products on one thread: the bits then do not depend on the number
# of cores (two threads give others), and two runs can share two cores.
THREAD_MODE = "--xla_cpu_multi_thread_eigen=false"
# Bounds the memory of one call and the time between two signs of progress.
MAX_FEATURES_PER_CALL = 32768


class Trainer:
  """Trains a model with Adam, an epoch at a time.

  Attributes:
    step: updates done so far.
    epoch: epochs done so far.
    metrics: of the last epoch, by name.
    steps_per_epoch: whole batches in the training set; a rest is left out
      (another rest each epoch).
  """

  def __init__(
    self,
    variables: Dict[str, tf.Variable],
    loss_fn: Callable[[tf.Tensor, tf.Tensor], Sequence[tf.Tensor]],
    metric_names: Sequence[str],
    examples: np.ndarray,
    noise_dim: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    epsilon: float = 1e-7,
  ):
    """Prepares to train; nothing is compiled before the first epoch.

    Args:
      variables: the model's variables by name.
      loss_fn: maps a batch float32 [batch, dim] and its noise float32 [batch,
        noise_dim], uniform in [-0.5, 0.5), to the loss and further metrics.
      metric_names: of what `loss_fn` returns.
      examples: float32 [n, dim], may be memory-mapped.
      noise_dim: see `loss_fn`.
      batch_size: examples per update.
      learning_rate: Adam's.
      seed: of the noise and the order.
      epsilon: Adam's. Paper-silent; Keras's default.

    Raises:
      Error: if there is not one whole batch.
    """
    if len(examples) < batch_size:
      raise Error(
        f"{len(examples)} training features do not fill a batch of"
        f" {batch_size}."
      )
    self.step = self.epoch = 0
    self.metrics = {name: math.nan for name in metric_names}
    self.steps_per_epoch = len(examples) // batch_size
    self._variables = variables
    self._examples = examples
    self._batch_size = batch_size
    self._noise_dim = noise_dim
    self._seed = seed
    self._adam = tf.keras.optimizers.Adam(
      learning_rate, epsilon=epsilon, jit_compile=False
    )
    self._adam.build(list(variables.values()))
    # Calls of equal length: one compilation serves all.
    most = max(1, MAX_FEATURES_PER_CALL // batch_size)
    calls = math.ceil(self.steps_per_epoch / most)
    self._steps_per_call = math.ceil(self.steps_per_epoch / calls)
    self._run = self._compile(loss_fn)

  def _compile(self, loss_fn):
    """Many updates as one XLA computation.

    Updates go in pairs, and after the first of a pair all variables are copied
    to twins. Nobody reads the twins: they make XLA write the first update to
    their memory and the second back to the variables'. It would otherwise
    write in place, where LLVM dares no vector instructions, for it sees that
    an update's loads and stores overlap: a step would take 1.4 times as long.
    """
    variables = list(self._variables.values())
    state = [v for v in (*variables, *self._adam.variables) if v.shape.rank > 0]
    twins = [tf.Variable(tf.zeros_like(variable)) for variable in state]
    flags = os.environ.get("XLA_FLAGS", "")
    if THREAD_MODE not in flags:
      os.environ["XLA_FLAGS"] = f"{flags} {THREAD_MODE}".strip()

    @tf.function(jit_compile=True)
    def run(batches, noise, steps):
      def update(i, metrics):
        with tf.GradientTape() as tape:
          losses = loss_fn(batches[i], noise[i])
        gradients = tape.gradient(losses[0], variables)
        self._adam.apply_gradients(zip(gradients, variables))
        return metrics + tf.stack(losses)

      def two_updates(i, metrics):
        metrics = update(i, metrics)
        for twin, variable in zip(twins, state):
          twin.assign(variable)
        return i + 2, update(i + 1, metrics)

      i, metrics = tf.while_loop(
        lambda i, _: i + 1 < steps,
        two_updates,
        [0, tf.zeros(len(self.metrics))],
      )
      return tf.cond(i < steps, lambda: update(i, metrics), lambda: metrics)

    return run

  @tf.function
  def _noise(self, first_step):
    """Uniform noise for one call, each step's keyed by (seed, step)."""
    shape = [self._batch_size, self._noise_dim]
    return tf.map_fn(
      lambda step: tf.random.stateless_uniform(
        shape, [self._seed, step], -0.5, 0.5
      ),
      first_step + tf.range(self._steps_per_call),
      fn_output_signature=tf.TensorSpec(shape),
    )

  def run_epoch(
    self, progress: Callable[[int, Dict[str, float]], object]
  ) -> None:
    """Trains for one epoch.

    Args:
      progress: called after every few hundred updates with their number and
        their metrics.

    Raises:
      Error: if the loss is no longer finite.
    """
    order = np.random.default_rng([self._seed, self.epoch]).permutation(
      len(self._examples)
    )
    batches = order[: self.steps_per_epoch * self._batch_size].reshape(
      self.steps_per_epoch, self._batch_size
    )
    total = np.zeros(len(self.metrics))
    for start in range(0, self.steps_per_epoch, self._steps_per_call):
      rows = batches[start : start + self._steps_per_call]
      steps = len(rows)
      rows = np.resize(rows, [self._steps_per_call, self._batch_size])
      metrics = self._run(
        tf.constant(self._examples[rows]),
        self._noise(tf.constant(self.step)),
        tf.constant(steps),
      ).numpy()
      if not np.isfinite(metrics).all():
        raise Error(
          f"the loss is {metrics[0]} at update {self.step + steps}: the"
          " learning rate is too high for these features, or lambda too large."
        )
      self.step += steps
      total += metrics
      progress(steps, self._named(metrics / steps))
    self.epoch += 1
    self.metrics = self._named(total / self.steps_per_epoch)

  def _named(self, metrics: np.ndarray) -> Dict[str, float]:
    return dict(zip(self.metrics, metrics.tolist()))

  def _state_variables(self) -> Dict[str, tf.Variable]:
    state = {f"weights/{name}": v for name, v in self._variables.items()}
    for i, variable in enumerate(self._adam.variables):
      # Numbered, for Adam gives the encoder's and decoder's the same names.
      state[f"adam/{i:02d}/{variable.name.split(':')[0]}"] = variable
    return state

  def state(self) -> Dict[str, np.ndarray]:
    """Weights, Adam's moments and the position: all that a resume needs."""
    state = {k: v.numpy() for k, v in self._state_variables().items()}
    position = {"epoch": self.epoch, "step": self.step}
    position["metrics"] = list(self.metrics.values())
    return {**state, **{k: np.array(v) for k, v in position.items()}}

  def restore(self, state: Dict[str, np.ndarray]) -> None:
    """Continues from what `state` returned."""
    for name, variable in self._state_variables().items():
      variable.assign(state[name])
    self.epoch, self.step = int(state["epoch"]), int(state["step"])
    self.metrics = self._named(state["metrics"])
