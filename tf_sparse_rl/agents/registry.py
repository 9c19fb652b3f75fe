"""The agents by name."""

from tf_sparse_rl.agents import dqn, ppo, sac, td3

_AGENTS = {'dqn': dqn.Dqn, 'sac': sac.Sac, 'td3': td3.Td3, 'ppo': ppo.Ppo}


def build(config, env_spec):
  """The `base.Agent` that a Config names, for an EnvSpec."""
  return _AGENTS[config.agent](config, env_spec)
