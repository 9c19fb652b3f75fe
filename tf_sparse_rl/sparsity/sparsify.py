"""`sparsify` and `strip`: from a plain network to a sparse one and back."""

import warnings

import tensorflow as tf

from tf_sparse_rl import methods, seeds
from tf_sparse_rl.sparsity import (
  cloning,
  distributions,
  kinds,
  leftovers,
  masked,
  updaters,
  walk,
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
  ignore=(),
  sparsity_aware_init=True,
  block_shape=None,
  n_of_m=None,
  input_shape=None,
):
  """Returns a copy of a network whose weight matrices are sparse.

  Args:
    model_or_layers: a built Keras model, nested or not, or a list of plain
      layers that are called one after another. It is cloned with its weights
      and not changed; a subclassed model by `get_config` and its attributes. A
      layer may consist of others if it has `layers` and `copy(layers=...)`.
    method: a name of `methods.METHODS`, or 'module:Class' of a MaskUpdater.
      With 'prune' and other methods that prune, masks start as ones; 'dense'
      makes a plain copy; with all others, masks are random.
    target_sparsity: fraction of zeros of all weight matrices, in [0, 1).
    distribution: 'uniform', 'er' or 'erk'.
    seed: int, seed of the random masks.
    erk_power: exponent of 'erk'.
    custom: `{layer name: sparsity}` of layers with a given sparsity. The name
      of a layer in a nested model is 'model/layer'; that of one of several
      weights is 'layer/weight', such as 'lstm/cell/recurrent_kernel'.
    ignore: names of layers, or of nested models, that stay dense and do not
      count towards the target.
    sparsity_aware_init: whether weights are rescaled for the fan-in of the
      mask. Has no effect with methods that prune.
    block_shape: (inputs, units) of blocks that are dropped and grown as a
      whole, such as (4, 1); 'unit' for whole units or channels. The number of
      zeros is rounded down to whole blocks.
    n_of_m: (n, m), such as (2, 4): n of each m consecutive inputs of a unit are
      active. target_sparsity must be 1 - n / m and the distribution uniform.
    input_shape: shape of the input of a list of layers that are not built,
      `[None, features]` or `[None, height, width, channels]`.

  Returns:
    A model, or a list of built layers.

  Raises:
    ValueError: for a model that cannot be cloned, is not built or has no
      weights that can be sparse; for weights that cannot be sparse and make it
      miss the target by more than 0.01; for kernels that do not divide into
      blocks; for numbers out of range.
  """
  spec = SparsitySpec(
    *(method, target_sparsity, distribution, seed, erk_power, custom),
    *(sparsity_aware_init, block_shape, n_of_m, ignore),
  )
  if methods.get(method).finds_sparsity:
    raise ValueError(
      f'Expected a method with a sparsity of its own. Received: {method!r}, '
      'which needs an agent that trains several networks.'
    )
  return sparsify_as(spec, model_or_layers, input_shape)


def sparsify_as(spec, model_or_layers, input_shape=None):
  """Calls `sparsify` with the arguments of a SparsitySpec.

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
  starts_dense = updaters.starts_dense(spec.method)
  clone = cloning.clone(built, _wrapper(spec, built, starts_dense))
  del built  # Its weights are as large as those of the clone.
  if not starts_dense:
    _draw_masks(clone, spec.seed, spec.sparsity_aware_init)
  return clone


def _wrapper(spec, network, starts_dense):
  """Returns the function (layer, path) -> copy, wrapped if it can be sparse."""
  weights = _weights_by_layer(network, spec)
  shapes = {k: shape for keys in weights.values() for k, shape in keys.items()}
  custom = _of_weights(spec.custom or {}, weights)
  if not shapes:
    leftovers.check(network, spec, {}, {})
  sparsities = distributions.layer_sparsities(
    shapes,
    spec.target_sparsity,
    spec.distribution,
    spec.erk_power,
    custom,
  )
  shared = {k: value for k, value in sparsities.items() if k not in custom}
  leftovers.check(network, spec, shared, shapes)
  layer_seeds = {
    key: seeds.derive(spec.seed, seeds.Stream.LAYER, index)
    for index, key in enumerate(sparsities)
  }

  method = spec.method
  if methods.is_own(method):
    # Loading a saved model must not import the user's module.
    method = 'prune' if starts_dense else None

  def wrap(layer, path):
    copy = cloning.plain_copy(layer, path)
    if path not in weights:
      return copy
    keys = list(weights[path])
    targets = sparsities[keys[0]]
    if len(keys) > 1:
      targets = {key[len(path) + 1 :]: sparsities[key] for key in keys}
    sparse = layers_lib.SparseLayer(
      copy,
      targets,
      layer_seeds[keys[0]],
      spec.block_shape,
      spec.n_of_m,
      method,
    )
    sparse.draws_masks = False  # `_draw_masks` does.
    return sparse

  return wrap


def _of_weights(custom, weights):
  """Expands names of layers in `custom` to the names of their weights."""
  found = {}
  for name, value in custom.items():
    found |= {key: value for key in weights.get(name, {name: None})}
  return found


def strip(network):
  """Returns a copy with plain layers whose kernels contain the zeros.

  Args:
    network: a Keras model, a list of layers, or a network with `layers` and
      `copy(layers=...)` such as TF-Agents' Sequential.

  Returns:
    An independent copy without SparseLayers. Warns if the network misses its
    target sparsity by more than 0.01.
  """
  missed = masked.missed(layers_lib.sparse_weights(network))
  if missed:
    warnings.warn(f'Targets of sparsity missed: {missed}.', stacklevel=2)
  if isinstance(network, (tf.keras.Model, list, tuple)):
    return cloning.clone(network, cloning.plain_copy)
  return network.copy(layers=cloning.clone(network.layers, cloning.plain_copy))


def _weights_by_layer(network, spec):
  """Returns {path of a layer: {name of a weight: its matrix shape}}."""
  found = {}
  leaves = walk.leaves(network)
  known = [path for path, _ in (*leaves, *walk.own_matrices(network))]
  leftovers.check_ignored(spec, known)
  for path, layer in leaves:
    if isinstance(layer, layers_lib.SparseLayer):
      raise ValueError(
        f'Expected a plain network. Received: {path!r} is sparse already; '
        'strip() it first.'
      )
    if spec.ignores(path) or not layer.built:
      continue
    weights = kinds.find(layer)
    if not weights:
      continue
    if path in found:
      raise ValueError(f'Expected distinct layer names. Received: {path!r}.')
    one = len(weights) == 1
    found[path] = {
      path if one else f'{path}/{w.name}': w.axes.matrix_shape(w.variable.shape)
      for w in weights
    }
  return found


def _draw_masks(network, seed, sparsity_aware_init):
  """Draws a random mask for every sparse weight and applies it."""
  index = 0
  for layer in layers_lib.sparse_layers(network):
    sparse = {id(weight.variable): weight for weight in layer.sparse_weights}
    for variable, _, _ in layer.pruning_vars:
      if id(variable) in sparse:
        stream = seeds.sequence(seed, seeds.Stream.MASK, index)
        sparse[id(variable)].draw(stream, sparsity_aware_init)
      index += 1
