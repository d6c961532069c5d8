"""All commands under one name.

  tsenh train-codec --lambda=1e-6
  python -m tsenh encode --codec=pro-1e-6 --input=lfw --output=lfw.tsf

A verb is a command of this package: `tsenh VERB --help` explains it.
"""

import ast
import pathlib
import runpy
import sys
from typing import Dict

_HERE = pathlib.Path(__file__).parent


def commands() -> Dict[str, str]:
  """The first line of each command's docstring, by its verb."""
  found = {}
  for path in sorted(_HERE.glob("*.py")):
    text = path.read_text(encoding="utf-8")
    if not path.stem.startswith("_") and "command_line.run(main" in text:
      about = ast.get_docstring(ast.parse(text)).splitlines()[0]
      found[path.stem.replace("_", "-")] = about
  return found


def main() -> None:
  """Runs the command that the first argument names, with the others."""
  known = commands()
  verb = sys.argv[1] if len(sys.argv) > 1 else "--help"
  if verb in known:
    module = f"tsenh.{verb.replace('-', '_')}"
    sys.argv = [f"tsenh {verb}", *sys.argv[2:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    return
  lines = [f"  {name:19} {about}" for name, about in known.items()]
  usage = "\n".join(["usage: tsenh VERB [--flag=value ...]", "", *lines])
  if verb in ("--help", "-h", "help"):
    print(usage)
    return
  sys.exit(f"error: no verb {verb!r}; expected one of {', '.join(known)}.")


if __name__ == "__main__":
  main()
