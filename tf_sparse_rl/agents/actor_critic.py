"""The base class of SAC and TD3: an actor and two critics."""

import functools

import tensorflow as tf
from tf_agents.utils import common

from tf_sparse_rl import seeds, sparsity
from tf_sparse_rl.agents import (
  adaptive,
  base,
  experience,
  network_layers,
  replicas,
  sparse,
)
from tf_sparse_rl.networks import residual, stack
from tf_sparse_rl.sparsity import masked


def values_of(critics, observations, actions):
  """Computes Q-values of actions, a list of `[batch]`, one per critic."""
  return [critic((observations, actions))[0] for critic in critics]


def train_noise(seed, draw, train_step, shape):
  """Draws standard normal numbers as a function of seed and train step.

  TF-Agents' random operations have a state that checkpoints do not hold.

  Args:
    seed: int, of the run.
    draw: index of the draw in this train step, an int.
    train_step: int64 scalar.
    shape: `[batch, ...]`, of a replica's share of the batch.

  Returns:
    float32 tensor of this shape.
  """
  stream = seeds.derive(seed, seeds.Stream.TRAIN_NOISE, draw)
  # For the whole batch, so that it does not depend on the number of replicas.
  noise = tf.random.stateless_normal(
    [replicas.num_replicas() * shape[0], *shape[1:]],
    seed=tf.stack([tf.constant(stream, tf.int64), train_step]),
  )
  return replicas.share_of_replica(noise)


class ActorCritic(base.ActorAgent):
  """Base class of agents with a sparse actor and two sparse critics.

  Masks are drawn before the target networks are copied. Each critic has masks
  of its own; one optimizer trains both, as in TF-Agents.

  Attributes:
    actor_period: train steps between steps of the actor's optimizer.
  """

  actor_period = 1

  def __init__(self, config, env_spec, head):
    """Builds the networks and the agent, for continuous actions.

    Args:
      config: a Config.
      env_spec: an EnvSpec.
      head: the actor's last layer, see `heads`.

    Raises:
      ValueError: for an actor_parameter_share that the networks cannot meet.
    """
    config.check_observation(env_spec)
    self.env_spec, self.head = env_spec, head
    self.scales = network_layers.scaling_of_actor_critic(config, env_spec)
    actor, *groups = self._make_networks(config)
    names = 'actor', 'critic_1', 'critic_2'
    critics = [first for first, *_ in groups]
    self.networks = dict(zip(names, (actor, *critics)))
    copies = [copy for _, *copies in groups for copy in copies]
    trained = [*critics, *copies]
    actor_optimizer = sparse.optimizer(
      config, actor, config.actor_learning_rate, period=self.actor_period
    )
    critic_optimizer = sparse.optimizer(
      config, trained, config.critic_learning_rate
    )
    optimizers = actor_optimizer, critic_optimizer, critic_optimizer
    self.optimizers = sparse.sparse_optimizers(zip(names, optimizers))
    self.descents = [(actor_optimizer, [actor]), (critic_optimizer, trained)]
    if copies:
      self.candidates = {
        names[i]: adaptive.Candidates(
          *(config, names[i], i, group, critic_optimizer, trained)
        )
        for i, group in enumerate(groups, 1)
      }
    self.tf_agent = self._make_agent(config, actor_optimizer, critic_optimizer)
    sparse.rest([x for each in self.networks.values() for x in each.layers])
    self.initialize()

  def _make_networks(self, config):
    """Makes the actor and, for each critic, a list of it and its copies."""
    sparse.seed_initializers(config)
    env_spec, num_outputs = self.env_spec, self.head.num_outputs
    actor_plan, critic_plan = network_layers.plan_actor_critic(
      config, env_spec, num_outputs
    )
    spec = experience.observation_spec(env_spec)
    actor_layers = network_layers.of_actor_critic(
      config, env_spec, actor_plan, 0, 'actor'
    )
    specs = spec, self.head.action_spec

    def make_critic(index):
      layers = network_layers.of_actor_critic(
        config, env_spec, critic_plan, index, 'critic'
      )
      return _critic(layers, specs, name=f'Critic{index}')

    critics = [
      adaptive.make_networks(config, functools.partial(make_critic, index))
      for index in (1, 2)
    ]
    self.policy_layers = [*self.scales, *actor_layers]
    actor = stack.Network([*actor_layers, self.head], spec, name='Actor')
    return actor, *critics

  def _make_agent(self, config, actor_optimizer, critic_optimizer):
    """The TF-Agents agent."""
    raise NotImplementedError

  def _make_target(self, name, target_name):
    """Makes a target network, as TF-Agents does that is given none.

    Args:
      name: of the network, in `networks`.
      target_name: of its target.
    """
    online = self.networks[name]
    target = online.copy(name=target_name)
    target.create_variables()
    sparse.rest([*online.layers, *target.layers])
    return target

  def _copy_to_targets(self):
    for name, target in self.targets.items():
      online = self.networks[name]
      with masked.trusted(sparsity.sparse_weights(target)):
        common.soft_variables_update(
          online.variables, target.variables, tau=1.0
        )
      sparse.rest([*online.layers, *target.layers])

  @property
  def saved(self):
    scales = {scale.name: scale for scale in self.scales}
    return {**super().saved, **scales}

  def experience(self, rows):
    """Normalizes the observations of `Agent.experience`."""
    transition = super().experience(rows)
    if not self.scales:
      return transition
    now, action, following = transition
    return type(transition)(self._scaled(now), action, self._scaled(following))

  def _scaled(self, time_step):
    scaled = stack.call(self.scales, time_step.observation)
    return time_step._replace(observation=scaled)

  @functools.cached_property
  def _learn_scales(self):
    spec = experience.observation_spec(self.env_spec)
    observations = tf.TensorSpec([None, *spec.shape], spec.dtype)

    def learn(observations):
      for scale in self.scales:
        scale.learn(observations)

    return tf.function(learn, [observations], autograph=False)

  def see(self, observations):
    if self.scales:
      self._learn_scales(observations)

  def critic_probe(self, transition, losses):
    """Makes the Probe of a critic from a function of Q-values to losses."""
    return base.Probe(
      (transition.time_step.observation, transition.action_step.action),
      lambda outputs: losses(outputs[:, 0]),
      lambda outputs: outputs[:, 0],
    )


def _critic(layers, input_spec, name):
  """Makes a network from (observations, actions) to Q-values `[batch]`."""
  if not isinstance(layers[0], residual.Encoder):
    join = tf.keras.layers.Lambda(lambda inputs: tf.concat(inputs, axis=-1))
    layers = [join, *layers]
  flatten = tf.keras.layers.Lambda(lambda q: tf.squeeze(q, axis=-1))
  return stack.Network([*layers, flatten], input_spec, name=name)
