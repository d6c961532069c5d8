"""The page of expressions, from results that are made up for these tests."""

import json

import numpy as np
import pandas as pd
import pytest

from experiments import image_plans
from experiments.report import expressions
from tsenh.recognition import expression_scores
from tsenh.recognition.expression_sets import EMOTIONS


def written(folder, name, share, seed=0):
  """A result with that share of 800 faces right, at random."""
  random = np.random.default_rng([seed, sum(name.encode())])
  labels = np.arange(800) % len(EMOTIONS)
  right = random.random(800) < share
  predicted = np.where(right, labels, (labels + 1) % len(EMOTIONS))
  result = {
    "code": {},
    "format": 1,
    "map": expression_scores.in_two_dimensions(random.normal(size=[800, 3])),
    "curve": [{"epoch": 1, "accuracy": share}],
    **expression_scores.score(labels, predicted, np.arange(800) < 80),
  }
  (folder / "expression").mkdir(exist_ok=True)
  (folder / "expression" / f"{name}.json").write_text(json.dumps(result))
  return 100 * result["accuracy"]


@pytest.fixture
def folder(tmp_path):
  written(tmp_path, "none_teacher-s0", 0.8)
  written(tmp_path, "upper_teacher-s0", 0.4)
  for seed in (0, 1):
    written(tmp_path, f"upper_plain-s{seed}", 0.6, seed)
    written(tmp_path, f"upper_kd-s{seed}", 0.75, seed)
  return tmp_path


def test_the_table_has_means_over_seeds(folder):
  runs = expressions.read(folder)
  own = runs[runs["method"] == "kd"]["accuracy"]
  text = expressions.render_expression_accuracy(folder)
  row = next(
    line
    for line in text.splitlines()
    if "| distillation |" in line and "upper" in line
  )
  assert f"| {own.mean():.2f} | {own.std(ddof=1):.2f} |" in row
  assert row.endswith("| 2 |")
  order = [line.split("|")[1].strip() for line in text.splitlines()[2:]]
  assert order == ["nothing", *["upper half"] * 3]


def test_the_tests_are_of_the_same_seeds_and_corrected_together(folder):
  tests = expressions.comparisons(folder)
  assert list(tests["method"]) == ["plain", "distillation"]
  runs = expressions.read(folder).set_index(["hidden", "method", "seed"])
  hits = runs["hits"]
  found = expression_scores.compare(
    *([hits["upper", m, s] for s in (0, 1)] for m in ("plain", "kd"))
  )
  row = tests.iloc[1]
  assert (row["difference"], row["p"]) == (found.difference, found.p_value)
  assert row["p_holm"] >= row["p"]
  assert row["seeds"] == 2
  text = expressions.render_expression_tests(folder)
  assert f"{found.difference:+.2f}" in text
  assert "p (Holm, 2 tests)" in text


def test_each_emotion_has_its_column(folder):
  text = expressions.render_expression_classes(folder)
  assert "neutral (100)" in text and "contempt (100)" in text


def test_without_results_the_page_says_so(tmp_path):
  for name in ("accuracy", "tests", "classes"):
    render = getattr(expressions, f"render_expression_{name}")
    assert render(tmp_path) == "*Not measured.*"
  assert list(expressions.pictures(tmp_path)) == []


@pytest.mark.slow
def test_every_figure_is_drawn(folder):
  for name, _, draw in expressions.pictures(folder):
    figure = draw()
    assert figure.axes, name


def test_every_job_has_a_name_that_the_page_reads_and_waits_for_its_runs():
  jobs = image_plans.expression_plan("d.npz", "l.csv", "runs", "results")
  results = [job for job in jobs.values() if job.output.suffix == ".json"]
  assert len(results) + sum(n.startswith("train ") for n in jobs) == len(jobs)
  for job in results:
    hidden, method, _ = expressions._NAME.fullmatch(job.output.stem).groups()
    assert hidden in expressions.HIDDEN
    assert method in expressions.METHODS
    assert f"--occlusion={hidden}" in job.flags
    for need in job.needs:
      assert f"{jobs[need].output}" in "".join(job.flags)
  methods = {expressions._NAME.fullmatch(j.output.stem)[2] for j in results}
  assert methods == set(expressions.METHODS)
  # The control: two plain students of different seeds.
  control = jobs["upper_plain+plain-s0"].flags
  assert "--model=runs/upper_plain-s0,runs/upper_plain-s1" in control
  hours = sum(job.seconds for job in jobs.values()) / 2 / 3600
  assert hours < 8
  assert pd.Series(list(jobs)).is_unique
