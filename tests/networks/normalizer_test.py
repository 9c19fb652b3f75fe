"""Scaling by what has been seen."""

import numpy as np
import tensorflow as tf
from tf_agents.utils import tensor_normalizer

from tf_sparse_rl.networks import normalizer


def test_statistics_are_those_of_all_examples():
  rng = np.random.default_rng(0)
  layer = normalizer.Normalizer(5.0)
  layer.build([None, 3])
  parts = [rng.normal(50, 4, (n, 3)).astype(np.float32) for n in (1, 7, 100)]
  for part in parts:
    layer.learn(tf.constant(part))
  whole = np.concatenate(parts)
  np.testing.assert_allclose(layer.mean, whole.mean(0), rtol=1e-5)
  np.testing.assert_allclose(layer.variance, whole.var(0), rtol=1e-3)
  assert int(layer.count) == 108
  found = layer(tf.constant(whole)).numpy()
  expected = (whole - whole.mean(0)) / np.sqrt(whole.var(0) + 1e-3)
  np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-3)


def test_it_scales_as_tf_agents_does():
  rng = np.random.default_rng(0)
  examples = tf.constant(rng.normal(3, 2, (64, 2)), tf.float32)
  theirs = tensor_normalizer.StreamingTensorNormalizer(
    tf.TensorSpec([2], tf.float32)
  )
  theirs.update(examples, outer_dims=[0])
  new = tf.constant(rng.normal(3, 9, (64, 2)), tf.float32)
  for center in (True, False):
    layer = normalizer.Normalizer(2.0, center)
    layer.build([None, 2])
    layer.learn(examples)
    expected = theirs.normalize(new, clip_value=2.0, center_mean=center)
    np.testing.assert_allclose(layer(new), expected, rtol=1e-3, atol=1e-3)


def test_nothing_learnt_changes_nothing_but_what_is_far():
  layer = normalizer.Normalizer(2.0)
  layer.build([None, 1])
  np.testing.assert_allclose(
    layer(tf.constant([[0.5], [9.0]])), [[0.5], [2.0]], rtol=1e-3
  )
  copy = normalizer.Normalizer.from_config(layer.get_config())
  assert (copy.clip, copy.center) == (2.0, True)


def test_without_a_bound_by_hand():
  layer = normalizer.Normalizer(epsilon=0.0)
  layer.build([None, 2])
  for seen in ([[1.0, 0.0]], [[3.0, 4.0]]):
    layer.learn(tf.constant(seen))
  # Means 2 and 2, variances 1 and 4.
  found = layer(tf.constant([[2.0, 100.0]]))
  np.testing.assert_allclose(found, [[0, 49]], rtol=1e-6)
  copy = normalizer.Normalizer.from_config(layer.get_config())
  assert (copy.clip, copy.epsilon) == (np.inf, 0.0)
