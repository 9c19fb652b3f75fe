"""Checks the arguments of `SparseLayer`."""

import math

import tensorflow as tf

from tf_sparse_rl import methods, names
from tf_sparse_rl.sparsity import kinds, structures


def check_layer(layer):
  """Rejects a layer without weight matrices and one that is built."""
  if type(layer).build is tf.keras.layers.Layer.build and (
    len(list(kinds.parts(layer))) == 1
  ):
    raise ValueError(no_weights(layer))
  if layer.built:
    raise ValueError(
      'Expected a layer that is not built yet; use sparsify(), which '
      f'clones. Received: {layer.name!r}, built.'
    )


def check_method(method):
  """Rejects an unknown method; None is valid."""
  if method is not None and method not in methods.METHODS:
    raise ValueError(names.unknown('method', method, methods.METHODS))


def structure_of(block_shape, n_of_m, sparsities):
  """Checks the structure of masks and converts lists from files to tuples.

  Args:
    block_shape: see `SparseLayer`.
    n_of_m: see `SparseLayer`.
    sparsities: target sparsities of the weights of the layer.

  Returns:
    (block_shape, n_of_m).

  Raises:
    ValueError: for sparsities out of range or inconsistent with the structure.
  """
  if block_shape and not isinstance(block_shape, str):
    block_shape = tuple(block_shape)
  block_shape = block_shape or None
  n_of_m = tuple(n_of_m) if n_of_m else None
  structures.make(block_shape, n_of_m)  # Checks the numbers.
  for value in sparsities:
    if not 0 <= value < 1:
      raise ValueError(
        'Expected target_sparsity in [0, 1). Received: '
        f'target_sparsity={value}.'
      )
    _check_pattern(n_of_m, value)
  return block_shape, n_of_m


def check_names(names, known):
  """Rejects names of weights that the layer does not have."""
  unknown = sorted(set(names) - {None, *known})
  if unknown:
    raise ValueError(
      f'Expected the names of target_sparsity to be among {known}. '
      f'Received: {unknown}.'
    )


def no_weights(layer):
  """Returns the error text for a layer without weight matrices."""
  return (
    'Expected a layer with weight matrices that can be sparse, its own or '
    'those of sublayers; register a layer of your own with '
    f'sparsity.register_layer(). Received: {type(layer).__name__}.'
  )


def _check_pattern(n_of_m, target_sparsity):
  """Rejects a sparsity other than that of the pattern."""
  if n_of_m and target_sparsity:
    given = 1 - n_of_m[0] / n_of_m[1]
    if not math.isclose(target_sparsity, given):
      raise ValueError(
        f'Expected sparsity {given:g}, or 0, with n_of_m={n_of_m}; the '
        "distribution 'uniform' gives all layers the same. Received: "
        f'target_sparsity={target_sparsity}.'
      )
