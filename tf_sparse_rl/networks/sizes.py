"""Sizes of networks that match a number of parameters."""

import functools


def hidden_sizes(hidden_units, width):
  """Scales units or channels of hidden layers by a width.

  They are rounded down, to at least 1, as in the paper's code.
  """
  return tuple(int(max(1, units * width)) for units in hidden_units)


def num_dense_parameters(sizes):
  """Counts weights and biases of Dense layers; `sizes` begin with inputs."""
  return sum((inputs + 1) * units for inputs, units in zip(sizes, sizes[1:]))


def matching_width(units, count, num_parameters):
  """Width at which dense networks have a given number of parameters.

  Args:
    units: units of a hidden layer at width 1.
    count: increasing function from a width to the number of parameters.
    num_parameters: weights and biases to match.

  Returns:
    The width whose number of parameters comes nearest, a float.

  Reference: the small dense baselines of the paper, section 2.
  """

  def width(n):
    # Half a unit more, so that a whole number is not rounded down.
    return (n + 0.5) / units

  @functools.cache
  def excess(n):
    return count(width(n)) - num_parameters

  # The smallest n with enough parameters is in (low, high].
  low, high = 0, 1
  while excess(high) < 0:
    low, high = high, 2 * high
  while high - low > 1:
    middle = (low + high) // 2
    if excess(middle) < 0:
      low = middle
    else:
      high = middle
  return width(min(range(max(low, 1), high + 1), key=lambda n: abs(excess(n))))


def matching_units(hidden_units, ends, num_parameters):
  """Hidden sizes at which dense networks have a given number of parameters.

  Args:
    hidden_units: units of each hidden layer at width 1.
    ends: list of (inputs, outputs), one pair per network; all networks get the
      same hidden sizes.
    num_parameters: total weights and biases to match.

  Returns:
    Units of each hidden layer, all scaled by one width; see `matching_width`.
  """

  def count(width):
    units = hidden_sizes(hidden_units, width)
    return sum(num_dense_parameters((a, *units, b)) for a, b in ends)

  width = matching_width(hidden_units[0], count, num_parameters)
  return hidden_sizes(hidden_units, width)


def matching_sparsity(name, sizes, num_parameters):
  """Sparsity at which a network has a given number of active parameters.

  Args:
    name: of the network, for the error.
    sizes: units of the input and of each layer.
    num_parameters: active weights and all biases.

  Raises:
    ValueError: if the network is too small, or its biases are too many.
  """
  dense = num_dense_parameters(sizes)
  biases = sum(sizes[1:])
  if not biases < num_parameters <= dense:
    raise ValueError(
      f'Expected more than {biases} parameters (the biases alone) and at most '
      f'{dense} (dense) for the {name}. Received: {num_parameters:.0f}. '
      'Choose another parameter_budget or actor_parameter_share, or wider '
      'hidden_units.'
    )
  return (dense - num_parameters) / (dense - biases)
