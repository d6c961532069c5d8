"""From file to file by the commands, each in a process of its own."""

import os
import pathlib
import subprocess
import sys
import time
from typing import Dict

import numpy as np

from tsenh.base import command_line


def write_features(path: pathlib.Path, faces: np.ndarray, count: int) -> None:
  """Faces float32 [n, dim], over and over, as one .npy file of so many.

  Not through a memory map: its pages would count as this process's memory, and
  the kernel starts a child's peak where its parent is.
  """
  with open(path, "wb") as file:
    shape = (count, faces.shape[1])
    np.lib.format.write_array_header_1_0(
      file, {"descr": "<f4", "fortran_order": False, "shape": shape}
    )
    for start in range(0, count, len(faces)):
      file.write(np.ascontiguousarray(faces[: count - start], "<f4"))


def run(count: int, module: str, *arguments: str) -> Dict[str, float]:
  """Runs an entry point on so many features: its speed and its peak memory."""
  start = time.perf_counter()
  process = subprocess.Popen([sys.executable, "-m", module, *arguments])
  _, status, usage = os.wait4(process.pid, 0)
  seconds = time.perf_counter() - start
  process.returncode = os.waitstatus_to_exitcode(status)
  if process.returncode:
    command_line.fail(f"{module} ended with status {process.returncode}.")
  kibibytes = usage.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
  return {
    "features_per_second": round(count / seconds),
    "seconds": round(seconds, 2),
    "peak_memory_mib": round(kibibytes / 1024, 1),
  }
