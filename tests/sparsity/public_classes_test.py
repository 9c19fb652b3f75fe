"""Every public class goes through its config and back."""

import inspect

import pytest
import tensorflow as tf

from tf_sparse_rl import sparsity

_INSTANCES = {
  'Static': sparsity.Static,
  'SET': lambda: sparsity.SET(0.2, 30, 900, seed=4),
  'RigL': lambda: sparsity.RigL(
    sparsity.schedules.ConstantDropFraction(0.4), 30
  ),
  'MagnitudePruning': lambda: sparsity.MagnitudePruning(10, 50, 20),
  'SRigL': lambda: sparsity.SRigL(0.2, 30, salient_fraction=0.5),
  'SaliencyPruning': lambda: sparsity.SaliencyPruning(10, 50, 20),
  'GlobalMagnitudePruning': lambda: sparsity.GlobalMagnitudePruning(0, 9),
  'StraightThrough': lambda: sparsity.StraightThrough(3, 9),
  'NeuroplasticExpansion': lambda: sparsity.NeuroplasticExpansion(
    0.2, 30, 90, initial_share=0.5
  ),
  'SparseLayer': lambda: sparsity.SparseLayer(
    tf.keras.layers.Conv2D(8, 3, name='inner'), 0.5, 7, n_of_m=(2, 4)
  ),
  'SparseOptimizer': lambda: sparsity.SparseOptimizer(
    tf.keras.optimizers.SGD(0.5, momentum=0.9), sparsity.SET(0.2, 30)
  ),
}
# The base class of the updaters, and records; Keras' callbacks have no config.
_WITHOUT_CONFIG = {'MaskUpdater', 'SparsityCallback', 'SparsitySpec', 'Weight'}


def test_every_public_class_has_a_line():
  classes = {
    name
    for name in sparsity.__all__
    if inspect.isclass(getattr(sparsity, name))
  }
  assert classes == {*_INSTANCES, *_WITHOUT_CONFIG}


@pytest.mark.parametrize(
  'keras', [tf.keras.utils, tf.keras.utils.legacy], ids=['keras_v3', 'older']
)
@pytest.mark.parametrize('name', _INSTANCES)
def test_config_and_back(name, keras):
  made = _INSTANCES[name]()
  again = keras.deserialize_keras_object(keras.serialize_keras_object(made))
  assert type(again) is getattr(sparsity, name)
  assert again is not made
  assert again.get_config() == made.get_config()
  plain = type(made).from_config(made.get_config())
  assert plain.get_config() == made.get_config()
