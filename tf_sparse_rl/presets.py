"""Default values by agent, with their sources.

"Table n" are the tables of the paper's appendix; "code" is its released code.
Where the two differ, the code's value stands, for that is what was run; the
source says so.
"""

import dataclasses
from typing import Any, NamedTuple


class Value(NamedTuple):
  """A preset value and where it is from."""

  value: Any
  source: str


class Share(NamedTuple):
  """A train step, as a share of the env steps of the run over train_period."""

  share: float
  source: str


# Classic control. Table 1 has the same values for all five methods.
_DQN_CLASSIC = {
  'num_env_steps': Value(100_000, 'code: 100,000 iterations'),
  'hidden_units': Value((512, 512), 'table 6'),
  'weight_decay': Value(1e-6, 'table 1; hidden kernels only, as in the code'),
  'learning_rate': Value(1e-3, 'table 6'),
  'batch_size': Value(128, 'table 6'),
  'gamma': Value(0.99, 'table 6'),
  'reward_scale': Value(1.0, 'table 6'),
  'epsilon': Value(0.01, 'code: constant; table 6 says 0.1 at the end'),
  'target_update_period': Value(100, 'table 6'),
  'target_update_tau': Value(1.0, 'table 6'),
  'replay_capacity': Value(100_000, 'table 6'),
  'initial_collect_env_steps': Value(1000, 'table 6'),
  'train_period': Value(1, 'table 6'),
  'eval_period': Value(2000, 'code'),
  'num_eval_episodes': Value(20, 'code; greedy, where table 6 says 0.1'),
  'sparsity_aware_init': Value(True, 'table 1'),
  'drop_fraction': Value(0.5, 'table 1'),
  'mask_update_period': Value(1000, 'table 1'),
  'mask_update_end_train_step': Share(0.75, 'code: 75,000; the text says 80 %'),
  'prune_begin_train_step': Share(0.20, 'code: 20,000'),
  'prune_end_train_step': Share(0.75, 'code: 75,000; the text says 80 %'),
}

_PRESETS = {'dqn': _DQN_CLASSIC}


def resolve(config):
  """Fills the fields that are None.

  Args:
    config: a Config with a valid agent.

  Returns:
    A Config without None.
  """
  values = _PRESETS[config.agent]
  missing = {name for name in values if getattr(config, name) is None}
  plain = {n: values[n].value for n in missing if isinstance(values[n], Value)}
  config = dataclasses.replace(config, **plain)
  train_steps = config.num_env_steps // config.train_period
  shares = {n: values[n].share for n in missing if isinstance(values[n], Share)}
  # A short run ends before: its initial collection is not trained on.
  last = config.num_train_steps
  return dataclasses.replace(
    config,
    **{n: min(round(s * train_steps), last) for n, s in shares.items()},
  )
