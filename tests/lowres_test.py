"""The plan of the students' experiments, and the page of their results."""

import json
import subprocess
import sys

import pytest
from conftest import ROOT

from experiments.report import low_resolution
from tsenh.base import results
from tsenh.recognition import face_networks

STUDENTS = face_networks.students()
VARIANTS = ("scratch", "regression", "all", "random", "graph")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """Results of a teacher, a student and its ablation, made up."""
  folder = tmp_path_factory.mktemp("results")
  (folder / "lowres").mkdir()
  made = results.describe({}, {})

  def write(name, correct, low=16, ways=()):
    folds = [correct // 10] * 10
    folds[0] += correct - sum(folds)
    measured = {
      "low": low,
      "accuracy": correct / 6000,
      "correct_pairs_per_fold": folds,
      "mirrored": {"accuracy": correct / 6000 + 0.01},
      "dense": {"tar_at_far_1e-3": 0.25, "rank1": 0.5},
      "against_sharp": {"rank1": 0.75, "cosine": 0.5},
      "ways": {way: {"accuracy": 0.875} for way in ways},
    }
    text = json.dumps({**made, **measured})
    (folder / "lowres" / f"{name}.json").write_text(text)

  write("teacher-16", 4800)
  write("student-16", 5400, ways=("bilinear",))
  for i, variant in enumerate(VARIANTS):
    for seed in range(3):
      write(f"{variant}-s{seed}", 4800 + 120 * i + 6 * seed)
  return folder


def rows(text):
  return [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in text.splitlines()
    if line.startswith("|")
  ]


def test_students_stand_beside_their_teacher(folder):
  found = rows(low_resolution.render_students(folder))
  assert [row[:4] for row in found[2:]] == [
    ["int8", "16", "90.00", "91.00"],
    ["teacher, faces enlarged", "16", "80.00", "81.00"],
  ]
  ways = rows(low_resolution.render_ways(folder))
  assert ways[0][1:] == ["box (area), %", "bilinear, %"]
  assert ways[2] == ["16 pixels, int8", "90.00", "87.50"]


def test_the_ablation_has_means_over_seeds_and_tests_of_one_family(folder):
  text = low_resolution.render_selection(folder)
  found = rows(text)
  assert [row[1] for row in found[2:7]] == [
    f"{80.1 + 2 * i:.2f}" for i in range(5)
  ]
  assert {row[-1] for row in found[2:7]} == {"3"}
  tests = low_resolution.comparisons(folder)
  assert len(tests) == 6
  selected = tests.iloc[-1]
  assert selected["difference"] == pytest.approx(2)
  assert "half of the faces, at random" in selected["against"]
  assert (tests["p_holm"] >= tests["p"]).all()


def test_the_figures_are_drawn(folder):
  found = {name: draw for name, _, draw in low_resolution.pictures(folder)}
  assert set(found) == {"lowres/faces", "lowres/resolution"}
  for draw in found.values():
    draw().clear()


@pytest.mark.slow
def test_the_plan_trains_each_variant_from_the_same_faces(tmp_path):
  process = subprocess.run(
    [
      *(sys.executable, "-m", "experiments.lowres", "--images=i.npz"),
      *("--lfw=l.tar", "--teacher_network=t.param", "--dry_run"),
      f"--output={tmp_path}",
    ],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
  )
  lines = process.stdout.splitlines()
  trained = [line for line in lines if "train_student" in line]
  assert len(trained) == 27 and len(lines) == 54 + 2 + len(STUDENTS)
  for share in ("0.25", "0.5", "0.75"):
    own = f"--selection=graph --share={share} "
    assert sum(own in line for line in trained) == 3
  shrunken = {line.split("--shrunken=")[1].split()[0] for line in trained}
  assert len(shrunken) == 1
  assert json.dumps(lines).count("--network=t.param") == 2
