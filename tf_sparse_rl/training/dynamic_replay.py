"""A replay buffer that drops transitions far from the current policy."""

import numpy as np

from tf_sparse_rl.replay import rows as rows_lib

_BATCH = 2048  # RLx2's code: 8 batches of 256.


class DynamicReplay:
  """Drops the oldest tenth of a replay buffer while it is far from the policy.

  The policy distance is that of the paper: the mean Euclidean distance between
  the oldest actions and those of the current policy, in units of half the
  action range. The authors' code takes half the mean square over entries.

  Reference: Tan et al. 2023 (arXiv 2205.15043), section 4.2.2, equation 6.
  """

  def __init__(self, config, env_spec, buffer, act):
    """Takes the parts of a run.

    Args:
      config: a Config.
      env_spec: an EnvSpec with flat observations and continuous actions.
      buffer: the Replay.
      act: function of observations `[batch, observation_size]` to greedy
        actions `[batch, action_size]`.
    """
    self._config, self._buffer, self._act = config, buffer, act
    self._layout = rows_lib.transition(env_spec)
    self._scale = np.subtract(env_spec.action_high, env_spec.action_low) / 2

  def is_due(self, env_step):
    """Whether the distance is measured at this env step."""
    config = self._config
    is_trained = env_step > config.num_random_env_steps
    return is_trained and config.is_due(env_step, config.dynamic_replay_period)

  def policy_distance(self):
    """The policy distance of the oldest transitions, a float."""
    oldest = self._buffer.drawable[:_BATCH]
    rows = self._buffer.transitions(np.arange(oldest.start, oldest.stop))
    columns = self._layout.split(rows)
    moved = self._act(columns['observation']) - columns['action']
    return float(np.linalg.norm(moved / self._scale, axis=1).mean())

  def shrink(self):
    """Drops the oldest tenth, down to a minimum, if it is too far."""
    size, floor = self._buffer.num_drawn, self._config.min_replay_size
    count = min(size // 10, size - floor)
    if count > 0 and self.policy_distance() > self._config.max_policy_distance:
      self._buffer.forget(count)


def make(config, env_spec, buffer, act):
  """Makes the DynamicReplay of a run, or None. See its constructor."""
  if not config.dynamic_replay:
    return None
  return DynamicReplay(config, env_spec, buffer, act)
