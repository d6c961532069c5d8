"""Work in shards: here, on Beam, with a worker killed; and several machines."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import ROOT

from tsenh.base import cluster
from tsenh.base.errors import Error
from tsenh.data import feature_sets, shards
from tsenh.data.shards import Shard
from tsenh.features import bulk
from tsenh.recognition import dense, pair_counts
from tsenh.recognition.verification import normalize
from tsenh.training import machines

TWO = (
  *("--runner=DirectRunner", "--", "--direct_running_mode=multi_processing"),
  "--direct_num_workers=2",
)


def write(text, path):
  """A task."""
  if text == "bad":
    raise Error("a bad task.")
  with open(path, "x") as file:
    file.write(text)


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
  """2,000 faces of LFW in five shards."""
  lfw = feature_sets.load("lfw")
  path = tmp_path_factory.mktemp("cluster") / "faces"
  own = (lfw.features[:2000], lfw.names[:2000], lfw.identities[:2000])
  shards.write(str(path), [Shard(*own)], 2000, "LFW", rows=400)
  return path


def test_what_is_done_is_not_done_again(tmp_path):
  tasks = [(text, str(tmp_path / text)) for text in "abc"]
  (tmp_path / "b").write_text("there already")
  done = []
  cluster.run(write, tasks, done.append)
  assert done == [1, 0, 2]
  assert (tmp_path / "b").read_text() == "there already"
  with pytest.raises(Error, match="a bad task"):
    cluster.run(write, [("bad", str(tmp_path / "d"))], done.append)


def test_a_folder_of_other_work_is_refused(tmp_path):
  folder = tmp_path / "work"
  cluster.claim(folder, ["a", (1, 2)])
  cluster.claim(folder, ["a", (1, 2)])
  with pytest.raises(Error, match="holds shards of other work"):
    cluster.claim(folder, ["a", (1, 3)])
  cluster.release(folder)
  assert list(folder.iterdir()) == []


def test_beams_flags_need_beam():
  cluster.check(None, [])
  with pytest.raises(Error, match="unexpected argument '--x'; flags look like"):
    cluster.check(None, ["--x"])


def test_shards_are_encoded_and_decoded_one_by_one(faces, pro, tmp_path):
  done = []
  out = [str(tmp_path / name) for name in ("coded", "back")]
  size = bulk.encode("pro-1e-6", str(faces), out[0], "shared", 128, done.append)
  bulk.decode("pro-1e-6", None, out[0], out[1], done.append)
  assert done == 2 * list(range(5))
  paths = shards.paths(out[0], "tsf")
  assert size == sum(path.stat().st_size for path in paths)
  features = feature_sets.load(str(faces)).features
  # As the library compresses each shard alone.
  alone = pro.compress(features[400:800], block_size=128)
  assert paths[1].read_bytes() == alone
  back = feature_sets.load(out[1])
  np.testing.assert_array_equal(back.features[400:800], pro.decompress(alone))
  assert {p.name for p in tmp_path.iterdir()} == {"coded", "back"}
  with pytest.raises(Error, match="is there already"):
    bulk.encode("pro-1e-6", str(faces), out[0], "shared", 128, done.append)


def test_counts_of_all_pairs_are_those_of_a_loop(faces, tmp_path, monkeypatch):
  monkeypatch.setattr(pair_counts, "BAND", 300)
  found = feature_sets.load(str(faces))
  count = pair_counts.num_known(str(faces))
  tasks = pair_counts.tasks(str(faces), count, str(tmp_path))
  assert len(tasks) == 7
  cluster.run(pair_counts.count_band, tasks, lambda _: None)
  counts = pair_counts.total([task[-1] for task in tasks])
  vectors = normalize(found.features)
  a, b = np.triu_indices(2000, 1)
  similarity = np.concatenate(
    [np.sum(vectors[i] * vectors[i + 1 :], axis=1) for i in range(1999)]
  )
  same = found.identities[a] == found.identities[b]
  edges = np.linspace(-1, 1, pair_counts.BINS + 1)
  for own, where in ((counts.same, same), (counts.different, ~same)):
    expected = np.histogram(similarity[where], edges)[0]
    # What lies on an edge but for the last bit may fall to either side.
    assert own.sum() == expected.sum()
    assert np.abs(np.cumsum(own - expected)).max() <= 2
  rates = pair_counts.rates(counts)
  exact = dense.measure(found.features, found.identities)
  assert rates["num_same"] == exact["num_same"]
  assert rates["num_different"] == exact["num_different"]
  for name in dense.FALSE_ACCEPT_RATES:
    key = f"tar_at_far_{name}"
    assert exact[key] - 0.005 <= rates[key] <= exact[key]


def test_rates_by_hand():
  same = np.zeros(pair_counts.BINS, np.int64)
  different = same.copy()
  same[[100, 15000, 19000]] = 1, 5, 4
  different[[5000, 16000]] = 9990, 10
  rates = pair_counts.rates(pair_counts.Counts(same, different))
  # Ten of 10,000 are allowed at 1e-3, one at 1e-4, none below.
  assert rates["tar_at_far_1e-3"] == 0.9
  assert rates["tar_at_far_1e-4"] == rates["tar_at_far_1e-6"] == 0.4


@pytest.mark.slow
def test_a_commands_shards_on_beam_are_those_of_one_process(
  run, faces, tmp_path
):
  pytest.importorskip("apache_beam")
  codec, source = "--codec=sq-50", f"--input={faces}"
  run("tsenh.encode", codec, source, "--output=b", *TWO, cwd=tmp_path)
  own = str(tmp_path / "a")
  bulk.encode("sq-50", str(faces), own, "shared", 1024, lambda _: None)
  for path in shards.paths(own, "tsf"):
    other = tmp_path / "b" / path.name.replace("a-", "b-", 1)
    assert path.read_bytes() == other.read_bytes()
  features = f"--features={faces}"
  run("tsenh.count_pairs", features, "--output=b.npz", *TWO, cwd=tmp_path)
  run("tsenh.count_pairs", features, "--output=a.npz", cwd=tmp_path)
  one, two = ((tmp_path / f"{name}.npz").read_bytes() for name in "ab")
  assert one == two


@pytest.mark.slow
def test_a_killed_worker_of_beam_loses_nothing(run, tmp_path):
  pytest.importorskip("apache_beam")
  # Long enough that a worker dies within a task.
  program = tmp_path / "slow_tasks.py"
  program.write_text(
    "import sys, time\n"
    "from tsenh.base import cluster, files\n"
    "def slow(n, path):\n"
    "  time.sleep(1)\n"
    "  files.write_json(path, n)\n"
    "if __name__ == '__main__':\n"
    "  import slow_tasks\n"
    "  tasks = [(n, f'{n}.json') for n in range(8)]\n"
    "  own = sys.argv[1:]\n"
    "  cluster.run(slow_tasks.slow, tasks, print, 'DirectRunner', own)\n"
  )
  path = os.pathsep.join([str(tmp_path), str(ROOT)])
  process = subprocess.Popen(
    [sys.executable, str(program), *TWO[2:]],
    cwd=tmp_path,
    env={**os.environ, "PYTHONPATH": path},
    stdout=subprocess.PIPE,
    stderr=subprocess.DEVNULL,
    start_new_session=True,
  )
  while not [*tmp_path.glob("*.json")] and process.poll() is None:
    time.sleep(0.05)
  found = workers_of(process.pid)
  assert found, process.poll()
  os.kill(found[0], signal.SIGKILL)
  printed = process.communicate(timeout=120)[0].decode().split()
  assert process.returncode == 0
  assert sorted(map(int, printed)) == list(range(8))
  assert sorted(p.stem for p in tmp_path.glob("*.json")) == list("01234567")


def workers_of(session):
  """Beam's workers that a process started, without the shells around them."""
  lines = subprocess.run(
    ["ps", "-ww", "-eo", "pid,sid,args"],
    capture_output=True,
    text=True,
    check=True,
  ).stdout.splitlines()[1:]
  found = [line.split(None, 2) for line in lines]
  return [
    int(pid)
    for pid, sid, args in found
    if int(sid) == session and "sdk_worker_main" in args and "sh -c" not in args
  ]


def configured(workers, index):
  cluster = {"worker": workers}
  task = {"type": "worker", "index": index}
  return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})}


def test_each_machine_has_its_part_of_a_batch():
  rows = np.arange(12).reshape(2, 6)
  parts = [machines.Machines(3, rank, None).part(rows) for rank in range(3)]
  np.testing.assert_array_equal(parts[1], [[1, 4], [7, 10]])
  np.testing.assert_array_equal(
    np.sort(np.concatenate(parts, axis=1), axis=1), rows
  )


@pytest.mark.parametrize(
  "config", ["", "{", '{"cluster": {}}', '{"cluster": {"worker": ["a:1"]}}']
)
def test_a_cluster_that_is_none_is_refused(config, monkeypatch):
  monkeypatch.setenv("TF_CONFIG", config)
  with pytest.raises(Error, match="TF_CONFIG is no JSON of a cluster"):
    machines.join()
  monkeypatch.setenv("TF_CONFIG", configured(["a:1"], 3)["TF_CONFIG"])
  with pytest.raises(Error, match="the task of one of them"):
    machines.join()


@pytest.mark.slow
def test_two_machines_train_what_one_trains(run, small_faces, tmp_path):
  """The tolerance of docs/cluster.md: 1e-5 of the weights after 40 updates."""
  import socket

  sockets = [socket.create_server(("localhost", 0)) for _ in range(2)]
  workers = [f"localhost:{s.getsockname()[1]}" for s in sockets]
  for s in sockets:
    s.close()
  command = [sys.executable, "-m", "tsenh.train_codec", "--lambda=1e-6"]
  command += [f"--features={small_faces}", "--epochs=2", "--output=two"]
  running = [
    subprocess.Popen(
      [*command, "--distributed"],
      cwd=tmp_path,
      env={
        **os.environ,
        **configured(workers, index),
        "PYTHONPATH": str(ROOT),
      },
      stderr=subprocess.PIPE,
    )
    for index in range(2)
  ]
  run(*command[2:6], "--output=one", cwd=tmp_path)
  for process in running:
    error = process.communicate(timeout=300)[1]
    assert process.returncode == 0, error.decode()
  one, two = (np.load(tmp_path / n / "weights.npz") for n in ("one", "two"))
  whole = np.concatenate([one[key].ravel() for key in one.files])
  apart = whole - np.concatenate([two[key].ravel() for key in one.files])
  assert 0 < np.linalg.norm(apart) < 1e-5 * np.linalg.norm(whole)
  config = json.loads((tmp_path / "two" / "config.json").read_text())
  assert config["machines"] == 2 and config["steps"] == 40
