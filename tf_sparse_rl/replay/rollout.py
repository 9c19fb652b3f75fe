"""The latest env steps in order, for agents that learn from them once."""

from tf_sparse_rl.replay import transitions


class Rollout(transitions.Replay):
  """The latest env steps of environments in turn, see `rows.rollout`."""

  @property
  def row_size(self):
    """Entries of a row of `latest`."""
    return self._rollout.size

  def latest(self):
    """All of its rows, the oldest first; it must be full."""
    return self.rows(self.num_added - self.capacity, self.num_added)
