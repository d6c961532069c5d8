"""--help and wrong flags of every command: quick, and without TensorFlow."""

import re
import subprocess
import sys

import pytest
from conftest import COMMANDS, ROOT


@pytest.mark.parametrize("module", COMMANDS)
def test_help_teaches(run, module, tmp_path):
  process = run(f"tsenh.{module}", "--help", cwd=tmp_path)
  text = process.stdout.decode()
  assert f"python -m tsenh.{module} --" in text
  own = {
    "count_pairs": "--features",
    "evaluate_expression": "--model",
    "evaluate_student": "--network",
    "decode_image": "--model",
    "encode_image": "--model",
    "extract_features": "--network",
    "recognise_expression": "--model",
    "train_codec": "--lambda",
    "train_expression": "--data",
    "train_enhancer": "--low",
    "train_lda": "--bits",
    "train_ahead": "--bits",
    "train_pca": "--step",
    "train_sq": "--qp",
    "train_sq_enhancer": "--qp",
    "train_student": "--size",
  }
  assert own.get(module, "--codec") in text
  if module.startswith("train") and module != "train_expression":
    assert "--features" in text
  if module in ("train_codec", "train_enhancer", "train_sq_enhancer"):
    assert re.search(r"--epochs: Epochs.\s+\(default: '40'\)", text)
    assert re.search(r"--features: .*?\(default: 'faces'\)", text, re.DOTALL)


def commands():
  """Every module that is a command."""
  return [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for folder in ("tsenh", "experiments")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "\n  command_line.run(main" in path.read_text()
  ]


def test_the_commands_are_found():
  assert {f"tsenh.{name}" for name in COMMANDS} <= set(commands())
  assert "experiments.benchmarks.training" in commands()


@pytest.mark.parametrize("flag", ["--help", "--no_such_flag=1"])
@pytest.mark.parametrize("module", commands())
def test_help_and_a_wrong_flag_are_answered_without_tensorflow(
  module, flag, tmp_path
):
  process = subprocess.run(
    [sys.executable, "-X", "importtime", "-m", module, flag],
    cwd=tmp_path,
    env={"PYTHONPATH": str(ROOT)},
    capture_output=True,
    check=False,
  )
  assert process.returncode == (0 if flag == "--help" else 1)
  imported = process.stderr.decode()
  assert "tsenh.base.command_line" in imported
  late = ["tensorflow", "matplotlib", "faiss"]
  late += ["scipy"] if module.startswith("tsenh") else []
  for name in late:
    assert f"| {name}\n" not in imported.replace("  ", ""), name
    assert f" {name}\n" not in imported, name
