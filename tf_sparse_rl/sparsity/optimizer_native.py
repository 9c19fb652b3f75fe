"""Train steps that update active entries only, by native kernels."""

import tensorflow as tf

from tf_sparse_rl.native import stacks
from tf_sparse_rl.native import updates as native_updates
from tf_sparse_rl.sparsity import mask_updates, masked


def fits(optimizer, variables):
  """Whether native kernels can update the variables of an optimizer."""
  return native_updates.is_plain_adam(optimizer) and not any(
    _has_own_constraint(v) or v.dtype != tf.float32 for v in variables
  )


def _has_own_constraint(variable):
  """Whether a variable has a constraint other than its mask."""
  if masked.mask_of(variable) is not None:
    return variable.constraint.inner is not None
  return variable.constraint is not None


def parts_of(grads_and_vars, key_of):
  """Returns the gradients that native kernels computed.

  Args:
    grads_and_vars: list of (gradient, variable).
    key_of: function from a variable to its key.

  Returns:
    `{key: Parts}`.
  """
  parts = {
    key_of(variable): stacks.parts_of(gradient)
    for gradient, variable in grads_and_vars
    if masked.mask_of(variable) is not None
  }
  return {key: found for key, found in parts.items() if found}


def apply(optimizer, updater, grads_and_vars, parts, kernels, slots, key_of):
  """Makes a train step that updates active entries only.

  Dense gradients of sparse kernels are computed only for a mask update;
  otherwise it is `SparseOptimizer.apply_gradients`.

  Args:
    optimizer: a Keras Adam.
    updater: a MaskUpdater, or None if masks do not change.
    grads_and_vars: list of (gradient, variable).
    parts: result of `parts_of`.
    kernels: list of `mask_updates.SparseKernel` that have gradients.
    slots: `{key: variables of Adam}`.
    key_of: function from a variable to its key.

  Returns:
    The result of `native_updates.adam`.
  """
  gradients = {key_of(v): g for g, v in grads_and_vars}
  train_step = tf.cast(optimizer.iterations, tf.int64)

  def keep():
    return [_packed(key_of(k.kernel), k, gradients, parts) for k in kernels]

  def update():
    packed, all_dense = [], []
    for kernel in kernels:
      key = key_of(kernel.kernel)
      dense = gradients[key]
      if key in parts:
        dense = tf.add_n([part.dense() for part in parts[key]])
      all_dense.append(dense)
    mask_updates.if_due(updater, kernels, all_dense, train_step, update_now)
    for kernel, dense in zip(kernels, all_dense):
      packed.append((native_updates.pack(dense, kernel.mask), tf.zeros([])))
    return packed

  def update_now(all_dense):
    shares = mask_updates.shares(updater, kernels, all_dense, train_step)
    for kernel, dense, share in zip(kernels, all_dense, shares):
      mask_updates.update_one(
        kernel.kernel,
        kernel.mask,
        dense,
        train_step,
        *kernel.slots,
        updater=updater,
        constraint=kernel.constraint,
        share=share,
      )

  if updater is None:
    packed = keep()
  else:
    packed = tf.cond(updater.needs_gradient(train_step), update, keep)
  packed = {key_of(k.kernel): p for k, p in zip(kernels, packed)}
  all_updates = []
  for gradient, variable in grads_and_vars:
    key, mask = key_of(variable), masked.mask_of(variable)
    entries, decay = packed.get(key, (gradient, 0.0))
    all_updates.append(
      native_updates.Update(variable, slots[key], entries, mask, decay)
    )
  return native_updates.adam(optimizer, all_updates)


def _packed(key, kernel, gradients, parts):
  """Returns the gradient of the active entries of a kernel and its decay."""
  if key not in parts:
    return native_updates.pack(gradients[key], kernel.mask), tf.zeros([])
  packed = [p.packed for p in parts[key] if p.packed is not None]
  decays = [p.decay for p in parts[key] if p.decay is not None]
  return (
    tf.add_n(packed),
    tf.add_n(decays) if decays else tf.zeros([]),
  )
