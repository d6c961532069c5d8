"""What ends a command from outside: one line, at every moment."""

import pathlib
import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT

from tsenh.base import files, signals


@pytest.fixture(autouse=True)
def no_signal_is_ignored():
  """What nohup or a background job ignores, the commands would ignore too."""
  names = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
  before = {name: signal.getsignal(name) for name in names}
  for name in names:
    if before[name] is signal.SIG_IGN:
      signal.signal(name, signal.SIG_DFL)
  yield
  for name, handler in before.items():
    signal.signal(name, handler)


pytestmark = [
  pytest.mark.slow,
  pytest.mark.skipif(
    not pathlib.Path("/proc/self/status").exists(), reason="no /proc here"
  ),
]


def start(folder, *command):
  """A command that has begun to handle signals: it has hardly begun at all."""
  process = subprocess.Popen(
    [sys.executable, "-m", *map(str, command)],
    cwd=folder,
    env={"PYTHONPATH": str(ROOT)},
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
  )
  status = pathlib.Path(f"/proc/{process.pid}/status")
  while process.poll() is None:
    caught = next(
      line for line in status.read_text().splitlines() if "SigCgt" in line
    )
    if int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1:
      break
    time.sleep(0.001)
  return process


def stop(process, number):
  process.send_signal(number)
  error = process.communicate(timeout=60)[1].decode()
  lines = error.replace("\r", "\n").splitlines()
  shown = [line for line in lines if line.strip() and "%|" not in line]
  assert shown == [f"error: stopped by {number.name}."], error
  assert process.returncode == -number


@pytest.mark.parametrize("seconds", [0, 0.2, 0.5, 1, 2])
def test_a_command_ends_in_one_line_at_every_moment(tmp_path, seconds):
  process = start(tmp_path, "tsenh.train_sq", "--qp=50", "--features=faces")
  time.sleep(seconds)
  if process.poll() is None:
    stop(process, signal.SIGINT)
  else:
    assert process.returncode == 0, process.communicate()


@pytest.mark.parametrize(
  "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
)
def test_what_is_half_written_is_taken_away(tmp_path, number):
  header = b"\x93NUMPY\x01\x00\x76\x00" + (
    b"{'descr': '<f4', 'fortran_order': False, 'shape': (9, 128), }"
  ).ljust(117)
  process = subprocess.Popen(
    [sys.executable, "-m", "tsenh.encode", "--codec=sq-40"]
    + ["--input=-", "--output=lfw.tsf"],
    cwd=tmp_path,
    env={"PYTHONPATH": str(ROOT)},
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
  )
  process.stdin.write(header + b"\n" + b"0" * 500)
  process.stdin.flush()
  while not list(tmp_path.glob(".lfw.tsf.*.tmp")) and process.poll() is None:
    time.sleep(0.01)
  stop(process, number)
  assert not list(tmp_path.iterdir())


def test_signals_that_are_ignored_stay_so(tmp_path):
  process = subprocess.run(
    ["nohup", sys.executable, "-c"]
    + [
      "import os, signal; from tsenh.base import signals; signals.handle();"
      "os.kill(os.getpid(), signal.SIGHUP); print('alive')"
    ],
    cwd=tmp_path,
    env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    capture_output=True,
    check=True,
  )
  assert process.stdout == b"alive\n"
  assert signals.message() == "stopped by SIGINT."


def test_the_next_run_removes_what_a_killed_one_left(tmp_path, run):
  """In the folder of the high-rate codec too, and nothing that is alive."""
  writer = (
    "import sys, time; from tsenh.base import files\n"
    "with files.replacing(sys.argv[1]) as file:\n"
    "  file.write(b'half'); print('.', flush=True); time.sleep(600)"
  )

  def begin(path):
    process = subprocess.Popen(
      [sys.executable, "-c", writer, str(path)],
      env={"PYTHONPATH": str(ROOT)},
      stdout=subprocess.PIPE,
    )
    process.stdout.read(1)
    return process

  folder = tmp_path / "run"
  (folder / "high").mkdir(parents=True)
  paths = [folder / "weights.npz", folder / "high" / "tables.npz"]
  paths.append(tmp_path / ("x" * 251 + ".tsf"))
  for path in paths:
    process = begin(path)
    process.kill()
    process.communicate()
  alive = begin(paths[-1])
  try:
    assert len(list(tmp_path.rglob(".*.tmp"))) == 3
    flags = [
      "--low=pro-1e-5",
      "--high=pro-1e-6",
      "--epochs=1",
      "--hidden_dim=8",
    ]
    run("tsenh.train_enhancer", *flags, f"--output={folder}", cwd=tmp_path)
    with files.replacing(str(paths[-1])) as file:
      file.write(b"whole")
    (left,) = tmp_path.rglob(".*.tmp")
    assert left.parent == tmp_path
  finally:
    alive.kill()
    alive.communicate()
  with files.replacing(str(paths[-1])) as file:
    file.write(b"whole")
  assert not list(tmp_path.rglob(".*.tmp"))
