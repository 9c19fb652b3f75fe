"""Why a loss is not finite: the first value that was too large."""

import types

import numpy as np
import pytest

from tf_sparse_rl import envs, replay
from tf_sparse_rl.training import divergence, parts

_FLAT = envs.EnvSpec('x', 3, 2, None)


def _filled(values, buffer=None):
  """A buffer with env steps of (reward, last entry of the observation)."""
  buffer = replay.Replay(3000, _FLAT) if buffer is None else buffer
  observation = np.zeros(3, np.float32)
  for reward, entry in values:
    following = np.array([0, 0, entry], np.float32)
    step = types.SimpleNamespace(
      observation=following, reward=reward, terminated=False, truncated=False
    )
    buffer.add(observation, 0, step)
    observation = following
  return buffer


def test_a_huge_reward_is_named_with_its_env_step():
  values = [(1.0, 0.0)] * 1500 + [(-2e16, 0.0), (3e17, 0.0)]
  assert divergence.explain(_filled(values), None) == (
    'The first value above 1e+15 was -2e+16, in the reward of env step 1,501. '
    'Scale it in the environment, or by a wrapper.'
  )


def test_a_huge_observation_is_named_if_it_came_first():
  values = [(1.0, 0.0), (1.0, 1e20), (1e18, 0.0), (0.0, 0.0)]
  # It was acted on in the env step that follows.
  text = divergence.explain(_filled(values), (9, 1e30))
  assert 'was 1e+20, in the observation of env step 3' in text


@pytest.mark.filterwarnings('ignore:overflow encountered')
def test_what_float32_does_not_hold():
  text = divergence.explain(_filled([(1e300, 0.0)]), None)
  assert 'was inf (float32 holds up to 3.4e38), in the reward of' in text


def test_a_weight_that_is_not_finite_has_its_reason_too():
  def save(env_step, state):
    raise FloatingPointError('a kernel is NaN or infinite')

  training = types.SimpleNamespace(
    machine={'measurements': []},
    now=types.SimpleNamespace(env_step=7, to_json=lambda _: {}),
    envs=(),
    summaries=types.SimpleNamespace(masks_written=dict),
    checkpoints=types.SimpleNamespace(save=save),
    buffer=_filled([(2e17, 0.0)]),
    learner=types.SimpleNamespace(first_huge_loss=None),
  )
  with pytest.raises(FloatingPointError) as error:
    parts.Parts.save(training)
  assert str(error.value) == (
    'a kernel is NaN or infinite at env step 7. The first value above 1e+15 was'
    ' 2e+17, in the reward of env step 1. Scale it in the environment, or by a '
    'wrapper'
  )


def test_what_a_ring_has_overwritten_is_not_looked_for():
  buffer = replay.Replay(4, _FLAT)
  _filled([(1e17, 0.0)] + [(1.0, 0.0)] * 5, buffer)
  assert 'diverged' in divergence.explain(buffer, None)
  _filled([(2e17, 0.0)], buffer)
  assert 'was 2e+17, in the reward of env step 7.' in divergence.explain(
    buffer, None
  )


def test_a_loss_that_diverges_is_told_apart():
  buffer = _filled([(1.0, 1e15), (-1e15, 0.0), (0.0, 0.0)])
  assert divergence.explain(buffer, (1234, 5.55e15)) == (
    'Rewards and observations are below 1e+15; the first loss above it was '
    '5.6e+15, at train step 1,234: training diverged. Try a lower '
    '--learning_rate.'
  )
  text = divergence.explain(buffer, None)
  assert text.endswith('training diverged. Try a lower --learning_rate.')


def test_rewards_beside_images():
  buffer = replay.FrameReplay(50, (8, 8, 3), 1)
  image = np.full([8, 8, 3], 255, np.uint8)
  for reward in (1.0, 4e15):
    step = types.SimpleNamespace(
      observation=image, reward=reward, terminated=False, truncated=False
    )
    buffer.add(image, 1, step)
  assert 'was 4e+15, in the reward of env step 2' in divergence.explain(
    buffer, None
  )
