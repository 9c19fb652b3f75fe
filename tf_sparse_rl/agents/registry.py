"""The agents by name."""

from tf_sparse_rl.agents import dqn, ppo, sac

_AGENTS = {'dqn': dqn.Dqn, 'sac': sac.Sac, 'ppo': ppo.Ppo}


def build(config, env_spec):
  """The `base.Agent` that a Config names, for an EnvSpec."""
  return _AGENTS[config.agent](config, env_spec)
