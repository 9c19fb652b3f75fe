"""From a config to sparse layers and their optimizer, for every agent."""

import tensorflow as tf

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import sparsity


def sparse_layers(config, layers, input_size, sparsity_of_network, seed):
  """Makes the layers of one network sparse, as the config says.

  Args:
    config: a Config.
    layers: list of plain layers, not built.
    input_size: entries of the network's input.
    sparsity_of_network: fraction of zeros of this network.
    seed: of the masks.

  Returns:
    List of built layers; plain ones if the method is 'dense' or the sparsity
    of the network is 0.
  """
  return sparsity.sparsify(
    layers,
    method=config.method if sparsity_of_network > 0 else 'dense',
    target_sparsity=sparsity_of_network,
    distribution=config.distribution,
    seed=seed,
    erk_power=config.erk_power,
    custom=config_lib.custom_sparsities(config),
    sparsity_aware_init=config.sparsity_aware_init,
    input_shape=[None, input_size],
  )


def num_parameters(config, sizes, sparsity_of_network):
  """Active weights and biases of a network of Dense layers.

  Args:
    config: a Config.
    sizes: units of the input and of each layer.
    sparsity_of_network: fraction of zeros of its kernels.

  Returns:
    int.
  """
  shapes = {str(i): s for i, s in enumerate(zip(sizes, sizes[1:]))}
  layers = sparsity.distributions.layer_sparsities(
    shapes, sparsity_of_network, config.distribution, config.erk_power
  )
  return sum(
    (inputs + 1) * units
    - sparsity.distributions.num_zeros((inputs, units), layers[name])
    for name, (inputs, units) in shapes.items()
  )


def optimizer(config, network):
  """Adam for one network, wrapped if the network is sparse.

  Args:
    config: a Config.
    network: what it will train.

  Returns:
    A Keras optimizer.
  """
  # The legacy generation: TensorFlow has one fused kernel for it.
  adam = tf.keras.optimizers.legacy.Adam(config.learning_rate)
  if not any(
    layer.target_sparsity > 0 for layer in sparsity.sparse_layers(network)
  ):
    return adam
  return sparsity.SparseOptimizer(adam, mask_updater(config), network)


def mask_updater(config):
  """The updater of the config's method.

  Args:
    config: a Config with a sparse method.

  Returns:
    A MaskUpdater.
  """
  if config.method == 'static':
    return sparsity.Static()
  if config.method == 'prune':
    return sparsity.MagnitudePruning(
      config.prune_begin_train_step,
      config.prune_end_train_step,
      config.mask_update_period,
    )
  kind = {'set': sparsity.SET, 'rigl': sparsity.RigL}[config.method]
  return kind(
    config.drop_fraction,
    config.mask_update_period,
    config.mask_update_end_train_step,
    seed=config.seed,
  )


def sparse_optimizers(**optimizers):
  """Those optimizers, by name of their network, that move masks."""
  return {
    name: optimizer
    for name, optimizer in optimizers.items()
    if isinstance(optimizer, sparsity.SparseOptimizer)
  }
