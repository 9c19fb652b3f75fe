"""Actions of several integers: the distribution, and its head."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from tf_agents.distributions import utils as distribution_utils

from tf_sparse_rl import envs
from tf_sparse_rl.networks import distributions, heads

_COUNTS = (2, 4, 3)


@pytest.fixture(name='logits')
def logits_fixture():
  rng = np.random.default_rng(0)
  return tf.constant(rng.normal(size=(5, 9)).astype(np.float32))


@pytest.fixture(name='head')
def head_fixture():
  spec = envs.EnvSpec('x', 3, None, None, action_counts=_COUNTS)
  return heads.of_policy(spec)


def _parts(logits):
  parts = tf.split(logits, _COUNTS, -1)
  return [tfp.distributions.Categorical(logits=part) for part in parts]


def test_it_is_independent_categoricals(logits):
  joint = distributions.MultiCategorical(logits, _COUNTS)
  parts = _parts(logits)
  actions = np.array([[0, 3, 2], [1, 0, 0], [1, 1, 1], [0, 2, 0], [1, 3, 2]])
  expected = sum(part.log_prob(actions[:, i]) for i, part in enumerate(parts))
  np.testing.assert_allclose(joint.log_prob(actions), expected, rtol=1e-5)
  entropy = sum(part.entropy() for part in parts)
  np.testing.assert_allclose(joint.entropy(), entropy, rtol=1e-5)
  assert (joint.event_shape, joint.batch_shape) == ([3], [5])
  assert joint.dtype == tf.int32


def test_gradients_are_finite_and_those_of_the_parts(logits):
  action = np.tile([1, 2, 0], [5, 1])
  with tf.GradientTape(persistent=True) as tape:
    tape.watch(logits)
    joint = distributions.MultiCategorical(logits, _COUNTS)
    ours = joint.log_prob(action) + joint.entropy()
    theirs = sum(
      part.log_prob(action[:, i]) + part.entropy()
      for i, part in enumerate(_parts(logits))
    )
  gradient = tape.gradient(ours, logits)
  assert np.isfinite(gradient).all()
  np.testing.assert_allclose(
    gradient, tape.gradient(theirs, logits), rtol=1e-4, atol=1e-6
  )


def test_impossible_choices_are_never_drawn(logits):
  joint = distributions.MultiCategorical(logits, _COUNTS)
  drawn = joint.sample(500, seed=1).numpy()
  np.testing.assert_array_equal(drawn.max(axis=(0, 1)), [1, 3, 2])


def test_tf_agents_takes_it_apart_and_makes_it_again(logits):
  joint = distributions.MultiCategorical(logits, _COUNTS)
  parameters = distribution_utils.get_parameters(joint)
  found = distribution_utils.parameters_to_dict(parameters, tensors_only=True)
  assert [*found] == ['logits']
  merged = distribution_utils.merge_to_parameters_from_dict(
    parameters, {'logits': 2 * logits}
  )
  again = distribution_utils.make_from_parameters(merged)
  expected = distributions.MultiCategorical(2 * logits, _COUNTS)
  np.testing.assert_array_equal(again.entropy(), expected.entropy())


def test_the_head_acts_as_its_distribution_and_its_snapshot(head, logits):
  assert (head.num_outputs, head.num_parameters, head.noise_size) == (9, 9, 9)
  spec = head.action_spec
  assert (spec.shape, spec.dtype) == ([3], tf.int32)
  np.testing.assert_array_equal(spec.maximum, [1, 3, 2])
  np.testing.assert_array_equal(head.mode(logits), head(logits).mode())
  noise = head.noise(np.random.default_rng(0), 5)
  actions = head.act(logits, noise)
  assert (actions.shape, actions.dtype) == ([5, 3], tf.int32)
  snapshot = head.snapshot()(logits.numpy(), noise)
  assert snapshot.dtype == np.int32
  np.testing.assert_array_equal(actions, snapshot)


def test_gumbel_noise_draws_by_the_probabilities(head, logits):
  noise = head.noise(np.random.default_rng(0), 4000)
  repeated = tf.repeat(logits[:1], 4000, axis=0)
  drawn = head.act(repeated, noise).numpy()
  for i, part in enumerate(_parts(logits[:1])):
    share = np.bincount(drawn[:, i], minlength=_COUNTS[i]) / 4000
    # Five standard deviations of a share of 4000 draws.
    np.testing.assert_allclose(share, part.probs_parameter()[0], atol=0.04)
