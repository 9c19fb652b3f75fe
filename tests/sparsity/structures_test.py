"""Masks of whole blocks and of N of M inputs keep their structure."""

import numpy as np
import pytest
import tensorflow as tf

from tests.sparsity import networks
from tf_sparse_rl import sparsity
from tf_sparse_rl.sparsity import structures

_METHODS = ['static', 'set', 'rigl', 'prune']
_STRUCTURES = {
  '4x1': {'block_shape': (4, 1), 'target_sparsity': 0.7},
  '2x2': {'block_shape': (2, 2), 'target_sparsity': 0.7},
  '1of4': {'n_of_m': (1, 4), 'target_sparsity': 0.75},
  '2of4': {'n_of_m': (2, 4), 'target_sparsity': 0.5},
}


def _network():
  """A convolution, a transposed one and two Dense layers."""
  tf.keras.utils.set_random_seed(1)
  layers = tf.keras.layers
  return tf.keras.Sequential(
    [
      layers.Conv2D(8, 2, activation='relu', input_shape=(4, 4, 4)),
      layers.Conv2DTranspose(4, 2, activation='relu'),
      layers.Flatten(),
      layers.Dense(16, 'relu'),
      layers.Dense(4),
    ]
  )


def _setup(method, structure):
  model = sparsity.sparsify(
    _network(), method, distribution='uniform', **_STRUCTURES[structure]
  )
  optimizer = sparsity.SparseOptimizer(
    tf.keras.optimizers.Adam(0.02), networks.updater(method), model
  )
  return model, optimizer


def _groups(layer, name):
  """Active entries of each block `[blocks, size]`, or group of inputs."""
  mask = layer.mask.numpy()
  if isinstance(layer.layer, tf.keras.layers.Conv2DTranspose):
    mask = mask.swapaxes(-1, -2)
  inputs, units = {'4x1': (4, 1), '2x2': (2, 2)}.get(name, (4, 1))
  tiles = mask.reshape(
    -1, mask.shape[-2] // inputs, inputs, mask.shape[-1] // units, units
  )
  return tiles.swapaxes(2, 3).reshape(-1, inputs * units).sum(-1)


def _expected_zeros(layer, name):
  size = layer.kernel.shape.num_elements()
  return {
    '4x1': int(0.7 * size) // 4 * 4,
    '2x2': int(0.7 * size) // 4 * 4,
    '1of4': size * 3 // 4,
    '2of4': size // 2,
  }[name]


@pytest.mark.parametrize('structure', _STRUCTURES)
@pytest.mark.parametrize('method', _METHODS)
def test_structure_holds_after_every_step(method, structure):
  model, optimizer = _setup(method, structure)
  step = tf.function(networks.train_step(model, optimizer))
  layers = sparsity.sparse_layers(model)
  changed = 0
  for train_step in range(7):
    before = networks.masks(model)
    step(*networks.batch(model, seed=train_step))
    changed += any(
      np.any(old != new) for old, new in zip(before, networks.masks(model))
    )
    for layer, old in zip(layers, before):
      mask, kernel = layer.mask.numpy(), layer.kernel.numpy()
      assert np.all(kernel[mask == 0] == 0)
      for slot in networks.slots(optimizer, layer.kernel):
        assert np.all(slot.numpy()[mask == 0] == 0)
      zeros, budget = np.sum(mask == 0), _expected_zeros(layer, structure)
      counts = set(_groups(layer, structure))
      if 'x' in structure:
        assert counts <= {0, 4}
      elif method == 'prune':
        assert counts <= set(range(int(structure[0]), 5))
      else:
        assert counts == {int(structure[0])}
      if method == 'prune':
        assert np.all(mask <= old) and zeros <= budget
        assert train_step < 5 or zeros == budget
      else:
        assert zeros == budget
  assert changed == {'static': 0, 'set': 4, 'rigl': 4, 'prune': 2}[method]


def test_blocks_go_and_come_by_summed_score():
  # Blocks of two inputs of one unit: | 3 and -1 | 2 and 1.5 | none | none |.
  mask = tf.constant([[1, 1, 1, 1, 0, 0, 0, 0]], tf.float32)
  weight = tf.constant([[3, -1, 2, 1.5, 0, 0, 0, 0]], tf.float32)
  gradient = tf.constant([[0, 0, 0, 0, 9, 0, -5, 5]], tf.float32)
  state = sparsity.updaters.KernelState(
    *(tf.reshape(x, [8, 1]) for x in (weight, mask, gradient)),
    structures.Blocks(2, 1),
  )
  new = sparsity.RigL(0.5, 1).new_mask(state, 0.5, tf.constant(0, tf.int64), 0)
  np.testing.assert_array_equal(new[:, 0], [1, 1, 0, 0, 0, 0, 1, 1])


def test_n_of_m_grows_where_connections_were_dropped():
  # Two of four; the two weakest of all are both in the first group.
  mask = tf.constant([1, 1, 0, 0, 0, 1, 0, 1], tf.float32)
  weight = tf.constant([1, -2, 0, 0, 0, 5, 0, 6], tf.float32)
  gradient = tf.constant([1, 0, 2, 3, 9, 9, 9, 9], tf.float32)
  state = sparsity.updaters.KernelState(
    *(tf.reshape(x, [8, 1]) for x in (weight, mask, gradient)),
    structures.NOfM(2, 4),
  )
  new = sparsity.RigL(0.5, 1).new_mask(state, 0.5, tf.constant(0, tf.int64), 0)
  np.testing.assert_array_equal(new[:, 0], [0, 0, 1, 1, 0, 1, 0, 1])


def test_pruning_to_n_of_m_spares_the_best_of_each_group():
  scores = tf.reshape(tf.range(1.0, 9), [8, 1])
  structure = structures.NOfM(2, 4)
  some = structure.prune(tf.ones([8, 1]), scores, 3)
  np.testing.assert_array_equal(some[:, 0], [0, 0, 1, 1, 0, 1, 1, 1])
  # What is gone stays, whatever it would score.
  rest = structure.prune(some, scores[::-1], 4)
  np.testing.assert_array_equal(rest[:, 0], [0, 0, 1, 1, 0, 1, 1, 0])


@pytest.mark.parametrize(
  'structure',
  [structures.Blocks(4, 2), structures.NOfM(2, 4), structures.Units()],
)
def test_same_masks_eager_in_a_graph_and_compiled(structure):
  rng = np.random.default_rng(0)
  mask = tf.constant(structure.random_mask((3, 16, 8), 0.5, 0))
  scores = [
    tf.constant(rng.normal(size=(3, 16, 8)).astype('f')) for _ in range(2)
  ]

  def update():
    grown = structure.drop_and_grow(mask, *scores, 0.75)
    return grown, structure.prune(tf.ones_like(mask), scores[0], 100)

  expected = update()
  assert np.any(expected[0] != mask)
  for compiled in (False, True):
    for ours, theirs in zip(
      tf.function(update, jit_compile=compiled)(), expected
    ):
      np.testing.assert_array_equal(ours, theirs)


def test_random_blocks_are_as_many_and_as_random_as_asked():
  masks = np.stack(
    [structures.Blocks(4, 1).random_mask((8, 6), 0.4, i) for i in range(500)]
  )
  # floor(0.4 * 48) = 19 zeros make four whole blocks.
  assert set((masks == 0).sum(axis=(1, 2))) == {16}
  np.testing.assert_allclose(masks.mean(axis=0), 8 / 12, atol=0.12)


@pytest.mark.parametrize('method', _METHODS)
def test_whole_units_go_and_come(method):
  model = sparsity.sparsify(
    _network(), method, 0.5, 'uniform', block_shape='unit'
  )
  optimizer = sparsity.SparseOptimizer(
    tf.keras.optimizers.Adam(0.02), networks.updater(method), model
  )
  step = tf.function(networks.train_step(model, optimizer))
  before = networks.masks(model)
  for seed in range(7):
    step(*networks.batch(model, seed=seed))
  assert method == 'static' or any(
    np.any(new != old) for new, old in zip(networks.masks(model), before)
  )
  for layer, mask in zip(sparsity.sparse_layers(model), networks.masks(model)):
    if isinstance(layer.layer, tf.keras.layers.Conv2DTranspose):
      mask = mask.swapaxes(-1, -2)
    units = mask.reshape(-1, mask.shape[-1])
    assert (units == units[0]).all()
    assert units[0].sum() == mask.shape[-1] / 2


def test_structure_is_saved_with_the_layer(tmp_path):
  model, _ = _setup('rigl', '4x1')
  model.save(tmp_path / 'model.keras')
  loaded = tf.keras.models.load_model(tmp_path / 'model.keras')
  for ours, theirs in zip(
    sparsity.sparse_layers(loaded), sparsity.sparse_layers(model)
  ):
    assert ours.block_shape == (4, 1) and ours.n_of_m is None
    assert ours.get_config() == theirs.get_config()
    np.testing.assert_array_equal(ours.mask, theirs.mask)


_DENSE = {'layer': tf.keras.layers.Dense(4), 'target_sparsity': 0.5}


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'block_shape': (4,)}, r'as in \(4, 1\).*Received: block_shape=\(4,\)'),
    ({'block_shape': (0, 1)}, r'Received: block_shape=\(0, 1\)'),
    ({'n_of_m': (4, 4)}, r'Received: n_of_m=\(4, 4\)'),
    ({'n_of_m': (1, 4)}, 'Expected sparsity 0.75, or 0'),
    ({'n_of_m': (2, 4), 'block_shape': (4, 1)}, 'not both'),
  ],
)
def test_errors_say_what_was_received(arguments, message):
  with pytest.raises(ValueError, match=message):
    sparsity.SparseLayer(**_DENSE, **arguments)


def test_a_kernel_that_does_not_divide_is_refused_or_left_dense():
  model = networks.dense_network()  # 6 -> 16 -> 8 -> 3.
  for structure in ({'block_shape': (4, 1)}, {'n_of_m': (2, 4)}):
    options = {'distribution': 'uniform', 'target_sparsity': 0.5, **structure}
    with pytest.raises(ValueError, match=r"'first' of shape \(6, 16\)"):
      sparsity.sparsify(model, **options)
    sparse = sparsity.sparsify(model, custom={'first': 0}, **options)
    counts = [np.mean(mask) for mask in networks.masks(sparse)[-2:]]
    assert counts == [0.5, 0.5]
