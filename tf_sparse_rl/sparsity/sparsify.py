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
  """A copy of a network whose weight matrices are sparse.

  Args:
    model_or_layers: a built Keras model, nested ones included, or a list of
      plain layers that follow one another. It is cloned with its weights and
      left alone; a subclassed model by `get_config` and its attributes. A layer
      may consist of others, if it has `layers` and `copy(layers=...)`.
    method: a name of `methods.METHODS`, or 'module:Class' of a MaskUpdater.
      'prune' and others that prune: masks start as ones; 'dense': a mere copy;
      all others: masks are drawn at random.
    target_sparsity: fraction of zeros of all kernels together, in [0, 1).
    distribution: 'uniform', 'er' or 'erk'.
    seed: of the random masks; int.
    erk_power: exponent of 'erk'.
    custom: `{layer name: sparsity}` of layers that are kept as given. A layer
      in a nested model is named 'model/layer'; one weight of a layer that has
      several 'layer/weight', as in 'lstm/cell/recurrent_kernel'.
    ignore: names of layers, or of models in the model, that stay dense and do
      not count.
    sparsity_aware_init: whether the weights that stay are scaled up to the
      fan-in that is left. Nothing to do for 'prune'.
    block_shape: (inputs, units) of the blocks that are dropped and grown as
      one, as in (4, 1); 'unit' for whole units or channels. Budgets are rounded
      to whole blocks.
    n_of_m: (n, m), as in (2, 4): of each m consecutive inputs of a unit n are
      active. Then target_sparsity is 1 - n / m and the distribution uniform.
    input_shape: with a list of layers that are not built: shape of the input,
      `[None, features]` or `[None, height, width, channels]`.

  Returns:
    A model, or a list of built layers.

  Raises:
    ValueError: for a model that cannot be cloned or is not built, one without
      layers that can be sparse, or with so many weights in other layers that
      it misses the target by more than 0.01, kernels that do not divide into
      blocks, or numbers out of range.
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
  starts_dense = updaters.starts_dense(spec.method)
  clone = cloning.clone(built, _wrapper(spec, built, starts_dense))
  if not starts_dense:
    _draw_masks(clone, spec.seed, spec.sparsity_aware_init)
  return clone


def _wrapper(spec, network, starts_dense):
  """(layer, path) -> its copy, wrapped if it has weights that can be sparse."""
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
    # What a saved model says of its masks must not import the user's module.
    method = 'prune' if starts_dense else None

  def wrap(layer, path):
    copy = cloning.plain_copy(layer, path)
    if path not in weights:
      return copy
    keys = list(weights[path])
    targets = sparsities[keys[0]]
    if len(keys) > 1:
      targets = {key[len(path) + 1 :]: sparsities[key] for key in keys}
    return layers_lib.SparseLayer(
      copy,
      targets,
      layer_seeds[keys[0]],
      spec.block_shape,
      spec.n_of_m,
      method,
    )

  return wrap


def _of_weights(custom, weights):
  """`custom`, in which a layer stands for each of its weights."""
  found = {}
  for name, value in custom.items():
    found |= {key: value for key in weights.get(name, {name: None})}
  return found


def strip(network):
  """The same network with plain layers, zeros baked into their kernels.

  Args:
    network: a Keras model, a list of layers, or a network with `layers` and
      `copy(layers=...)` such as TF-Agents' Sequential.

  Returns:
    An independent copy without any SparseLayer. A warning tells of weights that
    have missed their target by more than 0.01.
  """
  missed = masked.missed(layers_lib.sparse_weights(network))
  if missed:
    warnings.warn(f'Targets of sparsity missed: {missed}.', stacklevel=2)
  if isinstance(network, (tf.keras.Model, list, tuple)):
    return cloning.clone(network, cloning.plain_copy)
  return network.copy(layers=cloning.clone(network.layers, cloning.plain_copy))


def _weights_by_layer(network, spec):
  """{path of a layer: {name of a weight: its shape as a matrix}}."""
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
  """Gives every sparse weight a random mask and the values to match."""
  index = 0
  for layer in layers_lib.sparse_layers(network):
    sparse = {id(weight.variable): weight for weight in layer.sparse_weights}
    for variable, _, _ in layer.pruning_vars:
      if id(variable) in sparse:
        stream = seeds.sequence(seed, seeds.Stream.MASK, index)
        sparse[id(variable)].draw(stream, sparsity_aware_init)
      index += 1
