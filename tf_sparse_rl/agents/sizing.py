"""Sizes of networks: widths, parameter budgets, small dense networks."""

from typing import NamedTuple

import tensorflow as tf

from tf_sparse_rl import sparsity
from tf_sparse_rl.networks import sizes


class Plan(NamedTuple):
  """Size and sparsity of one network of Dense layers."""

  inputs: int
  units: tuple  # of each hidden layer
  outputs: int
  sparsity: float

  @property
  def sizes(self):
    """Units of the input and of each layer."""
    return (self.inputs, *self.units, self.outputs)


def plan(config, ends, units, widths, sparsities, copies):
  """Sizes and sparsities of networks of Dense layers.

  Args:
    config: a Config.
    ends: (inputs, outputs) of each network.
    units: of the hidden layers of each network at width 1.
    widths: of each network; multiplies these.
    sparsities: of each network.
    copies: number of copies of each network, such as two critics.

  Returns:
    List of Plan, one for each of `ends`.

  Raises:
    ValueError: for an actor_parameter_share that the networks cannot meet.

  Reference: paper section 4, "different actor and critic sparsities".
  """
  if config.actor_parameter_share:
    return _plan_by_share(config, ends, copies)
  units = list(map(sizes.hidden_sizes, units, widths))
  if config.match_sparsity:
    all_ends = [pair for pair, count in zip(ends, copies) for _ in range(count)]
    units = [_matched_units(config, units[0], all_ends)] * len(ends)
  return [
    Plan(inputs, hidden, outputs, of_network)
    for (inputs, outputs), hidden, of_network in zip(ends, units, sparsities)
  ]


def _plan_by_share(config, ends, copies):
  """Finds widths (dense) or sparsities that meet the parameter budget."""
  plans = [
    Plan(inputs, config.hidden_units, outputs, 0.0) for inputs, outputs in ends
  ]
  counts = [sizes.num_dense_parameters(plan.sizes) for plan in plans]
  budget = config.parameter_budget * sum(
    count * number for count, number in zip(counts, copies)
  )
  share = config.actor_parameter_share
  targets = (share * budget, (1 - share) * budget / copies[1])
  fit = _with_width if config.method == 'dense' else _with_sparsity
  return list(map(fit, ('actor', 'critic'), plans, targets))


def _with_sparsity(name, plan, num_parameters):
  found = sizes.matching_sparsity(name, plan.sizes, num_parameters)
  return plan._replace(sparsity=found)


def _with_width(name, plan, num_parameters):
  """Finds the width at which a dense network is nearest to its share."""
  ends = [(plan.inputs, plan.outputs)]
  units = sizes.matching_units(plan.units, ends, num_parameters)
  plan = plan._replace(units=units)
  count = sizes.num_dense_parameters(plan.sizes)
  if set(units) == {1} and count > 1.05 * num_parameters:
    raise ValueError(
      f'Expected at least {count} parameters, those of one unit a layer, for '
      f'the {name}. Received: {num_parameters:.0f}. Choose another '
      'parameter_budget or actor_parameter_share.'
    )
  return plan


def _matched_units(config, units, ends):
  """Finds units with which dense networks are as large as the sparse ones."""
  total = 0
  for inputs, outputs in ends:
    layers = (inputs, *units, outputs)
    kernels = dict(enumerate(zip(layers, layers[1:])))
    total += sizes.num_dense_parameters(layers) - _num_zeros(config, kernels)
  return sizes.matching_units(units, ends, total)


def matched_width(config, make_layers, input_shape):
  """Finds the width of a small dense network for `match_sparsity`.

  Args:
    config: a Config.
    make_layers: function of a width to the plain layers of a network.
    input_shape: of one input of the network.

  Returns:
    The width; that of the config without `match_sparsity`.
  """
  if not config.match_sparsity:
    return config.width

  def counts(width):
    with tf.Graph().as_default():  # Shapes only: nothing is allocated.
      layers = sparsity.sparsify(
        make_layers(width), 'dense', input_shape=[None, *input_shape]
      )
      return sparsity.counting.count(layers)

  def count(width):
    return sparsity.counting.total(counts(width)).parameters

  kernels = {layer.name: layer.shape for layer in counts(config.width)}
  total = count(config.width) - _num_zeros(config, kernels)
  return sizes.matching_width(config.hidden_units[0], count, total)


def _num_zeros(config, kernels):
  """Counts inactive weights from `{layer: shape of its kernel}`."""
  sparsities = sparsity.distributions.layer_sparsities(
    kernels, config.match_sparsity, config.distribution, config.erk_power
  )
  return sum(
    sparsity.distributions.num_zeros(shape, sparsities[name])
    for name, shape in kernels.items()
  )
