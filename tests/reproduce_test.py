import json

import pytest

from experiments import paper, reproduce, study, table
from tsenh import checkpoints, files
from tsenh.errors import Error

SMOKE = (
  "experiments.reproduce",
  "--plan=smoke",
  "--output=results",
  "--runs=runs",
)


@pytest.fixture(scope="module")
def smoke(run, tmp_path_factory):
  folder = tmp_path_factory.mktemp("smoke")
  run(*SMOKE, cwd=folder)
  return folder


@pytest.mark.parametrize("plan", list(reproduce.PLANS))
def test_each_job_waits_for_jobs_that_come_before_it(plan):
  seen = set()
  jobs = reproduce.PLANS[plan]("runs", "results")
  for name, job in jobs.items():
    assert name == job.name
    assert seen.issuperset(job.needs), job
    seen.add(name)
  outputs = [job.output for job in jobs.values()]
  assert len(set(outputs)) == len(outputs)


def test_the_plan_holds_every_cell_of_table_1_and_the_peers():
  jobs = reproduce.paper_plan("runs", "results")
  methods = [study.parse(name) for name in jobs]
  points = {m[:3] for m in methods if m}
  for family, published in (("pro", "PRO"), ("pro-e", "PRO-E")):
    settings = {p[1] for p in points if p[0] == family and p[2] == 40}
    assert len(settings) == len(paper.TABLE_1[published])
    for lmbda in settings:
      assert {f"{family}-{lmbda}-e40-s{seed}" for seed in range(5)} <= set(jobs)
  for family in ("sq", "sq-e", "pq", "opq", "ksh", "dhn", "itq", "lsh"):
    assert len([p for p in points if p[0] == family]) == 4
  for family in ("rq", "pca"):
    assert len([p for p in points if p[0] == family]) >= 4
  assert sum(job.seconds for job in jobs.values()) / 2 < 3 * 3600


def test_the_teachers_are_those_that_held_out_people_chose():
  assert table.best_teachers(table.ROOT / "experiments" / "results") == (
    reproduce.TEACHERS
  )


def test_a_smoke_run_is_whole_and_is_made_once(smoke, run):
  jobs = reproduce.smoke_plan("runs", "results")
  made = {path.name for path in (smoke / "results").iterdir()}
  assert made == {j.output.name for j in jobs.values() if j.output.suffix}
  again = run(*SMOKE, cwd=smoke).stderr.decode()
  assert "about 0 min of work" in again
  assert "left" not in again.replace("0 min of work", "")
  # One result is gone, one codec is another: the rest stays.
  (smoke / "results" / "lsh-32.json").unlink()
  codec = smoke / "runs" / "pro-1e-6-e5-s0" / "config.json"
  config = json.loads(codec.read_text())
  files.write_json(str(codec), {**config, "codec_digest": "another"})
  rest = run(*SMOKE, "--dry_run", cwd=smoke).stdout.decode()
  files.write_json(str(codec), config)
  assert sorted(
    line.split("--output=")[1] for line in rest.splitlines()
  ) == sorted(
    [
      *("results/lsh-32.json", "runs/pro-e-1e-6-e5-s0"),
      *("results/pro-1e-6-e5-s0.json", "results/pro-e-1e-6-e5-s0.json"),
    ]
  )


def test_a_smoke_run_has_a_page_and_feeds_no_other(smoke, run):
  (smoke / "page").mkdir()
  run(
    *("experiments.report", "--results=results", "--smoke"),
    "--output=page/paper.html",
    cwd=smoke,
  )
  page = (smoke / "page" / "paper.html").read_text()
  assert "Smoke run" in page[: page.index("</title>")]
  with pytest.raises(Error, match="no evaluation of the published study"):
    study.read(str(smoke / "results"))


def test_sq_e_and_pca_are_what_they_say_in_the_smoke_run(smoke):
  def result(name):
    return json.loads((smoke / "results" / f"{name}.json").read_text())

  assert result("sq-e-50")["mse"] < result("sq-50")["mse"]
  pca, pro = result("pca-at-pro-1e-6-e5"), result("pro-1e-6-e5-s0")
  assert pca["bits_per_feature"] == pytest.approx(
    pro["bits_per_feature"], rel=2e-3
  )
  for kind in ("ksh", "dhn"):
    objective = result(f"{kind}-128")["objective"]
    assert objective[-1] < objective[0]


def test_a_job_that_fails_is_named_and_the_rest_goes_on(tmp_path, run):
  faces = tmp_path / "x.npz"
  jobs = {
    "bad": ["--codec=nothing", "--features=faces-validation"],
    "good": ["--codec=none", "--features=faces-validation"],
  }
  plan = {
    name: reproduce.Job(
      *(name, "tsenh.evaluate", own, tmp_path / f"{name}.json", (), 1)
    )
    for name, own in jobs.items()
  }
  plan["late"] = reproduce.Job(
    *("late", "tsenh.evaluate", [], faces, ("bad",), 1)
  )
  with pytest.raises(Error, match=r"1 jobs failed \(bad\) and 1 wait"):
    reproduce.run_all(plan, tmp_path, 2)
  assert (tmp_path / "good.json").exists()
  assert "nothing" in (tmp_path / "bad.log").read_text()


def test_a_run_of_other_length_or_unfinished_is_not_taken(tmp_path):
  job = reproduce.Job(
    *("train x", "tsenh.train_codec", ["--epochs=40"], tmp_path, (), 1)
  )
  assert not job.finished()
  config = {"status": checkpoints.FINISHED, "epochs": 39}
  checkpoints.write_config(tmp_path, config)
  assert not job.finished()
  checkpoints.write_config(tmp_path, {**config, "epochs": 40})
  assert job.finished()
  checkpoints.write_config(
    tmp_path, {"status": checkpoints.TRAINING, "epochs": 40}
  )
  assert not job.finished()
