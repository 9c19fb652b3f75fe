"""Gymnasium environments as TF-Agents sees them."""

from tf_sparse_rl.envs.atari import AtariEnvironment
from tf_sparse_rl.envs.gymnasium_env import Environment, EnvSpec, made_by
from tf_sparse_rl.envs.registry import check_name, from_name, make

__all__ = [
  'AtariEnvironment',
  'EnvSpec',
  'Environment',
  'check_name',
  'from_name',
  'made_by',
  'make',
]
