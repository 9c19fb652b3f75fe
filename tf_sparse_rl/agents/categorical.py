"""C51: DQN that learns the distribution of the return, not its mean."""

import tensorflow as tf

from tf_sparse_rl.agents import dqn, losses
from tf_sparse_rl.networks import heads, stack


class CategoricalDqnAgent(dqn.DqnAgent):
  """DQN whose Q-network ends in an `atoms.ExpectedValues`.

  The network's outputs are Q-values, by which it acts; it is trained on the
  logits before them. Targets are distributions, `[batch, atoms]`.

  Reference: Bellemare et al. 2017 (arXiv 1707.06887), algorithm 1.
  """

  def outputs(self, network, time_step):
    return stack.call(network.layers[:-1], time_step.observation)

  def values_of(self, outputs, actions):
    q_values = self._expected_values(outputs)
    return tf.gather(q_values, actions, batch_dims=1)

  def losses_of(self, outputs, actions, targets):
    logits = self._expected_values.logits(outputs)
    return tf.nn.softmax_cross_entropy_with_logits(
      targets, tf.gather(logits, actions, batch_dims=1)
    )

  def td_targets(self, transition):
    following = transition.next_time_step
    outputs = self.outputs(self._target_q_network, following)
    picking = outputs
    if self._double_dqn:
      picking = self.outputs(self._q_network, following)
    best = heads.argmax(self._expected_values(picking))
    logits = self._expected_values.logits(outputs)
    atoms = self._expected_values.atoms
    returns = losses.td_targets(
      self._reward_scale_factor * following.reward[:, tf.newaxis],
      self._gamma * following.discount[:, tf.newaxis],
      atoms,
    )
    weights = tf.nn.softmax(tf.gather(logits, best, batch_dims=1))
    return tf.stop_gradient(losses.projected(returns, weights, atoms))

  @property
  def _expected_values(self):
    return self._q_network.layers[-1]


class CategoricalDqn(dqn.Dqn):
  """DQN of a config with `num_atoms` above 1."""

  agent_class = CategoricalDqnAgent
