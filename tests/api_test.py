"""Python instead of commands: train, open, act, evaluate, export."""

import errno
import inspect
import logging
import os
import pathlib
import signal
import subprocess
import sys
import threading
import warnings

import gymnasium
import numpy as np
import pytest
from absl import logging as absl_logging

import tf_sparse_rl
from tests import tiny
from tf_sparse_rl import callbacks, envs, runs
from tf_sparse_rl.training import checkpoints

_ROOT = pathlib.Path(__file__).parents[1]
_FIELDS = {**tiny.RUN, 'num_env_steps': 400, 'checkpoint_period': 100}


class _Noting(callbacks.Callback):
  """Notes every event and, at an env step, does something."""

  def __init__(self, at=None, act=lambda training: training.stop()):
    self.events, self._at, self._act = [], at, act

  def on_evaluation(self, training, evaluation):
    assert evaluation.env_step == training.env_step
    self.events.append(('evaluation', training.env_step))

  def on_env_step(self, training):
    if training.env_step == self._at:
      self._act(training)

  def on_mask_update(self, training):
    self.events.append(('mask_update', training.train_step))

  def on_end(self, training):
    self.events.append(('end', training.env_step))


def _cart_pole():
  return gymnasium.make('CartPole-v1', max_episode_steps=30)


@pytest.fixture(name='finished', scope='module')
def finished_fixture(tmp_path_factory):
  """(Run, events): it was stopped once, and continued."""
  path = tmp_path_factory.mktemp('api') / 'run'
  first, second = _Noting(at=250), _Noting()

  def train(callback):
    return tf_sparse_rl.train(
      path, env='CartPole-v1', callbacks=[callback], **_FIELDS
    )

  stopped = train(first)
  assert not stopped.is_finished and stopped.summary is None
  return train(second), [*first.events, *second.events]


@pytest.fixture(name='made', scope='module')
def made_fixture(tmp_path_factory):
  """The stopped Run of an environment that a function makes."""
  path = tmp_path_factory.mktemp('made') / 'run'
  return tf_sparse_rl.train(
    path, env=_cart_pole, callbacks=[_Noting(at=250)], **_FIELDS
  )


def test_the_public_names():
  assert {'train', 'open_run', 'sparsity', '__version__'} <= set(
    dir(tf_sparse_rl)
  )
  for name in dir(tf_sparse_rl):
    assert getattr(tf_sparse_rl, name) is not None
  with pytest.raises(AttributeError, match="no attribute 'trian'"):
    tf_sparse_rl.trian  # noqa: B018


def test_what_is_public_has_types():
  public = [
    *(tf_sparse_rl.train, tf_sparse_rl.open_run, tf_sparse_rl.Run.evaluate),
    *(tf_sparse_rl.Run.policy, tf_sparse_rl.Run.export),
    *(tf_sparse_rl.Run.results, callbacks.Callback.on_evaluation),
  ]
  for function in public:
    signature = inspect.signature(function)
    assert signature.return_annotation is not inspect.Signature.empty
    for name, parameter in signature.parameters.items():
      known = parameter.annotation is not inspect.Parameter.empty
      assert known or name == 'self', (function, name)
  assert (_ROOT / 'tf_sparse_rl' / 'py.typed').exists()


def test_the_import_is_fast_and_the_command_leaves_the_function():
  code = (
    'import sys, tf_sparse_rl\n'
    'heavy = {"tensorflow", "numpy", "gymnasium", "absl"} & set(sys.modules)\n'
    'assert not heavy, heavy\n'
    'import tf_sparse_rl.train\n'
    'assert callable(tf_sparse_rl.train)\n'
    'assert "tensorflow" not in sys.modules\n'
    'assert sys.modules["tf_sparse_rl.train"].run\n'
  )
  subprocess.run(
    [sys.executable, '-c', code],
    check=True,
    env={**os.environ, 'PYTHONPATH': str(_ROOT)},
  )


def test_events_come_in_their_order(finished):
  _, events = finished
  ends = [(name, at) for name, at in events if name != 'mask_update']
  assert ends == [
    *(('evaluation', 0), ('evaluation', 200), ('end', 250)),
    *(('evaluation', 400), ('end', 400)),
  ]
  updates = [at for name, at in events if name == 'mask_update']
  # 300 train steps, a mask update every 50, up to three quarters.
  assert len(updates) >= 4 and updates == sorted(set(updates))
  assert len({b - a for a, b in zip(updates, updates[1:])}) == 1


def test_a_run_is_read(finished):
  run, _ = finished
  assert run.config.env_name == 'CartPole-v1'
  assert run.config.hidden_units == (32, 32)
  assert run.summary.env_steps == 400 and run.is_finished
  assert repr(run).endswith('dqn CartPole-v1 rigl 0.9, finished>')
  again = tf_sparse_rl.open_run(str(run.path))
  assert again.config == run.config and again.summary == run.summary


def test_results_are_a_table_or_a_list(finished, monkeypatch):
  run, _ = finished
  table = run.results()
  assert list(table['env_step']) == [0, 200, 400]
  monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
  results = run.results()
  assert [r.return_mean for r in results] == list(table['return_mean'])


def test_a_finished_run_is_left_as_it_is(finished):
  run, _ = finished
  before = (run.path / 'summary.json').stat().st_mtime_ns
  noting = _Noting()
  again = tf_sparse_rl.train(run.path, config=run.config, callbacks=[noting])
  assert again.is_finished and noting.events == []
  assert (run.path / 'summary.json').stat().st_mtime_ns == before
  with pytest.raises(runs.RunsError, match='gamma: 0.99 there, 0.5 asked for'):
    tf_sparse_rl.train(run.path, config=run.config, gamma=0.5)


def test_a_finished_run_says_so_where_nothing_can_be_written(
  finished, monkeypatch
):
  run, _ = finished
  # Even root cannot write to a read-only disk.
  monkeypatch.setattr(
    'tf_sparse_rl.locks.held',
    lambda *_: (_ for _ in ()).throw(OSError(errno.EROFS, 'Read-only')),
  )
  assert tf_sparse_rl.train(run.path, config=run.config).is_finished
  with pytest.raises(runs.RunsError, match='Cannot write to .*: .*Read-only'):
    tf_sparse_rl.train(run.path, config=run.config, num_env_steps=500)


@pytest.mark.parametrize(
  'fields, message',
  [
    ({'sparsty': 0.9}, "Unknown field 'sparsty'. Did you mean 'sparsity'"),
    ({'env': 'CartPole'}, "Did you mean 'CartPole-v1'"),
    ({'method': 'rigll'}, "Did you mean 'rigl'"),
    ({'sparsity': 1.5}, 'sparsity'),
  ],
)
def test_mistakes_are_told_and_write_nothing(tmp_path, fields, message):
  with pytest.raises(ValueError, match=message):
    tf_sparse_rl.train(tmp_path / 'run', **fields)
  assert not (tmp_path / 'run').exists()


def test_no_run_is_told(tmp_path):
  with pytest.raises(runs.RunsError, match='Received: .*, no run'):
    tf_sparse_rl.open_run(tmp_path)


def test_policies_of_all_checkpoints(finished):
  run, _ = finished
  observations = np.random.default_rng(0).normal(size=[50, 4])
  last = run.policy()
  actions = last(observations)
  assert actions.shape == (50,) and set(actions) <= {0, 1}
  assert [last(o) for o in observations] == list(actions)
  assert last(observations[0]).shape == ()
  # The checkpoint of the last env step is the exported policy.
  np.testing.assert_array_equal(run.policy(400)(observations), actions)
  steps = sorted(
    int(path.name.removeprefix('env_step_'))
    for path in (run.path / 'checkpoints').glob('env_step_*')
  )
  returns = {r.env_step: r.return_mean for r in run._run_dir.read_results()}
  best = max((s for s in steps if s in returns), key=returns.get)
  np.testing.assert_array_equal(
    run.policy('best')(observations), run.policy(best)(observations)
  )
  with pytest.raises(
    checkpoints.CheckpointError, match=r'env steps \[.*400\] in .*: 7'
  ):
    run.policy(7)
  with pytest.raises(checkpoints.CheckpointError, match="Received: 'bst'"):
    run.policy('bst')


def test_evaluation_and_export(finished, tmp_path):
  run, _ = finished
  told = run.evaluate(num_episodes=3)
  assert told['returns'] == told['lengths'] and len(told['returns']) == 3
  assert told == run.evaluate(num_episodes=3)
  best = run.evaluate(num_episodes=2, checkpoint='best')
  assert best['checkpoint'] == 'best' and len(best['returns']) == 2
  with pytest.raises(ValueError, match='finished run for noise_std'):
    run.evaluate(noise_std=[0.1], checkpoint='best')
  report = run.export(tmp_path / 'out', formats=['npz'])
  assert str(report).startswith('Agrees with Keras on 500 observations.')
  assert [p.name for p in (tmp_path / 'out').iterdir()] == ['policy.npz']
  with pytest.raises(ValueError, match="Did you mean 'npz'"):
    run.export(tmp_path / 'out', formats=['npy'])


def test_a_damaged_checkpoint_is_named(made, tmp_path):
  [state] = (made.path / 'checkpoints').glob('env_step_*250/state.json')
  content = state.read_bytes()
  state.write_bytes(content + b' ')
  with pytest.raises(checkpoints.CheckpointError, match='state.json is not as'):
    made.policy('last')
  state.write_bytes(content)


def test_an_environment_that_a_function_makes(made):
  name = made.config.env_name
  assert name == 'callable:tests.api_test._cart_pole'
  # Read without the lock, and nothing is changed.
  before = {p: p.stat().st_mtime_ns for p in made.path.rglob('*')}
  with made._run_dir.locked():
    assert made.policy()(np.zeros(4)) in (0, 1)
    told = made.evaluate(num_episodes=2)
  assert max(told['lengths']) <= 30
  assert {p: p.stat().st_mtime_ns for p in made.path.rglob('*')} == before
  again = r'call tf_sparse_rl.train\(root_dir, env=...\) with the same callable'
  with pytest.raises(ValueError, match=again):
    tf_sparse_rl.open_run(made.path).evaluate()
  with pytest.raises(ValueError, match=again):
    tf_sparse_rl.train(made.path, config=made.config)
  run = tf_sparse_rl.open_run(made.path, env=_cart_pole)
  assert run.evaluate(num_episodes=2) == told
  # Not played with another one, in silence.
  other = tf_sparse_rl.open_run(made.path, env=_hostile)
  with pytest.raises(ValueError, match='of the run, callable:.*_cart_pole. R'):
    other.evaluate(num_episodes=2)
  done = tf_sparse_rl.train(made.path, env=_cart_pole, **_FIELDS)
  assert done.is_finished


def test_what_the_caller_set_up_stays(tmp_path, capfd):
  absl_logging.set_verbosity(absl_logging.INFO)
  level = logging.getLogger().level
  before = warnings.filters[:]
  handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
  variables = dict(os.environ)
  capfd.readouterr()
  tf_sparse_rl.train(
    tmp_path, env='CartPole-v1', callbacks=[_Noting(at=20)], **_FIELDS
  )
  shown = capfd.readouterr()
  assert (shown.out, shown.err) == ('', '')
  assert absl_logging.get_verbosity() == absl_logging.INFO
  assert logging.getLogger().level == level
  assert warnings.filters == before
  assert dict(os.environ) == variables
  assert handlers == [
    signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)
  ]


@pytest.fixture(name='ctrl_c')
def ctrl_c_fixture():
  """Ctrl-C as Python has it: what is started in the background ignores it."""
  before = signal.signal(signal.SIGINT, signal.default_int_handler)
  yield
  signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures('ctrl_c')
def test_ctrl_c_saves_and_is_raised_on(tmp_path):
  def interrupt(training):
    os.kill(os.getpid(), signal.SIGINT)

  with pytest.raises(KeyboardInterrupt):
    tf_sparse_rl.train(
      tmp_path,
      env='CartPole-v1',
      callbacks=[_Noting(at=150, act=interrupt)],
      **_FIELDS,
    )
  assert list((tmp_path / 'checkpoints').glob('env_step_*150/manifest.json'))
  assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures('ctrl_c')
def test_in_a_thread_signals_are_left_alone(tmp_path):
  found = []

  def train():
    noting = _Noting(
      at=20,
      act=lambda training: (
        found.append(signal.getsignal(signal.SIGINT)),
        training.stop(),
      ),
    )
    tf_sparse_rl.train(
      tmp_path, env='CartPole-v1', callbacks=[noting], **_FIELDS
    )

  thread = threading.Thread(target=train)
  thread.start()
  thread.join()
  assert found == [signal.default_int_handler]


class _Hostile(gymnasium.Wrapper):
  """CartPole that raises a given exception."""

  raises = None

  def step(self, action):
    if self.raises:
      raise self.raises
    return super().step(action)


def test_neither_an_environment_nor_a_signal_takes_what_was_trained(tmp_path):
  def train(*callbacks):
    return tf_sparse_rl.train(
      tmp_path, env=_hostile, callbacks=callbacks, **_FIELDS
    )

  def fail(training):
    _Hostile.raises = KeyboardInterrupt()

  # It would count as a Ctrl-C without signals being noted.
  broken = _Noting(150, fail)
  with pytest.raises(
    envs.EnvError, match='step raised KeyboardInterr'
  ) as error:
    train(broken)
  assert error.value.context == ' (after env step 150). A checkpoint was saved'
  _Hostile.raises, received = None, []
  before = signal.signal(
    signal.SIGUSR1, lambda number, frame: received.append(number)
  )
  try:
    warned = _Noting(250, lambda _: os.kill(os.getpid(), signal.SIGUSR1))
    assert not train(warned).is_finished
  finally:
    signal.signal(signal.SIGUSR1, before)
  assert received == [signal.SIGUSR1]
  assert (tmp_path / 'checkpoints' / f'env_step_{250:012d}').exists()


def _hostile():
  return _Hostile(gymnasium.make('CartPole-v1'))


def test_keras_3_first_is_told_in_one_sentence(tmp_path):
  code = (
    'import tensorflow as tf\n'
    'tf.keras.layers\n'
    'try:\n'
    '  from tf_sparse_rl import sparsity\n'
    'except ImportError as error:\n'
    '  print(error)\n'
    'import tf_sparse_rl\n'
    f'tf_sparse_rl.train({str(tmp_path / "run")!r})\n'
  )
  variables = dict(os.environ)
  variables.pop('TF_USE_LEGACY_KERAS')
  done = subprocess.run(
    [sys.executable, '-c', code],
    env={**variables, 'PYTHONPATH': str(_ROOT)},
    capture_output=True,
    text=True,
    check=False,
  )
  last = done.stderr.strip().splitlines()[-1]
  assert last == f'ImportError: {done.stdout.strip()}'
  assert last.startswith('ImportError: tf_sparse_rl needs Keras 2')
  assert "Received: tf.keras is 'keras'" in last
  assert 'export TF_USE_LEGACY_KERAS=1' in last
  assert not (tmp_path / 'run').exists()
