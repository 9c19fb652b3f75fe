"""Counting episodes and time."""

import json
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


def test_episodes_of_two_environments_are_kept_apart():
  episodes = metrics.Episodes(2)
  for index, reward, over in (
    *((0, 1.0, False), (1, 10.0, False)),
    *((0, 2.0, False), (1, 20.0, True)),
    *((0, 4.0, True), (1, 40.0, True)),
  ):
    episodes = metrics.Episodes.from_json(
      json.loads(json.dumps(episodes.to_json()))
    )
    episodes.add(gymnasium_env.Step(None, reward, over, False), index)
  assert episodes.count == 3
  assert list(episodes.returns) == [30.0, 7.0, 40.0]
  assert list(episodes.lengths) == [2, 3, 1]


def test_only_the_last_ten_episodes_stay():
  episodes = metrics.Episodes()
  for i in range(13):
    _play(episodes, [float(i)])
  assert episodes.count == 13
  assert list(episodes.returns) == [float(i) for i in range(3, 13)]


def test_episodes_go_on_from_json():
  here = metrics.Episodes()
  for i in range(12):
    _play(here, [i / 3, 0.1])
  here.add(gymnasium_env.Step(None, 1 / 7, False, False))
  text = json.dumps(here.to_json())
  there = metrics.Episodes.from_json(json.loads(text))
  for episodes in (here, there):
    _play(episodes, [2 / 7])
    assert episodes.count == 13
    assert episodes.returns[-1] == 1 / 7 + 2 / 7
    assert episodes.lengths[-1] == 2
  assert there.returns == here.returns
  assert there.returns.maxlen == 10  # Older ones go here as well.
  assert there.to_json() == here.to_json()


def test_the_clock_leaves_evaluations_out():
  clock = metrics.Clock()
  assert clock.figures()['env_steps_per_sec'] == 0
  clock.start(0)
  time.sleep(0.1)
  clock.pause(100)
  time.sleep(0.5)  # An evaluation.
  clock.start(100)
  time.sleep(0.1)
  clock.pause(200)
  figures = clock.figures()
  assert figures['wall_seconds'] >= 0.7
  # 200 env steps in 0.2 s; in 0.7 s it would be 286 a second.
  assert 400 < figures['env_steps_per_sec'] <= 1000


def test_the_clock_goes_on_where_it_was(monkeypatch):
  now = [1000.0]
  monkeypatch.setattr(time, 'perf_counter', lambda: now[0])
  clock = metrics.Clock()
  now[0] += 3  # The first evaluation.
  clock.start(0)
  now[0] += 10
  clock.pause(100)
  now[0] += 5
  clock.start(100)
  now[0] += 4
  values = json.loads(json.dumps(clock.to_json(120)))
  assert values == {
    'wall_seconds': 22.0,
    'trained_seconds': 14.0,
    'env_steps': 120,
  }
  # 120 env steps in 14 s, but no pause has told the first clock.
  assert clock.figures() == {'wall_seconds': 22.0, 'env_steps_per_sec': 10.0}

  now[0] = 70.0  # Another process, some time later.
  clock = metrics.Clock(**values)
  assert clock.figures() == {'wall_seconds': 22.0, 'env_steps_per_sec': 8.6}
  now[0] += 1  # Until training starts.
  clock.start(120)
  now[0] += 6
  assert clock.speed(132) == 2.0
  clock.pause(180)
  # 180 env steps in 20 s.
  assert clock.figures() == {'wall_seconds': 29.0, 'env_steps_per_sec': 9.0}


def test_speed_is_since_the_last_call():
  clock = metrics.Clock()
  clock.start(0)
  time.sleep(0.05)
  slow = clock.speed(10)
  time.sleep(0.05)
  fast = clock.speed(1010)
  assert slow <= 200
  assert fast == pytest.approx(100 * slow, rel=0.8)
