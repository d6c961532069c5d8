"""Whose features a study is about."""

from typing import Dict

from absl import flags

from tsenh.data import manifests

_NETWORK = flags.DEFINE_enum(
  "network",
  manifests.default().name,
  list(manifests.networks()),
  "Whose features: a manifest's name.",
)


def digests() -> Dict[str, str]:
  """Those of the sets that choices are made with, as results name them."""
  sets = chosen()
  return {
    name: sets.sets[name].digest for name in (sets.held_in, sets.validation)
  }


def chosen() -> manifests.Network:
  """The network that --network names."""
  return manifests.networks()[_NETWORK.value]
