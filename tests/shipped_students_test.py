"""The shipped students: as small as they say, and as good."""

import json
import re
import sys
import types

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT

from tsenh.recognition import (
  face_networks,
  image_sets,
  low_resolution,
  matching,
  student,
)

STUDENTS = face_networks.students()
RESULTS = ROOT / "experiments" / "results" / "lowres"


def network(name):
  preset = face_networks.PRESETS[face_networks.preset_of(name)]
  return face_networks.load(face_networks.find(name), preset)


@pytest.mark.parametrize("name", list(STUDENTS))
def test_a_student_is_small_and_says_what_made_it(name):
  program = STUDENTS[name].read_bytes()
  parameters, size = student.weight_bytes(program)
  quarter = 4 if "quarter" in name else 1
  assert parameters <= 140_000 / quarter
  if not name.endswith("-float"):
    assert size <= len(program) <= 150_000 / (2 if quarter > 1 else 1)
  config = json.loads((STUDENTS[name].parent / "config.json").read_text())
  assert config["status"] == "finished"
  assert network(name).preprocessing.size == config["size"]
  assert abs(config["parameters"] - parameters) < 10


def test_names_are_found_with_the_preset_of_students():
  assert face_networks.preset_of("student-16") == "student"
  path = face_networks.find("student-16")
  assert path.endswith("int8.tflite")
  assert face_networks.preset_of(path) == "student"
  assert face_networks.find("other.tflite") == "other.tflite"
  assert face_networks.preset_of("other.tflite") == "arcface"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["student-16", "student-16-float"])
def test_student_16_recognises_lfw_at_16_pixels(name, lfw):
  images = image_sets.load(str(ROOT / "tests" / "data" / "lfw16.npz"))
  rows = matching.rows_of(images, lfw.names.tolist())
  order = np.argsort(rows)
  faces = np.empty([len(rows), 16, 16, 3], np.uint8)
  faces[order] = list(images.decode(rows[order], size=16))
  features = network(name)(faces)
  found = low_resolution.measure(features, lfw, with_dense=False)
  recorded = json.loads((RESULTS / f"{name}.json").read_text())
  assert abs(found["correct_pairs"] - recorded["correct_pairs"]) <= 6


def test_the_pages_example_gives_the_same_features(
  tmp_path, monkeypatch, capsys
):
  text = (ROOT / "docs" / "low-resolution.md").read_text()
  code = re.search(r"```python\n(.*?)```", text, re.S)[1]
  assert len(code.splitlines()) <= 30
  images = image_sets.load(str(ROOT / "tests" / "data" / "lfw16.npz"))
  faces = np.stack(list(images.decode([0, 1])))
  paths = [tmp_path / f"{i}.webp" for i in range(2)]
  for path, file in zip(paths, images.files([0, 1])):
    path.write_bytes(file)
  # TensorFlow has the same interpreter under another name.
  stand_in = types.SimpleNamespace(Interpreter=tf.lite.Interpreter)
  monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", stand_in)
  monkeypatch.setitem(sys.modules, "ai_edge_litert", types.ModuleType("x"))
  monkeypatch.setattr(sys, "argv", ["example", *map(str, paths)])
  monkeypatch.chdir(ROOT)
  exec(code, {})
  a, b = network("student-16")(faces)
  assert float(capsys.readouterr().out) == pytest.approx(float(a @ b), abs=1e-5)
