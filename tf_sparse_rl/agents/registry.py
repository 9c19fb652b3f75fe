"""The agents by name."""

from tf_sparse_rl.agents import dqn, ppo, sac

_AGENTS = {'dqn': dqn.Dqn, 'sac': sac.Sac, 'ppo': ppo.Ppo}


def build(config, env_spec):
  """Builds the agent that the config names.

  Args:
    config: a Config.
    env_spec: an EnvSpec.

  Returns:
    A `base.Agent`.
  """
  return _AGENTS[config.agent](config, env_spec)
