import json
import os
import subprocess
import sys
import time

import pytest
from conftest import ROOT

from experiments import choices, plans, published
from experiments import jobs as jobs_module
from experiments.report import reader
from tsenh import baselines
from tsenh.base import files, results
from tsenh.base.errors import Error
from tsenh.data import manifests
from tsenh.features.decoder import Decoder
from tsenh.features.enhancer import Enhancer
from tsenh.features.pro import Codec
from tsenh.training import run_folders

SMOKE = (
  "experiments.reproduce",
  "--plan=smoke",
  "--output=results",
  "--runs=runs",
)
FITTED = ("pq", "opq", "rq", "lsh", "itq", "dbh", "dhn")


def plan(name="paper", network=None):
  network = manifests.networks()[network or manifests.default().name]
  return plans.PLANS[name](network, "runs", "results")


@pytest.fixture(scope="module")
def smoke(run, tmp_path_factory):
  folder = tmp_path_factory.mktemp("smoke")
  run(*SMOKE, cwd=folder)
  return folder


@pytest.mark.parametrize("network", list(manifests.networks()))
@pytest.mark.parametrize("name", list(plans.PLANS))
def test_each_job_waits_for_jobs_that_come_before_it(name, network):
  needs_teachers = name in ("paper", "enhancer", "why")
  if needs_teachers and network not in choices.TEACHERS:
    with pytest.raises(Error, match="its teachers are not chosen"):
      plan(name, network)
    return
  if name == "ablation" and network not in choices.GRAINS:
    with pytest.raises(Error, match="its coarse term is not chosen"):
      plan(name, network)
    return
  seen = set()
  jobs = plan(name, network)
  for key, job in jobs.items():
    assert key == job.name
    assert seen.issuperset(job.needs), job
    seen.add(key)
  outputs = [job.output for job in jobs.values()]
  assert len(set(outputs)) == len(outputs)


@pytest.mark.parametrize("network", list(manifests.networks()))
@pytest.mark.parametrize("name", ["paper", "short"])
def test_a_shipped_codec_of_a_plan_is_of_its_training_set(name, network):
  if name == "paper" and network not in choices.TEACHERS:
    return
  found = 0
  for job in plan(name, network).values():
    codec = None if callable(job.flags) else job.command()[1]
    shipped = (codec or "").removeprefix("--codec=")
    if shipped in run_folders.shipped():
      config = run_folders.finished(shipped)[1]
      training_set = manifests.networks()[network].training
      assert config["features"] == training_set, job.name
      found += 1
  assert found >= 4 or (name, network) == ("short", "fullrank")


def test_the_plan_holds_every_cell_of_table_1_and_the_peers():
  jobs = plan()
  for family, table in (("pro", "PRO"), ("pro-e", "PRO-E")):
    assert len(published.LAMBDAS) == len(published.TABLE_1[table])
    assert set(published.LAMBDAS) < set(choices.LAMBDAS)
    for lmbda in choices.LAMBDAS:
      for seed in range(5):
        assert f"{family}-{lmbda}-e40-s{seed}" in jobs
  for qp in (50, 45, 40, 30):
    assert {f"sq-{qp}", f"sq-mid-{qp}", f"sq-e-{qp}-e40-s4"} <= set(jobs)
  assert sum(job.seconds for job in jobs.values()) / 2 < 2.5 * 3600


def test_methods_with_randomness_of_their_own_have_five_seeds():
  jobs = plan()
  for kind in FITTED:
    names = [name for name in jobs if name.startswith(f"{kind}-")]
    bits = {name.rsplit("-s", 1)[0] for name in names}
    assert len(bits) >= (2 if kind == "itq" else 4)
    assert len(names) == 5 * len(bits)
    for name in names:
      assert f"--seed={name.rsplit('-s', 1)[1]}" in jobs[name].command()


def test_quantizers_younger_than_the_paper_have_five_seeds_at_two_lengths():
  jobs = plan("recent")
  kinds = {name.split("-")[0] for name in jobs}
  assert kinds == set(reader.RECENT) <= set(baselines.QUANTIZERS)
  for kind in kinds:
    assert sum(name.startswith(f"{kind}-") for name in jobs) == 2 * 5


@pytest.mark.parametrize("network", list(choices.TEACHERS))
def test_an_enhancer_trains_as_long_as_its_name_says_by_the_rules_teacher(
  network,
):
  jobs = plan("paper", network)
  for lmbda, teacher in choices.TEACHERS[network].items():
    command = jobs[f"train pro-e-{lmbda}-e40-s0"].command()
    assert "--epochs=40" in command
    low, high = (
      next(flag for flag in command if flag.startswith(f"--{side}="))
      for side in ("low", "high")
    )
    assert f"pro-{lmbda}-e40" in low
    assert f"pro-{teacher}-e40" in high


def test_no_recorded_enhancer_was_trained_otherwise_than_its_name_says():
  folder = ROOT / "experiments" / "results" / "paper"
  found = 0
  for path in folder.glob("*/pro-e-*.json"):
    result = results.read(str(path))
    _, _, epochs, seed = result["method"].rsplit("-", 3)
    trained = result["enhancer_training"]
    assert trained["epochs"] == int(epochs[1:]), path
    assert trained["seed"] == int(seed[1:]), path
    lmbda = result["method"].split("-e-")[1].rsplit("-e", 1)[0]
    teacher = choices.TEACHERS[path.parent.name][lmbda]
    high = path.with_name(f"pro-{teacher}-{epochs}-{seed}.json")
    if high.exists():  # 1e-8 teaches and is not evaluated.
      assert trained["high_digest"] == results.read(str(high))["codec_digest"]
    found += 1
  assert found >= 20


def test_the_choice_of_epochs_follows_from_the_counts_of_the_manifests():
  # As near to the updates of 40 epochs of the whole set as whole epochs come.
  jobs = plan("choices")
  name = next(name for name in jobs if name.startswith("train pro-1e-4-e"))
  epochs = int(name.split("-e")[-1].split("-")[0])
  network = manifests.default()
  wanted = choices.updates(network.training, 40)
  per_epoch = choices.updates(network.held_in, 1)
  assert abs(epochs * per_epoch - wanted) <= per_epoch / 2


@pytest.mark.parametrize("network", list(choices.TEACHERS))
def test_the_enhancer_has_ten_seeds_and_controls_of_its_size(network):
  jobs = plan("enhancer", network)
  for lmbda in plans.ENHANCED:
    for seed in range(10):
      end = f"{lmbda}-e40-s{seed}"
      assert {f"pro-{end}", f"pro-e-{end}"} <= set(jobs)
      for variant in ("wide", "deep", "longer"):
        command = jobs[f"train pro-d+{variant}-{end}"].command()
        assert command[0] == "tsenh.train_decoder"
        assert command[1].endswith(f"pro-{end}")


def test_the_controls_have_the_parameters_of_enh_and_dec():
  parts = Enhancer(128, 128).network, Codec(128).decoder
  count = sum(part.count_params() for part in parts)
  for name in ("wide", "deep"):
    own_flags = plans.DECODERS[name]
    sizes = dict(flag[2:].split("=") for flag in own_flags)
    decoder = Decoder(
      128, 128, **{name: int(value) for name, value in sizes.items()}
    )
    assert decoder.decoder.count_params() == pytest.approx(count, rel=0.01)


def test_each_variant_of_the_enhancer_changes_one_thing():
  jobs = plan("why")
  for lmbda in plans.ENHANCED:
    teacher = choices.TEACHERS["fullrank"][lmbda]
    plain = [f"--low=runs/pro-{lmbda}-e45-s0"]
    plain += [f"--high=runs/pro-{teacher}-e45-s0", "--epochs=45"]
    for name, own_flags in plans.VARIANTS.items():
      command = jobs[f"train pro-e+{name}-{lmbda}-e45-s0"].command()
      assert {*plain, *own_flags} <= set(command)
    taught = [job for job in jobs if job.startswith(f"pro-e-{lmbda}-by-")]
    assert len(taught) in (3 * 3, 4 * 3)
    assert f"pro-e-{lmbda}-by-{teacher}-e45-s0" in taught
    long = jobs[f"train pro-e+long3-{lmbda}-e45-s0"].command()
    assert {*plain[:2], "--epochs=135"} <= set(long)


def test_the_ablation_has_each_grain_plain_and_enhanced_in_its_time():
  jobs = plan("ablation")
  for seed in range(5):
    for variant in ("fine", "coarse", "both"):
      for lmbda in published.LAMBDAS:
        end = f"{lmbda}-e40-s{seed}"
        command = jobs[f"train pro+{variant}-{end}"].command()
        assert ("--coarse_weight=0" in command) == (variant == "fine")
        assert ("--fine_weight=0" in command) == (variant == "coarse")
        assert f"pro+{variant}-{end}" in jobs
        taught = f"pro-e+{variant}-{lmbda}-by-1e-7-e40-s{seed}"
        assert (taught in jobs) == (lmbda != published.LAMBDAS[-1])
  assert sum(job.seconds for job in jobs.values()) / 2 < 6 * 3600


def test_grains_are_chosen_on_held_out_people_alone():
  network = manifests.default()
  for job in plan("grains").values():
    assert not any(name in job.command() for name in network.tests)
    assert f"--features={network.held_in}" in job.command() or (
      f"--features={network.validation}" in job.command()
    )


def test_a_network_beside_is_its_shipped_codecs():
  jobs = plan("short", "dlib")
  for lmbda in published.LAMBDAS:
    codec = jobs[f"pro-{lmbda}-e282-s0"].command()[1].split("=")[1]
    assert codec in run_folders.shipped()


def test_a_run_is_made_only_for_a_result_that_is_not_there(tmp_path):
  network = manifests.default()
  jobs = plans.PLANS["smoke"](network, str(tmp_path), str(tmp_path))
  left = jobs_module.unfinished_jobs(jobs)
  assert list(left) == list(jobs)
  for job in jobs.values():
    if job.output.suffix == ".json":
      made = {"format": results.FORMAT}
      if not callable(job.flags):
        made["command"] = ["python", "-m", *job.command()]
      files.write_json(str(job.output), made)
  assert jobs_module.unfinished_jobs(jobs) == {}
  jobs["sq-50"].output.unlink()
  assert list(jobs_module.unfinished_jobs(jobs)) == ["train sq-50", "sq-50"]


def test_only_some_jobs_and_what_they_wait_for():
  jobs = jobs_module.chosen(plan(), r"sq-mid-50|pro-e-1e-5-e40-s1")
  assert set(jobs) == {
    "train sq-mid-50",
    "sq-mid-50",
    "train pro-1e-5-e40-s1",
    "train pro-1e-6-e40-s1",
    "train pro-e-1e-5-e40-s1",
    "pro-e-1e-5-e40-s1",
  }
  with pytest.raises(Error, match="no job of that name"):
    jobs_module.chosen(plan(), "sq-5")


@pytest.mark.slow
def test_a_smoke_run_is_whole_and_is_made_once(smoke, run):
  jobs = plan("smoke")
  made = {path.name for path in (smoke / "results").glob("*.json")}
  expected = {job.output.name for job in jobs.values()}
  assert made == {name for name in expected if name.endswith(".json")}
  again = run(*SMOKE, cwd=smoke).stderr.decode()
  assert "about 0 min of work" in again
  assert "left" not in again.replace("0 min of work", "")
  # One result is gone, one codec is another: the rest stays.
  gone = smoke / "results" / "lsh-32-s0.json"
  result = gone.read_bytes()
  gone.unlink()
  codec = smoke / "runs" / "pro-1e-6-e5-s0" / "config.json"
  config = json.loads(codec.read_text())
  files.write_json(str(codec), {**config, "codec_digest": "another"})
  rest = run(*SMOKE, "--dry_run", cwd=smoke).stdout.decode()
  files.write_json(str(codec), config)
  gone.write_bytes(result)
  # The step of PCA at PRO's bytes follows from PRO's result.
  late, lines = "python -m tsenh.train_pca ...", rest.splitlines()
  lines.remove(late)
  assert sorted(line.split("--output=")[1] for line in lines) == sorted(
    [
      "results/lsh-32-s0.json",
      "results/pca-at-pro-1e-6-e5.json",
      "runs/pro-e-1e-6-e5-s0",
      "results/pro-1e-6-e5-s0.json",
      "results/pro-e-1e-6-e5-s0.json",
    ]
  )


@pytest.mark.slow
def test_what_other_code_made_is_made_again_only_when_asked(smoke, run):
  path = smoke / "results" / "none.json"
  result = json.loads(path.read_text())
  result["code"]["tsenh/evaluate.py"] = "0" * 16
  files.write_json(str(path), result)
  assert not run(*SMOKE, "--dry_run", cwd=smoke).stdout
  rest = run(*SMOKE, "--dry_run", "--refresh", cwd=smoke).stdout.decode()
  assert [line.split("--output=")[1] for line in rest.splitlines()] == [
    "results/none.json"
  ]


@pytest.mark.slow
def test_sq_e_and_pca_are_what_they_say_in_the_smoke_run(smoke):
  def result(name):
    return json.loads((smoke / "results" / f"{name}.json").read_text())

  # One epoch on the shipped faces beats the lower edge, not yet the middle.
  assert result("sq-e-50-e1-s0")["mse"] < result("sq-50")["mse"]
  assert result("sq-mid-50")["file_bytes"] == result("sq-50")["file_bytes"]
  assert result("sq-mid-50")["mse"] < 0.5 * result("sq-50")["mse"]
  pca, pro = result("pca-at-pro-1e-6-e5"), result("pro-1e-6-e5-s0")
  assert pca["bits_per_feature"] == pytest.approx(
    pro["bits_per_feature"], rel=2e-3
  )
  objective = result("dhn-128-s0")["objective"]
  assert objective[-1] < objective[0]


@pytest.mark.slow
def test_a_job_that_fails_is_named_and_the_rest_goes_on(tmp_path, run):
  own_flags = {
    "bad": ["--codec=nothing", "--features=faces-validation"],
    "good": ["--codec=none", "--features=faces-validation"],
  }
  jobs = {
    name: jobs_module.Job(
      name, "tsenh.evaluate", own, tmp_path / f"{name}.json", (), 1
    )
    for name, own in own_flags.items()
  }
  jobs["late"] = jobs_module.Job(
    "late", "tsenh.evaluate", [], tmp_path / "late.json", ("bad",), 1
  )
  with pytest.raises(Error, match=r"1 jobs failed \(bad\) and 1 wait"):
    jobs_module.run_all(jobs, tmp_path, 2)
  assert (tmp_path / "good.json").exists()
  assert "nothing" in (tmp_path / "bad.log").read_text()


STOPPED = """
import pathlib
from experiments import jobs
from tsenh.base import command_line
def main():
  job = jobs.Job("x", "sleeps", [], pathlib.Path("x.json"), (), 1.0)
  jobs.run_all({"x": job}, pathlib.Path("."), 1)
command_line.run(main)
"""


@pytest.mark.slow
def test_who_stops_a_plan_stops_its_jobs(tmp_path):
  text = "import os; print(os.getpid(), flush=True); open('began', 'w')\n"
  (tmp_path / "sleeps.py").write_text(f"{text}import time; time.sleep(600)")
  process = subprocess.Popen(
    [sys.executable, "-c", STOPPED],
    cwd=tmp_path,
    env={**os.environ, "PYTHONPATH": str(ROOT)},
    stderr=subprocess.PIPE,
  )
  while not (tmp_path / "began").exists() and process.poll() is None:
    time.sleep(0.01)
  process.terminate()
  error = process.communicate(timeout=60)[1].decode()
  assert error == "error: stopped by SIGTERM.\n"
  pid = int((tmp_path / "x.log").read_text().splitlines()[1])
  with pytest.raises(ProcessLookupError):
    os.kill(pid, 0)


def test_a_run_is_trained_as_its_flags_say_or_made_again(tmp_path):
  own_flags = ["--epochs=40", "--hidden_dim=211", "--from_codec", "--resume"]
  job = jobs_module.Job("train x", "tsenh.x", own_flags, tmp_path, (), 1)
  config = {
    "status": run_folders.FINISHED,
    "kind": "pro-d",
    "epochs": 40,
    "epochs_done": 40,
    "hidden_dim": 211,
    "from_codec": True,
  }
  run_folders.write_config(tmp_path, config)
  assert job.finished()
  # Nothing is left to resume, so whoever runs it all the same makes it anew.
  assert "--overwrite" in job.command()
  assert "--resume" not in job.command()
  for change in ({"hidden_dim": 128}, {"from_codec": False}, {"epochs": 39}):
    run_folders.write_config(tmp_path, {**config, **change})
    assert not job.finished()
  assert "--resume" in job.command()  # 40 of 39 epochs: it was stopped.


def test_a_flag_and_what_a_run_says():
  made = {"hidden_dim": 128, "lambda": 1e-4, "clip_enhanced": False}
  for flag, expected in (
    ("--lambda=1e-4", True),
    ("--lambda=1e-5", False),
    ("--noclip_enhanced", True),
    ("--clip_enhanced", False),
    ("--loss=code", True),
    ("--loss=feature", False),
    ("--num_layers=3", False),
    ("--low=runs/x", True),
    ("--resume", True),
  ):
    assert jobs_module.agrees(made, flag) == expected, flag


def test_a_decoders_run_is_finished_while_its_codec_is_the_same(tmp_path):
  codec, run = tmp_path / "codec", tmp_path / "run"
  for folder in (codec, run):
    folder.mkdir()
  done = {"status": run_folders.FINISHED, "epochs": 1}
  run_folders.write_config(codec, {**done, "codec_digest": "a", "kind": "pro"})
  run_folders.write_config(run, {**done, "low_digest": "a", "kind": "pro-d"})
  own_flags = [f"--codec={codec}", "--epochs=1"]
  job = jobs_module.Job("train d", "tsenh.x", own_flags, run, (), 1)
  assert job.finished()
  run_folders.write_config(codec, {**done, "codec_digest": "b", "kind": "pro"})
  assert not job.finished()


def test_what_follows_from_results_is_made_again_with_them(tmp_path):
  network = manifests.default()
  jobs = plans.PLANS["smoke"](network, str(tmp_path), str(tmp_path))
  for job in jobs.values():
    if job.output.suffix == ".json":
      made = {"format": results.FORMAT, "command": ["", "", *job.command()]}
      files.write_json(str(job.output), made)
  jobs["pro-1e-6-e5-s0"].output.unlink()
  assert set(jobs_module.unfinished_jobs(jobs)) == {
    "train pro-1e-6-e5-s0",
    "pro-1e-6-e5-s0",
    "train pca-at-pro-1e-6-e5",
    "pca-at-pro-1e-6-e5",
  }


def test_a_run_of_other_length_or_unfinished_is_not_taken(tmp_path):
  job = jobs_module.Job(
    "train x", "tsenh.train_codec", ["--epochs=40"], tmp_path, (), 1
  )
  assert not job.finished()
  config = {"status": run_folders.FINISHED, "kind": "pro", "epochs": 39}
  run_folders.write_config(tmp_path, config)
  assert not job.finished()
  run_folders.write_config(tmp_path, {**config, "epochs": 40})
  assert job.finished()
  run_folders.write_config(
    tmp_path, {"status": run_folders.TRAINING, "epochs": 40}
  )
  assert not job.finished()
