"""Schedules against the released code and by hand."""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from tf_sparse_rl.sparsity import schedules

_TESTDATA = pathlib.Path(__file__).parents[2] / 'testdata'
_CASES = json.loads((_TESTDATA / 'schedules.json').read_text())


@pytest.mark.parametrize('compiled', [False, True])
@pytest.mark.parametrize('case', [c for c in _CASES if c['kind'] == 'cosine'])
def test_cosine_agrees_with_the_released_code(case, compiled):
  schedule = schedules.CosineDropFraction(case['initial'], case['end_step'])
  function = tf.function(schedule, jit_compile=True) if compiled else schedule
  found = [function(tf.constant(s, tf.int64)) for s in case['steps']]
  np.testing.assert_allclose(found, case['values'], atol=1e-6, rtol=0)


@pytest.mark.parametrize('case', [c for c in _CASES if c['kind'] != 'cosine'])
def test_cubic_agrees_with_the_released_code(case):
  schedule = schedules.CubicSparsity(
    case['initial'],
    case['final'],
    case['begin_step'],
    case['end_step'],
    case['frequency'],
  )
  found = [schedule(s) for s in case['steps']]
  np.testing.assert_allclose(found, case['sparsity'], atol=1e-6, rtol=0)
  assert [bool(schedule.is_due(s)) for s in case['steps']] == case['update']


def test_all_reference_cases_are_there():
  assert [c['kind'] for c in _CASES] == ['cosine'] * 3 + ['polynomial'] * 2


@pytest.mark.parametrize('end', [1, 7, 75000, 2_000_000])
def test_cosine_is_exactly_zero_at_its_end(end):
  schedule = schedules.CosineDropFraction(0.3, end)
  assert float(schedule(0)) == pytest.approx(0.3)
  assert [float(schedule(t)) for t in (end, end + 1, 10 * end)] == [0, 0, 0]


def test_cosine_by_hand():
  schedule = schedules.CosineDropFraction(0.4, 100)
  assert float(schedule(50)) == pytest.approx(0.2, abs=1e-7)
  assert float(schedule(25)) == pytest.approx(0.2 * (1 + 0.5**0.5), abs=1e-6)


def test_constant():
  schedule = schedules.ConstantDropFraction(0.25)
  assert [float(schedule(t)) for t in (0, 10**9)] == [0.25, 0.25]


def test_cubic_by_hand():
  # Halfway, 1 - 0.5 ** 3 of the way is done.
  schedule = schedules.CubicSparsity(0.0, 0.8, 10, 20, 5)
  found = [float(schedule(t)) for t in (0, 10, 15, 20, 30)]
  np.testing.assert_allclose(found, [0, 0, 0.7, 0.8, 0.8], atol=1e-6)
  assert [bool(schedule.is_due(t)) for t in (5, 10, 12, 15, 20, 25)] == [
    False, True, False, True, True, False
  ]  # fmt: skip


def test_is_due_by_hand():
  due = [bool(schedules.is_due(t, 3)) for t in range(7)]
  assert due == [True, False, False, True, False, False, True]
  due = [
    bool(schedules.is_due(t, 2, begin_train_step=1, end_train_step=5))
    for t in range(8)
  ]
  assert due == [False, True, False, True, False, True, False, False]


def test_is_due_beyond_32_bits():
  assert bool(schedules.is_due(tf.constant(2**40, tf.int64), 2**20))
  assert not bool(schedules.is_due(tf.constant(2**40 + 1, tf.int64), 2**20))


@pytest.mark.parametrize(
  'schedule',
  [
    schedules.ConstantDropFraction(0.25),
    schedules.CosineDropFraction(0.25, 40),
  ],
)
def test_keras_serialization(schedule):
  config = tf.keras.utils.serialize_keras_object(schedule)
  json.dumps(config)
  copy = tf.keras.utils.deserialize_keras_object(config)
  assert type(copy) is type(schedule)
  assert float(copy(20)) == float(schedule(20))


@pytest.mark.parametrize(
  ('make', 'message'),
  [
    (lambda: schedules.ConstantDropFraction(1.5), 'Received: value=1.5'),
    (lambda: schedules.CosineDropFraction(-1, 5), 'Received: initial=-1'),
    (lambda: schedules.CosineDropFraction(0.3, 0), 'Received: end_train_st'),
    (lambda: schedules.CubicSparsity(0, 0.9, 5, 5, 1), 'Received: begin_tr'),
    (lambda: schedules.CubicSparsity(0, 0.9, -1, 5, 1), 'Received: begin_tr'),
    (lambda: schedules.CubicSparsity(0, 1.5, 0, 5, 1), 'Received: final=1.5'),
    (lambda: schedules.CubicSparsity(-1, 0.5, 0, 5, 1), 'Received: initial=-1'),
    (lambda: schedules.CubicSparsity(0, 0.9, 0, 5, 0), 'Received: period=0'),
  ],
)
def test_errors_say_what_was_received(make, message):
  with pytest.raises(ValueError, match=message):
    make()
