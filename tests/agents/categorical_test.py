"""C51: projections by hand, a loss in NumPy, a run that learns and resumes."""

import numpy as np
import pytest
import tensorflow as tf

import tf_sparse_rl
from tests import tiny
from tf_sparse_rl import envs, flags, sparsity
from tf_sparse_rl.agents import losses, registry
from tf_sparse_rl.networks import atoms as atoms_lib

_SPEC = envs.EnvSpec('CartPole-v1', 4, 2, 500)
_BATCH, _ATOMS = 16, 7
_DOPAMINE = np.linspace(-10, 10, 51)


def _config(**changes):
  values = {
    'num_env_steps': 400,
    'initial_collect_env_steps': 100,
    'hidden_units': (24, 16),
    'batch_size': _BATCH,
    'num_atoms': _ATOMS,
    'min_q_value': -1.5,
    'max_q_value': 2.0,
    'sparsity': 0.8,
    'gamma': 0.9,
  }
  return flags.make_config({**values, **changes})


def _rows(rng):
  rows = rng.normal(size=(_BATCH, 11)).astype(np.float32)
  rows[:, 4] = rng.integers(2, size=_BATCH)
  rows[:, 6] = rng.random(_BATCH) < 0.7
  return rows


@pytest.mark.parametrize(
  ('reward', 'discount', 'expected'),
  [
    # A terminal reward of 1 lies between the atoms 0.8 and 1.2.
    (1.0, 0.0, {0.8: 0.5, 1.2: 0.5}),
    # All mass at the atom 0, moved by 0.1.
    (0.1, 1.0, {0.0: 0.75, 0.4: 0.25}),
    (-0.8, 1.0, {-0.8: 1.0}),
    (25.0, 1.0, {10.0: 1.0}),
    (-25.0, 0.0, {-10.0: 1.0}),
  ],
)
def test_projections_by_hand(reward, discount, expected):
  weights = np.float32(_DOPAMINE == 0)[np.newaxis]
  returns = tf.constant([reward + discount * _DOPAMINE], tf.float32)
  [found] = losses.projected(returns, weights, np.float32(_DOPAMINE)).numpy()
  by_hand = np.zeros(51)
  for atom, mass in expected.items():
    by_hand[np.abs(_DOPAMINE - atom).argmin()] = mass
  np.testing.assert_allclose(found, by_hand, atol=1e-5)


def test_a_projection_keeps_mass_and_mean_within_the_atoms():
  rng = np.random.default_rng(0)
  atoms = np.linspace(-1, 3, 9, dtype=np.float32)
  returns = rng.uniform(-1, 3, (5, 20)).astype(np.float32)
  weights = rng.dirichlet(np.ones(20), 5).astype(np.float32)
  found = losses.projected(returns, weights, atoms).numpy()
  np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)
  means = (returns * weights).sum(1)
  np.testing.assert_allclose(found @ atoms, means, rtol=1e-4, atol=1e-6)


def test_expected_values_by_hand():
  layer = atoms_lib.ExpectedValues(2, 3, 0.0, 4.0)
  # Masses 1/2, 1/4, 1/4 and 0, 0, 1 of the atoms 0, 2, 4.
  logits = np.float32([[np.log(2), 0, 0, 0, 0, 100]])
  np.testing.assert_allclose(layer(logits), [[1.5, 4.0]], rtol=1e-6)
  copy = type(layer).from_config(layer.get_config())
  np.testing.assert_array_equal(copy(logits), layer(logits))
  assert copy.compute_output_shape([None, 6]).as_list() == [None, 2]


def _softmax(logits):
  weights = np.exp(logits - logits.max(-1, keepdims=True))
  return weights / weights.sum(-1, keepdims=True)


def _distributions(network, observations):
  """The masses of atoms in NumPy, `[batch, actions, atoms]`."""
  x = observations
  weights = [v.numpy() for v in network.trainable_variables]
  for kernel, bias in zip(weights[:-2:2], weights[1:-2:2]):
    x = np.maximum(x @ kernel + bias, 0)
  return _softmax((x @ weights[-2] + weights[-1]).reshape(-1, 2, _ATOMS))


def _shared_out(value, atoms):
  """Bellemare et al. 2017, algorithm 1: the shares of a return."""
  place = (np.clip(value, atoms[0], atoms[-1]) - atoms[0]) / (
    atoms[1] - atoms[0]
  )
  low, high = int(np.floor(place)), int(np.ceil(place))
  shares = np.zeros(len(atoms))
  shares[low] += 1.0 if low == high else high - place
  shares[high] += 0.0 if low == high else place - low
  return shares


@pytest.mark.parametrize('double_dqn', [False, True])
def test_the_loss_of_a_batch_in_numpy(double_dqn):
  config = _config(double_dqn=double_dqn, learning_rate=0.05)
  agent = registry.build(config, _SPEC)
  rng = np.random.default_rng(1)
  for _ in range(3):  # Until online and target differ.
    agent.train(tf.constant(_rows(rng)))
  online = agent.networks['q_network']
  target = agent.targets['q_network']
  rows = _rows(rng)
  rows[::2, 6] *= 0.9**2  # As over three env steps.
  action, reward, discount = rows[:, 4].astype(int), rows[:, 5], rows[:, 6]
  atoms = np.linspace(-1.5, 2, _ATOMS)
  now = _distributions(online, rows[:, :4])
  following = _distributions(target, rows[:, 7:])
  picking = following
  if double_dqn:
    picking = _distributions(online, rows[:, 7:])
    assert ((picking @ atoms).argmax(1) != (following @ atoms).argmax(1)).any()
  best = (picking @ atoms).argmax(1)
  expected = []
  for i in range(_BATCH):
    shares = sum(
      mass * _shared_out(reward[i] + 0.9 * discount[i] * atom, atoms)
      for mass, atom in zip(following[i, best[i]], atoms)
    )
    expected.append(-(shares * np.log(now[i, action[i]])).sum())
  probe = agent.probes(tf.constant(rows))['q_network']
  time_step = agent.experience(tf.constant(rows)).time_step
  outputs = agent.tf_agent.outputs(online, time_step)
  np.testing.assert_allclose(probe.losses(outputs), expected, rtol=1e-4)
  np.testing.assert_allclose(
    probe.values(outputs), (now @ atoms)[np.arange(_BATCH), action], rtol=1e-4
  )
  scalars = agent.train(tf.constant(rows))
  np.testing.assert_allclose(
    scalars['Losses/td_loss'], np.mean(expected), rtol=1e-4
  )


def test_a_network_of_images_learns_logits():
  spec = envs.EnvSpec(
    'ALE/Pong-v5', 1024, 3, None, observation_shape=(16, 16, 4)
  )
  config = _config(
    network='nature_cnn',
    width=0.07,  # 2, 4 and 4 channels, 35 units.
    hidden_units=(512,),
    method='rigl',
    learning_rate=3e-3,
  )
  agent = registry.build(config, spec)
  rng = np.random.default_rng(0)
  rows = (
    rng.integers(256, size=(_BATCH, 16, 16, 4), dtype=np.uint8),
    rng.integers(3, size=_BATCH, dtype=np.int32),
    rng.normal(size=_BATCH).astype(np.float32),
    np.zeros(_BATCH, np.float32),  # Terminated: between two atoms at most.
    rng.integers(256, size=(_BATCH, 16, 16, 4), dtype=np.uint8),
  )
  found = [
    float(agent.train(tuple(map(tf.constant, rows)))['Losses/td_loss'])
    for _ in range(30)
  ]
  assert found[0] == pytest.approx(np.log(_ATOMS), abs=0.2)
  assert found[-1] < found[0] - 0.2
  *_, last = sparsity.sparse_layers(agent.networks['q_network'])
  assert last.mask.shape[-1] == 3 * _ATOMS
  assert agent.act_greedily(rows[0]).shape == (_BATCH,)


@pytest.mark.parametrize(
  'changes, expected',
  [
    ({'num_atoms': 0}, 'from 1 to 10000 atoms'),
    ({'min_q_value': 3.0}, 'min_q_value < max_q_value'),
    ({'agent': 'sac', 'num_atoms': 51}, 'num_atoms with agent=dqn only'),
  ],
)
def test_what_does_not_fit_is_refused(changes, expected):
  with pytest.raises(ValueError, match=expected):
    _config(**changes)


def test_one_atom_is_dqn():
  agent = registry.build(_config(num_atoms=1), _SPEC)
  assert [layer.name for layer in agent.policy_layers][-1] == 'output'


# The parts of Rainbow that Dopamine's has, and units that are recycled.
_RAINBOW = {
  'num_atoms': 11,
  'max_q_value': 50.0,
  'min_q_value': 0.0,
  'n_step': 3,
  'n_step_begin_env_step': 150,
  'priority_exponent': 0.5,
}


@pytest.mark.parametrize(
  'changes',
  [
    {'backend': 'native', 'redo_period': 40, 'reset_period': 130},
    pytest.param({'backend': 'masked'}, marks=pytest.mark.slow),
    pytest.param(
      {'method': 'adaptive', 'num_networks': 3, 'target_update_period': 20},
      marks=pytest.mark.slow,
    ),
  ],
)
def test_a_stopped_run_ends_as_if_nothing_had_been(tmp_path, changes):
  fields = {
    **tiny.RUN,
    'env': 'CartPole-v1',
    'sparsity': 0.5,
    'num_env_steps': 400,
    'replay_capacity': 200,
    'diagnostics': 'churn,dormant,norms,rank,snr',
    'diagnostics_period': 100,
    **_RAINBOW,
    'method': 'rigl',
    **changes,
  }
  untouched = tf_sparse_rl.train(tmp_path / 'untouched', **fields)
  stopped = tf_sparse_rl.train(
    tmp_path / 'run', callbacks=[tiny.StopAt(251)], **fields
  )
  assert not stopped.is_finished
  resumed = tf_sparse_rl.train(tmp_path / 'run', **fields)
  assert list(resumed.results()['returns']) == list(
    untouched.results()['returns']
  )
  last = 'checkpoints/env_step_000000000400/agent.data-00000-of-00001'
  saved = [
    (tmp_path / name / last).read_bytes() for name in ('run', 'untouched')
  ]
  assert saved[0] == saved[1]
  formats = ['saved_model', 'tflite', 'onnx', 'npz']
  report = resumed.export(tmp_path / 'out', formats)
  assert [row.name for row in report.rows] == formats


@pytest.mark.slow
@pytest.mark.parametrize('priority_exponent', [0.0, 0.5])
def test_it_learns_cartpole(priority_exponent, tmp_path):
  run = tf_sparse_rl.train(
    tmp_path,
    env='CartPole-v1',
    method='rigl',
    sparsity=0.9,
    num_env_steps=6000,
    num_atoms=51,
    min_q_value=0.0,
    max_q_value=100.0,
    n_step=3,
    priority_exponent=priority_exponent,
    eval_period=3000,
    num_eval_episodes=10,
  )
  returns = list(run.results()['return_mean'])
  # Of random actions some 20.
  assert returns[0] < 60 and returns[-1] > 150
