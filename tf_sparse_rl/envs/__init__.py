"""Gymnasium environments as specs and steps."""

from tf_sparse_rl.envs.atari import AtariEnvironment
from tf_sparse_rl.envs.errors import EnvError
from tf_sparse_rl.envs.gymnasium_env import Environment
from tf_sparse_rl.envs.making import is_callable, made_by, name_callable
from tf_sparse_rl.envs.registry import (
  check_name,
  from_name,
  make,
  try_out,
)
from tf_sparse_rl.envs.spaces import EnvSpec

__all__ = [
  'AtariEnvironment',
  'EnvError',
  'EnvSpec',
  'Environment',
  'check_name',
  'from_name',
  'is_callable',
  'made_by',
  'make',
  'name_callable',
  'try_out',
]
