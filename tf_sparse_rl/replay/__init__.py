"""What was collected: a ring of env steps, and what is drawn from it."""

from tf_sparse_rl.replay.frames import FrameReplay, Transitions
from tf_sparse_rl.replay.rollout import Rollout
from tf_sparse_rl.replay.transitions import Replay

__all__ = ['FrameReplay', 'Replay', 'Rollout', 'Transitions', 'make']


def make(config, env_spec):
  """The buffer that a run collects into.

  Args:
    config: a Config.
    env_spec: an EnvSpec.

  Returns:
    A Rollout for PPO, a FrameReplay of images, else a Replay.
  """
  if config.agent == 'ppo':
    return Rollout(config.rollout_env_steps, env_spec, num_envs=config.num_envs)
  settings = {
    'n_step': config.n_step,
    'gamma': config.gamma,
    'num_envs': config.num_envs,
    'clip_rewards': bool(config.clip_rewards),
  }
  shape = env_spec.observation_shape
  if shape:
    return FrameReplay(config.replay_capacity, shape[:2], shape[2], **settings)
  return Replay(config.replay_capacity, env_spec, **settings)
