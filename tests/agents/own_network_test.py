"""Networks of the user's own: built, sparse, computed, and refused."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import modules, sparsity
from tf_sparse_rl.agents import registry
from tf_sparse_rl.envs import EnvSpec

_OWN = """
import tensorflow as tf
from tf_sparse_rl import sparsity

layers = tf.keras.layers

def normed(config, env_spec, name):
  assert env_spec.observation_size == 3
  print(name)
  hidden = []
  for units in config.hidden_units:
    hidden += [
      layers.Dense(units, use_bias=False),
      layers.LayerNormalization(),
      layers.Activation('silu'),
    ]
  return hidden

def fails(config, env_spec, name):
  return {}[name]

def none(config, env_spec, name):
  return []

def model(config, env_spec, name):
  return [tf.keras.Sequential([layers.Dense(8)])]

def dropout(config, env_spec, name):
  return [layers.Dense(8), layers.Dropout(0.1)]

def twice(config, env_spec, name):
  return [layers.Dense(8, name='a'), layers.Dense(8, name='a')]

def images(config, env_spec, name):
  return [layers.Reshape([-1, 1]), layers.Dense(8)]

def conv(config, env_spec, name):
  return [layers.Conv2D(8, 3)]

def strings(config, env_spec, name):
  return ['dense']

number = 3
"""
_DISCRETE = EnvSpec('x', 3, 2, 100)
_CONTINUOUS = EnvSpec('x', 3, None, 100, (-1.0,), (1.0,))
_AGENTS = {'dqn': _DISCRETE, 'sac': _CONTINUOUS, 'ppo': _CONTINUOUS}


@pytest.fixture(autouse=True)
def _own_module(tmp_path, monkeypatch):
  (tmp_path / 'own_networks.py').write_text(_OWN)
  monkeypatch.chdir(tmp_path)
  yield
  sys.modules.pop('own_networks', None)


def _config(agent='dqn', network='normed', **values):
  return config_lib.make_config(
    {
      'agent': agent,
      'network': f'own_networks:{network}',
      'hidden_units': (16, 8),
      **values,
    }
  )


@pytest.mark.parametrize('agent', _AGENTS)
def test_hidden_layers_are_the_users_and_the_output_is_ours(agent, capsys):
  config, spec = _config(agent, sparsity=0.5), _AGENTS[agent]
  built = registry.build(config, spec)
  assert capsys.readouterr().out.split() == list(built.networks)
  for name, network in built.networks.items():
    layers = sparsity.sparse_layers(network)
    assert [x.layer.name for x in layers] == ['dense', 'dense_1', 'output']
    inputs = 3 + (1 if name.startswith('critic') else 0)
    outputs = {'sac': {'actor': 2}, 'dqn': {'q_network': 2}}
    assert [tuple(x.kernel.shape) for x in layers] == [
      *((inputs, 16), (16, 8)),
      (8, outputs.get(agent, {}).get(name, 1)),
    ]
    kernels = [layer.kernel.numpy() for layer in layers]
    zeros = sum((kernel == 0).sum() for kernel in kernels)
    assert 0.45 < zeros / sum(kernel.size for kernel in kernels) < 0.55
    kinds = [type(x).__name__ for x in network.layers]
    assert kinds.count('LayerNormalization') == 2
  # The same again, weights included.
  again = registry.build(config, spec)
  for name, network in built.networks.items():
    for a, b in zip(network.variables, again.networks[name].variables):
      np.testing.assert_array_equal(a.numpy(), b.numpy())
      assert a.shape == b.shape


@pytest.mark.parametrize('backend', ['masked', 'native'])
def test_layers_are_called_in_turn(backend):
  config = _config(sparsity=0.5)
  sparsity.set_backend(backend)
  try:
    agent = registry.build(config, _DISCRETE)
    observations = np.random.default_rng(0).normal(size=(5, 3))
    observations = tf.constant(observations, tf.float32)
    call = tf.function(agent.networks['q_network'])
    value, _ = call(observations)
  finally:
    sparsity.set_backend('masked')
  expected = observations.numpy()
  for layer in sparsity.strip(agent.policy_layers):
    expected = layer(expected)
  np.testing.assert_allclose(value.numpy(), expected, atol=1e-5)


def test_ppo_collects_by_the_layers_as_they_are():
  agent = registry.build(_config('ppo'), _CONTINUOUS)
  observations = np.random.default_rng(0).normal(size=(5, 3))
  observations, noise = np.float32(observations), np.zeros([5, 1], np.float32)
  collected = agent.rollouts.snapshot()(observations, noise)
  expected = agent.act_greedily(tf.constant(observations))
  np.testing.assert_allclose(collected, expected, atol=1e-5)


@pytest.mark.parametrize(
  'network, expected',
  [
    ('none', r'a list of Keras layers from own_networks:none.* Received: \[\]'),
    ('model', 'neither Dropout, BatchNormalization nor models.*Sequential'),
    ('dropout', "neither Dropout.*Received: 'dropout', Dropout"),
    ('twice', 'distinct names .* each once. Received: a, a'),
    ('images', r'end in \[batch, features\], .*Received: \[None, 3, 8\]'),
    ('strings', "Expected Keras layers from .*Received: 'dense'"),
    ('number', 'Expected --network=module:function. Received: .* 3'),
    ('norme', "--network: Unknown name in .*'norme'. Did you mean 'normed'"),
  ],
)
def test_what_does_not_fit_is_told(network, expected):
  with pytest.raises(ValueError, match=expected) as error:
    registry.build(_config(network=network), _DISCRETE)
  assert '\n' not in str(error.value)


@pytest.mark.parametrize(
  'network, expected',
  [
    ('fails', r"own_networks:fails\(config, env_spec, 'q_network'\) failed"),
    ('conv', r"'conv2d' of own_networks:conv.* does not take inputs \[None, 3"),
  ],
)
def test_code_that_fails_keeps_its_traceback(network, expected):
  with pytest.raises(modules.UserCodeError, match=expected):
    registry.build(_config(network=network), _DISCRETE)


@pytest.mark.parametrize(
  'values, expected',
  [
    ({'match_sparsity': 0.9, 'method': 'dense'}, 'a built-in network, and '),
    ({'network': 'mpl'}, "'mpl'. Did you mean 'mlp'.* your own is named as in"),
  ],
)
def test_fields_that_do_not_go_together(values, expected):
  given = {'network': 'own_networks:normed', **values}
  with pytest.raises(ValueError, match=expected):
    config_lib.make_config(given)


def test_presets_are_those_of_the_environment():
  assert _config(env_name='Pong').replay_capacity == 1_000_000
  assert _config().replay_capacity == 100_000
