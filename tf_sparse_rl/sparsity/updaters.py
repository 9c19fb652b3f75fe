"""Mask updaters: static, SET, RigL and gradual magnitude pruning.

An algorithm is a score: what to drop by and what to grow by. The base class
owns the rest: when, how many, and what becomes of weights and slots.
"""

import inspect
from typing import NamedTuple

import tensorflow as tf

from tf_sparse_rl import methods, modules, names, seeds
from tf_sparse_rl.sparsity import mask_ops, schedules, structures

_serializable = tf.keras.utils.register_keras_serializable('tf_sparse_rl')


class KernelState(NamedTuple):
  """The state of a kernel; float32 tensors `[..., inputs, units]`."""

  weight: tf.Tensor
  mask: tf.Tensor
  gradient: tf.Tensor  # Dense: also where the mask is 0.
  structure: structures.Blocks | structures.NOfM = structures.ANY
  # What `MaskUpdater.shares` gave this layer.
  share: tf.Tensor | None = None


class MaskUpdater:
  """Drops and grows connections on schedule; by itself, a static mask.

  Reference: paper section 2; Evci et al. 2020, algorithm 1.
  """

  drop_fraction = None
  # Whether it takes masks of ones, to prune them, or such as have their zeros,
  # whose number it keeps; None: either, and `sparsify` draws them at random.
  starts_dense = None
  # The train step at which targets are met; None: from the start.
  target_train_step = None

  def is_due(self, train_step):
    """Whether masks change before the update of `train_step`, or never.

    Args:
      train_step: int or int64 tensor, train steps done so far.

    Returns:
      A bool tensor of its shape, or None if masks never change.
    """
    del train_step
    return None

  def get_config(self):
    """Returns the arguments of the constructor."""
    return {}

  @classmethod
  def from_config(cls, config):
    """Makes an updater from what `get_config` returned."""
    return cls(**config)

  def shares(self, kernels, targets, train_step):
    """Facts about all layers together, one for each, before `new_mask`.

    Args:
      kernels: list of `KernelState`, of all sparse layers.
      targets: list of floats, their target sparsities.
      train_step: int64 scalar.

    Returns:
      List of scalar tensors, or None: layers are updated each by itself.
    """
    del kernels, targets, train_step
    return None

  def new_mask(self, kernel, target_sparsity, train_step, seed):
    """The mask of one layer after an update.

    Args:
      kernel: a `KernelState`.
      target_sparsity: the layer's target, a float.
      train_step: int64 scalar.
      seed: int, another one for each layer.

    Returns:
      float32 tensor of 0 and 1.
    """
    raise NotImplementedError


@_serializable
class Static(MaskUpdater):
  """The mask drawn at the start stays."""

  starts_dense = False


@_serializable
class SET(MaskUpdater):
  """Sparse evolutionary training: drops small weights, grows at random.

  Reference: Mocanu et al. 2018.
  """

  starts_dense = False

  def __init__(
    self,
    drop_fraction=0.3,
    mask_update_period=100,
    mask_update_end_train_step=None,
    seed=0,
  ):
    """Keeps the schedule.

    Args:
      drop_fraction: share of the active connections replaced at an update, in
        (0, 1], decayed to 0 along a cosine until the end if there is one; or
        a function of the train step, as in `schedules`.
      mask_update_period: train steps from one update to the next.
      mask_update_end_train_step: the last train step at which masks change;
        None for no end.
      seed: of the random choices of SET.

    Raises:
      ValueError: for numbers out of range.
    """
    end = mask_update_end_train_step
    if mask_update_period < 1:
      raise ValueError(
        'Expected mask_update_period >= 1 train steps. Received: '
        f'mask_update_period={mask_update_period}.'
      )
    self._given_drop_fraction = drop_fraction
    if not callable(drop_fraction):
      drop_fraction = self._decayed(drop_fraction, end)
    self.drop_fraction = drop_fraction
    self.mask_update_period = int(mask_update_period)
    self.mask_update_end_train_step = end
    self.seed = int(seed)

  def get_config(self):
    """Returns the config; a schedule of the drop fraction is serialized."""
    given = self._given_drop_fraction
    if callable(given):
      given = tf.keras.utils.legacy.serialize_keras_object(given)
    return {
      'drop_fraction': given,
      'mask_update_period': self.mask_update_period,
      'mask_update_end_train_step': self.mask_update_end_train_step,
      'seed': self.seed,
    }

  @classmethod
  def from_config(cls, config):
    """Makes an updater from what `get_config` returned."""
    config = dict(config)
    if isinstance(config['drop_fraction'], dict):
      config['drop_fraction'] = tf.keras.utils.deserialize_keras_object(
        config['drop_fraction']
      )
    return cls(**config)

  @staticmethod
  def _decayed(drop_fraction, end_train_step):
    if not 0 < drop_fraction <= 1:
      raise ValueError(
        'Expected drop_fraction in (0, 1]; a mask that never changes is '
        f'Static. Received: drop_fraction={drop_fraction}.'
      )
    if end_train_step is None:
      return schedules.ConstantDropFraction(drop_fraction)
    return schedules.CosineDropFraction(drop_fraction, end_train_step)

  def is_due(self, train_step):
    """Is true at multiples of the period, step 0 included as in the paper."""
    return schedules.is_due(
      train_step,
      self.mask_update_period,
      end_train_step=self.mask_update_end_train_step,
    )

  def drop_scores(self, kernel):
    """Magnitude: the smallest weights are dropped. `[...]` as the kernel."""
    return tf.abs(kernel.weight)

  def grow_scores(self, kernel, train_step, seed):
    """Uniform noise, from the seed, the layer and the train step."""
    own = seeds.derive(self.seed, seeds.Stream.GROWTH, seed)
    # Integers of one algorithm are the same on every device and in XLA, whose
    # random floats are not those of TensorFlow.
    noise = tf.random.stateless_uniform(
      kernel.mask.shape,
      seed=tf.stack([tf.constant(own, tf.int64), train_step]),
      minval=None,
      maxval=None,
      dtype=tf.int32,
      alg='philox',
    )
    return tf.cast(noise, tf.float32)

  def new_mask(self, kernel, target_sparsity, train_step, seed):
    """Drops by `drop_scores`, grows as many by `grow_scores`."""
    del target_sparsity
    return kernel.structure.drop_and_grow(
      kernel.mask,
      self.drop_scores(kernel),
      self.grow_scores(kernel, train_step, seed),
      self.drop_fraction(train_step),
    )


@_serializable
class RigL(SET):
  """SET that grows where the gradient of the loss is largest.

  Reference: Evci et al. 2020.
  """

  def grow_scores(self, kernel, train_step, seed):
    """Magnitude of the dense gradient."""
    del train_step, seed
    return tf.abs(kernel.gradient)


@_serializable
class SRigL(RigL):
  """RigL with a constant fan-in, that removes units of few salient weights.

  Every unit that is left has as many inputs as any other; how many follows from
  the layer's target and the units that are left, rounded down. So the layer has
  at most as many connections as its target says, from the first update on. A
  unit that is removed may return at a later update.

  Reference: Lasby et al. 2023, "Dynamic Sparse Training with Structured
  Sparsity". Their code trims a unit by the order of its mask; this one by
  magnitude.
  """

  def __init__(
    self,
    drop_fraction=0.3,
    mask_update_period=100,
    mask_update_end_train_step=None,
    seed=0,
    salient_fraction=0.3,
  ):
    """Keeps the schedule.

    Args:
      drop_fraction: see `SET`.
      mask_update_period: see `SET`.
      mask_update_end_train_step: see `SET`.
      seed: see `SET`.
      salient_fraction: a unit stays if it has this share of the fan-in in
        salient weights, those that are kept or among the largest gradients; 0
        to keep all units. In [0, 1].

    Raises:
      ValueError: for numbers out of range.
    """
    super().__init__(
      drop_fraction, mask_update_period, mask_update_end_train_step, seed
    )
    if not 0 <= salient_fraction <= 1:
      raise ValueError(
        'Expected salient_fraction in [0, 1]. Received: '
        f'salient_fraction={salient_fraction}.'
      )
    self.salient_fraction = float(salient_fraction)

  def get_config(self):
    """Returns the arguments of the constructor."""
    return {**super().get_config(), 'salient_fraction': self.salient_fraction}

  def new_mask(self, kernel, target_sparsity, train_step, seed):
    """The mask of one layer after an update; see `MaskUpdater`."""
    if kernel.structure.has_pattern:
      raise ValueError(
        'Expected a layer without block_shape and n_of_m: SRigL has a '
        'structure of its own. Received: one with.'
      )
    shape = kernel.mask.shape
    size, units = shape.num_elements(), shape[-1]
    budget = size - kernel.structure.num_zeros(shape, target_sparsity)

    def rows(values):
      return tf.transpose(tf.reshape(values, [-1, units]))

    weights = rows(self.drop_scores(kernel))
    gradients = rows(self.grow_scores(kernel, train_step, seed))
    kept = mask_ops.kept(
      rows(kernel.mask), weights, self.drop_fraction(train_step)
    )
    active = tf.reduce_sum(tf.cast(kernel.mask, tf.int32))
    dropped = active - tf.reduce_sum(tf.cast(kept, tf.int32))
    salient = kept | mask_ops.top_k_mask(gradients, dropped)
    stays = self._units_that_stay(salient, budget)
    num_units = tf.reduce_sum(tf.cast(stays, tf.int32))
    fan_in = tf.minimum(budget // num_units, size // units)
    kept = mask_ops.top_of_group(weights, fan_in, kept & stays[:, tf.newaxis])
    room = fan_in - tf.reduce_sum(tf.cast(kept, tf.int32), -1, keepdims=True)
    grown = mask_ops.top_of_group(gradients, room, ~kept & stays[:, tf.newaxis])
    new_mask = tf.cast(kept | grown, tf.float32)
    return tf.reshape(tf.transpose(new_mask), shape)

  def _units_that_stay(self, salient, budget):
    """bool `[units]`: those with enough salient weights."""
    units, inputs = salient.shape
    counts = tf.reduce_sum(tf.cast(salient, tf.int32), -1)
    enough = max(1, int(self.salient_fraction * (budget // units)))
    if not self.salient_fraction:
      enough = 0
    number = tf.reduce_sum(tf.cast(counts >= enough, tf.int32))
    # No fewer than can hold all connections, no more than there are of these.
    number = tf.clip_by_value(number, -(-budget // inputs), min(units, budget))
    return mask_ops.top_k_mask(tf.cast(counts, tf.float32), number)


@_serializable
class MagnitudePruning(MaskUpdater):
  """Gradual pruning: drops the smallest weights, along a cubic ramp.

  Each layer has a ramp of its own, to its own target. A pruned weight does
  not come back: its gradient is masked. (In TFMOT one might, on the strength
  of a single optimizer step.)

  Reference: Zhu & Gupta 2017; paper section 2.
  """

  starts_dense = True

  def __init__(
    self,
    prune_begin_train_step,
    prune_end_train_step,
    mask_update_period=100,
  ):
    """Keeps the schedule.

    Args:
      prune_begin_train_step: first train step at which weights are pruned.
      prune_end_train_step: train step at which the target is met.
      mask_update_period: train steps from one update to the next; the window
        should be a multiple of it, or the ramp stops short: an update is then
        made at the end all the same.
    """
    self.prune_begin_train_step = int(prune_begin_train_step)
    self.prune_end_train_step = int(prune_end_train_step)
    self.mask_update_period = int(mask_update_period)
    self._ramp(0.5)  # Checks the numbers.

  def get_config(self):
    """Returns the config."""
    return {
      'prune_begin_train_step': self.prune_begin_train_step,
      'prune_end_train_step': self.prune_end_train_step,
      'mask_update_period': self.mask_update_period,
    }

  @property
  def target_train_step(self):
    """Train step of the last update."""
    return self.prune_end_train_step

  def _ramp(self, target_sparsity):
    return schedules.CubicSparsity(
      0.0,
      target_sparsity,
      self.prune_begin_train_step,
      self.prune_end_train_step,
      self.mask_update_period,
    )

  def is_due(self, train_step):
    """Is true on the ramp of sparsities, and at its end."""
    due = self._ramp(0.5).is_due(train_step)
    return due | (tf.cast(train_step, tf.int64) == self.prune_end_train_step)

  def scores(self, kernel):
    """Magnitude: the smallest weights are pruned. `[...]` as the kernel."""
    return tf.abs(kernel.weight)

  def _num_zeros(self, kernel, target_sparsity, train_step):
    """Zeros of a layer after the update, an int32 scalar."""
    shape = kernel.mask.shape
    budget = kernel.structure.num_zeros(shape, target_sparsity)
    # Rounded as in TFMOT on the way, but never past the layer's budget, which
    # float32 would miss at the end in a layer of many millions.
    ramp = self._ramp(target_sparsity)(train_step)
    ramp = tf.cast(tf.round(ramp * shape.num_elements()), tf.int32)
    return tf.where(
      tf.cast(train_step, tf.int64) < self.prune_end_train_step,
      tf.minimum(ramp, budget),
      budget,
    )

  def new_mask(self, kernel, target_sparsity, train_step, seed):
    """Keeps the weights of the highest scores."""
    del seed
    zeros = kernel.share
    if zeros is None:
      zeros = self._num_zeros(kernel, target_sparsity, train_step)
    return kernel.structure.prune(kernel.mask, self.scores(kernel), zeros)


@_serializable
class SaliencyPruning(MagnitudePruning):
  """Gradual pruning of the weights that change the loss least: `|w * g|`.

  `g` is the gradient of the train step's batch.

  Reference: Molchanov et al. 2017; JaxPruner's SaliencyPruning.
  """

  def scores(self, kernel):
    """First-order change of the loss if the weight were 0."""
    return tf.abs(kernel.weight * kernel.gradient)


@_serializable
class GlobalMagnitudePruning(MagnitudePruning):
  """Gradual magnitude pruning with one threshold for all layers.

  A layer's magnitudes are divided by their norm, so that layers of small
  weights are not pruned away. The zeros of all layers together are those of
  their targets; those of a single layer are what the threshold says.

  Reference: JaxPruner's GlobalMagnitudePruning.
  """

  def scores(self, kernel):
    """Magnitude over the norm of the layer's weights."""
    norm = tf.sqrt(tf.reduce_sum(tf.square(kernel.weight)))
    return tf.abs(kernel.weight) / (norm + 1e-8)

  def shares(self, kernels, targets, train_step):
    """The zeros of each layer."""
    zeros = tf.add_n(
      [
        self._num_zeros(kernel, target, train_step)
        for kernel, target in zip(kernels, targets)
      ]
    )
    return mask_ops.zeros_of_each(
      [kernel.mask for kernel in kernels],
      [self.scores(kernel) for kernel in kernels],
      zeros,
    )


def make(method, settings):
  """Makes the updater of a method.

  Args:
    method: a name of `methods.METHODS` with an updater, or 'module:Class' of a
      subclass of MaskUpdater.
    settings: an object with the fields of its schedule as attributes, such as
      a Config. The constructor of a class of the user's gets those of
      `methods.OWN_SCHEDULE` that it takes, and over these
      `settings.method_arguments`.

  Returns:
    A MaskUpdater.

  Raises:
    ValueError: for a class that is not there or no MaskUpdater, or arguments
      that it does not take or lacks.
    UserCodeError: if code of the user's raises anything but ValueError.
  """
  row = methods.get(method)
  if row.is_own:
    return _make_own(method, settings)
  arguments = {name: getattr(settings, name) for name in row.schedule}
  return globals()[row.updater](**arguments)


def starts_dense(method):
  """Whether the masks of a method start as ones; see `make`."""
  row = methods.get(method)
  return bool((own_class(method) if row.is_own else row).starts_dense)


def own_class(method):
  """Imports a class of the user's; see `make`."""
  kind = modules.load(method, '--method')
  if not (isinstance(kind, type) and issubclass(kind, MaskUpdater)):
    raise ValueError(
      'Expected --method=module:Class with a subclass of '
      f'tf_sparse_rl.sparsity.MaskUpdater. Received: {method}, {kind!r:.100}.'
    )
  return kind


def _make_own(method, settings):
  kind = own_class(method)
  taken, needed = _parameters(kind)
  arguments = {
    name: getattr(settings, name)
    for name in methods.OWN_SCHEDULE
    if name in taken
  }
  given = settings.method_arguments
  for name in given:
    if name not in taken:
      text = names.unknown(f'argument of {method}', name, taken)
      raise ValueError(f'method_kwargs: {text}')
  arguments.update(given)
  missing = [name for name in needed if name not in arguments]
  if missing:
    raise ValueError(
      f'Expected --method_kwargs with {", ".join(missing)}, without which '
      f'{method} cannot be made. Received: method_kwargs={given}.'
    )
  try:
    return kind(**arguments)
  except ValueError:  # Of numbers out of range, as of our own classes.
    raise
  except BaseException as error:  # It is not our code.
    raise modules.user_code_error(f'Making {method} failed', error) from error


def _parameters(kind):
  """Names of the arguments of a class: (all of them, those without default).

  With `**kwargs` in a constructor those of its base class are among them.
  """
  taken, needed = [], []
  for base in kind.__mro__:
    if '__init__' not in vars(base) or base is object:
      continue
    parameters = list(inspect.signature(base.__init__).parameters.values())[1:]
    for p in parameters:
      if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY):
        taken.append(p.name)
        if p.default is p.empty:
          needed.append(p.name)
    if all(p.kind != p.VAR_KEYWORD for p in parameters):
      break
  return taken, needed
