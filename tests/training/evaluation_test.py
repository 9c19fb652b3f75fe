"""Evaluation against an environment whose returns are known."""

import gymnasium as gym
import numpy as np
import pytest

from tf_sparse_rl.training import evaluation


class _Countdown(gym.Env):
  """Starts at 1 to 6 by its seed; 1 counts down for a reward, 0 waits.

  At 0 the episode is terminated. After it nothing may be asked of it.
  """

  observation_space = gym.spaces.Box(0, 9, (1,), np.float32)
  action_space = gym.spaces.Discrete(2)

  def reset(self, *, seed=None, options=None):
    super().reset(seed=seed)
    self._left = int(self.np_random.integers(1, 7))
    return np.array([self._left]), {}

  def step(self, action):
    assert self._left > 0, 'a step after the end'
    self._left -= int(action)
    return np.array([self._left]), 2.0 * int(action), self._left == 0, False, {}


gym.register('Countdown-v0', _Countdown, max_episode_steps=8)


def _count(observations):
  return np.ones(len(observations), np.int32)


def _wait(observations):
  return np.zeros(len(observations), np.int32)


def test_returns_and_lengths_are_of_one_episode_each():
  starts = []

  def act(observations):
    starts.append(observations[:, 0].tolist())
    return _count(observations)

  outcome = evaluation.Evaluator('Countdown-v0', 20, seed=1).evaluate(act, 0)
  assert len(set(starts[0])) > 2
  assert outcome.lengths == [int(n) for n in starts[0]]
  assert outcome.returns == [2.0 * n for n in starts[0]]
  assert len(starts) == max(outcome.lengths)  # One call for all of them.


def test_an_episode_ends_when_it_is_truncated():
  outcome = evaluation.Evaluator('Countdown-v0', 3, seed=1).evaluate(_wait, 0)
  assert outcome == ([0.0] * 3, [8] * 3)


def test_epsilon_is_the_share_of_random_actions():
  seen = []

  def act(observations):
    seen.append(observations[:, 0].copy())
    return _wait(observations)

  evaluator = evaluation.Evaluator('Countdown-v0', 500, seed=1, epsilon=0.4)
  first = evaluator.evaluate(act, 0)
  # Of the random actions half count down.
  moved = np.mean(seen[0] - seen[1])
  assert abs(moved - 0.2) < 5 * np.sqrt(0.2 * 0.8 / 500)
  assert evaluator.evaluate(act, 0) == first


def test_starts_depend_on_seed_and_index_only():
  def starts(evaluator, index):
    return evaluator.evaluate(_count, index).lengths

  evaluator = evaluation.Evaluator('Countdown-v0', 30, seed=5)
  first, second = starts(evaluator, 0), starts(evaluator, 2000)
  assert first != second
  assert starts(evaluator, 0) == first  # Whatever came in between.
  fresh = evaluation.Evaluator('Countdown-v0', 30, seed=5)
  assert starts(fresh, 2000) == second
  assert starts(evaluation.Evaluator('Countdown-v0', 30, seed=6), 0) != first


def test_an_evaluation_can_be_given_up_and_made_again():
  evaluator = evaluation.Evaluator('Countdown-v0', 20, seed=5)
  whole = evaluator.evaluate(_count, 7)
  acted = []

  def act(observations):
    acted.append(len(observations))
    return _count(observations)

  assert evaluator.evaluate(act, 7, stop=lambda: True) is None
  assert acted == []
  assert evaluator.evaluate(act, 7, stop=lambda: len(acted) == 2) is None
  assert acted == [20, 20]
  assert evaluator.evaluate(_count, 7) == whole
  assert evaluator.evaluate(_count, 7, stop=lambda: False) == whole


def test_a_film_is_an_mp4_of_the_episode(tmp_path):
  evaluation.film('CartPole-v1', _wait, tmp_path / 'new' / 'video', seed=0)
  [video] = (tmp_path / 'new' / 'video').iterdir()
  assert video.suffix == '.mp4'
  content = video.read_bytes()
  assert content[4:8] == b'ftyp'  # What every MP4 starts with.
  assert len(content) > 1000


@pytest.mark.filterwarnings('ignore:.*render_mode')
def test_what_cannot_be_drawn_cannot_be_filmed(tmp_path):
  with pytest.raises(ValueError, match='Countdown-v0'):
    evaluation.film('Countdown-v0', _wait, tmp_path / 'video', seed=0)
  assert not (tmp_path / 'video').exists()
