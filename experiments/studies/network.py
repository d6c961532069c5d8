"""Whose features a study is about."""

from absl import flags

from tsenh.data import manifests

_NETWORK = flags.DEFINE_enum(
  "network",
  manifests.default().name,
  list(manifests.networks()),
  "Whose features: a manifest's name.",
)


def chosen() -> manifests.Network:
  """The network that --network names."""
  return manifests.networks()[_NETWORK.value]
