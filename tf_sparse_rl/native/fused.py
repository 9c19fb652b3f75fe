"""Whole train steps of agents as one native operation.

A step updates weights, moments, targets and counters as the agent's `_train`
does, which remains the definition, and returns the next actions. Between steps
the active entries of kernels and moments stay packed: such a variable has no
tensor until somebody reads it (resting.cc).
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_sparse_rl.native import backend, library, stacks, updates


class TrainStep:
  """A fused train step of an agent."""

  def __init__(self, step, dtype, tags):
    """Wraps a step.

    Args:
      step: handle of the step, a scalar tensor.
      dtype: of actions.
      tags: names of its scalars, in order.
    """
    self._step, self._dtype, self._tags = step, dtype, tags

  def __call__(self, rows, observations, noise):
    """One train step.

    Args:
      rows: float32 `[batch, row size]`.
      observations: float32 `[num_envs, observation_size]`.
      noise: float32 `[num_envs, noise_size]`, of the actions.

    Returns:
      (actions, `{tag: float32 scalar}`).

    Raises:
      tf.errors.InvalidArgumentError: if a loss is NaN or infinite.
    """
    actions, scalars = library.load().tf_sparse_rl_train_step(
      self._step, rows, observations, noise, dtype=self._dtype
    )
    return actions, dict(zip(self._tags, scalars.numpy()))


class Adam(NamedTuple):
  """Plain Adam, as a step takes it."""

  handles: list  # of learning rate, both betas and the number of train steps
  epsilon: float


def adam(optimizer, variables):
  """The Adam of a step, or None if an optimizer is more than plain Adam.

  Args:
    optimizer: a Keras optimizer, built here if it has not been.
    variables: all variables that it trains.
  """
  if type(
    optimizer
  ) is not tf.keras.optimizers.legacy.Adam or not updates.is_plain_adam(
    optimizer
  ):
    return None
  optimizer._create_all_weights(variables)  # pylint: disable=protected-access
  hyper = [optimizer._hyper[n] for n in ('learning_rate', 'beta_1', 'beta_2')]  # pylint: disable=protected-access
  # A schedule is no variable.
  if optimizer._initial_decay or not all(
    isinstance(h, tf.Variable) for h in hyper
  ):
    return None
  return Adam(
    [variable.handle for variable in (*hyper, optimizer.iterations)],
    optimizer.epsilon,
  )


def may_be_fused(layers, batch):
  """Whether a network can take part in a fused step, and should.

  Args:
    layers: list of stacks.Layer.
    batch: examples of a train step.
  """
  return (
    bool(layers)
    and all(_fits(layer) for layer in layers)
    and backend.is_native(
      batch, stacks.sizes_of(layers), [layer.sparsity for layer in layers]
    )
  )


def _fits(layer):
  dense = layer.plain
  return (
    stacks.fits(layer)
    and stacks.activation_of(layer) is not None
    and dense.use_bias
    and dense.bias_regularizer is None
    and dense.activity_regularizer is None
    and dense.kernel_constraint is None
    and dense.bias_constraint is None
    and _l2(dense) is not None
  )


def _l2(dense):
  """The factor of a layer's L2, 0 without; None if it is anything else."""
  if dense.kernel_regularizer is None:
    return 0.0
  if type(dense.kernel_regularizer) is tf.keras.regularizers.L2:
    return float(dense.kernel_regularizer.l2)
  return None


def network(layers, slots_of=None):
  """A network of a step.

  Args:
    layers: list of stacks.Layer for which `may_be_fused`.
    slots_of: function of a variable to Adam's m and v; None for a target.

  Returns:
    Handle, a scalar tensor.
  """
  variables = []
  for layer in layers:
    variables += [layer.plain.kernel, layer.plain.bias]
    variables += [] if layer.mask is None else [layer.mask]
    if slots_of:
      variables += slots_of(layer.plain.kernel) + slots_of(layer.plain.bias)
  return library.load().tf_sparse_rl_network(
    [variable.handle for variable in variables],
    sizes=stacks.sizes_of(layers),
    activations=[stacks.activation_of(layer) for layer in layers],
    l2=[_l2(layer.plain) for layer in layers],
    has_mask=[layer.mask is not None for layer in layers],
    is_trained=slots_of is not None,
  )


def floats(values):
  """Numbers as an operation takes them."""
  return np.asarray(values, np.float32).tolist()
