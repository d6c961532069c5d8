"""One measurement = one JSON file; docs/results.md lists the keys.

Each names the code and the data that it measured, so that a page can tell which
of its numbers are older than the code (experiments.staleness).
"""

import fcntl
import json
import os
import pathlib
from typing import Any, Dict, List

from tsenh.base import files, provenance
from tsenh.base.errors import Error

FORMAT = 1
TEST_LOG = "test_log.jsonl"
_LOGGED = (
  "date",
  "method",
  "features",
  "bits_per_feature",
  "correct_pairs",
  "codec_digest",
  "features_digest",
  "command",
  "git_commit",
  "git_dirty",
)


def describe(
  measured: Dict[str, Any], data: Dict[str, str], *commands: str
) -> Dict[str, Any]:
  """A measurement together with what made it.

  Args:
    measured: what was measured.
    data: digests of the feature sets that it was measured on, by name.
    *commands: see `provenance.code`.

  Returns:
    `measured` with `format`, `data`, `code`, `command`, `date`, `versions`,
    `git_commit` and `git_dirty`.
  """
  return {
    "format": FORMAT,
    **measured,
    "data": data,
    "code": provenance.code(*commands),
    "command": provenance.command(),
    "date": provenance.now(),
    "versions": provenance.versions(),
    **provenance.source(),
  }


def write(
  path: str, measured: Dict[str, Any], data: Dict[str, str], *commands: str
) -> None:
  """Writes a measurement with what made it; see `describe`."""
  files.write_json(path, describe(measured, data, *commands))


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


def log_look(folder: pathlib.Path, result: Dict[str, Any]) -> str:
  """Records that somebody looked at a test set, in one line of a log.

  The line is on the disk when this returns. Half a line at the end is of a
  process that was killed, and has no result: it is taken away.

  Args:
    folder: where the output goes; the log lies beside it.
    result: of an evaluation, as `describe` returns it.

  Returns:
    A sentence for the user.
  """
  path = pathlib.Path(folder) / TEST_LOG
  entry = {key: result.get(key) for key in _LOGGED}
  with open(path, "ab+") as log:
    fcntl.flock(log, fcntl.LOCK_EX)  # Nobody else is within a line.
    log.seek(0)
    log.truncate(log.read().rfind(b"\n") + 1)
    log.write((json.dumps(entry) + "\n").encode())
    log.flush()
    os.fsync(log.fileno())
  compared = ("codec_digest", "method", "features_digest")
  same = [
    line
    for line in read_log(path)
    if all(line[key] == entry[key] for key in compared)
  ]
  return f"look {len(same)} of this codec at this test set, logged in {path}"


def read_log(path: pathlib.Path) -> List[Dict[str, Any]]:
  """The entries of a log that `log_look` wrote; nothing where there is none.

  Half a line at the end counts for nothing.

  Raises:
    Error: if a line is not one of its.
  """
  path, entries = pathlib.Path(path), []
  lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
  for number, line in enumerate(lines, 1):
    try:
      entry = json.loads(line)
    except ValueError:
      entry = None
    if not isinstance(entry, dict) or not entry.keys() >= {*_LOGGED}:
      raise Error(f"{path}: line {number} is no entry of this log.")
    entries.append(entry)
  return entries
