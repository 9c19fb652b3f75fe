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

  The weights themselves are exactly 0 wherever their masks are, whoever writes
  to them: see `masked`. So `call` is just the wrapped layer's: it costs nothing
  more, changes no state, and the gradient of a weight is the dense one that
  RigL grows by.

  In a graph on a CPU, native kernels can skip the zeros (`set_backend`). Layers
  that are called by `call_in_turn` become one operation.

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
    method=None,
    name=None,
    **kwargs,
  ):
    """Wraps a layer that is not built.

    Args:
      layer: a layer whose weights, or those of layers in it, `kinds` knows.
      target_sparsity: fraction of zeros that the weight matrices have, or are
        pruned to, in [0, 1); or `{name: fraction}` if there are several. At 0
        a weight is dense and never masked.
      seed: int, of the masks drawn at build and of what is random in their
        updates. It goes with the layer, for the order in which an optimizer
        meets variables can change from process to process (TF-Agents'
        SacAgent).
      block_shape: (inputs, units) of the blocks that are active or not as
        one, as in (4, 1); 'unit' for whole units or channels; None for single
        entries.
      n_of_m: (n, m), as in (2, 4): of each m consecutive inputs of a unit n
        are active. Then target_sparsity is 1 - n / m, or 0.
      method: a name of `methods.METHODS`, for which the masks are drawn. With
        one that prunes they start as ones, otherwise at random with the target
        sparsity; None: at random, for any updater that keeps their zeros.
      name: of this layer; that of the wrapped layer by default.
      **kwargs: of `tf.keras.layers.Layer`.

    Raises:
      ValueError: for a layer without such weights or one that is built
        already, a sparsity out of range, or a structure that contradicts it.
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
    # For TFMOT, which asks a layer that it does not know by this.
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
    """Calls the layer, building first what is built by a call."""
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
      # Past TFMOT's, which gives several masks one name.
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
    """Gives a weight its mask; returns TFMOT's record of it."""
    targets, (name, variable, axes) = self._targets, weight
    target_sparsity = targets.get(name, targets.get(None, 0.0))
    # The first as it always was: results depend on it.
    seed = self.seed
    if index:
      seed = seeds.derive(seed, seeds.Stream.LAYER, index)
    structure = structures.make(self.block_shape, self.n_of_m)
    prefix = '' if count == 1 else name.replace('/', '_') + '_'

    def draw(shape, dtype=None, **unused_kwargs):
      if not target_sparsity or masked.starts_dense(self.method):
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
        # Under a mixed precision policy a variable's `dtype` is another one.
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
    """Keras' mask of time steps, as of the wrapped layer."""
    return self.layer.compute_mask(inputs, mask)

  def reset_states(self, *args):
    """As of the wrapped layer, if it is a stateful one."""
    self.layer.reset_states(*args)

  @property
  def operand(self):
    """The layer as native kernels take it."""
    mask = self.pruning_vars[0][1] if self.target_sparsity else None
    return stacks.Layer(self.layer, mask, self.target_sparsity)

  @property
  def kernel(self):
    """The weight matrix of a layer that has one, exactly 0 outside the mask."""
    return self._only_weight[0]

  @property
  def mask(self):
    """The mask of a layer with one weight matrix: float32 of 0 and 1."""
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
    """Returns the config: the wrapped layer, and what its mask is to be."""
    # Past TFMOT's, whose entries are constants here.
    config = super(pruning_wrapper.PruneLowMagnitude, self).get_config()
    targets = self._targets
    if self._called_with:  # What a shape alone does not build.
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
    """Makes a layer from what `get_config` returned."""
    # Not by Keras' Wrapper, which does not find layers that are registered.
    inner = kinds.deserialize(config['layer'], custom_objects)
    arguments = {**config, 'layer': inner}
    called_with = arguments.pop('called_with', None)
    layer = cls(**arguments)
    layer._called_with = layer._no_dependency(called_with)
    if 'name' not in config:  # A file of before a layer kept its name.
      layer._name = f'sparse_layer_{layer.layer.name}'
    return layer

  def __deepcopy__(self, memo):
    """An independent copy: Keras' own would share the mask's constraint."""
    make, (*arguments, _) = self.__reduce__()
    memo[id(self)] = copy = make(*arguments, self.variables)
    return copy

  def __reduce__(self):
    """Pickles the config, the values of variables and classes by reference."""
    build_config = self.get_build_config() if self.built else None
    return _restored, (
      *(type(self), self.get_config(), kinds.own_classes(self.layer)),
      *(build_config, [variable.numpy() for variable in self.variables]),
    )


def _restored(kind, config, classes, build_config, values):
  """A SparseLayer out of what its `__reduce__` returned."""
  with tf.keras.utils.custom_object_scope(classes):
    layer = kind.from_config(config)
  if build_config:
    layer.build_from_config(build_config)
    for variable, value in zip(layer.variables, values):
      variable.assign(value)
  return layer


# Keras' wrappers look for the layer in their config by the name of its class.
tf.keras.utils.get_custom_objects()['SparseLayer'] = SparseLayer
