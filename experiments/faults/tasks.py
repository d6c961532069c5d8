"""The commands that faults meet, each small, and what they must make."""

import hashlib
import json
import pathlib
import subprocess
import sys
from typing import Callable, Dict, List, NamedTuple, Tuple

import numpy as np

from experiments import staleness
from tsenh.base import arrays, files
from tsenh.data import feature_sets, manifests
from tsenh.data.feature_sets import FeatureSet

_STATE = "training_state.npz"
_TRAINED = ("run/weights.npz", f"run/{_STATE}")
_NUM_TRAINING = 3200  # 100 steps an epoch: a checkpoint is written often.
_NUM_CODED = 150_000
_NUM_PHOTOGRAPHS = 20


class Task(NamedTuple):
  """A command, which goes on or begins anew when it is given once more.

  Attributes:
    command: what follows `python -m`, of the folders of the inputs and of the
      outputs.
    outputs: patterns of the files that must be the same in the end.
    checkpoint: pattern of what it goes on from; empty if it begins anew.
    kills: of all that are recorded.
    share: of its duration, within which each of its processes is killed: less
      for a long one, that more kills meet it.
    most: kills before it may end.
  """

  command: Callable[[pathlib.Path, pathlib.Path], List[str]]
  outputs: Tuple[str, ...]
  checkpoint: str
  kills: int
  share: float = 1.0
  most: int = 8


def _train_codec(given, folder):
  return [
    *("tsenh.train_codec", "--lambda=1e-6", "--epochs=30", "--resume"),
    *(f"--features={given / 'small.npz'}", f"--output={folder / 'run'}"),
  ]


def _train_enhancer(given, folder):
  return [
    *("tsenh.train_enhancer", "--low=pro-1e-4", "--high=pro-1e-6"),
    *("--epochs=30", "--resume", f"--features={given / 'small.npz'}"),
    f"--output={folder / 'run'}",
  ]


def _train_sq_enhancer(given, folder):
  return [
    *("tsenh.train_sq_enhancer", "--qp=50", "--epochs=15", "--resume"),
    *(f"--features={given / 'small.npz'}", f"--output={folder / 'run'}"),
  ]


def _encode(given, folder):
  return [
    *("tsenh.encode", "--codec=pro-1e-6", f"--input={given / 'faces.npy'}"),
    f"--output={folder / 'coded.tsf'}",
  ]


def _decode(given, folder):
  return [
    *("tsenh.decode", "--codec=pro-1e-6", f"--input={given / 'coded.tsf'}"),
    f"--output={folder / 'decoded.npz'}",
  ]


def _extract_features(given, folder):
  return [
    *("tsenh.extract_features", f"--images={given / 'photographs'}"),
    *("--network=dlib", "--shard_size=1", "--workers=1"),
    f"--output={folder / 'features.npz'}",
  ]


def _smoke(given, folder):
  del given
  return [
    *("experiments.reproduce", "--plan=smoke", f"--runs={folder / 'runs'}"),
    f"--output={folder / 'results'}",
  ]


# What the tasks run, so that its code counts as theirs.
COMMANDS = (
  "tsenh.train_codec",
  "tsenh.train_enhancer",
  "tsenh.train_sq_enhancer",
  "tsenh.encode",
  "tsenh.decode",
  "tsenh.extract_features",
  "experiments.reproduce",
)
TASKS = {
  "train_codec": Task(
    _train_codec, (*_TRAINED, "run/tables.npz"), _TRAINED[1], 40
  ),
  "train_enhancer": Task(_train_enhancer, _TRAINED, _TRAINED[1], 25),
  "train_sq_enhancer": Task(_train_sq_enhancer, _TRAINED, _TRAINED[1], 15),
  "encode": Task(_encode, ("coded.tsf",), "", 30, most=4),
  "decode": Task(_decode, ("decoded.npz",), "", 30, most=4),
  "extract_features": Task(
    _extract_features,
    ("features.npz", "features.report.json", "features.report.html"),
    ".features.npz.shards/0*.npz",
    54,
  ),
  "smoke": Task(
    _smoke,
    ("results/*.json", "runs/*/weights.npz", "runs/*/tables.npz"),
    f"runs/*/{_STATE}",
    6,
    share=0.3,
    most=6,
  ),
}


def prepare(folder: pathlib.Path) -> None:
  """Writes the inputs of all tasks, once."""
  import matplotlib
  from PIL import Image

  done = folder / "done.json"
  if done.exists():
    return
  photographs = folder / "photographs"
  photographs.mkdir(parents=True, exist_ok=True)
  faces = feature_sets.load(manifests.default().training).features
  small = FeatureSet(faces[:_NUM_TRAINING])
  feature_sets.save(str(folder / "small.npz"), small)
  many = np.resize(faces, [_NUM_CODED, faces.shape[1]])
  np.save(folder / "faces.npy", many)
  command = [sys.executable, "-m", *_encode(folder, folder)]
  subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
  samples = pathlib.Path(matplotlib.get_data_path(), "sample_data")
  with Image.open(samples / "grace_hopper.jpg") as image:
    for number in range(_NUM_PHOTOGRAPHS):
      image.rotate(number).save(photographs / f"{number:02}.png")
  files.write_json(str(done), {})


def digests(task: Task, folder: pathlib.Path) -> Dict[str, str]:
  """SHA-256 of a task's outputs, by their paths; of results, their numbers."""
  found = {}
  for pattern in task.outputs:
    for path in sorted(folder.glob(pattern)):
      data = path.read_bytes()
      if path.parent.name == "results":
        data = json.dumps(staleness.numbers(json.loads(data))).encode()
      name = path.relative_to(folder).as_posix()
      found[name] = hashlib.sha256(data).hexdigest()
  return found


def damage(folder: pathlib.Path, expected: Dict[str, str]) -> List[str]:
  """What is wrong with the files of a command that did not end.

  Args:
    folder: of its outputs.
    expected: digests of what it makes at its end.

  Returns:
    Names of files that are not whole. Hidden ones are on their way.
  """
  found = []
  for path in sorted(folder.rglob("*")):
    name = path.relative_to(folder).as_posix()
    if path.name.startswith(".") or not path.is_file():
      continue
    try:
      if path.suffix == ".npz":
        arrays.read_all(path)
      elif path.suffix == ".json":
        json.loads(path.read_text())
      elif path.suffix in (".tsf", ".html"):
        data = hashlib.sha256(path.read_bytes()).hexdigest()
        if data != expected.get(name):
          found.append(name)
    except ValueError:
      found.append(name)
  return found


def leftovers(folder: pathlib.Path) -> List[str]:
  """What is half written in a folder, by the paths within it."""
  paths = sorted(folder.rglob(".*.tmp"))
  return [path.relative_to(folder).as_posix() for path in paths]
