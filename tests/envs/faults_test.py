"""Faulty environments: the sentence that each of them gets."""

import os
import signal

import gymnasium as gym
import numpy as np
import pytest

from tests.envs import faulty
from tf_sparse_rl import envs, signals

_make, _config = faulty.make, faulty.config


def _name(replaced, kind=faulty.Env):
  return envs.name_callable(_make(replaced, kind))


def _limited(make):
  """In Gymnasium's own wrappers, which unpack what comes back."""

  def limited():
    return gym.wrappers.TimeLimit(gym.wrappers.OrderEnforcing(make()), 9)

  return limited


def _raising(error):
  def method(*args, **kwargs):
    raise error.with_traceback(None)

  return method


def test_there_are_enough_and_the_page_has_them():
  assert len(faulty.FAULTS) + len(faulty.SPACES) >= 50
  assert faulty.is_on_page(), 'python -m tests.envs.faulty'


def test_an_environment_in_order_passes():
  spec = envs.try_out(_config(_name({})))
  assert (spec.observation_size, spec.num_actions) == (3, 2)


@pytest.mark.parametrize('fault', faulty.FAULTS)
@pytest.mark.parametrize('limited', [False, True])
def test_a_fault_gets_its_sentence(fault, limited):
  replaced, expected = faulty.FAULTS[fault]
  made = _make(replaced)
  name = envs.name_callable(_limited(made) if limited else made)
  is_image = replaced.get('observation_space') is faulty.IMAGE
  with pytest.raises(envs.EnvError) as error:
    envs.try_out(_config(name, 'nature_cnn' if is_image else 'mlp'))
  assert str(error.value) == f'{name}: {expected}'


@pytest.mark.parametrize('fault', faulty.SPACES)
def test_a_space_that_cannot_be_used_gets_its_sentence(fault):
  name = _name(faulty.SPACES[fault][0])
  with pytest.raises(ValueError) as error:
    envs.try_out(_config(name))
  assert str(error.value) == faulty.sentence_of_space(fault, name)


@pytest.mark.parametrize(
  'observation',
  [
    [0, 0, 0],
    [0.5, 0, 1],
    np.zeros(3),
    np.zeros(3, np.int64),
    np.array([1 + 1e-7, 0, 0]),
    np.zeros(3, np.float16),
  ],
)
def test_other_types_of_numbers_are_no_fault(observation):
  spec = envs.try_out(_config(_name(faulty.observing(observation))))
  assert spec.observation_size == 3


@pytest.mark.parametrize(
  'reward',
  [1, True, np.float32(1), np.array(1.0), np.array([1.0]), np.int64(1)],
)
def test_rewards_of_other_types_are_no_fault(reward):
  name = _name(
    faulty.stepping(faulty.OBSERVATION, reward, np.bool_(False), False, {})
  )
  env = envs.from_name(name)
  env.reset(0)
  for _ in range(2):  # The first step is looked at more closely.
    step = env.step(0)
    assert (step.reward, type(step.reward)) == (1.0, float)
    assert type(step.terminated) is bool


@pytest.mark.parametrize('fault', faulty.LATER)
@pytest.mark.filterwarnings('ignore:overflow encountered')
def test_a_later_fault_gets_its_sentence(fault):
  arguments, expected = faulty.LATER[fault]
  arguments = {'late': None, **arguments}
  name = envs.name_callable(_limited(_make(arguments, faulty.Late)))
  env = envs.from_name(name)
  env.reset(0)
  for _ in range(2):
    env.step(0)
  with pytest.raises(envs.EnvError) as error:
    env.step(0)
  assert str(error.value) == f'{name}: {expected}'
  if 'observation' in arguments:  # Every one is checked.
    with pytest.raises(envs.EnvError) as error:
      env.reset(1)
    assert str(error.value) == f'{name}: {expected.replace("step", "reset")}'


@pytest.mark.parametrize('end', [os._exit, None])
@pytest.mark.parametrize('method', ['reset', 'step'])
def test_a_fork_does_not_train_on(method, end):
  """Whether it comes out of the environment, or raises."""
  process, children = os.getpid(), []

  def fork(env, *args, **kwargs):
    if child := os.fork():
      children.append(child)
    elif end is None:
      raise SystemExit
    return getattr(faulty.Env, method)(env, *args, **kwargs)

  kind = type('Forking', (faulty.Env,), {method: fork})
  envs.try_out(_config(_name({}, kind)))
  if os.getpid() != process:
    os._exit(77)  # It came back.
  [child] = children
  assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


@pytest.mark.parametrize('raised', [RuntimeError('not yet'), SystemExit(0)])
def test_a_space_may_raise(raised):
  space = property(_raising(raised))
  kind = type('Lazy', (faulty.Env,), {'observation_space': space})
  name = _name({}, kind)
  with pytest.raises(envs.EnvError) as error:
    envs.try_out(_config(name))
  first, *_, last = str(error.value).splitlines()
  what = f'observation_space, action_space or spec raised {type(raised)}'
  assert first.startswith(f'{name}: {what.split("<")[0]}')
  assert last.startswith(type(raised).__name__)


class _NoTextError(Exception):
  def __str__(self):
    raise ValueError('no text')


@pytest.mark.parametrize('method', ['reset', 'step'])
@pytest.mark.parametrize(
  'raised',
  [
    FileNotFoundError('own.txt'),
    ValueError('not enough'),
    ZeroDivisionError(),
    SystemExit(3),
    SystemExit(0),
    GeneratorExit(),
    StopIteration(),
    np.linalg.LinAlgError('Singular matrix'),
    _NoTextError(),
  ],
)
def test_an_exception_keeps_the_users_frames(method, raised):
  name = _name({method: _raising(raised)})
  with pytest.raises(envs.EnvError) as error:
    envs.try_out(_config(name))
  first, second, *rest = str(error.value).splitlines()
  assert first == f'{name}: {method} raised {type(raised).__name__}:'
  assert second == 'Traceback (most recent call last):'
  # This file's own frame is the first one.
  assert __file__ in rest[0] and ', in method' in rest[0]
  assert 'gymnasium_env.py' not in str(error.value)


@pytest.mark.parametrize('method', ['reset', 'step'])
def test_a_ctrl_c_is_no_fault_of_the_environments(method):
  def interrupt(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGINT)

  before = signal.signal(signal.SIGINT, signal.default_int_handler)
  try:
    with signals.interruptible(), pytest.raises(KeyboardInterrupt):
      envs.try_out(_config(_name({method: interrupt})))
    raised = _name({method: _raising(KeyboardInterrupt())})
    for noting in (signals.interruptible, signals.noted):
      with noting(), pytest.raises(envs.EnvError, match='KeyboardInterrupt'):
        envs.try_out(_config(raised))
  finally:
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize('raised', [OSError('busy'), SystemExit(0)])
def test_close_may_raise(raised):
  name = _name({'close': _raising(raised)})
  with pytest.raises(envs.EnvError) as error:
    envs.try_out(_config(name))
  kind = type(raised).__name__
  assert str(error.value).startswith(f'{name}: close raised {kind}:\n')


def test_the_first_step_is_checked_and_the_probe_goes():
  env = envs.from_name('CartPole-v1')
  inner = env.gym
  while not isinstance(inner.env, type(env.gym.unwrapped)):
    inner = inner.env
  assert type(inner).__name__ == 'Probe'
  env.reset(0)
  env.step(0)
  inner = env.gym
  while isinstance(inner, gym.Wrapper):
    assert type(inner).__name__ != 'Probe'
    inner = inner.env


def test_a_position_can_be_taken_back():
  env = envs.from_name('CartPole-v1')
  env.reset(7)
  env.step(0)
  mark = env.mark()
  position = env.position
  env.step(1)
  env.reset(8)
  env.step(1)
  env.rewind(mark)
  assert env.position == position == {'seed': 7, 'actions': [0]}


def test_no_file_is_left(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  envs.try_out(_config('HalfCheetah-v5'))
  assert os.listdir(tmp_path) == []
