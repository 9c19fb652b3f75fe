"""From a config to sparse layers and their optimizer, for every agent."""

import contextlib
import dataclasses

import tensorflow as tf

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import methods, names, seeds, sparsity
from tf_sparse_rl.agents import own_network
from tf_sparse_rl.native import backend
from tf_sparse_rl.native import updates as native_updates
from tf_sparse_rl.sparsity import adaptive


def seed_initializers(config):
  """Gives Keras the seed of the initial weights that are drawn from here on."""
  tf.keras.utils.set_random_seed(
    seeds.derive(config.seed, seeds.Stream.INITIAL_WEIGHTS)
  )


def make_layers(
  config, env_spec, make, input_shape, target_sparsity, network, index
):
  """Makes the layers of one network, sparse as the config says.

  They compute at the config's precision; variables, and so masks and slots of
  optimizers, are float32 in all. There is no float16: its losses would have to
  be scaled before TF-Agents takes their gradients.

  Args:
    config: a Config.
    env_spec: an EnvSpec.
    make: function without arguments that returns plain layers, not built. Of
      these a network of the user's own has the last one only.
    input_shape: of one input of the network; of an image and an action, a list
      of two.
    target_sparsity: fraction of zeros of this network.
    network: its name, as custom_sparsity may begin with.
    index: number of the network in its agent, of which its masks' seed is.

  Returns:
    List of built layers; plain ones if the method is 'dense' or the sparsity
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
  return sparsity.sparsify_as(spec, layers, _batch_shape(input_shape))


def _spec(config, target_sparsity, network, index):
  """The SparsitySpec of one network; see `make_layers`."""
  how = {'custom': _custom(config, network)}
  if methods.get(config.method).finds_sparsity:
    # Actors stay dense; in the others every layer gets a mask.
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
  """Layers that are made in the block compute at the config's precision."""
  policies = tf.keras.mixed_precision
  before = policies.global_policy()
  policies.set_global_policy(config.precision)
  try:
    yield
  finally:
    policies.set_global_policy(before)


def _batch_shape(input_shape):
  """The shape of a batch of inputs, or those of batches of several inputs."""
  if isinstance(input_shape[0], (list, tuple)):
    return [[None, *shape] for shape in input_shape]
  return [None, *input_shape]


def _custom(config, network):
  """The sparsities of single layers of a network, by name of the layer."""
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
  """Adam for a network or a list of them, wrapped if one is sparse.

  Adam, with its options, sees masked gradients. `period`: train steps for each
  of its steps, by which schedules of masks are divided.
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
  """Those of (name of a network, its optimizer) that move masks, as a dict."""
  return {
    name: optimizer
    for name, optimizer in optimizers
    if isinstance(optimizer, sparsity.SparseOptimizer)
  }


def update_target(online, target, tau, masks_may_differ):
  """One soft update of a target network, which stays exactly sparse.

  TF-Agents copies masks at once and averages weights. What is dropped online
  would stay in the target for long, as ever smaller weights that its mask does
  not show; the paper's code never uses these. Here they go with their mask.

  Args:
    online: the network that is trained.
    target: its copy.
    tau: share of the online weights that the target takes over.
    masks_may_differ: whether the masks of the two may.

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
    # On each replica with what that one has.
    tf.distribute.get_strategy().extended.update(
      target, _move, args=(source, mask, tau)
    )
    if is_native and mask is not None:
      native_updates.keep_packed(target, mask)
  return tf.group()


def _copy_untrained(online, target):
  """Copies what is not trained: masks."""
  # Late: to build layers needs no TF-Agents.
  from tf_agents.utils import common

  common.soft_variables_update(
    online.non_trainable_variables, target.non_trainable_variables, tau=1.0
  )


def copy_masks(online, target):
  """Gives a target network the masks of the online one; it moves no further.

  Its own weights outside of them become 0.
  """
  update_target(online, target, tau=0.0, masks_may_differ=True)


def _move(target, source, mask, tau):
  """Moves a variable by the share tau of the way to another, masked."""
  moved = source if tau == 1 else (1 - tau) * target + tau * source
  return sparsity.assign_exact(target, moved if mask is None else moved * mask)
