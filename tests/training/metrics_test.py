"""Counting episodes and time."""

import time

import pytest

from tf_sparse_rl.envs import gymnasium_env
from tf_sparse_rl.training import metrics


def _play(episodes, rewards, truncated=False):
  for i, reward in enumerate(rewards):
    last = i == len(rewards) - 1
    episodes.add(
      gymnasium_env.Step(
        None, reward, last and not truncated, last and truncated
      )
    )


def test_episodes_by_hand():
  episodes = metrics.Episodes()
  _play(episodes, [1.0, 2.0, 3.0])
  _play(episodes, [5.0], truncated=True)
  episodes.add(gymnasium_env.Step(None, 100.0, False, False))
  assert episodes.count == 2  # The third goes on.
  assert list(episodes.returns) == [6.0, 5.0]
  assert list(episodes.lengths) == [3, 1]


def test_only_the_last_ten_episodes_stay():
  episodes = metrics.Episodes()
  for i in range(13):
    _play(episodes, [float(i)])
  assert episodes.count == 13
  assert list(episodes.returns) == [float(i) for i in range(3, 13)]


def test_the_clock_leaves_evaluations_out():
  clock = metrics.Clock()
  assert clock.mean_speed == 0
  clock.start(0)
  time.sleep(0.1)
  clock.pause(100)
  time.sleep(0.5)  # An evaluation.
  clock.start(100)
  time.sleep(0.1)
  clock.pause(200)
  assert clock.wall_seconds >= 0.7
  # 200 env steps in 0.2 s; in 0.7 s it would be 286 a second.
  assert 400 < clock.mean_speed <= 1000


def test_speed_is_since_the_last_call():
  clock = metrics.Clock()
  clock.start(0)
  time.sleep(0.05)
  slow = clock.speed(10)
  time.sleep(0.05)
  fast = clock.speed(1010)
  assert slow <= 200
  assert fast == pytest.approx(100 * slow, rel=0.8)
