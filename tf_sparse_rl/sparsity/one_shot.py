"""One-shot masks: by the magnitude of dense weights, SNIP and GraSP."""

import tensorflow as tf

from tf_sparse_rl.sparsity import layers as layers_lib
from tf_sparse_rl.sparsity import mask_ops, walk


def load_dense(network, dense, masks='magnitude'):
  """Loads the weights of a dense network into a sparse one.

  Args:
    network: result of `sparsify`, changed in place.
    dense: a network of the same layers in the same order, without
      SparseLayers, such as the one that was given to `sparsify`.
    masks: 'magnitude': each layer keeps its largest weights, as many as its
      target sparsity allows; weights still to be pruned (method 'prune') are
      all kept. 'keep': masks are not changed.

  Raises:
    ValueError: for networks of different layers, or another value of `masks`.
  """
  if masks not in ('magnitude', 'keep'):
    raise ValueError(
      f"Expected masks='magnitude' or 'keep'. Received: masks={masks!r}."
    )
  pairs = _pairs(network, dense)
  for layer, source in pairs:
    layer.set_weights(source.get_weights())
    for weight in getattr(layer, 'sparse_weights', ()):
      if masks == 'magnitude':
        _mask_by_magnitude(weight, _counterpart(weight, layer, source))


def _pairs(network, dense):
  """Returns the pairs of layers with weights, (layer, dense layer)."""
  pairs = list(zip(walk.leaves(network), walk.leaves(dense)))
  pairs = [(ours, theirs) for (_, ours), (_, theirs) in pairs if ours.weights]
  count = [sum(bool(x.weights) for _, x in walk.leaves(dense))]
  if count != [len(pairs)] or any(
    [w.shape for w in _plain(ours).weights] != [w.shape for w in theirs.weights]
    for ours, theirs in pairs
  ):
    raise ValueError(
      'Expected a dense network of the same layers, whose weights have the '
      f'same shapes. Received: {dense!r}.'
    )
  return pairs


def _plain(layer):
  return layer.layer if isinstance(layer, layers_lib.SparseLayer) else layer


def _counterpart(weight, layer, source):
  """Returns the variable of the dense layer for a sparse weight."""
  found = [
    theirs
    for ours, theirs in zip(layer.layer.weights, source.weights)
    if ours is weight.variable
  ]
  return found[0]


def _mask_by_magnitude(weight, dense):
  if weight.starts_dense:
    weight.mask.assign(tf.ones_like(weight.mask))
    return
  scores = tf.cast(tf.abs(dense), tf.float32)
  scores = weight.axes.to_matrix(tf.convert_to_tensor(scores))
  mask = weight.structure.prune(
    tf.ones_like(scores), scores, weight.num_zeros_of_target
  )
  # The weight, which was assigned before, takes its dense value times the mask.
  weight.mask.assign(
    tf.cast(weight.axes.from_matrix(mask, dense.shape), weight.mask.dtype)
  )


def snip(network, loss):
  """Keeps the weights whose removal would change the loss most.

  One threshold on `|weight * gradient|` for all weights of the network.

  Args:
    network: result of `sparsify(method='prune')`, not trained. Its masks are
      set such that the network meets its target sparsity. Train it with
      `Static`.
    loss: function without arguments that calls the network on a batch and
      returns the loss, a scalar.

  Raises:
    ValueError: for a network whose masks do not start as ones.

  Reference: Lee et al. 2019, "SNIP: Single-shot Network Pruning".
  """
  weights = _dense_weights(network)
  variables = [weight.variable for weight in weights]
  with tf.GradientTape() as tape:
    value = loss()
  gradients = _dense_gradients(tape, value, variables)
  _keep_best(weights, [tf.abs(w * g) for w, g in zip(variables, gradients)])


def grasp(network, loss):
  """Keeps the weights that matter most for gradient flow.

  One threshold for all weights of the network: those with the largest
  `-weight * (H g)` are removed, which reduces the gradient norm least.

  Args:
    network: see `snip`.
    loss: see `snip`. For a classifier, divide the logits by a temperature of
      200, as in the paper's code.

  Raises:
    ValueError: see `snip`.

  Reference: Wang et al. 2020, "Picking Winning Tickets Before Training by
  Preserving Gradient Flow".
  """
  weights = _dense_weights(network)
  variables = [weight.variable for weight in weights]
  with tf.GradientTape() as outer:
    with tf.GradientTape() as inner:
      value = loss()
    gradients = _dense_gradients(inner, value, variables)
    # Its derivative is H g, because the second factor is a constant.
    product = tf.add_n(
      [tf.reduce_sum(g * tf.stop_gradient(g)) for g in gradients]
    )
  of_product = _dense_gradients(outer, product, variables)
  _keep_best(weights, [w * h for w, h in zip(variables, of_product)])


def _dense_weights(network):
  weights = layers_lib.sparse_weights(network)
  if not weights or any(not w.starts_dense for w in weights):
    raise ValueError(
      "Expected a network made by sparsify(method='prune'), with masks of ones "
      f'to choose from. Received: {network!r}.'
    )
  return weights


def _dense_gradients(tape, value, variables):
  gradients = tape.gradient(
    value, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO
  )
  return [tf.convert_to_tensor(gradient) for gradient in gradients]


def _keep_best(weights, scores):
  """Sets masks by scores with one threshold for all weights."""
  scores = [
    tf.cast(weight.axes.to_matrix(score), tf.float32)
    for weight, score in zip(weights, scores)
  ]
  budget = sum(weight.num_zeros_of_target for weight in weights)
  zeros = mask_ops.zeros_of_each(
    [tf.ones_like(score) for score in scores], scores, budget
  )
  for weight, score, count in zip(weights, scores, zeros):
    mask = weight.structure.prune(tf.ones_like(score), score, count)
    mask = weight.axes.from_matrix(mask, weight.mask.shape)
    weight.mask.assign(tf.cast(mask, weight.mask.dtype))
