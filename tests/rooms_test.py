"""The house keeps its order: what stands where, and who may import whom."""

import pytest
from conftest import COMMANDS, ROOT

from tsenh.base import provenance

PACKAGE = ROOT / "tsenh"
# A room imports only rooms before it, and itself.
ROOMS = (
  "base",
  "data",
  "coding",
  "training",
  "features",
  "recognition",
  "images",
  "baselines",
)
MODULES = sorted(
  path for path in PACKAGE.glob("**/*.py") if path.name != "__init__.py"
)


def room(name):
  """The room of a dotted name in the package; None for what is at its top."""
  parts = name.split(".")
  inside = len(parts) > 1 and parts[0] == "tsenh" and parts[1] in ROOMS
  return parts[1] if inside else None


def wrong_imports(own, names):
  """Which of the names a module of a room must not import."""
  allowed = (*ROOMS[: ROOMS.index(own)], own)
  found = []
  for name in names:
    first, *rest = name.split(".")
    ours = first == "experiments" or (first == "tsenh" and rest)
    if ours and room(name) not in allowed:
      found.append(name)
  return found


def test_rooms_import_one_way():
  for path in MODULES:
    own = path.relative_to(PACKAGE).parts[0]
    if own in ROOMS:
      assert wrong_imports(own, provenance.imports(path)) == [], path


def test_a_wrong_import_is_seen():
  assert wrong_imports("data", ["tsenh.base.files", "numpy"]) == []
  assert wrong_imports("data", ["tsenh.coding"]) == ["tsenh.coding"]
  assert wrong_imports("base", ["tsenh.encode"]) == ["tsenh.encode"]
  assert wrong_imports("coding", ["experiments.plan"]) == ["experiments.plan"]


def test_nothing_imports_a_command_and_portable_stands_alone():
  for path in [*MODULES, *ROOT.glob("experiments/**/*.py")]:
    for name in provenance.imports(path):
      assert name not in {f"tsenh.{command}" for command in COMMANDS}, path
  own = set(provenance.imports(PACKAGE / "portable.py"))
  assert {name for name in own if name.startswith("tsenh")} == {
    "tsenh.base",
    "tsenh.base.arrays",
    "tsenh.base.configs",
    "tsenh.base.errors",
    "tsenh.base.errors.Error",
  }


def test_commands_stand_at_the_top_and_nothing_else():
  top = {path.stem for path in PACKAGE.glob("*.py")}
  assert top == {*COMMANDS, "__init__", "__main__", "portable"}
  folders = {p.name for p in PACKAGE.iterdir() if p.is_dir()} - {"__pycache__"}
  assert folders <= set(ROOMS)
  for command in COMMANDS:
    text = (PACKAGE / f"{command}.py").read_text()
    assert "command_line.run(main" in text.rstrip().splitlines()[-1]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_every_module_is_imported_by_a_test(path):
  # What defines flags runs as a command, in a process of its own
  # (commands_test.py): two modules of one process may not define the same.
  text = path.read_text()
  if "flags.DEFINE" in text or "command_line.run(main" in text:
    return
  name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
  tests = (set(provenance.imports(p)) for p in ROOT.glob("tests/*.py"))
  assert any(name in imported for imported in tests), name


def test_imports_within_functions_are_read_too(tmp_path):
  path = tmp_path / "x.py"
  path.write_text("def f():\n  from tsenh.coding import entropy\n  import os\n")
  names = list(provenance.imports(path))
  assert names == ["tsenh.coding", "tsenh.coding.entropy", "os"]
