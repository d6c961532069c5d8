"""A training run from its folder to its last epoch, whatever it trains."""

import pathlib
import time
import typing
from typing import Any, Callable, Dict, List, Optional

from tsenh.base import command_line, provenance
from tsenh.base.errors import Error
from tsenh.training import run_folders

if typing.TYPE_CHECKING:  # It imports TensorFlow.
  from tsenh.training.trainer import Trainer


# What runs of earlier versions do not say of themselves.
_BEFORE = {"coarse": "none"}


def open_run(
  folder: pathlib.Path, recipe: Dict[str, Any], resume: bool, overwrite: bool
) -> Optional[Dict[str, Any]]:
  """Opens a run folder, which no other process may train in from now on.

  What is in it stays as it is until there is something to replace it with.

  Args:
    folder: need not exist.
    recipe: all that determines the trained bits, JSON.
    resume: continue the run that is there, if one is.
    overwrite: replace it.

  Returns:
    The configuration to train with, or None if the run is finished.

  Raises:
    Error: if there is a run that must not be replaced or continued, or
      another process trains there.
  """
  if resume and overwrite:
    raise Error("--resume and --overwrite exclude each other.")
  run_folders.lock(folder)
  found = None if overwrite else run_folders.read_config(folder)
  if found is None:
    return {**recipe, **_commits([])}
  done = found["status"] == run_folders.FINISHED
  if not resume:
    raise Error(
      f"{folder}: holds {'a finished' if done else 'an unfinished'} run;"
      f" {'' if done else '--resume continues it, '}--overwrite replaces it."
    )
  for key, value in recipe.items():
    longer = key == "epochs" and found[key] < value
    # The same features may have another name: their digest counts.
    there = found.get(key, _BEFORE.get(key))
    if there != value and key != "features" and not longer:
      raise Error(
        f"{folder}: the run has {key} {there}, but now it is {value};"
        " a resumed run must be the same."
      )
  if done and found["epochs_done"] == recipe["epochs"]:
    return None
  keys = ("started", "git_commit", "git_dirty")
  # Runs of version 0.1.0 name one commit, the first.
  earlier = found.get("commits", [{key: found.get(key) for key in keys}])
  return {**found, "epochs": recipe["epochs"], **_commits(earlier)}


def _commits(earlier: List[Dict[str, Any]]) -> Dict[str, Any]:
  """The states of the source that trained a run, this one the last.

  Args:
    earlier: those of the sessions before.

  Returns:
    `commits`, a list with `started`, `git_commit` and `git_dirty` of each
    session that trained; `git_commit` of the last, and whether any was dirty,
    None where one was outside of a checkout.
  """
  now = {"started": provenance.now(), **provenance.source()}
  commits = [*earlier, now]
  dirty = [commit["git_dirty"] for commit in commits]
  return {
    "commits": commits,
    "git_commit": now["git_commit"],
    "git_dirty": None if None in dirty else any(dirty),
  }


def train(
  trainer: "Trainer",
  folder: pathlib.Path,
  config: Dict[str, Any],
  description: str,
  validate: Optional[Callable[[], Dict[str, Any]]] = None,
  validate_every: int = 1,
) -> Dict[str, Any]:
  """Trains to the last epoch, from where the folder's run stands.

  After each epoch the state, the progress and TensorBoard scalars are written;
  before the first one ends nothing is, so that a run that cannot be trained
  leaves the folder as it was.

  Args:
    trainer: not yet run.
    folder: the run's.
    config: from `open_run`.
    description: for the progress bar.
    validate: gives metrics of the model as it is; see `train_codec`.
    validate_every: epochs between two calls of it; the last epoch has one too.

  Returns:
    The configuration brought up to date.
  """
  import tensorflow as tf

  run_folders.remove_leftovers(folder)
  resumed = "status" in config  # Of the run that is there.
  state = run_folders.read_state(folder) if resumed else None
  if state is not None:
    trainer.restore(state)
  epochs = config["epochs"]
  records = run_folders.read_validation(folder) if resumed else []
  records = [r for r in records if r["epoch"] <= trainer.epoch]
  earlier_seconds = config.get("wall_time_seconds", 0.0)
  began = time.monotonic()
  writer = None
  total = epochs * trainer.steps_per_epoch
  with command_line.progress(total, "step", description) as bar:

    def show(steps: int, metrics: Dict[str, float]) -> None:
      values = ", ".join(f"{k} {v:.3g}" for k, v in metrics.items())
      bar.set_postfix_str(
        f"epoch {trainer.epoch + 1}/{epochs}, {values}", refresh=False
      )
      bar.update(steps)

    bar.update(trainer.step)
    while trainer.epoch < epochs:
      trainer.run_epoch(show)
      if writer is None:
        if not resumed:
          run_folders.start(folder, config)
        scalar_folder = str(folder / run_folders.TENSORBOARD)
        writer = tf.summary.create_file_writer(scalar_folder)
      scalars = dict(trainer.metrics)
      last = trainer.epoch == epochs
      if validate and (last or trainer.epoch % validate_every == 0):
        measured = validate()
        position = {"epoch": trainer.epoch, "step": trainer.step}
        records.append({**position, **scalars, **measured})
        run_folders.write_validation(folder, records)
        for name in ("entropy_bits_per_feature", "mse", "accuracy"):
          if name in measured:
            scalars[f"validation/{name}"] = measured[name]
      with writer.as_default(step=trainer.step):
        for name, value in scalars.items():
          tf.summary.scalar(name, value)
      writer.flush()
      run_folders.write_state(folder, trainer.state())
      seconds = earlier_seconds + time.monotonic() - began
      config = {**config, "wall_time_seconds": round(seconds, 1)}
      progress = {"epochs_done": trainer.epoch, "status": run_folders.TRAINING}
      run_folders.write_config(folder, {**config, **progress})
  return {
    "wall_time_seconds": earlier_seconds,
    **config,
    "epochs_done": trainer.epoch,
    "steps": trainer.step,
    "last_epoch": trainer.metrics,
    "code": provenance.code(),
  }
