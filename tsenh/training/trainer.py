"""The one compiled training loop: Adam on batches, a few hundred per call.

Everything random is keyed by the seed and the position in the run (the noise by
the global step, the order of the examples by the epoch), and the thread mode is
fixed, so a run can stop and continue anywhere and end in the same bits.
"""

import math
import os
from typing import Callable, Dict, NamedTuple, Optional, Sequence

import numpy as np
import tensorflow as tf

from tsenh.base import processes
from tsenh.base.command_line import THREAD_MODE
from tsenh.base.errors import Error
from tsenh.training import noise as noises
from tsenh.training.machines import Machines
from tsenh.training.samplers import Sampler, Shuffled

# Bounds the memory of one call, examples and noise together, and the time
# between two signs of progress. For features of 128 dimensions and as much
# noise these are 32,768 examples.
MAX_BYTES_PER_CALL = 1 << 25

Tensors = Dict[str, tf.Tensor]


class Recipe(NamedTuple):
  """How a model is trained; the defaults are the paper's.

  Attributes:
    epochs: how often each example is seen.
    batch_size: examples per update.
    learning_rate: Adam's.
    adam_epsilon: Adam's. Paper-silent (adam_epsilon); Keras's default.
    seed: of the weights, the noise and the order of the examples.
  """

  epochs: int = 40
  batch_size: int = 32
  learning_rate: float = 1e-4
  adam_epsilon: float = 1e-7
  seed: int = 0


class Trainer:
  """Trains a model with Adam, an epoch at a time.

  Attributes:
    step: updates done so far.
    epoch: epochs done so far.
    metrics: of the last epoch, by name.
    steps_per_epoch: updates per epoch.
  """

  def __init__(
    self,
    variables: Dict[str, tf.Variable],
    loss_fn: Callable[[Tensors, tf.Tensor], Sequence[tf.Tensor]],
    metric_names: Sequence[str],
    examples: Dict[str, np.ndarray],
    recipe: Recipe,
    noise_dim: int = 0,
    training_variables: Optional[Dict[str, tf.Variable]] = None,
    sampler: Optional[Sampler] = None,
    statistics: Optional[Dict[str, tf.Variable]] = None,
    decay_epochs: Optional[int] = None,
    xla: bool = True,
    machines: Optional[Machines] = None,
  ):
    """Prepares to train; nothing is compiled before the first epoch.

    Args:
      variables: the model's variables by name.
      loss_fn: maps a batch of the examples, each array's rows [batch, ...] by
        the array's name, and noise float32 [batch, noise_dim], uniform in
        [-0.5, 0.5), to the loss and further metrics.
      metric_names: of what `loss_fn` returns.
      examples: arrays [n, ...] of one length by name: features, teacher
        outputs, identities. They may be memory-mapped.
      recipe: of its epochs nothing is used here; see `runs.train`.
      noise_dim: see `loss_fn`.
      training_variables: variables that are trained with the model's and serve
        training alone, by name; a classifier's, for example.
      sampler: picks the batches; by default all examples in random order.
      statistics: variables that `loss_fn` itself assigns to, by name, which a
        resumed run needs too: what batch normalisation keeps.
      decay_epochs: the learning rate falls to 0 in so many epochs, as half a
        cosine; None leaves it as it is.
      xla: whether XLA compiles the loop. Its convolutions within a loop are
        hundreds of times slower than TensorFlow's own.
      machines: those that share each batch, of which each is given all this.
        The losses are then means over a batch.

    Raises:
      Error: if there is not one whole batch, the arrays differ in length,
        machines cannot share a batch or what is trained on it, or
        the thread mode is not set, without which bits are not reproducible;
        also as `processes.check` does.
    """
    processes.check()
    if THREAD_MODE not in os.environ.get("XLA_FLAGS", ""):
      raise Error(
        "call tsenh.base.command_line.set_thread_mode() before TensorFlow"
        " compiles anything: training would not give the same bits again."
      )
    lengths = {name: len(array) for name, array in examples.items()}
    if len(set(lengths.values())) != 1:
      raise Error(f"arrays of examples differ in length: {lengths}.")
    count = next(iter(lengths.values()))
    self._sampler = sampler or Shuffled(count, recipe.batch_size, recipe.seed)
    self.step = self.epoch = 0
    self.metrics = {name: math.nan for name in metric_names}
    self.steps_per_epoch = self._sampler.steps_per_epoch
    self._variables = {f"weights/{k}": v for k, v in variables.items()}
    for name, variable in (training_variables or {}).items():
      self._variables[f"training/{name}"] = variable
    self._statistics = {
      f"statistics/{name}": v for name, v in (statistics or {}).items()
    }
    self._examples = examples
    self._noise_shape = [self._sampler.batch_size, noise_dim]
    self._seed = recipe.seed
    rate = recipe.learning_rate
    if decay_epochs is not None:
      rate = tf.keras.optimizers.schedules.CosineDecay(
        rate, decay_epochs * self.steps_per_epoch
      )
    self._adam = tf.keras.optimizers.Adam(
      rate, epsilon=recipe.adam_epsilon, jit_compile=False
    )
    self._adam.build(list(self._variables.values()))
    # Calls of equal length: one compilation serves all.
    row_bytes = 4 * noise_dim
    row_bytes += sum(a[:1].nbytes for a in examples.values())
    most = max(1, MAX_BYTES_PER_CALL // (recipe.batch_size * row_bytes))
    calls = math.ceil(self.steps_per_epoch / most)
    self._steps_per_call = math.ceil(self.steps_per_epoch / calls)
    self._machines = machines
    if machines is None:
      self._run = self._compile(loss_fn, xla)
      return
    if sampler or statistics or not xla:
      raise Error("several machines share batches in random order alone.")
    if recipe.batch_size % machines.count:
      raise Error(
        f"a batch of {recipe.batch_size} cannot be shared by {machines.count}"
        " machines evenly."
      )
    self._run = self._compile_shared(loss_fn, machines)

  def _compile(self, loss_fn, xla):
    """Many updates as one computation.

    Updates go in pairs, and after the first of a pair all variables are copied
    to twins. Nobody reads the twins: they make XLA write the first update to
    their memory and the second back to the variables'. It would otherwise
    write in place, where LLVM dares no vector instructions, for it sees that
    an update's loads and stores overlap: a step would take 1.4 times as long.
    A batch is gathered: for `rows[i]` XLA first copies all batches of a call
    into four times their memory.
    """
    variables = list(self._variables.values())
    state = [v for v in (*variables, *self._adam.variables) if v.shape.rank > 0]
    twins = [tf.Variable(tf.zeros_like(variable)) for variable in state]

    @tf.function(jit_compile=xla)  # GDN of tfc branches on tensors.
    def run(batches, noise, steps):
      def update(i, metrics):
        with tf.GradientTape() as tape:
          batch = {name: tf.gather(rows, i) for name, rows in batches.items()}
          losses = loss_fn(batch, tf.gather(noise, i))
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
        parallel_iterations=1,
      )
      return tf.cond(i < steps, lambda: update(i, metrics), lambda: metrics)

    return run

  def _compile_shared(self, loss_fn, machines):
    """The same, with gradients that are averaged over machines.

    XLA computes them and applies them; what happens between machines it cannot.
    """
    variables = list(self._variables.values())
    shapes = [variable.shape for variable in variables]
    sizes = [shape.num_elements() for shape in shapes]

    @tf.function(jit_compile=True)
    def gradients(batch, noise):
      with tf.GradientTape() as tape:
        losses = loss_fn(batch, noise)
      found = tape.gradient(losses[0], variables)
      return tf.concat([tf.reshape(g, [-1]) for g in (*found, losses)], axis=0)

    @tf.function(jit_compile=True)
    def apply(found):
      parts = tf.split(found, [*sizes, len(self.metrics)])
      parts, losses = parts[:-1], parts[-1]
      parts = [tf.reshape(g, shape) for g, shape in zip(parts, shapes)]
      self._adam.apply_gradients(zip(parts, variables))
      return losses

    @tf.function
    def run(batches, noise, steps):
      def update(i, metrics):
        batch = {name: tf.gather(rows, i) for name, rows in batches.items()}
        found = machines.mean(gradients, batch, tf.gather(noise, i))
        return i + 1, metrics + apply(found)

      return tf.while_loop(
        lambda i, _: i < steps,
        update,
        [0, tf.zeros(len(self.metrics))],
        parallel_iterations=1,
      )[1]

    return run

  @tf.function(jit_compile=True, autograph=False)
  def _noise(self, first_step):
    """Uniform noise for one call, each step's keyed by (seed, step)."""
    steps = first_step + tf.range(self._steps_per_call)
    return noises.uniform(self._seed, steps, self._noise_shape)

  def run_epoch(
    self, progress: Callable[[int, Dict[str, float]], object]
  ) -> None:
    """Trains for one epoch.

    Args:
      progress: called after every few hundred updates with their number and
        their metrics.

    Raises:
      Error: if the loss, a weight or a moment of Adam's is no longer finite.
    """
    batches = self._sampler.batches(self.epoch)
    if self._machines:
      self._check_together()
      batches = self._machines.part(batches)
    total = np.zeros(len(self.metrics))
    for start in range(0, self.steps_per_epoch, self._steps_per_call):
      rows = batches[start : start + self._steps_per_call]
      steps = len(rows)
      rows = np.resize(rows, [self._steps_per_call, batches.shape[1]])
      examples = {k: tf.constant(a[rows]) for k, a in self._examples.items()}
      noise = self._noise(tf.constant(self.step))
      if self._machines:
        noise = self._machines.part(noise)
      metrics = self._run(examples, noise, tf.constant(steps)).numpy()
      self.step += steps
      self._check(f"the loss is {metrics[0]}", metrics)
      total += metrics
      progress(steps, self._named(metrics / steps))
    for name, variable in self._state_variables().items():
      self._check(f"{name} is not finite", variable)
    self.epoch += 1
    self.metrics = self._named(total / self.steps_per_epoch)

  def _check_together(self) -> None:
    """Raises an Error unless all machines are at the same update."""
    mean = self._mean_over_machines(tf.constant(self.step, tf.float64))
    if float(mean) != self.step:
      raise Error(
        f"this machine is at update {self.step}, but others are not; do all see"
        " the same run folder?"
      )

  @tf.function
  def _mean_over_machines(self, value):
    return self._machines.mean(tf.identity, value)

  def _check(self, found: str, values) -> None:
    if not np.isfinite(values).all():
      raise Error(
        f"{found} at update {self.step}: the learning rate is too high for"
        " these features, or lambda too large."
      )

  def _named(self, metrics: np.ndarray) -> Dict[str, float]:
    return dict(zip(self.metrics, metrics.tolist()))

  def _state_variables(self) -> Dict[str, tf.Variable]:
    state = {**self._variables, **self._statistics}
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
