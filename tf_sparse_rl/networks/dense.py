"""The dense Q-network of the classic control experiments."""

import tensorflow as tf


def hidden_sizes(hidden_units, width):
  """Units of each hidden layer at a width.

  Args:
    hidden_units: units of each hidden layer at width 1.
    width: multiplier; the result is rounded down, as in the paper's code.

  Returns:
    Tuple of ints, at least 1 each.
  """
  return tuple(int(max(1, units * width)) for units in hidden_units)


def q_layers(units, num_actions, weight_decay=0.0):
  """Layers of a Q-network for flat observations.

  Args:
    units: units of each hidden layer.
    num_actions: number of outputs.
    weight_decay: L2 of the hidden kernels, `weight_decay * sum(w ** 2)`.

  Returns:
    List of Dense layers, not built.

  Reference: paper's code, classic control; initialisers as in TF-Agents'
  DQN examples.
  """
  hidden = [
    tf.keras.layers.Dense(
      size,
      activation='relu',
      kernel_initializer=tf.keras.initializers.VarianceScaling(
        2.0, 'fan_in', 'truncated_normal'
      ),
      kernel_regularizer=_l2(weight_decay),
      name=f'hidden_{i}',
    )
    for i, size in enumerate(units)
  ]
  output = tf.keras.layers.Dense(
    num_actions,
    kernel_initializer=tf.keras.initializers.RandomUniform(-0.03, 0.03),
    bias_initializer=tf.keras.initializers.Constant(-0.2),
    name='output',
  )
  return [*hidden, output]


def _l2(weight_decay):
  return tf.keras.regularizers.L2(weight_decay) if weight_decay else None


def matching_units(hidden_units, num_inputs, num_outputs, num_parameters):
  """Hidden sizes of the dense network with a given number of parameters.

  Args:
    hidden_units: units of each hidden layer at width 1.
    num_inputs: inputs of the network.
    num_outputs: outputs of the network.
    num_parameters: weights and biases to match.

  Returns:
    Units of each hidden layer, all scaled by one width, whose number of
    parameters comes nearest.

  Reference: the small dense baselines of the paper, section 2.
  """

  def distance(units):
    sizes = (num_inputs, *units, num_outputs)
    count = sum((a + 1) * b for a, b in zip(sizes, sizes[1:]))
    return abs(count - num_parameters)

  first = hidden_units[0]
  # Half a unit more, against rounding down what should be a whole number.
  candidates = [
    hidden_sizes(hidden_units, (n + 0.5) / first) for n in range(1, first + 1)
  ]
  return min(candidates, key=distance)
