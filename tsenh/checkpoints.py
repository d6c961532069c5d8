"""One training run = one folder.

| file                 | what                                                  |
|----------------------|-------------------------------------------------------|
| `config.json`        | flags, versions, digests, progress; `status` finished |
| `weights.npz`        | the codec's variables by name                         |
| `tables.npz`         | the entropy coder's integer tables                    |
| `training_state.npz` | weights and Adam's moments, for `--resume`            |
| `validation.json`    | with `--validation`: metrics while training           |
| `tensorboard/`       | scalars                                               |

Every file is replaced whole, and `config.json` says `finished` last, so a run
that was killed at any moment is never mistaken for a finished one.
"""

import json
import pathlib
import shutil
import zipfile
import zlib
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from tsenh import entropy, files
from tsenh.codec import ARCHITECTURE, Codec
from tsenh.errors import Error

FINISHED, TRAINING = "finished", "training"
TENSORBOARD = "tensorboard"
_CONFIG, _WEIGHTS, _TABLES, _STATE, _VALIDATION = (
  "config.json",
  "weights.npz",
  "tables.npz",
  "training_state.npz",
  "validation.json",
)
_PACKAGE = pathlib.Path(__file__).parent
# Installed beside this module; in a source checkout beside the package.
_SHIPPED = (_PACKAGE / "trained", _PACKAGE.parent / "checkpoints")


def shipped() -> Dict[str, pathlib.Path]:
  """The folders of the codecs that come with the package, by name."""
  return {
    config.parent.name: config.parent
    for folder in _SHIPPED
    for config in sorted(folder.glob(f"*/{_CONFIG}"))
  }


def find(name: str) -> pathlib.Path:
  """The folder of a run or of a shipped codec.

  Raises:
    Error: if there is none.
  """
  known = shipped()
  if name in known:
    return known[name]
  if not (pathlib.Path(name) / _CONFIG).is_file():
    raise Error(
      f"{name}: neither a run folder (no {_CONFIG} in it) nor a shipped codec"
      f" ({', '.join(known) or 'none'})."
    )
  return pathlib.Path(name)


def read_config(folder: pathlib.Path) -> Optional[Dict[str, Any]]:
  """The configuration of a run, or None where no run was started.

  Raises:
    Error: if the file is no JSON.
  """
  path = pathlib.Path(folder) / _CONFIG
  if not path.exists():
    return None
  try:
    config = json.loads(path.read_text())
    if isinstance(config, dict) and "status" in config:
      return config
    reason = "it has no status"
  except ValueError as error:
    reason = error
  raise Error(f"{path}: not the configuration of a run ({reason}).")


def write_config(folder: pathlib.Path, config: Dict[str, Any]) -> None:
  """Replaces the configuration of a run."""
  files.write_json(str(folder / _CONFIG), config)


def start(folder: pathlib.Path, config: Dict[str, Any]) -> None:
  """Begins a run: what an earlier one left in the folder no longer counts."""
  folder.mkdir(parents=True, exist_ok=True)
  for name in (_STATE, _VALIDATION):
    (folder / name).unlink(missing_ok=True)
  shutil.rmtree(folder / TENSORBOARD, ignore_errors=True)
  write_config(folder, {**config, "status": TRAINING})


def remove_leftovers(folder: pathlib.Path) -> None:
  """Removes what a run that was killed while writing left half-written."""
  for name in (_CONFIG, _WEIGHTS, _TABLES, _STATE, _VALIDATION):
    for path in folder.glob(f".{name}.*.tmp"):
      path.unlink()


def write_state(folder: pathlib.Path, state: Dict[str, np.ndarray]) -> None:
  """Replaces what `--resume` continues from."""
  files.write_arrays(str(folder / _STATE), state)


def read_state(folder: pathlib.Path) -> Optional[Dict[str, np.ndarray]]:
  """What `write_state` last wrote, or None."""
  return _read_arrays(folder / _STATE) if (folder / _STATE).exists() else None


def write_validation(folder: pathlib.Path, records: List[Dict]) -> None:
  """Replaces the metrics of a run on its validation set."""
  files.write_json(str(folder / _VALIDATION), records)


def read_validation(folder: pathlib.Path) -> List[Dict[str, Any]]:
  """What `write_validation` last wrote; nothing where it never did."""
  path = pathlib.Path(folder) / _VALIDATION
  return json.loads(path.read_text()) if path.exists() else []


def finish(
  folder: pathlib.Path,
  codec: Codec,
  coder: entropy.EntropyCoder,
  config: Dict[str, Any],
) -> None:
  """Completes a run: weights and tables first, the word `finished` last."""
  weights = {k: v.numpy() for k, v in codec.named_variables().items()}
  files.write_arrays(str(folder / _WEIGHTS), weights)
  tables = {"lower": coder.lower, "cdf": coder.cdf}
  files.write_arrays(str(folder / _TABLES), tables)
  digests = {
    "codec_digest": codec.digest(),
    "table_digest": coder.digest(),
    "parameters": codec.parameter_counts(),
  }
  write_config(folder, {**config, **digests, "status": FINISHED})


def load(name: str) -> Tuple[Codec, entropy.EntropyCoder]:
  """Loads a trained codec and its entropy coder.

  Args:
    name: a run folder or the name of a shipped codec.

  Raises:
    Error: if there is none, it is unfinished, or a file is damaged.
  """
  folder = find(name)
  config = read_config(folder)
  if config["status"] != FINISHED:
    raise Error(
      f"{name}: the run is unfinished ({config.get('epochs_done', 0)} of"
      f" {config['epochs']} epochs); train_codec --resume continues it."
    )
  codec = Codec(**{key: config[key] for key in ARCHITECTURE})
  weights = _read_arrays(folder / _WEIGHTS)
  variables = codec.named_variables()
  if {k: v.shape for k, v in weights.items()} != {
    k: tuple(v.shape) for k, v in variables.items()
  }:
    raise Error(f"{folder / _WEIGHTS}: not the weights of this architecture.")
  for key, variable in variables.items():
    variable.assign(weights[key])
  tables = _read_arrays(folder / _TABLES)
  if set(tables) != {"lower", "cdf"}:
    raise Error(f"{folder / _TABLES}: not entropy tables.")
  coder = entropy.EntropyCoder(tables["lower"], tables["cdf"])
  for path, found, expected in (
    (_WEIGHTS, codec.digest(), config["codec_digest"]),
    (_TABLES, coder.digest(), config["table_digest"]),
  ):
    if found != expected:
      raise Error(f"{folder / path}: not the file that {_CONFIG} describes.")
  return codec, coder


def _read_arrays(path: pathlib.Path) -> Dict[str, np.ndarray]:
  try:
    with np.load(path, allow_pickle=False) as archive:
      return dict(archive)
  except (
    OSError,
    ValueError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
  ) as error:
    raise Error(f"{path}: missing or damaged ({error}).") from error
