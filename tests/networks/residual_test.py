"""Residual: what it computes, and that sparsity reaches inside."""

import copy

import numpy as np
import pytest
import tensorflow as tf

from tf_sparse_rl import sparsity
from tf_sparse_rl.networks import residual
from tf_sparse_rl.sparsity import layers as layers_lib

_L = tf.keras.layers


def _block(name='block'):
  return residual.Residual(
    [_L.Dense(6, 'relu', name=f'{name}_in'), _L.Dense(4, name=f'{name}_out')],
    name=name,
  )


def _sparse(method='static'):
  tf.keras.utils.set_random_seed(0)
  return sparsity.sparsify(
    [_block(), _L.Dense(3, name='last')],
    method,
    0.5,
    'uniform',
    input_shape=[None, 4],
  )


def _call(layers, inputs):
  for layer in layers:
    inputs = layer(inputs)
  return inputs.numpy()


_INPUTS = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)


def test_it_adds_to_its_input():
  block = _block()
  found = block(_INPUTS).numpy()
  first, second = block.layers
  hidden = np.maximum(_INPUTS @ first.kernel.numpy(), 0)
  expected = _INPUTS + hidden @ second.kernel.numpy()
  np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
  assert [w.shape[0] for w in block.trainable_weights] == [4, 6, 6, 4]
  assert block.compute_output_shape([None, 4]) == [None, 4]


def test_config_and_back():
  block = _block()
  again = tf.keras.layers.deserialize(tf.keras.layers.serialize(block))
  assert again is not block
  assert again.get_config() == block.get_config()
  assert [layer.name for layer in again.layers] == ['block_in', 'block_out']


def test_a_copy_holds_the_given_layers():
  block, layers = _block(), [_L.ReLU()]
  twin = block.copy(layers=layers)
  assert type(twin) is residual.Residual
  assert (twin.name, twin.layers) == ('block', layers)
  assert len(block.layers) == 2


@pytest.mark.parametrize('method', ['static', 'prune'])
def test_sparsify_reaches_inside_and_leaves_its_argument_alone(method):
  block = _block()
  layers = sparsity.sparsify(
    [block], method, 0.5, 'uniform', input_shape=[None, 4]
  )
  assert [type(layer) for layer in block.layers] == [_L.Dense] * 2
  inner = sparsity.sparse_layers(layers)
  assert layers[0].layers == inner
  assert [layer.layer.name for layer in inner] == ['block_in', 'block_out']
  ones = [int(layer.mask.numpy().sum()) for layer in inner]
  assert ones == ([12, 12] if method == 'static' else [24, 24])


def test_layers_inside_are_named_as_they_are():
  layers = sparsity.sparsify(
    [_block('a'), _block('b')],
    'static',
    0.5,
    custom={'b_in': 0.0},
    input_shape=[None, 4],
  )
  names = [layer.layer.name for layer in sparsity.sparse_layers(layers)]
  assert names == ['a_in', 'a_out', 'b_in', 'b_out']
  sparsities = [x.target_sparsity for x in sparsity.sparse_layers(layers)]
  assert sparsities[2] == 0 and all(sparsities[:2])
  names = [count.name for count in sparsity.counting.count(layers)]
  assert names == ['a_in', 'a_out', 'b_in', 'b_out']


def test_two_layers_of_one_name_are_refused():
  with pytest.raises(ValueError, match="distinct layer names.*'block_in'"):
    sparsity.sparsify([_block(), _block()], 'static', input_shape=[None, 4])


def test_strip_bakes_the_zeros_in():
  layers = _sparse()
  plain = sparsity.strip(layers)
  assert sparsity.sparse_layers(plain) == []
  zeros = [layer.kernel.numpy() == 0 for layer in plain[0].layers]
  assert [z.sum() for z in zeros] == [12, 12]
  np.testing.assert_array_equal(_call(plain, _INPUTS), _call(layers, _INPUTS))


def test_a_deep_copy_is_independent():
  # TF-Agents copies layers so for its target networks.
  layers = _sparse()
  twins = copy.deepcopy(layers)
  before = _call(layers, _INPUTS)
  np.testing.assert_array_equal(_call(twins, _INPUTS), before)
  for layer in sparsity.sparse_layers(twins):
    layer.mask.assign(tf.zeros_like(layer.mask))
    layer.kernel.assign(tf.zeros_like(layer.kernel))
  np.testing.assert_array_equal(_call(layers, _INPUTS), before)
  assert not np.array_equal(_call(twins, _INPUTS), before)


def test_a_model_with_it_is_sparsified_saved_and_loaded(tmp_path):
  tf.keras.utils.set_random_seed(0)
  inputs = tf.keras.Input([4])
  outputs = _L.Dense(3, name='last')(_block()(inputs))
  model = sparsity.sparsify(
    tf.keras.Model(inputs, outputs), 'static', target_sparsity=0.5
  )
  assert len(sparsity.sparse_layers(model)) == 3
  model.save(tmp_path / 'model.keras')
  again = tf.keras.models.load_model(tmp_path / 'model.keras')
  np.testing.assert_array_equal(again(_INPUTS), model(_INPUTS))
  for ours, theirs in zip(*map(sparsity.sparse_layers, (model, again))):
    np.testing.assert_array_equal(ours.mask, theirs.mask)


def test_a_checkpoint_restores_masks_and_kernels(tmp_path):
  layers, others = _sparse(), _sparse('prune')
  assert not np.array_equal(_call(others, _INPUTS), _call(layers, _INPUTS))
  path = tf.train.Checkpoint(layers=layers).write(str(tmp_path / 'saved'))
  restored = tf.train.Checkpoint(layers=others).read(path)
  restored.assert_consumed()
  np.testing.assert_array_equal(_call(others, _INPUTS), _call(layers, _INPUTS))
  for ours, theirs in zip(*map(sparsity.sparse_layers, (layers, others))):
    np.testing.assert_array_equal(ours.mask, theirs.mask)


def test_rows_are_what_is_called_in_a_row():
  def dense(name, units=4):
    return _L.Dense(units, name=name)

  block = [_L.LayerNormalization(), dense('b'), dense('c')]
  layers = [dense('a'), residual.Residual(block), dense('d'), _L.ReLU()]
  layers = sparsity.sparsify(
    [*layers, dense('e')], 'rigl', 0.5, input_shape=[None, 4]
  )
  rows = layers_lib.rows_of(layers)
  names = [[layer.layer.name for layer in row] for row in rows]
  assert names == [['a'], ['b', 'c'], ['d'], ['e']]
