"""One evaluation = one JSON file; README.md lists its keys."""

import json
import os
import pathlib
from typing import Any, Dict, List

from tsenh import provenance
from tsenh.errors import Error

FORMAT = 1
# Choices are made on this set, so looking at it needs no record.
VALIDATION_SET = "faces-validation"
_LOGGED = (
  *("date", "method", "features", "bits_per_feature", "correct_pairs"),
  *("codec_digest", "features_digest", "command", "git_commit", "git_dirty"),
)


def log_test(result: Dict[str, Any]) -> str:
  """Records that somebody looked at a test set, in one line of a log.

  The log is the file that the environment variable TSENH_TEST_LOG names;
  otherwise experiments/results/test_log.jsonl of a source checkout, or
  ~/.local/state/tsenh/test_log.jsonl. Evaluations on the validation split are
  not logged.

  Args:
    result: of an evaluation.

  Returns:
    A sentence for the user; empty where nothing was logged.
  """
  if result["features"] == VALIDATION_SET:
    return ""
  path = pathlib.Path(os.environ.get("TSENH_TEST_LOG") or _default_log())
  path.parent.mkdir(parents=True, exist_ok=True)
  entry = {key: result.get(key) for key in _LOGGED}
  with open(path, "a") as log:
    log.write(json.dumps(entry) + "\n")
  same = [
    line
    for line in read_log(str(path))
    if line["codec_digest"] == entry["codec_digest"]
    and line["method"] == entry["method"]
    and line["features_digest"] == entry["features_digest"]
  ]
  return f"evaluation {len(same)} of this on this test set, logged in {path}"


def read_log(path: str) -> List[Dict[str, Any]]:
  """The entries of a log that `log_test` wrote."""
  return [json.loads(line) for line in pathlib.Path(path).open()]


def _default_log() -> pathlib.Path:
  checkout = provenance.checkout()
  if checkout is not None:
    return checkout / "experiments" / "results" / "test_log.jsonl"
  state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
  return pathlib.Path(state).expanduser() / "tsenh" / "test_log.jsonl"


def read(path: str) -> Dict[str, Any]:
  """Reads a result.

  Raises:
    Error: if the file is not one, or of another format.
  """
  try:
    result = json.loads(pathlib.Path(path).read_text())
  except ValueError as error:
    raise Error(f"{path}: not a JSON file ({error}).") from error
  found = result.get("format") if isinstance(result, dict) else None
  if found != FORMAT:
    raise Error(f"{path}: result format {found}, expected {FORMAT}.")
  return result


def read_evaluations(folder: str, feature_set: str = "lfw") -> List[Dict]:
  """Reads the evaluations in a folder and leaves out other results.

  Args:
    folder: holds JSONs.
    feature_set: what was evaluated on.

  Returns:
    The results, in order of rate.

  Raises:
    Error: if there is none.
  """
  found = [read(str(path)) for path in pathlib.Path(folder).glob("*.json")]
  found = [result for result in found if result.get("features") == feature_set]
  if not found:
    raise Error(f"{folder}: no evaluations on {feature_set} in it.")
  return sorted(found, key=lambda result: result["bits_per_feature"])
