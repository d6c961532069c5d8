import numpy as np

from tsenh.data import streams
from tsenh.features import costs, networks


def test_chunks_give_what_the_whole_gives():
  array = np.arange(9000, dtype=np.float32)[:, None] * [1, 2]
  sizes = []

  def double(rows):
    sizes.append(len(rows))
    return 2 * rows

  np.testing.assert_array_equal(streams.in_chunks(double, array), 2 * array)
  assert sizes == [4096, 4096, 808]


def test_a_shipped_part_of_a_set_streams_like_the_others():
  with streams.open_stream("faces-validation", 1000) as stream:
    blocks = list(stream.blocks)
  assert sum(map(len, blocks)) == stream.count == 11192


def test_costs_by_hand():
  network = networks.dense_layers(
    "x", [3, 4, 5], "classic", False, networks.seeds(0, 2)
  )
  # 3 x 4 + 4, GDN 4 + 4 x 4, 4 x 5 + 5.
  assert networks.cost(network) == costs.Cost(16 + 20 + 25, 12 + 16 + 20)
  both = {"sender": costs.Cost(1, 2), "receiver": costs.Cost(3, 4)}
  assert costs.as_json(costs.add_tables(both, 10)) == {
    "parameters": {"sender": 11, "receiver": 13},
    "multiply_adds": {"sender": 2, "receiver": 4},
  }
