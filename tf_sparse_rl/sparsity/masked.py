"""Weights that are exactly 0 outside their masks, whoever writes to them.

How they are written is in `masked_variables`. A caller whose value is 0 outside
the mask by construction says so with `trusted`.
"""

import contextlib
import math

import numpy as np
import tensorflow as tf

from tf_sparse_rl import methods
from tf_sparse_rl.sparsity import initializers, masked_variables

# What a sparsity may fall short of its target by without a word.
TOLERANCE = 0.01


def starts_dense(method):
  """Whether the masks of a method start as ones; None stands for any other."""
  return method is not None and methods.METHODS[method].starts_dense


class MaskConstraint(tf.keras.constraints.Constraint):
  """One sparse weight: the variable, its mask, and which mask it may have.

  It is the Keras constraint of the weight: Keras applies it after an update,
  also after those of legacy optimizers, which do not call `assign`. It is also
  how `SparseOptimizer` finds the mask that belongs to a weight.
  """

  def __init__(
    self,
    *,
    name,
    variable,
    mask,
    target_sparsity,
    seed,
    axes,
    structure,
    method,
  ):
    """Takes over a variable, whose own constraint is applied first.

    Args:
      name: of the weight within its layer, such as 'cell/recurrent_kernel'.
      variable: of the weight.
      mask: variable of 0 and 1 of its shape.
      target_sparsity: fraction of zeros that it has or is pruned to.
      seed: int, of what is random in updates of the mask.
      axes: `axes.Axes`, its inputs and units.
      structure: which masks it may have, out of `structures`.
      method: a name of `methods.METHODS` that the mask is for, or None.
    """
    self.name = name
    self.variable = variable
    self.mask = mask
    self.target_sparsity = target_sparsity
    self.seed = seed
    self.axes = axes
    self.structure = structure
    self.method = method
    self.starts_dense = starts_dense(method)
    self.inner = variable.constraint
    self._num_trusting = self._num_opening = 0
    for kernel, its_mask in masked_variables.pairs(variable, mask):
      masked_variables.tie(kernel, its_mask, self)
      with tf.init_scope():
        kernel.assign(kernel)

  def __call__(self, kernel):
    """Applies the weight's own constraint; `assign` then masks it.

    Raises:
      ValueError: if a weight that is yet to be pruned is updated by another
        optimizer than a SparseOptimizer: it would stay dense.
    """
    if self.starts_dense and not self._num_trusting and not self.num_zeros:
      raise ValueError(
        'Expected a SparseOptimizer for a model to be pruned, such as '
        "SparseOptimizer('adam', MagnitudePruning(...), model): others do not "
        f'move masks. Received: another one, for {self.variable.name!r}, which '
        'has no zeros.'
      )
    return kernel if self.inner is None else self.inner(kernel)

  @property
  def num_zeros_of_target(self):
    """Zeros of a mask that meets the target; an int."""
    matrix = self.axes.matrix_shape(self.mask.shape)
    return self.structure.num_zeros(matrix, self.target_sparsity)

  @property
  def num_zeros(self):
    """Zeros that the mask has; an int."""
    with tf.init_scope():
      return int(np.sum(masked_variables.parts(self.mask)[0].numpy() == 0))

  @property
  def missing_zeros(self):
    """Zeros that the mask lacks of its target; an int."""
    return max(0, self.num_zeros_of_target - self.num_zeros)

  @property
  def is_trusted(self):
    """Whether what is written is 0 outside the mask by construction."""
    # The weight's own constraint may make something else of a 0.
    is_kept = self._num_trusting > 0 and self.inner is None
    return is_kept or self._num_opening > 0

  def draw(self, seed, rescales):
    """Draws another random mask; the weight's last dense value is masked by it.

    Args:
      seed: int or `numpy.random.SeedSequence`.
      rescales: whether weights are scaled up to the fan-in that is left.
    """
    shape = self.variable.shape
    mask = random_mask(
      shape, self.target_sparsity, self.axes, self.structure, seed
    )
    self.mask.assign(mask)
    if rescales:
      matrices = (self.axes.to_matrix(x) for x in (self.variable.numpy(), mask))
      rescaled = initializers.rescale_for_fan_in(*matrices)
      self.variable.assign(self.axes.from_matrix(rescaled, shape))

  @contextlib.contextmanager
  def trusted(self):
    """Spares the product while the caller itself keeps the zeros."""
    # A number: threads of replicas enter and leave in turn.
    self._num_trusting += 1
    try:
      yield
    finally:
      self._num_trusting -= 1

  @contextlib.contextmanager
  def opened(self):
    """Lets any value through, for a caller that masks the weight at the end."""
    self._num_opening += 1
    try:
      with self.trusted():
        yield
    finally:
      self._num_opening -= 1


def missed(weights):
  """Which weights have fewer zeros than they should.

  Args:
    weights: list of MaskConstraint.

  Returns:
    What to tell of them, a string; empty if all together have their zeros, but
    for 0.01 of the entries.
  """
  sizes = [math.prod(weight.mask.shape) for weight in weights]
  zeros = sum(weight.num_zeros for weight in weights)
  wanted = sum(weight.num_zeros_of_target for weight in weights)
  if wanted - zeros <= TOLERANCE * sum(sizes):
    return ''
  return ', '.join(
    f'{weight.variable.name!r} at {weight.num_zeros / size:.3f} of '
    f'{weight.target_sparsity:.3f}'
    for weight, size in zip(weights, sizes)
    if weight.missing_zeros
  )


def random_mask(shape, target_sparsity, axes, structure, seed):
  """A random mask of a weight.

  Args:
    shape: of the weight.
    target_sparsity: fraction of zeros.
    axes: `axes.Axes` of the weight.
    structure: which masks it may have, out of `structures`.
    seed: int or `numpy.random.SeedSequence`.

  Returns:
    NumPy array, float32 of 0 and 1.
  """
  mask = structure.random_mask(axes.matrix_shape(shape), target_sparsity, seed)
  return axes.from_matrix(mask, shape)


def mask_of(variable):
  """The mask variable of a kernel, or None if it is not sparse."""
  constraint = variable.constraint
  return constraint.mask if isinstance(constraint, MaskConstraint) else None


def assign_exact(variable, value):
  """Assigns a value that is 0 outside the mask already, without a product.

  Args:
    variable: of any weight, sparse or not.
    value: tensor of its shape.

  Returns:
    What `variable.assign` returns.
  """
  constraint = variable.constraint
  if not isinstance(constraint, MaskConstraint):
    return variable.assign(value)
  with constraint.trusted():
    return variable.assign(value)
