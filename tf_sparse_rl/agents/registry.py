"""The agents by name."""

from tf_sparse_rl.agents import dqn, ppo, sac

_BUILDERS = {
  'dqn': dqn.build_dqn,
  'sac': sac.build_sac,
  'ppo': ppo.build_ppo,
}


def build(config, env_spec):
  """Builds the agent that the config names.

  Args:
    config: a Config.
    env_spec: an EnvSpec.

  Returns:
    AgentParts.
  """
  return _BUILDERS[config.agent](config, env_spec)
