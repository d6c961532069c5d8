"""The port in ports/javascript, under Node."""

import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import zlib

import numpy as np
import pytest
from api_test import bomb
from conftest import ROOT

from experiments import choices
from experiments.report import demo_page, measurements, page
from tsenh import portable
from tsenh.base.errors import Error
from tsenh.coding import entropy
from tsenh.data import feature_sets
from tsenh.features import compressor, lda
from tsenh.recognition import verification
from tsenh.training import run_folders

PORT = ROOT / "ports" / "javascript"
EXPECTED = ROOT / "tests" / "expected"
pytestmark = [
  pytest.mark.slow,
  pytest.mark.skipif(not shutil.which("node"), reason="needs node"),
]


def node(*arguments, stdin=None, check=True, cwd=PORT):
  process = subprocess.run(
    ["node", *map(str, arguments)],
    cwd=cwd,
    input=stdin,
    capture_output=True,
    text=True,
    check=False,
  )
  if check and process.returncode:
    raise AssertionError(process.stdout + process.stderr)
  return process


def test_the_golden_vectors_pass():
  told = node("--test", "--test-reporter=tap", "test/").stdout
  vectors = json.loads((EXPECTED / "vectors.json").read_text())
  ahead = json.loads((EXPECTED / "ahead.json").read_text())
  cases = sum(len(vectors[k]) for k in ("range_coder", "files", "rejects"))
  cases += len(ahead["files"])
  assert f"# pass {cases + 2}" in told and "# fail 0" in told


@pytest.mark.parametrize("name", ["pro-1e-4", "pro-1e-6", "sq-40"])
@pytest.mark.parametrize("packing", ["shared", "separate"])
def test_files_are_the_same_byte_for_byte(lfw, tmp_path, name, packing):
  codec = compressor.load(name)
  features = lfw.features[:300]
  feature_sets.save(str(tmp_path / "x.npz"), feature_sets.FeatureSet(features))
  folder = f"--codec={ROOT / 'checkpoints' / name}"
  cli = PORT / "cli.mjs"
  flags = ("--input=x.npz", "--output=x.tsf", f"--packing={packing}")
  node(cli, "encode", folder, *flags, "--block_size=128", cwd=tmp_path)
  data = codec.compress(features, packing, 128)
  assert (tmp_path / "x.tsf").read_bytes() == data
  flags = ("--input=x.tsf", "--output=y.npy")
  node(cli, "decode", folder, *flags, cwd=tmp_path)
  found, expected = np.load(tmp_path / "y.npy"), codec.decompress(data)
  assert found.dtype == np.float32
  np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("trellis", [False, True])
def test_a_linear_codec_with_a_way_back_of_its_own_is_read(
  lfw, tmp_path, trellis
):
  faces = lfw.features[:300]
  coder = lda.fit(1.0, 20, faces, lfw.identities[:300])
  coder.trellis = trellis
  tables = entropy.fit_coder(coder.encode(faces))
  config = {"kind": coder.KIND, **coder.architecture()}
  run_folders.finish(tmp_path, config, coder, tables)
  codec = compressor.load(str(tmp_path))
  data = codec.compress(faces)
  (tmp_path / "x.tsf").write_bytes(data)
  flags = ("--codec=.", "--input=x.tsf", "--output=y.npy")
  node(PORT / "cli.mjs", "decode", *flags, cwd=tmp_path)
  found = np.load(tmp_path / "y.npy")
  np.testing.assert_allclose(found, codec.decompress(data), atol=1e-6)
  np.save(tmp_path / "x.npy", faces)
  flags = ("--codec=.", "--input=x.npy", "--output=z.tsf")
  node(PORT / "cli.mjs", "encode", *flags, cwd=tmp_path)
  assert (tmp_path / "z.tsf").read_bytes() == data


def mutated(data, rng):
  """A damaged file, its checksums mended where they stand in their place."""
  data = bytearray(data)
  for _ in range(rng.randint(1, 3)):
    kind = rng.randrange(3)
    at = rng.randrange(len(data))
    if kind == 0:
      data[at] ^= 1 << rng.randrange(8)
    elif kind == 1:
      data[at] = rng.choice([0, 1, 127, 128, 255])
    else:
      del data[at : at + rng.choice([1, 1, 4])]
  if len(data) >= 64 and rng.random() < 0.8:
    data[44:48] = struct.pack("<I", zlib.crc32(data[:44]))
    length = struct.unpack_from("<I", data, 52)[0]
    if 60 + length <= len(data):
      body = data[48:56] + data[60 : 60 + length]
      data[56:60] = struct.pack("<I", zlib.crc32(body))
  return bytes(data)


READ = """
import { readFileSync } from "node:fs";
import { readFolder } from "./src/folder.mjs";
import { loadCodec, readBlocks, TsenhError } from "./src/index.mjs";
const { folder, files } = JSON.parse(readFileSync(0));
const codec = loadCodec(readFolder(folder));
console.log(JSON.stringify(files.map((hex) => {
  try {
    const data = Uint8Array.from(Buffer.from(hex, "hex"));
    return [...readBlocks(codec, data)].flatMap((codes) => [...codes]);
  } catch (error) {
    if (!(error instanceof TsenhError)) throw error;
    return null;
  }
})));
"""


@pytest.mark.parametrize("name", ["classic", "tfc"])
def test_damaged_files_are_refused_where_numpy_refuses_them(name):
  vectors = json.loads((EXPECTED / "vectors.json").read_text())
  codec = portable.load(str(EXPECTED / "codecs" / name))
  rng = random.Random(0)
  good = [
    bytes.fromhex(f["tsf"]) for f in vectors["files"] if f["codec"] == name
  ]
  small = [data for data in good if len(data) < 2000]
  files = good + [mutated(rng.choice(small), rng) for _ in range(400)]
  given = {
    "folder": str(EXPECTED / "codecs" / name),
    "files": [data.hex() for data in files],
  }
  process = node("--input-type=module", "--eval", READ, stdin=json.dumps(given))
  accepted = 0
  for data, found in zip(files, json.loads(process.stdout)):
    try:
      codes = portable.decompress_codes(codec, data)
      portable.decode(codec, codes)  # It checks the clip.
      expected = codes.ravel().tolist()
    except (Error, struct.error):
      expected = None
    assert found == expected, data.hex()
    accepted += expected is not None
  # Some damage is repaired, or decodes to other codes behind a right checksum.
  assert len(good) <= accepted < len(files) - 200


@pytest.mark.parametrize(
  "arguments, said",
  [
    ((), "expected encode or decode"),
    (("pack",), "expected encode or decode"),
    (("encode", "--speed=9"), "Unknown option '--speed'"),
    (("encode", "--codec=x"), "--input is missing"),
    (("encode", "--codec=.", "--input=a", "--output=b.tsf"), "no run folder"),
    (("encode", "--codec=.", "--input=a", "--output=b.npy"), "expected .tsf"),
    (
      ("decode", "--codec=CODEC", "--input=none", "--output=b.npy"),
      "no such file",
    ),
    (
      ("decode", "--codec=CODEC", "--input=junk", "--output=b.npy"),
      "not a .tsf file",
    ),
    (
      ("encode", "--codec=CODEC", "--input=junk", "--output=b.tsf"),
      "not a .npy file",
    ),
  ],
)
def test_bad_input_ends_in_one_sentence(tmp_path, arguments, said):
  (tmp_path / "junk").write_bytes(b"no file of this kind at all")
  codec = str(ROOT / "checkpoints" / "pro-1e-6")
  arguments = [a.replace("CODEC", codec) for a in arguments]
  process = node(PORT / "cli.mjs", *arguments, check=False, cwd=tmp_path)
  assert process.returncode == 1
  (line,) = process.stderr.splitlines()
  assert line.startswith("error: ") and said in line
  assert [path.name for path in tmp_path.iterdir()] == ["junk"]


def test_help_teaches():
  told = node("cli.mjs", "--help").stdout
  for flag in ("--codec", "--enhancer", "--block_size", "--max_features"):
    assert flag in told


def test_a_file_of_too_many_features_is_refused(tmp_path, lfw, pro):
  path = pathlib.Path(tmp_path) / "x.tsf"
  path.write_bytes(pro.compress(lfw.features[:20]))
  flags = (
    f"--codec={ROOT / 'checkpoints' / 'pro-1e-6'}",
    f"--input={path}",
    f"--output={tmp_path / 'y.npy'}",
  )
  process = node("cli.mjs", "decode", *flags, "--max_features=19", check=False)
  assert "holds 20 features, more than the 19" in process.stderr
  node("cli.mjs", "decode", *flags, "--max_features=20")


def test_a_few_bytes_do_not_become_many_features_unasked(tmp_path):
  """FORMAT.md, section 6, has the limit."""
  folder = EXPECTED / "codecs" / "tfc"
  data = bomb(compressor.load(str(folder)), 70_000)
  assert 64 * len(data) < 70_000
  (tmp_path / "x.tsf").write_bytes(data)
  flags = (f"--codec={folder}", "--input=x.tsf", "--output=y.npy")
  cli = PORT / "cli.mjs"
  process = node(cli, "decode", *flags, check=False, cwd=tmp_path)
  assert process.returncode == 1
  said = f"holds 70000 features, more than the {64 * len(data)}"
  assert said in process.stderr
  node(cli, "decode", *flags, "--max_features=70000", cwd=tmp_path)
  assert len(np.load(tmp_path / "y.npy")) == 70_000


# The page to try it on.


def test_the_page_is_current():
  studies = measurements.studies(page.RESULTS)
  found = demo_page.render(next(iter(studies.values())))
  assert demo_page.PATH.read_text(encoding="utf-8") == found, "run `make table`"


def test_the_page_in_a_browser(tmp_path, lfw, pro, sq):
  """In headless Chromium; CONTRIBUTING.md says how to get it."""
  modules = os.environ.get("TSENH_BROWSER")
  if not modules:
    pytest.skip("TSENH_BROWSER names no folder with Chromium")
  good, other, bad = (tmp_path / f"{name}.tsf" for name in ("a", "b", "c"))
  good.write_bytes(pro.compress(lfw.features[:7]))
  other.write_bytes(sq.compress(lfw.features[:5]))
  bad.write_bytes(pro.compress(lfw.features[:7])[:-5])
  folder = ROOT / "checkpoints" / "sq-40"
  with_codec = [other, folder / "config.json", folder / "tables.npz"]
  groups = [[good], [bad], [other], with_codec]
  process = node(
    "page/browser.mjs",
    modules,
    demo_page.PATH,
    *(",".join(map(str, group)) for group in groups),
  )
  told = json.loads(process.stdout)
  assert told["errors"] == told["elsewhere"] == []
  assert told["width"] <= 390  # Nothing to scroll sideways on a phone.
  first, second, *files = told["shown"]
  assert first["points"] == len(choices.LAMBDAS) == second["points"]
  assert "Lambda 0.0001," in first["about"]
  assert "Lambda 0.000001," in second["about"]
  assert "decoded and enhanced" in first["distances"]
  assert "decoded and enhanced" not in second["distances"]
  names = ("Before: the same person", "Before: two people")
  assert names[0] in first["verdict"] and names[1] in second["verdict"]
  # What the page computes is what Python does.
  faces = feature_sets.load("lfw")
  people, counts = np.unique(faces.identities, return_counts=True)
  person = people[(counts > 1) & (people >= 0)][0]
  rows = np.flatnonzero(faces.identities == person)[:2]
  low = compressor.load("pro-1e-4")
  decoded = low.decompress(low.compress(faces.features[rows]))
  pair = verification.normalize(decoded)
  distance = verification.squared_distances(pair, np.array([[0, 1]]))[0]
  assert f"decoded\t{distance:.3f}" in first["distances"]
  said = [shown["decoded"] for shown in files]
  assert said[0].startswith(
    "a.tsf: 7 features of 128 numbers, written with pro"
  )
  assert said[1].startswith("the file is damaged: its index")
  assert said[2].startswith("no codec here wrote it")
  assert said[3].startswith(
    "b.tsf: 5 features of 128 numbers, written with your"
  )
