"""L2 regularization of a sparse kernel."""

import contextlib

import tensorflow as tf

from tf_sparse_rl.native import stacks


class SparseL2(tf.keras.regularizers.Regularizer):
  """L2 of a sparse kernel; native kernels sum over active entries only."""

  def __init__(self, inner):
    self.mask = None  # Set by SparseLayer.build for a kernel with zeros.
    self._inner = inner

  def __call__(self, kernel):
    """Returns the loss."""
    loss = None
    if self.mask is not None:
      loss = stacks.l2(kernel, self.mask, float(self._inner.l2))
    return self._inner(kernel) if loss is None else loss


def for_layer(layer):
  """Returns the SparseL2 of a Dense or Conv2D layer with Keras' L2, or None."""
  if (
    isinstance(layer, (tf.keras.layers.Dense, tf.keras.layers.Conv2D))
    and type(layer.kernel_regularizer) is tf.keras.regularizers.L2
  ):
    return SparseL2(layer.kernel_regularizer)
  return None


@contextlib.contextmanager
def replaced(layer, attributes):
  """Replaces attributes of a layer temporarily, such as while it is built.

  So the config of the layer stays that of a plain layer.
  """
  own = {name: getattr(layer, name) for name in attributes}
  for name, value in attributes.items():
    setattr(layer, name, value)
  try:
    yield
  finally:
    for name, value in own.items():
      setattr(layer, name, value)
