"""Policies of agents on images, and with actions of several integers."""

import numpy as np
import pytest
import tensorflow as tf

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import envs
from tf_sparse_rl.agents import registry
from tf_sparse_rl.exporting import acceptance, formats, policy

_BOX = {'action_low': (-1.0, -2.0), 'action_high': (1.0, 0.5)}
_IMAGE = {'observation_shape': (9, 8, 3)}
_SPECS = {
  'sac on images': ('sac', envs.EnvSpec('x', 216, None, 9, **_BOX, **_IMAGE)),
  'ppo on images': ('ppo', envs.EnvSpec('x', 216, 4, 9, **_IMAGE)),
  'several integers': (
    'ppo',
    envs.EnvSpec('x', 6, None, 9, action_counts=(2, 4, 3)),
  ),
  'both': (
    'ppo',
    envs.EnvSpec('x', 216, None, 9, action_counts=(3, 2), **_IMAGE),
  ),
}


def _policy(name):
  agent, spec = _SPECS[name]
  network = 'nature_cnn' if spec.observation_shape else 'mlp'
  values = {'agent': agent, 'network': network, 'hidden_units': (20,)}
  config = config_lib.make_config({**values, 'width': 0.2, 'sparsity': 0.5})
  greedy = policy.of_agent(registry.build(config, spec))
  # PPO's outputs begin as good as equal.
  for layer in greedy.layers[-1:]:
    layer.kernel.assign(50 * layer.kernel)
  return greedy, spec


def _observations(spec, num):
  rng = np.random.default_rng(0)
  if spec.observation_shape:
    shape = [num, *spec.observation_shape]
    return rng.integers(256, size=shape, dtype=np.uint8)
  return rng.normal(size=[num, spec.observation_size]).astype(np.float32)


@pytest.mark.parametrize('kind', formats.FORMATS)
@pytest.mark.parametrize('name', _SPECS)
def test_every_format_agrees_with_keras(name, kind, tmp_path):
  greedy, spec = _policy(name)
  path = tmp_path / 'policy'
  formats.FORMATS[kind].save(greedy, path)
  act = formats.FORMATS[kind].load(path)
  for batch in (1, 30):
    observations = _observations(spec, batch)
    assert acceptance.difference(greedy, act, observations) < 1e-3
    actions = np.asarray(act(observations)['action'])
    expected = greedy(tf.constant(observations))['action'].numpy()
    assert actions.shape == expected.shape
    if spec.has_integer_actions:
      assert actions.dtype.kind == 'i'
      np.testing.assert_array_equal(actions, expected)
  if spec.action_counts:
    assert len({tuple(action) for action in actions}) > 1


def test_a_wrong_entry_of_an_action_is_seen():
  greedy, spec = _policy('several integers')
  observations = _observations(spec, 5)
  received = {k: v.numpy() for k, v in greedy(observations).items()}
  received['action'] = (received['action'] + [0, 1, 0]) % [2, 4, 3]
  with pytest.raises(ValueError, match='off by'):
    acceptance.difference(greedy, lambda _: received, observations)
