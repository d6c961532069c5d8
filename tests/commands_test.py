"""Every entry point for real, in a process of its own, on real features."""

import io
import json
import pathlib
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import COMMANDS, ROOT, fails

from tsenh.data import feature_sets

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def encoded(run, tmp_path_factory):
  folder = tmp_path_factory.mktemp("encoded")
  run(
    "tsenh.encode",
    "--codec=pro-1e-6",
    "--input=lfw",
    "--output=lfw.tsf",
    cwd=folder,
  )
  return folder / "lfw.tsf"


def test_one_command_has_all_the_others_as_verbs(run, tmp_path):
  usage = run("tsenh", cwd=tmp_path).stdout.decode()
  for module in COMMANDS:
    verb = module.replace("_", "-")
    assert f"  {verb} " in usage
  text = run("tsenh", "train-codec", "--help", cwd=tmp_path).stdout.decode()
  assert "--lambda" in text
  run("tsenh", "train-sq", "--qp=50", "--output=sq", cwd=tmp_path)
  assert (tmp_path / "sq" / "tables.npz").exists()
  process = run("tsenh", "fly", cwd=tmp_path, check=False)
  fails(process, "no verb 'fly'; expected one of compare, count-pairs")


def test_a_command_trains_to_the_bits_of_the_trainer(run, tmp_path):
  """What starts a process must not change what it computes.

  TensorFlow imported after absl's app.run had begun gave other bits.
  """
  from tsenh.features.pro import Codec, rate_distortion_loss
  from tsenh.training.trainer import Recipe, Trainer

  faces = feature_sets.load("faces").features[:16000]
  np.save(tmp_path / "faces.npy", faces)
  run(
    "tsenh.train_codec",
    "--lambda=1e-4",
    "--gdn=tfc",
    "--gdn_layers=2",
    "--code_dim=64",
    "--epochs=1",
    "--features=faces.npy",
    "--output=run",
    cwd=tmp_path,
  )
  codec = Codec(128, 64, gdn="tfc", gdn_layers=2)

  def loss_fn(batch, noise):
    f_raw = batch["features"]
    f_rec, c = codec(f_raw, noise)
    return rate_distortion_loss(f_raw, f_rec, c, 1e-4)

  trainer = Trainer(
    codec.named_variables(),
    loss_fn,
    ("loss", "distortion", "rate"),
    {"features": faces},
    Recipe(),
    noise_dim=64,
  )
  trainer.run_epoch(lambda *_: None)
  config = json.loads((tmp_path / "run" / "config.json").read_text())
  assert config["codec_digest"] == codec.digest()


def test_training_leaves_a_complete_run_folder(trained):
  config = json.loads((trained / "config.json").read_text())
  assert config["status"] == "finished"
  assert (config["lambda"], config["epochs"], config["steps"]) == (1e-5, 3, 60)
  assert config["kind"] == "pro"
  assert len(config["commits"]) == 1
  assert "tsenh/training/trainer.py" in config["code"]
  assert config["wall_time_seconds"] > 0
  for key in ("git_commit", "git_dirty", "training_set_digest", "thread_mode"):
    assert key in config
  assert list((trained / "tensorboard").glob("events.*"))
  files = {path.name for path in trained.iterdir() if path.is_file()}
  assert files == {
    "config.json",
    "weights.npz",
    "tables.npz",
    "training_state.npz",
    "validation.json",
  }


def test_a_codec_of_two_grains_says_so_and_keeps_no_class_variables(
  run, tmp_path
):
  flags = (
    "--lambda=1e-5",
    "--coarse=margin",
    "--coarse_weight=0.1",
    "--epochs=1",
    "--features=dlib-faces-train",
  )
  run("tsenh.train_codec", *flags, cwd=tmp_path)
  folder = tmp_path / "runs" / "pro-margin-1e-5"
  config = json.loads((folder / "config.json").read_text())
  assert config["coarse"] == "margin"
  assert (config["coarse_weight"], config["fine_weight"]) == (0.1, 1)
  assert config["last_epoch"]["coarse"] > 0
  names = np.load(folder / "weights.npz").files
  assert names == np.load(ROOT / "checkpoints/pro-1e-6/weights.npz").files
  assert "training/centres" in np.load(folder / "training_state.npz").files
  plain = ("--lambda=1e-5", "--epochs=2", "--features=dlib-faces-train")
  process = run(
    "tsenh.train_codec",
    *plain,
    f"--output={folder}",
    "--resume",
    cwd=tmp_path,
    check=False,
  )
  assert b"the run has coarse margin, but now it is none" in process.stderr


def test_an_enhancer_of_two_grains_leaves_the_high_rate_decoder(run, tmp_path):
  high = "dlib-pro-1e-6-e282"
  run(
    "tsenh.train_enhancer",
    "--low=dlib-pro-1e-5-e282",
    f"--high={high}",
    "--coarse=contrastive",
    "--epochs=1",
    "--features=dlib-faces-train",
    "--output=e",
    cwd=tmp_path,
  )
  config = json.loads((tmp_path / "e" / "config.json").read_text())
  assert config["coarse"] == "contrastive"
  last = config["last_epoch"]
  expected = last["fine"] + config["coarse_weight"] * last["coarse"]
  assert last["coarse"] > 0
  np.testing.assert_allclose(last["loss"], expected, rtol=1e-5)
  weights = ROOT / "checkpoints" / high / "weights.npz"
  assert (tmp_path / "e/high/weights.npz").read_bytes() == weights.read_bytes()


def test_tensorboard_reads_the_scalars(trained):
  from tensorboard.backend.event_processing import event_accumulator

  events = event_accumulator.EventAccumulator(str(trained / "tensorboard"))
  events.Reload()
  assert set(events.Tags()["tensors"]) == {
    "loss",
    "distortion",
    "rate",
    "validation/entropy_bits_per_feature",
    "validation/mse",
    "validation/accuracy",
  }
  assert [e.step for e in events.Tensors("loss")] == [20, 40, 60]
  assert [e.step for e in events.Tensors("validation/mse")] == [40, 60]


def test_validation_while_training_is_that_of_evaluate(run, trained, tmp_path):
  records = json.loads((trained / "validation.json").read_text())
  assert [record["epoch"] for record in records] == [2, 3]
  run(
    "tsenh.evaluate",
    f"--codec={trained}",
    "--features=faces-validation",
    "--output=result.json",
    cwd=tmp_path,
  )
  result = json.loads((tmp_path / "result.json").read_text())
  # The codes may differ where another batch rounds an element otherwise.
  assert records[-1]["mse"] == pytest.approx(result["mse"], rel=1e-3)
  assert records[-1]["entropy_bits_per_feature"] == pytest.approx(
    result["entropy_bits_per_feature"], rel=1e-3
  )
  assert abs(records[-1]["correct_pairs"] - result["correct_pairs"]) <= 3


def test_a_finished_run_is_continued_with_more_epochs(
  run, trained, small_faces, tmp_path
):
  flags = ["--lambda=1e-5", f"--features={small_faces}", "--output=run"]
  run("tsenh.train_codec", *flags, "--epochs=2", cwd=tmp_path)
  # The same features under another name are the same features.
  copy = tmp_path / "copy.npz"
  copy.write_bytes(small_faces.read_bytes())
  flags[1] = f"--features={copy}"
  run("tsenh.train_codec", *flags, "--epochs=3", "--resume", cwd=tmp_path)
  for name in ("weights.npz", "tables.npz", "training_state.npz"):
    extended = (tmp_path / "run" / name).read_bytes()
    assert extended == (trained / name).read_bytes(), name
  config = json.loads((tmp_path / "run" / "config.json").read_text())
  assert (config["epochs"], config["epochs_done"]) == (3, 3)
  # Both sessions that trained it are named.
  assert len(config["commits"]) == 2
  assert config["commits"][0]["git_commit"] == config["git_commit"]
  assert config["status"] == "finished"
  fails(
    run(
      "tsenh.train_codec",
      *flags,
      "--epochs=2",
      "--resume",
      cwd=tmp_path,
      check=False,
    ),
    "the run has epochs 3, but now it is 2",
  )


def test_a_killed_run_resumes_to_the_same_bits(run, small_faces, tmp_path):
  flags = ["--lambda=1e-5", "--epochs=150", f"--features={small_faces}"]
  run("tsenh.train_codec", *flags, "--output=whole", cwd=tmp_path)
  command = [sys.executable, "-m", "tsenh.train_codec", *flags]
  process = subprocess.Popen(
    [*command, "--output=killed"],
    cwd=tmp_path,
    env={"PYTHONPATH": str(ROOT)},
    stderr=subprocess.DEVNULL,
  )
  state = tmp_path / "killed" / "training_state.npz"
  while not state.exists() and process.poll() is None:
    time.sleep(0.01)
  process.send_signal(signal.SIGKILL)
  assert process.wait() == -signal.SIGKILL
  resume = ("--resume", "--output=killed")
  text = fails(
    run("tsenh.train_codec", *flags, resume[1], cwd=tmp_path, check=False),
    "holds an unfinished run; --resume continues it",
  )
  assert len(text.splitlines()) == 1
  fails(
    run(
      "tsenh.train_codec",
      *flags,
      *resume,
      "--seed=1",
      cwd=tmp_path,
      check=False,
    ),
    "the run has seed 0, but now it is 1",
  )
  fails(
    run(
      "tsenh.encode",
      "--codec=killed",
      "--input=lfw",
      "--output=x.tsf",
      cwd=tmp_path,
      check=False,
    ),
    "killed: the run is unfinished",
  )
  run("tsenh.train_codec", *flags, *resume, cwd=tmp_path)
  for name in ("weights.npz", "tables.npz", "training_state.npz"):
    whole, killed = (tmp_path / run / name for run in ("whole", "killed"))
    assert whole.read_bytes() == killed.read_bytes(), name
  # Killed behind the last epoch, before the run was called finished.
  config_file = tmp_path / "killed" / "config.json"
  config = json.loads(config_file.read_text())
  last_epoch = config.pop("last_epoch")
  config_file.write_text(json.dumps({**config, "status": "training"}))
  (tmp_path / "killed" / "weights.npz").unlink()
  run("tsenh.train_codec", *flags, *resume, cwd=tmp_path)
  assert json.loads(config_file.read_text())["last_epoch"] == last_epoch
  whole, killed = (tmp_path / r / "weights.npz" for r in ("whole", "killed"))
  assert whole.read_bytes() == killed.read_bytes()
  # A finished run is left alone, with --resume and without.
  before = (tmp_path / "killed" / "config.json").read_bytes()
  run("tsenh.train_codec", *flags, *resume, cwd=tmp_path)
  fails(
    run("tsenh.train_codec", *flags, resume[1], cwd=tmp_path, check=False),
    "holds a finished run; --overwrite replaces it",
  )
  assert (tmp_path / "killed" / "config.json").read_bytes() == before


def test_a_whole_curve_is_trained_to_the_bits_of_each_alone(
  run, trained, small_faces, tmp_path
):
  flags = ("--epochs=3", f"--features={small_faces}", "--output=curve")
  command = ("tsenh.train_codec", "--lambda=1e-4,1e-5", *flags)
  run(*command, cwd=tmp_path)
  curve = tmp_path / "curve"
  for name in ("weights.npz", "tables.npz"):
    expected = (trained / name).read_bytes()
    assert (curve / "pro-1e-5" / name).read_bytes() == expected
  config = json.loads((curve / "pro-1e-4" / "config.json").read_text())
  assert (config["lambda"], config["status"]) == (1e-4, "finished")
  # Runs that are there already are refused, and named.
  text = fails(run(*command, cwd=tmp_path, check=False))
  last_line = text.splitlines()[-1]
  assert last_line == "error: no codec for lambda 1e-4, 1e-5; see above."


@pytest.mark.parametrize(
  ("module", "flags", "message"),
  [
    ("train_codec", ["--lambda=-1"], "--lambda=['-1']: expected finite"),
    ("train_codec", ["--lambda=1,nan"], "'nan']: expected finite numbers"),
    ("train_codec", ["--lambda=1e-4,0.0001"], "the same value twice"),
    ("train_codec", ["--epochs=0"], "--epochs=0"),
    ("train_codec", ["--batch_size=0"], "--batch_size=0"),
    ("train_codec", ["--learning_rate=0"], "--learning_rate=0"),
    ("train_codec", ["--clip=0"], "--clip=0"),
    ("train_codec", ["--seed=-1"], "--seed=-1"),
    ("train_codec", ["--gdn=new"], "--gdn=new"),
    ("train_codec", ["--features=no.npz"], "no.npz: no such file"),
    ("train_codec", ["--validation=faces"], "faces: has no pairs to verify"),
    ("train_codec", ["--adam_epsilon=0"], "--adam_epsilon=0"),
    ("train_codec", ["--gdn_layers=3"], "--gdn_layers=3"),
    ("train_codec", ["--noise=none"], "--noise=none"),
    ("train_codec", ["--lambd=1"], "Did you mean: lambda"),
    ("train_codec", ["1e-6"], "unexpected argument '1e-6'"),
    ("train_enhancer", ["--low=pro-1e-5"], "--high"),
    (
      "train_enhancer",
      ["--low=no", "--high=pro-1e-6"],
      "no: neither a run folder",
    ),
    (
      "train_enhancer",
      ["--low=sq-40", "--high=pro-1e-6"],
      "sq-40: the run of sq, expected a learned codec",
    ),
    ("train_enhancer", ["--low=a", "--high=b", "--loss=l1"], "--loss=l1"),
    (
      "train_enhancer",
      [
        "--low=pro-1e-5",
        "--high=pro-1e-6",
        "--loss=feature",
        "--high_codes=latent",
      ],
      "--high_codes goes with --loss=code",
    ),
    ("train_decoder", [], "--codec"),
    ("train_decoder", ["--codec=x", "--num_layers=1"], "--num_layers=1"),
    (
      "train_decoder",
      ["--codec=sq-40"],
      "sq-40: the run of sq, expected a learned codec",
    ),
    (
      "train_decoder",
      ["--codec=pro-1e-6", "--from_codec", "--hidden_dim=64"],
      "the decoder of pro-1e-6 has another architecture; its width is 128",
    ),
    ("train_sq", ["--qp=64"], "--qp=64"),
    ("train_sq", ["--qp=4", "--reconstruction=top"], "--reconstruction=top"),
    ("train_codec", ["--coarse=fine"], "--coarse=fine"),
    ("train_codec", ["--coarse_weight=1"], "go with --coarse"),
    (
      "train_codec",
      ["--coarse=margin", "--fine_weight=-1"],
      "expected a finite number, 0 or more",
    ),
    ("train_lda", [], "(bits, step)"),
    ("train_lda", ["--step=1", "--bits=64"], "(bits, step)"),
    ("train_lda", ["--step=0"], "--step=0.0: expected a finite number"),
    ("train_lda", ["--bits=0"], "--bits=0.0: expected a finite number"),
    ("train_lda", ["--bits=64", "--shrinkage=-1"], "--shrinkage=-1.0"),
    ("train_lda", ["--step=3"], "--step needs --dim"),
    ("train_lda", ["--step=3", "--dim=0"], "--dim=0"),
    ("train_ahead", ["--bits=inf"], "--bits=inf: expected a finite number"),
    ("train_ahead", ["--dropout=1"], "--dropout=1.0: expected 0 or more"),
    ("train_ahead", ["--spread=nan"], "--spread=nan: expected a finite number"),
    ("train_pca", [], "--step"),
    ("train_pca", ["--step=0"], "--step=0.0: expected a finite number"),
    ("train_pca", ["--step=nan"], "--step=nan: expected a finite number"),
    ("train_sq_enhancer", [], "--qp"),
    ("train_sq_enhancer", ["--qp=64"], "--qp=64"),
    ("train_sq_enhancer", ["--qp=50", "--blocks=0"], "--blocks=0"),
    (
      "evaluate",
      ["--codec=none", "--enhancer=x", "--output=o.json"],
      "--enhancer goes with the codec of a run",
    ),
    ("encode", [], "--codec"),
    ("encode", ["--codec=x", "--input=lfw", "--output=o"], "x: neither a run"),
    (
      "encode",
      ["--codec=sq-40", "--input=lfw", "--output=no/o.tsf"],
      "no/o.tsf: the folder",
    ),
    (
      "encode",
      ["--codec=sq-40", "--input=lfw", "--output=."],
      ".: not a regular file",
    ),
    (
      "decode",
      ["--codec=sq-40", "--input=no.tsf", "--output=o.npz"],
      "no.tsf: No such file",
    ),
    (
      "decode",
      ["--codec=sq-40", "--input=no.tsf", "--output=o.txt"],
      "expected .npz, .npy or -",
    ),
    (
      "evaluate",
      ["--codec=none", "--features=faces", "--output=o.json"],
      "faces: has no pairs",
    ),
    ("evaluate_student", ["--images=x", "--network=y"], "--output"),
    (
      "evaluate_student",
      ["--images=x", "--network=y", "--output=z", "--features=faces"],
      "faces: has no pairs to verify",
    ),
    ("train_student", [], "--images"),
    ("train_student", ["--images=x", "--size=20"], "--size=20"),
    ("train_student", ["--images=x", "--widths=8,12"], "at most three"),
    ("train_student", ["--images=x", "--share=0"], "--share=0"),
    ("train_student", ["--images=no"], "neither a folder nor a tar file"),
    (
      "train_student",
      ["--images=x", "--survival=faces"],
      "goes with --selection=graph",
    ),
    (
      "train_student",
      ["--images=x", "--regression_weight=0", "--classification_weight=0"],
      "nothing to learn",
    ),
    (
      "evaluate",
      ["--codec=external", "--output=o.json"],
      "needs --decoded and --bits_per_feature",
    ),
    (
      "evaluate",
      ["--codec=external", "--output=o.json", "--bits_per_feature=-3"],
      "--bits_per_feature=-3",
    ),
  ],
)
def test_bad_input_ends_in_one_sentence(run, tmp_path, module, flags, message):
  process = run(f"tsenh.{module}", *flags, cwd=tmp_path, check=False)
  fails(process, message)
  assert not list(tmp_path.iterdir())


def test_encoding_and_decoding_by_file_and_by_pipe_agree(
  run, encoded, tmp_path
):
  run(
    "tsenh.decode",
    "--codec=pro-1e-6",
    f"--input={encoded}",
    "--output=decoded.npz",
    cwd=tmp_path,
  )
  decoded = feature_sets.load(str(tmp_path / "decoded.npz")).features
  original = feature_sets.load("lfw").features
  assert decoded.shape == original.shape
  error = np.square(decoded - original).mean()
  assert error < 0.05 * np.square(original).mean()

  stream = io.BytesIO()
  np.save(stream, original)
  piped = run(
    "tsenh.encode",
    "--codec=pro-1e-6",
    "--input=-",
    "--output=-",
    cwd=tmp_path,
    stdin=stream.getvalue(),
  )
  assert piped.stdout == encoded.read_bytes()
  back = run(
    "tsenh.decode",
    "--codec=pro-1e-6",
    "--input=-",
    "--output=-",
    cwd=tmp_path,
    stdin=piped.stdout,
  )
  np.testing.assert_array_equal(np.load(io.BytesIO(back.stdout)), decoded)
  run(
    "tsenh.decode",
    "--codec=pro-1e-6",
    f"--input={encoded}",
    "--output=part.npy",
    "--start=1020",
    "--count=10",
    cwd=tmp_path,
  )
  np.testing.assert_array_equal(
    np.load(tmp_path / "part.npy"), decoded[1020:1030]
  )


def test_a_damaged_file_leaves_nothing_behind(run, encoded, tmp_path):
  data = bytearray(encoded.read_bytes())
  data[-5000] ^= 1
  damaged = tmp_path / "damaged.tsf"
  damaged.write_bytes(data)
  common = ("tsenh.decode", "--codec=pro-1e-6")
  for name, content in (
    ("damaged.tsf", bytes(data)),
    ("cut.tsf", encoded.read_bytes()[:-1]),
    ("long.tsf", encoded.read_bytes() + b"x"),
    ("foreign.tsf", b"hello"),
  ):
    (tmp_path / name).write_bytes(content)
    process = run(
      *common,
      f"--input={name}",
      "--output=out.npz",
      cwd=tmp_path,
      check=False,
    )
    fails(process, f"error: {name}: ")
    (tmp_path / name).unlink()
    assert not list(tmp_path.iterdir())
  process = run(
    *common,
    "--input=-",
    "--output=-",
    cwd=tmp_path,
    stdin=bytes(data),
    check=False,
  )
  fails(process, "error: <stdin>: block 7 is damaged")
  # Only verified blocks were passed on.
  header_and_blocks = len(process.stdout) - 128
  assert header_and_blocks == 7 * 1024 * 128 * 4


def test_a_full_disk_leaves_nothing_behind(tmp_path):
  def limit():
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

  (tmp_path / "lfw.tsf").write_text("what was here before")
  process = subprocess.run(
    [
      sys.executable,
      "-m",
      "tsenh.encode",
      "--codec=pro-1e-6",
      "--input=lfw",
      "--output=lfw.tsf",
    ],
    cwd=tmp_path,
    # Python would keep what it could write of a compiled module.
    env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
    preexec_fn=limit,
    capture_output=True,
    check=False,
  )
  fails(process, "lfw.tsf: the disk is full")
  assert [path.name for path in tmp_path.iterdir()] == ["lfw.tsf"]
  assert (tmp_path / "lfw.tsf").read_text() == "what was here before"


@pytest.mark.skipif(
  not pathlib.Path("/dev/full").exists(), reason="no /dev/full here"
)
def test_a_full_disk_behind_a_pipe_is_an_error(encoded, tmp_path):
  with open("/dev/full", "wb") as full:
    process = subprocess.run(
      [
        sys.executable,
        "-m",
        "tsenh.decode",
        "--codec=pro-1e-6",
        f"--input={encoded}",
        "--output=-",
      ],
      cwd=tmp_path,
      env={"PYTHONPATH": str(ROOT)},
      stdout=full,
      stderr=subprocess.PIPE,
      check=False,
    )
  fails(process, "the disk is full")


def test_an_evaluations_rates_are_those_of_the_file(run, encoded, tmp_path):
  run(
    "tsenh.evaluate",
    "--codec=pro-1e-6",
    "--output=shared.json",
    cwd=tmp_path,
  )
  run(
    "tsenh.evaluate",
    "--codec=pro-1e-6",
    "--output=separate.json",
    "--packing=separate",
    cwd=tmp_path,
  )
  shared, separate = (
    json.loads((tmp_path / f"{name}.json").read_text())
    for name in ("shared", "separate")
  )
  assert shared["file_bytes"] == encoded.stat().st_size
  assert shared["bits_per_feature"] == 8 * (shared["file_bytes"] - 48) / 7701
  assert shared["bits_per_dimension"] == shared["bits_per_feature"] / 128
  assert separate["packing"] == "separate"
  entropy = shared["entropy_bits_per_feature"]
  assert separate["entropy_bits_per_feature"] == entropy
  assert entropy < shared["payload_bits_per_feature"] < entropy * 1.005
  assert separate["payload_bits_per_feature"] < entropy + 4
  assert separate["bits_per_feature"] > separate["payload_bits_per_feature"] + 8
  for key in ("correct_pairs", "auc", "mse"):
    assert shared[key] == separate[key]


def test_somebody_elses_features_are_evaluated_alike(run, encoded, tmp_path):
  run(
    "tsenh.decode",
    "--codec=pro-1e-6",
    f"--input={encoded}",
    "--output=mine.npz",
    cwd=tmp_path,
  )
  external = (
    "tsenh.evaluate",
    "--codec=external",
    "--decoded=mine.npz",
    "--bits_per_feature=200",
    "--output=mine.json",
  )
  run(*external, "--method=mine", cwd=tmp_path)
  run(
    "tsenh.evaluate",
    "--codec=pro-1e-6",
    "--output=ours.json",
    cwd=tmp_path,
  )
  mine, ours = (
    json.loads((tmp_path / f"{name}.json").read_text())
    for name in ("mine", "ours")
  )
  assert mine["method"] == "mine"
  assert mine["bits_per_feature"] == 200
  for key in ("correct_pairs", "auc", "eer", "mse", "normalized"):
    assert mine[key] == ours[key]
  np.savez(tmp_path / "mine.npz", features=np.zeros([7700, 128], np.float32))
  fails(
    run(*external, cwd=tmp_path, check=False),
    "mine.npz: [7700, 128] features, expected [7701, 128]",
  )


def test_an_enhancer_between_frozen_codecs(run, trained, small_faces, tmp_path):
  """Trained, killed at its end, resumed; then one bitstream, decoded twice."""
  expected = ROOT / "tests" / "expected" / "codecs" / "tfc"
  before = {p: p.read_bytes() for p in trained.iterdir() if p.is_file()}
  flags = (
    f"--low={expected}",
    f"--high={trained}",
    f"--features={small_faces}",
    "--hidden_dim=16",
    "--output=enhancer",
  )
  run("tsenh.train_enhancer", *flags, "--epochs=2", cwd=tmp_path)
  run("tsenh.train_enhancer", *flags, "--epochs=4", "--resume", cwd=tmp_path)
  whole = (*flags[:-1], "--output=whole", "--epochs=4")
  run("tsenh.train_enhancer", *whole, cwd=tmp_path)
  for name in ("weights.npz", "training_state.npz", "high/weights.npz"):
    same = [(tmp_path / r / name).read_bytes() for r in ("enhancer", "whole")]
    assert same[0] == same[1], name
  assert all(path.read_bytes() == data for path, data in before.items())
  config = json.loads((tmp_path / "enhancer" / "config.json").read_text())
  high = json.loads((trained / "config.json").read_text())
  assert config["high_digest"] == high["codec_digest"]
  assert config["last_epoch"].keys() == {"loss"}

  codec = f"--codec={expected}"
  # A codec of the features of rank 64.
  ends = ("--input=rank64-lfw", "--output=lfw.tsf")
  run("tsenh.encode", codec, *ends, cwd=tmp_path)
  decoded = []
  for extra in ((), ("--enhancer=enhancer",)):
    run(
      "tsenh.decode",
      codec,
      "--input=lfw.tsf",
      "--output=lfw.npy",
      *extra,
      cwd=tmp_path,
    )
    decoded.append(np.load(tmp_path / "lfw.npy"))
  assert decoded[0].shape == decoded[1].shape == (7701, 128)
  assert (decoded[0] != decoded[1]).any(axis=1).all()
  run(
    "tsenh.evaluate",
    codec,
    "--enhancer=enhancer",
    "--features=rank64-lfw",
    "--output=result.json",
    cwd=tmp_path,
  )
  result = json.loads((tmp_path / "result.json").read_text())
  assert result["enhancer_digest"] == config["enhancer_digest"]
  assert result["file_bytes"] == (tmp_path / "lfw.tsf").stat().st_size
  # Enh (16 x 16, GDN, 16 x 128) and the high-rate codec's Dec.
  own = 16 * 16 + 16 * 16 + 16 * 128
  assert result["multiply_adds"]["receiver"] == own + 3 * 128 * 128
  fails(
    run(
      "tsenh.decode",
      f"--codec={trained}",
      "--enhancer=enhancer",
      "--input=lfw.tsf",
      "--output=x.npy",
      cwd=tmp_path,
      check=False,
    ),
    "enhancer: made for another codec's codes",
  )


@pytest.mark.parametrize(
  ("command", "flags"),
  [
    ("train_decoder", ["--num_layers=3", "--hidden_dim=24"]),
    ("train_decoder", ["--from_codec", "--codes=noisy"]),
    ("train_enhancer", ["--loss=feature", "--num_layers=3"]),
  ],
)
def test_other_ways_to_decode_a_frozen_codecs_bytes(
  run, trained, small_faces, tmp_path, command, flags
):
  """Each is trained on features, and lowers a barely trained Dec's error."""
  before = {p: p.read_bytes() for p in trained.iterdir() if p.is_file()}
  ends = [f"--codec={trained}"]
  if command == "train_enhancer":
    ends = [f"--low={trained}", f"--high={trained}"]
  flags = [*ends, *flags, f"--features={small_faces}", "--epochs=150"]
  run(f"tsenh.{command}", *flags, "--output=new", cwd=tmp_path)
  assert all(path.read_bytes() == data for path, data in before.items())
  decoded = {}
  for name, extra in (("old", []), ("new", ["--enhancer=new"])):
    run(
      "tsenh.evaluate",
      f"--codec={trained}",
      "--features=faces-validation",
      f"--output={name}.json",
      *extra,
      cwd=tmp_path,
    )
    decoded[name] = json.loads((tmp_path / f"{name}.json").read_text())
  assert decoded["new"]["file_bytes"] == decoded["old"]["file_bytes"]
  assert decoded["new"]["mse"] < decoded["old"]["mse"]
  assert decoded["new"]["enhancer_training"]["epochs"] == 150


def test_sq_e_behind_one_quantizer(run, trained, small_faces, tmp_path):
  """Trained, ended, resumed; then one bitstream, decoded twice."""
  flags = ("--qp=50", f"--features={small_faces}", "--hidden_dim=16")
  training = ("tsenh.train_sq_enhancer", *flags)
  run(*training, "--output=sq-e", "--epochs=2", cwd=tmp_path)
  run(*training, "--output=sq-e", "--epochs=4", "--resume", cwd=tmp_path)
  run(*training, "--epochs=4", cwd=tmp_path)
  whole, resumed = tmp_path / "runs" / "sq-e-50", tmp_path / "sq-e"
  for name in ("weights.npz", "training_state.npz"):
    assert (whole / name).read_bytes() == (resumed / name).read_bytes(), name
  config = json.loads((resumed / "config.json").read_text())
  assert config["last_epoch"].keys() == {"loss", "mse"}
  assert config["status"] == "finished"

  sq = "--codec=sq-50"
  run("tsenh.encode", sq, "--input=lfw", "--output=lfw.tsf", cwd=tmp_path)
  decoded = []
  for extra in ((), ("--enhancer=sq-e",)):
    run(
      "tsenh.decode",
      sq,
      "--input=lfw.tsf",
      "--output=lfw.npy",
      *extra,
      cwd=tmp_path,
    )
    decoded.append(np.load(tmp_path / "lfw.npy"))
  assert decoded[0].shape == decoded[1].shape == (7701, 128)
  assert (decoded[0] != decoded[1]).any(axis=1).all()
  results = []
  for extra in ((), ("--enhancer=sq-e",)):
    run(
      "tsenh.evaluate",
      sq,
      "--features=faces-validation",
      *extra,
      "--output=result.json",
      cwd=tmp_path,
    )
    results.append(json.loads((tmp_path / "result.json").read_text()))
  plain, enhanced = results
  assert plain["file_bytes"] == enhanced["file_bytes"]
  assert plain["codec_digest"] == enhanced["codec_digest"]
  assert plain["mse"] != enhanced["mse"]
  assert plain["enhancer_digest"] is None
  assert enhanced["enhancer_digest"] == config["enhancer_digest"]
  # A step, and the tables, which both have.
  own = plain["parameters"]["sender"]
  assert plain["parameters"] == {"sender": own, "receiver": own}
  assert plain["multiply_adds"] == {"sender": 128, "receiver": 128}
  # In each block 128 x 16, GDN and 16 x 128, with biases and beta.
  products = config["num_blocks"] * (128 * 16 + 16 * 16 + 16 * 128)
  biases = config["num_blocks"] * (16 + 16 + 128)
  assert enhanced["multiply_adds"] == {
    "sender": 128,
    "receiver": 128 + products,
  }
  assert enhanced["parameters"] == {
    "sender": own,
    "receiver": own + products + biases,
  }
  for codec in ("sq-45", trained):
    fails(
      run(
        "tsenh.evaluate",
        f"--codec={codec}",
        "--enhancer=sq-e",
        "--features=faces-validation",
        "--output=x.json",
        cwd=tmp_path,
        check=False,
      ),
      f"sq-e: made for another codec's codes than {codec}'s",
    )


def test_the_trained_run_encodes_and_decodes(run, trained, tmp_path):
  common = (f"--codec={trained}", "--packing=separate")
  run(
    "tsenh.encode",
    *common,
    "--input=lfw",
    "--output=lfw.tsf",
    cwd=tmp_path,
  )
  run(
    "tsenh.decode",
    common[0],
    "--input=lfw.tsf",
    "--output=lfw.npy",
    cwd=tmp_path,
  )
  assert np.load(tmp_path / "lfw.npy").shape == (7701, 128)
  fails(
    run(
      "tsenh.decode",
      "--codec=pro-1e-6",
      "--input=lfw.tsf",
      "--output=x.npy",
      cwd=tmp_path,
      check=False,
    ),
    "lfw.tsf: written with another codec than pro-1e-6",
  )
