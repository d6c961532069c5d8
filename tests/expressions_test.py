"""Networks and losses of expressions, against numbers worked out by hand."""

import numpy as np
import pytest
import scipy.io
import tensorflow as tf
from conftest import ROOT

from tsenh.base.errors import Error
from tsenh.recognition import expression_sets, expressions
from tsenh.recognition.expressions import NOISE_DIM, SIZE, Classifier


@pytest.fixture(scope="module")
def faces():
  sample = ROOT / "tests" / "samples" / "ferplus"
  found = expression_sets.load(f"{sample}.npz", f"{sample}.csv", partial=True)
  return found["test"]


@pytest.fixture(scope="module")
def small():
  return Classifier("small", seed=1)


def noise(count, seed=0):
  random = np.random.default_rng(seed)
  return random.uniform(-0.5, 0.5, [count, NOISE_DIM]).astype(np.float32)


def test_the_networks_have_as_many_parameters_as_their_papers_say(small):
  # CNN-F, Table 1 of arXiv 1405.3531, with eight classes in place of 1,000.
  f = 64 * (11 * 11 * 3 + 1) + 256 * (5 * 5 * 64 + 1)
  f += 3 * 256 * (9 * 256 + 1)
  f += 4096 * (6 * 6 * 256 + 1) + 4096 * 4097 + 8 * 4097
  assert f == 56_770_312
  assert Classifier("vgg-f").model.count_params() == f
  # VGG-16 has 138,357,544 with 1,000 classes.
  assert Classifier("vgg-face").model.count_params() == (
    138_357_544 - 992 * 4097
  )
  assert small.model.count_params() == 352_384


def test_vgg_f_sees_224_pixels_of_three_colours_and_pools_to_six():
  model = Classifier("vgg-f").model
  shapes = {
    layer.name: layer.output_shape[1:]
    for layer in model.layers
    if layer.name.startswith(("conv", "fc"))
  }
  assert shapes == {
    "conv1": (54, 54, 64),
    "conv2": (27, 27, 256),
    **dict.fromkeys(("conv3", "conv4", "conv5"), (13, 13, 256)),
    **dict.fromkeys(("fc6", "fc7"), (4096,)),
  }
  assert model.get_layer("fc6").kernel.shape == (6 * 6 * 256, 4096)


def test_cross_entropy_by_hand():
  logits = tf.math.log([[1.0, 3.0], [2.0, 2.0]])
  found = expressions.cross_entropy(logits, [[0.0, 1.0], [0.5, 0.5]])
  expected = -(np.log(3 / 4) + np.log(1 / 2)) / 2
  assert float(found) == pytest.approx(expected, rel=1e-6)


def test_distillation_by_hand_and_its_gradient_vanishes_at_the_teacher():
  logits = tf.Variable(np.log([[1.0, 9.0]]), dtype=tf.float32)
  teacher = tf.constant(np.log([[4.0, 1.0]]), tf.float32)
  # At temperature 2: 1 to 3 and 2 to 1.
  expected = -4 * (2 / 3 * np.log(1 / 4) + 1 / 3 * np.log(3 / 4))
  found = expressions.distillation(logits, teacher, 2.0)
  assert float(found) == pytest.approx(expected, rel=1e-6)
  with tf.GradientTape() as tape:
    logits.assign(teacher)
    loss = expressions.distillation(logits, teacher, 2.0)
  np.testing.assert_allclose(tape.gradient(loss, logits), 0, atol=1e-6)


def test_triplet_by_hand():
  a = tf.constant([[0.0, 0.0], [1.0, 0.0]])
  p = tf.constant([[0.0, 1.0], [1.0, 0.0]])
  n = tf.constant([[1.0, 1.0], [3.0, 0.0]])
  # 1 - 2 + 1.5 and 0 - 4 + 1.5, which is nothing.
  assert float(expressions.triplet(a, p, n, 1.5)) == pytest.approx(0.25)


@pytest.mark.parametrize("mining", expressions.MININGS)
def test_positives_are_of_the_same_class_and_negatives_of_another(mining):
  random = np.random.default_rng(3)
  labels = random.integers(0, 4, 32)
  student, teacher = random.normal(size=[2, 32, 5]).astype(np.float32)
  positives, negatives = (
    rows.numpy()
    for rows in expressions.mine(
      labels, student, teacher, mining, tf.constant(noise(32))
    )
  )
  assert (labels[positives] == labels).all()
  assert (labels[negatives] != labels).all()
  if mining == "hard":
    for i in range(32):
      near = np.square(student[i] - teacher).sum(axis=1)
      assert near[positives[i]] == near[labels == labels[i]].max()
      far = np.square(student[i] - student).sum(axis=1)
      assert far[negatives[i]] == far[labels != labels[i]].min()
  else:
    assert len(set(positives)) > 8 and len(set(negatives)) > 8


def test_the_stages_are_close_when_they_point_the_same_way():
  a = tf.constant([[3.0, 0.0], [0.0, 2.0]])
  assert float(expressions.closeness(a, 7 * a)) == pytest.approx(0, abs=1e-6)
  assert float(expressions.closeness(a, a[::-1])) == pytest.approx(2)


def test_a_half_is_black_and_the_other_is_as_it_was(faces):
  upper = expressions.occlude(faces.images, "upper")
  assert (upper[:, :24] == 0).all()
  np.testing.assert_array_equal(upper[:, 24:], faces.images[:, 24:])
  lower = expressions.occlude(faces.images, "lower")
  assert (lower[:, 24:] == 0).all()
  np.testing.assert_array_equal(lower[:, :24], faces.images[:, :24])
  np.testing.assert_array_equal(
    expressions.occlude(faces.images, "none"), faces.images
  )
  x = tf.cast(faces.images[..., None], tf.float32)
  np.testing.assert_array_equal(
    expressions.occlude(x, "upper")[..., 0].numpy(), upper
  )


def test_a_half_without_features_is_taken_for_hidden(faces):
  for half in expressions.OCCLUSIONS:
    seen = expressions.occlude(faces.images, half)
    assert {expressions.hidden_half(face) for face in seen} == {half}
  # A grey mask with some grain.
  random = np.random.default_rng(0)
  masked = faces.images.copy()
  masked[:, 24:] = 120 + random.integers(-6, 7, masked[:, 24:].shape)
  assert {expressions.hidden_half(face) for face in masked} == {"lower"}
  # A headset of which the box of the face holds less than a half.
  for rows, half in ((14, "upper"), (18, "upper"), (10, "none")):
    worn = faces.images.copy()
    worn[:, :rows] = 20
    assert {expressions.hidden_half(face) for face in worn} == {half}


def test_mixed_hides_nothing_or_either_half():
  x = tf.ones([300, SIZE, SIZE, 1])
  seen = expressions.occlude(x, "mixed", tf.constant(noise(300)))[..., 0]
  halves = seen.numpy().reshape(300, 2, -1).mean(axis=2)
  kinds, counts = np.unique(halves, axis=0, return_counts=True)
  assert kinds.tolist() == [[0, 1], [1, 0], [1, 1]]
  assert counts.min() > 70


def test_augmented_faces_are_mirrored_and_moved_but_stay_faces(faces):
  still = np.zeros([len(faces.images), NOISE_DIM], np.float32)
  still[:, 7:9] = -0.49  # The square in a corner.
  still[:, 0] = 0.1
  same = expressions.augment(faces.images, tf.constant(still))[..., 0].numpy()
  inner = slice(8, 40)
  np.testing.assert_allclose(
    same[:, inner, inner], faces.images[:, inner, inner], atol=1e-2
  )
  still[:, 0] = -0.1
  mirrored = expressions.augment(faces.images, tf.constant(still))
  np.testing.assert_allclose(
    mirrored[:, inner, inner, 0], same[:, inner, 8:40][:, :, ::-1], atol=1e-2
  )
  still[:, 3] = 0.5  # Four pixels.
  moved = expressions.augment(faces.images, tf.constant(still))[..., 0]
  np.testing.assert_allclose(
    moved[:, inner, 12:36],
    mirrored[:, inner, 8:32, 0],
    atol=1e-2,
  )


def test_the_square_that_is_cut_out_is_black():
  white = np.full([50, SIZE, SIZE], 255, np.uint8)
  still = np.zeros([50, NOISE_DIM], np.float32)
  still[:, 7:9] = noise(50)[:, 7:9]
  cut = expressions.augment(white, tf.constant(still))[..., 0].numpy() == 0
  assert cut.sum(axis=(1, 2)).max() == 12 * 12
  assert cut.sum(axis=(1, 2)).min() >= 6 * 6


def test_weights_come_back_from_arrays_to_the_bit(small, faces):
  random = np.random.default_rng(0)
  arrays = {
    name: (array + random.uniform(0.1, 0.2, array.shape)).astype(np.float32)
    for name, array in small.arrays().items()
  }
  assert len(small.statistics()) == 14  # Of seven normalizations.
  one, two = Classifier("small", seed=2), Classifier("small", seed=3)
  assert one.digest() != two.digest()
  assert Classifier("small", seed=2).digest() == one.digest()
  for classifier in (one, two):
    classifier.assign(arrays)
  assert one.digest() == two.digest()
  for a, b in zip(one.predict(faces.images), two.predict(faces.images)):
    np.testing.assert_array_equal(a, b)
  with pytest.raises(Error, match="not the weights of the network small"):
    one.assign({"conv0/kernel": arrays["conv0/kernel"]})


def test_with_its_mirror_image_a_face_and_its_mirror_image_are_one(
  small, faces
):
  one = small.predict(faces.images, mirror=True).logits
  two = small.predict(faces.images[:, :, ::-1], mirror=True).logits
  np.testing.assert_allclose(one, two, atol=1e-5)
  alone = small.predict(faces.images)
  assert alone.embedding.shape == (33, 128)
  assert alone.stages.shape == (33, 40 + 80 + 128)


def test_weights_of_another_task_are_taken_but_for_the_last_layer(
  small, faces, tmp_path
):
  donor = Classifier("small", seed=5)
  path = str(tmp_path / "weights.h5")
  donor.model.save_weights(path)
  one = Classifier("small", seed=6)
  last = one.arrays()["logits/kernel"]
  one.load_pretrained(path)
  for name, array in one.arrays().items():
    expected = last if name == "logits/kernel" else donor.arrays()[name]
    np.testing.assert_array_equal(array, expected)
  with pytest.raises(Error, match="no weights of Keras"):
    one.load_pretrained(str(tmp_path / "none.h5"))


def test_weights_of_matconvnet_are_taken_by_the_names_of_layers(tmp_path):
  """As VGG-face has them: a fully-connected layer is a convolution there."""
  random = np.random.default_rng(0)
  one = Classifier("small")
  layers = tf.keras.layers
  one.model = tf.keras.Sequential(
    [
      layers.Input([6, 6, 3]),
      layers.Conv2D(4, 3, name="conv1_1"),
      layers.Flatten(),
      layers.Dense(5, name="fc6"),
      layers.Dense(8, name="logits"),
    ]
  )
  shapes = {"conv1_1": (3, 3, 3, 4), "fc6": (4, 4, 4, 5)}
  stored = []
  for name, shape in shapes.items():
    weights = np.empty(2, object)
    weights[0], weights[1] = (
      random.normal(size=shape),
      random.normal(size=shape[-1:]),
    )
    stored += [{"name": name, "weights": weights}, {"name": f"relu{name}"}]
  path = str(tmp_path / "weights.mat")
  scipy.io.savemat(path, {"layers": np.array(stored, object)})
  one.load_pretrained(path)
  x = random.normal(size=[2, 6, 6, 3])
  kernel, bias = stored[0]["weights"]
  hidden = tf.nn.conv2d(x, kernel, 1, "VALID") + bias
  kernel, bias = stored[2]["weights"]
  hidden = tf.nn.conv2d(hidden, kernel, 1, "VALID")[:, 0, 0] + bias
  found = tf.keras.Model(one.model.input, one.model.get_layer("fc6").output)(x)
  np.testing.assert_allclose(found, hidden, rtol=1e-4, atol=1e-5)
  scipy.io.savemat(path, {"layers": np.array(stored[2:], object)})
  with pytest.raises(Error, match="has no layer conv1_1 of small"):
    one.load_pretrained(path)
  stored[0]["weights"][0] = np.zeros([5, 5, 3, 4])
  scipy.io.savemat(path, {"layers": np.array(stored, object)})
  with pytest.raises(Error, match=r"conv1_1 is of \(5, 5, 3, 4\) and"):
    one.load_pretrained(path)


def test_a_run_of_something_else_is_refused(tmp_path):
  with pytest.raises(Error, match="a run of pro, not of expressions"):
    expressions.load(tmp_path, {"kind": "pro"})
