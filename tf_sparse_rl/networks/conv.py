"""Networks of convolutions, for images.

The functions return lists of layers, not built, from images with values of 0 to
255, `[batch, height, width, channels]`, to outputs, or for a torso to features.
Kernels are Glorot-uniform. Arguments:

  channels: of each of the three convolutions or stacks of convolutions.
  units: units of each hidden Dense layer.
  num_actions: number of outputs.
  weight_decay: L2 of all kernels, `weight_decay * sum(w ** 2)`.
"""

import tensorflow as tf

from tf_sparse_rl.networks import dense, residual, sizes

# Of the convolutions of nature_cnn and of the stacks of impala_resnet.
CHANNELS = (32, 64, 64)
_SIZES_AND_STRIDES = ((8, 4), (4, 2), (3, 1))
_BLOCKS = 2  # Residual blocks of a stack.


def nature_cnn(channels, units, num_actions, weight_decay=0.0):
  """Layers of the Q-network of Mnih et al. 2015, with 'same' padding.

  Reference: paper, table 7.
  """
  return [
    *nature_torso(channels, weight_decay),
    *dense.glorot_layers(units, num_actions, weight_decay),
  ]


def nature_torso(channels, weight_decay=0.0):
  """The convolutions of `nature_cnn`, and Flatten."""
  convolutions = [
    _conv(filters, size, weight_decay, f'conv_{i}', 'relu', strides=stride)
    for i, (filters, (size, stride)) in enumerate(
      zip(channels, _SIZES_AND_STRIDES, strict=True)
    )
  ]
  return _torso(convolutions)


def impala_resnet(channels, units, num_actions, weight_decay=0.0):
  """Layers of the residual Q-network of Espeholt et al. 2018.

  Reference: paper, table 7: 512 units; its code has 256.
  """
  return [
    *impala_torso(channels, weight_decay),
    *dense.glorot_layers(units, num_actions, weight_decay),
  ]


def impala_torso(channels, weight_decay=0.0):
  """The stacks of convolutions of `impala_resnet`, and Flatten."""
  stacks = [
    layer
    for i, filters in enumerate(channels)
    for layer in _stack(filters, weight_decay, f'stack_{i}')
  ]
  relu = tf.keras.layers.ReLU(name='relu')
  return _torso([*stacks, relu])


def torso(name, width, weight_decay=0.0):
  """The torso of 'nature_cnn' or 'impala_resnet' with a width."""
  kinds = {'nature_cnn': nature_torso, 'impala_resnet': impala_torso}
  return kinds[name](sizes.hidden_sizes(CHANNELS, width), weight_decay)


def _torso(convolutions):
  return [
    tf.keras.layers.Rescaling(1 / 255, name='scale'),
    *convolutions,
    tf.keras.layers.Flatten(name='flatten'),
  ]


def _stack(filters, weight_decay, name):
  """A convolution, a pooling layer of stride 2, and residual blocks."""
  return [
    _conv(filters, 3, weight_decay, f'{name}_conv'),
    tf.keras.layers.MaxPool2D(3, 2, padding='same', name=f'{name}_pool'),
    *(
      _block(filters, weight_decay, f'{name}_block_{i}') for i in range(_BLOCKS)
    ),
  ]


def _block(filters, weight_decay, name):
  """A residual block of two convolutions, each after a ReLU."""
  layers = [
    tf.keras.layers.ReLU(name=f'{name}_relu'),
    _conv(filters, 3, weight_decay, f'{name}_conv_0', 'relu'),
    _conv(filters, 3, weight_decay, f'{name}_conv_1'),
  ]
  return residual.Residual(layers, name=name)


def _conv(filters, size, weight_decay, name, activation=None, strides=1):
  return tf.keras.layers.Conv2D(
    filters,
    size,
    strides,
    padding='same',
    activation=activation,
    kernel_regularizer=dense.l2(weight_decay),
    name=name,
  )
