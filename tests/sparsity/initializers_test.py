"""Sparsity-aware initialisation."""

import numpy as np

from tf_sparse_rl.sparsity import initializers, mask_ops


def test_rescale_by_hand():
  kernel = np.array([[1, 2], [3, 4], [5, 6], [7, 8]], np.float32)
  mask = np.array([[1, 0], [0, 1], [0, 1], [0, 1]], np.float32)
  # Fan-in 4 of which 1 is left for the first unit and 3 for the second.
  root = np.sqrt(4 / 3)
  expected = [[2, 0], [0, 4 * root], [0, 6 * root], [0, 8 * root]]
  found = initializers.rescale_for_fan_in(kernel, mask)
  np.testing.assert_allclose(found, expected, rtol=1e-6)
  assert found.dtype == np.float32


def test_a_full_mask_changes_nothing():
  kernel = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
  found = initializers.rescale_for_fan_in(kernel, np.ones_like(kernel))
  np.testing.assert_array_equal(found, kernel)


def test_a_unit_without_inputs_is_zero():
  kernel = np.ones((3, 2), np.float32)
  mask = np.array([[1, 0]] * 3, np.float32)
  found = initializers.rescale_for_fan_in(kernel, mask)
  np.testing.assert_array_equal(found, [[1, 0]] * 3)


def test_fan_in_counts_the_window_of_a_convolution():
  kernel = np.ones((2, 2, 3, 2), np.float32)
  mask = np.zeros_like(kernel)
  mask[0, 0, :, 0] = 1  # 3 of 12 inputs of the first channel
  mask[..., 1] = 1
  found = initializers.rescale_for_fan_in(kernel, mask)
  np.testing.assert_allclose(found[0, 0, :, 0], 2)
  np.testing.assert_array_equal(found[..., 1], 1)


def test_variance_of_the_output_is_that_of_the_dense_layer():
  rng = np.random.default_rng(0)
  kernel = rng.normal(size=(400, 100)).astype(np.float32)
  mask = mask_ops.random_mask(kernel.shape, 36_000, 0)
  inputs = rng.normal(size=(2000, 400))
  dense = np.var(inputs @ kernel)
  sparse = np.var(inputs @ initializers.rescale_for_fan_in(kernel, mask))
  assert abs(sparse / dense - 1) < 0.05
  assert np.var(inputs @ (kernel * mask)) < 0.15 * dense
