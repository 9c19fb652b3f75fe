"""Runs that start with the networks of another."""

import json
import shutil

import numpy as np
import pytest

from tests import tiny
from tf_sparse_rl import callbacks, envs, runs, sparsity
from tf_sparse_rl import config as config_lib
from tf_sparse_rl.agents import registry
from tf_sparse_rl.training import checkpoints, loop, warm_start


@pytest.fixture(
  name='source', params=['tiny_run', 'tiny_sac_run', 'tiny_ppo_run']
)
def source_fixture(request):
  return request.getfixturevalue(request.param)


def _start(source, **changes):
  """A new agent that begins as the source has ended; (agent, origin)."""
  values = {
    **config_lib.to_dict(source.config),
    'seed': 5,
    'init_from': str(source.run_dir.path),
    **changes,
  }
  values = {
    k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
  }
  config = config_lib.make_config(values)
  env = envs.make(config)
  agent = registry.build(config, env.spec)
  return agent, warm_start.start(config, agent, env.spec)


def _kernels(network):
  return [x.kernel.numpy() for x in sparsity.sparse_layers(network)]


def test_networks_are_those_of_the_other_run(source):
  agent, origin = _start(source)
  assert origin == {
    'init_from': str(source.run_dir.path.resolve()),
    'env_step': 600,
    'masks': list(agent.networks),
  }
  for name, network in agent.networks.items():
    other = source.outcome.agent.networks[name]
    for a, b in zip(network.variables, other.variables, strict=True):
      np.testing.assert_array_equal(a.numpy(), b.numpy())
  for a, b in zip(agent.scales, source.outcome.agent.scales, strict=True):
    for x, y in zip(a.variables, b.variables, strict=True):
      np.testing.assert_array_equal(x.numpy(), y.numpy())
  assert agent.train_step == 0
  spec = agent.tf_agent.time_step_spec.observation
  observations = np.float32(
    np.random.default_rng(0).normal(size=(9, *spec.shape))
  )
  np.testing.assert_array_equal(
    agent.act_greedily(observations),
    source.outcome.agent.act_greedily(observations),
  )


def test_targets_are_copies(tiny_run):
  agent, _ = _start(tiny_run)
  target = agent.tf_agent._target_q_network
  for a, b in zip(target.variables, agent.networks['q_network'].variables):
    np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_slots_are_taken_over_if_asked_for(source):
  agent, _ = _start(source, init_optimizer=True)
  pairs = zip(agent.descents, source.outcome.agent.descents, strict=True)
  for (optimizer, _), (other, _) in pairs:
    slots = (
      [v for v in optimizer.variables if v.shape.rank]
      if isinstance(optimizer, sparsity.SparseOptimizer)
      else optimizer.variables()[1:]
    )
    others = (
      [v for v in other.variables if v.shape.rank]
      if isinstance(other, sparsity.SparseOptimizer)
      else other.variables()[1:]
    )
    assert len(slots) == len(others) > 0
    for a, b in zip(slots, others):
      np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert int(optimizer.iterations) == 0 < int(other.iterations)
  if source.config.agent == 'sac':
    assert float(agent.tf_agent.alpha) == float(
      source.outcome.agent.tf_agent.alpha
    )
    without, _ = _start(source)
    assert float(without.tf_agent.alpha) != float(agent.tf_agent.alpha)


@pytest.mark.parametrize(
  'changes', [{'sparsity': 0.5}, {'block_shape': (2, 1)}, {'method': 'prune'}]
)
def test_a_mask_that_does_not_agree_stays_and_cuts(tiny_run, changes):
  agent, origin = _start(
    tiny_run,
    **changes,
    **dict.fromkeys(('prune_begin_train_step', 'prune_end_train_step')),
    sparsity_aware_init=None,
  )
  assert origin['masks'] == []
  [network], [other] = (
    agent.networks.values(),
    tiny_run.outcome.agent.networks.values(),
  )
  for layer, kernel in zip(sparsity.sparse_layers(network), _kernels(other)):
    mask = layer.mask.numpy()
    np.testing.assert_array_equal(layer.kernel.numpy(), kernel * mask)
    target = 0 if changes.get('method') else layer.target_sparsity
    assert abs((mask == 0).mean() - target) < 0.05


def test_a_dense_network_takes_sparse_weights_and_gives_them(
  tmp_path, tiny_run
):
  agent, origin = _start(tiny_run, method='dense', sparsity_aware_init=None)
  assert origin['masks'] == []
  [layers] = [x.layers for x in agent.networks.values()]
  [other] = tiny_run.outcome.agent.networks.values()
  for layer, kernel in zip(layers, _kernels(other), strict=True):
    np.testing.assert_array_equal(layer.kernel.numpy(), kernel)


@pytest.mark.parametrize(
  'changes, error, expected',
  [
    ({'hidden_units': (8, 8)}, ValueError, r'q_network has weights \[\(4, 32'),
    ({'init_from': 'nowhere'}, ValueError, 'Received: nowhere, no run'),
    ({'agent': 'ppo'}, ValueError, 'of a run of ppo. Received: .*a run of dqn'),
    (
      {'at': '@77'},
      checkpoints.CheckpointError,
      r'env steps \[600\] in .*Received: 77',
    ),
  ],
)
def test_what_cannot_be_taken_over(tiny_run, changes, error, expected):
  values = {**tiny.RUN, 'init_from': str(tiny_run.run_dir.path), **changes}
  values['init_from'] += values.pop('at', '')
  if values.get('agent') == 'ppo':
    values.update(initial_collect_env_steps=None, rollout_env_steps=64)
    values['env_name'] = 'CartPole-v1'
  config = config_lib.make_config(values)
  env = envs.make(config)
  with pytest.raises(error, match=expected):
    warm_start.start(config, registry.build(config, env.spec), env.spec)


@pytest.mark.parametrize(
  'given, expected',
  [
    ('runs/a', ('runs/a', 'last')),
    ('runs/a@best', ('runs/a', 'best')),
    ('a@b/c@300', ('a@b/c', 300)),
    ('a@b', ('a@b', 'last')),
  ],
)
def test_how_a_source_is_named(given, expected):
  config = config_lib.make_config({'init_from': given})
  assert config.init_source == expected


def test_it_goes_on_without_the_other_run(tmp_path):
  short = {**tiny.RUN, 'num_env_steps': 300, 'initial_collect_env_steps': 50}
  config = config_lib.make_config({**short, 'checkpoint_period': 100})
  _train(config, tmp_path / 'source')
  warm = {**short, 'init_from': f'{tmp_path}/source@200', 'seed': 4}
  config = config_lib.make_config(warm)
  whole, _ = _train(config, tmp_path / 'whole')
  with pytest.raises(callbacks.StoppedError):
    _train(config, tmp_path / 'run', stop=lambda: True)
  shutil.rmtree(tmp_path / 'source')
  outcome, logged = _train(config, tmp_path / 'run')
  assert not any('Starts with' in line for line in logged)
  for name, network in outcome.agent.networks.items():
    for a, b in zip(network.variables, whole.agent.networks[name].variables):
      np.testing.assert_array_equal(a.numpy(), b.numpy())
  values = json.loads((tmp_path / 'run' / 'config.json').read_text('utf-8'))
  assert values['origin']['env_step'] == 200
  assert values['origin']['masks'] == ['q_network']


def _train(config, path, stop=lambda: False):
  run_dir, logged = runs.RunDir(path), []

  class Messages(callbacks.Callback):
    def on_message(self, training, text):
      logged.append(text)

  run_dir.check_config(config)
  with run_dir.locked():
    outcome = loop.train(config, run_dir, [Messages()], stop)
    run_dir.finish(outcome.summary)
  return outcome, logged


@pytest.mark.parametrize(
  'fields, changes, expected',
  [
    (
      {'agent': 'sac'},
      {'normalize_observations': True},
      'False, where .* True',
    ),
    ({'num_atoms': 51}, {'min_q_value': 0}, 'min_q_value as .* has 0'),
    ({'num_atoms': 51}, {'max_q_value': 100}, 'max_q_value as .* has 100'),
  ],
)
def test_networks_mean_the_same(fields, changes, expected):
  other = config_lib.make_config(fields)
  warm_start._check_meaning(other, other, 'runs/other')
  config = config_lib.make_config({**fields, **changes})
  with pytest.raises(ValueError, match=expected):
    warm_start._check_meaning(other, config, 'runs/other')
