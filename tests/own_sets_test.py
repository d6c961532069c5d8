"""A network of somebody's own: its manifest, its plan, its page."""

import json
import os

import numpy as np
import pytest
from report_data import evaluation, write

from experiments import agreement, choices, own_sets, plans
from experiments.report import own_page, reader, tables
from tsenh.base.errors import Error
from tsenh.data import feature_sets, manifests
from tsenh.data.feature_sets import FeatureSet

PROVENANCE = {
  "network": "net.onnx",
  "network_digest": "0123456789abcdef",
  "photographs": 65,
  "without_a_feature": 1,
  "excluded": {"like": "lfw.npz", "photographs": 3},
}


@pytest.fixture(autouse=True)
def _forget():
  """The manifests of the project alone after a test."""
  yield
  os.environ.pop(manifests.FURTHER, None)
  manifests.networks.cache_clear()
  manifests.sets.cache_clear()


@pytest.fixture
def mine(tmp_path):
  """The path of a manifest of two small sets."""
  random = np.random.default_rng(0)
  save(tmp_path / "faces.npz", FeatureSet(random.normal(size=(64, 8))))
  pairs = random.integers(0, 40, [20, 2])
  test = FeatureSet(
    random.normal(size=(40, 8)),
    pairs=pairs,
    is_same=np.arange(20) % 2 == 0,
    provenance=json.dumps(PROVENANCE),
  )
  save(tmp_path / "lfw.npz", test)
  return manifest(tmp_path, "mine")


def save(path, found):
  values = {**vars(found), "features": found.features.astype(np.float32)}
  feature_sets.save(str(path), FeatureSet(**values))


def manifest(folder, name, **changes):
  given = {"title": "Mine", "training": "faces.npz", "test": "lfw.npz"}
  path = folder / f"{name}.json"
  path.write_text(json.dumps({**given, **changes}))
  return path


def test_its_sets_are_known_by_name_and_measured(mine, tmp_path):
  network = own_sets.network(str(mine), tmp_path / "runs")
  assert manifests.networks()["mine"] == network
  assert next(iter(manifests.networks())) == manifests.default().name
  found = feature_sets.load("mine-lfw")
  info = manifests.find(found.digest())
  assert (info.name, info.role, info.dim) == ("mine-lfw", manifests.TEST, 8)
  distances = np.sum(
    (found.features[found.pairs[:, 0]] - found.features[found.pairs[:, 1]])
    ** 2,
    axis=1,
  )
  assert 0 < info.correct_pairs <= info.num_pairs == len(distances) == 20
  assert manifests.sets()["mine-faces"].count == 64
  assert own_sets.network("fullrank", tmp_path) == manifests.default()
  # Twice is as good as once.
  assert own_sets.network(str(mine), tmp_path / "runs") == network


def test_what_is_no_manifest_is_refused(mine, tmp_path):
  no_pairs = {"test": "faces.npz"}
  for source, said in (
    ("nobody", "neither a manifest's path"),
    (str(tmp_path / "no.json"), "no such manifest"),
    (str(manifest(tmp_path, "a", title=3)), "expected the texts title"),
    (str(manifest(tmp_path, "b", more="x")), "expected the texts title"),
    (str(manifest(tmp_path, "c", **no_pairs)), "has no pairs to verify"),
    (str(manifest(tmp_path, "d", training="lfw.npz")), "must differ"),
    (str(manifest(tmp_path, "dlib")), "is a network of the project"),
    (str(manifest(tmp_path, "e", training="x.npz")), "no such file"),
  ):
    with pytest.raises(Error, match=said):
      own_sets.network(source, tmp_path)
  (tmp_path / "f.json").write_text("{")
  with pytest.raises(Error, match="not a JSON file"):
    own_sets.network(str(tmp_path / "f.json"), tmp_path)


def test_its_plan_is_the_papers_without_codecs_of_other_features(
  mine, tmp_path
):
  network = own_sets.network(str(mine), tmp_path)
  own = plans.paper_plan(network, "runs", "results", num_seeds=2)
  default = plans.paper_plan(manifests.default(), "runs", "results")
  assert set(own) < set(default)
  missing = {name for name in set(default) - set(own) if "e400" not in name}
  assert missing == {n for n in default if n[-3:] in ("-s2", "-s3", "-s4")}
  for job in own.values():
    flags = [] if callable(job.flags) else job.command()
    assert not {"--features=lfw", "--features=faces"} & {*flags}
  teacher = choices.TEACHERS["fullrank"]["1e-4"]
  command = own["train pro-e-1e-4-e40-s1"].command()
  assert f"--high=runs/pro-{teacher}-e40-s1" in command
  with pytest.raises(Error, match="no people apart"):
    plans.choices_plan(network, "runs", "results")


def test_its_page_has_the_tables_its_own_sets_and_no_claims(mine, tmp_path):
  network = own_sets.network(str(mine), tmp_path)
  folder = tmp_path / "results"
  folder.mkdir()
  for method, bits, accuracy in (
    ("none", 256, 99.0),
    ("sq-50", 20, 98.0),
    ("pro-1e-4-e40-s0", 5, 90.0),
    ("pro-1e-5-e40-s0", 15, 95.0),
  ):
    write(folder, evaluation(method, bits, accuracy, "mine-lfw"))
  study = reader.read(str(folder))
  text = own_page.render(study, network, folder, tmp_path / "page")
  assert text.startswith("# Table 1 on Mine\n")
  assert "net.onnx (0123456789ab)" in text and "| mine-faces |" in text
  assert tables.PARTS["pro"](study) in text
  assert "[json](../results/sq-50.json)" in text
  # Nothing is drawn in this test, so no picture is shown.
  assert "](figures/" not in text and "*Not measured.*" in text
  assert "NAME" not in text and "fullrank" not in text


@pytest.mark.slow
def test_one_command_makes_results_and_another_the_page(run, mine, tmp_path):
  flags = (f"--network={mine}", "--runs=runs")
  only = "--only=none|features"
  run(
    *("experiments.reproduce", *flags, only, "--seeds=1", "--output=results"),
    cwd=tmp_path,
  )
  names = {path.stem for path in (tmp_path / "results").glob("*.json")}
  assert names == {"none", "features"}
  own = (f"--network={mine}", "--results=results", "--output=page")
  run("experiments.report", *own, cwd=tmp_path)
  page = (tmp_path / "page" / "paper.html").read_text()
  assert "Table 1 on Mine" in page and "data:image/png" in page
  # Other features under the same name are not mixed in.
  save(tmp_path / "faces.npz", FeatureSet(np.ones((70, 8))))
  lfw = feature_sets.load(str(tmp_path / "lfw.npz"))
  save(
    tmp_path / "lfw.npz",
    FeatureSet(
      lfw.features + 1, lfw.names, lfw.identities, lfw.pairs, lfw.is_same
    ),
  )
  process = run("experiments.report", *own, cwd=tmp_path, check=False)
  assert process.returncode == 1
  assert b"of other features than those of mine-lfw today" in process.stderr


def test_features_are_held_against_stored_ones_by_name():
  stored = FeatureSet(np.eye(3, dtype=np.float32), np.array(["a", "b", "c"]))
  names = np.array(["x/c.jpg", "x/a.jpg", "x/b.jpg", "x/d.jpg"])
  features = np.eye(4, 3, dtype=np.float32)[[2, 0, 1, 3]] * 5
  features[3], features[1] = 1, [1, 1, 0]
  found = agreement.compared(FeatureSet(features, names), features, stored)
  assert (found["compared"], found["beyond_tolerance"]) == (3, 1)
  assert found["largest_cosine_distance"] == pytest.approx(1 - 2**-0.5)
  with pytest.raises(Error, match="no feature of 1 photographs: a"):
    agreement.compared(
      FeatureSet(features[[0, 2]], names[[0, 2]]), features[[0, 2]], stored
    )
