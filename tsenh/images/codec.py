"""The layered face codec: images to the bytes of a `.tsi` file and back.

codec = tsenh.load_scalable("faces64")
data = codec.compress(images, layers=["webp:10"])
features = codec.features(data)  # For machines: the base layer alone.
generated = codec.decompress(data, "generated")
images = codec.decompress(data)  # For people: all layers.
"""

import dataclasses
import functools
import hashlib
import io
import pathlib
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from tsenh.base import arrays
from tsenh.base.errors import Error
from tsenh.features import compressor
from tsenh.features.compressor import Compressor
from tsenh.images import networks, pictures, tsi
from tsenh.images.conditional import ConditionalCoder
from tsenh.images.residual import AloneCoder, ResidualCoder
from tsenh.training import run_folders

LEARNED = "learned"
SHIPPED = "images/*/base/config.json"
OWN_CODEC = "codec"  # In a model's folder, where it is none that is shipped.
_DIVISOR = 2


class Step(NamedTuple):
  """What one enhancement layer is coded with.

  Attributes:
    kind: one of `tsi.KINDS`.
    quality: 0 to 100.
    divisor: of the differences that a standard codec codes.
  """

  kind: str
  quality: int
  divisor: int = _DIVISOR


def step(text: str) -> Step:
  """A layer from its name: `learned:50`, `webp:10` or `webp:10:4`.

  Raises:
    Error: if there is no such layer.
  """
  kind, *numbers = text.split(":") if isinstance(text, str) else ("",)
  good = kind in tsi.KINDS and all(
    n.isascii() and n.isdigit() and len(n) <= 3 for n in numbers
  )
  if good and len(numbers) in ((1,) if kind == LEARNED else (1, 2)):
    found = Step(kind, *map(int, numbers))
    if found.quality <= 100 and 1 <= found.divisor <= 255:
      return found
  raise Error(
    f"no layer {text!r}; expected learned:QUALITY, webp:QUALITY, avif:QUALITY"
    " or jpeg2000:QUALITY with a quality of 0 to 100, and behind another colon,"
    " of the last three, if it is not 2, what differences are divided by."
  )


@dataclasses.dataclass(frozen=True)
class ImageCodec:
  """A feature codec, the networks between features and images, and a file.

  Attributes:
    name: what the user called it.
    compressor: of the features.
    base: image to feature.
    generator: decoded feature to image.
    residual: the learned enhancement layer and its entropy coder, if any.
  """

  name: str
  compressor: Compressor
  base: networks.Base
  generator: networks.Generator
  residual: Optional[Tuple[ResidualCoder, ConditionalCoder]] = None

  @property
  def alone(self) -> bool:
    """Whether its learned layer knows of nothing before it."""
    return self.residual is not None and self.residual[0].ALONE

  @functools.cached_property
  def digest(self) -> bytes:
    """8 bytes that tell what draws the face of the base layer."""
    return hashlib.sha256(self.generator.digest().encode()).digest()[:8]

  @functools.cached_property
  def _learned_digest(self) -> bytes:
    """8 bytes that tell what decodes a learned layer."""
    coder, tables = self._learned()
    text = coder.KIND + coder.digest() + tables.digest()
    return hashlib.sha256(text.encode()).digest()[:8]

  def compress(
    self,
    images: np.ndarray,
    layers: Sequence[str] = ("webp:5",),
    features: Optional[np.ndarray] = None,
  ) -> bytes:
    """Compresses faces to the bytes of a `.tsi` file (FORMAT.md).

    Args:
      images: uint8 [n, size, size, 3], RGB, aligned.
      layers: what each enhancement layer is coded with, or the only one; see
        `step`.
      features: float32 [n, dim], to put into the base layer in place of the
        base network's: those of the same faces when they were sharper.

    Returns:
      The whole file.

    Raises:
      Error: if these are no such images or features, or no such layers.
    """
    layers = [layers] if isinstance(layers, str) else layers
    images, steps = self._check(images), [step(text) for text in layers]
    if len(steps) > tsi.MAX_LAYERS:
      raise Error(f"{len(steps)} layers, but {tsi.MAX_LAYERS} are the most.")
    if features is None:
      features = self.base.features(images)
    elif len(features) != len(images):
      raise Error(f"{len(features)} features for {len(images)} images.")
    base = self.compressor.compress(features)
    codes = self._codes(base)
    coded, drawn = [], None
    for one in steps:
      # What a reader has before this layer.
      if drawn is None:
        drawn = self.generator.images(self.compressor.decompress(base))
      else:
        drawn = self._decode(coded[-1], codes, drawn)
      coded.append(self._encode(one, images, codes, drawn))
    size = self.generator.size
    header = tsi.Header(0, size, len(images), self.digest, 0)
    return tsi.pack(header, base, coded)

  def features(self, data: bytes) -> np.ndarray:
    """The features of a file, float32 [n, dim], from its base layer alone.

    Raises:
      Error: if the file is damaged or another codec's.
    """
    header = tsi.read_header(data)
    base = tsi.read_base(data, header)
    # Its own limit holds: the header's number is nobody's word.
    found = self.compressor.decompress(base)
    if len(found) != header.num_faces:
      raise Error(
        f"the base layer has {len(found)} features for {header.num_faces}"
        " faces; the file is damaged."
      )
    return found

  def decompress(self, data: bytes, layers="all") -> np.ndarray:
    """The images of a file.

    Args:
      data: what `compress` returned, whole or cut off behind a layer.
      layers: "generated", "all" that are there, or how many enhancement layers
        to add at the most.

    Returns:
      uint8 [n, size, size, 3], RGB.

    Raises:
      Error: if the file is damaged or another codec's, or ends within a layer
        that is asked for.
    """
    most = layers
    if isinstance(layers, str):
      most = {"generated": 0, "all": tsi.MAX_LAYERS}.get(layers, -1)
    if not isinstance(most, (int, np.integer)) or most < 0:
      raise Error(f"layers is {layers!r}, expected generated, all or a number.")
    header = tsi.read_header(data)
    if (header.size, header.model_digest) != (self.generator.size, self.digest):
      raise Error(f"written with another model than {self.name}.")
    found = tsi.read_layers(data, header, most)
    drawn = self.generator.images(self.features(data))
    codes = self._codes(tsi.read_base(data, header))
    for number, layer in enumerate(found, 1):
      try:
        drawn = self._decode(layer, codes, drawn)
      except Error as error:
        raise Error(f"enhancement layer {number}: {error}") from error
    return drawn

  def _check(self, images: np.ndarray) -> np.ndarray:
    images, size = np.asarray(images), self.generator.size
    expected = (size, size, networks.CHANNELS)
    if (
      images.dtype != np.uint8
      or images.shape[1:] != expected
      or not len(images)
    ):
      raise Error(
        f"images are {images.dtype} of shape {list(images.shape)}, expected"
        f" uint8 [n, {size}, {size}, 3]."
      )
    tsi.check_pixels(len(images), size)
    return images

  def _learned(self) -> Tuple[ResidualCoder, ConditionalCoder]:
    if self.residual is None:
      raise Error(
        f"{self.name} has no learned enhancement layer; the shipped model's"
        " comes with a clone of the repository, and not with a package."
      )
    return self.residual

  def _codes(self, base: bytes) -> np.ndarray:
    """The integers of a base layer, int32 [n, code_dim]."""
    file = io.BytesIO(base)
    header = compressor.read_header(self.compressor, file)
    blocks = compressor.decode_codes(self.compressor, file, header)
    return np.concatenate([*blocks])

  def _encode(self, one: Step, images, base: np.ndarray, drawn) -> tsi.Layer:
    """The layer that brings `drawn` nearer to the images."""
    if one.kind == LEARNED:
      coder, entropy = self._learned()
      side, codes, octaves = coder.encode(images, base, one.quality)
      packed = entropy.pack(side, entropy.clip(codes, octaves), octaves)
      return tsi.Layer(one.kind, one.quality, self._learned_digest + packed)
    change = pictures.differences(images, drawn, one.divisor)
    payload = pictures.encode(change, one.kind, one.quality)
    return tsi.Layer(one.kind, one.divisor, payload)

  def _decode(self, layer: tsi.Layer, base: np.ndarray, drawn) -> np.ndarray:
    """What a reader has with this layer, of the images drawn before it."""
    n, size = len(drawn), self.generator.size
    if layer.kind == LEARNED:
      coder, entropy = self._learned()
      digest, packed = layer.payload[:8], layer.payload[8:]
      if digest != self._learned_digest:
        raise Error(f"learned by another model than {self.name}.")
      quality = layer.setting
      side, codes = entropy.unpack(
        packed, n, lambda side: coder.octaves(side, base, quality)
      )
      return coder.decode(side, codes, base, quality, drawn)
    change = pictures.decode(layer.payload, layer.kind, n, size)
    return pictures.add(drawn, change, layer.setting)

  def costs(self) -> Dict[str, Dict[str, int]]:
    """Parameters and multiply-adds of each network."""
    parts = [self.base, self.generator, *(self.residual or ())[:1]]
    return {part.name: part.cost()._asdict() for part in parts}


def names() -> List[str]:
  """The models that come with the package."""
  found = run_folders.shipped(SHIPPED).values()
  return sorted(folder.parent.name for folder in found)


def find(name: str) -> pathlib.Path:
  """The folder of a shipped model or of a run of `train_scalable`.

  Raises:
    Error: if there is none.
  """
  for folder in run_folders.shipped(SHIPPED).values():
    if folder.parent.name == name:
      return folder.parent
  path = pathlib.Path(name)
  if not (path / "base" / run_folders.CONFIG).is_file():
    known = ", ".join(names()) or "none"
    raise Error(
      f"{name}: neither a folder of train_scalable (no base/config.json in it)"
      f" nor a shipped model ({known})."
    )
  return path


def read_part(folder, *kinds) -> Tuple[Any, compressor.Run]:
  """Reads a part of a model.

  Args:
    folder: the model's.
    *kinds: classes of which the part is one.

  Returns:
    The network and its run.

  Raises:
    Error: as `compressor.read_run` does.
  """
  run = compressor.read_run(
    str(pathlib.Path(folder) / kinds[0].PART),
    {kind.KIND: kind for kind in kinds},
  )
  return run.build(), run


def inner_codec(folder, run: compressor.Run) -> Compressor:
  """The feature codec that a model's generator was trained behind.

  Args:
    folder: the model's.
    run: the generator's.

  Raises:
    Error: as `compressor.load` does.
  """
  name = run.config.get("codec")
  own = pathlib.Path(folder) / OWN_CODEC
  return compressor.load(str(own) if name == OWN_CODEC else name)


def load(name: str) -> ImageCodec:
  """Loads a layered face codec.

  Args:
    name: a shipped model, or a folder of `train_scalable`.

  Raises:
    Error: if there is none, a part is unfinished or damaged, or the parts were
      not trained one behind the other.
  """
  folder = find(name)
  base, _ = read_part(folder, networks.Base)
  generator, run = read_part(folder, networks.Generator)
  inner = inner_codec(folder, run)
  residual = None
  bound = [
    (inner.transform.digest(), run.config.get("codec_digest")),
    (base.digest(), run.config.get("base_digest")),
    (base.size, generator.size),
  ]
  if (folder / ResidualCoder.PART / run_folders.CONFIG).exists():
    coder, coder_run = read_part(folder, ResidualCoder, AloneCoder)
    path = coder_run.folder / run_folders.TABLES
    entropy = ConditionalCoder.from_tables(arrays.read_all(path), path)
    residual = (coder, entropy)
    found = coder_run.config
    bound += [
      (generator.digest(), found.get("generator_digest")),
      (entropy.digest(), found.get("table_digest")),
      (entropy.side.code_dim, coder.SIDE_DIM),
      (inner.transform.code_dim, coder.low_dim),
      (coder.size, generator.size),
    ]
  if any(digest != expected for digest, expected in bound):
    raise Error(f"{name}: its parts were not trained one behind the other.")
  return ImageCodec(name, inner, base, generator, residual)
