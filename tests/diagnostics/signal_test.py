"""Signal-to-noise against cases computed by hand."""

import numpy as np
import pytest

from tf_sparse_rl.diagnostics import signal


def test_moments_by_hand():
  # Samples' gradients: [[2, -2], [0, 0]], then [[3, 0], [6, 0]].
  found = signal.moments([[1, 0], [3, 6]], [[2, -2], [1, 0]])
  np.testing.assert_array_equal(found.mean, [[2.5, -1], [3, 0]])
  np.testing.assert_array_equal(found.square, [[6.5, 2], [18, 0]])


def test_signal_to_noise_by_hand():
  # The same: 2.5 / 0.5, 1 / 1, 3 / 3, and one that is always 0.
  mean = np.array([[2.5, -1], [3, 0]])
  square = np.array([[6.5, 2], [18, 0]])
  found = signal.signal_to_noise(mean, square)
  assert found.ratio == pytest.approx((5 + 1 + 1) / 3)
  assert found.dead == 0.25


def test_moments_are_those_of_all_the_samples():
  rng = np.random.default_rng(0)
  inputs, deltas = rng.normal(size=(64, 5)), rng.normal(size=(64, 3))
  gradients = np.einsum('bi,bj->bij', inputs, deltas)
  found = signal.moments(inputs, deltas)
  np.testing.assert_allclose(found.mean, gradients.mean(0), atol=1e-12)
  ratios = np.abs(gradients.mean(0)) / gradients.std(0)
  assert signal.signal_to_noise(*found).ratio == pytest.approx(ratios.mean())


def test_what_never_varies_is_dead_whatever_it_is():
  found = signal.moments(np.full((3, 1), 0.1), np.full((3, 2), 0.7))
  assert signal.signal_to_noise(*found) == (0.0, 1.0)


def test_of_no_entries():
  none = np.zeros(0)
  assert signal.signal_to_noise(none, none) == (0.0, 0.0)
