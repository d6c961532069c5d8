"""Golden vectors of shipped codecs with a linear receiver, beside the format's.

GENERATE_EXPECTED=1 writes tests/expected/ahead.json anew, as it has to be when
one of these codecs is made anew; docs/porting.md says what is in it.
"""

import json
import os

import numpy as np
import pytest
from expected_test import (
  EXPECTED,
  MARGIN,
  TOLERANCE,
  assert_close,
  dump,
  test_the_files_in_numpy,
  test_the_files_in_the_main_implementation,
  test_the_network_in_numpy,
)

from tsenh import portable
from tsenh.coding import bitstream
from tsenh.data import feature_sets, manifests
from tsenh.features import compressor
from tsenh.training import run_folders

__all__ = [  # Tests of any vectors, here of those below.
  "test_the_files_in_numpy",
  "test_the_files_in_the_main_implementation",
  "test_the_network_in_numpy",
]
CODECS = ("ahead-64", "rank64-ahead-64")
FACES = 6
BLOCK_SIZES = (1024, 4)


def features_of(name):
  """Faces whose codes do not depend on the last digits of a sum, and others.

  The last two are a feature of zeros and one so loud that tables hold nothing
  of it.
  """
  trained_on = run_folders.read_config(run_folders.find(name))["features"]
  test_set = manifests.network_of(trained_on).tests[0]
  faces = feature_sets.load(test_set).features[:500]
  loud = np.float32(100) * faces
  silent = np.zeros_like(faces[:1])
  transform = compressor.load(name).transform
  random = np.random.default_rng(0)

  def clear(features):
    latent = transform.latent(features)
    codes = transform.quantize(latent)
    # A trellis has no simple edges: whatever the digits do, codes stay.
    moves = random.uniform(-MARGIN, MARGIN, [20, *latent.shape])
    moved = [transform.quantize(latent + move) for move in moves]
    return features[(np.array(moved) == codes).all(axis=(0, 2))]

  return np.concatenate([clear(faces)[:FACES], clear(silent), clear(loud)[:1]])


def cases_of(name):
  """Features, codes and decoded features; and the files of these codes."""
  main, features = compressor.load(name), features_of(name)
  codes = main.transform.encode(features)
  rows = zip(features, codes, main.transform.decode(codes))
  network = [
    {"codec": name, "features": f, "code": c, "decoded": d} for f, c, d in rows
  ]
  files = []
  for packing in bitstream.PACKINGS:
    for size in BLOCK_SIZES:
      case = {
        "name": f"blocks of {size}, {packing}",
        "codec": name,
        "packing": bitstream.PACKINGS.index(packing),
        "block_size": size,
        "codes": codes,
        "tsf": main.compress(features, packing, size),
      }
      files.append(case)
  return network, files


def generate():
  networks, files = zip(*map(cases_of, CODECS))
  return {
    "version": bitstream.VERSION,
    "tolerance": TOLERANCE,
    "network": [case for cases in networks for case in cases],
    "files": [case for cases in files for case in cases],
  }


@pytest.fixture(scope="module")
def vectors():
  path = EXPECTED / "ahead.json"
  if os.environ.get("GENERATE_EXPECTED") == "1":
    path.write_text(dump(generate()))
  return json.loads(path.read_text())


@pytest.fixture(scope="module")
def ports():
  return {name: portable.load(run_folders.find(name)) for name in CODECS}


@pytest.fixture(scope="module")
def mains():
  return {name: compressor.load(name) for name in CODECS}


def test_the_shipped_codecs_still_give_the_expected_vectors(vectors):
  generated = json.loads(dump(generate()))
  for key in ("version", "tolerance", "files"):
    assert generated[key] == vectors[key], key
  for now, then in zip(generated["network"], vectors["network"]):
    assert (now["codec"], now["code"]) == (then["codec"], then["code"])
    assert_close(now["decoded"], then["decoded"])
  assert len(generated["network"]) == len(vectors["network"])


def test_both_codecs_code_faces_silence_and_what_no_table_holds(vectors):
  for name in CODECS:
    codes = [c["code"] for c in vectors["network"] if c["codec"] == name]
    assert len(codes) == FACES + 2
    coder = compressor.load(name).coder
    # Beyond the last symbol of its table an element is escaped.
    outside = np.abs(codes) > np.abs(coder.lower) + coder.cdf.shape[1]
    assert not outside[:FACES].any() and outside[-1].any()
