"""Whole train steps of agents as one native operation.

A step updates weights, moments, targets and counters as the agent's `_train`
does, which remains the definition, and returns the next actions. Between steps
the active entries of kernels and moments stay packed: such a variable has no
tensor until it is read (resting.cc).
"""

import contextlib
import ctypes
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_sparse_rl import aligned
from tf_sparse_rl.native import (
  backend,
  conv,
  conv_sizes,
  library,
  resting,
  stacks,
  updates,
)

_FLOATS = ctypes.POINTER(ctypes.c_float)
_BUFFERS = ('weight', 'mask', 'gradient', 'new_mask')


class _MaskBuffers(ctypes.Structure):
  """The structure of this name in mask_choice.h."""

  _fields_ = [
    *((name, _FLOATS) for name in _BUFFERS),
    ('drop_fraction', ctypes.c_float),
  ]


_BEGIN = ctypes.CFUNCTYPE(
  ctypes.c_bool, ctypes.c_int64, ctypes.POINTER(_MaskBuffers)
)
_CHOOSE = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_int64)


class _MaskChoice(ctypes.Structure):
  """The structure MaskChoice in mask_choice.h."""

  _fields_ = [('begin', _BEGIN), ('choose', _CHOOSE)]


@contextlib.contextmanager
def choosing_masks(drop_fractions, shapes, choose):
  """Masks are chosen in the train step in the block, if its layers are trained.

  Args:
    drop_fractions: `{number of a layer: drop fraction}`, of those to be chosen
      as RigL does.
    shapes: `{number of a layer: shape of its mask}`, of the others.
    choose: function of a number and a list of the weight, its mask and the
      gradient of all of it, float32 arrays, that returns the new mask. They are
      large: it may clear the list.
  """
  arrays, errors = [], []

  def begin(number, buffers):
    arrays.clear()  # Of the layer before.
    if number in drop_fractions:
      buffers.contents.drop_fraction = drop_fractions[number]
      return True
    if number not in shapes:
      return False
    try:
      arrays.extend(aligned.empty(shapes[number]) for _ in range(4))
    except MemoryError as error:
      errors.append(error)
      return False
    for name, array in zip(_BUFFERS, arrays):
      setattr(buffers.contents, name, array.ctypes.data_as(_FLOATS))
    return True

  def choose_into(number):
    try:
      made_by, arrays[:2] = arrays[:3], [None, None]
      arrays[3][...] = choose(number, made_by)
    except BaseException as error:  # Nothing may pass through C++.
      errors.append(error)
      return False
    return True

  choice = _MaskChoice(_BEGIN(begin), _CHOOSE(choose_into))
  library.set_mask_choice(ctypes.byref(choice))
  try:
    yield
  except tf.errors.AbortedError:
    if not errors:
      raise
  finally:
    library.set_mask_choice(None)
  if errors:
    raise errors[0]


class _Input:
  """An input of operations: a tensor in memory that is filled for each call.

  TensorFlow's own conversion runs an operation, as long as a small kernel.
  """

  def __init__(self):
    self._array = np.empty(0, bool)
    self._tensor = None

  def __call__(self, array):
    """A tensor with the entries of an array, until the next call."""
    known = self._array
    if array.shape != known.shape or array.dtype != known.dtype:
      self._array = known = aligned.empty(array.shape, array.dtype)
      self._tensor = _tensor(known)
    known[...] = array
    return self._tensor


def _tensor(array):
  """An array as a tensor, in the same memory if it is aligned."""
  return tf.experimental.dlpack.from_dlpack(aligned.of(array).__dlpack__())


class _Step:
  """Base class of fused train steps."""

  # Whether it updates masks too.
  moves_masks = False

  def __init__(self, step, tags):
    """Wraps a step.

    Args:
      step: handle of the step, a scalar tensor.
      tags: names of its scalars, in order.
    """
    self._step, self._tags = step, tags

  def wake(self):
    """Gives all variables their tensors, for a train step by TensorFlow.

    Its optimizers write to tensors that they do not read first.
    """
    library.load().tf_sparse_rl_wake(self._step)

  def rest(self):
    """Takes the tensors of kernels and moments away, as a train step does."""
    library.load().tf_sparse_rl_rest(self._step)


class TrainStep(_Step):
  """A fused train step of an agent with a replay, and its next actions."""

  def __init__(self, step, tags, dtype, masks):
    """Wraps a step.

    Args:
      step: see `_Step`.
      tags: see `_Step`.
      dtype: of the actions.
      masks: an object with `are_possible`, and `due()`, in whose context the
        step updates the masks that are due.
    """
    super().__init__(step, tags)
    self._dtype, self._masks = dtype, masks
    self.moves_masks = masks.are_possible
    self._rows, self._observations, self._noise = (_Input() for _ in range(3))

  def __call__(self, rows, observations, noise, masks_may_change=False):
    """One train step.

    Args:
      rows: float32 `[batch, row size]`; or of uint8 images a tuple of
        observations, actions, rewards, discounts and next observations.
      observations: `[num_envs, ...]`, float32 or uint8 images.
      noise: float32 `[num_envs, noise_size]`, of the actions.
      masks_may_change: whether masks are updated if that is due.

    Returns:
      (actions, `{tag: float32 scalar}`).

    Raises:
      tf.errors.InvalidArgumentError: if a loss is NaN or infinite.
    """
    due = self._masks.due() if masks_may_change else contextlib.nullcontext()
    images = []
    if isinstance(rows, tuple):
      now, *numbers, following = rows
      # They lie in memory so.
      images = [np.moveaxis(each, -1, 1) for each in (now, following)]
      rows = np.stack(numbers, axis=1).astype(np.float32)
    with due:
      actions, scalars = library.load().tf_sparse_rl_train_step(
        self._step,
        self._rows(rows),
        self._observations(observations),
        self._noise(noise),
        [_tensor(each) for each in images],
        dtype=self._dtype,
      )
    return actions, dict(zip(self._tags, scalars.numpy()))

  def act(self, observations, noise):
    """Actions without a train step; see `__call__`."""
    return library.load().tf_sparse_rl_act(
      self._step,
      self._observations(observations),
      self._noise(noise),
      dtype=self._dtype,
    )


class TrainSteps(_Step):
  """Fused train steps of an agent that learns from rollouts."""

  def __call__(self, rows, batches):
    """Train steps on batches of rows, in turn.

    They end early after a loss that is NaN or infinite, by which nothing was
    updated.

    Args:
      rows: float32 `[env steps, row size]`.
      batches: int64 `[train steps, batch]`, numbers of rows.

    Returns:
      (losses of the train steps, a NumPy array; `{tag: float32 scalar}` of the
      last).
    """
    losses, scalars = library.load().tf_sparse_rl_train_steps(
      self._step, _tensor(rows), _tensor(batches)
    )
    return losses.numpy(), dict(zip(self._tags, scalars.numpy()))


class Adam(NamedTuple):
  """Plain Adam, as a step takes it."""

  handles: list  # of learning rate, both betas and the number of train steps
  epsilon: float
  clip_norm: float  # of all gradients together; 0 if they are not clipped


def adam(optimizer, variables, mask_of, may_clip=False):
  """The Adam of a step, or None if an optimizer is more than plain Adam.

  Args:
    optimizer: a Keras optimizer, built here if it has not been.
    variables: all variables that it trains.
    mask_of: function of a variable to its mask, or None. Slots of variables
      that have one rest.
    may_clip: whether the step can clip the norm of all gradients together.
  """
  if type(
    optimizer
  ) is not tf.keras.optimizers.legacy.Adam or not updates.is_plain_adam(
    optimizer, may_clip
  ):
    return None
  _make_slots(optimizer, variables, mask_of)
  hyper = [optimizer._hyper[n] for n in ('learning_rate', 'beta_1', 'beta_2')]  # pylint: disable=protected-access
  # A schedule is no variable.
  if optimizer._initial_decay or not all(
    isinstance(h, tf.Variable) for h in hyper
  ):
    return None
  return Adam(
    [variable.handle for variable in (*hyper, optimizer.iterations)],
    optimizer.epsilon,
    optimizer.global_clipnorm or 0.0,
  )


def _make_slots(optimizer, variables, mask_of):
  """Makes what `_create_all_weights` makes, in its order.

  Dense slots are large: no more than one of them is there at a time.
  """
  _ = optimizer.iterations
  optimizer._create_hypers()  # pylint: disable=protected-access
  for name in ('m', 'v'):
    for variable in variables:
      slot, mask = optimizer.add_slot(variable, name), mask_of(variable)
      if mask is not None:
        resting.rest([slot], [mask])


def may_be_fused(networks, batch):
  """Whether networks can take part in a fused step, and should.

  Args:
    networks: lists of stacks.Layer, one each: convolutions, if any, then Dense
      layers; None of one that cannot.
    batch: examples of a train step.
  """
  return all(
    layers and all(_fits(layer) for layer in layers) for layers in networks
  ) and backend.are_fused(
    batch, [part for layers in networks for part in _parts(layers)]
  )


def choices_of(layers):
  """The `backend.Choice`s by which it was decided that a network is fused."""
  return [backend.choice(*part) for part in _parts(layers)]


def _parts(layers):
  """(sizes, sparsities) of the Dense layers, and of convolutions, if any."""
  convolutions, dense = divide(layers)
  parts = [(stacks.sizes_of(dense), tuple(layer.sparsity for layer in dense))]
  if convolutions:
    sizes = conv_sizes.sizes_of(convolutions, _image_of(convolutions))
    parts.append((sizes, tuple(layer.sparsity for layer in convolutions)))
  return parts


def divide(layers):
  """(convolutions, Dense layers) among the layers of a network."""
  convolutions = [layer for layer in layers if conv.fits(layer)]
  return convolutions, layers[len(convolutions) :]


def _image_of(convolutions):
  """(height, width, channels) of the input."""
  # A layer keeps the shape that it was built for.
  return convolutions[0].plain.get_build_config()['input_shape'][1:]


def _fits(layer):
  plain = layer.plain
  has_kernels = (
    stacks.fits(layer)
    and stacks.activation_of(layer) is not None
    or conv.fits(layer)
    and conv.is_fused(layer)
  )
  return (
    has_kernels
    and plain.use_bias
    and plain.bias_regularizer is None
    and plain.activity_regularizer is None
    and plain.kernel_constraint is None
    and plain.bias_constraint is None
    and _l2(plain) is not None
  )


def _l2(plain):
  """The factor of a layer's L2, 0 without; None if it is anything else."""
  if plain.kernel_regularizer is None:
    return 0.0
  if type(plain.kernel_regularizer) is tf.keras.regularizers.L2:
    return float(plain.kernel_regularizer.l2)
  return None


def network(layers, slots_of=None, l2=None, end=None, first=0, scale=1.0):
  """A network of a step.

  Args:
    layers: list of stacks.Layer for which `may_be_fused`.
    slots_of: function of a variable to Adam's m and v; None for a target.
    l2: factor of the L2 loss of all kernels; None for those of the layers.
    end: name of an activation of the last layer, which has none itself.
    first: number of the first layer in the step, see `choosing_masks`.
    scale: of images.

  Returns:
    Handle, a scalar tensor.
  """
  convolutions, dense = divide(layers)
  images = {}
  if convolutions:
    sizes = conv_sizes.sizes_of(convolutions, _image_of(convolutions))
    images = {'scale': scale, **conv_sizes.options_of(sizes)}
  activations = [stacks.activation_of(layer) for layer in layers]
  variables = []
  for layer in layers:
    variables += [layer.plain.kernel, layer.plain.bias]
    variables += [] if layer.mask is None else [layer.mask]
    if slots_of:
      variables += slots_of(layer.plain.kernel) + slots_of(layer.plain.bias)
  return library.load().tf_sparse_rl_network(
    [variable.handle for variable in variables],
    sizes=stacks.sizes_of(dense),
    activations=[*activations[:-1], end or activations[-1]],
    l2=[_l2(layer.plain) if l2 is None else l2 for layer in layers],
    has_mask=[layer.mask is not None for layer in layers],
    first_layer=first,
    is_trained=slots_of is not None,
    **images,
  )


def floats(values):
  """Numbers as an operation takes them."""
  return np.asarray(values, np.float32).tolist()
