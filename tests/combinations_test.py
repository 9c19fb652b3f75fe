"""Agents, methods and networks that are sparse or dense, through the loop."""

import itertools

import pytest

import tf_sparse_rl
from tf_sparse_rl import methods, runs

_TINY = {
  'hidden_units': (16, 16),
  'num_eval_episodes': 1,
  'mask_update_period': 20,
  'summary_period': 50,
  'backend': 'masked',
}
_AGENTS = {
  'dqn': {'env': 'CartPole-v1', 'initial_collect_env_steps': 50},
  'sac': {
    'env': 'Pendulum-v1',
    'initial_collect_env_steps': 50,
    'batch_size': 8,
  },
  'td3': {
    'env': 'Pendulum-v1',
    'initial_collect_env_steps': 50,
    'batch_size': 8,
  },
  'ppo': {
    'env': 'CartPole-v1',
    'rollout_env_steps': 100,
    'batch_size': 50,
    'num_epochs': 2,
  },
}
_DENSE = {
  'dqn': (None,),
  'sac': (None, 'actor_sparsity', 'critic_sparsity'),
  'td3': (None, 'actor_sparsity', 'critic_sparsity'),
  'ppo': (None, 'actor_sparsity', 'value_sparsity'),
}
_MASKS = (
  {'distribution': 'erk'},
  {'distribution': 'er'},
  {'distribution': 'uniform', 'n_of_m': (2, 4), 'sparsity': 0.5},
  {'distribution': 'uniform', 'block_shape': (2, 1)},
)
_ALL = [
  (agent, method, dense, masks)
  for agent, method, masks in itertools.product(
    _AGENTS, methods.METHODS, range(4)
  )
  for dense in _DENSE[agent]
  if method != 'dense' or (masks == 0 and dense is None)
  if not _MASKS[masks].keys() & set(methods.METHODS[method].refuses)
  if method != 'adaptive' or (agent in ('dqn', 'sac') and dense is None)
]


def _pairwise(combinations):
  """Some that have every pair of values there is, most new pairs first."""

  def pairs(combination):
    return {*itertools.combinations(enumerate(combination), 2)}

  left, chosen = set().union(*map(pairs, combinations)), []
  while left:
    chosen.append(max(combinations, key=lambda c: len(pairs(c) & left)))
    left -= pairs(chosen[-1])
  return chosen


# Each network dense once, each kind of method, in the usual suite.
_USUAL = [
  ('dqn', 'neuroplastic', None, 3),
  ('ppo', 'rigl', 'value_sparsity', 0),
  ('ppo', 'straight_through', 'actor_sparsity', 1),
  ('sac', 'srigl', 'actor_sparsity', 0),
  ('sac', 'global_prune', 'critic_sparsity', 1),
]


def _assert_trains(path, agent, method, dense, masks):
  fields = {**_AGENTS[agent], **_TINY}
  if method != 'dense':
    fields |= _MASKS[masks]
  if dense:
    fields[dense] = 0.0
    fields['diagnostics'] = 'churn,dormant,norms,rank,snr'
  if method == 'adaptive':
    fields['selection_period'] = 20
  elif agent in ('sac', 'td3') and masks >= 2 and dense != 'actor_sparsity':
    fields['custom_sparsity'] = 'actor/hidden_0=0'  # 3 inputs do not divide.
  run = tf_sparse_rl.train(
    path, agent=agent, method=method, num_env_steps=300, **fields
  )
  assert run.is_finished and run.summary.env_steps == 300
  last = runs.RunDir(path).read_results()[-1]
  assert (last.sparsity > 0) == (method != 'dense')


@pytest.mark.parametrize(('agent', 'method', 'dense', 'masks'), _USUAL)
def test_some_combinations(agent, method, dense, masks, tmp_path):
  _assert_trains(tmp_path, agent, method, dense, masks)


@pytest.mark.slow
@pytest.mark.parametrize(('agent', 'method', 'dense', 'masks'), _pairwise(_ALL))
def test_every_pair(agent, method, dense, masks, tmp_path):
  _assert_trains(tmp_path, agent, method, dense, masks)
