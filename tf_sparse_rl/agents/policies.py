"""The greedy policies of the agents, without TF-Agents."""

from tf_sparse_rl.agents import network_layers, sparse
from tf_sparse_rl.networks import heads


def build(config, env_spec):
  """Builds the greedy policy of an agent, with its initial weights.

  Args:
    config: a Config.
    env_spec: an EnvSpec.

  Returns:
    (built layers from an observation to outputs, function of outputs to greedy
    actions), as of `base.Agent`.

  Raises:
    ValueError: for a network that does not fit the observations.
  """
  return _POLICIES[config.agent](config, env_spec)


def _dqn(config, env_spec):
  return network_layers.of_q_network(config, env_spec), heads.argmax


def _of_actor(config, env_spec, head):
  """The policy of SAC or TD3."""
  config.check_observation(env_spec)
  scaling = network_layers.scaling_of_actor_critic(config, env_spec)
  sparse.seed_initializers(config)
  plan, _ = network_layers.plan_actor_critic(config, env_spec, head.num_outputs)
  layers = network_layers.of_actor_critic(config, env_spec, plan, 0, 'actor')
  return [*scaling, *layers], head.mode


def _sac(config, env_spec):
  return _of_actor(config, env_spec, heads.TanhGaussian(env_spec))


def _td3(config, env_spec):
  head = heads.Deterministic(env_spec, config.exploration_noise)
  return _of_actor(config, env_spec, head)


def _ppo(config, env_spec):
  config.check_observation(env_spec)
  head = heads.of_policy(env_spec)
  actor, _ = network_layers.of_actor_and_value(config, env_spec, head)
  return [*network_layers.scaling(env_spec), *actor], head.mode


_POLICIES = {'dqn': _dqn, 'sac': _sac, 'td3': _td3, 'ppo': _ppo}
