"""The replay: a ring of env steps, and what is drawn from it."""

from tf_sparse_rl.replay.frames import FrameReplay, Transitions
from tf_sparse_rl.replay.n_step import Returns
from tf_sparse_rl.replay.transitions import Replay, Rollout

__all__ = ['FrameReplay', 'Replay', 'Returns', 'Rollout', 'Transitions', 'make']


def make(config, env_spec):
  """The buffer that a run collects into, of its Config and its EnvSpec.

  Returns:
    A Rollout for PPO, a FrameReplay of images, else a Replay.
  """
  if config.agent == 'ppo':
    return Rollout(config.rollout_env_steps, env_spec, config.num_envs)
  returns = Returns(config.n_step, config.gamma, bool(config.clip_rewards))
  capacity, drawn = config.replay_capacity, (config.num_envs, returns)
  shape = env_spec.observation_shape
  if shape:
    return FrameReplay(capacity, shape[:2], shape[2], *drawn)
  return Replay(capacity, env_spec, *drawn)
