"""ReDo and resets, by hand: what is made new, and what is left alone."""

import types

import numpy as np
import pytest
import tensorflow as tf

import tf_sparse_rl
from tests import tiny
from tf_sparse_rl import envs, flags, sparsity
from tf_sparse_rl.agents import registry
from tf_sparse_rl.diagnostics import trace
from tf_sparse_rl.sparsity import optimizer_slots
from tf_sparse_rl.training import plasticity

_SPEC = envs.EnvSpec('CartPole-v1', 4, 2, 500)
_ROW = 4 + 1 + 1 + 1 + 4
_NETWORK = 'q_network'


def _parts(**changes):
  """(Plasticity, its agent), of DQN; Adam's moments are 1 everywhere."""
  values = {
    'method': 'static',
    'sparsity': 0.5,
    'hidden_units': (12, 8),
    'batch_size': 6,
    'redo_period': 100,
  }
  config = flags.make_config({**values, **changes})
  agent = registry.build(config, _SPEC)
  parts = plasticity.Plasticity(config, agent)
  for variable, slots in _slots(agent):
    mask = sparsity.mask_of(variable)
    for slot in slots:
      slot.assign(tf.ones_like(slot) if mask is None else mask)
  return parts, agent


def _slots(agent):
  """(variable, its slots) of the Q-network."""
  [(optimizer, _)] = agent.descents
  variables = agent.networks[_NETWORK].trainable_variables
  adam = getattr(optimizer, 'inner_optimizer', optimizer)
  if adam is not optimizer:
    optimizer.build(variables)
  else:
    optimizer_slots.build(adam, variables)
  return list(zip(variables, optimizer_slots.find(adam, variables)))


def _values(agent):
  return [
    [v.numpy() for v in (variable, *slots)] for variable, slots in _slots(agent)
  ]


def _rows():
  rng = np.random.default_rng(0)
  rows = np.float32(rng.normal(size=(50, _ROW)))
  rows[:, 4] = rng.integers(2, size=50)
  return rows


def _wake_all(agent):
  """Raises what comes before each hidden activation: no unit is dormant."""
  for call in _calls(agent)[:-1]:
    last = call.norms[0].beta if call.norms else call.layer.bias
    last.assign_add(3 * tf.ones_like(last))


@pytest.mark.parametrize('layer_norm', [False, True])
def test_a_dormant_unit_is_made_new_and_nothing_else(layer_norm):
  parts, agent = _parts(layer_norm=layer_norm, redo_threshold=0.0)
  _wake_all(agent)
  first, second, _ = _calls(agent)
  # Unit 5 of the first layer says 0, whatever it is asked.
  last = first.norms[0].beta if layer_norm else first.layer.bias
  last.assign(np.where(np.arange(12) == 5, -30, last))
  before = _values(agent)
  found = parts.recycle(_rows(), train_step=100)
  assert found == {f'Dormant/{_NETWORK}/0': 1 / (12 + 8)}
  after = _values(agent)
  # Incoming weights within the mask, none of them as it was.
  kernel, old = after[0][0][:, 5], before[0][0][:, 5]
  np.testing.assert_array_equal(kernel != 0, old != 0)
  assert not np.any((kernel == old) & (old != 0))
  # The bias, and LayerNorm's scale and shift, are as at the start.
  starts = [0.0, 1.0, 0.0] if layer_norm else [0.0]
  assert [after[1 + i][0][5] for i in range(len(starts))] == starts
  assert not second.layer.kernel.numpy()[5].any()
  places = [(..., 5)] * (1 + len(starts)) + [(5,)]
  for i, (old, new) in enumerate(zip(before, after)):
    made_new = np.zeros(old[0].shape, bool)
    if i < len(places):
      made_new[places[i]] = True
    for was, now in zip(old, new):
      np.testing.assert_array_equal(was[~made_new], now[~made_new])
    for moments in new[1:]:
      assert not moments[made_new].any()
      assert moments.any()


def _calls(agent):
  rows = tf.constant(_rows())
  probe = agent.probes(rows)[_NETWORK]
  return trace.forward(agent.networks[_NETWORK], probe.inputs)


def test_where_no_unit_is_dormant_nothing_changes():
  parts, agent = _parts(redo_threshold=0.0)
  _wake_all(agent)
  before = _values(agent)
  assert parts.recycle(_rows(), 0) == {f'Dormant/{_NETWORK}/0': 0.0}
  tf.nest.map_structure(np.testing.assert_array_equal, before, _values(agent))


def test_the_new_weights_are_those_of_the_seed_and_the_train_step():
  kernels = []
  for train_step in (100, 100, 200):
    parts, agent = _parts(redo_threshold=100.0)  # All are dormant.
    assert parts.recycle(_rows(), train_step)[f'Dormant/{_NETWORK}/100'] == 1
    first, *others = agent.networks[_NETWORK].layers
    kernels.append(first.kernel.numpy())
    # Outgoing from one and incoming to another: 0.
    assert not any(np.any(layer.kernel) for layer in others)
  np.testing.assert_array_equal(kernels[0], kernels[1])
  assert np.any(kernels[0] != kernels[2])


def test_all_made_new_is_as_it_began():
  """The variance that the initialiser gives; sparse, up to the fan-in left."""
  parts, agent = _parts(
    redo_threshold=100.0, hidden_units=(400, 400), distribution='uniform'
  )
  before = agent.networks[_NETWORK].layers[0].kernel.numpy()
  parts.recycle(_rows(), 100)
  after = agent.networks[_NETWORK].layers[0].kernel.numpy()
  np.testing.assert_allclose(after.std(), before.std(), rtol=0.1)
  assert np.count_nonzero(after) == np.count_nonzero(before)


def test_channels_are_found_behind_a_flattened_image_and_before_actions():
  units = np.array([True, False, False])
  dense, conv = tf.keras.layers.Dense(1), tf.keras.layers.Conv2D(2, 2)
  dense.build([None, 2 * 2 * 3 + 1])
  conv.build([None, 4, 4, 3])
  found = plasticity.inputs_of(units, (9, 2, 2, 3), dense)
  np.testing.assert_array_equal(np.flatnonzero(found), [0, 3, 6, 9])
  np.testing.assert_array_equal(
    plasticity.inputs_of(units, (9, 2, 2, 3), conv), units
  )
  # As Keras flattens: the first channel of each pixel is where it was found.
  images = np.zeros((1, 2, 2, 3))
  images[..., 0] = 1
  flat = tf.keras.layers.Flatten()(images).numpy()[0]
  np.testing.assert_array_equal(flat != 0, found[:-1])


def test_the_last_layers_of_network_and_target_are_reset():
  parts, agent = _parts(reset_period=10, reset_layers=2, redo_period=0)
  before = _values(agent)
  target = agent.targets[_NETWORK]
  first = target.layers[0].kernel.numpy()
  parts.reset(train_step=10)
  after = _values(agent)
  tf.nest.map_structure(np.testing.assert_array_equal, before[:2], after[:2])
  for (old, *_), (new, *moments) in zip(before[2::2], after[2::2]):
    assert not np.any((old == new) & (old != 0))
    np.testing.assert_array_equal(old != 0, new != 0)
    assert not np.any(moments)
  np.testing.assert_array_equal(after[-1][0], np.float32([-0.2, -0.2]))
  np.testing.assert_array_equal(target.layers[0].kernel, first)
  for layer, online in zip(target.layers[1:], after[2::2]):
    np.testing.assert_array_equal(layer.kernel, online[0])


def test_when_it_is_due():
  # Of the train steps 1, 2, ... after each multiple of the period.
  assert [s for s in range(1, 25) if plasticity.is_due(10, s, 1)] == [10, 20]
  # Of 8 train steps at a time after those with a multiple among them.
  steps = range(8, 49, 8)
  assert [s for s in steps if plasticity.is_due(10, s, 8)] == [16, 24, 32, 40]
  assert not plasticity.is_due(10, 20, 0) and not plasticity.is_due(0, 10, 1)


@pytest.mark.parametrize(
  'changes, expected',
  [
    ({'network': 'my:layers'}, 'network of our own'),
    ({'num_gpus': 2, 'batch_size': 8}, 'on one device'),
  ],
)
def test_what_cannot_be_made_new_is_refused(changes, expected):
  with pytest.raises(ValueError, match=expected):
    flags.make_config({'redo_period': 5, **changes})


def test_a_method_that_trains_what_masks_hide_is_refused():
  with pytest.raises(ValueError, match='Received: StraightThrough'):
    _parts(method='straight_through')


def test_without_periods_there_is_nothing_to_do():
  assert plasticity.make(flags.make_config({}), types.SimpleNamespace()) is None


@pytest.mark.slow
@pytest.mark.parametrize('backend', ['fused', 'masked'])
@pytest.mark.parametrize('agent', ['dqn', 'sac', 'ppo'])
def test_a_stopped_run_ends_as_if_nothing_had_been(tmp_path, agent, backend):
  fields = {
    'agent': agent,
    'env': 'Pendulum-v1' if agent == 'sac' else 'CartPole-v1',
    'num_env_steps': 384,
    'hidden_units': (16, 16),
    'batch_size': 16,
    'eval_period': 192,
    'num_eval_episodes': 2,
    'mask_update_period': 50,
    'redo_period': 40,
    'redo_threshold': 0.4,
    'reset_period': 70,
    'reset_layers': 2,
    'layer_norm': backend == 'masked',
    'backend': backend,
    **(
      {'rollout_env_steps': 64, 'num_epochs': 2}
      if agent == 'ppo'
      else {'initial_collect_env_steps': 100}
    ),
  }
  tf_sparse_rl.train(tmp_path / 'untouched', **fields)
  tf_sparse_rl.train(tmp_path / 'run', callbacks=[tiny.StopAt(257)], **fields)
  tf_sparse_rl.train(tmp_path / 'run', **fields)
  last = 'checkpoints/env_step_000000000384/agent.data-00000-of-00001'
  found, expected = (
    (tmp_path / name / last).read_bytes() for name in ('run', 'untouched')
  )
  assert found == expected


@pytest.mark.slow
def test_a_run_with_resets_and_recycled_units_learns_cartpole(tmp_path):
  run = tf_sparse_rl.train(
    tmp_path,
    agent='dqn',
    env='CartPole-v1',
    method='rigl',
    sparsity=0.9,
    num_env_steps=20_000,
    hidden_units=(128, 128),
    redo_period=1000,
    reset_period=6000,
    eval_period=1000,
    num_eval_episodes=5,
  )
  # Of a random policy some 20.
  assert max(run.results()['return_mean']) > 300
