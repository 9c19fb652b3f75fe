"""Weights that are exactly 0 outside their masks after any write.

`masked_variables` implements the writes. A caller whose values are already 0
outside the mask skips the product with the mask by `trusted`.
"""

import contextlib
import math
import warnings

import numpy as np
import tensorflow as tf

from tf_sparse_rl import methods
from tf_sparse_rl.native import resting
from tf_sparse_rl.sparsity import initializers, masked_variables

# Shortfall from a target sparsity up to which there is no warning.
TOLERANCE = 0.01


def starts_dense(method):
  """Whether the masks of a method start as ones; not if `method` is None."""
  return method is not None and methods.METHODS[method].starts_dense


class MaskConstraint(tf.keras.constraints.Constraint):
  """A sparse weight: the variable, its mask, the target and the structure.

  It is the Keras constraint of the weight. Keras applies it after every update,
  also by legacy optimizers, which do not call `assign`. `SparseOptimizer` finds
  the mask of a weight by it.
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
    """Ties a variable to its mask; its own constraint is applied first.

    Args:
      name: name of the weight in its layer, such as 'cell/recurrent_kernel'.
      variable: variable of the weight.
      mask: variable of 0 and 1 of the same shape.
      target_sparsity: fraction of zeros that it has or is pruned to.
      seed: int, seed of random updates of the mask.
      axes: `axes.Axes`, its inputs and units.
      structure: structure of the mask, one of `structures`.
      method: the name in `methods.METHODS` that the mask was made for, or None.
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
    self._is_told = False
    for kernel, its_mask in masked_variables.pairs(variable, mask):
      masked_variables.tie(kernel, its_mask, self)
      with tf.init_scope():
        kernel.assign(kernel)

  def __call__(self, kernel):
    """Applies the weight's own constraint; `assign` then masks the result.

    Raises:
      ValueError: if a weight to be pruned is updated by an optimizer other than
        a SparseOptimizer, with which it would stay dense.
    """
    if self.starts_dense and not self._num_trusting and not self.num_zeros:
      raise ValueError(
        'Expected a SparseOptimizer for a model to be pruned, such as '
        "SparseOptimizer('adam', MagnitudePruning(...), model): others do not "
        'update masks. Received: another optimizer, for '
        f'{self.variable.name!r}, which has no zeros.'
      )
    if self.method not in (None, 'static') and not self._num_trusting:
      self._tell_that_masks_stay()
    return kernel if self.inner is None else self.inner(kernel)

  def _tell_that_masks_stay(self):
    """Warns once of masks that another optimizer does not update."""
    if self._is_told or self.starts_dense:  # Pruned masks have their zeros.
      return
    self._is_told = True
    warnings.warn(
      f'The masks were made for {self.method!r}; only a SparseOptimizer '
      "updates them. Use sparsify(method='static') for constant masks.",
      stacklevel=2,
    )

  @property
  def num_zeros_of_target(self):
    """Number of zeros of a mask that meets the target; an int."""
    matrix = self.axes.matrix_shape(self.mask.shape)
    return self.structure.num_zeros(matrix, self.target_sparsity)

  @property
  def num_zeros(self):
    """Number of zeros of the mask; an int."""
    with tf.init_scope():
      mask = resting.value(masked_variables.parts(self.mask)[0])
      return int(np.sum(mask == 0))

  @property
  def missing_zeros(self):
    """Number of zeros missing to the target; an int."""
    return max(0, self.num_zeros_of_target - self.num_zeros)

  @property
  def is_trusted(self):
    """Whether values are assigned without a product with the mask."""
    # The weight's own constraint may change zeros.
    is_kept = self._num_trusting > 0 and self.inner is None
    return is_kept or self._num_opening > 0

  def draw(self, seed, rescales):
    """Draws a new random mask and applies it to the last dense value.

    Args:
      seed: int or `numpy.random.SeedSequence`.
      rescales: whether weights are rescaled for the fan-in of the mask.
    """
    shape = self.variable.shape
    mask = random_mask(
      shape, self.target_sparsity, self.axes, self.structure, seed
    )
    self.mask.assign(mask)
    if rescales:
      matrices = (self.axes.to_matrix(x) for x in (self.variable.numpy(), mask))
      rescaled = initializers.rescale_for_fan_in(*matrices)
      del mask, matrices  # They are as large as the weight.
      with self.trusted():  # Zeros stay zeros.
        self.variable.assign(self.axes.from_matrix(rescaled, shape))

  @contextlib.contextmanager
  def trusted(self):
    """Skips the product with the mask: the caller keeps the zeros."""
    # A counter, because threads of replicas enter and leave in turn.
    self._num_trusting += 1
    try:
      yield
    finally:
      self._num_trusting -= 1

  @contextlib.contextmanager
  def opened(self):
    """Assigns any value, for a caller that masks the weight at the end."""
    self._num_opening += 1
    try:
      with self.trusted():
        yield
    finally:
      self._num_opening -= 1


@contextlib.contextmanager
def trusted(weights):
  """Skips the products with the masks of weights: the caller keeps the zeros.

  Args:
    weights: list of MaskConstraint.
  """
  with contextlib.ExitStack() as stack:
    for weight in weights:
      stack.enter_context(weight.trusted())
    yield


def missed(weights):
  """Describes weights that have fewer zeros than their target.

  Args:
    weights: list of MaskConstraint.

  Returns:
    A string for messages; empty if the weights together miss their target by
    at most 0.01.
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
  """Draws a random mask of a weight.

  Args:
    shape: shape of the weight.
    target_sparsity: fraction of zeros.
    axes: `axes.Axes` of the weight.
    structure: structure of the mask, one of `structures`.
    seed: int or `numpy.random.SeedSequence`.

  Returns:
    NumPy array, float32 of 0 and 1.
  """
  mask = structure.random_mask(axes.matrix_shape(shape), target_sparsity, seed)
  return axes.from_matrix(mask, shape)


def mask_of(variable):
  """Returns the mask variable of a weight, or None if it is not sparse."""
  constraint = variable.constraint
  return constraint.mask if isinstance(constraint, MaskConstraint) else None


def assign_exact(variable, value):
  """Assigns a value that is already 0 outside the mask, without a product.

  Args:
    variable: variable of any weight, sparse or not.
    value: tensor of its shape.

  Returns:
    The result of `variable.assign`.
  """
  constraint = variable.constraint
  if not isinstance(constraint, MaskConstraint):
    return variable.assign(value)
  with constraint.trusted():
    return variable.assign(value)
