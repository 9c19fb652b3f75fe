"""The callback, beside those of Keras, in every way of fitting."""

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import event_accumulator

from tests.sparsity import networks
from tf_sparse_rl import sparsity


def _compiled(method='rigl', **options):
  model = sparsity.sparsify(
    networks.dense_network(), method, target_sparsity=0.7, **options
  )
  optimizer = sparsity.SparseOptimizer(
    tf.keras.optimizers.Adam(0.02), networks.updater(method), model
  )
  model.compile(optimizer, 'mse')
  return model


def _scalars(path):
  """{tag: [(step, value)]}."""
  events = event_accumulator.EventAccumulator(
    str(path), size_guidance={'tensors': 0}
  ).Reload()
  return {
    tag: [
      (e.step, float(tf.make_ndarray(e.tensor_proto)))
      for e in events.Tensors(tag)
    ]
    for tag in events.Tags()['tensors']
  }


def _assert_sparse(model, num_ones):
  for mask, kernel, ones in zip(
    networks.masks(model), networks.kernels(model), num_ones
  ):
    assert mask.sum() == ones
    assert not kernel[mask == 0].any()


def test_writes_sparsity_non_zeros_and_churn(tmp_path):
  model, printed = _compiled(), []
  callback = sparsity.SparsityCallback(tmp_path / 'logs', printed.append)
  before = networks.masks(model)
  # One step an epoch; masks change at steps 0 and 2.
  model.fit(
    *networks.batch(model), 16, epochs=4, verbose=0, callbacks=[callback]
  )
  scalars = _scalars(tmp_path / 'logs')
  name = model.name
  assert set(scalars) == {
    *(f'Sparsity/{name}/{layer}' for layer in ('first', 'second', 'last')),
    f'Params/{name}/nonzero',
    f'MaskUpdate/{name}/changed_fraction',
  }
  nonzero = sum(mask.sum() for mask in before)
  assert scalars[f'Params/{name}/nonzero'] == [(i, nonzero) for i in range(4)]
  sparse = np.float32(np.mean(before[0] == 0))
  assert scalars[f'Sparsity/{name}/first'][0] == (0, pytest.approx(sparse))
  churn = [v for _, v in scalars[f'MaskUpdate/{name}/changed_fraction']]
  assert [v > 0 for v in churn] == [True, False, True, False]
  assert printed == [sparsity.summary(model)] * 2


@pytest.mark.filterwarnings('ignore:You are saving your model as an HDF5')
def test_beside_the_callbacks_of_keras(tmp_path):
  model = _compiled()
  num_ones = [mask.sum() for mask in networks.masks(model)]
  rates = []
  keras = tf.keras.callbacks
  path = str(tmp_path / 'best.keras')
  history = model.fit(
    *networks.batch(model),
    epochs=12,
    verbose=0,
    callbacks=[
      sparsity.SparsityCallback(tmp_path / 'logs', lambda text: None),
      keras.ModelCheckpoint(path, 'loss', save_best_only=True),
      keras.LearningRateScheduler(lambda epoch: 0.02 if epoch < 3 else 0.0),
      keras.LambdaCallback(
        on_epoch_end=lambda *_: rates.append(
          float(model.optimizer.learning_rate)
        )
      ),
      keras.EarlyStopping('loss', patience=2, restore_best_weights=True),
    ],
  )
  assert rates[:4] == pytest.approx([0.02] * 3 + [0.0])
  assert len(history.epoch) < 12
  assert len(
    _scalars(tmp_path / 'logs')[f'Params/{model.name}/nonzero']
  ) == len(history.epoch)
  _assert_sparse(model, num_ones)
  _assert_sparse(tf.keras.models.load_model(path), num_ones)


def test_mixed_precision(tmp_path):
  tf.keras.mixed_precision.set_global_policy('mixed_float16')
  try:
    model = _compiled()
  finally:
    tf.keras.mixed_precision.set_global_policy('float32')
  assert {layer.compute_dtype for layer in model.layers} == {'float16'}
  num_ones = [mask.sum() for mask in networks.masks(model)]
  before = networks.masks(model)
  callback = sparsity.SparsityCallback(tmp_path, lambda text: None)
  model.fit(*networks.batch(model), epochs=3, verbose=0, callbacks=[callback])
  _assert_sparse(model, num_ones)
  assert any(np.any(m != b) for m, b in zip(networks.masks(model), before))


def test_mirrored_strategy(tmp_path, two_replicas):
  with two_replicas.scope():
    model = _compiled(block_shape=(2, 1), custom={'last': 0})
  num_ones = [mask.sum() for mask in networks.masks(model)]
  before = networks.masks(model)
  callback = sparsity.SparsityCallback(tmp_path, lambda text: None)
  model.fit(*networks.batch(model), epochs=3, verbose=0, callbacks=[callback])
  _assert_sparse(model, num_ones)
  assert any(np.any(m != b) for m, b in zip(networks.masks(model), before))
  for layer in sparsity.sparse_layers(model):
    for variable in (layer.mask, layer.kernel):
      one, other = two_replicas.experimental_local_results(variable)
      np.testing.assert_array_equal(one, other)
