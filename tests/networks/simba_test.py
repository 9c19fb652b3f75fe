"""SimBa: what it computes, its size, how it begins, and where it is sparse."""

import numpy as np
import pytest
import tensorflow as tf

from tf_sparse_rl import sparsity
from tf_sparse_rl.networks import simba
from tf_sparse_rl.sparsity import layers as layers_lib


def _built(units, num_inputs, num_outputs, **options):
  tf.keras.utils.set_random_seed(0)
  layers = simba.simba_layers(units, num_outputs, **options)
  return sparsity.sparsify(layers, 'dense', input_shape=[None, num_inputs])


def _norm(x, eps=1e-6):
  centered = x - x.mean(1, keepdims=True)
  return centered / np.sqrt((centered**2).mean(1, keepdims=True) + eps)


def test_it_computes_what_the_paper_draws():
  layers = _built((6, 6), 5, 3)
  rng = np.random.default_rng(0)
  for leaf in layers_lib.leaf_layers(layers):
    leaf.set_weights([rng.normal(size=w.shape) for w in leaf.get_weights()])
  inputs = rng.normal(size=(7, 5)).astype(np.float32)
  found = layers_lib.call_in_turn(layers, tf.constant(inputs))

  weights = iter(
    [leaf.get_weights() for leaf in layers_lib.leaf_layers(layers)]
  )

  def linear(x):
    kernel, bias = next(weights)
    return x @ kernel + bias

  def norm(x):
    scale, shift = next(weights)
    return scale * _norm(x) + shift

  x = linear(inputs)
  for _ in range(2):
    x = x + linear(np.maximum(linear(norm(x)), 0))
  np.testing.assert_allclose(found, linear(norm(x)), rtol=1e-4, atol=1e-4)


def test_it_is_as_large_as_the_critic_of_the_paper():
  """Counted from the authors' code, for 67 observations and 21 actions."""
  layers = _built((512, 512), 67 + 21, 1)
  assert sum(np.prod(w.shape) for x in layers for w in x.weights) == 4_248_577


def test_kernels_begin_orthogonal_and_those_of_blocks_as_he_says():
  layers = _built((128,), 40, 12, weight_decay=0.25)
  first, block, _, last = layers
  np.testing.assert_allclose(
    first.kernel @ tf.transpose(first.kernel), np.eye(40), atol=1e-5
  )
  np.testing.assert_allclose(
    tf.transpose(last.kernel) @ last.kernel, np.eye(12), atol=1e-5
  )
  _, expand, project = block.layers
  for layer, shape in ((expand, (128, 512)), (project, (512, 128))):
    assert tuple(layer.kernel.shape) == shape
    expected = np.sqrt(2 / shape[0])
    np.testing.assert_allclose(np.std(layer.kernel), expected, rtol=0.02)
  for layer in (first, expand, project, last):
    expected = 0.25 * np.sum(np.square(layer.kernel))
    np.testing.assert_allclose(layer.losses, [expected], rtol=1e-5)


@pytest.mark.parametrize('target', [0.5, 0.9])
def test_one_random_mask_is_shared_out_by_erk(target):
  layers = sparsity.sparsify(
    simba.simba_layers((32, 32), 1), 'static', target, input_shape=[None, 24]
  )
  shapes, found = {}, {}
  for layer in sparsity.sparse_layers(layers):
    shapes[layer.layer.name] = tuple(layer.kernel.shape)
    found[layer.layer.name] = int(np.sum(layer.mask.numpy() == 0))
    assert not layer.kernel.numpy()[layer.mask.numpy() == 0].any()
  by_erk = sparsity.distributions.layer_sparsities(shapes, target)
  assert found == {
    name: sparsity.distributions.num_zeros(shapes[name], by_erk[name])
    for name in shapes
  }
  assert list(found)[1:3] == ['block_0_expand', 'block_0_project']
