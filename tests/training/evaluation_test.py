"""Evaluation against an environment whose returns are known."""

import gymnasium as gym
import numpy as np
import pytest

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import envs, seeds
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


def _evaluator(num_environments, **options):
  environments = [
    envs.from_name('Countdown-v0') for _ in range(num_environments)
  ]
  return evaluation.Evaluator(environments, **options)


def _rng(index, seed=1):
  return seeds.generator(seed, seeds.Stream.EVALUATION, index)


def test_returns_and_lengths_are_of_one_episode_each():
  starts = []

  def act(observations):
    starts.append(observations[:, 0].tolist())
    return _count(observations)

  outcome = _evaluator(20).evaluate(act, _rng(0))
  assert len(set(starts[0])) > 2
  assert [len(s) for s in starts] == [
    sum(n > played for n in starts[0]) for played in range(len(starts))
  ]
  assert outcome.lengths == [int(n) for n in starts[0]]
  assert outcome.returns == [2.0 * n for n in starts[0]]
  assert len(starts) == max(outcome.lengths)  # One call for all of them.


def test_an_episode_ends_when_it_is_truncated():
  outcome = _evaluator(3).evaluate(_wait, _rng(0))
  assert outcome == ([0.0] * 3, [8] * 3, 0)


def test_an_episode_is_stopped_at_the_limit():
  outcome = _evaluator(3, max_episode_env_steps=5).evaluate(_wait, _rng(0))
  assert outcome == ([0.0] * 3, [5] * 3, 3)
  # One that ends there by itself is none.
  outcome = _evaluator(3, max_episode_env_steps=8).evaluate(_wait, _rng(0))
  assert outcome == ([0.0] * 3, [8] * 3, 0)


def test_a_stopped_episode_makes_way_for_the_next():
  evaluator = _evaluator(2, num_env_steps=9, max_episode_env_steps=3)
  outcome = evaluator.evaluate(_wait, _rng(0))
  assert outcome == ([0.0] * 4, [3] * 4, 4)


def test_epsilon_is_the_share_of_random_actions():
  seen = []

  def act(observations):
    seen.append(observations[:, 0].sum())
    return _wait(observations)

  evaluator = _evaluator(500, epsilon=0.4)
  first = evaluator.evaluate(act, _rng(0))
  # Of the random actions half count down. Who is at 0 plays no more.
  moved = (seen[0] - seen[1]) / 500
  assert abs(moved - 0.2) < 5 * np.sqrt(0.2 * 0.8 / 500)
  assert evaluator.evaluate(act, _rng(0)) == first


def test_episodes_begin_until_enough_env_steps_were_taken():
  evaluator = _evaluator(3, num_env_steps=40)
  outcome = evaluator.evaluate(_count, _rng(0))
  # Every one of them was played to its end, and counts.
  assert outcome.returns == [2.0 * n for n in outcome.lengths]
  assert sum(outcome.lengths) >= 40
  # The last ones had begun before: at most what two others had left to play.
  assert sum(outcome.lengths) < 40 + 3 * 6
  assert sum(outcome.lengths[:-3]) < 40
  assert len(set(outcome.lengths)) > 3
  assert evaluator.evaluate(_count, _rng(0)) == outcome
  fixed = _evaluator(3).evaluate(_count, _rng(0))
  assert outcome.lengths[:3] == fixed.lengths


def test_one_environment_plays_as_the_paper_does():
  outcome = _evaluator(1, num_env_steps=30).evaluate(_count, _rng(0))
  ends = np.cumsum(outcome.lengths)
  assert ends[-2] < 30 <= ends[-1]


def test_short_episodes_are_not_preferred():
  evaluator = _evaluator(10, num_env_steps=20_000)
  outcome = evaluator.evaluate(_count, _rng(0))
  # Of 1 to 6 each is as likely: 3.5 on average, with a variance of 35 / 12.
  error = np.sqrt(35 / 12 / len(outcome.lengths))
  assert abs(np.mean(outcome.lengths) - 3.5) < 5 * error


def test_starts_depend_on_the_generator_only():
  def starts(evaluator, rng):
    return evaluator.evaluate(_count, rng).lengths

  evaluator = _evaluator(30)
  first, second = starts(evaluator, _rng(0)), starts(evaluator, _rng(2000))
  assert first != second
  assert starts(evaluator, _rng(0)) == first  # Whatever came in between.
  fresh = _evaluator(30)
  assert starts(fresh, _rng(2000)) == second
  assert starts(fresh, _rng(0, seed=6)) != first


def test_an_evaluation_can_be_given_up_and_made_again():
  evaluator = _evaluator(20)
  whole = evaluator.evaluate(_count, _rng(7))
  acted = []

  def act(observations):
    acted.append(len(observations))
    return _count(observations)

  assert evaluator.evaluate(act, _rng(7), stop=lambda: True) is None
  assert acted == []
  assert evaluator.evaluate(act, _rng(7), stop=lambda: len(acted) == 2) is None
  # Who started at 1 is done after the first.
  assert acted[0] == 20 and 10 < acted[1] < 20 and len(acted) == 2
  assert evaluator.evaluate(_count, _rng(7)) == whole
  assert evaluator.evaluate(_count, _rng(7), stop=lambda: False) == whole


def test_noise_is_in_units_of_what_is_seen_without():
  seen = []

  def act(observations):
    seen.append(observations.copy())
    return _wait(observations)

  def environments():
    return [envs.from_name('Countdown-v0') for _ in range(200)]

  stds = [0.0, 0.5, 2.0]
  outcomes = evaluation.evaluate_with_noise(environments(), act, stds, seed=1)
  assert [o.lengths for o in outcomes] == [[8] * 200] * 3
  clean, half, double = (np.stack(seen[8 * i : 8 * (i + 1)]) for i in range(3))
  # The start is observed and, for everyone waits, again after every step.
  unit = clean[0].std()
  assert unit > 1
  for noisy, std in ((half, 0.5), (double, 2.0)):
    noise = noisy - clean
    assert abs(noise.std() / (std * unit) - 1) < 5 / np.sqrt(2 * noise.size)
    assert abs(noise.mean()) < 5 * std * unit / np.sqrt(noise.size)
  again = evaluation.evaluate_with_noise(environments(), act, [2.0], seed=1)
  np.testing.assert_array_equal(np.stack(seen[-8:]), double)
  assert again == outcomes[2:]


def test_an_agent_that_counts_by_what_it_sees_loses_by_noise():
  def act(observations):
    return (observations[:, 0] > 2.5).astype(np.int32)  # Down to 2, no more.

  environments = [envs.from_name('Countdown-v0') for _ in range(200)]
  clean, noisy = evaluation.evaluate_with_noise(
    environments, act, [0.0, 1.0], seed=1
  )
  assert 0 < np.mean(clean.returns) < np.mean(noisy.returns)
  assert clean == evaluation.Evaluator(environments).evaluate(
    act, seeds.generator(1, seeds.Stream.FINAL_EVALUATION)
  )


def test_a_film_is_an_mp4_of_the_episode(tmp_path):
  config = config_lib.make_config({'env_name': 'CartPole-v1'})
  path, frames = tmp_path / 'new' / 'video' / 'a.mp4', []
  for _ in range(2):  # The second replaces the first.
    frames.clear()
    evaluation.film(
      config, _wait, path, 0, lambda done, total: frames.append((done, total))
    )
  [video] = path.parent.iterdir()
  assert video == path
  assert frames == [(i + 1, len(frames)) for i in range(len(frames))]
  assert len(frames) > 5
  content = video.read_bytes()
  assert content[4:8] == b'ftyp'  # What every MP4 starts with.
  assert len(content) > 1000


@pytest.mark.filterwarnings('ignore:.*render_mode')
def test_what_cannot_be_drawn_cannot_be_filmed(tmp_path):
  config = config_lib.make_config({'env_name': 'Countdown-v0'})
  with pytest.raises(ValueError, match='Countdown-v0'):
    evaluation.film(config, _wait, tmp_path / 'video' / 'a.mp4', seed=0)
  assert not (tmp_path / 'video').exists()
