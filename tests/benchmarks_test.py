"""The benchmarks run, small, and say by hand what their numbers say."""

import json
import shutil

import numpy as np
import pytest
from conftest import ROOT

from experiments.benchmarks import floor, ways
from experiments.report import measurements, tables
from tsenh.data import feature_sets
from tsenh.features.pro import Codec, rate_distortion_loss


def way(encode, decode):
  return {
    "bytes_per_feature": 16.0,
    "seconds": {"encode": encode, "decode": decode},
  }


def test_medians_and_ratios_of_rounds_by_hand():
  found = {
    "memory": {
      "pro": way([1.0, 2.0, 4.0], [2.0, 2.0, 2.0]),
      "opq-128": way([2.0, 2.0, 2.0], [1.0, 1.0, 1.0]),
    },
    "files": {"pro": way([2.0, 2.0, 8.0], [2.0, 4.0, 4.0])},
    "coder": {"tsenh": way([1.0], [1.0])},
  }
  ways.summarize(found, 100)
  pro = found["memory"]["pro"]
  assert pro["encode_per_second"] == 50
  assert pro["ratios"]["encode_to_opq-128"] == [2.0, 1.0, 0.5]
  assert pro["encode_to_opq-128"] == 1.0
  assert pro["decode_to_opq-128"] == 0.5
  in_files = found["files"]["pro"]
  assert in_files["ratios"]["encode_to_memory"] == [0.5, 1.0, 0.5]
  assert in_files["decode_to_memory"] == 0.5
  # Nothing to compare with.
  assert found["coder"]["tsenh"]["ratios"] == {}


@pytest.mark.parametrize("kind", ["own", "range", "ans"])
def test_each_coder_gives_back_the_codes_at_the_rate_of_the_tables(
  pro, lfw, kind
):
  codes = pro.transform.encode(lfw.features[:1500])
  # As constriction has no escape.
  last = (pro.coder.cdf < pro.coder.cdf.max()).sum(axis=1) - 2
  codes = np.clip(codes, pro.coder.lower, pro.coder.lower + last)
  codes = codes.astype(np.int32)
  if kind == "own":
    coder = ways.own_coder(pro.coder)
  else:
    pytest.importorskip("constriction")
    coder = ways.constriction_coder(pro.coder, kind)
  strings = coder.encode(codes)
  np.testing.assert_array_equal(coder.decode(strings), codes)
  expected = pro.coder.bits(codes).sum() / 8
  assert coder.size(strings) == pytest.approx(expected, rel=0.005)


def test_the_operations_of_a_step_by_hand():
  # Four dense layers and two GDNs: six products, each with two behind it but
  # the first layer's with one.
  assert floor.operations(Codec(64, 32, 16), 32) == 2 * 32 * (
    3 * (64 * 16 + 16 * 16 + 16 * 32) * 2 - 64 * 16
  )


@pytest.mark.slow
def test_the_codec_in_pytorch_is_the_same_function(lfw):
  torch = pytest.importorskip("torch")
  from experiments.benchmarks import pytorch_codec

  codec, f_raw = Codec(128), lfw.features[:32]
  rng = np.random.default_rng(0)
  codec.assign(
    {
      name: array + rng.uniform(0, 0.05, array.shape).astype(np.float32)
      for name, array in codec.arrays().items()
    }
  )
  noise = rng.uniform(-0.5, 0.5, [32, 128]).astype(np.float32)
  expected = rate_distortion_loss(f_raw, *codec(f_raw, noise), 0.01)[0]
  tensors = map(torch.from_numpy, (f_raw, noise))
  found = pytorch_codec.Codec(codec).loss(*tensors, 0.01).item()
  assert found == pytest.approx(float(expected), rel=1e-5)
  epoch = pytorch_codec.trainer(codec, f_raw, 8, 0.01, compiled=False)
  epoch()


@pytest.mark.slow
def test_training_is_timed_beside_keras_and_the_floor(run, tmp_path):
  folder = tmp_path / "benchmarks"
  shutil.copytree(ROOT / "experiments/results/benchmarks", folder)
  output = folder / "training.json"
  flags = ("--steps=4", "--rounds=2", "--curves=1", "--epochs=1")
  flags = (*flags, f"--output={output}")
  run("experiments.benchmarks.training", *flags, cwd=tmp_path)
  measured = json.loads(output.read_text())
  ms = measured["ms_per_step"]
  assert set(ms) >= {"keras_fit_many_steps", "tsenh", "pytorch_compiled"}
  for name, values in ms.items():
    assert len(measured["notes"][name] if values is None else values) >= 2
  assert len(ms["keras_fit"]) == len(ms["floor"]) == 2
  ratios = np.divide(ms["keras_fit"], ms["tsenh"])
  assert measured["ratio_per_round"] == pytest.approx(ratios, rel=0.01)
  curve = measured["curve"]
  updates = 4 * (len(feature_sets.load("faces").features) // 32)
  assert curve["ms_per_update"] == pytest.approx(
    [1e3 * seconds / updates for seconds in curve["seconds"]], rel=0.01
  )
  assert curve["keras_fit_over_curve"] == pytest.approx(
    [ms["keras_fit"][0] / curve["ms_per_update"][0]], rel=0.01
  )
  text = measurements.render_speed(tmp_path)
  assert f"{curve['keras_fit_over_curve'][0]:.1f} times as fast (" in text
  for name, values in ms.items():
    row = f"| {name.replace('_', ' ')} |"
    assert (row in text) == (values is not None), name


@pytest.mark.slow
def test_growth_is_measured_line_by_line_and_kept(run, tmp_path):
  assert measurements.render_growth(tmp_path) == tables.NOT_MEASURED
  output = tmp_path / "benchmarks" / "growth.json"
  output.parent.mkdir()
  flags = ("--resume", "--dims=", "--code_dims=32", "--otherwise=300")
  flags = (*flags, "--num_features=", f"--output={output}")
  run("experiments.benchmarks.growth", *flags, cwd=tmp_path)
  (line,) = json.loads(output.read_text())["lines"]
  assert (line["features"], line["dim"], line["code_dim"]) == (300, 128, 32)
  # A normal element of deviation 2 costs 3.05 bits, the header 48 bytes.
  assert line["bytes_per_feature"] == pytest.approx(32 * 3.05 / 8, rel=0.1)
  for way in ("encode", "decode"):
    assert 100 < line[way]["peak_memory_mib"] < 600
  before = output.stat().st_mtime_ns
  run("experiments.benchmarks.growth", *flags, cwd=tmp_path)
  assert output.stat().st_mtime_ns == before
  row = f"| 300 | 128 | 32 | {line['bytes_per_feature']:.2f} |"
  assert row in measurements.render_growth(tmp_path)


@pytest.mark.slow
def test_peers_are_timed_and_shown(run, tmp_path):
  assert measurements.render_peers(tmp_path) == tables.NOT_MEASURED
  output = tmp_path / "benchmarks" / "peers.json"
  output.parent.mkdir()
  flags = ("--num_features=300", "--rounds=2", f"--output={output}")
  run("experiments.benchmarks.peers", *flags, cwd=tmp_path)
  measured = json.loads(output.read_text())
  memory, in_files = measured["memory"], measured["files"]
  assert memory["pq-128"]["bytes_per_feature"] == 16
  for name, values in in_files.items():
    assert len(values["seconds"]["encode"]) == 2
    assert values["mse"] == pytest.approx(memory[name]["mse"], rel=1e-4)
  assert all(coder["mse"] == 0 for coder in measured["coder"].values())
  if measured["peers"]["constriction"] is None:
    assert "is not installed" in measured["constriction"]
  text = measurements.render_peers(tmp_path)
  for group in ("memory", "files", "coder"):
    assert all(name.replace("_", " ") in text for name in measured[group])
