"""Weight matrices that `sparsify` leaves dense, and the target they cost."""

import math
import warnings

from tf_sparse_rl import names
from tf_sparse_rl.sparsity import kinds, masked, structures, walk
from tf_sparse_rl.sparsity import spec as spec_lib


def check(network, spec, sparsities, shapes):
  """Rejects a network that cannot meet its target; reports what stays dense.

  Args:
    network: a plain network, built.
    spec: a SparsitySpec.
    sparsities: `{name: sparsity}` of the weights that together meet the
      target, which are those not in `spec.custom`.
    shapes: `{name: shape}` of all weights that can be sparse.

  Raises:
    ValueError: if matrices that cannot be sparse make the network miss the
      target by more than 0.01.
  """
  left = _left_dense(network, spec)
  sparse = sum(math.prod(shapes[name]) for name in sparsities)
  dense = sum(math.prod(variable.shape) for _, variable in left)
  if not sparse and (shapes or not left):
    return
  reached = spec.target_sparsity * sparse / (sparse + dense)
  told = ', '.join(
    f'{tuple(variable.shape)} of {where}' for where, variable in left
  )
  if spec.target_sparsity - reached > masked.TOLERANCE:
    raise ValueError(
      f'Expected a network that reaches sparsity {spec.target_sparsity:g}. '
      f'Received: weights that cannot be sparse, which limit it to '
      f'{reached:.3f}: {told}. Register their layers '
      '(sparsity.register_layer), or leave them dense (ignore=[...] with the '
      'names of their layers, or of weights of a model itself).'
    )
  if left:
    warnings.warn(f'Left dense: {told}.', stacklevel=5)
  _tell_rounding(spec, sparsities, shapes, sparse)


def _left_dense(network, spec):
  """Returns [(where, variable)] of the matrices that cannot be sparse."""
  of_layers = [
    (f'{path}/{type(layer).__name__}', variable)
    for path, layer in walk.leaves(network)
    if not spec.ignores(path) and layer.built
    for variable in kinds.others(layer)
  ]
  of_models = [
    (path, variable)
    for path, variable in walk.own_matrices(network)
    if not spec.ignores(path)
  ]
  return of_layers + of_models


def check_ignored(spec, paths):
  """Rejects names in `ignore` that no layer has.

  Args:
    spec: a SparsitySpec.
    paths: list of the paths of all layers and weights of models.

  Raises:
    ValueError: with the nearest name.
  """
  for name in spec.ignore:
    if not any(spec_lib.is_within(path, name) for path in paths):
      raise ValueError(
        'Expected names of layers in ignore. Received: '
        f'{names.unknown("layer", name, paths)}'
      )


def _tell_rounding(spec, sparsities, shapes, size):
  """Warns if rounding down the zeros of small weights misses the target."""
  structure = structures.make(spec.block_shape, spec.n_of_m)
  zeros = sum(
    structure.num_zeros(shapes[name], value)
    for name, value in sparsities.items()
    if value
  )
  if spec.target_sparsity - zeros / size > masked.TOLERANCE:
    warnings.warn(
      f'Rounded down to whole zeros in each weight, the network has sparsity '
      f'{zeros / size:.3f} instead of {spec.target_sparsity:g}.',
      stacklevel=5,
    )
