"""The exported policy is exactly sparse and needs TensorFlow alone."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_sparse_rl import envs, flags, sparsity
from tf_sparse_rl.agents import registry
from tf_sparse_rl.exporting import policy

# Runs without this package: its directory is not on the path of the process.
_PLAIN_TENSORFLOW = """
import json, sys
import numpy as np
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
observations = np.load(sys.argv[2])
outputs = model.signatures['serving_default'](
  observation=tf.constant(observations))
kernels = [v.numpy() for v in model.weights if v.shape.rank == 2]
ours = [m for m in sys.modules if m.split('.')[0] in
        ('tf_sparse_rl', 'tf_agents', 'tf_keras',
         'tensorflow_model_optimization')]
print(json.dumps({
  'action': outputs['action'].numpy().tolist(),
  'output': outputs['output'].numpy().tolist(),
  'nonzero': [int(np.count_nonzero(k)) for k in kernels],
  'ours': ours,
}))
"""


@pytest.fixture(scope='module')
def agent():
  config = flags.make_config({'hidden_units': (32, 32), 'sparsity': 0.8})
  return registry.build(config, envs.Environment('CartPole-v1').spec)


def _observations():
  rng = np.random.default_rng(0)
  return rng.normal(size=(50, 4)).astype(np.float32)


def test_policy_runs_with_tensorflow_alone(agent, tmp_path):
  # A bias decides the untrained policy: make the actions differ.
  bias = agent.policy_layers[-1].layer.bias
  old = bias.numpy()
  bias.assign([0.0, 0.0])
  policy.save(policy.of_agent(agent), tmp_path / 'policy')
  bias.assign(old)
  np.save(tmp_path / 'observations.npy', _observations())
  environment = {
    name: value
    for name, value in os.environ.items()
    if name not in ('TF_USE_LEGACY_KERAS', 'PYTHONPATH')
  }
  result = subprocess.run(
    [
      sys.executable,
      '-c',
      _PLAIN_TENSORFLOW,
      str(tmp_path / 'policy'),
      str(tmp_path / 'observations.npy'),
    ],
    cwd=tmp_path,
    env=environment,
    capture_output=True,
    text=True,
    check=True,
  )
  told = json.loads(result.stdout)
  act = policy.load(tmp_path / 'policy')
  actions = act(_observations())
  assert set(actions) == {0, 1}
  assert told['action'] == actions.tolist()
  masks = [layer.mask.numpy() for layer in agent.policy_layers]
  assert told['nonzero'] == [int(mask.sum()) for mask in masks]
  assert told['ours'] == []


def test_policy_agrees_with_the_network(agent, tmp_path):
  policy.save(policy.of_agent(agent), tmp_path / 'policy')
  network = agent.networks['q_network']
  q_values, _ = network(_observations())
  expected = np.argmax(q_values.numpy(), -1)
  assert policy.load(tmp_path / 'policy')(_observations()).tolist() == (
    expected.tolist()
  )


def test_export_replaces_an_older_one(agent, tmp_path):
  path = tmp_path / 'policy'
  path.mkdir()
  (path / 'stale').write_text('')
  policy.save(policy.of_agent(agent), path)
  assert not (path / 'stale').exists()
  assert [p.name for p in tmp_path.iterdir()] == ['policy']


def test_export_leaves_the_agent_alone(agent, tmp_path):
  before = [w.numpy() for w in agent.networks['q_network'].variables]
  policy.save(policy.of_agent(agent), tmp_path / 'policy')
  after = [w.numpy() for w in agent.networks['q_network'].variables]
  for old, new in zip(before, after):
    np.testing.assert_array_equal(old, new)
  assert len(sparsity.sparse_layers(agent.policy_layers)) == 3


def test_no_policy_is_told(tmp_path):
  with pytest.raises(ValueError, match='Received none'):
    policy.load(tmp_path / 'policy')


def test_a_program_that_reads_files_is_no_policy(tmp_path):
  module = tf.Module()
  module.secret = tf.function(
    lambda: tf.io.read_file('/etc/hostname'), input_signature=[]
  )
  tf.saved_model.save(module, str(tmp_path / 'policy'))
  with pytest.raises(ValueError, match='operations ReadFile, which'):
    policy.load(tmp_path / 'policy')


def test_a_damaged_policy_is_told(agent, tmp_path):
  policy.save(policy.of_agent(agent), tmp_path / 'policy')
  model = tmp_path / 'policy' / 'saved_model.pb'
  model.write_bytes(model.read_bytes()[:-100])
  with pytest.raises(ValueError, match='Received a damaged one'):
    policy.load(tmp_path / 'policy')


def test_a_policy_for_continuous_actions_keeps_to_the_bounds(tmp_path):
  config = flags.make_config(
    {'agent': 'sac', 'hidden_units': (16, 16), 'sparsity': 0.5, 'seed': 1}
  )
  spec = envs.EnvSpec('Arm-v0', 4, None, 100, (-1.0, -3.0), (1.0, 0.5))
  policy.save(
    policy.of_agent(registry.build(config, spec)), tmp_path / 'policy'
  )
  act = policy.load(tmp_path / 'policy')
  actions = act(100 * _observations())
  assert actions.shape == (50, 2)
  assert (actions >= [-1, -3]).all() and (actions <= [1, 0.5]).all()
  assert act(_observations()).std(axis=0).min() > 0.1


@pytest.mark.parametrize('network', ['nature_cnn', 'impala_resnet'])
def test_a_policy_for_images_is_exactly_sparse(network, tmp_path):
  config = flags.make_config(
    {'network': network, 'width': 0.1, 'method': 'static', 'sparsity': 0.8}
  )
  spec = envs.EnvSpec(
    'ALE/Pong-v5', 900, 5, None, observation_shape=(15, 15, 4)
  )
  image_parts = registry.build(config, spec)
  path = tmp_path / 'policy'
  policy.save(policy.of_agent(image_parts), path)
  rng = np.random.default_rng(0)
  images = rng.integers(256, size=(40, 15, 15, 4), dtype=np.uint8)
  act = policy.load(path)
  q_values, _ = image_parts.networks['q_network'](images)
  outputs = act.model.signatures['serving_default'](tf.constant(images))
  np.testing.assert_allclose(outputs['output'], q_values, rtol=1e-5, atol=1e-6)
  expected = np.argmax(outputs['output'], -1)
  assert act(images).tolist() == expected.tolist()
  layers = sparsity.sparse_layers(image_parts.networks['q_network'])
  kernels = [w.numpy() for w in act.model.weights if w.shape.rank > 1]
  for layer, kernel in zip(layers, kernels, strict=True):
    np.testing.assert_array_equal(kernel != 0, layer.mask.numpy() == 1)
