"""Golden vectors of shipped codecs with a linear receiver, beside the format's.

GENERATE_EXPECTED=1 writes tests/expected/ahead.json anew, as it has to be when
one of these codecs is made anew; docs/porting.md says what is in it.
"""

import io
import json
import os

import numpy as np
import pytest
from expected_test import (
  EXPECTED,
  MARGIN,
  PACKINGS,
  TOLERANCE,
  assert_close,
  dump,
)

from tsenh import portable
from tsenh.coding import bitstream
from tsenh.data import feature_sets, manifests
from tsenh.features import compressor
from tsenh.training import run_folders

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
  latent = compressor.load(name).transform.latent

  def clear(features):
    values = np.asarray(latent(features))
    distance = np.abs(np.abs(values - np.trunc(values)) - 0.5).min(axis=1)
    return features[distance > MARGIN]

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


def test_features_to_codes_and_back_in_numpy(vectors, ports):
  for case in vectors["network"]:
    port = ports[case["codec"]]
    codes = portable.encode(port, np.array([case["features"]]))
    assert codes.tolist() == [case["code"]]
    assert_close(portable.decode(port, codes)[0], case["decoded"])


def test_the_files_in_numpy(vectors, ports):
  for case in vectors["files"]:
    port, data = ports[case["codec"]], bytes.fromhex(case["tsf"])
    codes = np.array(case["codes"])
    packed = portable.compress_codes(
      port, codes, case["packing"], case["block_size"]
    )
    assert packed == data, case["name"]
    np.testing.assert_array_equal(portable.decompress_codes(port, data), codes)


def test_the_files_in_the_main_implementation(vectors):
  for case in vectors["files"]:
    main = compressor.load(case["codec"])
    file = io.BytesIO(bytes.fromhex(case["tsf"]))
    header = compressor.read_header(main, file)
    assert header.packing == PACKINGS[case["packing"]]
    codes = np.concatenate(list(compressor.decode_codes(main, file, header)))
    assert codes.tolist() == case["codes"], case["name"]
