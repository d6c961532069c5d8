"""One training run = one folder, of a codec or of an enhancer.

| file                 | what                                                  |
|----------------------|-------------------------------------------------------|
| `config.json`        | flags, versions, digests, progress; `status` finished |
| `weights.npz`        | the codec's variables by name                         |
| `tables.npz`         | the entropy coder's integer tables                    |
| `training_state.npz` | weights and Adam's moments, for `--resume`            |
| `validation.json`    | with `--validation`: metrics while training           |
| `high/`              | an enhancer's: the high-rate codec, copied            |
| `tensorboard/`       | scalars                                               |

An enhancer's run has no tables of its own: it decodes what the low-rate codec
wrote, with the high-rate codec's decoder. That of SQ-E, which decodes what SQ
wrote, has no `high/` either.

Every file is replaced whole, and `config.json` says `finished` last, so a run
that was killed at any moment is never mistaken for a finished one.
"""

import json
import pathlib
import shutil
import zipfile
import zlib
from typing import Any, Dict, List, Optional, Tuple, Union

import numpy as np

from tsenh import codec as codec_lib
from tsenh import enhancer as enhancer_lib
from tsenh import entropy, files
from tsenh import sq_enhancer as sq_enhancer_lib
from tsenh.codec import Codec
from tsenh.enhancer import Enhancer
from tsenh.errors import Error
from tsenh.sq_enhancer import SQEnhancer

FINISHED, TRAINING = "finished", "training"
TENSORBOARD = "tensorboard"
_HIGH = "high"
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
  _write_weights(folder, codec)
  tables = {"lower": coder.lower, "cdf": coder.cdf}
  files.write_arrays(str(folder / _TABLES), tables)
  digests = {
    "codec_digest": codec.digest(),
    "table_digest": coder.digest(),
    "parameters": codec.parameter_counts(),
  }
  write_config(folder, {**config, **digests, "status": FINISHED})


def _write_weights(
  folder: pathlib.Path, model: Union[Codec, Enhancer, SQEnhancer]
) -> None:
  weights = {k: v.numpy() for k, v in model.named_variables().items()}
  files.write_arrays(str(folder / _WEIGHTS), weights)


def finish_enhancer(
  folder: pathlib.Path,
  enhancer: Union[Enhancer, SQEnhancer],
  config: Dict[str, Any],
  high: Optional[str] = None,
) -> None:
  """Completes an enhancer's run; `high` is the high-rate codec's name."""
  _write_weights(folder, enhancer)
  if high is not None:
    (folder / _HIGH).mkdir(exist_ok=True)
    for name in (_WEIGHTS, _TABLES, _CONFIG):
      with files.replacing(str(folder / _HIGH / name)) as file:
        file.write((find(high) / name).read_bytes())
  sizes = [v.shape.num_elements() for v in enhancer.named_variables().values()]
  result = {
    "enhancer_digest": enhancer.digest(),
    "parameters": {"enhancer": sum(sizes)},
  }
  write_config(folder, {**config, **result, "status": FINISHED})


def load_enhancer(
  name: str,
) -> Tuple[Union[Enhancer, SQEnhancer], Optional[Codec], Dict[str, Any]]:
  """Loads a trained enhancer.

  Args:
    name: its run folder or the name of a shipped one.

  Returns:
    The enhancer, the high-rate codec that it was trained for (None for SQ-E),
    and the run's configuration; `low_digest` there is the digest of what it
    enhances.

  Raises:
    Error: if there is none, it is unfinished, or a file is damaged.
  """
  folder, config = _finished(name)
  if "enhancer_digest" not in config:
    raise Error(f"{name}: the run of a codec, not of an enhancer.")
  if "high_digest" not in config:
    keys = sq_enhancer_lib.ARCHITECTURE
    sq_enhancer = SQEnhancer(**{key: config[key] for key in keys})
    _read_weights(folder, sq_enhancer, config["enhancer_digest"])
    return sq_enhancer, None, config
  enhancer = Enhancer(**{k: config[k] for k in enhancer_lib.ARCHITECTURE})
  _read_weights(folder, enhancer, config["enhancer_digest"])
  high, _ = load(str(folder / _HIGH))
  if high.digest() != config["high_digest"]:
    raise Error(f"{folder / _HIGH}: not the codec that {_CONFIG} describes.")
  return enhancer, high, config


def _finished(name: str) -> Tuple[pathlib.Path, Dict[str, Any]]:
  """Folder and configuration of a finished run."""
  folder = find(name)
  config = read_config(folder)
  if config["status"] != FINISHED:
    raise Error(
      f"{name}: the run is unfinished ({config.get('epochs_done', 0)} of"
      f" {config['epochs']} epochs); --resume continues it."
    )
  return folder, config


def _read_weights(
  folder: pathlib.Path,
  model: Union[Codec, Enhancer, SQEnhancer],
  digest: str,
) -> None:
  """Gives a model the weights of its run."""
  weights = _read_arrays(folder / _WEIGHTS)
  variables = model.named_variables()
  if {k: v.shape for k, v in weights.items()} != {
    k: tuple(v.shape) for k, v in variables.items()
  }:
    raise Error(f"{folder / _WEIGHTS}: not the weights of this architecture.")
  for key, variable in variables.items():
    variable.assign(weights[key])
  _check_digest(folder / _WEIGHTS, model.digest(), digest)


def _check_digest(path: pathlib.Path, found: str, expected: str) -> None:
  if found != expected:
    raise Error(f"{path}: not the file that {_CONFIG} describes.")


def load(name: str) -> Tuple[Codec, entropy.EntropyCoder]:
  """Loads a trained codec and its entropy coder.

  Args:
    name: a run folder or the name of a shipped codec.

  Raises:
    Error: if there is none, it is unfinished, or a file is damaged.
  """
  folder, config = _finished(name)
  if "codec_digest" not in config:
    raise Error(f"{name}: the run of an enhancer, not of a codec.")
  codec = Codec(**{key: config[key] for key in codec_lib.ARCHITECTURE})
  _read_weights(folder, codec, config["codec_digest"])
  tables = _read_arrays(folder / _TABLES)
  if set(tables) != {"lower", "cdf"}:
    raise Error(f"{folder / _TABLES}: not entropy tables.")
  coder = entropy.EntropyCoder(tables["lower"], tables["cdf"])
  _check_digest(folder / _TABLES, coder.digest(), config["table_digest"])
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
