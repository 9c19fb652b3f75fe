"""The compiled functions: XLA and replicas agree with the plain graph."""

import functools
from typing import NamedTuple
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf

from tf_sparse_rl import callbacks, envs, flags, replay, sparsity
from tf_sparse_rl.agents import registry
from tf_sparse_rl.native import backend
from tf_sparse_rl.runs import run_dir
from tf_sparse_rl.training import learner, loop

_CART_POLE = envs.EnvSpec('CartPole-v1', 4, 2, 500)
_PENDULUM = envs.EnvSpec('Pendulum-v1', 3, None, 200, (-2.0,), (2.0,))
_PONG = envs.EnvSpec(
  'ALE/Pong-v5', 84 * 84 * 4, 6, None, observation_shape=(84, 84, 4)
)
_SPECS = {'mlp': _CART_POLE, 'sac': _PENDULUM, 'nature_cnn': _PONG}
_BATCH, _NUM_ENVS = 8, 3
_PERIOD = 3  # Train steps: masks change at 0, 3 and 6.


def _config(case, **changes):
  agent = 'sac' if case == 'sac' else 'dqn'
  values = {
    'agent': agent,
    'num_env_steps': 400,
    'initial_collect_env_steps': 100,
    'replay_capacity': 100,
    'hidden_units': (32, 24),
    'batch_size': _BATCH,
    'method': 'rigl',
    'sparsity': 0.8,
    'mask_update_period': _PERIOD,
    'mask_update_end_train_step': 20,
    'target_update_period': 2,
    'weight_decay': 1e-3,
  }
  if case == 'nature_cnn':
    # 8, 16 and 16 channels, 32 units.
    values.update(network=case, width=0.25, hidden_units=(128,))
  return flags.make_config({**values, **changes})


def _images(rng, size):
  return rng.integers(256, size=(size, *_PONG.observation_shape), dtype='uint8')


def _rows(rng, case):
  """A batch as the replay draws it."""
  actions = rng.integers(2, size=_BATCH)
  if case == 'nature_cnn':
    return replay.Transitions(
      _images(rng, _BATCH),
      actions.astype(np.int32),
      rng.normal(size=_BATCH).astype(np.float32),
      rng.integers(2, size=_BATCH).astype(np.float32),
      _images(rng, _BATCH),
    )
  size = _SPECS[case].observation_size
  rows = rng.normal(size=(_BATCH, 2 * size + 3)).astype(np.float32)
  if case == 'mlp':
    rows[:, size] = actions
  return rows


class _Outcome(NamedTuple):
  """Results of some train steps."""

  scalars: list  # {tag: float}, of each train step
  actions: np.ndarray  # `[train steps, environments, ...]`
  masks: list  # of each train step, those of all networks
  weights: dict  # {name of a network: its trainable variables}
  agent: object
  learn: learner.Learner
  num_traces: int  # of the agent's train step


def _masks(agent):
  return [
    layer.mask.numpy()
    for network in agent.networks.values()
    for layer in sparsity.sparse_layers(network)
  ]


def _train(case, num_train_steps=7, **changes):
  """Trains in the scope of the current strategy."""
  config = _config(case, **changes)
  # As training.machine has it where the kernels cannot be had.
  backend.set_backend('masked')
  agent = registry.build(config, _SPECS[case])
  with mock.patch.object(agent, 'train', wraps=agent.train) as traced:
    learn = learner.make(config, agent, replay.make(config, _SPECS[case]))
  rng = np.random.default_rng(0)
  scalars, actions, masks = [], [], []
  for _ in range(num_train_steps):
    rows = _rows(rng, case)
    noise = agent.noise(rng, _NUM_ENVS)
    action, of_step = learn.train_on(rows, _observations(rng, case), noise)
    scalars.append({tag: float(value) for tag, value in of_step.items()})
    actions.append(action)
    masks.append(_masks(agent))
  weights = {
    name: [v.numpy() for v in network.trainable_variables]
    for name, network in agent.networks.items()
  }
  return _Outcome(
    *(scalars, np.array(actions), masks, weights, agent, learn),
    num_traces=traced.call_count,
  )


def _observations(rng, case, size=_NUM_ENVS):
  if case == 'nature_cnn':
    return _images(rng, size)
  shape = size, _SPECS[case].observation_size
  return rng.normal(size=shape).astype(np.float32)


@pytest.fixture(scope='module', name='trained')
def trained_fixture(two_replicas):
  """Function: (case, kind) -> _Outcome, each trained once."""

  @functools.cache
  def trained(case, kind='plain'):
    tf.keras.utils.set_random_seed(0)
    strategy = tf.distribute.get_strategy()
    with (two_replicas if kind == 'replicas' else strategy).scope():
      return _train(case, jit_compile=kind == 'xla')

  return trained


@pytest.fixture(scope='module', name='greedy')
def greedy_fixture(two_replicas):
  """Function: kind -> _Outcome of another seed, without random actions."""

  @functools.cache
  def greedy(kind):
    strategy = tf.distribute.get_strategy()
    with (two_replicas if kind == 'replicas' else strategy).scope():
      return _train('mlp', 2, seed=1, epsilon=0.0)

  return greedy


def _assert_same(ours, theirs):
  """Equal masks; the rest within rounding."""
  for a, b in zip(ours.masks, theirs.masks, strict=True):
    for one, other in zip(a, b, strict=True):
      np.testing.assert_array_equal(one, other)
  for a, b in zip(ours.scalars, theirs.scalars, strict=True):
    assert a == pytest.approx(b, rel=1e-4, abs=1e-5)
  np.testing.assert_allclose(ours.actions, theirs.actions, atol=1e-4)
  assert ours.weights.keys() == theirs.weights.keys()
  for name, weights in ours.weights.items():
    for a, b in zip(weights, theirs.weights[name], strict=True):
      np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-5)


def _changes(outcome):
  """Train steps, counted from 0, before which masks changed; not of the 0."""
  return [
    i
    for i, (before, now) in enumerate(zip(outcome.masks, outcome.masks[1:]), 1)
    if any(not np.array_equal(a, b) for a, b in zip(before, now))
  ]


# XLA draws other random numbers for SAC than TensorFlow does.
@pytest.mark.parametrize(
  'case, kind',
  [
    ('mlp', 'xla'),
    ('nature_cnn', 'xla'),
    ('mlp', 'replicas'),
    ('nature_cnn', 'replicas'),
    ('sac', 'replicas'),
  ],
)
def test_xla_and_replicas_agree_with_the_plain_graph(trained, case, kind):
  assert _changes(trained(case)) == [3, 6]
  _assert_same(trained(case, kind), trained(case))


@pytest.mark.parametrize(
  'case, kind', [('mlp', 'plain'), ('sac', 'plain'), ('nature_cnn', 'xla')]
)
def test_a_train_step_is_traced_once_with_masks_that_move_and_once_without(
  trained, case, kind
):
  assert trained(case, kind).num_traces == 2


@pytest.mark.slow
def test_sac_is_compiled_by_xla(trained):
  compiled, plain = trained('sac', 'xla'), trained('sac')
  assert _changes(compiled) == [3, 6]
  for ours, theirs in zip(compiled.masks, plain.masks, strict=True):
    assert [m.sum() for m in ours] == [m.sum() for m in theirs]
  # The first loss, where only the noise of the next actions differs.
  loss = 'Losses/critic_loss'
  expected = plain.scalars[0][loss]
  assert compiled.scalars[0][loss] == pytest.approx(expected, rel=0.2)
  losses = [scalars[loss] for scalars in compiled.scalars]
  assert np.isfinite(losses).all() and len(set(losses)) == 7
  _assert_exactly_sparse(compiled.agent)


def _assert_exactly_sparse(agent):
  layers = [
    layer
    for network in agent.networks.values()
    for layer in sparsity.sparse_layers(network)
  ]
  zeros = [layer.kernel.numpy()[layer.mask.numpy() == 0] for layer in layers]
  assert sum(entries.size for entries in zeros) > 100
  assert all(np.all(entries == 0) for entries in zeros)


def test_xla_agrees_where_nothing_is_sparse():
  plain, compiled = (
    _train('mlp', 2, method='dense', jit_compile=jit) for jit in (False, True)
  )
  assert plain.masks == [[]] * 2
  _assert_same(compiled, plain)


def test_xla_compiles_the_train_step_and_not_what_acts(trained):
  def is_compiled(function):
    attribute = function.function_def.attr.get('_XlaMustCompile')
    return attribute is not None and attribute.b

  compiled = trained('mlp', 'xla').learn
  assert is_compiled(compiled._train_step._compiled[True])
  assert is_compiled(compiled._train_step._compiled[False])
  assert not is_compiled(trained('mlp').learn._train_step._compiled[True])
  # It would be compiled anew for each number of running episodes.
  assert not is_compiled(compiled._greedy)
  assert not is_compiled(compiled._act)


@pytest.mark.parametrize('case', ['mlp', 'sac'])
def test_replicas_stay_copies_and_exactly_sparse(trained, two_replicas, case):
  agent = trained(case, 'replicas').agent
  assert len(agent.tf_agent.variables) > 15
  for variable in agent.tf_agent.variables:
    first, second = two_replicas.experimental_local_results(variable)
    np.testing.assert_array_equal(first.numpy(), second.numpy())
  _assert_exactly_sparse(agent)


def test_checkpoints_go_from_replicas_to_one_device_and_back(
  trained, greedy, tmp_path
):
  for saved, loaded in (
    (trained('mlp', 'replicas'), greedy('plain')),
    (trained('mlp'), greedy('replicas')),
  ):
    saved, loaded = saved.agent.tf_agent, loaded.agent.tf_agent
    path = tf.train.Checkpoint(agent=saved).write(str(tmp_path / 'saved'))
    status = tf.train.Checkpoint(agent=loaded).read(path)
    status.assert_existing_objects_matched()
    assert loaded.train_step_counter.numpy() == 7
    for ours, theirs in (
      (saved.variables, loaded.variables),
      (saved._optimizer.variables, loaded._optimizer.variables),
    ):
      assert len(ours) > 10
      for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.slow
def test_a_run_on_replicas_is_resumed(two_replicas, tmp_path):
  config = _config(
    'mlp',
    num_env_steps=200,
    eval_period=100,
    num_eval_episodes=2,
    checkpoint_period=50,
  )
  asked = iter(range(1000))

  def train(name, stop=lambda: False):
    directory = run_dir.RunDir(tmp_path / name)
    with two_replicas.scope(), directory.locked():
      return loop.train(config, directory, stop=stop)

  whole = train('whole')
  with pytest.raises(callbacks.StoppedError):
    train('cut', lambda: next(asked) > 130)
  assert (tmp_path / 'cut' / 'checkpoints').exists()
  cut = train('cut')
  assert cut.summary.train_steps == whole.summary.train_steps == 100
  for a, b in zip(
    whole.agent.tf_agent.variables, cut.agent.tf_agent.variables, strict=True
  ):
    np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize('kind', ['plain', 'replicas'])
def test_it_acts_by_the_weights_it_has_just_trained(greedy, two_replicas, kind):
  outcome = greedy(kind)
  assert outcome.actions.shape == (2, _NUM_ENVS)
  strategy = tf.distribute.get_strategy()
  with (two_replicas if kind == 'replicas' else strategy).scope():
    rng = np.random.default_rng(1)
    observations = _observations(rng, 'mlp', 64)
    noise = outcome.agent.noise(rng, 64)
    learn, rows = outcome.learn, _rows(rng, 'mlp')
    trained, _ = learn.train_on(rows, observations, noise)
    np.testing.assert_array_equal(trained, learn.act(observations, noise))
    np.testing.assert_array_equal(trained, learn.act_greedily(observations))
  assert set(trained) == {0, 1}
  assert trained.dtype == np.int32
