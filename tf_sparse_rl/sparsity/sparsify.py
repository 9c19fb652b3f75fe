"""`sparsify` and `strip`: from a plain network to a sparse one and back."""

import tensorflow as tf

from tf_sparse_rl import methods, seeds
from tf_sparse_rl.sparsity import (
  cloning,
  distributions,
  initializers,
  updaters,
)
from tf_sparse_rl.sparsity import layers as layers_lib
from tf_sparse_rl.sparsity.spec import SparsitySpec


def sparsify(
  model_or_layers,
  method='rigl',
  target_sparsity=0.9,
  distribution='erk',
  seed=0,
  *,
  erk_power=1.0,
  custom=None,
  sparsity_aware_init=True,
  block_shape=None,
  n_of_m=None,
  input_shape=None,
):
  """A copy of a network whose Dense and Conv kernels are sparse.

  Args:
    model_or_layers: a built Keras Sequential or functional model, nested ones
      included, or a list of plain layers that follow one another. It is
      cloned with its weights and left alone. A layer may consist of others,
      if it has `layers` and `copy(layers=...)`.
    method: a name of `methods.METHODS`, or 'module:Class' of a MaskUpdater.
      'static', 'set' or 'rigl': masks are drawn at random; 'prune': they start
      as ones; 'dense': a mere copy.
    target_sparsity: fraction of zeros of all kernels together, in [0, 1).
    distribution: 'uniform', 'er' or 'erk'.
    seed: of the random masks; int.
    erk_power: exponent of 'erk'.
    custom: `{layer name: sparsity}` of layers that are kept as given. A layer
      in a nested model is named 'model/layer'.
    sparsity_aware_init: whether the weights that stay are scaled up to the
      fan-in that is left. Nothing to do for 'prune'.
    block_shape: (inputs, units) of the blocks that are dropped and grown as
      one, as in (4, 1); budgets are rounded to whole blocks.
    n_of_m: (n, m), as in (2, 4): of each m consecutive inputs of a unit n are
      active. Then target_sparsity is 1 - n / m and the distribution uniform.
    input_shape: with a list of layers that are not built: shape of the input,
      `[None, features]` or `[None, height, width, channels]`.

  Returns:
    A model, or a list of built layers.

  Raises:
    ValueError: for a model that cannot be cloned or is not built, one without
      layers that can be sparse, kernels that do not divide into blocks, or
      numbers out of range.
  """
  spec = SparsitySpec(
    *(method, target_sparsity, distribution, seed, erk_power, custom),
    *(sparsity_aware_init, block_shape, n_of_m),
  )
  return sparsify_as(spec, model_or_layers, input_shape)


def sparsify_as(spec, model_or_layers, input_shape=None):
  """As `sparsify`, with its arguments in one record.

  Args:
    spec: a SparsitySpec.
    model_or_layers: see `sparsify`.
    input_shape: see `sparsify`.

  Returns:
    A model, or a list of built layers.

  Raises:
    ValueError: see `sparsify`.
  """
  if methods.get(spec.method).updater is None:
    return cloning.clone(model_or_layers, cloning.plain_copy, input_shape)
  built = model_or_layers
  if not isinstance(built, tf.keras.Model):
    built = cloning.clone(built, cloning.plain_copy, input_shape)
  clone = cloning.clone(built, _wrapper(spec, _kernel_shapes(built)))
  if not updaters.starts_dense(spec.method):
    _draw_masks(clone, spec.seed, spec.sparsity_aware_init)
  return clone


def _wrapper(spec, shapes):
  """(layer, path) -> its copy, wrapped if the path is one of `shapes`."""
  sparsities = distributions.layer_sparsities(
    shapes,
    spec.target_sparsity,
    spec.distribution,
    spec.erk_power,
    spec.custom,
  )
  layer_seeds = {
    path: seeds.derive(spec.seed, seeds.Stream.LAYER, index)
    for index, path in enumerate(sparsities)
  }

  def wrap(layer, path):
    copy = cloning.plain_copy(layer, path)
    if path not in sparsities:
      return copy
    return layers_lib.SparseLayer(
      copy,
      sparsities[path],
      layer_seeds[path],
      spec.block_shape,
      spec.n_of_m,
    )

  return wrap


def strip(network):
  """The same network with plain layers, zeros baked into their kernels.

  Args:
    network: a Keras Sequential or functional model, a list of layers, or a
      network with `layers` and `copy(layers=...)` such as TF-Agents'
      Sequential.

  Returns:
    An independent copy without any SparseLayer.
  """
  if isinstance(network, (tf.keras.Model, list, tuple)):
    return cloning.clone(network, cloning.plain_copy)
  return network.copy(layers=cloning.clone(network.layers, cloning.plain_copy))


def _kernel_shapes(network):
  """{path: kernel shape} of the layers that can be sparse."""
  shapes = {}
  for path, layer in _paths(network):
    if isinstance(layer, layers_lib.SparseLayer):
      raise ValueError(
        f'Expected a plain network. Received: {path!r} is sparse already; '
        'strip() it first.'
      )
    if not layers_lib.can_be_sparse(layer):
      continue
    if path in shapes:
      raise ValueError(f'Expected distinct layer names. Received: {path!r}.')
    if not layer.built:
      raise ValueError(f'Expected built layers. Received: {path!r}.')
    shapes[path] = tuple(layer.kernel.shape)
  return shapes


def _paths(network, prefix=''):
  """Yields (path, layer) of the innermost layers."""
  if isinstance(network, tf.keras.Model):
    cloning.check_model(network)
  for layer in getattr(network, 'layers', network):
    path = prefix + layer.name
    if isinstance(layer, tf.keras.Model):
      yield from _paths(layer, path + '/')
    elif cloning.holds_layers(layer):
      yield from _paths(layer, prefix)
    else:
      yield path, layer


def _draw_masks(network, seed, sparsity_aware_init):
  """Gives every sparse layer a random mask and the weights to match."""
  for index, layer in enumerate(layers_lib.sparse_layers(network)):
    if layer.target_sparsity == 0:
      continue
    shape = tuple(layer.kernel.shape)
    mask = layer.structure.random_mask(
      shape,
      layer.target_sparsity,
      seeds.sequence(seed, seeds.Stream.MASK, index),
    )
    kernel = layer.kernel.numpy()
    if sparsity_aware_init:
      kernel = initializers.rescale_for_fan_in(kernel, mask, layer.unit_axis)
    layer.mask.assign(mask)
    layer.kernel.assign(kernel * mask)
