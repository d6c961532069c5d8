"""One process of the fuzzer: `python -m experiments.fuzzing.engine READER`.

What follows the reader's name goes to libFuzzer. It never returns.
"""

import random
import resource
import sys

import atheris

from tsenh.base import command_line

command_line.set_thread_mode()

with atheris.instrument_imports(include=["tsenh", "zipfile"]):
  from experiments.fuzzing import readers

# What no reader has a reason to do.
_FORBIDDEN = {"pickle.find_class", "subprocess.Popen", "os.system", "os.exec"}
_EXTRA_MB = 200  # Memory above what the process has when it begins.


def guard(event: str, arguments: tuple) -> None:
  """An audit hook: nothing is unpickled, started, or written elsewhere."""
  if event == "open":
    path, mode = map(str, arguments[:2])
    own = path.startswith((str(readers.SCRATCH), "/dev/"))
    forbidden = not own and not path.isdigit() and bool(set(mode) & set("wax+"))
  else:
    forbidden = event in _FORBIDDEN
  if forbidden:
    raise AssertionError(f"a reader did {event} {arguments}")


def main():
  reader = readers.READERS[sys.argv[1]]
  for seed in reader.seeds().values():
    reader.read(seed)  # Loads and compiles all that there is.

  def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    changed = reader.mutate(
      data, lambda part: atheris.Mutate(part, max_size), random.Random(seed)
    )
    return changed[:max_size]

  base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
  print(f"stat::base_rss_mb: {base}", file=sys.stderr, flush=True)
  limit = f"-rss_limit_mb={base + _EXTRA_MB}"
  arguments = [sys.argv[0], limit, *sys.argv[2:]]
  atheris.Setup(arguments, reader.read, custom_mutator=mutate)
  sys.addaudithook(guard)
  atheris.Fuzz()


if __name__ == "__main__":
  main()
