"""The student: its network, its losses, and its programs."""

import numpy as np
import pytest
import tensorflow as tf

from tsenh.recognition import face_networks, student
from tsenh.recognition.student import Student


@pytest.fixture(scope="module")
def small():
  """A student whose statistics are not those of the start."""
  found = Student(16, "4,8/8,12/20", 16, seed=1)
  random = np.random.default_rng(0)
  found.assign(
    {
      name: array + 0.1 * random.random(array.shape).astype(np.float32)
      for name, array in found.arrays().items()
    }
  )
  return found


@pytest.fixture(scope="module")
def faces():
  return np.random.default_rng(0).integers(0, 256, [40, 16, 16, 3], np.uint8)


def test_the_default_students_keep_within_their_bounds():
  for size, widths, parameters in (
    (16, "16,48/48,52/128", 123900),
    (32, "32,48/48,46/112", 120766),
    (16, "8,24/24,24/64", 34416),
  ):
    assert Student(size, widths, 128).parameters() == parameters


def test_multiply_adds_are_counted_by_hand(small):
  stem = 16 * 16 * 27 * 4 + 8 * 8 * 9 * 4 * 8
  blocks = 8 * 8 * 2 * 9 * 8 * 8 + 4 * 4 * (9 * 8 * 12 + 9 * 12 * 12 + 8 * 12)
  head = 4 * 4 * 12 * 20 + 4 * 4 * 20 + 20 * 16
  assert small.multiply_adds() == stem + blocks + head


def test_arrays_build_the_same_student_again(small, faces):
  again = Student(**small.architecture(), seed=5)
  assert again.digest() != small.digest()
  again.assign(small.arrays())
  assert again.digest() == small.digest()
  features = small.features(faces)
  np.testing.assert_array_equal(again.features(faces), features)
  np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, rtol=1e-5)


def test_one_seed_one_student():
  one, same, other = (
    Student(16, "4,6/6/8", 8, seed).digest() for seed in (1, 1, 2)
  )
  assert one == same != other


def test_a_training_view_is_a_variant_mirrored_or_not(faces):
  variants = faces[:36].reshape(12, 3, 16, 16, 3)
  noise = np.zeros([12, 4], np.float32)
  noise[:, 0] = np.repeat([-0.5, 0.29, 0.31, 0.4999], 3)
  noise[:, 1] = np.tile([-0.3, 0.0, 0.3], 4)
  seen = student.training_view(tf.constant(variants), noise).numpy()
  for i, number in enumerate(np.repeat([0, 0, 1, 2], 3)):
    expected = student.normalised(variants[i, number])
    if noise[i, 1] < 0:
      expected = expected[:, ::-1]
    np.testing.assert_allclose(seen[i], expected, atol=1e-6)
  noise[:, 2:] = 0.5
  brighter = student.training_view(tf.constant(variants), noise).numpy()
  np.testing.assert_allclose(
    brighter,
    np.clip(seen * (1 + student.CONTRAST) + student.BRIGHTNESS, -1, 1),
    atol=1e-5,
  )


def test_the_regression_loss_is_of_selected_faces_alone():
  teacher = np.array([[1.0, 0], [1, 0], [0, 2]], np.float32)
  found = np.array([[2.0, 0], [0, 1], [0, -1]], np.float32)
  loss = [
    float(student.regression_loss(found, teacher, np.float32(selected)))
    for selected in ([1, 1, 1], [1, 1, 0], [0, 0, 1], [0, 0, 0])
  ]
  np.testing.assert_allclose(loss, [1, 0.5, 2, 0], atol=1e-6)


def test_channels_of_any_loudness_survive_8_bits(small, faces):
  """Some channels a thousand times as loud as others, and scaled back."""
  arrays = small.arrays()
  loud = np.where(np.arange(20) % 2, np.float32(1000), np.float32(1))
  for name in ("gamma", "beta"):
    arrays[f"last_norm/{name}"] *= loud
  arrays["whole/depthwise_kernel"] /= loud[:, None]
  uneven = Student(**small.architecture())
  uneven.assign(arrays)
  expected = small.features(faces)
  np.testing.assert_allclose(uneven.features(faces), expected, atol=1e-5)
  ready = student.for_8_bits(uneven, faces)
  cosines = (ready.features(faces) * expected).sum(axis=1)
  assert cosines.min() > 0.9999
  before = ready.network.get_layer("whole").input
  probe = tf.keras.Model(ready.network.input, before)
  seen = probe(student.normalised(faces)).numpy().max(axis=(0, 1, 2))
  np.testing.assert_allclose(seen[seen > 0], 1, rtol=1e-5)


@pytest.mark.slow
def test_programs_give_the_students_features(small, faces, tmp_path):
  features = small.features(faces)
  preset = face_networks.PRESETS["student"]
  for form, examples, least in (
    ("float32", None, 0.99999),
    ("int8", faces, 0.98),
  ):
    program = student.to_tflite(small, examples)
    parameters, size = student.weight_bytes(program)
    assert abs(parameters - small.parameters()) < 10
    assert size >= parameters * (1 if examples is not None else 4)
    path = tmp_path / f"{form}.tflite"
    path.write_bytes(program)
    network = face_networks.load(str(path), preset)
    cosines = (network(faces) * features).sum(axis=1)
    assert cosines.min() > least, form
