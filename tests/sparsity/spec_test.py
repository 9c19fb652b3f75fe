"""SparsitySpec: sparsify's arguments as one record."""

import dataclasses
import inspect

import numpy as np
import pytest
import tensorflow as tf

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import sparsity


def test_fields_and_defaults_are_the_arguments_of_sparsify():
  parameters = inspect.signature(sparsity.sparsify).parameters
  arguments = {
    name: parameter.default
    for name, parameter in parameters.items()
    if name not in ('model_or_layers', 'input_shape')
  }
  fields = dataclasses.fields(sparsity.SparsitySpec)
  assert {field.name: field.default for field in fields} == arguments


def test_the_record_and_the_arguments_give_the_same_network():
  settings = {'method': 'set', 'target_sparsity': 0.5, 'distribution': 'er'}
  settings |= {'seed': 3, 'custom': {'b': 0.25}, 'block_shape': (2, 1)}
  layers = [
    tf.keras.layers.Dense(8, name='a'),
    tf.keras.layers.Dense(4, name='b'),
  ]
  masks = []
  for network in (
    sparsity.sparsify(layers, **settings, input_shape=[None, 6]),
    sparsity.sparsify_as(sparsity.SparsitySpec(**settings), layers, [None, 6]),
  ):
    masks.append([layer.mask.numpy() for layer in network])
  np.testing.assert_equal(masks[0], masks[1])
  assert np.mean(masks[0][1] == 0) == 0.25


def test_of_takes_fields_of_the_same_name():
  config = config_lib.make_config(
    {
      'method': 'set',
      'seed': 5,
      'distribution': 'uniform',
      'n_of_m': (2, 4),
      'sparsity': 0.5,
    }
  )
  spec = sparsity.SparsitySpec.of(
    config, method='static', target_sparsity=0.5, custom={}
  )
  assert spec == sparsity.SparsitySpec(
    'static', 0.5, 'uniform', 5, 1.0, {}, True, (), (2, 4)
  )


def test_an_unknown_method_is_refused():
  with pytest.raises(ValueError, match="method 'rigle'. Did you mean 'rigl'"):
    sparsity.SparsitySpec('rigle')
