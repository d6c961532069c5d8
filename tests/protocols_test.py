import numpy as np
import pytest
from conftest import SHARED, needs_shared

from tsenh.base.errors import Error
from tsenh.data import feature_sets, protocols


def unlike(features, people, others, threshold):
  near = protocols.near(features, others, threshold)
  return protocols.without(near, people)


def test_pairs_are_read_and_found(tmp_path):
  path = tmp_path / "pairs.txt"
  path.write_text("10\t1\n" + "Al_Go\t1\t12\nAl_Go\t1\tBo\t3\n" * 5)
  pairs, is_same = protocols.read_pairs(str(path))
  assert pairs[:2] == [("Al_Go_0001", "Al_Go_0012"), ("Al_Go_0001", "Bo_0003")]
  assert is_same.tolist() == [True, False] * 5
  names = ["Bo/Bo_0003.jpg", "x/Al_Go_0012.png", "Al_Go/Al_Go_0001.jpg"]
  rows = protocols.rows_of(pairs, names)
  assert rows[:2].tolist() == [[2, 1], [2, 0]]
  with pytest.raises(Error, match=r"1 photograph of .* is missing: Bo_0003\."):
    protocols.rows_of(pairs, names[1:])
  with pytest.raises(Error, match=r"there twice: Bo_0003\."):
    protocols.rows_of(pairs, [*names, "again/Bo_0003.jpg"])


@pytest.mark.parametrize(
  ("text", "said"),
  [
    ("10 300\nA 1 2 3 4\n", "line 2 is 'A 1 2 3 4'"),
    ("A 1 two\n", "line 1 is 'A 1 two'"),
    ("A 1 2\n" * 7, "7 pairs, expected 10 equal folds"),
  ],
)
def test_other_lists_are_refused(tmp_path, text, said):
  (tmp_path / "p.txt").write_text(text)
  with pytest.raises(Error, match=said):
    protocols.read_pairs(str(tmp_path / "p.txt"))


@needs_shared
def test_lfws_own_list_gives_the_shipped_pairs():
  lfw = feature_sets.load("lfw")
  pairs, is_same = protocols.read_pairs(str(SHARED / "faces" / "pairs.txt"))
  names = [f"lfw/{name}.jpg" for name in lfw.names]
  np.testing.assert_array_equal(protocols.rows_of(pairs, names), lfw.pairs)
  np.testing.assert_array_equal(is_same, lfw.is_same)


def test_people_come_from_folders_and_lists(tmp_path):
  names = ["b/1.jpg", "a/2.jpg", "b/3.jpg"]
  assert protocols.identities("folders", names).tolist() == [1, 0, 1]
  celeba, umd = tmp_path / "identity.txt", tmp_path / "umd.csv"
  celeba.write_text("1.jpg 2880\n3.jpg 17\n")
  assert protocols.identities(str(celeba), names).tolist() == [1, -1, 0]
  celeba.write_text("my b/1.jpg 2880\n3.jpg,17\n")
  spaced = ["my b/1.jpg", "b/3.jpg"]
  assert protocols.identities(str(celeba), spaced).tolist() == [1, 0]
  umd.write_text("image_id,identity\n3.jpg,17\n")
  assert protocols.identities(str(umd), names).tolist() == [-1, -1, 0]
  umd.write_text("\ufeffSUBJECT_ID,FILE,YAW\n7,b/1.jpg,0.1\n7,b/3.jpg,0.2\n")
  assert protocols.identities(str(umd), names).tolist() == [0, -1, 0]
  for text, said in (
    ("1.jpg 2 3\n", "expected a photograph and a person"),
    ("9.jpg 2\n", "knows none of the photographs"),
  ):
    celeba.write_text(text)
    with pytest.raises(Error, match=said):
      protocols.identities(str(celeba), names)
  # Who lies in no folder is nobody, and so not all of these are one.
  assert protocols.identities("folders", ["a/1.jpg", "2.jpg"]).tolist() == [
    *(0, -1)
  ]
  with pytest.raises(Error, match="no photograph lies in a folder"):
    protocols.identities("folders", ["1.jpg", "2.jpg"])


def test_who_looks_like_a_test_person_goes_whole():
  features = np.eye(4, dtype=np.float32)[[0, 1, 2, 3, 3]] * 3
  people = np.array([5, 5, 6, -1, -1])
  others = np.eye(4, dtype=np.float32)[[0, 3]]
  kept = unlike(features, people, others, 0.6)
  assert kept.tolist() == [False, False, True, False, False]
  assert unlike(features, people, others[:1], 0.6).tolist() == [
    *(False, False, True, True, True)
  ]
  with pytest.raises(Error, match="4 dimensions cannot be compared"):
    unlike(features, people, others[:, :3], 0.6)
