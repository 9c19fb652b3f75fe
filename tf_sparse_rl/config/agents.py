"""The agents, one row each, as far as a config needs to know them."""

from typing import NamedTuple


class Agent(NamedTuple):
  """An agent."""

  action_spaces: tuple[str, ...]  # Gymnasium's spaces that it can act in
  networks: tuple[str, ...]  # as custom_sparsity may begin with
  records: tuple[str, ...]  # in this folder, beside those of every agent


AGENTS = {
  'dqn': Agent(('Discrete',), ('q_network',), ('Replay', 'Dqn')),
  'sac': Agent(('Box',), ('actor', 'critic'), ('Replay', 'Actor', 'Sac')),
  'ppo': Agent(('Box', 'Discrete'), ('actor', 'value'), ('Actor', 'Ppo')),
}


def that_have(record):
  """Names of the agents with the fields of a record.

  Args:
    record: a subclass of Record.

  Returns:
    Tuple of str; all of them, for a record that no agent names.
  """
  some = [n for n, row in AGENTS.items() if record.__name__ in row.records]
  return tuple(some or AGENTS)
