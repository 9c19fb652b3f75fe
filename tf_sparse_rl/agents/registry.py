"""The agents by name."""

from tf_sparse_rl.agents import categorical, dqn, ppo, sac, td3


def build(config, env_spec):
  """The `base.Agent` that a Config names, for an EnvSpec."""
  return _AGENTS[config.agent](config, env_spec)


def _dqn(config, env_spec):
  kind = dqn.Dqn if config.num_atoms == 1 else categorical.CategoricalDqn
  return kind(config, env_spec)


_AGENTS = {'dqn': _dqn, 'sac': sac.Sac, 'td3': td3.Td3, 'ppo': ppo.Ppo}
