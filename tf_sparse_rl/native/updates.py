"""Updates of variables in which only active entries are touched."""

from typing import NamedTuple

import tensorflow as tf

from tf_sparse_rl.native import library, stacks


class Update(NamedTuple):
  """The tensors that one variable is updated by."""

  variable: tf.Variable
  slots: list  # Adam's m and v of it
  gradient: tf.Tensor  # `[connections]` if there is a mask, else whole
  mask: tf.Variable | None
  decay: tf.Tensor | float  # adds this times the variable to the gradient


def is_plain_adam(optimizer, may_clip_globally=False):
  """Whether `adam` does what an optimizer does.

  Args:
    optimizer: a Keras optimizer of either generation.
    may_clip_globally: whether it may clip the norm of all gradients together.

  Returns:
    A bool: whether it is Adam without AMSGrad, clipping, weight decay,
    averages or, in the current generation, a learning rate schedule.
  """
  options = ['amsgrad', 'clipnorm', 'clipvalue']
  options += [] if may_clip_globally else ['global_clipnorm']
  if type(optimizer) is tf.keras.optimizers.legacy.Adam:
    options.append('gradient_transformers')
  elif type(optimizer) is tf.keras.optimizers.Adam:
    options += ['weight_decay', 'use_ema']
    # Its `learning_rate` hides a schedule behind the value of the moment.
    if not isinstance(optimizer._learning_rate, tf.Variable):  # pylint: disable=protected-access
      return False
  else:
    return False
  return not any(getattr(optimizer, name) for name in options)


def adam(optimizer, updates):
  """One train step of plain Adam, in one operation.

  Args:
    optimizer: see `is_plain_adam`; its counter goes up by 1.
    updates: list of Update; variables and slots are 0 outside their masks.

  Reference: Kingma & Ba 2015, with epsilon as TensorFlow has it.
  """
  if isinstance(optimizer, tf.keras.optimizers.legacy.Optimizer):
    learning_rate = optimizer._decayed_lr(tf.float32)  # pylint: disable=protected-access
    hyper = optimizer._get_hyper  # pylint: disable=protected-access
    beta_1, beta_2 = hyper('beta_1'), hyper('beta_2')
  else:
    learning_rate = optimizer.learning_rate
    beta_1, beta_2 = optimizer.beta_1, optimizer.beta_2
  library.load().tf_sparse_rl_adam(
    [u.variable.handle for u in updates],
    [u.slots[0].handle for u in updates],
    [u.slots[1].handle for u in updates],
    [u.gradient for u in updates],
    [stacks.mask_tensor(u.mask) for u in updates],
    [tf.convert_to_tensor(u.decay, tf.float32) for u in updates],
    learning_rate,
    beta_1,
    beta_2,
    optimizer.epsilon,
    optimizer.iterations,
  )
  return optimizer.iterations.assign_add(1)


def soft_update(updates, tau):
  """Moves targets by a share of the way to their sources, in one operation.

  Args:
    updates: list of (target variable, source variable, mask or None).
    tau: the share.
  """
  library.load().tf_sparse_rl_soft_update(
    [target.handle for target, _, _ in updates],
    [tf.convert_to_tensor(source) for _, source, _ in updates],
    [stacks.mask_tensor(mask) for _, _, mask in updates],
    keep=1 - tau,
    take=tau,
  )


def keep_packed(kernel, mask):
  """Keeps the active entries of a kernel at hand, until it is assigned again.

  `adam` and `soft_update` do so by themselves.

  Args:
    kernel: variable `[inputs, outputs]` that rests for some train steps.
    mask: of the same shape.
  """
  library.load().tf_sparse_rl_keep_packed(
    kernel.handle, tf.convert_to_tensor(mask)
  )


def top_k_mask(scores, k, eligible):
  """As `mask_ops.top_k_mask`, in one operation.

  Args:
    scores: float32 tensor of any shape.
    k: int scalar.
    eligible: bool tensor of the same shape.

  Returns:
    bool tensor of the same shape.
  """
  return library.load().tf_sparse_rl_top_k_mask(
    scores, tf.cast(k, tf.int32), eligible
  )


def pack(dense, mask):
  """The active entries of a kernel or of its gradient.

  Args:
    dense: float32 tensor, of any shape.
    mask: of the same shape.

  Returns:
    Tensor `[connections]`.
  """
  return library.load().tf_sparse_rl_pack(dense, tf.convert_to_tensor(mask))
