"""Students from images to features, each command in a process of its own."""

import json

import numpy as np
import pytest

from tsenh.base import files
from tsenh.data import feature_sets
from tsenh.data.feature_sets import FeatureSet
from tsenh.recognition import face_networks, image_sets


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """Images of 20 people, and what a teacher says of them."""
  folder = tmp_path_factory.mktemp("student")
  random = np.random.default_rng(0)
  people = np.repeat(np.arange(20), 8)
  tones = random.integers(40, 216, [20, 4, 4, 3])[people]
  noise = random.integers(-20, 20, [160, 16, 16, 3])
  images = np.repeat(np.repeat(tones, 4, axis=1), 4, axis=2) + noise
  names = [f"{i:03}.webp" for i in range(160)]
  webp = [image_sets.webp(image) for image in images.astype(np.uint8)]
  files.write_arrays(str(folder / "set.npz"), image_sets.pack(names, webp))
  (folder / "faces").mkdir()
  for name, image in zip(names[:20], images.astype(np.uint8)):
    twice = np.repeat(np.repeat(image, 2, axis=0), 2, axis=1)
    (folder / "faces" / name).write_bytes(image_sets.webp(twice))
  features = random.normal(size=[20, 8])[people]
  features += 0.1 * random.normal(size=features.shape)
  pairs = random.integers(0, 160, [400, 2])
  teacher = FeatureSet(
    features.astype(np.float32),
    names=np.array(names),
    identities=people,
    pairs=np.stack(
      [
        pairs[:, 0],
        np.where(np.arange(400) % 2, pairs[:, 1], pairs[:, 0] // 8 * 8),
      ],
      axis=1,
    ),
  )
  same = people[teacher.pairs[:, 0]] == people[teacher.pairs[:, 1]]
  feature_sets.save(
    str(folder / "teacher.npz"),
    FeatureSet(**{**vars(teacher), "is_same": same}),
  )
  return folder


COMMAND = (
  "tsenh.train_student",
  *("--images=set.npz", "--teacher=teacher.npz", "--widths=4,8/8,12/16"),
  *("--batch_size=32", "--shrunken=small.npz", "--epochs=4"),
  *("--selection=graph", "--survival=teacher.npz"),
)


@pytest.fixture(scope="module")
def student(run, folder):
  """The folder of a trained student."""
  run(*COMMAND, "--validation=teacher.npz", "--output=run", cwd=folder)
  return folder / "run"


@pytest.mark.slow
def test_training_leaves_programs_and_what_made_them(student):
  config = json.loads((student / "config.json").read_text())
  assert config["status"] == "finished" and config["steps"] == 20
  assert config["parameters"] < 5000 and config["size"] == 16
  assert (config["selection"], config["share"]) == ("graph", 0.5)
  records = json.loads((student / "validation.json").read_text())
  assert [record["epoch"] for record in records] == [1, 2, 3, 4]
  assert records[-1]["regression"] < records[0]["regression"]
  assert records[-1]["num_pairs"] == 400
  sizes = [
    (student / f"{f}.tflite").stat().st_size for f in ("float32", "int8")
  ]
  assert sizes[1] < sizes[0]


@pytest.mark.slow
def test_a_student_extracts_features_like_any_network(run, folder, student):
  for form in ("float32", "int8"):
    run(
      "tsenh.extract_features",
      "--images=faces",
      f"--network=run/{form}.tflite",
      "--preset=student",
      f"--output={form}.npz",
      cwd=folder,
    )
  exact, coarse = (
    feature_sets.load(str(folder / f"{form}.npz"))
    for form in ("float32", "int8")
  )
  assert exact.features.shape == (20, 8)
  # The faces were twice as large: shrunk by area they are what they were.
  images = image_sets.load(str(folder / "set.npz"))
  network = face_networks.load(
    str(student / "float32.tflite"), face_networks.PRESETS["student"]
  )
  faces = np.stack(list(images.decode(range(20))))
  np.testing.assert_allclose(exact.features, network(faces), atol=1e-5)
  assert (exact.features * coarse.features).sum(axis=1).min() > 0.9


@pytest.mark.slow
def test_a_run_resumes_only_as_it_began(run, folder, student):
  again = run(*COMMAND, "--output=run", "--resume", cwd=folder)
  assert b"the run is finished" in again.stderr
  process = run(
    *COMMAND, "--epochs=5", "--output=run", "--resume", cwd=folder, check=False
  )
  assert b"the run has decay_epochs 4, but now it is 5" in process.stderr
  process = run(*COMMAND, "--variants=3", "--output=x", cwd=folder, check=False)
  assert b"small.npz: holds other faces" in process.stderr
  assert not (folder / "x").exists()


@pytest.mark.slow
def test_a_student_is_evaluated_with_its_ways(run, folder, student):
  run(
    "tsenh.evaluate_student",
    "--network=run/int8.tflite",
    "--preset=student",
    "--images=set.npz",
    "--features=teacher.npz",
    "--ways",
    "--output=result.json",
    cwd=folder,
  )
  result = json.loads((folder / "result.json").read_text())
  assert result["num_pairs"] == 400 and result["size"] == result["low"] == 16
  assert 0.5 < result["accuracy"] <= 1
  assert len(result["ways"]) == 7
  assert 0 < result["against_sharp"]["cosine"] <= 1
  assert result["training"]["epochs_done"] == 4 and result["training"]["code"]
  assert (folder / "test_log.jsonl").read_text().count("\n") == 1
