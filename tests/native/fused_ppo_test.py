"""Fused train steps of PPO against its `_train` on the masked path."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from tests.native import fused_runs
from tf_sparse_rl import envs, flags, sparsity
from tf_sparse_rl.agents import registry
from tf_sparse_rl.native import backend, library
from tf_sparse_rl.training import learner

_BOX = envs.EnvSpec('HalfCheetah-v5', 5, None, 1000, (-1.0, -2.0), (1.0, 0.5))
_DISCRETE = envs.EnvSpec('CartPole-v1', 5, 3, 500)
_MULTI = envs.EnvSpec('x', 5, None, None, action_counts=(2, 4))
_ROWS, _EPOCHS = 72, 2


@pytest.fixture(autouse=True)
def native_kernels():
  if library.load() is None:
    pytest.skip(library.problem())


class _Run(fused_runs.Run):
  """An agent that is trained on made-up rollouts, the same for each backend."""

  def __init__(self, backend_name, spec, batch_size=24, **changes):
    tf.keras.utils.set_random_seed(0)
    self.backend_name, self.spec = backend_name, spec
    backend.set_backend(backend_name)
    values = {
      'agent': 'ppo',
      'method': 'rigl',
      'num_env_steps': 20 * _ROWS,
      'rollout_env_steps': _ROWS,
      'num_epochs': _EPOCHS,
      'batch_size': batch_size,
      'hidden_units': (24, 16),
      'mask_update_period': 5,
      'mask_update_end_train_step': 900,
      'prune_begin_train_step': 2,
      'prune_end_train_step': 20,
      'sparsity': 0.8,
      'weight_decay': 1e-3,
    }
    self.config = flags.make_config({**values, **changes})
    self.agent = registry.build(self.config, spec)
    self.rng = np.random.default_rng(0)
    self.scalars = []  # of each rollout

  @functools.cached_property
  def learn(self):
    backend.set_backend(self.backend_name)
    size = self.spec.observation_size
    return learner.RolloutLearner(
      self.agent, self.config, tf.TensorSpec([size])
    )

  def rows(self):
    """Rows as `prepare` makes them."""
    rng, head = self.rng, self.agent.head
    parameters = rng.normal(size=(_ROWS, head.num_parameters))
    action = rng.normal(size=(_ROWS, self.spec.action_size))
    if self.spec is _BOX:
      parameters[:, 2:] = rng.uniform(0.3, 0.5, size=(_ROWS, 2))
      action = parameters[:, :2] + 0.3 * action
    else:
      action = rng.integers(head.counts, size=action.shape)
    returns, advantage, value = rng.normal(size=(3, _ROWS, 1))
    observation = rng.normal(size=(_ROWS, self.spec.observation_size))
    columns = observation, action, returns, advantage, value, parameters
    return np.float32(np.concatenate(columns, axis=1))

  def batches(self, num_train_steps):
    size = num_train_steps, self.config.batch_size
    return self.rng.integers(_ROWS, size=size)

  def train(self, num_train_steps, at_once=1000):
    """Makes train steps, all on one rollout."""
    assert self.learn.is_fused == (self.backend_name == 'fused')
    rows, batches = self.rows(), self.batches(num_train_steps)
    for i in range(0, num_train_steps, at_once):
      scalars = self.learn._train_step.on_batches(
        rows, batches[i : i + at_once]
      )
    self.scalars.append({tag: float(s) for tag, s in scalars.items()})
    return self


def _assert_close(ours, theirs, rtol=1e-4, atol=1e-6):
  assert len(ours.scalars) == len(theirs.scalars)
  for scalars, others in zip(ours.scalars, theirs.scalars):
    assert scalars == pytest.approx(others, rel=10 * rtol, abs=10 * atol)
  fused_runs.assert_variables_close(ours, theirs, rtol=rtol, atol=atol)


_CASES = {
  'box': (_BOX, {'entropy_weight': 0.01}),
  'multi': (_MULTI, {'entropy_weight': 0.1, 'value_loss_weight': 2.0}),
  'dense': (_BOX, {'method': 'dense', 'clip_ratio': 0.5}),
}
_MORE_CASES = {
  'discrete': (_DISCRETE, {'entropy_weight': 0.01, 'batch_size': 6}),
  'prune': (_BOX, {'method': 'prune', 'weight_decay': 0.0, 'batch_size': 72}),
  'not_clipped': (_BOX, {'max_gradient_norm': 0.0, 'clip_ratio': 0.3}),
  'clipped': (_BOX, {'max_gradient_norm': 0.02, 'clip_ratio': 0.5}),
  'actor_dense': (_BOX, {'actor_sparsity': 0.0}),
  'value_dense': (_DISCRETE, {'value_sparsity': 0.0}),
}


@pytest.mark.parametrize(
  'case',
  [*_CASES, *(pytest.param(c, marks=pytest.mark.slow) for c in _MORE_CASES)],
)
def test_one_step_and_ten_are_those_of_the_agent(case):
  spec, changes = {**_CASES, **_MORE_CASES}[case]
  ours, theirs = (_Run(b, spec, **changes) for b in ('fused', 'masked'))
  for num_train_steps in (2, 10):  # The first of all moves masks.
    _assert_close(ours.train(num_train_steps), theirs.train(num_train_steps))
  clipped = ours.scalars[-1]['Agent/clip_fraction']
  assert 0 < clipped < 1
  for network in ours.agent.networks.values():
    for layer in sparsity.sparse_layers(network):
      assert not layer.kernel.numpy()[layer.mask.numpy() == 0].any()


@pytest.mark.slow
@pytest.mark.parametrize('spec', [_BOX, _DISCRETE], ids=['box', 'discrete'])
def test_a_thousand_steps_are_those_of_the_agent(spec):
  # So that the learning rate does not fall below 0.
  changes = {
    'mask_update_period': 100,
    'mask_update_end_train_step': 500,
    'num_env_steps': 200 * _ROWS,
  }
  ours, theirs = (_Run(b, spec, **changes) for b in ('fused', 'masked'))
  ours.train(1000), theirs.train(1000)
  # Rounding of one step is carried on by all that follow.
  _assert_close(ours, theirs, rtol=2e-2, atol=2e-3)


def _assert_equal(ours, theirs):
  for a, b in zip(ours.values(), theirs.values(), strict=True):
    np.testing.assert_array_equal(a, b)


def test_many_steps_at_once_are_those_one_by_one_and_may_be_looked_at():
  at_once, one_by_one = (_Run('fused', _BOX) for _ in range(2))
  for _ in range(3):
    at_once.train(4)
    one_by_one.train(4, at_once=1).values()
  _assert_equal(at_once, one_by_one)
  assert at_once.scalars == one_by_one.scalars
  assert at_once.learn.train_step == 12


def test_what_a_checkpoint_holds_goes_on_bit_by_bit(tmp_path):
  whole, first, second = (_Run('fused', _DISCRETE) for _ in range(3))
  whole.train(9).train(4)
  fused_runs.go_on_from(first.train(9), second, tmp_path)
  _assert_equal(whole, second.train(4))


def test_a_loss_that_is_not_finite_ends_training_at_its_train_step():
  runs = [_Run('fused', _BOX, method='static') for _ in range(2)]
  for run in runs:
    rows, batches = run.rows(), run.batches(5)
    rows[7, -7] = 1e10  # A return.
    rows[8, 0] = np.nan
    batches[batches < 9] = 9
    batches[1, 0] = 7
    batches[3, 0] = 8
    learn = run.learn
    if run is runs[0]:
      with pytest.raises(FloatingPointError, match='Loss is nan'):
        learn._train_step.on_batches(rows, batches)
    else:
      learn._train_step.on_batches(rows, batches[:3])
    assert learn.train_step == int(run.agent.tf_agent.train_step_counter) == 3
    train_step, loss = learn.first_huge_loss
    assert (train_step, loss > 1e15) == (2, True)
  _assert_equal(*runs)


def test_what_does_not_fit_is_told():
  run = _Run('fused', _DISCRETE, method='static')
  step, rows = run.agent.fused_step(24), run.rows()
  batches = np.arange(24)[np.newaxis]
  for changed, expected in (
    ((rows[:, 1:], batches), 'Expected rows'),
    ((rows, batches[0]), 'Expected rows'),
    ((rows, batches + 60), 'Expected numbers of 72 rows. Received: 72'),
  ):
    with pytest.raises(tf.errors.InvalidArgumentError, match=expected):
      step(*changed)
  rows[3, 5] = 3
  with pytest.raises(tf.errors.InvalidArgumentError, match='Received: 3'):
    step(rows, batches)


def test_what_does_not_fit_is_trained_by_tensorflow(monkeypatch):
  run = _Run('fused', _BOX)
  agent = run.agent.tf_agent
  first, last = (agent._actor_net.layers[i].layer for i in (0, -2))
  optimizer = agent._optimizer.inner_optimizer
  for owner, name, value in (
    (optimizer, 'clipvalue', 1.0),
    (agent, '_learning_rate', tf.Variable(1e-3)),
    (first, 'activation', tf.nn.softsign),
    (last, 'activation', tf.nn.relu),
    (agent, '__class__', type('Other', (type(agent),), {})),
    (backend, '_backend', 'native'),
    (backend, '_backend', 'masked'),
  ):
    assert run.agent.fused_step(24) is not None
    with monkeypatch.context() as changed:
      changed.setattr(owner, name, value)
      assert run.agent.fused_step(24) is None
