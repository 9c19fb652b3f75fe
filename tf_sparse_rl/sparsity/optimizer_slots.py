"""Finds the slots, such as momenta, of any `tf.keras` optimizer."""

import tensorflow as tf


def build(optimizer, variables):
  """Creates the variables of an optimizer before its first update.

  Args:
    optimizer: a Keras optimizer of either generation.
    variables: list of all variables it will update.
  """
  if isinstance(optimizer, tf.keras.optimizers.legacy.Optimizer):
    # The only way to create slots before the first update.
    optimizer._create_all_weights(variables)  # pylint: disable=protected-access
  else:
    optimizer.build(variables)


def find(optimizer, variables):
  """Finds the slots of each variable.

  Args:
    optimizer: a Keras optimizer of either generation, built on `variables`.
    variables: list of variables.

  Returns:
    List, for each variable the list of its slots, each of its shape.

  Raises:
    ValueError: if the optimizer keeps state that does not have the shape of
      its variable (Adafactor): its entries cannot be reset one by one.
  """
  if isinstance(optimizer, tf.keras.optimizers.legacy.Optimizer):
    names = optimizer.get_slot_names()
    slots = [[optimizer.get_slot(v, name) for name in names] for v in variables]
    state = optimizer.weights
  else:
    columns = _slot_columns(optimizer, len(variables))
    slots = [[column[i] for column in columns] for i in range(len(variables))]
    state = optimizer.variables
  slots = [
    [s for s in row if s.shape == v.shape] for row, v in zip(slots, variables)
  ]
  known = {id(s) for row in slots for s in row}
  # Counters and learning rates are scalars and belong to no entry.
  strays = [s.name for s in state if s.shape.rank and id(s) not in known]
  if strays:
    raise ValueError(
      'Expected an optimizer whose slots have the shape of their variable, so '
      'that single entries can be reset, such as Adam or SGD. Received: '
      f'{type(optimizer).__name__} with {strays}.'
    )
  return slots


def _slot_columns(optimizer, num_variables):
  """Returns the lists that have one slot for each variable."""
  return [
    value
    for name, value in sorted(vars(optimizer).items())
    if name != '_variables'
    and isinstance(value, list)
    and len(value) == num_variables
    and all(isinstance(slot, tf.Variable) for slot in value)
  ]


def may_be_zero(optimizer, slot):
  """Whether a slot may be 0; Ftrl divides by its accumulator."""
  is_ftrl = 'ftrl' in type(optimizer).__name__.lower()
  return not (is_ftrl and 'accumulator' in slot.name)
