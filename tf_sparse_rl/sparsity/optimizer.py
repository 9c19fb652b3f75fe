"""`SparseOptimizer`: wraps a Keras optimizer and updates masks."""

import tensorflow as tf

from tf_sparse_rl.sparsity import layers as layers_lib
from tf_sparse_rl.sparsity import (
  mask_updates,
  masked,
  optimizer_checks,
  optimizer_native,
  optimizer_slots,
  straight_through,
)


@tf.keras.utils.register_keras_serializable('tf_sparse_rl')
class SparseOptimizer(tf.keras.optimizers.Optimizer):
  """Updates masks when due, then lets the inner optimizer update weights.

  Each call of `apply_gradients` is one train step. If the updater has a mask
  update at this step, it updates masks, weights and slots from the dense
  gradients. Then the inner optimizer applies the gradients times the masks, so
  its gradient clipping sees masked gradients only.

  The weight and slots of a connection that becomes inactive are set to 0, so a
  connection that is grown later starts from 0.
  """

  def __init__(self, optimizer, updater, model=None, name='SparseOptimizer'):
    """Wraps an optimizer.

    Args:
      optimizer: a `tf.keras` optimizer of either generation whose slots have
        the shape of their variables, or its name.
      updater: a `MaskUpdater`.
      model: the model, or list of layers or models, that will be trained; it
        allows checks before the first train step.
      name: name of the optimizer.

    Raises:
      ValueError: if `model` has no SparseLayer, or masks that the updater
        cannot bring to their targets; if `optimizer` is a LossScaleOptimizer,
        which must wrap this one instead.
      TypeError: if `optimizer` or `updater` has another type.
    """
    if isinstance(optimizer, str):
      optimizer = tf.keras.optimizers.get(optimizer)
    optimizer_checks.check_arguments(optimizer, updater, model)
    super().__init__(name, jit_compile=False)
    self._optimizer = optimizer
    self.updater = updater
    self.iterations = optimizer.iterations
    self._model = self._no_dependency(model)
    weights = [] if model is None else layers_lib.sparse_weights(model)
    self._is_checked = bool(weights) and not optimizer_checks.is_frozen(model)
    if self._is_checked:
      optimizer_checks.check_updater(updater, weights)
    self._sparse_kernels = None
    self._slots = None  # Of all variables, if they may be updated natively.

  @property
  def inner_optimizer(self):
    """The wrapped optimizer."""
    return self._optimizer

  @property
  def updates_masks(self):
    """Whether the updater changes masks at any train step."""
    return self.updater.is_due(0) is not None

  @property
  def variables(self):
    """The variables of the wrapped optimizer, then those of sparse kernels."""
    inner = self._optimizer.variables
    inner = inner() if callable(inner) else inner
    kernels = self._sparse_kernels or ()
    own = [v for k in kernels for v in (k.hidden, k.gathered) if v is not None]
    return [*inner, *own] if own else inner

  def set_weights(self, weights):
    """Assigns `variables`; Keras calls this when it loads HDF5 files."""
    for variable, value in zip(self.variables, weights):
      variable.assign(value)

  @property
  def learning_rate(self):
    """The learning rate of the wrapped optimizer."""
    return self._optimizer.learning_rate

  @learning_rate.setter
  def learning_rate(self, value):
    self._optimizer.learning_rate = value

  def build(self, var_list):
    """Creates the slots of all variables and sets those of masked entries to 0.

    Args:
      var_list: all variables that will be trained.
    """
    if self._sparse_kernels is not None:
      return
    var_list = list(var_list)
    weights = optimizer_checks.sparse_weights_of(var_list, self._model)
    if weights and not self._is_checked:
      optimizer_checks.check_updater(self.updater, weights)
    optimizer_slots.build(self._optimizer, var_list)
    found = optimizer_slots.find(self._optimizer, var_list)
    if not self.updater.trains_hidden and optimizer_native.fits(
      self._optimizer, var_list
    ):
      slots = {self._var_key(v): s for v, s in zip(var_list, found)}
      self._slots = self._no_dependency(slots)
    kernels = [
      mask_updates.sparse_kernel(self, variable, slots)
      for variable, slots in zip(var_list, found)
      if masked.mask_of(variable) is not None
    ]
    self._sparse_kernels = self._no_dependency(kernels)

  @tf.autograph.experimental.do_not_convert
  def apply_gradients(
    self,
    grads_and_vars,
    name=None,
    skip_gradients_aggregation=False,
    masks_may_change=True,
    **kwargs,
  ):
    """Makes one train step: updates masks if due, then weights.

    Args:
      grads_and_vars: list of (dense gradient, variable).
      name: see Keras.
      skip_gradients_aggregation: whether the gradients are already summed over
        replicas.
      masks_may_change: False if `updater.needs_gradient` is known to be False
        at this train step. The traced function then has no condition, which is
        faster.
      **kwargs: `experimental_aggregate_gradients`, Keras' older name of
        `skip_gradients_aggregation`, with the opposite meaning.

    Returns:
      The result of the inner optimizer.
    """
    aggregates = kwargs.pop('experimental_aggregate_gradients', True)
    grads_and_vars = self._known(grads_and_vars)
    kernels = self._kernels_of(v for _, v in grads_and_vars)
    updater = self.updater if masks_may_change and self.updates_masks else None
    parts = self._native_parts(grads_and_vars)
    if parts:
      return optimizer_native.apply(
        self._optimizer,
        updater,
        grads_and_vars,
        parts,
        kernels,
        self._slots,
        self._var_key,
      )
    if aggregates and not skip_gradients_aggregation:
      # Here, not in the inner optimizer: replicas must grow alike.
      grads_and_vars = self.aggregate_gradients(grads_and_vars)
    if self.updater.trains_hidden:
      return self._train_hidden(grads_and_vars, kernels, name)
    return self._train_active(grads_and_vars, kernels, updater, name)

  def _known(self, grads_and_vars):
    """List of those that have a gradient; builds at the first call."""
    grads_and_vars = list(grads_and_vars)
    variables = [v for _, v in grads_and_vars]
    with tf.init_scope():
      self.build(variables)
    optimizer_checks.check_known(variables, self._sparse_kernels, self._var_key)
    return [(g, v) for g, v in grads_and_vars if g is not None]

  def _kernels_of(self, variables):
    """Returns the sparse kernels among variables."""
    keys = {self._var_key(variable) for variable in variables}
    return [k for k in self._sparse_kernels if self._var_key(k.kernel) in keys]

  def _native_parts(self, grads_and_vars):
    """Returns the gradients that native kernels computed, or an empty dict."""
    if self._slots is None or tf.distribute.has_strategy():
      return {}
    return optimizer_native.parts_of(grads_and_vars, self._var_key)

  def _dense_gradients(self, grads_and_vars, kernels):
    """Returns the gradients of kernels as dense tensors."""
    gradients = {self._var_key(v): g for g, v in grads_and_vars}
    return [
      tf.convert_to_tensor(gradients[self._var_key(k.kernel)]) for k in kernels
    ]

  def _train_hidden(self, grads_and_vars, kernels, name):
    """Makes a train step of all weights, including masked ones."""
    dense = self._dense_gradients(grads_and_vars, kernels)
    # Legacy optimizers take no IndexedSlices for variables with constraints.
    of_kernels = {self._var_key(k.kernel): g for k, g in zip(kernels, dense)}
    grads_and_vars = [
      (of_kernels.get(self._var_key(v), g), v) for g, v in grads_and_vars
    ]
    return straight_through.apply(
      self.updater,
      kernels,
      dense,
      # A copy: the inner optimizer increments the variable.
      tf.convert_to_tensor(self.iterations),
      lambda: self._apply_inner(grads_and_vars, name),
    )

  def _train_active(self, grads_and_vars, kernels, updater, name):
    """Makes a train step of active weights, after a mask update if due."""
    dense = self._dense_gradients(grads_and_vars, kernels)
    if updater is not None and kernels:
      train_step = tf.cast(self.iterations, tf.int64)
      mask_updates.update_if_due(updater, kernels, dense, train_step)
    masked_gradients = {
      self._var_key(kernel.kernel): tf.math.multiply_no_nan(
        gradient, kernel.mask
      )
      for kernel, gradient in zip(kernels, dense)
    }
    with masked.trusted([kernel.constraint for kernel in kernels]):
      return self._apply_inner(
        [
          (masked_gradients.get(self._var_key(v), gradient), v)
          for gradient, v in grads_and_vars
        ],
        name,
      )

  def _apply_inner(self, grads_and_vars, name):
    if isinstance(self._optimizer, tf.keras.optimizers.legacy.Optimizer):
      flag = {'experimental_aggregate_gradients': False}
    else:
      flag = {'skip_gradients_aggregation': True}
    return self._optimizer.apply_gradients(grads_and_vars, name=name, **flag)

  def update_step(self, gradient, variable):
    """Is not used: the inner optimizer updates the weights."""
    raise NotImplementedError('SparseOptimizer delegates to its optimizer.')

  def finalize_variable_values(self, var_list):
    """Assigns moving averages to the weights, if the optimizer has any."""
    if hasattr(self._optimizer, 'finalize_variable_values'):
      self._optimizer.finalize_variable_values(var_list)

  def get_config(self):
    """Returns the config: the inner optimizer, the updater and the name."""
    # Keras' legacy form, which it reads in every format; in HDF5 files it does
    # not find classes that are registered by the current form.
    serialize = tf.keras.utils.legacy.serialize_keras_object
    return {
      'optimizer': tf.keras.optimizers.serialize(self._optimizer),
      'updater': serialize(self.updater),
      'name': self.name,
    }

  @classmethod
  def from_config(cls, config, custom_objects=None):
    """Creates an optimizer from the result of `get_config`."""
    config = dict(config)
    updater = tf.keras.utils.deserialize_keras_object(
      config.pop('updater'), custom_objects
    )
    optimizer = tf.keras.optimizers.deserialize(
      config.pop('optimizer'), custom_objects
    )
    loaded = cls(optimizer, updater, **config)
    # Its masks were checked when it was created; they are loaded after it.
    loaded._is_checked = True
    return loaded


# TF-Agents' SacAgent turns optimizers into those of Keras' legacy generation,
# by the name of their class in lower case. This one stands for both.
tf.keras.utils.get_custom_objects()['sparseoptimizer'] = SparseOptimizer
