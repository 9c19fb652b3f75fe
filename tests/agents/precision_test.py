"""Mixed precision: hidden layers in bfloat16, all that is kept in float32."""

import numpy as np
import pytest
import tensorflow as tf

from tests import tiny
from tf_sparse_rl import callbacks, envs, flags, sparsity
from tf_sparse_rl.agents import registry
from tf_sparse_rl.exporting import policy
from tf_sparse_rl.runs import run_dir
from tf_sparse_rl.sparsity import layers as layers_lib
from tf_sparse_rl.training import loop

_CART_POLE = envs.EnvSpec('CartPole-v1', 4, 2, 500)
_PENDULUM = envs.EnvSpec('Pendulum-v1', 3, None, 200, (-2.0,), (2.0,))
_IMAGES = envs.EnvSpec(
  'ALE/Pong-v5', 1024, 3, None, observation_shape=(16, 16, 4)
)
_CASES = {
  'mlp': ({'agent': 'dqn', 'env_name': 'CartPole-v1'}, _CART_POLE),
  'nature_cnn': ({'network': 'nature_cnn', 'width': 0.1}, _IMAGES),
  'impala_resnet': ({'network': 'impala_resnet', 'width': 0.1}, _IMAGES),
  'sac': ({'agent': 'sac', 'env_name': 'Pendulum-v1'}, _PENDULUM),
  'ppo': ({'agent': 'ppo', 'env_name': 'Pendulum-v1'}, _PENDULUM),
}
_PPO = {'initial_collect_env_steps': None, 'rollout_env_steps': 64}


def _config(case, **changes):
  values, _ = _CASES[case]
  if case == 'ppo':
    values = {**values, **_PPO}
  return flags.make_config(
    {**tiny.RUN, 'precision': 'mixed_bfloat16', **values, **changes}
  )


def _agent(case, **changes):
  return registry.build(_config(case, **changes), _CASES[case][1])


@pytest.mark.parametrize('case', _CASES)
def test_layers_compute_in_16_bits_and_variables_have_32(case):
  agent = _agent(case)
  assert len(agent.networks) == {'sac': 3, 'ppo': 2}.get(case, 1)
  for network in agent.networks.values():
    leaves = layers_lib.leaf_layers(network)
    kernels = [layer for layer in leaves if hasattr(layer, 'kernel')]
    assert len(kernels) >= 3
    *hidden, output = kernels
    assert {layer.compute_dtype for layer in hidden} == {'bfloat16'}
    assert output.compute_dtype == 'float32'
  assert {
    variable.dtype
    for variable in agent.tf_agent.variables
    if variable.dtype.is_floating
  } == {tf.float32}
  assert tf.keras.mixed_precision.global_policy().name == 'float32'


@pytest.mark.parametrize('case', _CASES)
def test_q_values_and_actions_are_of_float32_and_near_the_exact_ones(case):
  agent = _agent(case, seed=2)
  exact = policy.of_agent(agent)
  spec = agent.tf_agent.time_step_spec.observation
  rng = np.random.default_rng(0)
  observations = rng.integers(256, size=(32, *spec.shape))
  if spec.dtype != tf.uint8:
    observations = observations / 64 - 2
  output = observations = tf.cast(observations, spec.dtype)
  for layer in agent.policy_layers:
    output = layer(output)
  assert output.dtype == tf.float32
  noise = agent.noise(rng, 32)
  actions = agent.act(observations, tf.constant(noise))
  assert actions.dtype == agent.tf_agent.action_spec.dtype
  expected = exact(observations)['output']
  leaves = layers_lib.leaf_layers(exact.layers)
  assert {x.compute_dtype for x in leaves if x.weights} == {'float32'}
  # Two to three significant digits a layer.
  difference = np.abs(output - expected).max()
  assert 0 < difference < 0.1 * np.abs(expected).max()


@pytest.fixture(scope='module', name='runs')
def runs_fixture(tmp_path_factory):
  """{case: (Config, Outcome)} of tiny runs, cut off and resumed."""
  runs = {}
  for case in ('mlp', 'sac', 'ppo'):
    config = _config(
      case,
      num_env_steps=384,
      mask_update_period=20,
      checkpoint_period=128,
      diagnostics='snr,dormant,rank,norms,churn',
      diagnostics_period=100,
    )
    directory = run_dir.RunDir(tmp_path_factory.mktemp('mixed') / case)
    asked = []

    def stop(asked=asked):
      asked.append(True)
      return len(asked) > 250

    with directory.locked():
      with pytest.raises(callbacks.StoppedError):
        loop.train(config, directory, stop=stop)
      outcome = loop.train(config, directory)
    runs[case] = config, outcome
  return runs


@pytest.mark.slow
@pytest.mark.parametrize('case', ['mlp', 'sac', 'ppo'])
def test_a_run_is_resumed_and_stays_exactly_sparse(runs, case):
  _, outcome = runs[case]
  assert outcome.summary.env_steps == 384
  expected = sparsity.counting.total(
    [
      count
      for network in _agent(case).networks.values()
      for count in sparsity.counting.count(network)
    ]
  )
  kernels = [
    layer
    for network in outcome.agent.networks.values()
    for layer in sparsity.sparse_layers(network)
  ]
  assert sum(int(layer.mask.numpy().sum()) for layer in kernels) == (
    expected.nonzero
  )
  for layer in kernels:
    assert np.all(layer.kernel.numpy()[layer.mask.numpy() == 0] == 0)


@pytest.mark.parametrize('case', ['mlp', 'sac', 'ppo'])
def test_the_exported_policy_computes_in_float32(runs, case, tmp_path):
  config, outcome = runs[case]
  exact = policy.of_agent(outcome.agent)
  path = tmp_path / 'policy'
  policy.save(exact, path)
  act = policy.load(path)
  size = _CASES[case][1].observation_size
  observations = np.random.default_rng(0).normal(size=(9, size))
  observations = observations.astype(np.float32)
  output = observations
  for layer in exact.layers:
    output = layer(output)
  loaded = act.model.signatures['serving_default']
  np.testing.assert_allclose(
    loaded(observation=tf.constant(observations))['output'], output, rtol=1e-5
  )
  again = policy.of_run(config, path, _CASES[case][1])
  np.testing.assert_allclose(
    act(observations), again(observations)['action'], rtol=1e-5
  )
