"""Photographs to a feature set: shard by shard, in as many processes as wanted.

A shard is a fixed number of photographs. One process reads, aligns and codes
it, on one thread, and writes it whole or not at all; so the result does not
depend on the number of processes, nor on how often a run was stopped.
"""

import concurrent.futures
import functools
import json
import math
import multiprocessing
import os
import pathlib
import shutil
import signal
import threading
from typing import Callable, List, NamedTuple, Optional, Tuple

import numpy as np

from tsenh.base import arrays, cluster, files, processes
from tsenh.base.errors import Error
from tsenh.recognition import (
  contact_sheet,
  degradation,
  detection,
  face_networks,
  photographs,
)
from tsenh.recognition.contact_sheet import Finding
from tsenh.recognition.face_networks import Preprocessing

SHOWN = 8  # Crops of a shard that a person may look at.
NO_FACE = "no face found"


class Settings(NamedTuple):
  """All that a shard depends on beside its photographs.

  Attributes:
    network: see `face_networks.load`, as the next three.
    preprocessing: of the network.
    input_name: of the network, or None.
    output_name: of the network, or None.
    align: one of `detection.CROPS`, or "none" where images are crops already.
    detector: one of `detection.DETECTORS`; without meaning for "none".
    shard_size: photographs in a shard.
  """

  network: str
  preprocessing: Preprocessing
  input_name: Optional[str]
  output_name: Optional[str]
  align: str
  detector: str
  shard_size: int


class Extraction(NamedTuple):
  """What came out of photographs.

  Attributes:
    features: float32 [n, dim].
    names: str [n], of the photographs that gave a feature, in their order.
    findings: about the others, those of several faces, and, without a reason,
      the first `SHOWN` of the rest.
    size: pixels of a side of what the network was given.
  """

  features: np.ndarray
  names: np.ndarray
  findings: List[Finding]
  size: int


class Extractor:
  """Photographs to features, in this process."""

  def __init__(self, settings: Settings):
    """Loads the network, and the detector if there is alignment.

    Raises:
      Error: as `face_networks.load` does, or if a package is missing.
    """
    self.network = face_networks.load(*settings[:4])
    self._detector = self._cropper = None
    if settings.align != "none":
      self._detector = detection.detector(settings.detector)
      self._cropper = detection.cropper(settings.align)

  def __call__(
    self, listing: photographs.Listing, entries: Tuple[photographs.Entry, ...]
  ) -> Extraction:
    """Features of some photographs of a listing, in its order.

    `features` is [0, 0] where none of them gives one.
    """
    crops, names, findings = [], [], []
    shown = 0
    for entry, data in zip(entries, photographs.read(listing.source, entries)):
      image, picture = None, ""
      try:
        if isinstance(data, Error):
          raise data
        image = photographs.decode(data)
        crop, faces, main = self.crop(image)
      except Error as error:
        if image is not None:
          picture = contact_sheet.picture(image)
        findings.append(Finding(entry.name, str(error), False, picture))
        continue
      crops.append(crop)
      names.append(entry.name)
      if len(faces) > 1:
        picture = contact_sheet.picture(image, [f.box for f in faces], main)
        reason = f"{len(faces)} faces"
        findings.append(Finding(entry.name, reason, True, picture))
      elif shown < SHOWN:
        shown += 1
        picture = contact_sheet.picture(crop)
        findings.append(Finding(entry.name, "", True, picture))
    features = (
      self.network(np.stack(crops)) if crops else np.zeros((0, 0), np.float32)
    )
    size = self.network.preprocessing.size
    return Extraction(features, np.array(names, np.str_), findings, size)

  def crop(
    self, image: np.ndarray
  ) -> Tuple[np.ndarray, List[detection.Face], int]:
    """The crop that the network takes, all faces, and which of them it shows.

    Args:
      image: uint8 [h, w, 3], RGB.

    Returns:
      uint8 [size, size, 3], and no faces where images are crops already.

    Raises:
      Error: with the reason alone, if no face is found.
    """
    size, shrink = (
      getattr(self.network.preprocessing, key) for key in ("size", "shrink")
    )
    if self._detector is None:
      if shrink:
        return degradation.shrink(image, size), [], 0
      return detection.resized(image, size), [], 0
    faces = self._detector(image)
    if not faces:
      raise Error(NO_FACE)
    main = detection.main_face(faces, image)
    crop = self._cropper(image, faces[main], shrink or size)
    return degradation.shrink(crop, size), faces, main


def extract(
  listing: photographs.Listing,
  settings: Settings,
  folder: pathlib.Path,
  workers: int,
  on_shard: Callable[[int, List[Finding]], None],
  engine: Optional[Callable[..., None]] = None,
) -> List[pathlib.Path]:
  """Features of all photographs of a listing.

  Args:
    listing: of the photographs.
    settings: of the extraction.
    folder: where finished shards are kept until `remove`; a run that was
      stopped goes on from there.
    workers: processes.
    on_shard: called with the number of photographs of each shard, as they
      finish, and what was found in it.
    engine: does the shards in place of own processes; see `cluster.run`.

  Returns:
    The finished shards, for `read`, in the order of the listing.

  Raises:
    Error: as `Extractor`; if the folder is of another extraction, or a process
      died. Without a finished shard the folder is gone then.
  """
  network = face_networks.digest(settings.network)
  cluster.claim(folder, [settings, network, listing.digest()])
  size = settings.shard_size
  tasks = []
  for number in range(math.ceil(len(listing.entries) / size)):
    entries = listing.entries[number * size : (number + 1) * size]
    path = str(folder / f"{number:06}.npz")
    tasks.append((listing.source, entries, settings, path))
  paths = [pathlib.Path(task[-1]) for task in tasks]

  def finished(number):
    on_shard(len(tasks[number][1]), read(paths[number]).findings)

  try:
    (engine or functools.partial(_in_processes, workers=workers))(
      write_shard, tasks, finished
    )
  finally:
    if not any(path.exists() for path in paths):
      remove(folder)
  return paths


def remove(folder: pathlib.Path) -> None:
  """Removes the shards of an extraction that is stored, or given up."""
  shutil.rmtree(folder, ignore_errors=True)


def read(path: pathlib.Path) -> Extraction:
  """Reads a finished shard."""
  with arrays.open_archive(path) as archive:
    features, names, text, size = (
      arrays.read_entry(archive, name)
      for name in ("features", "names", "findings", "size")
    )
  findings = [Finding(*values) for values in json.loads(text.tobytes())]
  return Extraction(features, names, findings, int(size))


def _in_processes(
  function: Callable[..., None],
  tasks: List[cluster.Task],
  on_done: Callable[[int], None],
  workers: int,
) -> None:
  """As `cluster.run`, in processes of this machine."""
  waiting = cluster.unfinished(tasks, on_done)
  if not waiting:
    return
  pool = concurrent.futures.ProcessPoolExecutor(
    min(workers, len(waiting)),
    # Not fork: TensorFlow does not live through it.
    multiprocessing.get_context("spawn"),
    _start,
  )
  try:
    started = {pool.submit(function, *tasks[n]): n for n in waiting}
    for task in concurrent.futures.as_completed(started):
      task.result()
      on_done(started[task])
  except concurrent.futures.process.BrokenProcessPool as error:
    raise Error(
      "a process died, perhaps for want of memory; what is finished is kept,"
      " and the same command goes on from there."
    ) from error
  finally:
    pool.shutdown(wait=True, cancel_futures=True)


def _start() -> None:
  """Prepares a process, to end with the one that began it."""
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  processes.guard_address_space()
  parent = multiprocessing.parent_process()

  def end_with_parent():
    parent.join()
    os._exit(1)

  threading.Thread(target=end_with_parent, daemon=True).start()


@functools.lru_cache(maxsize=1)
def _extractor(settings: Settings) -> Extractor:
  """Of this process, which uses one thread."""
  _one_thread(settings)
  return Extractor(settings)


def write_shard(
  source: str,
  entries: Tuple[photographs.Entry, ...],
  settings: Settings,
  path: str,
) -> None:
  """Writes the shard of some photographs of a listing; a task of `extract`."""
  listing = photographs.Listing(source, tuple(entries))
  found = _extractor(settings)(listing, listing.entries)
  text = json.dumps(found.findings).encode()
  files.write_arrays(
    path,
    {
      "features": found.features,
      "names": found.names,
      "findings": np.frombuffer(text, np.uint8),
      "size": np.array(found.size),
    },
  )


def _one_thread(settings: Settings) -> None:
  """Keeps TensorFlow to one thread, where it is needed."""
  alone = settings.network.endswith((".onnx", ".param", face_networks.DLIB))
  if alone and settings.detector != "mtcnn":
    return
  import tensorflow as tf

  tf.config.threading.set_intra_op_parallelism_threads(1)
  tf.config.threading.set_inter_op_parallelism_threads(1)
