"""Sparse TD3: delayed updates, target noise, masks, and a run that resumes."""

import numpy as np
import pytest
import tensorflow as tf

import tf_sparse_rl
from tests import tiny
from tf_sparse_rl import envs, flags, sparsity
from tf_sparse_rl.agents import actor_critic, losses, registry
from tf_sparse_rl.networks import heads
from tf_sparse_rl.training import learner

_SPEC = envs.EnvSpec('HalfCheetah-v5', 5, None, 1000, (-1.0, -2.0), (1.0, 0.5))
_BATCH, _ROW = 16, 5 + 2 + 1 + 1 + 5


def _config(**changes):
  values = {
    'agent': 'td3',
    'num_env_steps': 400,
    'initial_collect_env_steps': 100,
    'hidden_units': (24, 16),
    'batch_size': _BATCH,
    'mask_update_period': 6,
    'mask_update_end_train_step': 24,
    'prune_begin_train_step': 6,
    'prune_end_train_step': 24,
    'target_update_tau': 0.1,
    'sparsity': 0.8,
  }
  return flags.make_config({**values, **changes})


def _rows(rng):
  rows = rng.normal(size=(_BATCH, _ROW)).astype(np.float32)
  rows[:, 5:7] = rng.uniform([-1, -2], [1, 0.5], (_BATCH, 2))
  rows[:, 8] = rng.random(_BATCH) < 0.7
  return rows


def _networks(agent):
  """{name: network} of those that are trained and of the targets."""
  tf_agent = agent.tf_agent
  return {
    **agent.networks,
    'target_actor': tf_agent._target_actor_network,
    'target_critic_1': tf_agent._target_critic_network_1,
    'target_critic_2': tf_agent._target_critic_network_2,
  }


def _values(networks):
  return {k: [v.numpy() for v in n.variables] for k, n in networks.items()}


def _changed(before, after):
  return {
    name
    for name in before
    if any(np.any(a != b) for a, b in zip(before[name], after[name]))
  }


def _masks(network):
  return [layer.mask.numpy() for layer in sparsity.sparse_layers(network)]


def test_a_hand_computed_head():
  head = heads.Deterministic(_SPEC, exploration_noise=0.1)
  outputs = tf.constant([[0.0, 0.0], [9.0, 9.0]])
  np.testing.assert_allclose(head(outputs)[0], [0, -0.75])
  np.testing.assert_allclose(head(outputs)[1], [1, 0.5], atol=1e-6)
  # Half the range of the second entry is 1.25.
  acted = head.act(outputs, tf.constant([[2.0, 2.0], [1.0, 1.0]]))
  np.testing.assert_allclose(acted, [[0.2, -0.5], [1, 0.5]], atol=1e-6)


def test_losses_by_hand():
  q_values = [tf.constant([1.0, 4.0]), tf.constant([2.0, 3.0])]
  np.testing.assert_array_equal(losses.clipped_double_q(q_values), [1, 3])
  np.testing.assert_array_equal(
    losses.deterministic_actor_losses(q_values[0]), [-1, -4]
  )


def test_target_actions_are_smoothed_and_within_bounds():
  config = _config(method='dense', target_noise=3.0, target_noise_clip=0.25)
  agent = registry.build(config, _SPEC)
  observations = tf.constant(_rows(np.random.default_rng(0))[:, :5])
  greedy, _ = agent.tf_agent._target_actor_network(observations)
  noise = 3.0 * actor_critic.train_noise(
    config.seed, 0, agent.tf_agent.train_step_counter, [_BATCH, 2]
  )
  expected = greedy + np.clip(noise, -0.25, 0.25) * np.array([1, 1.25])
  expected = np.clip(expected, [-1, -2], [1, 0.5])
  found = agent.tf_agent.target_actions(observations)
  np.testing.assert_allclose(found, expected, atol=1e-6)
  assert np.abs(found - greedy).max() > 0.2


@pytest.mark.parametrize(
  'method',
  [
    *('rigl', 'prune'),
    pytest.param('dense', marks=pytest.mark.slow),
    pytest.param('set', marks=pytest.mark.slow),
  ],
)
def test_what_moves_at_which_train_step(method):
  """Masks of targets are those online; the learner knows when they move."""
  config = _config(method=method, actor_update_period=3, target_update_period=2)
  agent = registry.build(config, _SPEC)
  networks = _networks(agent)
  critics = {'critic_1', 'critic_2'}
  targets = {'target_actor', 'target_critic_1', 'target_critic_2'}
  learn = learner.ReplayLearner(
    agent, _BATCH, tf.TensorSpec([_ROW]), tf.TensorSpec([5])
  )
  rng, observation = np.random.default_rng(0), np.zeros((1, 5), np.float32)
  moved = set()
  for step in range(1, 31):
    before = _values(networks)
    masks = {name: _masks(network) for name, network in networks.items()}
    learn.train_on(_rows(rng), observation, agent.noise(rng, 1))
    may_change = learn.masks_changed()
    changed = _changed(before, _values(networks))
    expected = critics | ({'actor'} if step % 3 == 0 else set())
    expected |= targets if step % 2 == 0 else set()
    if not may_change:
      # The target of an actor that has not moved yet has nowhere to go.
      assert changed - {'target_actor'} == expected - {'target_actor'}, step
    for name, network in networks.items():
      now = _masks(network)
      if not may_change:
        np.testing.assert_equal(now, masks[name])
      elif any(np.any(a != b) for a, b in zip(now, masks[name])):
        moved.add((name, step))
      layers = sparsity.sparse_layers(network)
      for layer, mask in zip(layers, now):
        assert not np.any(layer.kernel.numpy()[mask == 0])
      if name in targets:
        online = network_of(name, networks)
        np.testing.assert_equal(now, _masks(online))
  if method == 'dense':
    assert not moved
    return
  steps = {name: {s for n, s in moved if n == name} for name in networks}
  # The critics' optimizer counts from 0; the actor's takes every third step,
  # and its schedule of 6 train steps is 2 of its own.
  begin = 7 if method == 'prune' else 1
  assert steps['critic_1'] <= set(range(begin, 26, 6)) and steps['critic_1']
  actor_begin = 9 if method == 'prune' else 3
  assert steps['actor'] <= set(range(actor_begin, 31, 6)) and steps['actor']
  for name in ('actor', *critics):
    assert steps[f'target_{name}'] == steps[name]


def network_of(target, networks):
  """The online network of a target."""
  return networks[target.removeprefix('target_')]


# SimBa, whose units are recycled and whose last layers are reset.
_MADE_NEW = {
  'network': 'simba',
  'actor_hidden_units': (16,),
  'redo_period': 40,
  'redo_threshold': 0.4,
  'reset_period': 130,
}


@pytest.mark.parametrize(
  'backend, changes',
  [
    ('native', _MADE_NEW),
    pytest.param('fused', {}, marks=pytest.mark.slow),
    pytest.param('native', {}, marks=pytest.mark.slow),
    pytest.param('masked', {}, marks=pytest.mark.slow),
  ],
)
def test_a_stopped_run_ends_as_if_nothing_had_been(tmp_path, backend, changes):
  fields = {
    'agent': 'td3',
    'env': 'Pendulum-v1',
    'method': 'rigl',
    'sparsity': 0.5,
    'hidden_units': (16, 16),
    'batch_size': 8,
    'num_env_steps': 400,
    'initial_collect_env_steps': 100,
    'eval_period': 200,
    'num_eval_episodes': 2,
    'mask_update_period': 50,
    'diagnostics': 'churn,dormant,norms,rank,snr',
    'diagnostics_period': 100,
    'backend': backend,
    'n_step': 3,
    'n_step_begin_env_step': 170,
    'dynamic_replay': True,
    'dynamic_replay_period': 50,
    'max_policy_distance': 0.01,
    'min_replay_size': 220,
    **changes,
  }
  untouched = tf_sparse_rl.train(tmp_path / 'untouched', **fields)
  stopped = tf_sparse_rl.train(
    tmp_path / 'run', callbacks=[tiny.StopAt(251)], **fields
  )
  assert not stopped.is_finished
  resumed = tf_sparse_rl.train(tmp_path / 'run', **fields)
  for column in ('env_step', 'train_step', 'returns', 'sparsity', 'nonzero'):
    found, expected = resumed.results()[column], untouched.results()[column]
    assert list(found) == list(expected), column
  last = 'checkpoints/env_step_000000000400/agent.data-00000-of-00001'
  saved = [
    (tmp_path / name / last).read_bytes() for name in ('run', 'untouched')
  ]
  assert saved[0] == saved[1]
  # Each network by itself: two critics and an actor, targets not counted.
  assert resumed.summary.sparsity == pytest.approx(0.5, abs=0.01)


@pytest.mark.slow
def test_it_learns_pendulum_with_all_of_rlx2(tmp_path):
  run = tf_sparse_rl.train(
    tmp_path,
    agent='td3',
    env='Pendulum-v1',
    method='rigl',
    distribution='er',
    sparsity=0.8,
    hidden_units=(64, 64),
    num_env_steps=10_000,
    initial_collect_env_steps=1000,
    mask_update_period=500,
    reward_scale=0.1,
    learning_rate=1e-3,
    batch_size=64,
    n_step=3,
    n_step_begin_env_step=3000,
    dynamic_replay=True,
    dynamic_replay_period=500,
    min_replay_size=2000,
    grow_batches=4,
    eval_period=2000,
    num_eval_episodes=10,
    backend='masked',
    seed=1,  # Seed 0 ends at the bounds of the actions, near -1500.
  )
  returns = list(run.results()['return_mean'])
  # Of a policy that does nothing some -1200; of a good one -150.
  assert returns[0] < -800 and max(returns) > -300


def test_several_replicas_are_refused(two_replicas):
  with two_replicas.scope(), pytest.raises(ValueError, match='num_gpus'):
    registry.build(_config(method='dense'), _SPEC)
