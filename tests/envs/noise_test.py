"""Noise in observations, on episodes that are known."""

import numpy as np
import pytest

from tf_sparse_rl import envs
from tf_sparse_rl.envs import gymnasium_env, noise

_SIDE = 50


class _Film:
  """Shows given frames, one after another, two at a time; 0 before them."""

  spec = envs.EnvSpec(
    *('film', 2 * _SIDE**2, 2, None),
    observation_shape=(_SIDE, _SIDE, 2),
    num_frames=2,
  )

  def __init__(self, levels):
    self._levels = levels

  def reset(self, seed):
    del seed
    self._next = 0
    return self.step(0).observation

  def step(self, action):
    del action
    pair = [0, *self._levels][self._next : self._next + 2]
    self._next += 1
    stack = np.ones((_SIDE, _SIDE, 2), np.uint8) * np.array(pair, np.uint8)
    return gymnasium_env.Step(stack, 1.0, False, False)


def _seen(levels, std, seed=3):
  """Observations of a film, `[frames, side, side, 2]`."""
  env = noise.NoisyEnvironment(_Film(levels), std)
  stacks = [env.reset(seed)]
  for _ in levels[1:]:
    step = env.step(1)
    assert step.reward == 1.0 and not step.terminated
    stacks.append(step.observation)
  assert all(stack.dtype == np.uint8 for stack in stacks)
  return np.stack(stacks)


def test_noise_is_cut_off_and_does_not_wrap_around():
  dark, bright = _seen([0, 255], 5.0)[:, :, :, 1]
  # Half of the noise would go below 0, or above 255, and is cut off there.
  for extreme, frame in ((0, dark), (255, bright)):
    off = np.abs(frame.astype(int) - extreme)
    assert off.max() < 40
    assert 0.4 < (off == 0).mean() < 0.65  # Rounding adds to the half.


def test_noise_has_its_std_and_is_rounded():
  frame = _seen([100], 10.0)[0, :, :, 1].astype(int)
  count = frame.size
  assert abs(frame.mean() - 100) < 5 * 10 / np.sqrt(count)
  # A whole number: rounding adds a twelfth to the variance.
  assert abs(frame.var() / (100 + 1 / 12) - 1) < 5 * np.sqrt(2 / count)
  assert (_seen([100, 7], 0.2) == _seen([100, 7], 0.0)).mean() > 0.98


def test_a_frame_keeps_its_noise_and_what_was_before_has_none():
  first, second, third = _seen([50, 60, 70], 8.0)
  assert (first[..., 0] == 0).all()
  np.testing.assert_array_equal(second[..., 0], first[..., 1])
  np.testing.assert_array_equal(third[..., 0], second[..., 1])
  off = [
    s[..., 1].astype(int) - level for s, level in ((first, 50), (second, 60))
  ]
  assert abs(np.corrcoef(off[0].ravel(), off[1].ravel())[0, 1]) < 0.1


def test_the_seed_of_an_episode_is_that_of_its_noise():
  np.testing.assert_array_equal(_seen([9, 99], 20.0), _seen([9, 99], 20.0))
  assert (_seen([9, 99], 20.0) != _seen([9, 99], 20.0, seed=4)).mean() > 0.4


def test_a_second_episode_begins_without_the_frames_of_the_first():
  env = noise.NoisyEnvironment(_Film([200, 200]), 5.0)
  env.reset(1)
  env.step(0)
  assert (env.reset(2)[..., 0] == 0).all()


@pytest.mark.parametrize('env_name', ['CartPole-v1', 'HalfCheetah-v5'])
def test_flat_observations_have_noise_in_each_entry(env_name):
  plain = envs.from_name(env_name)
  size = plain.spec.observation_size
  std = np.arange(size) / 10
  noisy = noise.NoisyEnvironment(envs.from_name(env_name), std)
  rng = np.random.default_rng(0)
  off = []
  for seed in range(100):
    off.append(noisy.reset(seed) - plain.reset(seed))
    for _ in range(5):
      action = plain.random_action(rng)
      step, clean = noisy.step(action), plain.step(action)
      assert step.observation.dtype == np.float32
      assert step[1:] == clean[1:]
      off.append(step.observation - clean.observation)
  off = np.stack(off)
  assert (off[:, 0] == 0).all()
  found = off[:, 1:].std(axis=0) / std[1:]
  np.testing.assert_allclose(found, 1, atol=5 / np.sqrt(2 * len(off)))


def test_the_std_of_what_was_watched():
  environments = [
    noise.WatchedEnvironment(envs.from_name('CartPole-v1')) for _ in range(3)
  ]
  seen = []
  for seed, env in enumerate(environments):
    seen.append(env.reset(seed))
    seen.extend(env.step(k % 2).observation for k in range(6))
  np.testing.assert_allclose(
    noise.std_of_observations(environments), np.std(seen, axis=0), rtol=1e-5
  )
