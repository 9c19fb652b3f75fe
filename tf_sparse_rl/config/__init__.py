"""The configuration of one run; see rows.py for how a field is defined."""

from tf_sparse_rl.config.agents import AGENTS
from tf_sparse_rl.config.config import Config, fields
from tf_sparse_rl.config.env_names import ATARI_GAMES, gym_id, is_atari
from tf_sparse_rl.config.evaluation import DIAGNOSTICS
from tf_sparse_rl.config.files import load_values, to_dict, values_of
from tf_sparse_rl.config.making import (
  length_fields,
  make_config,
  resolve,
  without_copies,
)

__all__ = [
  'AGENTS',
  'ATARI_GAMES',
  'Config',
  'DIAGNOSTICS',
  'fields',
  'gym_id',
  'is_atari',
  'length_fields',
  'load_values',
  'make_config',
  'resolve',
  'to_dict',
  'values_of',
  'without_copies',
]
