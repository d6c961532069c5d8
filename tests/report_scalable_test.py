"""The page of the layered codec, from invented results."""

import json
import os
import subprocess

import numpy as np
import pytest
from conftest import FACES64

from experiments import scalable_pages
from experiments.report import page, scalable
from tsenh.base import files
from tsenh.recognition import image_sets


def point(name, size, hits, **more):
  return {
    "name": name,
    "method": name.split(":")[0],
    "bytes_per_face": float(size),
    "hits": hits,
    "rank1": hits.count("1") / len(hits),
    "rank1_interval": [0.1, 0.9],
    "psnr": 20 + size / 50,
    "psnr_interval": [20.0, 30.0],
    "ms_ssim": 0.5,
    "flip": 0.5 - size / 1000,
    "flip_interval": [0.1, 0.5],
    "ms_ssim_interval": [0.4, 0.6],
    **more,
  }


@pytest.fixture
def folder(tmp_path):
  """Results of one judge: two points of WebP, one of AVIF, two of a model."""
  (tmp_path / "scalable").mkdir()
  codecs = [
    point("webp:0", 100, "00001111"),
    point("webp, a file each:0", 150, "00000000"),
    point("webp:9", 200, "01111111"),
    point("avif:0", 190, "11110000"),
  ]
  model = [
    point("generated", 30, "11000000", base="sharp"),
    point("generated + learned:50, sharp", 150, "11111111", base="sharp"),
    point("generated + webp:0, sharp", 250, "11111111", base="sharp"),
  ]
  base = {
    "sharp": {
      "num_pairs": 6000,
      "correct_pairs": 5923,
      "eer": 0.0123,
      "bytes_per_face": 25.04,
    }
  }
  for name, points, more in (
    ("codecs", codecs, {}),
    (
      "model",
      model,
      {"base_layer": base, "costs": {"base": {"parameters": 9}}},
    ),
  ):
    result = {"format": 1, "judge": "j.param", "people": 4}
    result.update(points=points, **more)
    files.write_json(str(tmp_path / "scalable" / f"{name}.json"), result)
  speed = {
    "name": "feature",
    "bytes_per_face": 25.04,
    "encode_faces_per_second": 1234.5,
    "decode_faces_per_second": 2000.0,
  }
  machine = {"processor": "P", "cores": 2}
  measured = {"ways": [speed], "faces": 9, "rounds": 3, "machine": machine}
  (tmp_path / "benchmarks").mkdir()
  path = tmp_path / "benchmarks" / "images.json"
  files.write_json(str(path), {"format": 1, **measured})
  return tmp_path


def test_gains_are_against_files_as_large_and_there_may_be_none(folder):
  (points,) = scalable.judges(scalable.read(folder)).values()
  small, large = scalable.gains(points)
  assert small["points above webp"] == ""
  assert small["webp as large"] == "no such file"
  # Half way from 4 of 8 to 7 of 8.
  assert large["webp as large"] == "68.8"
  assert large["points above webp"].startswith("+31.2 (")
  assert large["avif as large"] == "no such file"
  assert large["learned alone as large"] == "not measured"


def test_every_part_of_the_page_is_made(folder):
  for part in page.PAGES["docs/scalable.md"].split():
    text = getattr(scalable, f"render_{part}")(folder)
    assert text
    text = getattr(scalable, f"render_{part}")(folder / "nothing")
    assert "Not measured" in text
  text = scalable.render_scalable_points(folder)
  assert (
    "| avif:0 | 190.0 | 50.0 (10.0 to 90.0) | 23.80 | 0.500 | 0.310 |" in text
  )
  text = scalable.render_scalable_base(folder)
  assert "| sharp | 25.0 | 5,923 | 6,000 | 1.23 |" in text
  assert "| base | 9 |" in scalable.render_scalable_costs(folder)
  text = scalable.render_scalable_speed(folder)
  assert "| feature | 25.0 | 1,234 | 2,000 |" in text


def test_rates_are_against_a_codec_alone_and_with_a_feature_beside_it():
  sizes = (100, 150, 200, 250)
  alone = [point(f"webp:{s}", s, "01") for s in sizes]
  # As good as these, ten bytes less each; the feature takes thirty.
  layered = [
    {**p, "bytes_per_face": p["bytes_per_face"] - 10, "base": "sharp"}
    for p in alone
  ]
  for p in layered:
    p["method"] = f"generated + {p['name']}"
  feature = point("generated", 30, "01", base="sharp")
  points, webp = [*alone, *layered, feature], ("webp", "webp")
  one, two = scalable._rates(points, "sharp", *webp)
  assert -10 <= float(one["PSNR, %"]) <= -4
  assert float(two["PSNR, %"]) < float(one["PSNR, %"]) - 8
  assert one["rank-1, %"] == "no overlap"
  assert one["against"] == "webp alone" and one["FLIP, %"] == one["PSNR, %"]
  assert not [*scalable._rates(alone, "sharp", *webp)]


def test_the_figure_is_drawn_from_all_points_of_a_judge(folder):
  (points,) = scalable.judges(scalable.read(folder)).values()
  figure = scalable.draw(points)
  lines = figure.axes[0].get_lines()
  found = {line.get_label(): len(line.get_xdata()) for line in lines}
  assert found["layered: generated face alone"] == 1
  assert found["layered: learned"] == 1
  assert found["webp"] == 2


def test_the_slider_page_holds_every_face_of_every_way():
  faces = np.stack([*image_sets.load(str(FACES64)).decode(range(2))])
  steps = scalable_pages.ladder(faces, "webp", 500)
  sizes = [step.bytes_per_face for step in steps]
  assert sizes == sorted(sizes) and 400 < sizes[-1] <= 500
  found = [
    scalable_pages.Column("original", 12288.0, faces),
    scalable_pages.best(steps, "webp", 400),
    scalable_pages.best(steps, "webp", 10),
  ]
  assert found[1].bytes_per_face <= 400
  assert found[2].images is None and "no such file" in found[2].title
  picture = scalable_pages.picture(found)
  assert picture.shape == (128, 192, 3)
  np.testing.assert_array_equal(picture[64:, :64], faces[1])
  assert (picture[:, 128:] == 255).all()
  text = scalable_pages.page(found)
  assert text.count("data:image/png") == 4
  assert text.count("<option") == 4 and "OPTIONS" not in text
  assert "SHOWN" not in text


def test_the_slider_page_in_a_browser():
  """In headless Chromium; CONTRIBUTING.md says how to get it."""
  modules = os.environ.get("TSENH_BROWSER")
  if not modules:
    pytest.skip("TSENH_BROWSER names no folder with Chromium")
  program = page.ROOT / "experiments" / "report" / "slider.mjs"
  path = page.ROOT / "docs" / "scalable-slider.html"
  process = subprocess.run(
    ["node", program, modules, path], capture_output=True, text=True, check=True
  )
  told = json.loads(process.stdout)
  assert told["errors"] == told["elsewhere"] == []
  assert told["width"] <= 390  # Nothing to scroll sideways on a phone.
  assert told["faces"] == 20
  first, second = told["shown"]
  assert first["right"] == "original" and first["left"].startswith("generated,")
  assert first["sizes"] == second["sizes"] == [[64, 64], [64, 64]]
  assert second["right"].startswith("generated + learned:")
  assert all(a != b for a, b in zip(first["sources"], second["sources"]))
  assert [first["clip"], second["clip"]] == [
    "inset(0px 50% 0px 0px)",
    "inset(0px 20% 0px 0px)",
  ]
