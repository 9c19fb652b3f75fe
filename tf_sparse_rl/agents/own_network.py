"""Custom networks: hidden layers from a function of the user."""

import inspect

import tensorflow as tf

from tf_sparse_rl import modules


def hidden_layers(config, env_spec, name, input_shape):
  """Calls the function that `config.network` names for a network's layers.

  Args:
    config: a Config whose network is 'module:function'. The function takes
      config, env_spec and name, and returns a list of plain Keras layers that
      follow one another; the agent adds the output layer.
    env_spec: an EnvSpec.
    name: of the network, one of the agent's `networks`.
    input_shape: of one input: of an observation; for a critic, of an
      observation and an action as one vector.

  Returns:
    List of layers, not built.

  Raises:
    ValueError: if there is no such function, or for layers that do not fit.
    UserCodeError: if the function or one of its layers raises.
  """
  function = modules.load(config.network, '--network')
  if not callable(function):
    raise ValueError(
      'Expected --network=module:function. Received: '
      f'{config.network}, {function!r:.100}.'
    )
  call = f'{config.network}(config, env_spec, {name!r})'
  # Names that Keras generates must not depend on earlier layers.
  tf.keras.backend.reset_uids()
  try:
    layers = function(config, env_spec, name)
  except BaseException as error:  # The code is the user's.
    raise modules.user_code_error(f'{call} failed', error) from error
  _check_layers(call, layers)
  dtype = tf.uint8 if env_spec.observation_shape else tf.float32
  _check_shapes(call, layers, tf.TensorSpec([None, *input_shape], dtype))
  return list(layers)


def _check_layers(call, layers):
  """Checks that they are a list of layers that agents accept."""
  if not isinstance(layers, (list, tuple)) or not layers:
    raise ValueError(
      f'Expected a list of Keras layers from {call}. Received: {layers!r:.200}.'
    )
  for layer in layers:
    if not isinstance(layer, tf.keras.layers.Layer):
      raise ValueError(
        f'Expected Keras layers from {call}; with TensorFlow 2.16 or later of '
        f'tf_keras, Keras 2. Received: {layer!r:.200}.'
      )
    if 'training' in inspect.signature(layer.call).parameters:
      raise ValueError(
        f'Expected plain layers from {call}, which do the same in training '
        'and in acting: neither Dropout, BatchNormalization nor models. '
        f'Received: {layer.name!r}, {type(layer).__name__}.'
      )
  names = [layer.name for layer in layers]
  if len({*names}) < len(names):
    raise ValueError(
      f'Expected layers of distinct names from {call}, each once. Received: '
      f'{", ".join(names)}.'
    )


def _check_shapes(call, layers, spec):
  """Checks that the layers in sequence end in `[batch, features]`."""
  with tf.Graph().as_default():  # Shapes only: nothing is allocated.
    value = tf.compat.v1.placeholder(spec.dtype, spec.shape)
    for layer in layers:
      shape = value.shape.as_list()
      try:
        value = type(layer).from_config(layer.get_config())(value)
      except BaseException as error:  # The code is the user's.
        head = f'{layer.name!r} of {call} does not take inputs {shape}'
        raise modules.user_code_error(head, error) from error
  if value.shape.rank != 2 or value.shape[-1] is None:
    raise ValueError(
      f'Expected layers from {call} that end in [batch, features], as after '
      'Flatten(): the agent adds the output layer, which is not among them. '
      f'Received: {value.shape.as_list()}.'
    )
