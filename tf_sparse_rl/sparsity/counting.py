"""Counts parameters, non-zeros and FLOPs; the summary table."""

import dataclasses
import math

import numpy as np
import tensorflow as tf

from tf_sparse_rl import text_table
from tf_sparse_rl.native import resting
from tf_sparse_rl.sparsity import kinds
from tf_sparse_rl.sparsity import layers as layers_lib

_CONVOLUTIONS = (
  tf.keras.layers.Conv1D,
  tf.keras.layers.Conv2D,
  tf.keras.layers.Conv3D,
)
_TRANSPOSED = (
  tf.keras.layers.Conv1DTranspose,
  tf.keras.layers.Conv2DTranspose,
  tf.keras.layers.Conv3DTranspose,
)


@dataclasses.dataclass(frozen=True)
class LayerCount:
  """The counts of a layer, or of one of its several weight matrices."""

  name: str
  shape: tuple  # of the weight matrix, or of the first weight
  size: int  # entries of the weight matrix
  nonzero: int  # active entries of the weight matrix
  other: int  # biases and other vectors; counted with the first matrix
  flops: int  # of one forward pass of one example; 0 if unknown

  @property
  def sparsity(self):
    """Fraction of inactive entries."""
    return 1 - self.nonzero / self.size if self.size else 0.0

  @property
  def parameters(self):
    """Number of active entries and biases, as counted in the paper."""
    return self.nonzero + self.other


def count(network):
  """Counts every weight matrix of a network.

  An entry is active where its mask is 1, even if its value is 0. All entries of
  a matrix without a mask are active, also those of a stripped network.

  Args:
    network: a Keras model, a TF-Agents network or a list of layers.

  Returns:
    List of `LayerCount`, in the order of the network.
  """
  leaves = layers_lib.leaf_layers(network)
  counts = [c for x in leaves if x.weights for c in _count_layer(x)]
  known = {id(variable) for layer in leaves for variable in layer.weights}
  return counts + [
    _count_dense(variable)
    for variable in _matrices(network)
    if id(variable) not in known
  ]


def total(counts):
  """Sums layer counts.

  Args:
    counts: list of `LayerCount`.

  Returns:
    A `LayerCount` named 'total'; its shape is empty.
  """
  return LayerCount(
    'total',
    (),
    *(
      sum(getattr(c, field) for c in counts)
      for field in ('size', 'nonzero', 'other', 'flops')
    ),
  )


def changed_fraction(before, now):
  """Returns the fraction of the active connections that changed.

  Args:
    before: list of masks, as `np.packbits` of each.
    now: list of the same masks later.

  Returns:
    float: connections grown or removed, whichever are more, divided by those
    that were active; 0 if there are no masks.
  """
  if not before:
    return 0.0
  new = sum(_num_ones(n & ~b) for n, b in zip(now, before))
  gone = sum(_num_ones(b & ~n) for n, b in zip(now, before))
  return max(new, gone) / sum(_num_ones(b) for b in before)


def _num_ones(bits):
  return int(np.bitwise_count(bits).sum(dtype=np.int64))


def summary(network):
  """Formats a table of the layers: shape, sparsity, non-zeros, FLOPs.

  Args:
    network: see `count`.

  Returns:
    The table, a string of several lines.
  """
  counts = count(network)
  return text_table.format_table(
    ('layer', 'kernel', 'sparsity', 'non-zeros', 'parameters', 'FLOPs'),
    [
      (
        c.name,
        ' x '.join(str(d) for d in c.shape),
        f'{c.sparsity:.4f}',
        f'{c.nonzero:,}',
        f'{c.parameters:,}',
        f'{c.flops:,}' if c.flops else '-',
      )
      for c in [*counts, total(counts)]
    ],
    left=2,
    total=True,
  )


def _count_layer(layer):
  sparse = isinstance(layer, layers_lib.SparseLayer)
  plain = layer.layer if sparse else layer
  masks = {}
  if sparse:
    masks = {id(w.variable): w.mask for w in layer.sparse_weights}
  found = [(weight.name, weight.variable) for weight in kinds.find(plain)]
  found += [
    (_last_name(variable), variable) for variable in kinds.others(plain)
  ]
  sizes = [math.prod(variable.shape) for _, variable in found]
  other = sum(math.prod(w.shape) for w in plain.weights) - sum(sizes)
  if not found:
    shape = tuple(plain.weights[0].shape)
    return [LayerCount(plain.name, shape, 0, 0, other, 0)]
  counts = []
  for (name, variable), size in zip(found, sizes):
    mask = masks.get(id(variable))
    nonzero = size
    if mask is not None:
      nonzero = int(np.count_nonzero(resting.active(mask)))
    counts.append(
      LayerCount(
        name=plain.name if len(found) == 1 else f'{plain.name}/{name}',
        shape=tuple(variable.shape),
        size=size,
        nonzero=nonzero,
        other=0 if counts else other,
        flops=2 * nonzero * _positions(layer, plain),
      )
    )
  return counts


def _matrices(network):
  """Returns the weight matrices of a network, each once."""
  if not isinstance(network, (list, tuple)):
    return kinds.matrices(network)
  found = {id(v): v for part in network for v in _matrices(part)}
  return list(found.values())


def _count_dense(variable):
  """Counts a weight matrix that belongs to a model or block, not a layer."""
  shape, size = tuple(variable.shape), math.prod(variable.shape)
  return LayerCount(_last_name(variable), shape, size, size, 0, 0)


def _last_name(variable):
  return variable.name.split('/')[-1].split(':')[0]


def _positions(layer, plain):
  """Returns how often a forward pass uses a kernel entry; 0 if unknown."""
  if not isinstance(plain, (tf.keras.layers.Dense, *_CONVOLUTIONS)):
    return 0
  shape = layer.get_build_config()['input_shape']
  # A transposed convolution uses its kernel once per input position, other
  # convolutions once per output position.
  if isinstance(plain, _CONVOLUTIONS) and not isinstance(plain, _TRANSPOSED):
    shape = layer.compute_output_shape(shape)
  first = getattr(plain, 'data_format', 'channels_last') == 'channels_first'
  places = shape[2:] if first else shape[1:-1]
  return math.prod(places) if None not in places else 0
