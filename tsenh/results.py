"""One evaluation = one JSON file; README.md lists its keys."""

import json
import pathlib
from typing import Any, Dict, List

from tsenh.errors import Error

FORMAT = 1


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
