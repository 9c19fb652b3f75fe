"""Optimizers, updaters and models that do not belong together are told."""

import copy
import warnings

import numpy as np
import pytest
import tensorflow as tf

from tests.sparsity import networks
from tf_sparse_rl import methods, sparsity

_UPDATERS = {
  'static': sparsity.Static,
  'set': sparsity.SET,
  'rigl': sparsity.RigL,
  'prune': lambda: sparsity.MagnitudePruning(0, 10, 5),
  'saliency': lambda: sparsity.SaliencyPruning(0, 10, 5),
  'global_prune': lambda: sparsity.GlobalMagnitudePruning(0, 10, 5),
  'straight_through': lambda: sparsity.StraightThrough(0, 10),
  'srigl': sparsity.SRigL,
  'neuroplastic': lambda: sparsity.NeuroplasticExpansion(0.3, 5, 10),
}


def _model(method='rigl', seed=0, target_sparsity=0.9):
  return sparsity.sparsify(
    networks.dense_network(), method, target_sparsity, seed=seed
  )


def _fit(model, optimizer, epochs=1, **options):
  model.compile(optimizer, 'mse')
  model.fit(*networks.batch(model), epochs=epochs, verbose=0, **options)


@pytest.mark.parametrize(
  'optimizer',
  ['adam', 'sgd', tf.keras.optimizers.legacy.Adam],
  ids=['adam', 'sgd', 'legacy'],
)
def test_a_model_to_be_pruned_needs_a_sparse_optimizer(optimizer):
  model = _model('prune')
  before = networks.kernels(model)
  with pytest.raises(ValueError, match='Expected a SparseOptimizer.*no zeros'):
    _fit(model, optimizer if isinstance(optimizer, str) else optimizer())
  for ours, theirs in zip(networks.kernels(model), before):
    np.testing.assert_array_equal(ours, theirs)


def test_a_pruned_model_may_be_trained_on_by_any_optimizer():
  model = _model('prune')
  updater = _UPDATERS['prune']()
  _fit(model, sparsity.SparseOptimizer('adam', updater, model), 12)
  zeros = [np.sum(mask == 0) for mask in networks.masks(model)]
  _fit(model, 'adam')
  assert [np.sum(kernel == 0) for kernel in networks.kernels(model)] == zeros


def test_every_method_has_a_line():
  rows = methods.METHODS.items()
  assert {n for n, row in rows if row.has_target} == {*_UPDATERS}


@pytest.mark.filterwarnings('ignore:The masks were made for')
@pytest.mark.parametrize('method', ['static', 'srigl', 'prune', 'saliency'])
def test_updaters_take_the_masks_that_they_can_bring_to_the_target(method):
  model = _model(method)
  start_dense = method in ('prune', 'saliency')
  for i, make_updater in enumerate(_UPDATERS.values()):
    updater = make_updater()

    def make(given, updater=updater):
      # At once, or at the first step.
      optimizer = sparsity.SparseOptimizer('adam', updater, given)
      optimizer.build(model.trainable_variables)

    if updater.starts_dense == start_dense:
      make(model if i % 2 else None)
    else:
      expected = 'that have their zeros' if start_dense else 'of ones'
      for given in (model, None):
        with pytest.raises(ValueError, match=f'Expected masks {expected}'):
          make(given)


@pytest.mark.parametrize(
  ('method', 'updater', 'told'),
  [
    ('static', 'rigl', 'RigL updates them'),
    ('static', 'set', 'SET updates them'),
    ('set', 'static', 'Static does not update them'),
    ('set', 'rigl', None),
    ('static', 'static', None),
  ],
)
def test_masks_made_for_another_method_are_told(method, updater, told):
  model = _model(method)
  with warnings.catch_warnings(record=True) as found:
    warnings.simplefilter('always')
    sparsity.SparseOptimizer('adam', _UPDATERS[updater](), model)
  found = [str(w.message) for w in found if 'made for' in str(w.message)]
  assert len(found) == bool(told)
  assert not told or told in found[0]


@pytest.mark.parametrize(
  ('method', 'optimizer', 'times'),
  [
    ('rigl', 'adam', 1),
    ('set', tf.keras.optimizers.legacy.Adam(), 1),
    ('static', 'adam', 0),
    ('rigl', 'sparse', 0),
  ],
)
def test_masks_that_no_optimizer_updates_are_told(method, optimizer, times):
  model = _model(method)
  if optimizer == 'sparse':
    optimizer = sparsity.SparseOptimizer('adam', _UPDATERS[method](), model)
  with warnings.catch_warnings(record=True) as found:
    warnings.simplefilter('default')
    _fit(model, optimizer, epochs=2)
  found = [str(w.message) for w in found if 'only a Sparse' in str(w.message)]
  assert len(found) == times
  assert not times or f"made for '{method}'" in found[0]


def test_masks_between_dense_and_target_are_told():
  model = _model('prune')
  pruning = sparsity.SparseOptimizer('adam', _UPDATERS['prune'](), model)
  _fit(model, pruning, epochs=7)
  with pytest.warns(UserWarning, match='first.* of 0'):
    sparsity.SparseOptimizer('adam', sparsity.RigL(), model)


def test_an_optimizer_of_another_model():
  optimizer = sparsity.SparseOptimizer('adam', sparsity.RigL(), _model())
  for other in (_model(seed=1), networks.dense_network()):
    with pytest.raises(ValueError, match='Received: those of another one'):
      _fit(other, optimizer)


def test_a_pruning_that_would_end_after_training_is_told(tmp_path):
  callback = sparsity.SparsityCallback(tmp_path, lambda text: None)
  model = _model('prune')
  updater = sparsity.MagnitudePruning(0, 10_000)
  optimizer = sparsity.SparseOptimizer('adam', updater, model)
  with pytest.warns(UserWarning) as found:
    _fit(model, optimizer, epochs=5, callbacks=[callback])
  told = [str(w.message) for w in found if 'Targets' in str(w.message)]
  assert len(told) == 2
  assert 'train step 10000, and training ends with train step 4' in told[0]
  assert "missed: 'first/kernel:0' at 0.000 of 0.895" in told[1]
  with pytest.warns(UserWarning, match='missed:.*first'):
    sparsity.strip(model)


@pytest.mark.filterwarnings('error:Targets')
@pytest.mark.parametrize('method', ['rigl', 'prune'])
def test_nothing_is_told_of_a_target_that_is_met(method, tmp_path):
  callback = sparsity.SparsityCallback(tmp_path, lambda text: None)
  model = _model(method)
  optimizer = sparsity.SparseOptimizer('adam', _UPDATERS[method](), model)
  # The last update comes before the eleventh step.
  _fit(model, optimizer, epochs=11, callbacks=[callback])
  sparsity.strip(model)
  assert all(w.missing_zeros == 0 for w in sparsity.sparse_weights(model))


@pytest.mark.parametrize('method', ['static', 'rigl', 'prune'])
def test_frozen_layers_keep_masks_and_zeros(method):
  inner = _model(method)
  inner.trainable = False
  inputs = tf.keras.Input((6,))
  model = tf.keras.Model(inputs, tf.keras.layers.Dense(2)(inner(inputs)))
  before = copy.deepcopy([*networks.masks(inner), *networks.kernels(inner)])
  for optimizer in (
    'adam',
    sparsity.SparseOptimizer('adam', sparsity.RigL(), model),
  ):
    head = model.layers[-1].kernel.numpy()
    _fit(model, optimizer)
    assert np.any(model.layers[-1].kernel.numpy() != head)
    after = [*networks.masks(inner), *networks.kernels(inner)]
    for ours, theirs in zip(after, before):
      np.testing.assert_array_equal(ours, theirs)


def test_half_frozen_models_train_the_other_half():
  model = _model('set', target_sparsity=0.7)
  model.layers[0].trainable = False
  frozen = networks.masks(model)[0], networks.kernels(model)[0]
  before = networks.masks(model)[1]
  updater = networks.updater('set')
  _fit(model, sparsity.SparseOptimizer('adam', updater, model), 3)
  np.testing.assert_array_equal(networks.masks(model)[0], frozen[0])
  np.testing.assert_array_equal(networks.kernels(model)[0], frozen[1])
  assert np.any(networks.masks(model)[1] != before)


@pytest.mark.parametrize('name', ['adam', 'SGD', 'rmsprop', 'adamw'])
def test_optimizers_by_name(name):
  model = _model()
  optimizer = sparsity.SparseOptimizer(name, sparsity.RigL(), model)
  assert optimizer.inner_optimizer.name.lower() == name.lower()
  _fit(model, optimizer)
  assert int(optimizer.iterations) == 1
