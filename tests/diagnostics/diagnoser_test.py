"""Diagnoses of real agents: gradients are those that they train by."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tf_sparse_rl import envs, flags, replay, sparsity
from tf_sparse_rl.agents import registry
from tf_sparse_rl.diagnostics import diagnoser, trace

_BATCH = 16
_NUM_LAYERS = {'nature_cnn': 5, 'impala_resnet': 17}
_BOX = envs.EnvSpec('HalfCheetah-v5', 5, None, 1000, (-1.0, -2.0), (1.0, 0.5))
_DISCRETE = envs.EnvSpec('CartPole-v1', 5, 3, 500)
_IMAGES = envs.EnvSpec(
  'ALE/Pong-v5', 400, 3, None, observation_shape=(10, 10, 4)
)
# 2, 4 and 4 channels.
_SMALL = {'agent': 'dqn', 'hidden_units': (90,), 'width': 0.07}
_AGENTS = {
  'dqn': (_DISCRETE, {}),
  # So that critics are as good as unchanged when it comes to the actor.
  'sac': (_BOX, {'critic_learning_rate': 1e-12, 'reward_scale': 0.3}),
  'ppo': (_BOX, {'max_gradient_norm': 0.0, 'entropy_weight': 0.01}),
  'nature_cnn': (_IMAGES, {**_SMALL, 'network': 'nature_cnn'}),
  'impala_resnet': (_IMAGES, {**_SMALL, 'network': 'impala_resnet'}),
  'ppo_discrete': (_DISCRETE, {'agent': 'ppo', 'max_gradient_norm': 0.0}),
}


def _agent(name, **changes):
  """(Config, Agent, rows) of an agent that has never trained."""
  spec, values = _AGENTS[name]
  config = flags.make_config(
    {
      'agent': name,
      'method': 'static',
      'sparsity': 0.5,
      'hidden_units': (12, 8),
      'batch_size': _BATCH,
      'weight_decay': 0.0,
      **values,
      **changes,
    }
  )
  agent = registry.build(config, spec)
  rng = np.random.default_rng(0)
  if spec.observation_shape:
    return config, agent, _rows_of_images(rng, spec)

  def action():
    if spec.num_actions:
      return rng.integers(spec.num_actions, size=(_BATCH, 1))
    return rng.uniform(-1, 0.5, size=(_BATCH, spec.action_size))

  columns = [rng.normal(size=(_BATCH, 5)), action()]
  columns += [rng.normal(size=(_BATCH, 1)), rng.random((_BATCH, 1)) < 0.8]
  columns.append(rng.normal(size=(_BATCH, 5)))
  if agent.rollouts is None:
    return config, agent, np.concatenate(columns, axis=1, dtype=np.float32)
  columns.append(rng.random((_BATCH, 1)) < 0.2)
  rows = np.concatenate(columns, axis=1, dtype=np.float32)
  rows = agent.rollouts.prepare(rows)
  for network in agent.networks.values():
    # Other than when it collected: ratios of probabilities are not all 1.
    for variable in network.trainable_variables:
      variable.assign(1.3 * variable)
  return config, agent, rows


def _rows_of_images(rng, spec):
  shape = (_BATCH, *spec.observation_shape)
  return replay.Transitions(
    rng.integers(256, size=shape, dtype=np.uint8),
    rng.integers(spec.num_actions, size=_BATCH, dtype=np.int32),
    rng.normal(size=_BATCH).astype(np.float32),
    (rng.random(_BATCH) < 0.8).astype(np.float32),
    rng.integers(256, size=shape, dtype=np.uint8),
  )


def _traces(agent, rows):
  """{network: (layers with kernels, Trace of arrays)}."""
  found = {}
  rows = tf.nest.map_structure(tf.constant, rows)
  for name, probe in agent.probes(rows).items():
    network = agent.networks[name]
    traced = trace.trace(network, probe.inputs, probe.losses)
    traced = tf.nest.map_structure(lambda tensor: tensor.numpy(), traced)
    found[name] = trace.kernel_layers(network), traced
  return found


@pytest.mark.parametrize('name', _AGENTS)
def test_the_mean_gradient_is_that_of_the_train_step(name):
  _, agent, rows = _agent(name)
  traces = _traces(agent, rows)
  assert set(traces) == set(agent.networks)
  train = tf.function(
    lambda rows: agent.tf_agent.train(agent.experience(rows)).loss,
    autograph=False,
  )
  train(tf.nest.map_structure(tf.constant, rows))
  for network, (layers, traced) in traces.items():
    adam = agent.optimizers[network].inner_optimizer
    assert len(layers) == _NUM_LAYERS.get(name, 3)
    for layer, of in zip(layers, traced.layers):
      # After one train step, the first moment is a tenth of the gradient.
      expected = adam.get_slot(layer.kernel, 'm').numpy() / 0.1
      assert np.abs(expected).max() > 1e-5
      found = of.moments().mean * trace.mask(layer)
      np.testing.assert_allclose(
        found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max()
      )


@pytest.mark.parametrize('name', ['dqn', 'sac', 'nature_cnn', 'impala_resnet'])
def test_each_gradient_is_that_of_its_sample_alone(name):
  _, agent, rows = _agent(name)
  if name == 'sac':
    agent.networks.pop('actor')  # Its noise is by the place in the batch.
    probes = agent.probes
    agent.probes = lambda rows: {
      key: probe for key, probe in probes(rows).items() if key != 'actor'
    }
    rows[:, -6] = 0  # Nor is there noise without a next value.
  whole = _traces(agent, rows)
  squares = {}
  for i in range(_BATCH):
    row = tf.nest.map_structure(lambda array, i=i: array[i : i + 1], rows)
    for network, (_, one) in _traces(agent, row).items():
      for layer, of in enumerate(one.layers):
        gradient = of.moments().mean
        squares[network, layer] = (
          squares.get((network, layer), 0) + gradient**2 / _BATCH
        )
  for (network, layer), expected in squares.items():
    found = whole[network][1].layers[layer].moments().square
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-7)


def _diagnose(agent, config, rows, kinds):
  config = dataclasses.replace(config, diagnostics=kinds)
  return diagnoser.Diagnoser(config, agent).diagnose(rows)


def test_a_diagnosis_is_made_of_its_parts():
  config, agent, rows = _agent('dqn')
  found = _diagnose(agent, config, rows, 'snr,norms,rank')
  [(layers, traced)] = _traces(agent, rows).values()
  masks = [trace.mask(layer) for layer in layers]
  assert 0.4 < 1 - np.concatenate([m.ravel() for m in masks]).mean() < 0.6
  gradients = [
    np.einsum('bi,bj->bij', of.inputs, of.deltas) for of in traced.layers
  ]
  active = np.concatenate([g[:, m] for g, m in zip(gradients, masks)], axis=1)
  everything = np.concatenate([g.reshape(_BATCH, -1) for g in gradients], 1)
  for which, entries in (('active', active), ('all', everything)):
    dead = (entries == 0).all(axis=0)
    mean, std = entries[:, ~dead].mean(0), entries[:, ~dead].std(0)
    ratio = (np.abs(mean) / std).mean()
    assert found[f'SNR/q_network/{which}'] == pytest.approx(ratio, rel=1e-3)
    assert found[f'DeadGradients/q_network/{which}'] == pytest.approx(
      dead.mean(), abs=1e-6
    )
  assert found['Norms/q_network/gradients'] == pytest.approx(
    np.linalg.norm(active.mean(axis=0)), rel=1e-4
  )
  kernels = [layer.kernel.numpy().ravel() for layer in layers]
  assert found['Norms/q_network/weights'] == pytest.approx(
    np.linalg.norm(np.concatenate(kernels)), rel=1e-5
  )
  q_values = agent.networks['q_network'](rows[:, :5])[0].numpy()
  taken = q_values[np.arange(_BATCH), rows[:, 5].astype(int)]
  assert found['Values/q_network/max'] == pytest.approx(taken.max(), rel=1e-5)
  assert found['Values/q_network/std'] == pytest.approx(taken.std(), rel=1e-4)
  assert 1 <= found['Rank/q_network/effective'] <= 8


def test_units_made_dormant_are_counted():
  config, agent, rows = _agent('dqn')
  first = sparsity.sparse_layers(agent.networks['q_network'])[0].layer
  for num_dormant in (0, 5, 12):
    # All 12 units say something, but the first ones.
    first.kernel.assign(0 * first.kernel)
    first.bias.assign([0.0] * num_dormant + [1.0] * (12 - num_dormant))
    found = _diagnose(agent, config, rows, 'dormant')
    [(_, traced)] = _traces(agent, rows).values()
    assert (traced.layers[1].inputs == 0).all(axis=0).sum() == num_dormant
    second = np.abs(traced.layers[2].inputs).mean(axis=0)
    expected = num_dormant + (second == 0).sum()
    assert found['Dormant/q_network/0'] == pytest.approx(expected / 20)


@pytest.mark.parametrize('network', ['nature_cnn', 'impala_resnet'])
def test_of_a_convolution_the_channels_are_the_units(network):
  config, agent, rows = _agent(network, width=0.1)
  [(layers, traced)] = _traces(agent, rows).values()
  first = sparsity.sparse_layers(agent.networks['q_network'])[0].layer
  assert first.kernel.shape[-1] == 3
  first.kernel.assign(0 * first.kernel)
  first.bias.assign([0.0, 1.0, 1.0])
  found = _diagnose(agent, config, rows, 'dormant,rank,snr,norms')
  [(layers, traced)] = _traces(agent, rows).values()
  dormant = []
  for layer, of in zip(layers[:-1], traced.layers):
    if trace.plain(layer).activation is tf.keras.activations.relu:
      axes = tuple(range(of.outputs.ndim - 1))
      dormant.extend((of.outputs == 0).all(axis=axes))
  # Of the residual network, one convolution of each of six blocks has an
  # activation of its own: 2 of 3 channels, 4 of 6.
  num_units = {'nature_cnn': 3 + 6 + 6, 'impala_resnet': 2 * (3 + 6 + 6)}
  assert len(dormant) == num_units[network] + 9
  assert found['Dormant/q_network/0'] == pytest.approx(np.mean(dormant))
  assert 0 <= found['Rank/q_network/effective'] <= 9
  assert found['SNR/q_network/active'] > 0
  assert f'SNR/q_network/{first.name}/active' in found
  assert found['Norms/q_network/gradients'] > 0


def test_only_what_is_asked_for():
  config, agent, rows = _agent('dqn')
  assert set(_diagnose(agent, config, rows, 'churn')) == {
    'Churn/q_network/changed',
    'Churn/q_network/survived',
    'Churn/q_network/ever_active',
  }
  idle = diagnoser.Diagnoser(config, agent)
  assert not any(idle.is_due(env_step) for env_step in range(5000))


@pytest.mark.parametrize('name', ['dqn', 'nature_cnn', 'impala_resnet'])
def test_diagnoses_are_in_float32_at_any_precision(name):
  found = {}
  for precision in ('float32', 'mixed_bfloat16'):
    config, agent, rows = _agent(name, precision=precision)
    found[precision] = _diagnose(agent, config, rows, 'norms,rank')
  expected = found['float32']
  assert expected['Norms/q_network/gradients'] > 0
  for tag in ('Norms/q_network/weights', 'Values/q_network/max'):
    assert found['mixed_bfloat16'][tag] == pytest.approx(
      expected[tag], rel=0.02, abs=0.02
    )


def test_native_kernels_change_nothing():
  config, agent, rows = _agent('sac')
  found = {}
  for name in ('masked', 'native'):
    sparsity.set_backend(name)
    found[name] = _diagnose(agent, config, rows, 'snr,norms')
  for tag, value in found['masked'].items():
    assert found['native'][tag] == pytest.approx(value, rel=1e-2), tag
