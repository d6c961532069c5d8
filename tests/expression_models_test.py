"""Trained networks in every form that they are used in."""

import hashlib

import numpy as np
import pytest
from conftest import ROOT

from tsenh.base.errors import Error
from tsenh.recognition import expression_models, expression_sets
from tsenh.recognition.expressions import OCCLUSIONS, Classifier, occlude
from tsenh.training import run_folders

SAMPLE = ROOT / "tests" / "samples" / "ferplus"


@pytest.fixture(scope="module")
def parts():
  return expression_sets.load(f"{SAMPLE}.npz", f"{SAMPLE}.csv", partial=True)


@pytest.fixture(scope="module")
def classifier():
  return Classifier("small", seed=4)


@pytest.fixture(scope="module")
def run_folder(classifier, tmp_path_factory):
  folder = tmp_path_factory.mktemp("runs") / "run"
  folder.mkdir()
  config = {"kind": "expression", **classifier.architecture()}
  run_folders.finish(folder, config, classifier)
  return folder


def test_a_run_is_loaded_with_its_weights(parts, classifier, run_folder):
  faces = parts["test"].images
  for mirror in (False, True):
    found = expression_models.load(str(run_folder), mirror=mirror)(faces)
    np.testing.assert_array_equal(
      found, classifier.predict(faces, mirror).logits
    )
  _, config = expression_models.find(str(run_folder))
  assert config["classifier_digest"] == classifier.digest()


def test_what_is_no_finished_run_of_expressions_is_refused(
  run_folder, tmp_path
):
  with pytest.raises(Error, match="neither a run folder"):
    expression_models.find("nothing")
  with pytest.raises(Error, match=r"has no int8\.tflite"):
    expression_models.load(str(run_folder), "int8")
  run_folders.write_config(tmp_path, {"kind": "pro", "status": "finished"})
  with pytest.raises(Error, match="a run of pro, not of expressions"):
    expression_models.find(str(tmp_path))
  config = {"kind": "expression", "status": "training"}
  run_folders.write_config(tmp_path, config)
  with pytest.raises(Error, match="the run is unfinished"):
    expression_models.find(str(tmp_path))


@pytest.mark.slow
def test_lite_files_say_nearly_what_the_network_says(parts, classifier):
  faces = parts["test"].images
  expected = classifier.predict(faces).logits
  spread = expected.std()
  sizes = []
  for precision, tolerance in (("float", 1e-2), ("int8", 0.2)):
    content = expression_models.to_lite(
      classifier, precision, parts["training"].images
    )
    sizes.append(len(content))
    found = expression_models.lite(content)(faces)
    assert np.abs(found - expected).mean() < tolerance * spread
    both = expression_models.lite(content, mirror=True)(faces)
    flipped = expression_models.lite(content)(faces[:, :, ::-1])
    np.testing.assert_allclose(both, (found + flipped) / 2, rtol=1e-6)
  assert sizes[0] > 1.7 * sizes[1]
  assert sum(sizes) < 1_200_000


def test_embeddings_stand_side_by_side_at_unit_length(parts, classifier):
  faces = parts["test"].images
  other = Classifier("small", seed=9)
  found = expression_models.embeddings([classifier, other], faces, False)
  assert found.shape == (len(faces), 256)
  for half in (found[:, :128], found[:, 128:]):
    np.testing.assert_allclose(np.linalg.norm(half, axis=1), 1, rtol=1e-5)
  np.testing.assert_array_equal(
    found[:, 128:], expression_models.embeddings([other], faces, False)
  )


def test_the_machine_is_scikit_learns_and_its_penalty_the_validations():
  svm = pytest.importorskip("sklearn.svm")
  random = np.random.default_rng(0)
  centres = random.normal(size=[8, 6])
  labels = np.arange(400) % 8
  x, y = (
    centres[labels] + random.normal(size=[400, 6], scale=0.7) for _ in "xy"
  )
  machine = expression_models.fit_machine((x, labels), (y, labels))
  hits = []
  for penalty in expression_models.PENALTIES:
    own = svm.LinearSVC(C=penalty, dual=False).fit(x, labels)
    hits.append((own.predict(y) == labels).sum())
    if penalty == machine.penalty:
      np.testing.assert_allclose(
        machine.decide(y), own.decision_function(y), rtol=1e-9
      )
  best = expression_models.PENALTIES[int(np.argmax(hits))]
  assert machine.penalty == best
  with pytest.raises(Error, match="no face of contempt"):
    expression_models.fit_machine((x, labels % 7), (y, labels))


def test_the_shipped_network_is_what_its_configuration_says(parts):
  folder, config = expression_models.find("half-hidden")
  assert config["occlusion"] == "mixed"
  found = {}
  for precision in expression_models.PRECISIONS:
    content = (folder / f"{precision}.tflite").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    assert digest == config[f"{precision}_sha256"]
    model = expression_models.load("half-hidden", precision, mirror=True)
    for half in OCCLUSIONS:
      seen = occlude(parts["test"].images, half)
      found[precision, half] = model(seen).argmax(axis=1)
  for half in OCCLUSIONS:
    same = found["float", half] == found["int8", half]
    assert same.mean() > 0.85
  # On faces that are as many of each emotion, so the rarest count as much.
  hits = found["int8", "none"] == parts["test"].labels
  assert hits.mean() > 0.4
  size = sum(path.stat().st_size for path in folder.iterdir())
  assert size < 1_150_000
