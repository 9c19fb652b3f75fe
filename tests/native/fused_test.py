"""Fused train steps against the agents' `_train` on the masked path."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from tests.native import fused_runs
from tf_sparse_rl import envs, flags, sparsity
from tf_sparse_rl.agents import registry
from tf_sparse_rl.native import backend, library, resting
from tf_sparse_rl.training import learner, plasticity, summaries

_BOX = envs.EnvSpec('HalfCheetah-v5', 5, None, 1000, (-1.0, -2.0), (1.0, 0.5))
_SPECS = {
  'dqn': envs.EnvSpec('CartPole-v1', 5, 3, 500),
  'sac': _BOX,
  'td3': _BOX,
}
_ENVS = 2


@pytest.fixture(autouse=True)
def native_kernels():
  if library.load() is None:
    pytest.skip(library.problem())


class _Run(fused_runs.Run):
  """An agent that is trained on random batches, the same for each backend."""

  def __init__(self, backend_name, agent, batch_size=24, **changes):
    tf.keras.utils.set_random_seed(0)
    self.backend_name = backend_name
    backend.set_backend(backend_name)
    values = {
      'agent': agent,
      'method': 'rigl',
      'num_env_steps': 400,
      'initial_collect_env_steps': 100,
      'hidden_units': (24, 16),
      'batch_size': batch_size,
      'mask_update_period': 5,
      'mask_update_end_train_step': 900,
      'prune_begin_train_step': 2,
      'prune_end_train_step': 20,
      'sparsity': 0.8,
      'weight_decay': 1e-3,
    }
    self.agent_name, self.spec = agent, _SPECS[agent]
    self.agent = registry.build(
      flags.make_config({**values, **changes}), self.spec
    )
    self.rng = np.random.default_rng(0)
    self.batch_size = batch_size
    self.row_size = 2 * self.spec.observation_size + self.spec.action_size + 2
    self.outcomes = []  # (actions, scalars) of each train step

  @functools.cached_property
  def learn(self):
    backend.set_backend(self.backend_name)
    return learner.ReplayLearner(
      self.agent,
      self.batch_size,
      tf.TensorSpec([self.row_size]),
      tf.TensorSpec([self.spec.observation_size]),
    )

  def train(self, num_train_steps=1):
    size = self.spec.observation_size
    assert self.learn.is_fused == (self.backend_name == 'fused')
    for _ in range(num_train_steps):
      rows = self.rng.normal(size=(self.batch_size, self.row_size))
      if self.spec.num_actions:
        rows[:, size] = self.rng.integers(
          self.spec.num_actions, size=self.batch_size
        )
      discounts = self.rng.random(self.batch_size) < 0.8
      rows[:, size + self.spec.action_size + 1] = discounts
      observations = self.rng.normal(size=(_ENVS, size))
      noise = self.agent.noise(self.rng, _ENVS)
      actions, scalars = self.learn.train_on(
        np.float32(rows), np.float32(observations), noise
      )
      self.outcomes.append((actions, {t: float(s) for t, s in scalars.items()}))
    return self


def _assert_close(ours, theirs, rtol=1e-4, atol=1e-6):
  for (actions, scalars), (others, other_scalars) in zip(
    ours.outcomes, theirs.outcomes, strict=True
  ):
    np.testing.assert_allclose(actions, others, rtol=1e-3, atol=10 * atol)
    assert scalars == pytest.approx(other_scalars, rel=1e-3, abs=10 * atol)
  fused_runs.assert_variables_close(ours, theirs, rtol=rtol, atol=atol)


# Trained on in the usual suite; all of them when asked for.
_USUAL = ('sac_rigl', 'td3_rigl', 'dqn_double', 'dqn_wide')
_CASES = {
  'sac_rigl': ('sac', {'reward_scale': 3.0, 'gamma': 0.9}),
  # Gradients of its weights to some of the outputs after the others.
  'dqn_wide': ('dqn', {'hidden_units': (40, 2200), 'batch_size': 64}),
  'sac_prune': (
    'sac',
    {'method': 'prune', 'batch_size': 70, 'weight_decay': 0.0},
  ),
  'sac_late_targets': (
    'sac',
    {
      'method': 'set',
      'actor_sparsity': 0.0,
      'target_update_period': 3,
      'target_update_tau': 0.3,
    },
  ),
  'td3_rigl': ('td3', {'reward_scale': 3.0, 'gamma': 0.9}),
  'td3_prune': (
    'td3',
    {
      'method': 'prune',
      'batch_size': 70,
      'actor_update_period': 1,
      'target_update_period': 1,
      'weight_decay': 0.0,
    },
  ),
  'td3_apart': (
    'td3',
    {
      'method': 'set',
      'actor_update_period': 3,
      'target_update_tau': 0.3,
      'target_noise': 3.0,
      'target_noise_clip': 1.0,
      'exploration_noise': 2.0,
      'actor_sparsity': 0.0,
    },
  ),
  'td3_no_noise': (
    'td3',
    {
      'method': 'static',
      'target_noise': 0.0,
      'critic_sparsity': 0.0,
      'target_update_period': 5,
    },
  ),
  'td3_dense': ('td3', {'method': 'dense'}),
  'dqn_dense': ('dqn', {'method': 'dense'}),
  'dqn_double': ('dqn', {'double_dqn': True, 'td_loss': 'huber'}),
  'dqn_soft': (
    'dqn',
    {'target_update_tau': 0.2, 'target_update_period': 2, 'batch_size': 7},
  ),
  'dqn_epsilon': (
    'dqn',
    {
      'method': 'prune',
      'td_loss': 'huber',
      'epsilon_decay_env_steps': 20,
      'epsilon': 0.3,
      'reward_scale': 5.0,
    },
  ),
}


@pytest.mark.parametrize(
  ('agent', 'changes'),
  [('sac', {}), ('td3', {'exploration_noise': 9.0}), ('dqn', {'epsilon': 1.0})],
)
def test_greedy_actions_have_no_noise(agent, changes):
  run = _Run('fused', agent, **changes).train(2)
  # As the episodes of an evaluation end, and collection goes on.
  for count in (7, 3, 1, 7):
    observations = np.float32(run.rng.normal(size=(count, 5)))
    found = run.learn.act_greedily(observations)
    run.learn.act(observations[:1], run.agent.noise(run.rng, 1))
    expected = run.agent.act_greedily(tf.constant(observations))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def _make_new(run):
  """Recycles some units of a run's networks, and resets their last layers."""
  config = flags.make_config(
    {'agent': run.agent_name, 'redo_period': 1, 'redo_threshold': 0.5}
  )
  parts = plasticity.Plasticity(config, run.agent)
  rows = np.random.default_rng(1).normal(size=(24, run.row_size))
  rows[:, run.spec.observation_size] = 0
  run.learn.networks_change()
  shares = parts.recycle(np.float32(rows), train_step=3).values()
  assert all(0 < share < 1 for share in shares)
  parts.reset(train_step=5)


@pytest.mark.parametrize(
  'case',
  [
    pytest.param(case, marks=[] if case in _USUAL else pytest.mark.slow)
    for case in _CASES
  ],
)
def test_one_step_and_twelve_are_those_of_the_agent(case):
  agent, changes = _CASES[case]
  ours, theirs = (_Run(b, agent, **changes) for b in ('fused', 'masked'))
  for num_train_steps in (2, 10):  # The first of all moves masks.
    _assert_close(ours.train(num_train_steps), theirs.train(num_train_steps))
  for run in (ours, theirs):
    _make_new(run)
  _assert_close(ours.train(3), theirs.train(3))
  for network in (*ours.agent.networks.values(), *ours.agent.targets.values()):
    for layer in sparsity.sparse_layers(network):
      if layer.target_sparsity:
        assert not layer.kernel.numpy()[layer.mask.numpy() == 0].any()


def test_masks_move_in_fused_train_steps():
  run = _Run('fused', 'td3', mask_update_period=4)
  by_tensorflow = run.learn._train_step._compiled
  assert not by_tensorflow
  layers = [
    layer
    for network in run.agent.networks.values()
    for layer in sparsity.sparse_layers(network)
    if layer.target_sparsity
  ]
  for train_step in range(1, 10):
    before = [layer.mask.numpy() for layer in layers]
    run.train()
    moved = [
      not np.array_equal(layer.mask, mask)
      for layer, mask in zip(layers, before)
    ]
    # The actor's second step is the fourth of the critics.
    assert any(moved) == (train_step in (1, 2, 5, 6, 9)), train_step
    assert run.learn.masks_changed() == any(moved)


def test_an_error_of_an_updater_is_told():
  run = _Run('fused', 'dqn')
  updater = run.agent.optimizers['q_network'].updater
  updater.drop_scores = lambda kernel: {}['weight']
  with pytest.raises(KeyError, match='weight'):
    run.train()


def test_updates_by_all_layers_together_are_those_of_tensorflow():
  changes = {'method': 'global_prune', 'weight_decay': 0.0}
  ours, theirs = (_Run(b, 'dqn', **changes) for b in ('fused', 'masked'))
  assert True in ours.learn._train_step._compiled
  _assert_close(ours.train(12), theirs.train(12))


@pytest.mark.slow
@pytest.mark.parametrize('agent', _SPECS)
def test_a_thousand_steps_are_those_of_the_agent(agent):
  changes = {'mask_update_period': 100, 'mask_update_end_train_step': 500}
  ours, theirs = (_Run(b, agent, **changes) for b in ('fused', 'masked'))
  ours.train(1000), theirs.train(1000)
  # Rounding of one step is carried on by all that follow.
  _assert_close(ours, theirs, rtol=1e-2, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize('agent', _SPECS)
def test_what_is_made_new_between_native_train_steps_is_trained_on(agent):
  runs = [_Run(name, agent).train(3) for name in ('native', 'masked')]
  for run in runs:
    _make_new(run)
    run.train(3)
  _assert_close(*runs)


def test_the_temperature_may_be_trained_by_itself_not_its_logarithm():
  runs = [_Run(b, 'sac', method='static') for b in ('fused', 'masked')]
  for run in runs:
    run.agent.tf_agent._use_log_alpha_in_alpha_loss = False
    run.train(5)
  _assert_close(*runs)
  assert runs[0].outcomes[-1][1]['Losses/alpha_loss'] != 0


def _read_in_a_graph(variable):
  return tf.function(lambda: tf.identity(variable), autograph=False)().numpy()


def _read_from_a_checkpoint(variable, path):
  saved = tf.train.Checkpoint(variable=variable).write(str(path / 'one'))
  name = 'variable/.ATTRIBUTES/VARIABLE_VALUE'
  return tf.train.load_checkpoint(saved).get_tensor(name)


@pytest.mark.parametrize(
  'agent', ['dqn', pytest.param('sac', marks=pytest.mark.slow)]
)
def test_every_variable_can_be_read_at_any_moment(agent, tmp_path):
  watched, alone, theirs = (
    _Run(b, agent, target_update_period=2) for b in ('fused', 'fused', 'masked')
  )
  # From before the first train step, when all tensors are there.
  variable = watched.agent.networks[next(iter(watched.agent.networks))]
  early = functools.partial(_read_in_a_graph, variable.trainable_variables[0])
  early()
  ways = [
    lambda v: v.numpy(),
    lambda v: tf.convert_to_tensor(v).numpy(),
    lambda v: (v * 1).numpy(),
    _read_in_a_graph,
    functools.partial(_read_from_a_checkpoint, path=tmp_path),
  ]
  rng, num_train_steps = np.random.default_rng(1), 16
  for _ in range(num_train_steps):
    for run in (watched, theirs):
      run.train()
    reference = theirs.values()
    # Each once and again.
    share = 2 * len(reference) // num_train_steps + 1
    for i in rng.permutation(len(reference))[:share]:
      value = ways[rng.integers(len(ways))](watched.variables[i])
      np.testing.assert_allclose(
        value,
        reference[i],
        rtol=1e-3,
        atol=1e-5,
        err_msg=watched.variables[i].name,
      )
  alone.train(num_train_steps)
  for a, b in zip(watched.values(), alone.values(), strict=True):
    np.testing.assert_array_equal(a, b)  # To look changes nothing.


def _resting(run):
  """Ids of variables that have no tensor now."""
  return {
    id(v)
    for v in run.variables
    if v.shape.rank and tf.raw_ops.VariableShape(input=v.handle)[0] == 0
  }


def test_what_rests_has_no_tensor_until_it_is_read():
  run = _Run('fused', 'dqn').train(3)
  kernels = run.agent.networks['q_network'].trainable_variables[::2]
  adam = run.agent.optimizers['q_network'].inner_optimizer
  moments = [adam.get_slot(kernel, name) for kernel in kernels for name in 'mv']
  layers = sparsity.sparse_layers(run.agent.networks['q_network'])
  masks = [layer.mask for layer in layers]
  at_rest = _resting(run)
  assert {id(v) for v in (*kernels, *moments, *masks)} <= at_rest
  assert len(at_rest) == 6 * len(kernels)  # And the target's.
  assert kernels[0].numpy().any()
  assert _resting(run) == at_rest - {id(kernels[0])}
  run.train()
  assert _resting(run) == at_rest


def test_networks_rest_from_when_they_are_made_and_moments_too():
  run = _Run('fused', 'sac')
  networks = [*run.agent.networks.values(), *run.agent.targets.values()]
  layers = [x for each in networks for x in sparsity.sparse_layers(each)]
  layers = [x for x in layers if x.target_sparsity]
  of_layers = {id(v) for x in layers for v in (x.kernel, x.mask)}
  assert len(layers) >= len(networks)
  assert _resting(run) == of_layers
  assert run.learn.is_fused
  at_rest = _resting(run)
  optimizers = [optimizer for optimizer, _ in run.agent.descents[:2]]
  adams = [getattr(x, 'inner_optimizer', x) for x in optimizers]
  matrices = [
    v for adam in adams for v in adam.variables() if v.shape.rank == 2
  ]
  assert {*of_layers, *map(id, matrices)} <= at_rest
  run.train()
  assert _resting(run) == at_rest
  assert not _resting(_Run('native', 'sac'))


def test_counts_values_and_summaries_leave_at_rest_what_rests(tmp_path):
  run, other = (_Run('fused', 'dqn').train(7) for _ in range(2))
  before = _resting(run)
  for variable, expected in zip(run.variables, other.values(), strict=True):
    value = resting.value(variable)
    assert value.dtype == expected.dtype
    np.testing.assert_array_equal(value, expected)
    active = resting.active(variable)
    assert np.count_nonzero(active) >= np.count_nonzero(expected)
    assert active.sum() == pytest.approx(expected.sum(), rel=1e-4, abs=1e-5)
    if 'mask' in variable.name:
      bits = np.packbits(expected != 0)
      np.testing.assert_array_equal(resting.bits(variable), bits)
      assert active.size == np.count_nonzero(expected)
  network = run.agent.networks['q_network']
  counted = sparsity.counting.total(sparsity.counting.count(network))
  config = flags.make_config({'agent': 'dqn'})
  written = summaries.Summaries(tmp_path, config, run.agent)
  run.train(5)  # The masks move.
  assert _resting(run) == before
  assert written.masks_written()
  written.close()
  assert _resting(run) == before
  masks = [layer.mask.numpy() for layer in sparsity.sparse_layers(network)]
  assert counted.nonzero == sum(mask.sum() for mask in masks)


@pytest.mark.parametrize(
  ('agent', 'hidden_units'),
  [('dqn', (24, 16)), ('sac', (24, 16)), ('dqn', (900, 700))],
)
def test_a_checkpoint_wakes_nothing_and_is_that_of_tensorflow(
  agent, hidden_units, tmp_path
):  # Large variables are written as slices.
  run = _Run('fused', agent, hidden_units=hidden_units).train(7)
  before = _resting(run)
  checkpoint = tf.train.Checkpoint(agent=run.agent.tf_agent)
  resting.write(checkpoint, str(tmp_path / 'ours'))
  assert _resting(run) == before
  checkpoint.write(str(tmp_path / 'theirs'))
  assert not _resting(run)
  resting.write(checkpoint, str(tmp_path / 'awake'))
  ours, theirs, awake = (
    tf.train.load_checkpoint(str(tmp_path / name))
    for name in ('ours', 'theirs', 'awake')
  )
  shapes = theirs.get_variable_to_shape_map()
  for reader in (ours, awake):
    assert reader.get_variable_to_shape_map() == shapes
    for key in shapes:
      found, expected = reader.get_tensor(key), theirs.get_tensor(key)
      if isinstance(expected, bytes):  # Its order of entries is not fixed.
        assert len(found) == len(expected)
      else:
        np.testing.assert_array_equal(found, expected, err_msg=key)


@pytest.mark.parametrize(
  ('fraction', 'hidden_units'),
  [(0.3, (24, 16)), (1.0, (24, 16)), (0.3, (400, 300))],
)
def test_masks_of_rigl_are_those_that_its_updater_chooses(
  fraction, hidden_units
):  # By some of the gradients of a large layer at a time.
  runs = [
    _Run('fused', 'sac', drop_fraction=fraction, hidden_units=hidden_units)
    for _ in range(2)
  ]
  for optimizer in runs[1].agent.optimizers.values():
    updater = optimizer.updater
    updater.new_mask = updater.new_mask  # An own one, for what can be told.
  for run in runs:
    before = [v.numpy() for v in run.variables if 'mask' in v.name]
    run.train(12)
    after = [v.numpy() for v in run.variables if 'mask' in v.name]
    assert any((a != b).any() for a, b in zip(before, after))
  for variable, a, b in zip(
    runs[0].variables, *(run.values() for run in runs), strict=True
  ):
    rtol = 0 if 'mask' in variable.name else 1e-4  # A sum in another order.
    np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol / 1000)


def test_what_does_not_ask_for_the_tensor_is_told_so():
  run = _Run('fused', 'dqn').train(3)
  kernel = run.agent.networks['q_network'].trainable_variables[0]
  compiled = tf.function(lambda: tf.reduce_sum(kernel), jit_compile=True)
  with pytest.raises(tf.errors.OpError):
    compiled()
  one = tf.ones([])
  with pytest.raises(tf.errors.OpError):
    tf.raw_ops.ResourceApplyGradientDescent(
      var=kernel.handle, alpha=one, delta=tf.ones(kernel.shape)
    )
  assert kernel.numpy().any()
  assert np.isfinite(compiled())


def test_foreign_writes_count_at_the_next_step():
  runs = [_Run(b, 'sac') for b in ('fused', 'masked')]
  for run in runs:
    run.train(3)
    actor, critic, _ = run.agent.networks.values()
    kernel, bias = actor.trainable_variables[:2]
    kernel.assign(kernel * 0.5)
    bias.assign(bias + 1.0)
    critic.trainable_variables[0].assign_add(
      tf.ones(critic.trainable_variables[0].shape)
      * sparsity.sparse_layers(critic)[0].mask
    )
    target = run.agent.tf_agent._target_critic_network_1
    for variable in target.trainable_variables:
      variable.assign(0.9 * variable)
    critic.trainable_variables[2].assign_sub(critic.trainable_variables[2])
    optimizer = run.agent.optimizers['actor'].inner_optimizer
    optimizer.get_slot(kernel, 'm').assign(tf.zeros(kernel.shape))
    optimizer.learning_rate = 1e-2
    run.train(3)
  _assert_close(*runs)


@pytest.mark.parametrize('agent', _SPECS)
def test_what_a_checkpoint_holds_goes_on_bit_by_bit(agent, tmp_path):
  whole, first, second = (
    _Run('fused', agent, target_update_period=3) for _ in range(3)
  )
  whole.train(16)
  fused_runs.go_on_from(first.train(9), second, tmp_path)
  second.train(7)
  for a, b in zip(whole.values(), second.values(), strict=True):
    np.testing.assert_array_equal(a, b)
  np.testing.assert_array_equal(whole.outcomes[-1][0], second.outcomes[-1][0])


@pytest.mark.parametrize(
  ('agent', 'name'),
  [('sac', 'Critic loss'), ('td3', 'Critic loss'), ('dqn', 'Loss')],
)
def test_a_loss_that_is_not_finite_is_named(agent, name):
  run = _Run('fused', agent, method='static').train(2)
  before = run.values()
  rows = np.full((run.batch_size, run.row_size), np.nan, np.float32)
  if agent == 'dqn':
    rows[:, run.spec.observation_size] = 0
  observations = np.zeros((_ENVS, run.spec.observation_size), np.float32)
  with pytest.raises(FloatingPointError, match=f'{name} is inf or nan'):
    run.learn.train_on(rows, observations, run.agent.noise(run.rng, _ENVS))
  for a, b in zip(run.values(), before, strict=True):
    np.testing.assert_array_equal(a, b)


def test_shapes_that_do_not_fit_are_told():
  run = _Run('fused', 'dqn', method='static').train()
  step = run.agent.fused_step(run.batch_size)
  rows = np.zeros((run.batch_size, run.row_size), np.float32)
  observations = np.zeros((1, run.spec.observation_size), np.float32)
  noise = np.zeros((1, 2), np.float32)
  for changed in (
    (rows[:, 1:], observations, noise),
    (rows, observations[:, 1:], noise),
    (rows, observations, noise[:, 1:]),
  ):
    with pytest.raises(tf.errors.InvalidArgumentError, match='Expected rows'):
      step(*changed)
  rows[3, run.spec.observation_size] = 3
  with pytest.raises(tf.errors.InvalidArgumentError, match='Received: 3'):
    step(rows, observations, noise)


def _changed(run, name):
  """Makes an agent that no fused step can train."""
  agent = run.agent.tf_agent
  if name == 'loss':
    agent._td_errors_loss_fn = tf.keras.losses.mean_squared_error
  elif name == 'optimizer':
    agent._alpha_optimizer = tf.keras.optimizers.Adam(1e-3)
  elif name == 'schedule':
    schedule = tf.keras.optimizers.schedules.InverseTimeDecay(1e-3, 10, 1.0)
    agent._alpha_optimizer = tf.keras.optimizers.legacy.Adam(schedule)
  elif name == 'activation':
    run.agent.policy_layers[0].layer.activation = tf.nn.softsign
  elif name == 'regularizer':
    regularizer = tf.keras.regularizers.L1(1e-3)
    run.agent.policy_layers[0].layer.kernel_regularizer = regularizer
  elif name == 'layer between':
    layers = agent._actor_network.layers
    relu = tf.keras.layers.ReLU()
    agent._actor_network._sequential_layers = [*layers[:1], relu, *layers[1:]]
  elif name == 'subclass':
    agent.__class__ = type('Other', (type(agent),), {})
  else:
    backend.set_backend(name)


@pytest.mark.parametrize(
  'name',
  [
    *('loss', 'optimizer', 'schedule', 'activation', 'regularizer'),
    *('layer between', 'subclass', 'native', 'masked'),
  ],
)
def test_what_does_not_fit_is_trained_by_tensorflow(name):
  run = _Run('fused', 'sac')
  assert run.agent.fused_step(run.batch_size) is not None
  _changed(run, name)
  assert run.agent.fused_step(run.batch_size) is None


def test_an_actor_that_ends_in_an_activation_is_trained_by_tensorflow():
  run = _Run('fused', 'td3')
  assert run.agent.fused_step(run.batch_size) is not None
  run.agent.policy_layers[-1].layer.activation = tf.nn.relu
  assert run.agent.fused_step(run.batch_size) is None


def test_auto_fuses_where_native_kernels_are_faster(monkeypatch):
  for milliseconds, is_fused in (
    ([2.0, 3.0, 1.0], True),
    ([1.0, 0.5, 2.0], False),
  ):
    monkeypatch.setattr(backend, '_measured', lambda *_: milliseconds)  # noqa: B023
    for method in ('rigl', 'dense'):
      run = _Run('auto', 'dqn', method=method)
      assert (run.agent.fused_step(run.batch_size) is not None) == is_fused


def test_several_replicas_are_not_fused(two_replicas):
  with two_replicas.scope():
    assert _Run('fused', 'sac').agent.fused_step(24) is None
