"""What a benchmark says of the machine and of the libraries beside ours."""

import importlib.metadata
import os
import pathlib
import platform
import re
from typing import Dict, Optional, Union


def describe() -> Dict[str, Union[str, int]]:
  """The processor's name, and how many cores it has."""
  info = pathlib.Path("/proc/cpuinfo")
  text = info.read_text() if info.exists() else ""
  name = re.search(r"model name\s*: (.*)", text)
  processor = name[1] if name else platform.processor()
  return {"processor": processor, "cores": os.cpu_count()}


def versions(*packages: str) -> Dict[str, Optional[str]]:
  """Versions of packages; None where one is not installed."""
  return {name: _version(name) for name in packages}


def _version(package: str) -> Optional[str]:
  try:
    return importlib.metadata.version(package)
  except importlib.metadata.PackageNotFoundError:
    return None
