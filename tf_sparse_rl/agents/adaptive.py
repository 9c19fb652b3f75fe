"""Adaptive pruning: networks of several sparsities, selected by their losses.

A network is trained beside sparser copies of itself, all on the same targets.
At a selection the one with the lowest cumulated loss becomes the first: the
first is copied to the target network, acts greedily, is evaluated, exported and
counted. The others become copies of it that are pruned further. If the first
network is selected again, the sparsity stays.

Reference: Vincent et al. 2025 (arXiv 2503.01437), EauDeQN. The distribution of
sparsity over layers is ours, and so is the selection of each critic of SAC by
itself; targets and the actor use the first of each.
"""

import functools

import tensorflow as tf

from tf_sparse_rl import methods, sparsity
from tf_sparse_rl.agents import steps
from tf_sparse_rl.networks import stack
from tf_sparse_rl.sparsity import adaptive, mask_updates, optimizer_slots

_SMALLEST_LOSS = 1e-6  # AdaDQN's code; Vincent et al. 2024.


def make_networks(config, make):
  """Makes a network and, for adaptive pruning, its candidates.

  Args:
    config: a Config.
    make: function without arguments that returns a network.

  Returns:
    List of networks, at least one; `Candidates.begin` sets the copies.
  """
  finds_sparsity = methods.get(config.method).finds_sparsity
  return [make() for _ in range(config.num_networks if finds_sparsity else 1)]


def all_of(networks, candidates):
  """Lists networks, then the copies of each in turn.

  Args:
    networks: list of networks.
    candidates: list of the Candidates of each; empty without adaptive pruning.

  Returns:
    List of networks; `[i::n]` are the i-th of n networks and its copies.
  """
  copies = zip(*(each.networks[1:] for each in candidates))
  return [*networks, *(copy for in_turn in copies for copy in in_turn)]


def select(candidates, losses, train_step, masks_may_change):
  """Accumulates the losses of each Candidates; selects if it is due.

  Args:
    candidates: list of Candidates.
    losses: list of the losses `[batch]` of each network of `all_of`.
    train_step: int64 scalar, train steps including this one.
    masks_may_change: whether a selection may be due.

  Returns:
    `{TensorBoard tag: scalar}`.
  """
  scalars = {}
  for i, each in enumerate(candidates):
    own = losses[i :: len(candidates)]
    scalars |= each.select(own, train_step, masks_may_change)
  return scalars


class Candidates(tf.Module):
  """A network and its sparser copies.

  Attributes:
    networks: list of them; the first is the agent's network.
    losses: float32 `[networks]`, cumulated since the last selection.
    sparsities: float32 `[networks]`, target sparsities.
  """

  def __init__(self, config, name, index, networks, optimizer, trained=None):
    """Takes networks of the same layers; `begin` makes the copies.

    Args:
      config: a Config.
      name: of the network in its agent.
      index: its number in its agent, for its random stream.
      networks: list of them.
      optimizer: the SparseOptimizer that trains them.
      trained: list of all networks of the optimizer; `networks` by default.
    """
    super().__init__()
    trained = trained or networks
    for network in trained:
      network.create_variables()
    self.networks, self._label, self._index = networks, name, index
    self._updater = optimizer.updater
    self._num_train_steps = config.num_train_steps
    self.losses, self._selected_by, self.sparsities = (
      tf.Variable(tf.zeros([len(networks)]), trainable=False, name=each)
      for each in ('losses', 'selected_by', 'sparsities')
    )
    self._selected = tf.Variable(0, trainable=False, name='selected')
    shapes = [
      variable.constraint.axes.matrix_shape(variable.shape)
      for variable in networks[0].trainable_variables
      if sparsity.mask_of(variable) is not None
    ]
    self._layer_sparsities = functools.partial(
      *(adaptive.layer_sparsities, shapes),
      distribution=config.distribution,
      erk_power=config.erk_power,
    )
    steps.build_slots([(optimizer, trained)])
    states = _states(trained, optimizer)
    self._states = self._no_dependency(
      [states[trained.index(network)] for network in networks]
    )

  def begin(self):
    """Makes sparser copies of the current network before training."""
    self.losses.assign(tf.zeros_like(self.losses))
    self.sparsities.assign(tf.zeros_like(self.sparsities))
    self._replace(tf.constant(0), tf.constant(0, tf.int64))

  def is_due(self, train_steps):
    """Whether the next train step ends in a selection."""
    return (train_steps + 1) % self._updater.selection_period == 0

  def select(self, losses, train_step, masks_may_change):
    """Does what the function `select` does; `losses` are of its networks."""
    self.losses.assign_add(tf.stack([tf.reduce_mean(each) for each in losses]))

    def replace():
      best = tf.argmin(self.losses, output_type=tf.int32)
      self._selected_by.assign(self.losses)
      self._selected.assign(best)
      self.losses.assign(tf.zeros_like(self.losses))
      self._replace(best, tf.cast(train_step, tf.int64))
      return tf.no_op()

    if masks_may_change:
      steps.every(self._updater.selection_period, train_step, replace)
    return self._scalars()

  def probabilities(self):
    """The probabilities with which the networks act, `[networks]`.

    Reference: Vincent et al. 2024 (arXiv 2405.16195), AdaDQN, its code.
    """
    weights = 1 / (self.losses + _SMALLEST_LOSS)
    return weights / tf.reduce_sum(weights)

  def outputs_of_one(self, inputs, uniform):
    """Computes the outputs of a network drawn by `probabilities`.

    Args:
      inputs: of the networks.
      uniform: float32 scalar, uniform in [0, 1).
    """
    ends = tf.cumsum(self.probabilities())[:-1]
    drawn = tf.reduce_sum(tf.cast(uniform >= ends, tf.int32))
    return tf.switch_case(
      drawn,
      [functools.partial(stack.call, n.layers, inputs) for n in self.networks],
    )

  def _replace(self, best, train_step):
    """Makes the best the first network, and the others pruned copies."""
    powers = self._updater.powers(self._index, train_step)
    sparsities = self._updater.sparsities(
      self.sparsities[best], powers, train_step, self._num_train_steps
    )
    self.sparsities.assign(sparsities)
    values = tf.switch_case(
      best, [functools.partial(_values, state) for state in self._states]
    )
    for place, state in enumerate(self._states):
      of_layers = iter(
        tf.unstack(self._layer_sparsities(sparsity=sparsities[place]))
      )
      for (variable, *slots), (mask, *kept) in zip(state, values):
        if mask is None:
          _assign([variable, *slots], kept)
        else:
          self._write_masked(variable, slots, mask, kept, next(of_layers))

  def _write_masked(self, variable, slots, mask, values, layer_sparsity):
    """Assigns values to a kernel and its slots under a sparser mask."""
    constraint = variable.constraint
    kernel = mask_updates.state_of(constraint, values[0], mask, values[0])
    new_mask = self._updater.new_mask(kernel, layer_sparsity)
    new_mask = constraint.axes.from_matrix(new_mask, variable.shape)
    with constraint.trusted():
      _assign([variable, *slots], [value * new_mask for value in values])
      constraint.mask.assign(new_mask)

  def _scalars(self):
    tag = f'Adaptive/{self._label}'
    return {
      f'{tag}/selected': tf.cast(self._selected, tf.float32),
      **{
        f'{tag}/{kind}_{i}': value
        for kind, values in (
          ('loss', self._selected_by),
          ('sparsity', self.sparsities),
        )
        for i, value in enumerate(tf.unstack(tf.convert_to_tensor(values)))
      },
    }


def _states(networks, optimizer):
  """Lists [variable, *slots] of trained variables, by network."""
  variables = [v for network in networks for v in network.trainable_variables]
  slots = optimizer_slots.find(optimizer.inner_optimizer, variables)
  rows = [[variable, *own] for variable, own in zip(variables, slots)]
  size = len(rows) // len(networks)
  return [rows[i : i + size] for i in range(0, len(rows), size)]


def _values(state):
  """Lists [mask or None, value, *values of slots] of a network's state."""
  masks = [sparsity.mask_of(variable) for variable, *_ in state]
  return [
    [None if each is None else tf.convert_to_tensor(each) for each in row]
    for row in ([mask, *of_one] for mask, of_one in zip(masks, state))
  ]


def _assign(variables, values):
  for variable, value in zip(variables, values, strict=True):
    variable.assign(value)
