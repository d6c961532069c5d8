"""What made a file: the code, versions of everything, the state of git."""

import ast
import datetime
import hashlib
import importlib.metadata
import pathlib
import platform
import subprocess
import sys
from typing import Dict, Iterable, Iterator, List, Optional, Union

_PACKAGES = ("tsenh", "tensorflow", "tensorflow-compression", "keras", "numpy")
_PROJECT = ("tsenh", "experiments")
# The checkout, or where the package is installed.
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
# What commands write into a checkout: it makes no other file.
_OUTPUTS = ("experiments/results", "docs")


def versions() -> Dict[str, str]:
  """Versions of Python, this package, and what its numbers depend on."""
  return {
    "python": platform.python_version(),
    **{name: importlib.metadata.version(name) for name in _PACKAGES},
  }


def source() -> Dict[str, Union[str, bool, None]]:
  """`git_commit` of the checkout, and whether its files differ from it.

  All of the checkout counts, files that git does not know too, but for the
  folders that results are written to. Both are None outside of a checkout.
  """
  commit = _git("rev-parse", "HEAD")
  if commit is None:
    return {"git_commit": None, "git_dirty": None}
  exclude = [f":(exclude){folder}" for folder in _OUTPUTS]
  changes = _git("status", "--porcelain", "--", ".", *exclude)
  return {"git_commit": commit, "git_dirty": bool(changes)}


def now() -> str:
  """The time, UTC, to the second."""
  return datetime.datetime.now(datetime.timezone.utc).isoformat(
    timespec="seconds"
  )


def command() -> List[str]:
  """The command that is running, as it would be typed."""
  spec = getattr(sys.modules["__main__"], "__spec__", None)
  start = ["-m", spec.name] if spec else sys.argv[:1]
  return ["python", *start, *sys.argv[1:]]


def _git(*arguments: str) -> Optional[str]:
  """What git says of the checkout that this package runs from, if it does."""
  if not (ROOT / ".git").exists():
    return None
  try:
    return subprocess.run(
      ["git", "-C", str(ROOT), *arguments],
      capture_output=True,
      text=True,
      check=True,
    ).stdout.strip()
  except (OSError, subprocess.CalledProcessError):
    return None


def code(*commands: str) -> Dict[str, str]:
  """Digests of the project's code that made a result, by file.

  Args:
    *commands: modules that ran in processes of their own. They count with all
      that they import; of this process, the modules that are loaded.

  Returns:
    For each file, its path from the checkout on and the start of a SHA-256 of
    its syntax tree: comments, docstrings and layout do not change it.
  """
  paths = {
    pathlib.Path(module.__file__).resolve()
    for module in list(sys.modules.values())
    if getattr(module, "__file__", None)
  }
  for name in commands:
    _add_imports(name, paths)
  files = {}
  for path in paths:
    if path.is_relative_to(ROOT):
      relative = path.relative_to(ROOT)
      if relative.parts[0] in _PROJECT and path.suffix == ".py":
        files[relative.as_posix()] = _digest(path)
  return dict(sorted(files.items()))


def digests(names: Iterable[str]) -> Dict[str, str]:
  """What `code` says today of files; those that are gone are left out."""
  paths = {name: ROOT / name for name in names}
  return {name: _digest(path) for name, path in paths.items() if path.is_file()}


def _digest(path: pathlib.Path) -> str:
  tree = ast.parse(path.read_text(encoding="utf-8"))
  for node in ast.walk(tree):
    body = getattr(node, "body", None)
    if isinstance(body, list) and body and _is_text(body[0]):
      del body[0]
  return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:16]


def _is_text(node: ast.AST) -> bool:
  value = getattr(node, "value", None)
  return isinstance(node, ast.Expr) and isinstance(
    getattr(value, "value", None), str
  )


def imports(path: pathlib.Path) -> Iterator[str]:
  """Names of the modules that a file imports anywhere in it, as written."""
  for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
    if isinstance(node, ast.Import):
      yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
      yield node.module
      yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _add_imports(module: str, paths: set) -> None:
  """Adds the project's file of a module, and of all that it imports."""
  base = ROOT.joinpath(*module.split("."))
  for path in (base.with_suffix(".py"), base / "__init__.py"):
    if path.is_file() and path not in paths:
      paths.add(path)
      for name in imports(path):
        if name.split(".")[0] in _PROJECT:
          _add_imports(name, paths)
