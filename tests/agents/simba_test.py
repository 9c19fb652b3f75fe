"""Actor and critics of SimBa: what they see, how they begin and learn."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf

import tf_sparse_rl
from tf_sparse_rl import config as config_lib
from tf_sparse_rl import envs, flags, sparsity
from tf_sparse_rl.agents import registry
from tf_sparse_rl.native import backend
from tf_sparse_rl.networks import stack
from tf_sparse_rl.training import plasticity

_SPEC = envs.EnvSpec('HalfCheetah-v5', 3, None, 1000, (-1.0,), (1.0,))
_ROW = 3 + 1 + 1 + 1 + 3


def _agent(name='sac', **changes):
  values = {
    'agent': name,
    'network': 'simba',
    'method': 'static',
    'sparsity': 0.5,
    'hidden_units': (8, 8),
    'actor_hidden_units': (8,),
    'batch_size': 4,
  }
  return registry.build(flags.make_config({**values, **changes}), _SPEC)


@pytest.fixture(name='agent', scope='module')
def agent_fixture():
  agent = _agent()
  # Means 1, 2 and 0; standard deviations 1, 2 and 10.
  agent.see(np.float32([[0, 0, -10]]))
  agent.see(np.float32([[2, 4, 10]]))
  return agent


def test_each_env_step_moves_mean_and_variance_by_hand(agent):
  [scale] = agent.scales
  np.testing.assert_allclose(scale.mean, [1, 2, 0])
  np.testing.assert_allclose(scale.variance, [1, 4, 100])
  assert float(scale.count) == 2


def test_networks_are_trained_on_scaled_observations(agent):
  rows = np.zeros((4, _ROW), np.float32)
  rows[0, :3], rows[0, 3:6], rows[0, 6:] = [3, 2, 5], [0.5, 7, 1], [1, -2, 0]
  now, action, following = agent.experience(tf.constant(rows))
  np.testing.assert_allclose(now.observation[0], [2, 0, 0.5], rtol=1e-5)
  np.testing.assert_allclose(following.observation[0], [0, -2, 0], atol=1e-6)
  assert (action.action[0], following.reward[0]) == (0.5, 7)
  probes = agent.probes(tf.constant(rows))
  np.testing.assert_array_equal(probes['actor'].inputs, now.observation)


def test_it_acts_on_scaled_observations(agent):
  observation = tf.constant([[3.0, 2.0, 5.0]])
  actor = agent.networks['actor']
  scaled = tf.constant([[2.0, 0.0, 0.5]])
  outputs = stack.call(actor.layers[:-1], scaled)
  expected = agent.head.mode(outputs)
  found = agent.act_greedily(observation)
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_targets_begin_as_sparse_as_the_critics(agent):
  pairs = [(agent.networks[name], of) for name, of in agent.targets.items()]
  assert len(pairs) == 2
  for online, target in pairs:
    for a, b in zip(*map(sparsity.sparse_layers, (online, target))):
      np.testing.assert_array_equal(a.mask, b.mask)
      assert not b.kernel.numpy()[b.mask.numpy() == 0].any()
      assert (b.mask.numpy() == 0).any() or not b.target_sparsity


def test_the_final_layer_norm_is_reset_with_the_layers_around_it(agent):
  names = [
    [
      getattr(layer, 'layer', layer).name
      for layer in plasticity.last_layers(agent.networks['actor'], count)
    ]
    for count in (1, 2)
  ]
  assert names == [['output'], ['block_0_project', 'norm', 'output']]


def test_its_train_step_is_not_fused(agent):
  backend.set_backend('fused')
  assert agent.fused_step(4) is None
  scaled = _agent(network='mlp', normalize_observations=True)
  assert scaled.scales and scaled.fused_step(4) is None


@pytest.mark.slow
def test_all_replicas_scale_alike(two_replicas):
  with two_replicas.scope():
    agent = _agent()
    agent.see(np.float32([[0, 0, -10]]))
    agent.see(np.float32([[2, 4, 10]]))
    [scale] = agent.scales
    for part in two_replicas.experimental_local_results(scale.variance):
      np.testing.assert_allclose(part, [1, 4, 100])


@pytest.mark.parametrize(
  'changes, expected',
  [
    ({'agent': 'dqn', 'network': 'simba'}, 'agent=sac or td3'),
    ({'network': 'simba', 'hidden_units': (8, 9)}, 'the same units in each'),
    ({'network': 'simba', 'actor_hidden_units': (8, 9)}, 'of simba all the'),
    ({'network': 'simba', 'layer_norm': True}, 'layer_norm with network=mlp'),
    ({'network': 'nature_cnn', 'normalize_observations': True}, 'flat'),
    (
      {'layer_norm': True, 'method': 'dense', 'match_sparsity': 0.9},
      'neither actor_hidden_units nor layer_norm',
    ),
  ],
)
def test_what_does_not_fit_is_refused(changes, expected):
  with pytest.raises(ValueError, match=expected):
    flags.make_config({'agent': 'sac', **changes})


def test_observations_are_scaled_as_asked_for_and_by_default_for_simba():
  def scales(**values):
    return flags.make_config({'agent': 'td3', **values}).normalize_observations

  assert not scales() and scales(network='simba')
  assert scales(normalize_observations=True)
  assert not scales(network='simba', normalize_observations=False)


def test_the_recipe_of_static_masks():
  path = pathlib.Path(__file__).parents[2] / 'launch' / 'simba_static_sac.json'
  config = config_lib.make_config(config_lib.load_values(path))
  # Ma et al. 2025 on SimBa; settings of its code.
  assert (config.agent, config.network) == ('sac', 'simba')
  assert (config.method, config.distribution) == ('static', 'erk')
  assert config.actor_sparsity == config.critic_sparsity == 0.8
  assert config.hidden_units == (512, 512)
  assert config.actor_hidden_units == (128,)
  assert config.learning_rate == config.alpha_learning_rate == 1e-4
  assert config.initial_log_alpha == pytest.approx(np.log(0.01))
  assert config.target_entropy_per_action == -0.5
  assert (config.target_update_tau, config.batch_size) == (0.005, 256)
  assert (config.initial_collect_env_steps, config.gamma) == (5000, 0.99)
  assert config.normalize_observations


@pytest.mark.slow
@pytest.mark.parametrize('agent', ['sac', 'td3'])
def test_it_learns_pendulum(agent, tmp_path):
  run = tf_sparse_rl.train(
    tmp_path,
    agent=agent,
    env='Pendulum-v1',
    network='simba',
    method='static',
    sparsity=0.8,
    hidden_units=(64, 64),
    actor_hidden_units=(64,),
    num_env_steps=6000,
    initial_collect_env_steps=1000,
    reward_scale=0.1,
    learning_rate=1e-3,
    weight_decay=0.0,
    batch_size=64,
    eval_period=3000,
    num_eval_episodes=10,
  )
  returns = list(run.results()['return_mean'])
  # Of a policy that does nothing some -1200; of a good one -150.
  assert returns[0] < -800 and returns[-1] > -300
