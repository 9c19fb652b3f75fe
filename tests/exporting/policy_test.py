"""The exported policy is exactly sparse and needs TensorFlow alone."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_sparse_rl import envs, files, flags, sparsity
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
def config():
  return flags.make_config({'hidden_units': (32, 32), 'sparsity': 0.8})


@pytest.fixture(scope='module')
def agent(config):
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


def test_an_export_leaves_nothing_of_one_that_was_cut_short(agent, tmp_path):
  (tmp_path / 'policy.0a1b2c3d.tmp').mkdir()
  (tmp_path / 'policy.0a1b2c3d.tmp' / 'saved_model.pb').write_text('torn')
  (tmp_path / 'policy.tmp').write_text('mine')
  (tmp_path / 'policy.old.tmp').mkdir()
  policy.save(policy.of_agent(agent), tmp_path / 'policy')
  assert {p.name for p in tmp_path.iterdir()} == {
    *('policy', 'policy.tmp', 'policy.old.tmp')
  }


def test_a_policy_is_not_written_through_a_link(agent, tmp_path):
  (tmp_path / 'other').mkdir()
  (tmp_path / 'other' / 'mine').write_text('mine')
  (tmp_path / 'policy').symlink_to(tmp_path / 'other')
  with pytest.raises(files.LinkError, match='policy, a link to'):
    policy.save(policy.of_agent(agent), tmp_path / 'policy')
  assert [p.name for p in (tmp_path / 'other').iterdir()] == ['mine']


@pytest.fixture(name='saved')
def saved_fixture(config, agent, tmp_path):
  """Function: reads the policy of `agent`, saved in tmp_path / 'policy'."""
  policy.save(policy.of_agent(agent), tmp_path / 'policy')
  spec = envs.EnvSpec('CartPole-v1', 4, 2, 500)
  return lambda: policy.of_run(config, tmp_path / 'policy', spec)


def test_weights_are_read_and_no_program_runs(agent, saved, tmp_path):
  """Whatever the program is, and even without one."""

  class Hostile(tf.Module):
    def __init__(self):
      super().__init__()
      self.weights = [
        tf.Variable(w) for w in (x for y in expected.layers for x in y.weights)
      ]

    @tf.function(input_signature=[tf.TensorSpec([None, 4])])
    def action(self, observation):
      tf.io.write_file(str(tmp_path / 'written'), 'by the program')
      return {'action': observation, 'output': observation}

  expected = policy.of_agent(agent)
  observations = _observations()
  module = Hostile()
  tf.saved_model.save(
    module,
    str(tmp_path / 'policy'),
    signatures={'serving_default': module.action},
  )
  tf.saved_model.load(str(tmp_path / 'policy')).signatures['serving_default'](
    tf.constant(observations)
  )
  (tmp_path / 'written').unlink()  # It does write if it runs.
  for content in (b'damaged', None):
    np.testing.assert_array_equal(
      saved()(observations)['output'], expected(observations)['output']
    )
    program = tmp_path / 'policy' / 'saved_model.pb'
    program.unlink() if content is None else program.write_bytes(content)
  assert not (tmp_path / 'written').exists()


def test_no_policy_is_told(saved, tmp_path):
  shutil.rmtree(tmp_path / 'policy')
  with pytest.raises(ValueError, match='policy. Received none'):
    saved()
  (tmp_path / 'policy').write_text('a file')
  with pytest.raises(ValueError, match='policy. Received none'):
    saved()


@pytest.mark.parametrize('name', ['index', 'data-00000-of-00001'])
@pytest.mark.parametrize(
  'content',
  [lambda x: b'', lambda x: x[: len(x) // 2], lambda x: bytes(len(x))],
)
def test_damaged_variables_are_told_in_a_line(saved, tmp_path, name, content):
  file = tmp_path / 'policy' / 'variables' / f'variables.{name}'
  file.write_bytes(content(file.read_bytes()))
  with pytest.raises(ValueError, match='policy/variables, damaged: ') as error:
    saved()
  assert str(error.value).count('\n') == 0


def test_variables_that_are_no_files(saved, tmp_path):
  file = tmp_path / 'policy' / 'variables' / 'variables.data-00000-of-00001'
  file.unlink()
  with pytest.raises(ValueError, match='policy/variables, damaged: '):
    saved()
  os.mkfifo(file)
  with pytest.raises(ValueError, match='damaged: .*no regular file'):
    saved()


def test_weights_that_are_not_finite_are_told(agent, saved, tmp_path):
  greedy = policy.of_agent(agent)
  bias = greedy.layers[0].bias
  bias.assign(bias * np.nan)
  policy.save(greedy, tmp_path / 'policy')
  with pytest.raises(ValueError, match='finite weights, float32. Received oth'):
    saved()


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
