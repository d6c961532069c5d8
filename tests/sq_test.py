import numpy as np

from tsenh.features.sq import ScalarQuantizer


def test_the_step_doubles_every_six_qp():
  assert ScalarQuantizer(4, 1).q_step == 2.0**-10
  assert ScalarQuantizer(10, 1).q_step == 2.0**-9
  assert ScalarQuantizer(64, 1).q_step == 1.0


def test_codes_are_floors_and_decode_to_the_lower_edge():
  quantizer = ScalarQuantizer(58, 4)  # Step 1/2.
  features = np.array([[0.49, -0.01, 0.5, -0.75]], np.float32)
  codes = quantizer.encode(features)
  np.testing.assert_array_equal(codes, [[0, -1, 1, -2]])
  np.testing.assert_array_equal(quantizer.decode(codes), [[0, -0.5, 0.5, -1]])


def test_the_error_is_one_sided_and_below_a_step(lfw):
  quantizer = ScalarQuantizer(40, 128)
  decoded = quantizer.decode(quantizer.encode(lfw.features))
  error = lfw.features - decoded.astype(np.float64)
  assert error.min() > -1e-7
  assert error.max() < quantizer.q_step + 1e-7


def test_the_largest_allowed_value_still_fits():
  codes = ScalarQuantizer(0, 2).encode(np.array([[1e6, -1e6]], np.float32))
  assert codes[0, 0] > 1.6e9
  assert codes[0, 1] < -1.6e9
