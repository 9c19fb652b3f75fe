"""Gymnasium environments as TF-Agents sees them."""

from tf_sparse_rl.envs.gymnasium_env import (
  Environment,
  EnvSpec,
  check_name,
  make,
)

__all__ = ['EnvSpec', 'Environment', 'check_name', 'make']
