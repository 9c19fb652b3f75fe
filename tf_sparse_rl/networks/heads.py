"""Heads: policies' distributions of actions from an actor's outputs.

A head is the last layer of an actor. Its call returns a TFP distribution, for
TF-Agents' policies. `act` computes actions from outputs and noise, so that the
caller controls all randomness.
"""

import abc
import math

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tf_sparse_rl.networks import distributions

_INITIAL_STD = 0.35  # Paper's code, and TF-Agents.


class Head(tf.keras.layers.Layer, abc.ABC):
  """Base class of heads.

  Attributes:
    num_outputs: number of outputs of the actor.
    noise_size: number of random numbers per action.
  """

  @property
  def action_spec(self):
    """TF-Agents' BoundedTensorSpec of an action."""
    from tf_agents.specs import tensor_spec

    return tensor_spec.BoundedTensorSpec(*self._action_spec, 'action')

  def _set_action_spec(self, *arguments):
    """Sets shape, dtype and bounds of an action."""
    self._action_spec = self._no_dependency(arguments)

  @abc.abstractmethod
  def mode(self, outputs):
    """The most likely actions, `[batch, ...]`."""

  @abc.abstractmethod
  def act(self, outputs, noise):
    """Computes actions `[batch, ...]` from noise `[batch, noise_size]`."""

  @abc.abstractmethod
  def noise(self, rng, num_envs):
    """Draws noise `[num_envs, noise_size]` from a NumPy generator."""


class _Bounded(Head):
  """Base class of Gaussians between the bounds of continuous actions.

  Attributes:
    middle: mean of the bounds, `[action_size]`.
    scale: half the range of actions, `[action_size]`.
    low: the lower bound, `[action_size]`.
    high: the upper bound, `[action_size]`.
  """

  def __init__(self, env_spec, name):
    super().__init__(name=name)
    self.noise_size = env_spec.action_size
    low, high = np.array([env_spec.action_low, env_spec.action_high], 'float32')
    self.middle, self.scale = (high + low) / 2, (high - low) / 2
    self.low, self.high = low, high
    self._set_action_spec([self.noise_size], tf.float32, low, high)

  def noise(self, rng, num_envs):
    return rng.standard_normal((num_envs, self.noise_size), 'float32')

  def _bound(self, squashed):
    return self.middle + self.scale * squashed


class TanhGaussian(_Bounded):
  """The tanh of a Gaussian, within the bounds of an environment.

  Outputs are `[batch, 2 * action_size]`: means, then logarithms of standard
  deviations.

  Reference: Haarnoja et al. 2018b, appendix C.
  """

  def __init__(self, env_spec):
    """Takes the bounds of an EnvSpec with continuous actions."""
    super().__init__(env_spec, name='tanh_gaussian')
    self.num_outputs = 2 * env_spec.action_size

  def call(self, outputs):
    from tf_agents.distributions import utils as distribution_utils

    mean, log_std = tf.split(outputs, 2, axis=-1)
    return distribution_utils.scale_distribution_to_spec(
      tfp.distributions.MultivariateNormalDiag(mean, tf.exp(log_std)),
      self.action_spec,
    )

  def mode(self, outputs):
    return self._bound(tf.tanh(tf.split(outputs, 2, axis=-1)[0]))

  def act(self, outputs, noise):
    mean, log_std = tf.split(outputs, 2, axis=-1)
    return self._bound(tf.tanh(mean + tf.exp(log_std) * noise))

  def sample(self, outputs, noise):
    """Computes the actions of `act` and their log probabilities `[batch]`."""
    mean, log_std = tf.split(outputs, 2, axis=-1)
    before = mean + tf.exp(log_std) * noise
    # log(1 - tanh(x)^2) without cancellation.
    log_slope = 2 * (math.log(2) - before - tf.nn.softplus(-2 * before))
    constants = np.log(self.scale) + 0.5 * math.log(2 * math.pi)
    log_pi = -tf.reduce_sum(
      0.5 * noise**2 + log_std + log_slope + constants, axis=-1
    )
    return self._bound(tf.tanh(before)), log_pi


class Deterministic(_Bounded):
  """The tanh of the outputs, within the bounds of an environment.

  For collection, Gaussian noise is added and the sum is clipped to the bounds.
  Noise is relative to half the range of an action.

  Attributes:
    exploration_noise: standard deviation of that noise.

  Reference: Fujimoto et al. 2018 (arXiv 1802.09477), section 5.
  """

  def __init__(self, env_spec, exploration_noise):
    """Takes the bounds of an EnvSpec, and the noise's standard deviation."""
    super().__init__(env_spec, name='deterministic')
    self.num_outputs = env_spec.action_size
    self.exploration_noise = exploration_noise

  def call(self, outputs):
    return self.mode(outputs)

  def mode(self, outputs):
    return self._bound(tf.tanh(outputs))

  def act(self, outputs, noise):
    return self.perturbed(self.mode(outputs), self.exploration_noise * noise)

  def perturbed(self, actions, noise):
    """Adds noise `[batch, action_size]`; clips actions to the bounds."""
    noisy = actions + self.scale * noise
    return tf.clip_by_value(noisy, self.low, self.high)


class Gaussian(_Bounded):
  """A Gaussian around the squashed mean.

  Its standard deviation is a variable, independent of observations. Its actions
  may exceed the bounds of the environment.
  """

  def __init__(self, env_spec):
    """Takes the bounds of an EnvSpec with continuous actions."""
    super().__init__(env_spec, name='gaussian')
    self.num_outputs = env_spec.action_size
    self.num_parameters = 2 * env_spec.action_size

  def build(self, input_shape):
    self.std_bias = self.add_weight(
      'std_bias',
      [self.noise_size],
      tf.float32,
      tf.keras.initializers.Constant(math.log(math.exp(_INITIAL_STD) - 1)),
    )
    super().build(input_shape)

  def call(self, outputs):
    mean = self.mode(outputs)
    scale = tf.zeros_like(mean) + tf.nn.softplus(self.std_bias)
    return tfp.distributions.MultivariateNormalDiag(mean, scale)

  def mode(self, outputs):
    return self._bound(tf.tanh(outputs))

  def act(self, outputs, noise):
    return self.mode(outputs) + tf.nn.softplus(self.std_bias) * noise

  def snapshot(self):
    """Returns `act` in NumPy, with the current variables."""
    std = tf.nn.softplus(self.std_bias).numpy()
    return lambda outputs, noise: self._bound(np.tanh(outputs)) + std * noise

  def parameters(self, outputs):
    """The parameters of the distribution, `[batch, num_parameters]`."""
    distribution = self(outputs)
    return tf.concat([distribution.mean(), distribution.stddev()], axis=-1)

  def as_policy_info(self, parameters):
    """Converts parameters to TF-Agents' policy info."""
    loc, scale = tf.split(parameters, 2, axis=-1)
    return {'loc': loc, 'scale_diag': scale}

  def from_policy_info(self, info):
    """Makes the distribution from a result of `as_policy_info`."""
    return tfp.distributions.MultivariateNormalDiag(**info)


class Categorical(Head):
  """A probability for each action; for methods see `Gaussian`."""

  def __init__(self, env_spec):
    """Takes the number of actions of an EnvSpec with discrete ones."""
    super().__init__(name='categorical')
    self.counts = [env_spec.num_actions]  # Choices of each entry.
    self.noise_size = self.num_outputs = env_spec.num_actions
    self.num_parameters = env_spec.num_actions
    self._set_action_spec([], tf.int32, 0, env_spec.num_actions - 1)

  def call(self, outputs):
    return tfp.distributions.Categorical(logits=outputs, dtype=tf.int32)

  def mode(self, outputs):
    return tf.argmax(outputs, -1, output_type=tf.int32)

  def act(self, outputs, noise):
    return self.mode(outputs + noise)

  def noise(self, rng, num_envs):
    return np.float32(rng.gumbel(size=(num_envs, self.noise_size)))

  def snapshot(self):
    return lambda outputs, noise: np.int32(np.argmax(outputs + noise, axis=-1))

  def parameters(self, outputs):
    return outputs

  def as_policy_info(self, parameters):
    return {'logits': parameters}

  def from_policy_info(self, info):
    return tfp.distributions.Categorical(**info, dtype=tf.int32)


class MultiCategorical(Categorical):
  """A Categorical for each entry of an action, with concatenated logits."""

  def __init__(self, env_spec):
    """Takes the choices of each entry of an EnvSpec with several."""
    Head.__init__(self, name='multi_categorical')
    self.counts = list(env_spec.action_counts)
    self.noise_size = self.num_outputs = sum(self.counts)
    self.num_parameters = self.num_outputs
    highest = np.array(self.counts, np.int32) - 1
    self._set_action_spec([len(self.counts)], tf.int32, 0, highest)

  def call(self, outputs):
    return distributions.MultiCategorical(outputs, tuple(self.counts))

  def mode(self, outputs):
    """The most likely choice of each entry, int32 `[batch, entries]`."""
    entries = tf.split(outputs, self.counts, axis=-1)
    return tf.stack(
      [tf.argmax(entry, -1, output_type=tf.int32) for entry in entries], -1
    )

  def snapshot(self):
    """Returns `act` in NumPy, with the current variables."""
    ends = np.cumsum(self.counts)[:-1]

    def act(outputs, noise):
      entries = np.split(outputs + noise, ends, axis=-1)
      return np.stack([np.int32(entry.argmax(-1)) for entry in entries], -1)

    return act

  def from_policy_info(self, info):
    """Makes the distribution from a result of `as_policy_info`."""
    return distributions.MultiCategorical(**info, counts=tuple(self.counts))


def argmax(outputs):
  """Indices of the largest outputs, int32 `[batch]`."""
  return tf.argmax(outputs, -1, output_type=tf.int32)


def of_policy(env_spec):
  """Makes PPO's head for the actions of an EnvSpec."""
  if env_spec.action_counts:
    return MultiCategorical(env_spec)
  kind = Gaussian if env_spec.num_actions is None else Categorical
  return kind(env_spec)
