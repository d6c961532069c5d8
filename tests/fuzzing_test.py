"""Inputs that a fuzzer kept, and the damage that it does."""

import random

import numpy as np
import pytest

from experiments.fuzzing import mutations, readers
from tsenh import portable
from tsenh.features import compressor


def kept(name):
  folder = readers.CORPUS / name
  return [path.read_bytes() for path in sorted(folder.glob("*"))]


@pytest.mark.parametrize("name", readers.READERS)
def test_what_was_kept_is_read_by_all_alike_or_refused(name):
  reader, inputs = readers.READERS[name], kept(name)
  # An enhancer with its codec is too large to keep.
  assert len(inputs) > 5 or name in ("enhancer", "tsi")
  for data in [*reader.seeds().values(), *inputs]:
    reader.read(data)


def test_a_disagreement_is_a_finding(monkeypatch):
  data = readers.file_seeds()["shared-3"]
  codes = portable.decompress_codes(readers._codec()[1], data)
  monkeypatch.setattr(portable, "decompress_codes", lambda *_: codes + 1)
  with pytest.raises(AssertionError):
    readers.read_file(data)


def test_a_refusal_of_one_alone_is_a_finding(monkeypatch):
  monkeypatch.setattr(portable, "load", lambda _: "refused")
  with pytest.raises(AssertionError):
    readers.read_codec(readers.codec_seeds()["classic"])


@pytest.mark.parametrize("name", readers.file_seeds())
def test_repair_leaves_a_sound_file_as_it_is(name):
  data = readers.file_seeds()[name]
  assert mutations.repaired(data) == data


@pytest.mark.parametrize("name", readers.image_seeds())
def test_repair_leaves_a_sound_image_file_as_it_is(name):
  data = readers.image_seeds()[name]
  assert mutations.repaired_image(data) == data


def test_repair_brings_damage_behind_the_checksums():
  data = bytearray(readers.file_seeds()["shared-1024"])
  data[70] ^= 1
  with pytest.raises(readers.Error, match="checksum"):
    readers._codec()[0].decompress(bytes(data))
  repaired = mutations.repaired(bytes(data))
  message = str(readers.outcome(readers._codec()[0].decompress, repaired))
  assert "checksum" not in message


def test_one_member_of_a_nested_archive_is_changed():
  inner = mutations.packed({"a.npy": b"a", "b.npy": b"b"})
  data = mutations.packed({"inner.npz": inner, "c": b"c"})
  found = set()
  for seed in range(200):
    changed = mutations.mutate_archive(
      data, lambda part: part + b"!", random.Random(seed)
    )
    files = mutations.unpacked(changed)
    found.add(files.get("c"))
    found.update(mutations.unpacked(files.get("inner.npz", b"")).values())
  assert {b"a!", b"b!", b"c!"} <= found


def test_a_changed_run_gets_the_digests_of_what_it_holds(tmp_path):
  files = mutations.unpacked(readers.codec_seeds()["tfc"])
  config = files["config.json"].replace(b'"clip": 20.0', b'"clip": 19.0')
  assert config != files["config.json"]
  for name, data in {**files, "config.json": config}.items():
    (tmp_path / name).write_bytes(data)
  with pytest.raises(readers.Error, match=r"not the file that config\.json"):
    compressor.read_run(str(tmp_path), compressor.CODECS)
  mutations.sign(tmp_path)
  run = compressor.read_run(str(tmp_path), compressor.CODECS)
  assert run.architecture["clip"] == 19.0
  assert np.isfinite(run.weights["encoder/fc1/kernel"]).all()
