import pathlib
import re

import numpy as np
import pytest

from tsenh.base import memory

STATUS = pathlib.Path("/proc/self/status")


def of_files():
  """Mebibytes of files, libraries for example, that count as this process's."""
  return int(re.search(r"RssFile:\s*(\d+) kB", STATUS.read_text())[1]) / 1024


@pytest.mark.skipif(not STATUS.exists(), reason="needs Linux")
def test_code_is_let_go_and_comes_back_where_it_is_run(pro, lfw):
  codes = pro.transform.encode(lfw.features[:100])
  string = pro.compress(lfw.features[:100])
  before = of_files()
  memory.release_code()
  assert of_files() < before - 50
  np.testing.assert_array_equal(pro.transform.encode(lfw.features[:100]), codes)
  assert pro.compress(lfw.features[:100]) == string
