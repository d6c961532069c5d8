"""Results that are made again speak for others, and differences are found."""

import json

import pytest
from conftest import ROOT

from experiments import plans, representatives, staleness
from tsenh.base import provenance
from tsenh.data import manifests

FILE = "tsenh/base/errors.py"
OLD = "0" * 16
RECORDED = ROOT / "experiments/results/paper/fullrank"


@pytest.fixture
def replays(tmp_path, monkeypatch):
  """Writes replays in place of the project's own."""
  path = tmp_path / "replays.json"
  monkeypatch.setattr(staleness, "REPLAYS", path)

  def write(before, after=None):
    after = provenance.digests(before) if after is None else after
    entry = {"name": "x", "before": list(before.items()), "after": after}
    path.write_text(json.dumps({"replays": [entry]}))
    staleness._replayed.cache_clear()

  staleness._replayed.cache_clear()
  yield write
  staleness._replayed.cache_clear()


def test_a_result_that_was_made_again_is_current_with_all_it_speaks_for(
  replays,
):
  result = {"code": {FILE: OLD}, "data": {}}
  assert staleness.reasons(result) == [FILE]
  replays({FILE: OLD, "tsenh/gone.py": OLD})
  assert staleness.reasons(result) == []
  # Not for another state of the file, nor for files that it did not run.
  other = {"code": {FILE: "1" * 16}}
  more = {"code": {FILE: OLD, "tsenh/base/files.py": OLD}}
  same = provenance.digests(["tsenh/base/results.py"])
  unseen = {"code": {FILE: OLD, **same}}
  assert staleness.reasons(other) == [FILE]
  assert staleness.reasons(more) == [FILE, "tsenh/base/files.py"]
  assert staleness.reasons(unseen) == [FILE]
  # Times are not made again; nor are other data.
  assert staleness.reasons({**result, "benchmark": "coding"}) == [FILE]
  data = {"lfw": "0"}
  assert staleness.reasons({**result, "data": data}) == ["feature set lfw"]


def test_a_result_made_again_by_code_of_yesterday_speaks_for_nothing(replays):
  result = {"code": {FILE: OLD}, "data": {}}
  replays({FILE: OLD}, after={FILE: "2" * 16})
  assert staleness.reasons(result) == [FILE]


def test_differences_are_told_and_those_of_the_run_left_out():
  first = {"mse": 0.5, "dense": {"rank1": 0.7}, "date": "a", "seen": [1]}
  same = {**first, "date": "b", "training": {"code": {}, "commits": ["x"]}}
  second = {**first, "mse": 0.25, "dense": {"rank1": 0.8}}
  assert not list(representatives.differences(first, {**first}))
  assert not list(
    representatives.differences({"x": [0.5, 1]}, {"x": [0.5 + 1e-13, 1]})
  )
  assert list(
    representatives.differences({"x": [0.5, 1]}, {"x": [0.5 + 1e-9, 1]})
  )
  assert list(representatives.differences({"x": [0.5]}, {"x": [0.5, 1]}))
  assert not list(representatives.differences({"off": False}, {}))
  assert list(representatives.differences({"off": True}, {}))
  assert list(representatives.differences({"x": 1, "y": 2}, {"x": 1}))
  assert not list(representatives.differences({"x": 1}, {"x": 1, "y": 2}))
  digests = ({"x": {"codec_digest": digest}} for digest in "ab")
  assert not list(representatives.differences(*digests))
  assert staleness.numbers(same) == {
    "mse": 0.5,
    "dense": {"rank1": 0.7},
    "seen": [1],
    "training": {},
  }
  assert list(representatives.differences(first, second)) == [
    "mse: 0.5 is now 0.25",
    "dense.rank1: 0.7 is now 0.8",
  ]


def test_the_cheapest_of_the_results_by_the_same_code_is_made_again(tmp_path):
  plan = plans.paper_plan(manifests.default(), "runs", "results")
  files = {"tsenh/a.py": OLD, "tsenh/b.py": OLD}
  codes = {
    "pq-512-s0": files,
    "pq-256-s1": files,
    "opq-128-s0": {**files, "tsenh/c.py": OLD},
    "none": {"tsenh/a.py": OLD},
    "lsh-128-s0": {"tsenh/a.py": "1" * 16},
    "itq-128-s0": provenance.digests([FILE]),
  }
  for name, code in codes.items():
    result = {"format": 1, "method": name, "code": code, "data": {}}
    (tmp_path / f"{name}.json").write_text(json.dumps(result))
  assert list(representatives.chosen(tmp_path, plan)) == [
    "opq-128-s0",
    "lsh-128-s0",
  ]
  (tmp_path / "opq-128-s0.json").unlink()
  assert list(representatives.chosen(tmp_path, plan)) == [
    "pq-256-s1",
    "lsh-128-s0",
  ]


@pytest.mark.slow
def test_the_command_makes_again_what_is_not_current(run, tmp_path):
  """With what describes the features, the quickest of all results."""
  path = tmp_path / "paper" / "fullrank" / "features.json"
  path.parent.mkdir(parents=True)
  result = json.loads((RECORDED / "features.json").read_text())
  result["code"][FILE] = OLD
  path.write_text(json.dumps(result))
  flags = ("--results=.", "--output=replays.json", "--runs=runs")
  told = run("experiments.replay", *flags, "--dry_run", cwd=tmp_path)
  assert told.stdout == b"paper/fullrank/features\n"
  run("experiments.replay", *flags, cwd=tmp_path)
  (found,) = json.loads((tmp_path / "replays.json").read_text())["replays"]
  assert found["name"] == "paper/fullrank/features"
  assert [FILE, OLD] in found["before"]
  assert found["after"][FILE] == provenance.digests([FILE])[FILE]
  result["test"]["variance"] *= 2
  path.write_text(json.dumps(result))
  told = run("experiments.replay", *flags, cwd=tmp_path, check=False)
  assert b"test.variance: " in told.stdout
  assert told.returncode == 1
  assert b"1 results differ: record them anew" in told.stderr
