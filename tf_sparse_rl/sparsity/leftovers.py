"""Weight matrices that `sparsify` leaves dense, and the target they cost."""

import math
import warnings

from tf_sparse_rl.sparsity import cloning, kinds, masked


def check(network, spec, sharing, shapes):
  """Refuses a network that cannot meet its target; tells what stays dense.

  Args:
    network: a plain network, built.
    spec: a SparsitySpec.
    sharing: names of the weights that meet the target among themselves.
    shapes: `{name: shape}` of all weights that can be sparse.

  Raises:
    ValueError: if the matrices that cannot be sparse make the network miss the
      target by more than 0.01.
  """
  left = [
    (variable, f'{path}/{type(layer).__name__}')
    for path, layer in cloning.leaves(network)
    if path not in spec.ignore and layer.built
    for variable in kinds.others(layer)
  ]
  if not left:
    return
  dense = sum(math.prod(variable.shape) for variable, _ in left)
  sparse = sum(math.prod(shapes[name]) for name in sharing)
  reached = spec.target_sparsity * sparse / (sparse + dense)
  told = ', '.join(
    f'{tuple(variable.shape)} of {where}' for variable, where in left
  )
  if spec.target_sparsity - reached > masked.TOLERANCE:
    raise ValueError(
      f'Expected a network that reaches sparsity {spec.target_sparsity:g}. '
      f'Received: weights that cannot be sparse, so that {reached:.3f} is the '
      f'most: {told}. Say which axes of them are inputs and units '
      '(sparsity.register_layer), or that they do not count (ignore=[...] with '
      'the names of their layers).'
    )
  warnings.warn(f'Left dense: {told}.', stacklevel=4)
