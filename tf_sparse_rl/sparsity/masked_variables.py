"""Variables of a weight and its mask; writes are multiplied by the mask.

A sparse weight and its mask keep their variables, with a class that overrides
the methods for writing: a value that is assigned, restored or averaged is
multiplied by the mask. Reading costs nothing.

Keras and TensorFlow restore weights and masks in any order. So the last value
is kept until the mask is written too: both orders give the new value times the
new mask.
"""

import functools
import weakref

import tensorflow as tf


class _Constrained:
  """A variable whose writes call `_write`, except within `trusted`."""

  _constraint_of_mask = None

  def assign(self, value, use_locking=None, name=None, read_value=True):
    """Assigns a value, see `tf.Variable`, by `_write`."""
    write = super().assign
    if not self._constraint_of_mask.is_trusted:
      value = tf.convert_to_tensor(value, self.dtype)
      # TensorFlow rejects another shape; a product would broadcast it.
      if value.shape.is_compatible_with(self.shape):
        return self._write(write, value, use_locking, name, read_value)
    return write(value, use_locking, name, read_value)

  def assign_add(self, delta, use_locking=None, name=None, read_value=True):
    """As in `tf.Variable`, through `assign`."""
    if self._constraint_of_mask.is_trusted:
      return super().assign_add(delta, use_locking, name, read_value)
    return self.assign(self + delta, use_locking, name, read_value)

  def assign_sub(self, delta, use_locking=None, name=None, read_value=True):
    """As in `tf.Variable`, through `assign`."""
    if self._constraint_of_mask.is_trusted:
      return super().assign_sub(delta, use_locking, name, read_value)
    return self.assign(self - delta, use_locking, name, read_value)

  def _restore_from_tensors(self, restored_tensors):
    """Restores a checkpoint; TensorFlow does not call `assign` for this."""
    [value] = restored_tensors.values()
    if not value.shape.is_compatible_with(self.shape):
      return super()._restore_from_tensors(restored_tensors)
    return self.assign(value, read_value=False)


class _Weight(_Constrained):
  """A weight; only the active entries of a value are written."""

  def constrain(self, constraint, mask):
    """Ties the weight to its mask on one device."""
    self._constraint_of_mask = constraint
    self._mask = mask
    self._written = None

  @property
  def constraint(self):
    """The MaskConstraint."""
    return self._constraint_of_mask

  def _write(self, write, value, *options):
    masked = _masked(value, self._mask.read_value())
    self._written = None if _is_known(masked, value) else _reference(value)
    return write(masked, *options)

  @property
  def may_be_fresh(self):
    """Whether the last value that was written is at hand."""
    return self._written is not None

  def follow(self, before, now):
    """Applies a new mask.

    Args:
      before: tensor, the mask until now; None unless `may_be_fresh`.
      now: tensor, the new mask.
    """
    value = self.read_value()
    written = self._written and self._written()
    if written is not None:
      # Weights that were trained since then keep their values.
      is_fresh = tf.reduce_all(value == _masked(written, before))
      if tf.executing_eagerly():  # Without another tensor of its size.
        value = written if is_fresh else value
      else:
        value = tf.where(is_fresh, written, value)
    self._written = None
    with self._constraint_of_mask.trusted():
      self.assign(_masked(value, now))


def _scattering(name):
  def method(self, *args, **kwargs):
    getattr(super(_Weight, self), name)(*args, **kwargs)
    return self.assign(self.read_value())

  method.__name__ = name
  method.__doc__ = 'See `tf.Variable`; writes active entries only.'
  return method


for _name in dir(tf.Variable):
  if 'scatter' in _name:
    setattr(_Weight, _name, _scattering(_name))


class _Mask(_Constrained):
  """A mask; writing it masks its weight.

  An average of masks is their union: where the average of their weights is not
  0.
  """

  def constrain(self, constraint, kernel):
    """Ties the mask to its weight on one device."""
    self._constraint_of_mask = constraint
    self._kernel = kernel

  def _write(self, write, value, *options):
    before = self.read_value() if self._kernel.may_be_fresh else None
    if not _is_mask(value):
      value = tf.cast(value != 0, self.dtype)
    written = write(value, *options)
    self._kernel.follow(before, value)
    return written


def _is_mask(value):
  """Whether a tensor is known to have no other values than 0 and 1."""
  return tf.executing_eagerly() and not tf.reduce_any(
    (value != 0) & (value != 1)
  )


def _masked(value, mask):
  """Returns the product, which is 0 outside the mask even for NaN there.

  A -0.0 stays -0.0, so that checkpoints are restored bit for bit.

  Args:
    value: tensor or variable.
    mask: tensor or variable of 0 and 1, of the same shape and dtype.

  Returns:
    Tensor.
  """
  product = value * mask
  is_nan = tf.math.is_nan(product)
  if tf.executing_eagerly() and not tf.reduce_any(is_nan):
    return product  # Tensors of the size of a weight are large.
  return tf.where((mask == 0) & is_nan, tf.zeros_like(product), product)


def _is_known(masked, value):
  """Whether the mask hides nothing of a value, as far as can be told now."""
  return tf.executing_eagerly() and bool(tf.reduce_all(masked == value))


def _reference(tensor):
  """Returns a function that returns the tensor, or None where it is invalid."""
  if isinstance(tensor, tf.__internal__.EagerTensor):
    return lambda: tensor if tf.executing_eagerly() else None
  symbolic = weakref.ref(tensor)

  def get():
    found = symbolic()
    if tf.executing_eagerly() or found is None:
      return None
    is_here = found.graph is tf.compat.v1.get_default_graph()
    return found if is_here else None

  return get


def parts(variable):
  """Returns the variable of each device, without Keras' autocast wrapper."""
  variable = getattr(variable, '_variable', variable)
  return getattr(variable, 'values', (variable,))


def pairs(variable, mask):
  """Returns (weight, mask) of each device; see `parts`."""
  return zip(parts(variable), parts(mask))


def tie(kernel, mask, constraint):
  """Ties a weight and its mask together on one device.

  Args:
    kernel: variable of the weight.
    mask: variable of the mask.
    constraint: MaskConstraint, whose `is_trusted` allows direct writes.
  """
  kernel.__class__ = _class_of(_Weight, type(kernel))
  mask.__class__ = _class_of(_Mask, type(mask))
  kernel.constrain(constraint, mask)
  mask.constrain(constraint, kernel)


@functools.cache
def _class_of(mixin, base):
  return type(f'{mixin.__name__[1:]}{base.__name__}', (mixin, base), {})
