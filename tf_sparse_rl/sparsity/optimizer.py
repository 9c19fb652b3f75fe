"""`SparseOptimizer`: wraps any Keras optimizer and moves the masks."""

import contextlib
import warnings

import tensorflow as tf

from tf_sparse_rl.native import stacks
from tf_sparse_rl.native import updates as native_updates
from tf_sparse_rl.sparsity import (
  keras_check,
  masked,
  optimizer_slots,
  updaters,
)
from tf_sparse_rl.sparsity import layers as layers_lib


class _SparseKernel:
  """One masked kernel and what goes with it."""

  def __init__(self, kernel, slots):
    self.kernel = kernel
    self.constraint = kernel.constraint
    self.slots = slots

  @property
  def mask(self):
    return self.constraint.mask


@tf.keras.utils.register_keras_serializable('tf_sparse_rl')
class SparseOptimizer(tf.keras.optimizers.Optimizer):
  """Updates masks when due, then lets the inner optimizer update weights.

  Each call of `apply_gradients` is one train step. It takes the dense
  gradients, asks the updater whether masks change at this step, changes
  masks, weights and slots if so, and hands the gradients, multiplied by the
  masks, to the inner optimizer, whose gradient clipping thus sees masked
  gradients only.

  A connection that goes inactive has its weight and slots set to 0, so one
  that is grown later starts from 0.
  """

  def __init__(self, optimizer, updater, model=None, name='SparseOptimizer'):
    """Wraps an optimizer.

    Args:
      optimizer: any `tf.keras` optimizer, of the current or the legacy
        generation, whose slots have the shape of their variables; or its name.
      updater: a `MaskUpdater`.
      model: what will be trained, to complain early of what does not fit.
        Masks are found through the variables.
      name: name of the optimizer.

    Raises:
      ValueError: if `model` has no SparseLayer, or masks that the updater
        cannot bring to their targets; if `optimizer` is a LossScaleOptimizer
        (which goes outside).
      TypeError: if `optimizer` or `updater` is something else.
    """
    if isinstance(optimizer, str):
      optimizer = tf.keras.optimizers.get(optimizer)
    _check_arguments(optimizer, updater, model)
    super().__init__(name, jit_compile=False)
    self._optimizer = optimizer
    self.updater = updater
    self.iterations = optimizer.iterations
    self._model = self._no_dependency(model)
    weights = [] if model is None else layers_lib.sparse_weights(model)
    self._is_checked = bool(weights) and not _is_frozen(model)
    if self._is_checked:
      _check_updater(updater, weights)
    self._sparse_kernels = None
    self._slots = None  # Of all variables, if they may be updated natively.

  @property
  def inner_optimizer(self):
    """The wrapped optimizer."""
    return self._optimizer

  @property
  def updates_masks(self):
    """Whether masks change at some train step."""
    return self.updater.is_due(0) is not None

  @property
  def variables(self):
    """The variables of the wrapped optimizer; there are no others."""
    inner = self._optimizer.variables
    return inner() if callable(inner) else inner

  def set_weights(self, weights):
    """See Keras, which restores `variables` from HDF5 files by this."""
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
    """Creates the slots of all variables and zeroes those of masked entries.

    Args:
      var_list: all variables that will be trained.
    """
    if self._sparse_kernels is not None:
      return
    var_list = list(var_list)
    self._check_masks([v.constraint for v in var_list if _is_sparse(v)])
    optimizer_slots.build(self._optimizer, var_list)
    found = optimizer_slots.find(self._optimizer, var_list)
    if native_updates.is_plain_adam(self._optimizer) and not any(
      _has_own_constraint(v) or v.dtype != tf.float32 for v in var_list
    ):
      slots = {self._var_key(v): s for v, s in zip(var_list, found)}
      self._slots = self._no_dependency(slots)
    sparse = []
    for variable, slots in zip(var_list, found):
      if _is_sparse(variable):
        slots = [
          s for s in slots if optimizer_slots.may_be_zero(self._optimizer, s)
        ]
        sparse.append(_SparseKernel(variable, slots))
    for kernel in sparse:
      # Adagrad's accumulator starts above 0, for masked entries too.
      for slot in kernel.slots:
        slot.assign(slot * kernel.mask)
    self._sparse_kernels = self._no_dependency(sparse)

  def _check_masks(self, weights):
    """Refuses weights that are not the model's, or not for this updater."""
    if self._model is not None:
      own = layers_lib.sparse_weights(self._model)
      if own and not weights and _is_frozen(self._model):
        return
      if own and not {id(w) for w in own} & {id(w) for w in weights}:
        raise ValueError(
          'Expected gradients of the model that this SparseOptimizer was made '
          f'for, {self._model!r}. Received: those of another one.'
        )
    if not weights:
      raise ValueError(
        f'{_NO_SPARSE_LAYER} With layers that are all frozen, give the model '
        'to SparseOptimizer. Received: none among the variables.'
      )
    if not self._is_checked:
      _check_updater(self.updater, weights)

  @tf.autograph.experimental.do_not_convert
  def apply_gradients(
    self,
    grads_and_vars,
    name=None,
    skip_gradients_aggregation=False,
    masks_may_change=True,
    **kwargs,
  ):
    """One train step: masks if due, then weights.

    Args:
      grads_and_vars: list of (dense gradient, variable).
      name: see Keras.
      skip_gradients_aggregation: whether the gradients are summed over
        replicas already.
      masks_may_change: whether masks are updated if an update is due. For a
        loop that knows from `updater.is_due` that none is: what is traced
        without has no condition in it, which is faster.
      **kwargs: `experimental_aggregate_gradients`, Keras' older name of it.

    Returns:
      What the inner optimizer returns.
    """
    grads_and_vars = list(grads_and_vars)
    with tf.init_scope():
      self.build([v for _, v in grads_and_vars])
    self._check_known([v for _, v in grads_and_vars])
    grads_and_vars = [(g, v) for g, v in grads_and_vars if g is not None]
    masks_may_change = masks_may_change and self.updates_masks
    parts = self._native_parts(grads_and_vars)
    if parts:
      return self._apply_native(grads_and_vars, parts, masks_may_change)
    aggregate = kwargs.pop('experimental_aggregate_gradients', True)
    if aggregate and not skip_gradients_aggregation:
      # Here, not in the inner optimizer: replicas must grow alike.
      grads_and_vars = self.aggregate_gradients(grads_and_vars)
    gradients = {self._var_key(v): g for g, v in grads_and_vars}
    present = [
      k for k in self._sparse_kernels if self._var_key(k.kernel) in gradients
    ]
    dense = [
      tf.convert_to_tensor(gradients[self._var_key(k.kernel)]) for k in present
    ]
    if masks_may_change and present:
      self._update_masks(present, dense)
    for kernel, gradient in zip(present, dense):
      gradients[self._var_key(kernel.kernel)] = gradient * kernel.mask
    with contextlib.ExitStack() as stack:
      for kernel in present:
        stack.enter_context(kernel.constraint.trusted())
      return self._apply_inner(
        [(gradients[self._var_key(v)], v) for _, v in grads_and_vars], name
      )

  def _native_parts(self, grads_and_vars):
    """{variable key: Parts} of the gradients that native kernels computed.

    None of them if any of the rest is beyond `native_updates`.
    """
    if self._slots is None or tf.distribute.has_strategy():
      return {}
    parts = {
      self._var_key(variable): stacks.parts_of(gradient)
      for gradient, variable in grads_and_vars
      if masked.mask_of(variable) is not None
    }
    return {key: found for key, found in parts.items() if found}

  def _apply_native(self, grads_and_vars, parts, masks_may_change):
    """One train step in which only active entries are touched.

    As `apply_gradients`, but dense gradients of sparse kernels are computed
    only if masks are updated.
    """
    gradients = {self._var_key(v): g for g, v in grads_and_vars}
    kernels = [
      k for k in self._sparse_kernels if self._var_key(k.kernel) in gradients
    ]

    def keep():
      return [self._packed(k, gradients, parts) for k in kernels]

    def update():
      step = tf.cast(self.iterations, tf.int64)
      packed, all_dense = [], []
      for kernel in kernels:
        key = self._var_key(kernel.kernel)
        dense = gradients[key]
        if key in parts:
          dense = tf.add_n([part.dense() for part in parts[key]])
        all_dense.append(dense)
      shares = self._shares(kernels, all_dense, step)
      for kernel, dense, share in zip(kernels, all_dense, shares):
        self._update_mask(
          kernel.kernel,
          kernel.mask,
          dense,
          step,
          *kernel.slots,
          constraint=kernel.constraint,
          share=share,
        )
        packed.append((native_updates.pack(dense, kernel.mask), tf.zeros([])))
      return packed

    if masks_may_change:
      due = self.updater.is_due(tf.cast(self.iterations, tf.int64))
      packed = tf.cond(due, update, keep)
    else:
      packed = keep()
    packed = {self._var_key(k.kernel): p for k, p in zip(kernels, packed)}
    all_updates = []
    for gradient, variable in grads_and_vars:
      key, mask = self._var_key(variable), masked.mask_of(variable)
      entries, decay = packed.get(key, (gradient, 0.0))
      all_updates.append(
        native_updates.Update(variable, self._slots[key], entries, mask, decay)
      )
    return native_updates.adam(self._optimizer, all_updates)

  def _packed(self, kernel, gradients, parts):
    """The gradient of a kernel's active entries, and its decay."""
    key = self._var_key(kernel.kernel)
    if key not in parts:
      return native_updates.pack(gradients[key], kernel.mask), tf.zeros([])
    packed = [p.packed for p in parts[key] if p.packed is not None]
    decays = [p.decay for p in parts[key] if p.decay is not None]
    return (
      tf.add_n(packed),
      tf.add_n(decays) if decays else tf.zeros([]),
    )

  def _check_known(self, variables):
    known = {self._var_key(k.kernel) for k in self._sparse_kernels}
    late = [
      v.name
      for v in variables
      if _is_sparse(v) and self._var_key(v) not in known
    ]
    if late:
      raise ValueError(
        'Expected every sparse kernel at the first update, or build() with all '
        f'variables before it. Received: {late}, unknown until now.'
      )

  def _apply_inner(self, grads_and_vars, name):
    if isinstance(self._optimizer, tf.keras.optimizers.legacy.Optimizer):
      flag = {'experimental_aggregate_gradients': False}
    else:
      flag = {'skip_gradients_aggregation': True}
    return self._optimizer.apply_gradients(grads_and_vars, name=name, **flag)

  def _update_masks(self, kernels, gradients):
    """Updates the masks of all replicas if it is time."""
    train_step = tf.cast(self.iterations, tf.int64)
    due = self.updater.is_due(train_step)

    def update_all(strategy, gradients):
      def update():
        shares = self._shares(kernels, gradients, train_step)
        for kernel, gradient, share in zip(kernels, gradients, shares):
          strategy.extended.update(
            kernel.kernel,
            self._update_mask,
            args=(kernel.mask, gradient, train_step, *kernel.slots),
            kwargs={'constraint': kernel.constraint, 'share': share},
            group=False,
          )
        return tf.constant(True)

      # A cond is allowed here, in the cross-replica context, only.
      return tf.cond(due, update, lambda: tf.constant(False))

    # The same way through replicas that Keras' own optimizers take.
    tf.__internal__.distribute.interim.maybe_merge_call(
      update_all, tf.distribute.get_strategy(), gradients
    )

  def _shares(self, kernels, gradients, train_step):
    """The `shares` of a MaskUpdater, one for each kernel."""
    local = tf.distribute.get_strategy().experimental_local_results
    states = [
      _state(k.constraint, *(local(x)[0] for x in (k.kernel, k.mask, gradient)))
      for k, gradient in zip(kernels, gradients)
    ]
    targets = [k.constraint.target_sparsity for k in kernels]
    shares = self.updater.shares(states, targets, train_step)
    return [None] * len(kernels) if shares is None else shares

  def _update_mask(
    self,
    kernel,
    mask,
    gradient,
    train_step,
    *slots,
    constraint,
    share,
  ):
    """Gives one kernel its new mask; what goes inactive is set to 0."""
    axes, shape = constraint.axes, kernel.shape
    state = _state(constraint, kernel, mask, gradient)._replace(share=share)
    new_mask = self.updater.new_mask(
      state, constraint.target_sparsity, train_step, constraint.seed
    )
    stays = axes.from_matrix(state.mask * new_mask, shape)
    new_mask = axes.from_matrix(new_mask, shape)
    with constraint.trusted():
      for variable in (kernel, *slots):
        variable.assign(variable * tf.cast(stays, kernel.dtype))
      mask.assign(tf.cast(new_mask, mask.dtype))

  def update_step(self, gradient, variable):
    """Not used: the inner optimizer has its own."""
    raise NotImplementedError('SparseOptimizer delegates to its optimizer.')

  def finalize_variable_values(self, var_list):
    """See Keras: writes moving averages into the weights, if there are any."""
    if hasattr(self._optimizer, 'finalize_variable_values'):
      self._optimizer.finalize_variable_values(var_list)

  def get_config(self):
    """Returns the config: the inner optimizer, the updater and the name."""
    # Keras' older form, which it reads in every format: in HDF5 files it does
    # not find what the newer one registers.
    serialize = tf.keras.utils.legacy.serialize_keras_object
    return {
      'optimizer': tf.keras.optimizers.serialize(self._optimizer),
      'updater': serialize(self.updater),
      'name': self.name,
    }

  @classmethod
  def from_config(cls, config, custom_objects=None):
    """Makes an optimizer from what `get_config` returned."""
    config = dict(config)
    updater = tf.keras.utils.deserialize_keras_object(
      config.pop('updater'), custom_objects
    )
    optimizer = tf.keras.optimizers.deserialize(
      config.pop('optimizer'), custom_objects
    )
    return cls(optimizer, updater, **config)


# TF-Agents' SacAgent turns optimizers into those of Keras' legacy generation,
# by the name of their class in lower case. This one stands for both.
tf.keras.utils.get_custom_objects()['sparseoptimizer'] = SparseOptimizer

_NO_SPARSE_LAYER = (
  'Expected a model with at least one SparseLayer of target_sparsity > 0; make '
  'one with sparsify().'
)


def _state(constraint, kernel, mask, gradient):
  """The KernelState of a kernel for an updater."""
  values = (
    tf.cast(tf.convert_to_tensor(x), tf.float32)
    for x in (kernel, mask, gradient)
  )
  return updaters.KernelState(
    *map(constraint.axes.to_matrix, values), constraint.structure
  )


def _is_sparse(variable):
  return isinstance(variable.constraint, masked.MaskConstraint)


def _has_own_constraint(variable):
  """Whether a variable has a constraint other than its mask."""
  if _is_sparse(variable):
    return variable.constraint.inner is not None
  return variable.constraint is not None


def _is_frozen(network):
  """Whether no sparse layer of a network is trainable."""
  return not any(layer.trainable for layer in layers_lib.sparse_layers(network))


def _check_updater(updater, weights):
  """Refuses masks that an updater cannot bring to their targets."""
  name = type(updater).__name__
  if updater.starts_dense is False:
    if all(w.missing_zeros == w.num_zeros_of_target for w in weights):
      raise ValueError(
        f'Expected masks that have their zeros, whose number {name} keeps: '
        "make the model by sparsify() with another method than 'prune', or use "
        'MagnitudePruning. Received: masks of ones, for '
        f'{[w.variable.name for w in weights]}.'
      )
    _tell_of_another_method(updater, weights)
    missed = masked.missed(weights)
    if missed:
      warnings.warn(
        f'{name} keeps the number of zeros. Below target: {missed}.',
        stacklevel=3,
      )
  if updater.starts_dense and not any(w.missing_zeros for w in weights):
    if not any(w.starts_dense for w in weights):
      raise ValueError(
        f"Expected masks of ones, that {name} prunes: sparsify(method='prune')"
        ' makes them. Received: masks that all have their zeros already; '
        'Static, SET and RigL keep their number.'
      )


def _tell_of_another_method(updater, weights):
  """Warns of static masks that would move, and of others that would not."""
  made_for = {w.method for w in weights if w.method and not w.starts_dense}
  moves = updater.is_due(0) is not None
  if made_for and moves != (made_for != {'static'}):
    warnings.warn(
      f'The masks were made for {sorted(made_for)}; {type(updater).__name__} '
      f'{"moves" if moves else "does not move"} them.',
      stacklevel=4,
    )


def _check_arguments(optimizer, updater, model):
  keras_check.refuse_keras_3(optimizer, model)
  kinds = (tf.keras.optimizers.Optimizer, tf.keras.optimizers.legacy.Optimizer)
  if not isinstance(optimizer, kinds):
    raise TypeError(f'Expected a tf.keras optimizer. Received: {optimizer!r}.')
  if isinstance(optimizer, tf.keras.mixed_precision.LossScaleOptimizer):
    raise ValueError(
      'Expected LossScaleOptimizer(SparseOptimizer(...)), the loss scale '
      'outside. Received: a LossScaleOptimizer.'
    )
  if not isinstance(updater, updaters.MaskUpdater):
    raise TypeError(f'Expected a MaskUpdater. Received: {updater!r}.')
  if model is None:
    return
  if not any(x.target_sparsity > 0 for x in layers_lib.sparse_layers(model)):
    raise ValueError(f'{_NO_SPARSE_LAYER} Received: {model!r}.')
