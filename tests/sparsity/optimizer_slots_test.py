"""Every optimizer that Keras exports, both generations, and its options."""

import inspect

import numpy as np
import pytest
import tensorflow as tf

from tests.sparsity import networks
from tf_sparse_rl import sparsity
from tf_sparse_rl.sparsity import optimizer_slots

_CURRENT, _LEGACY = tf.keras.optimizers, tf.keras.optimizers.legacy


def _exported(module):
  """The optimizer classes of a module, without the base class."""
  found = [getattr(module, name) for name in dir(module)]
  found = [c for c in found if inspect.isclass(c)]
  return {c.__name__: c for c in found if c is not module.Optimizer}


# Slots of a kernel with the default arguments; None: refused.
_CURRENT_SLOTS = {
  'Adadelta': 2,
  'Adafactor': None,
  'Adagrad': 1,
  'Adam': 2,
  'AdamW': 2,
  'Adamax': 2,
  'Ftrl': 2,
  'Lion': 1,
  'Nadam': 2,
  'RMSprop': 1,
  'SGD': 1,  # Kept without momentum too.
}
_LEGACY_SLOTS = {
  'Adadelta': 2,
  'Adagrad': 1,
  'Adam': 2,
  'Adamax': 2,
  'Ftrl': 2,
  'Nadam': 2,
  'RMSprop': 1,
  'SGD': 0,
}

# id: (a function that makes the optimizer, its number of slots)
_OPTIMIZERS = {
  **{
    name: (_exported(_CURRENT)[name], count)
    for name, count in _CURRENT_SLOTS.items()
    if count is not None
  },
  **{
    f'legacy_{name}': (_exported(_LEGACY)[name], count)
    for name, count in _LEGACY_SLOTS.items()
  },
  'momentum': (lambda: _CURRENT.SGD(momentum=0.9), 1),
  'nesterov': (lambda: _CURRENT.SGD(momentum=0.9, nesterov=True), 1),
  'legacy_momentum': (lambda: _LEGACY.SGD(momentum=0.9), 1),
  'legacy_nesterov': (lambda: _LEGACY.SGD(momentum=0.9, nesterov=True), 1),
  'amsgrad': (lambda: _CURRENT.Adam(amsgrad=True), 3),
  'legacy_amsgrad': (lambda: _LEGACY.Adam(amsgrad=True), 3),
  'centered': (lambda: _CURRENT.RMSprop(momentum=0.9, centered=True), 3),
  'legacy_centered': (lambda: _LEGACY.RMSprop(momentum=0.9, centered=True), 3),
  'ema': (
    lambda: _CURRENT.Adam(use_ema=True, ema_overwrite_frequency=3), 3
  ),
  'weight_decay': (lambda: _CURRENT.Adam(weight_decay=0.1), 2),
  'clipnorm': (lambda: _CURRENT.Adam(clipnorm=0.01), 2),
  'global_clipnorm': (lambda: _CURRENT.Adam(global_clipnorm=0.01), 2),
  'legacy_clipnorm': (lambda: _LEGACY.Adam(clipnorm=0.01), 2),
}  # fmt: skip


def test_every_exported_optimizer_has_a_line():
  assert sorted(_exported(_CURRENT)) == sorted(_CURRENT_SLOTS)
  assert sorted(_exported(_LEGACY)) == sorted(_LEGACY_SLOTS)


def _layers():
  return tf.keras.Sequential(
    [
      tf.keras.layers.Dense(8, 'tanh', input_shape=(6,)),
      tf.keras.layers.Dense(3, name='last'),
    ]
  )


@pytest.mark.parametrize('name', _OPTIMIZERS)
def test_finds_all_state_that_is_not_scalar(name):
  make, count = _OPTIMIZERS[name]
  optimizer, variables = make(), _layers().trainable_variables
  optimizer_slots.build(optimizer, variables)
  found = optimizer_slots.find(optimizer, variables)
  assert [len(slots) for slots in found] == [count] * len(variables)
  for slots, variable in zip(found, variables):
    assert all(slot.shape == variable.shape for slot in slots)
  state = optimizer.variables
  state = state() if callable(state) else state
  ids = {id(slot) for slots in found for slot in slots}
  assert ids == {id(v) for v in state if v.shape.rank}


@pytest.mark.parametrize('name', _OPTIMIZERS)
def test_zeros_stay_zero_and_slots_are_reset(name):
  """Twenty steps of SET, ten mask updates; every entry is seen to leave."""
  make, count = _OPTIMIZERS[name]
  model = sparsity.sparsify(
    _layers(), target_sparsity=0.5, custom={'last': 0.0}
  )
  optimizer = sparsity.SparseOptimizer(make(), networks.updater('set'), model)
  step = tf.function(networks.train_step(model, optimizer), autograph=False)
  layer = sparsity.sparse_layers(model)[0]
  changed = 0
  for i in range(20):
    before = layer.mask.numpy()
    step(*networks.batch(model, seed=i))
    mask = layer.mask.numpy()
    changed += np.sum(mask != before)
    assert np.sum(mask) == 24
    assert np.all(layer.kernel.numpy()[mask == 0] == 0)
    slots = networks.slots(optimizer, layer.kernel)
    assert len(slots) == count
    for slot in slots:
      if not _is_divisor_of_ftrl(optimizer, slot):
        assert np.all(slot.numpy()[mask == 0] == 0)
  assert changed > 40
  # What is active has state of its own.
  assert all(np.any(slot.numpy() != 0) for slot in slots)
  values = [v.numpy() for v in (*model.variables, *optimizer.variables)]
  assert all(np.all(np.isfinite(value)) for value in values)


def _is_divisor_of_ftrl(optimizer, slot):
  """Ftrl divides by its accumulator: 0 there would make NaN."""
  is_ftrl = type(optimizer.inner_optimizer).__name__ == 'Ftrl'
  return is_ftrl and 'accumulator' in slot.name


@pytest.mark.parametrize('module', [_CURRENT, _LEGACY])
def test_only_ftrls_accumulator_may_not_be_zero(module):
  exceptions = []
  for name, make in _exported(module).items():
    if name == 'Adafactor':
      continue
    optimizer, variables = make(), _layers().trainable_variables
    optimizer_slots.build(optimizer, variables)
    for slot in optimizer_slots.find(optimizer, variables)[0]:
      if not optimizer_slots.may_be_zero(optimizer, slot):
        exceptions.append((name, 'accumulator' in slot.name))
  assert exceptions == [('Ftrl', True)]


def test_refuses_adafactor():
  model = sparsity.sparsify(_layers())
  optimizer = sparsity.SparseOptimizer(
    _CURRENT.Adafactor(), sparsity.Static(), model
  )
  with pytest.raises(ValueError, match='Received: Adafactor with'):
    networks.train_step(model, optimizer)(*networks.batch(model))


def test_refuses_an_optimizer_that_hides_its_slots():
  class Hidden(_CURRENT.SGD):
    def build(self, var_list):
      super().build(var_list)
      self.slots = {'m': self.add_variable_from_reference(var_list[0], 'm')}

  variables = _layers().trainable_variables
  optimizer = Hidden()
  optimizer_slots.build(optimizer, variables)
  with pytest.raises(ValueError, match='Received: Hidden with'):
    optimizer_slots.find(optimizer, variables)


def test_one_variable_only():
  """Lists of one entry are slots too."""
  variable = tf.Variable(tf.ones((2, 3)))
  optimizer = _CURRENT.Adam()
  optimizer_slots.build(optimizer, [variable])
  assert len(optimizer_slots.find(optimizer, [variable])[0]) == 2
