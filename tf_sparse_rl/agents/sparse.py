"""Sparse layers and their optimizers from a Config, for all agents."""

import contextlib
import dataclasses

import tensorflow as tf

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import methods, names, seeds, sparsity
from tf_sparse_rl.agents import own_network
from tf_sparse_rl.native import backend, resting, stacks
from tf_sparse_rl.native import updates as native_updates
from tf_sparse_rl.sparsity import adaptive


def seed_initializers(config):
  """Seeds Keras for the initial weights that are drawn afterwards."""
  tf.keras.utils.set_random_seed(
    seeds.derive(config.seed, seeds.Stream.INITIAL_WEIGHTS)
  )


def make_layers(
  config, env_spec, make, input_shape, target_sparsity, network, index
):
  """Makes the layers of one network with the sparsity of a config.

  They compute in the config's precision. Variables, masks and optimizer slots
  are always float32. float16 is not supported, since it needs loss scaling
  inside TF-Agents' train steps.

  Args:
    config: a Config.
    env_spec: an EnvSpec.
    make: function without arguments that returns plain layers, not built. A
      custom network keeps only the last of them.
    input_shape: of one input of the network; of an image and an action, a list
      of two.
    target_sparsity: fraction of zeros of this network.
    network: its name, a prefix in custom_sparsity.
    index: number of the network in its agent; the seed of its masks depends on
      it.

  Returns:
    List of built layers, without masks if the method is 'dense' or the sparsity
    of the network is 0.
  """
  if config.method != 'dense' or config.is_mlp:
    backend.prepare()
  with _precision(config):
    layers = make()
    if config.has_own_network:
      numbered = f'{network}_{index}' if network == 'critic' else network
      own = own_network.hidden_layers(config, env_spec, numbered, input_shape)
      layers = [*own, layers[-1]]
  spec = _spec(config, target_sparsity, network, index)
  layers = sparsity.sparsify_as(spec, layers, _batch_shape(input_shape))
  if config.is_mlp:
    rest(layers)
  return layers


def rest(layers):
  """Lets sparse layers rest if train steps may be fused; see native.resting.

  Networks are made one after another: without it all are dense at once.

  Args:
    layers: list of built layers.
  """
  if backend.may_be_fused():
    operands = [layer.operand for layer in sparsity.sparse_layers(layers)]
    found = [x for x in operands if stacks.fits(x) and x.mask is not None]
    resting.rest([x.plain.kernel for x in found], [x.mask for x in found])


def _spec(config, target_sparsity, network, index):
  """Makes the SparsitySpec of one network; see `make_layers`."""
  how = {'custom': _custom(config, network)}
  if methods.get(config.method).finds_sparsity:
    # Actors stay dense; in other networks every layer gets a mask.
    target_sparsity = 0.0 if network == 'actor' else adaptive.NO_TARGET
    how['distribution'] = 'uniform'
  return sparsity.SparsitySpec.of(
    config,
    method=config.method if target_sparsity > 0 else 'dense',
    target_sparsity=target_sparsity,
    seed=seeds.derive(config.seed, seeds.Stream.NETWORK, index),
    **how,
  )


@contextlib.contextmanager
def _precision(config):
  """Sets Keras' precision policy within a block."""
  policies = tf.keras.mixed_precision
  before = policies.global_policy()
  policies.set_global_policy(config.precision)
  try:
    yield
  finally:
    policies.set_global_policy(before)


def _batch_shape(input_shape):
  """Adds the batch dimension to the shape of one or several inputs."""
  if isinstance(input_shape[0], (list, tuple)):
    return [[None, *shape] for shape in input_shape]
  return [None, *input_shape]


def _custom(config, network):
  """Returns `{layer: sparsity}` of a network's custom sparsities."""
  custom = {}
  networks = config_lib.AGENTS[config.agent].networks
  for name, value in config.custom_sparsities().items():
    owner, _, layer = name.rpartition('/')
    if owner and owner not in networks:
      raise ValueError(names.unknown('network', owner, networks))
    if owner in ('', network):
      custom[layer] = value
  return custom


def optimizer(config, network, learning_rate, period=1, **options):
  """Makes Adam for a network or a list of them, wrapped if one is sparse.

  Adam gets masked gradients and the further options. `period` is the number of
  train steps per step of the optimizer; mask schedules are divided by it.
  """
  # The legacy generation: TensorFlow has one fused kernel for it.
  adam = tf.keras.optimizers.legacy.Adam(learning_rate, **options)
  if not any(
    layer.target_sparsity > 0 for layer in sparsity.sparse_layers(network)
  ):
    return adam
  updater = sparsity.updaters.make(config.method, _per_step(config, period))
  return sparsity.SparseOptimizer(adam, updater, network)


def _per_step(config, period):
  """A Config whose schedules of masks count every `period`-th train step."""
  scheduled = {
    name: max(low, round(getattr(config, name) / period))
    for name, low in (
      ('mask_update_period', 1),
      ('mask_update_end_train_step', 1),
      ('prune_begin_train_step', 0),
      ('prune_end_train_step', 1),
    )
  }
  return dataclasses.replace(config, **scheduled)


def sparse_optimizers(optimizers):
  """Filters (name of a network, its optimizer) for SparseOptimizers."""
  return {
    name: optimizer
    for name, optimizer in optimizers
    if isinstance(optimizer, sparsity.SparseOptimizer)
  }


def update_target(online, target, tau, masks_may_differ):
  """Updates a target network softly; it stays exactly sparse.

  TF-Agents copies masks at once and averages weights. The target would keep
  dropped connections as ever smaller weights outside its mask, which the
  paper's code never uses. Here they become 0 with the mask.

  Args:
    online: the network that is trained.
    target: its copy.
    tau: weight of the online network in the average.
    masks_may_differ: whether the masks of the two networks may differ.

  Returns:
    An operation.
  """
  pairs = list(zip(online.trainable_variables, target.trainable_variables))
  masks = [sparsity.mask_of(source) for source, _ in pairs]
  is_sparse = any(mask is not None for mask in masks)
  is_native = is_sparse and backend.may_be_native()
  if is_native and not masks_may_differ:
    native_updates.soft_update(
      [(target, source, mask) for (source, target), mask in zip(pairs, masks)],
      tau,
    )
    return tf.group()
  if masks_may_differ:
    _copy_untrained(online, target)
  for (source, target), mask in zip(pairs, masks):
    if not masks_may_differ:
      mask = None
    # Each replica with its own values.
    tf.distribute.get_strategy().extended.update(
      target, _move, args=(source, mask, tau)
    )
    if is_native and mask is not None:
      native_updates.keep_packed(target, mask)
  return tf.group()


def _copy_untrained(online, target):
  """Copies variables that are not trained: masks."""
  # Imported late, since building layers needs no TF-Agents.
  from tf_agents.utils import common

  common.soft_variables_update(
    online.non_trainable_variables, target.non_trainable_variables, tau=1.0
  )


def copy_masks(online, target):
  """Copies masks to a target network, without averaging weights.

  Weights of the target outside the masks become 0.
  """
  update_target(online, target, tau=0.0, masks_may_differ=True)


def _move(target, source, mask, tau):
  """Moves a variable towards another by tau, masked."""
  moved = source if tau == 1 else (1 - tau) * target + tau * source
  return sparsity.assign_exact(target, moved if mask is None else moved * mask)
