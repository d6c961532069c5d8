"""What a layered codec is judged by at a rate: fidelity, and recognition.

Pure functions: arrays in, numbers out.
"""

from typing import Dict, List, NamedTuple, Sequence, Tuple

import numpy as np

from tsenh.base.errors import Error
from tsenh.recognition.verification import normalize

NUM_SAMPLES = 1000
# MS-SSIM is defined with five scales and windows of 11 pixels, which takes
# images of 176 pixels. Ours, for smaller ones: the first scales alone, their
# weights made to add up to 1 again, and windows of 7 pixels.
_SCALES = (0.0448, 0.2856, 0.3001)
_WINDOW = 7
# Of FLIP: a face of 64 pixels is four degrees wide, four centimetres at arm's
# length.
_PIXELS_PER_DEGREE = 16.0


class Probes(NamedTuple):
  """Who is looked for among whom.

  Attributes:
    gallery: int64 [people], a row of the set for each person.
    probes: int64 [n], rows of other photographs of the same people.
    person: int64 [n], of each probe, a place in `gallery`.
  """

  gallery: np.ndarray
  probes: np.ndarray
  person: np.ndarray


def choose(
  identities: np.ndarray, people: int, probes: int, seed: int = 0
) -> Probes:
  """Draws people of more than `probes` photographs, and orders these.

  Args:
    identities: int [n], -1 where unknown.
    people: how many.
    probes: photographs of each that are looked for; one more is the gallery's.
    seed: of the draw.

  Raises:
    Error: if there are not so many.
  """
  known, counts = np.unique(identities[identities >= 0], return_counts=True)
  enough = known[counts > probes]
  if len(enough) < people:
    raise Error(
      f"{len(enough)} people have {probes + 1} photographs or more, expected"
      f" {people}."
    )
  random = np.random.default_rng(seed)
  drawn = np.sort(random.choice(enough, people, replace=False))
  rows = np.stack(
    [
      random.permutation(np.flatnonzero(identities == person))[: probes + 1]
      for person in drawn
    ]
  )
  return Probes(
    rows[:, 0], rows[:, 1:].reshape(-1), np.repeat(np.arange(people), probes)
  )


def hits(features: np.ndarray, gallery: np.ndarray, person) -> np.ndarray:
  """Whether the nearest of the gallery is each probe's person: bool [n].

  Args:
    features: float [n, dim], of the probes.
    gallery: float [people, dim].
    person: int [n], the right row of the gallery.
  """
  similarity = normalize(features) @ normalize(gallery).T
  own = similarity[np.arange(len(person)), person]
  similarity[np.arange(len(person)), person] = -np.inf
  return own > similarity.max(axis=1)


def resample(person: np.ndarray, seed: int = 0) -> np.ndarray:
  """How often each probe counts when people are drawn anew: [samples, n]."""
  people = person.max() + 1
  random = np.random.default_rng(seed)
  times = random.multinomial(people, np.full(people, 1 / people), NUM_SAMPLES)
  return times[:, person]


def interval(values: np.ndarray, weights: np.ndarray) -> List[float]:
  """The 95 % interval of the mean of values, over `resample`'s draws."""
  means = (weights @ values.astype(np.float64)) / weights.sum(1)
  return np.percentile(means, [2.5, 97.5]).tolist()


def psnr(images: np.ndarray, others: np.ndarray) -> np.ndarray:
  """Peak signal-to-noise ratio of each image, dB, float64 [n]; at most 99."""
  errors = images.astype(np.float64) - others
  mse = np.square(errors).mean(axis=(1, 2, 3))
  return np.minimum(10 * np.log10(255**2 / np.maximum(mse, 1e-9)), 99)


def ms_ssim(images: np.ndarray, others: np.ndarray) -> np.ndarray:
  """MS-SSIM of each image, float64 [n], with three scales; see above."""
  import tensorflow as tf

  weights = np.array(_SCALES) / sum(_SCALES)
  found = tf.image.ssim_multiscale(
    images, others, 255, weights.tolist(), filter_size=_WINDOW
  )
  return found.numpy().astype(np.float64)


def flip(images: np.ndarray, others: np.ndarray) -> np.ndarray:
  """FLIP's mean error of each image, float64 [n], 0 to 1, 0 the same.

  What a person sees who looks at one and the other in turn (Andersson et al.,
  *FLIP: A Difference Evaluator for Alternating Images*, 2020), here as large as
  `_PIXELS_PER_DEGREE` says.

  Raises:
    Error: if its package is not there.
  """
  try:
    import flip_evaluator
  except ImportError as error:
    raise Error(
      f"FLIP needs a package ({error}): pip install 'tsenh[report]'."
    ) from error
  seen = {"ppd": _PIXELS_PER_DEGREE}
  return np.array(
    [
      flip_evaluator.evaluate(one, two, "LDR", True, False, True, seen)[1]
      for one, two in zip(images / np.float32(255), others / np.float32(255))
    ]
  )


Curve = Sequence[Tuple[float, np.ndarray]]


def at_rate(curve: Curve, bytes_per_face: float) -> np.ndarray:
  """What a curve has at a rate, linearly between its points.

  Args:
    curve: points, each a rate and values [n], of rising rate.
    bytes_per_face: the rate; above the last point it is the last one's.

  Returns:
    float64 [n]; below the first point zeros: there is no such file.
  """
  rates = np.array([rate for rate, _ in curve])
  if bytes_per_face < rates[0]:
    return np.zeros(len(curve[0][1]))
  after = int(np.searchsorted(rates, bytes_per_face))
  if after == 0 or after == len(rates):
    return np.asarray(curve[min(after, len(rates) - 1)][1], np.float64)
  share = (bytes_per_face - rates[after - 1]) / (
    rates[after] - rates[after - 1]
  )
  low, high = (np.asarray(curve[i][1], float) for i in (after - 1, after))
  return (1 - share) * low + share * high


class Eigenfaces(NamedTuple):
  """Principal components of faces.

  Attributes:
    mean: float32 [pixels].
    components: float32 [pixels, count], orthonormal columns.
  """

  mean: np.ndarray
  components: np.ndarray

  def draw(self, images: np.ndarray, step: float) -> Tuple[np.ndarray, float]:
    """Faces as their rounded coefficients draw them, and what these take.

    Args:
      images: uint8 [n, size, size, 3].
      step: of the coefficients.

    Returns:
      uint8 as `images`, and the entropy of the coefficients, each with the
      distribution that it has in these very images, in bytes a face: less than
      any coder can do.
    """
    flat = images.reshape(len(images), -1).astype(np.float32) - self.mean
    codes = np.rint(flat @ self.components / step)
    drawn = (step * codes) @ self.components.T + self.mean
    bits = sum(_entropy(column) for column in codes.T)
    drawn = np.rint(np.clip(drawn, 0, 255)).astype(np.uint8)
    return drawn.reshape(images.shape), bits / 8


def eigenfaces(images: np.ndarray, count: int) -> Eigenfaces:
  """The first principal components of images uint8 [n, size, size, 3]."""
  flat = images.reshape(len(images), -1).astype(np.float32)
  mean = flat.mean(axis=0)
  flat -= mean
  values, vectors = np.linalg.eigh(flat @ flat.T)
  top = vectors[:, ::-1][:, :count]
  components = flat.T @ top / np.sqrt(values[::-1][:count])
  return Eigenfaces(mean, components.astype(np.float32))


def _entropy(values: np.ndarray) -> float:
  _, counts = np.unique(values, return_counts=True)
  share = counts / counts.sum()
  return float(-(share * np.log2(share)).sum())


def bd_rate(
  anchor: Sequence[Dict[str, float]], tested: Sequence[Dict[str, float]], key
) -> float:
  """Bjontegaard's difference of rates in percent; NaN without an overlap.

  Args:
    anchor: points with `bytes_per_face` and the measure `key`.
    tested: as `anchor`; negative: it takes fewer bytes.
    key: of the measure.
  """
  import bjontegaard

  # Of FLIP less is better.
  sign = -1 if key == "flip" else 1

  def columns(points):
    points = sorted(points, key=lambda point: point["bytes_per_face"])
    rates = [point["bytes_per_face"] for point in points]
    return [rates, [sign * point[key] for point in points]]

  one, two = columns(anchor), columns(tested)
  low, high = max(min(one[1]), min(two[1])), min(max(one[1]), max(two[1]))
  if low >= high:
    return float("nan")
  return float(
    bjontegaard.bd_rate(
      *one, *two, method="akima", require_matching_points=False
    )
  )
