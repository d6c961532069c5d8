"""Trellis-coded quantization: a smaller error at the same bits.

Rounding each element for itself fills space with cubes. Here an element has one
of two quantizers, both with a point for every integer k: k + 1/4, and its
mirror image -(k + 1/4). Together they are twice as dense as integers are, and
the integers before say which of the two an element has, so an encoder that
looks for the best whole sequence has more to choose from than its bits pay for.
The trellis has four states (Ungerboeck, 1982; Marcellin and Fischer, 1990),
which are two bits of a shift register.

Because one quantizer mirrors the other, the integers of elements that are
spread evenly about zero are as frequent in both: one entropy table serves, and
neither the bitstream nor its coder know of the trellis.
"""

import numpy as np

_OFFSET = 0.25


def values(codes: np.ndarray) -> np.ndarray:
  """What integers stand for, float64 [n, code_dim], of int [n, code_dim].

  An element is mirrored if the sum of the integers one, three, five and so on
  places before it is odd.
  """
  odd = np.zeros(codes.shape, bool)
  for j in range(1, codes.shape[1]):
    odd[:, j] = codes[:, j - 1] & 1
    if j > 1:
      odd[:, j] ^= odd[:, j - 2]
  found = codes + _OFFSET
  return np.where(odd, -found, found)


def nearest(latent: np.ndarray) -> np.ndarray:
  """The integers whose `values` are nearest to a latent: Viterbi's algorithm.

  A state has two bits: whether this element is mirrored, and whether the next
  one would be if this one's integer were even. An odd integer turns the latter.

  Args:
    latent: float64 [n, code_dim], of magnitudes below 2^31 - 1.

  Returns:
    int32 [n, code_dim]. The error is summed over a row.
  """
  count, dim = latent.shape
  columns = np.ascontiguousarray(latent.T)
  costs = np.full([4, count], np.inf)  # Of the best ways to each state.
  costs[0] = 0
  # Whether the best way to a state comes from the odd one of its two.
  chosen = np.empty([dim, 4, count], bool)
  for j, column in enumerate(columns):
    arrivals = np.empty([4, count])
    for mirrored in (0, 1):
      errors = [
        np.square(_places(column, mirrored) - k)
        for k in _both(column, mirrored)
      ]
      even_state, odd_state = costs[2 * mirrored : 2 * mirrored + 2]
      for parity in (0, 1):
        ways = even_state + errors[parity], odd_state + errors[1 - parity]
        state = mirrored + 2 * parity
        np.less(ways[1], ways[0], out=chosen[j, state])
        np.minimum(*ways, out=arrivals[state])
    costs = arrivals
  codes = np.empty([dim, count], np.int32)
  rows, states = np.arange(count), costs.argmin(axis=0)
  for j in reversed(range(dim)):
    mirrored, odd_state = states & 1, chosen[j, states, rows]
    parity = (states >> 1) ^ odd_state
    even, odd = _both(columns[j], mirrored)
    codes[j] = np.where(parity, odd, even)
    states = 2 * mirrored + odd_state
  return np.ascontiguousarray(codes.T)


def _places(column, mirrored):
  """Where an element lies among the integers of its quantizer."""
  return np.where(mirrored, -column, column) - _OFFSET


def _both(column, mirrored):
  """The nearest even and the nearest odd integer."""
  places = _places(column, mirrored)
  return 2 * np.rint(places / 2), 2 * np.rint((places - 1) / 2) + 1
