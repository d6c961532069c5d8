"""From photographs to a feature set, by the command, on real networks."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import matplotlib
import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from tsenh.base.errors import Error
from tsenh.data import feature_sets
from tsenh.recognition import (
  contact_sheet,
  extraction,
  face_networks,
  photographs,
)

HOPPER = pathlib.Path(
  matplotlib.get_data_path(), "sample_data", "grace_hopper.jpg"
)
COMMAND = "tsenh.extract_features"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
  """One woman in six photographs, and files that show nobody."""
  folder = tmp_path_factory.mktemp("photos") / "photos"
  folder.mkdir()
  image = Image.open(HOPPER)
  image.save(folder / "a.png")
  exif = Image.Exif()
  exif[0x0112] = 8
  image.rotate(-90, expand=True).save(folder / "b.jpg", exif=exif, quality=95)
  image.convert("L").save(folder / "c.png")
  image.convert("CMYK").save(folder / "d.jpg", quality=95)
  image.convert("RGBA").save(folder / "e.png")
  two = Image.new("RGB", (900, 600), "white")
  two.paste(image, (0, 0))
  two.paste(image.resize((256, 300)), (600, 0))
  two.save(folder / "f.png")
  (folder / "g.jpg").write_bytes(b"")
  (folder / "h.jpg").write_bytes(HOPPER.read_bytes()[:9000])
  Image.new("RGB", (200, 200), "blue").save(folder / "i.png")
  (folder / "readme.txt").write_text("no photograph")
  return folder


def settings(**changes):
  return extraction.Settings(
    *("dlib", face_networks.PRESETS["dlib"], None, None, "dlib", "dlib", 4)
  )._replace(**changes)


def crop_of(path):
  image = photographs.decode(path.read_bytes())
  return extraction.Extractor(settings()).crop(image)[0]


def test_an_extractor_gives_features_and_reasons(photos):
  listing = photographs.find(str(photos))
  found = extraction.Extractor(settings())(listing, listing.entries)
  assert found.names.tolist() == [
    *("a.png", "b.jpg", "c.png", "d.jpg", "e.png", "f.png")
  ]
  # Turned, grey or in other colours, she stays herself.
  distances = np.linalg.norm(found.features - found.features[0], axis=1)
  assert distances.max() < 0.4
  reasons = {finding.name: finding for finding in found.findings}
  assert reasons["f.png"].kept and reasons["f.png"].reason == "2 faces"
  assert reasons["g.jpg"].reason == "an empty file"
  assert "truncated" in reasons["h.jpg"].reason
  assert reasons["i.png"].reason == extraction.NO_FACE
  assert sum(1 for f in found.findings if f.reason) == 4
  assert reasons["a.png"] == (
    *("a.png", "", True, contact_sheet.picture(crop_of(photos / "a.png"))),
  )


@pytest.mark.slow
def test_nothing_found_is_told_and_another_extraction_is_not_mixed(
  run, photos, tmp_path
):
  alone = tmp_path / "alone"
  (alone / "who").mkdir(parents=True)
  shutil.copy(photos / "i.png", alone / "who")
  flags = ("--images=alone", "--network=dlib", "--output=x.npz")
  flags = (*flags, "--identities=folders")
  process = run(COMMAND, *flags, cwd=tmp_path, check=False)
  assert b"the first is who/i.png: no face found" in process.stderr
  names = {path.name for path in tmp_path.iterdir()}
  assert names == {"alone", "x.report.json", "x.report.html"}
  listing = photographs.find(str(alone))
  shards = tmp_path / ".x.npz.shards"
  extraction.extract(listing, settings(), shards, 1, lambda *_: None)
  other = ("--shard_size=5",)
  process = run(COMMAND, *flags, *other, cwd=tmp_path, check=False)
  assert b"holds shards of other work" in process.stderr
  other = (*other, "--restart")
  process = run(COMMAND, *flags, *other, cwd=tmp_path, check=False)
  assert b"no photograph gave a feature" in process.stderr
  assert not shards.exists()


def test_a_network_that_does_not_open_leaves_no_folder(photos, tmp_path):
  broken = tmp_path / "net.onnx"
  broken.write_bytes(b"no network")
  listing = photographs.find(str(photos))
  own = settings(network=str(broken), align="none")
  with pytest.raises(Error, match="not a network that opens"):
    extraction.extract(listing, own, tmp_path / "s", 1, lambda *_: None)
  assert not (tmp_path / "s").exists()


@pytest.mark.slow
def test_the_command_writes_a_set_and_says_what_is_not_in_it(
  run, photos, tmp_path
):
  flags = (f"--images={photos}", "--network=dlib")
  run(COMMAND, *flags, "--output=set.npz", "--shard_size=4", cwd=tmp_path)
  found = feature_sets.load(str(tmp_path / "set.npz"))
  assert found.features.shape == (6, 128)
  provenance = json.loads(found.provenance)
  assert provenance["network_digest"] == face_networks.digest("dlib")
  assert provenance["preprocessing"]["size"] == 150
  report = json.loads((tmp_path / "set.report.json").read_text())
  assert len(report["passed_over"]["listed"]) == 1
  assert sum(report["counts"].values()) == len(report["findings"]) == 4
  names = {path.name for path in tmp_path.iterdir()}
  assert names == {"set.npz", "set.report.json", "set.report.html"}
  page = (tmp_path / "set.report.html").read_text()
  assert page.count("<img ") == 7  # Two of nine cannot be read.
  # From photographs to a bitstream, on a bare machine.
  codec = "--codec=dlib-pro-1e-5-e282"
  run("tsenh.encode", codec, "--input=set.npz", "--output=s.tsf", cwd=tmp_path)
  run(
    COMMAND,
    *flags,
    "--output=one",  # In shards.
    "--shard_size=4",
    "--workers=1",
    cwd=tmp_path,
  )
  same = feature_sets.load(str(tmp_path / "one"))
  assert same.provenance == found.provenance
  for one, two in ((same.features, found.features), (same.names, found.names)):
    np.testing.assert_array_equal(one, two)
  for wrong, said in (
    (
      (*flags, "--output=x.npz", "--strict"),
      b"g.jpg: an empty file (--strict)",
    ),
    ((*flags, "--output=x.npy"), b"ends in .npz"),
    (
      (*flags, "--output=set.npz", "--exclude_like=set.npz"),
      b"both input and output",
    ),
    (
      (*flags, "--output=y.npz", "--pairs=a", "--exclude_like=lfw"),
      b"--pairs is for test sets",
    ),
    ((*flags, "--output=y.npz", "--mean=1"), b"prepares its images itself"),
  ):
    process = run(COMMAND, *wrong, cwd=tmp_path, check=False)
    assert process.returncode == 1 and said in process.stderr
    assert b"Traceback" not in process.stderr


@pytest.mark.slow
def test_people_are_numbered_and_those_of_a_test_set_left_out(run, tmp_path):
  image = Image.open(HOPPER).resize((160, 160))
  for person, turned in (("a", 0), ("b", 2), ("c", 180)):
    folder = tmp_path / "crops" / person
    folder.mkdir(parents=True)
    image.rotate(turned).save(folder / f"{person}_0001.png")
  flags = ("--images=crops", "--network=dlib", "--align=none", "--workers=1")
  run(
    *(COMMAND, *flags, "--identities=folders", "--output=all.npz"),
    cwd=tmp_path,
  )
  whole = feature_sets.load(str(tmp_path / "all.npz"))
  assert whole.identities.tolist() == [0, 1, 2]
  feature_sets.save(
    str(tmp_path / "test.npz"), feature_sets.FeatureSet(whole.features[:1])
  )
  like = ("--exclude_like=test.npz", "--threshold=0.97")
  run(COMMAND, *flags, *like, "--output=few.npz", cwd=tmp_path)
  few = feature_sets.load(str(tmp_path / "few.npz"))
  assert few.names.tolist() == ["c/c_0001.png"]
  assert json.loads(few.provenance)["excluded"]["photographs"] == 2
  lines = ["a 1 b 1", "a 1 c 1"] * 5
  (tmp_path / "pairs.txt").write_text("\n".join(lines))
  process = run(
    *(COMMAND, *flags, "--pairs=pairs.txt", "--output=p.npz"),
    cwd=tmp_path,
  )
  assert b"3 features" in process.stderr
  with np.load(tmp_path / "p.npz") as stored:
    assert stored["pairs"][:2].tolist() == [[0, 1], [0, 2]]
  (tmp_path / "pairs.txt").write_text("\n".join(["a 1 x 1"] * 10))
  process = run(
    *(COMMAND, *flags, "--pairs=pairs.txt", "--output=q.npz"),
    cwd=tmp_path,
    check=False,
  )
  assert b"1 photograph of the pairs is missing: x_0001." in process.stderr
  Image.new("RGB", (200, 200)).save(tmp_path / "crops/a/x_0001.png")
  flags = (*flags[:2], "--workers=1")
  process = run(
    *(COMMAND, *flags, "--pairs=pairs.txt", "--output=q.npz"),
    cwd=tmp_path,
    check=False,
  )
  assert b"x_0001 (no face found)" in process.stderr
  assert (tmp_path / "q.report.json").exists()


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_in_the_same_bytes(run, tmp_path):
  image = Image.open(HOPPER).resize((160, 160))
  folder = tmp_path / "crops"
  folder.mkdir()
  for number in range(40):
    image.rotate(number).save(folder / f"{number:02}.png")
  flags = (
    *("--images=crops", "--network=dlib", "--align=none", "--workers=1"),
    "--shard_size=4",
  )
  run(COMMAND, *flags, "--output=whole.npz", cwd=tmp_path)
  command = [sys.executable, "-m", COMMAND, *flags, "--output=killed.npz"]
  process = subprocess.Popen(
    command,
    cwd=tmp_path,
    env={**os.environ, "PYTHONPATH": str(ROOT)},
    stderr=subprocess.DEVNULL,
  )
  shards = tmp_path / ".killed.npz.shards"
  while len(list(shards.glob("*.npz"))) < 2 and process.poll() is None:
    time.sleep(0.01)
  process.send_signal(signal.SIGKILL)
  assert process.wait() == -signal.SIGKILL
  kept = {path: path.stat().st_mtime_ns for path in shards.glob("0*.npz")}
  assert 2 <= len(kept) < 10
  run(COMMAND, *flags, "--output=killed.npz", cwd=tmp_path)
  killed = (tmp_path / "killed.npz").read_bytes()
  assert killed == (tmp_path / "whole.npz").read_bytes()
  assert not shards.exists()
