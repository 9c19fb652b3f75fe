"""Replay buffers: a ring of env steps, and sampling from it."""

from tf_sparse_rl.replay.frames import FrameReplay, Transitions
from tf_sparse_rl.replay.n_step import Returns
from tf_sparse_rl.replay.priorities import Priorities, Weighted
from tf_sparse_rl.replay.transitions import Replay, Rollout

__all__ = [
  'FrameReplay',
  'Priorities',
  'Replay',
  'Returns',
  'Rollout',
  'Transitions',
  'Weighted',
  'make',
]


def make(config, env_spec):
  """Makes the buffer of a run of its Config and its EnvSpec.

  Returns:
    A Rollout for PPO, a FrameReplay for images, otherwise a Replay.
  """
  if config.agent == 'ppo':
    return Rollout(config.rollout_env_steps, env_spec, config.num_envs)
  returns = Returns(
    *(config.n_step, config.gamma, bool(config.clip_rewards)),
    begin_env_step=config.n_step_begin_env_step,
  )
  capacity, drawn = config.replay_capacity, (config.num_envs, returns)
  shape, num_frames = env_spec.observation_shape, env_spec.num_frames
  if shape:
    # Each frame of a stack is stored once; of other images all channels.
    frame_shape = shape[:2] if num_frames > 1 else shape
    action_size = 0 if env_spec.has_integer_actions else env_spec.action_size
    return FrameReplay(capacity, frame_shape, num_frames, *drawn, action_size)
  return Replay(
    capacity, env_spec, *drawn, with_between=bool(config.num_between)
  )
