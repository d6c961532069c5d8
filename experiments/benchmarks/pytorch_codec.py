"""The codec and its training step as most would write them in PyTorch."""

import numpy as np
import torch


class GDN(torch.nn.Module):
  """GDN or, if `inverse`, IGDN, stored as tfc.GDN stores it."""

  def __init__(self, arrays, inverse: bool):
    """Takes `reparam_beta` and `reparam_gamma` by name."""
    super().__init__()
    self.pedestal = 2.0**-36
    self.beta = _parameter(arrays["reparam_beta"])
    self.gamma = _parameter(arrays["reparam_gamma"])
    self.inverse = inverse

  def forward(self, x):
    """Maps float32 [n, dim] to float32 [n, dim]."""
    beta = self._nonnegative(self.beta, 1e-6)
    gamma = self._nonnegative(self.gamma, 0.0)
    pool = torch.sqrt(torch.square(x) @ gamma + beta)
    return x * pool if self.inverse else x / pool

  def _nonnegative(self, stored, minimum):
    bound = (minimum + self.pedestal) ** 0.5
    return torch.square(stored.clamp(min=bound)) - self.pedestal


class Codec(torch.nn.Module):
  """A tsenh Codec of one GDN each way, with its weights."""

  def __init__(self, codec):
    """Copies them."""
    super().__init__()
    arrays, self.clip = codec.arrays(), codec.clip
    self.encoder, self.decoder = (
      torch.nn.Sequential(
        _linear(_part(arrays, f"{name}/fc1")),
        GDN(_part(arrays, f"{name}/gdn"), inverse),
        _linear(_part(arrays, f"{name}/fc2")),
      )
      for name, inverse in (("encoder", False), ("decoder", True))
    )

  def loss(self, f_raw, noise, lmbda: float):
    """Eq. (5) of float32 [n, feature_dim], with noise as in training."""
    c = self.encoder(f_raw).clamp(-self.clip, self.clip)
    f_rec = self.decoder(c + noise)
    d = torch.square(f_raw - f_rec).mean()
    return d + lmbda * c.abs().sum(dim=1).mean()


def _part(arrays, name: str):
  start = f"{name}/"
  return {k[len(start) :]: a for k, a in arrays.items() if k.startswith(start)}


def _parameter(array: np.ndarray) -> torch.nn.Parameter:
  return torch.nn.Parameter(torch.tensor(array))


def _linear(arrays) -> torch.nn.Linear:
  layer = torch.nn.Linear(*arrays["kernel"].shape)
  layer.weight = _parameter(np.ascontiguousarray(arrays["kernel"].T))
  layer.bias = _parameter(arrays["bias"])
  return layer


def trainer(
  codec, features: np.ndarray, batch_size: int, lmbda: float, compiled
):
  """What trains for one epoch when it is called.

  Args:
    codec: whose weights to start from.
    features: float32 [n, feature_dim].
    batch_size: examples per update.
    lmbda: of Eq. (5).
    compiled: whether torch.compile makes the loss, its gradients and Adam.

  A step is too small for more threads than one, which PyTorch is set to.
  """
  torch.set_num_threads(1)
  model = Codec(codec)
  adam = torch.optim.Adam(model.parameters(), 1e-4, eps=1e-7)
  loss_fn, update = model.loss, adam.step
  if compiled:
    loss_fn, update = torch.compile(model.loss), torch.compile(adam.step)
  rows = torch.from_numpy(features)

  def epoch():
    order = torch.randperm(len(rows))
    for batch in order[: len(rows) // batch_size * batch_size].split(
      batch_size
    ):
      noise = torch.rand(batch_size, codec.code_dim) - 0.5
      adam.zero_grad()
      loss_fn(rows[batch], noise, lmbda).backward()
      update()

  return epoch
