"""Counts all pairs of a set by similarity, for error rates at very small FAR.

  python -m tsenh.count_pairs --features=lfw --output=counts.npz

compares each face with every other whose person is known. The output holds
`same` and `different`, int64 [20000]: how many pairs of one person, and of two,
have a similarity in each of as many bins from -1 to 1. The true accept rate at
false accept rates down to 1e-6 is printed. `evaluate` has the same of small
sets, with exact thresholds and intervals; here memory does not grow with the
set, which may be a folder of shards, and an Apache Beam engine can do the work
(docs/cluster.md):

  python -m tsenh.count_pairs --features=faces --output=counts.npz \
    --runner=DirectRunner -- --direct_num_workers=2
"""

import json
import os
import shutil

from absl import flags

from tsenh.base import cluster, command_line, files, runner
from tsenh.base.errors import Error
from tsenh.data import feature_sets

_FEATURES = flags.DEFINE_string(
  "features", None, "A feature set with identities."
)
_OUTPUT = flags.DEFINE_string("output", None, "The .npz of counts to write.")
flags.adopt_module_key_flags(runner)  # So that --help shows it.
flags.mark_flags_as_required(["features", "output"])


def main(*beam_flags):
  from tsenh.recognition import pair_counts

  engine = runner.engine(beam_flags) or cluster.run
  output = files.check_output(_OUTPUT.value)
  if output.suffix != ".npz":
    raise Error(f"{output}: the name of counts ends in .npz.")
  files.check_apart(_OUTPUT.value, _FEATURES.value)
  source = _FEATURES.value
  if os.path.exists(source):
    source = os.path.abspath(source)
  count = pair_counts.num_known(source)
  digest = feature_sets.load(source, in_memory=False).digest()
  folder = output.with_name(f".{output.name}.shards")
  cluster.claim(folder, [digest, count, pair_counts.BINS, pair_counts.BAND])
  tasks = pair_counts.tasks(source, count, str(folder))
  with command_line.progress(len(tasks), "band", "count pairs") as bar:
    engine(pair_counts.count_band, tasks, lambda _: bar.update())
  counts = pair_counts.total([task[-1] for task in tasks])
  files.write_arrays(str(output), counts._asdict())
  shutil.rmtree(folder)
  print(json.dumps(pair_counts.rates(counts), indent=2))


if __name__ == "__main__":
  command_line.run(main, further=True)
