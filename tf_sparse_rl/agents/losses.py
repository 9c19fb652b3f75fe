"""Per-sample losses of the algorithms.

Arguments and results are `[batch]` unless stated otherwise. Train steps and
diagnostics use the same functions.
"""

import tensorflow as tf


def td_targets(rewards, discounts, next_values):
  """Targets of temporal-difference learning, without gradients.

  Args:
    rewards: rewards of the env steps.
    discounts: 0 where an episode terminated.
    next_values: values of the next observations.

  Reference: Mnih et al. 2015, algorithm 1.
  """
  return tf.stop_gradient(rewards + discounts * next_values)


def projected(returns, weights, atoms):
  """Moves the mass of distributions to atoms, to the two nearest of each.

  Args:
    returns: where the mass is, `[batch, returns]`; it counts at the first or
      the last atom if it is beyond them.
    weights: the mass, `[batch, returns]`.
    atoms: `[atoms]`, ascending, at equal distances.

  Returns:
    The mass of the atoms, `[batch, atoms]`.

  Reference: Bellemare et al. 2017 (arXiv 1707.06887), equation 7.
  """
  clipped = tf.clip_by_value(returns, atoms[0], atoms[-1])
  distances = tf.abs(clipped[:, tf.newaxis] - atoms[:, tf.newaxis])
  shares = tf.maximum(0.0, 1 - distances / (atoms[1] - atoms[0]))
  return tf.linalg.matvec(shares, weights)


def soft_values(q_values, log_pi, alpha):
  """Values of observations under a policy with an entropy bonus.

  Args:
    q_values: list of the Q-values of the policy's actions, one per critic.
    log_pi: log probabilities of these actions.
    alpha: the temperature, a scalar.

  Reference: Haarnoja et al. 2018b (arXiv 1812.05905), equation 3, with the
  smaller of two Q-values.
  """
  return tf.reduce_min(q_values, axis=0) - alpha * log_pi


def entropy_between(log_pi, weights, alpha):
  """The entropy bonus of the env steps within an n-step return.

  The return is then `sum of gamma^k (reward_k + alpha entropy_k)`. The first
  step has no entropy term, since the action of a Q-value is given.

  Args:
    log_pi: log probabilities of the policy's actions, `[batch, n - 1]`.
    weights: gamma^k, 0 of steps that were not taken, `[batch, n - 1]`.
    alpha: the temperature, a scalar.

  Reference: Haarnoja et al. 2018b, equations 2 and 3, applied n times; as in
  RLx2's code (Tan et al. 2023), with the current policy.
  """
  return -alpha * tf.reduce_sum(weights * log_pi, axis=-1)


def actor_losses(log_pi, q_values, alpha):
  """Divergence of the policy from the softmax policy of its Q-values.

  Args:
    log_pi: log probabilities of the policy's actions.
    q_values: list of the Q-values of these actions, one per critic.
    alpha: the temperature, a scalar.

  Reference: Haarnoja et al. 2018b, equation 9.
  """
  return alpha * log_pi - tf.reduce_min(q_values, axis=0)


def temperature_losses(temperature, log_pi, target_entropy):
  """Losses that raise the temperature if the entropy is below its target.

  Args:
    temperature: alpha, or its logarithm, TF-Agents' default.
    log_pi: log probabilities of the policy's actions.
    target_entropy: in nats.

  Reference: Haarnoja et al. 2018b, equation 18.
  """
  return temperature * tf.stop_gradient(-log_pi - target_entropy)


def clipped_double_q(q_values):
  """Values of next observations: the smaller Q-value of their actions.

  Args:
    q_values: list of the Q-values of the target policy's actions, one per
      critic.

  Reference: Fujimoto et al. 2018 (arXiv 1802.09477), equation 10.
  """
  return tf.reduce_min(q_values, axis=0)


def deterministic_actor_losses(q_values):
  """The first critic's Q-values of the policy's actions, negated.

  Reference: Silver et al. 2014, theorem 1; Fujimoto et al. 2018, algorithm 1.
  """
  return -q_values


def clipped_surrogate_losses(ratios, advantages, clip_ratio):
  """PPO's clipped surrogate objective, negated.

  Args:
    ratios: probabilities of the actions over those when they were taken.
    advantages: advantages of the actions.
    clip_ratio: PPO's clipping parameter epsilon.

  Reference: Schulman et al. 2017, equation 7.
  """
  clipped = tf.clip_by_value(ratios, 1 - clip_ratio, 1 + clip_ratio)
  return -tf.minimum(ratios * advantages, clipped * advantages)


def squared_errors(targets, values):
  """Squared errors of a critic or of a value network.

  Reference: Haarnoja et al. 2018b, equation 5, without its half; Schulman et
  al. 2017, equation 9.
  """
  return tf.math.squared_difference(targets, values)


def normalized(advantages):
  """Advantages of mean 0 and standard deviation 1 over the batch."""
  mean, variance = tf.nn.moments(advantages, axes=[0])
  return (advantages - mean) * tf.math.rsqrt(variance + 1e-8)
