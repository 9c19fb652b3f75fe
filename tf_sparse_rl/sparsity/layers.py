"""`SparseLayer`: a Keras layer whose kernel is masked."""

import contextlib
import itertools
import math

import tensorflow as tf
from tensorflow_model_optimization.python.core.sparsity.keras import (
  pruning_schedule,
  pruning_wrapper,
)

from tf_sparse_rl.native import stacks
from tf_sparse_rl.sparsity import structures

_keras_layers = tf.keras.layers

# The layers that TFMOT prunes by their `kernel` alone. TFMOT takes exact
# classes, not subclasses. LocallyConnected is left out, whose kernel has no
# shape that ERK could read.
KERNEL_LAYERS = (
  _keras_layers.Dense,
  _keras_layers.Conv1D,
  _keras_layers.Conv2D,
  _keras_layers.Conv2DTranspose,
  _keras_layers.Conv3D,
  _keras_layers.Conv3DTranspose,
)


def can_be_sparse(layer):
  """Whether `SparseLayer` can wrap this layer."""
  return type(layer) in KERNEL_LAYERS


class MaskConstraint(tf.keras.constraints.Constraint):
  """Keeps a kernel at exactly 0 outside its mask, under any optimizer.

  Keras applies a constraint after every update of its variable. It is also
  how `SparseOptimizer` finds the mask that belongs to a kernel.
  """

  def __init__(self, target_sparsity, seed, structure, inner=None):
    """Keeps the layer's own constraint, if any, to be applied first."""
    self.target_sparsity = target_sparsity
    self.seed = seed
    self.structure = structure
    self.mask = None  # Set by SparseLayer.build, once the mask exists.
    self.inner = inner
    self._redundant = False

  def __call__(self, kernel):
    """Returns the kernel times its mask."""
    if self.inner is not None:
      kernel = self.inner(kernel)
    return kernel if self._redundant else kernel * self.mask

  @contextlib.contextmanager
  def redundant(self):
    """Spares the product while the caller itself keeps the zeros."""
    self._redundant = True
    try:
      yield
    finally:
      self._redundant = False


class _L2(tf.keras.regularizers.Regularizer):
  """L2 of a sparse kernel, that of its active entries where this is faster."""

  def __init__(self, inner):
    self.mask = None  # Set by SparseLayer.build, once the mask exists.
    self._inner = inner

  def __call__(self, kernel):
    """Returns the loss."""
    loss = stacks.l2(kernel, self.mask, float(self._inner.l2))
    return self._inner(kernel) if loss is None else loss


@tf.keras.utils.register_keras_serializable('tf_sparse_rl')
class SparseLayer(pruning_wrapper.PruneLowMagnitude):
  """Wraps a Dense or Conv layer and masks its kernel.

  The kernel variable itself is exactly 0 wherever the mask is: the
  constraint sees to it after every optimizer step. So `call` is just the
  wrapped layer's: it costs nothing more, changes no state, and the gradient
  of the kernel is the dense one that RigL grows by.

  In a graph on a CPU, native kernels can skip the zeros (`set_backend`). They
  take the kernel to be 0 outside the mask. Who averages weights softly into a
  target network therefore masks them there, as our agents do: TF-Agents by
  itself copies masks at once and lets weights outside them fade. Layers that
  are called by `call_in_turn` become one operation.

  It is a `PruneLowMagnitude`, so TFMOT's `strip_pruning` works; TFMOT's own
  schedule, threshold and step counter are there and unused.
  """

  def __init__(
    self,
    layer,
    target_sparsity=0.0,
    seed=0,
    block_shape=None,
    n_of_m=None,
    **kwargs,
  ):
    """Wraps an unbuilt layer.

    Args:
      layer: a layer for which `can_be_sparse`.
      target_sparsity: fraction of zeros this kernel has, or is pruned to, in
        [0, 1). At 0 the kernel is dense and never masked.
      seed: int, of what is random in updates of the mask. It goes with the
        layer, for the order in which an optimizer meets variables can change
        from process to process (TF-Agents' SacAgent).
      block_shape: (inputs, units) of the blocks that are active or not as
        one, as in (4, 1); None for single entries.
      n_of_m: (n, m), as in (2, 4): of each m consecutive inputs of a unit n
        are active. Then target_sparsity is 1 - n / m, or 0.
      **kwargs: of `tf.keras.layers.Layer`, without `name`.

    Raises:
      ValueError: for a layer of another kind or one that is built already,
        a sparsity out of range, or a structure that contradicts it.
    """
    if not can_be_sparse(layer):
      names = ', '.join(kind.__name__ for kind in KERNEL_LAYERS)
      raise ValueError(
        f'Expected one of the layers {names}: only their kernels can be '
        f'sparse. Received: {type(layer).__name__}.'
      )
    if layer.built:
      raise ValueError(
        f'Expected a layer that is not built yet; use sparsify(), which '
        f'clones. Received: {layer.name!r}, built.'
      )
    if not 0 <= target_sparsity < 1:
      raise ValueError(
        'Expected target_sparsity in [0, 1). Received: '
        f'target_sparsity={target_sparsity}.'
      )
    self.target_sparsity = float(target_sparsity)
    self.seed = int(seed)
    self.block_shape = tuple(block_shape) if block_shape else None
    self.n_of_m = tuple(n_of_m) if n_of_m else None
    structures.make(self.block_shape, self.n_of_m)  # Checks the numbers.
    _check_pattern(self.n_of_m, self.target_sparsity)
    kwargs.setdefault('dtype', layer.dtype_policy)
    schedule = pruning_schedule.ConstantSparsity(self.target_sparsity, 0)
    super().__init__(layer, pruning_schedule=schedule, **kwargs)

  def build(self, input_shape):
    """Builds the wrapped layer, then the mask, all ones."""
    if self.target_sparsity == 0:
      super().build(input_shape)
      return
    constraint = MaskConstraint(
      self.target_sparsity,
      self.seed,
      self.structure,
      self.layer.kernel_constraint,
    )
    own = {'kernel_constraint': constraint}
    if type(self.layer.kernel_regularizer) is tf.keras.regularizers.L2:
      own['kernel_regularizer'] = _L2(self.layer.kernel_regularizer)
    with _replaced(self.layer, own):
      super().build(input_shape)
    self.structure.check(self.layer.name, self.kernel.shape)
    for replacement in own.values():
      replacement.mask = self.mask

  def call(self, inputs, *args, **kwargs):
    """Calls the wrapped layer; changes no state."""
    if stacks.fits(self.operand):  # Of Dense, which takes no other arguments.
      return stacks.call([self.operand], inputs)
    return self.layer(inputs, *args, **kwargs)

  @property
  def operand(self):
    """The layer as native kernels take it."""
    mask = self.mask if self.target_sparsity else None
    return stacks.Layer(self.layer, mask, self.target_sparsity)

  @property
  def kernel(self):
    """The kernel variable, exactly 0 outside the mask."""
    return self.layer.kernel

  @property
  def mask(self):
    """The mask variable: float32 of 0 and 1, shape of the kernel."""
    return self.pruning_vars[0][1]

  @property
  def unit_axis(self):
    """Axis of the kernel that runs over the layer's output units."""
    transposed = (_keras_layers.Conv2DTranspose, _keras_layers.Conv3DTranspose)
    return -2 if isinstance(self.layer, transposed) else -1

  @property
  def structure(self):
    """Which masks the kernel may have, out of `structures`."""
    return structures.make(self.block_shape, self.n_of_m, self.unit_axis)

  def get_config(self):
    """Returns the config: the wrapped layer, and what its mask is to be."""
    # Past TFMOT's, whose entries are constants here.
    config = super(pruning_wrapper.PruneLowMagnitude, self).get_config()
    config.pop('name')
    return {
      **config,
      'target_sparsity': self.target_sparsity,
      'seed': self.seed,
      'block_shape': self.block_shape,
      'n_of_m': self.n_of_m,
    }

  @classmethod
  def from_config(cls, config, custom_objects=None):
    """Makes a layer from what `get_config` returned."""
    # Past TFMOT's again, to the one of Keras' Wrapper.
    return super(pruning_wrapper.PruneLowMagnitude, cls).from_config.__func__(
      cls, config, custom_objects
    )

  def __deepcopy__(self, memo):
    """An independent copy: Keras' own would share the mask's constraint."""
    copy = type(self).from_config(self.get_config())
    if self.built:
      copy.build(self.get_build_config()['input_shape'])
      for new, old in zip(copy.variables, self.variables):
        new.assign(old)
    memo[id(self)] = copy
    return copy


def _check_pattern(n_of_m, target_sparsity):
  """A pattern leaves no choice of sparsities."""
  if n_of_m and target_sparsity:
    given = 1 - n_of_m[0] / n_of_m[1]
    if not math.isclose(target_sparsity, given):
      raise ValueError(
        f'Expected sparsity {given:g}, or 0, with n_of_m={n_of_m}; the '
        "distribution 'uniform' gives all layers the same. Received: "
        f'target_sparsity={target_sparsity}.'
      )


@contextlib.contextmanager
def _replaced(layer, attributes):
  """Gives the layer other attributes to build with, then its own ones back.

  So the layer's config stays that of a plain layer.
  """
  own = {name: getattr(layer, name) for name in attributes}
  for name, value in attributes.items():
    setattr(layer, name, value)
  try:
    yield
  finally:
    for name, value in own.items():
      setattr(layer, name, value)


def call_in_turn(layers, inputs):
  """The output of layers called in turn; SparseLayers in a row as one stack.

  Args:
    layers: list of layers, built.
    inputs: of the first, `[batch, ...]`.

  Returns:
    Tensor `[batch, ...]`, the output of the last.
  """
  for sparse, group in itertools.groupby(layers, _is_built_sparse_layer):
    if sparse:
      inputs = stacks.call([layer.operand for layer in group], inputs)
    else:
      for layer in group:
        inputs = layer(inputs)
  return inputs


def _is_built_sparse_layer(layer):
  return isinstance(layer, SparseLayer) and layer.built


def mask_of(variable):
  """The mask variable of a kernel, or None if it is not sparse."""
  constraint = variable.constraint
  return constraint.mask if isinstance(constraint, MaskConstraint) else None


def leaf_layers(network):
  """The innermost layers of a network; a SparseLayer counts as one.

  Args:
    network: a Keras model or layer, a TF-Agents network, or a list of them.

  Returns:
    List of layers, each once, in the order of the network.
  """
  if isinstance(network, (list, tuple)):
    parts = network
  elif isinstance(network, SparseLayer):
    return [network]
  else:
    parts = getattr(network, 'layers', None)
    if parts is None:
      parts = network._flatten_layers(recursive=False, include_self=False)
      parts = list(parts)
    if not parts:
      return [network]
  found = [leaf for part in parts for leaf in leaf_layers(part)]
  return list({id(leaf): leaf for leaf in found}.values())


def sparse_layers(network):
  """Every SparseLayer of a network, nested networks included.

  Args:
    network: see `leaf_layers`.

  Returns:
    List of SparseLayers, each once, in the order of the network.
  """
  return [x for x in leaf_layers(network) if isinstance(x, SparseLayer)]
