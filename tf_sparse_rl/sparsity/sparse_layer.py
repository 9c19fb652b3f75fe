"""`SparseLayer`: a Keras layer whose weight matrices are masked."""

import functools
import inspect

import tensorflow as tf
from tensorflow_model_optimization.python.core.sparsity.keras import (
  pruning_schedule,
  pruning_wrapper,
)

from tf_sparse_rl import seeds
from tf_sparse_rl.native import conv, stacks
from tf_sparse_rl.sparsity import (
  building,
  keras_check,
  kinds,
  layer_checks,
  masked,
  structures,
)
from tf_sparse_rl.sparsity import l2 as l2_lib


@tf.keras.utils.register_keras_serializable('tf_sparse_rl')
class SparseLayer(pruning_wrapper.PruneLowMagnitude):
  """Wraps a layer and masks its weight matrices.

  The weights are exactly 0 wherever their masks are, after any write to them;
  see `masked`. So `call` is that of the wrapped layer: it has no overhead,
  changes no state, and the gradients of weights are dense, as RigL needs them.

  In a graph on a CPU, native kernels can skip the zeros (`set_backend`). Layers
  that are called by `call_in_turn` become one operation.

  It is a `PruneLowMagnitude`, so TFMOT's `strip_pruning` works. TFMOT's
  schedule, threshold and step counter exist but are not used.
  """

  # Whether `build` draws masks; ones where they come from elsewhere after it.
  draws_masks = True

  def __init__(
    self,
    layer,
    target_sparsity=0.0,
    seed=0,
    block_shape=None,
    n_of_m=None,
    method=None,
    name=None,
    **kwargs,
  ):
    """Wraps a layer that is not built.

    Args:
      layer: a layer with weights, its own or of sublayers, that `kinds` knows.
      target_sparsity: fraction of zeros that the weight matrices have, or are
        pruned to, in [0, 1); or `{name: fraction}` if there are several. At 0
        a weight is dense and never masked.
      seed: int, seed of the masks drawn at build and of their random updates.
        It belongs to the layer because the order of variables in an optimizer
        can differ between processes (TF-Agents' SacAgent).
      block_shape: (inputs, units) of blocks that are active or inactive as a
        whole, such as (4, 1); 'unit' for whole units or channels; None for
        unstructured masks.
      n_of_m: (n, m), such as (2, 4): n of each m consecutive inputs of a unit
        are active. target_sparsity must be 1 - n / m, or 0.
      method: a name of `methods.METHODS`. The masks of methods that prune start
        as ones; others are random with the target sparsity. None: random, for
        any updater that keeps the number of zeros.
      name: name of this layer; by default that of the wrapped layer.
      **kwargs: arguments of `tf.keras.layers.Layer`.

    Raises:
      ValueError: for a layer without such weights or one that is built, a
        sparsity out of range, or a structure that is inconsistent with it.
    """
    keras_check.refuse_keras_3(layer)
    layer_checks.check_layer(layer)
    layer_checks.check_method(method)
    targets = target_sparsity
    if not isinstance(targets, dict):
      targets = {None: float(targets)}
    self.block_shape, self.n_of_m = layer_checks.structure_of(
      block_shape, n_of_m, targets.values()
    )
    self.target_sparsity = max(targets.values())
    self.seed, self.method = int(seed), method
    self.sparse_weights = ()
    # TFMOT calls this on layers that it does not know.
    layer.get_prunable_weights = self._prunable_weights
    kwargs.setdefault('dtype', layer.dtype_policy)
    schedule = pruning_schedule.ConstantSparsity(self.target_sparsity, 0)
    super().__init__(layer, pruning_schedule=schedule, **kwargs)
    self._name = name or layer.name
    self._targets = self._no_dependency(targets)
    self._called_with = None
    self.supports_masking = layer.supports_masking
    self.stateful = layer.stateful

  def _prunable_weights(self):
    return [weight for weight, _, _ in self.pruning_vars]

  def __call__(self, *args, **kwargs):
    """Calls the layer, after building sublayers that only a call builds."""
    if not self.built and kinds.registered(self.layer) is None:
      self._called_with = self._no_dependency(building.call_spec(args, kwargs))
      building.build_by_call(self.layer, *args, **kwargs)
    return super().__call__(*args, **kwargs)

  def build(self, input_shape):
    """Builds the wrapped layer, then draws the masks."""
    l2 = l2_lib.for_layer(self.layer) if self.target_sparsity else None
    with l2_lib.replaced(self.layer, {'kernel_regularizer': l2} if l2 else {}):
      if not self.layer.built and self._called_with:
        building.build_by_spec(self.layer, self._called_with)
      elif not self.layer.built:
        building.build(self.layer, input_shape)
      # Not TFMOT's, which gives several masks the same name.
      super(pruning_wrapper.PruneLowMagnitude, self).build(input_shape)
    found = kinds.find(self.layer)
    if not found:
      raise ValueError(layer_checks.no_weights(self.layer))
    layer_checks.check_names(self._targets, [weight.name for weight in found])
    self.pruning_vars = [
      self._masked(index, weight, len(found))
      for index, weight in enumerate(found)
    ]
    self.pruning_step = self.add_weight(
      'pruning_step',
      shape=[],
      initializer=tf.keras.initializers.Constant(-1),
      dtype=tf.int64,
      trainable=False,
    )
    if l2:
      l2.mask = self.mask

  def _masked(self, index, weight, count):
    """Creates the mask of a weight; returns (weight, mask, threshold)."""
    targets, (name, variable, axes) = self._targets, weight
    target_sparsity = targets.get(name, targets.get(None, 0.0))
    # The first weight has the seed itself: earlier results depend on it.
    seed = self.seed
    if index:
      seed = seeds.derive(seed, seeds.Stream.LAYER, index)
    structure = structures.make(self.block_shape, self.n_of_m)
    prefix = '' if count == 1 else name.replace('/', '_') + '_'

    def draw(shape, dtype=None, **unused_kwargs):
      is_drawn = self.draws_masks and not masked.starts_dense(self.method)
      if not (target_sparsity and is_drawn):
        return tf.ones(shape, dtype)
      structure.check(self.layer.name, axes.matrix_shape(shape))
      return masked.random_mask(
        shape,
        target_sparsity,
        axes,
        structure,
        seeds.sequence(seed, seeds.Stream.MASK),
      )

    mask, threshold = (
      self.add_weight(
        prefix + kind,
        shape=shape,
        initializer=initializer,
        # With mixed precision `dtype` of a variable is the compute dtype.
        dtype=getattr(variable, 'true_dtype', variable.dtype),
        trainable=False,
        aggregation=tf.VariableAggregation.MEAN,
      )
      for kind, shape, initializer in (
        ('mask', variable.shape, draw),
        ('threshold', [], 'zeros'),
      )
    )
    if target_sparsity:
      structure.check(self.layer.name, axes.matrix_shape(variable.shape))
      constraint = masked.MaskConstraint(
        name=name,
        variable=variable,
        mask=mask,
        target_sparsity=target_sparsity,
        seed=seed,
        axes=axes,
        structure=structure,
        method=self.method,
      )
      self.sparse_weights = (*self.sparse_weights, constraint)
    return variable, mask, threshold

  def call(self, inputs, *args, **kwargs):
    """Calls the wrapped layer; changes no state."""
    if stacks.fits(self.operand) or conv.fits(self.operand):
      # Neither Dense nor Conv2D takes other arguments.
      return stacks.call([self.operand], inputs)
    if 'mask' in kwargs and not self._takes_mask:
      kwargs.pop('mask')
    return self.layer(inputs, *args, **kwargs)

  @functools.cached_property
  def _takes_mask(self):
    return 'mask' in inspect.signature(self.layer.call).parameters

  def compute_mask(self, inputs, mask=None):
    """Returns the wrapped layer's mask of time steps."""
    return self.layer.compute_mask(inputs, mask)

  def reset_states(self, *args):
    """Resets the states of a stateful wrapped layer."""
    self.layer.reset_states(*args)

  def _lookup_dependency(self, name, *args):
    """Finds what a checkpoint restores, also one of the plain layer."""
    found = super()._lookup_dependency(name, *args)
    if found is None and getattr(self, 'pruning_vars', None):
      return self.layer._lookup_dependency(name)
    return found

  @property
  def operand(self):
    """The operand of native kernels for this layer."""
    mask = self.pruning_vars[0][1] if self.target_sparsity else None
    return stacks.Layer(self.layer, mask, self.target_sparsity)

  @property
  def kernel(self):
    """The only weight matrix, exactly 0 outside the mask."""
    return self._only_weight[0]

  @property
  def mask(self):
    """The mask of the only weight matrix, float32 of 0 and 1."""
    return self._only_weight[1]

  @property
  def _only_weight(self):
    if len(self.pruning_vars) != 1:
      raise AttributeError(
        'Expected a built layer with one weight matrix. Received: '
        f'{self.name!r} with {len(self.pruning_vars)}; see sparse_weights.'
      )
    return self.pruning_vars[0]

  def get_config(self):
    """Returns the config: the wrapped layer and the arguments of its masks."""
    # Not TFMOT's, whose entries are constants here.
    config = super(pruning_wrapper.PruneLowMagnitude, self).get_config()
    targets = self._targets
    if self._called_with:  # The layer cannot be built from a shape alone.
      config['called_with'] = self._called_with
    return {
      **config,
      'target_sparsity': targets.get(None)
      if None in targets
      else dict(targets),
      'seed': self.seed,
      'block_shape': self.block_shape,
      'n_of_m': self.n_of_m,
      'method': self.method,
    }

  @classmethod
  def from_config(cls, config, custom_objects=None):
    """Creates a layer from the result of `get_config`."""
    # Not by Keras' Wrapper, which does not find registered layers.
    inner = kinds.deserialize(config['layer'], custom_objects)
    arguments = {**config, 'layer': inner}
    called_with = arguments.pop('called_with', None)
    layer = cls(**arguments)
    layer._called_with = layer._no_dependency(called_with)
    if 'name' not in config:  # An old file: layers had names of their own.
      layer._name = f'sparse_layer_{layer.layer.name}'
    return layer

  def __deepcopy__(self, memo):
    """Returns an independent copy; Keras' would share the mask's constraint."""
    memo[id(self)] = copy = _restored(*self._recipe(), self.variables)
    return copy

  def __reduce__(self):
    """Pickles config and variables; user classes are pickled by reference."""
    values = [variable.numpy() for variable in self.variables]
    return _restored, (*self._recipe(), values)

  def _recipe(self):
    build_config = self.get_build_config() if self.built else None
    classes = kinds.own_classes(self.layer)
    return type(self), self.get_config(), classes, build_config


def _restored(kind, config, classes, build_config, values):
  """Creates a SparseLayer from the arguments that `__reduce__` returned."""
  with tf.keras.utils.custom_object_scope(classes):
    layer = kind.from_config(config)
  if build_config:
    layer.draws_masks = False
    layer.build_from_config(build_config)
    with masked.trusted(layer.sparse_weights):
      for variable, value in zip(layer.variables, values):
        variable.assign(value)
  return layer


# Keras' wrappers find the class of their layer by this name only.
tf.keras.utils.get_custom_objects()['SparseLayer'] = SparseLayer
