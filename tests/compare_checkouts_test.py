"""compare_checkouts.py: what counts as equal, moved, missing."""

import numpy as np

from tests import compare_checkouts
from tf_sparse_rl import flags

_KERNEL = np.array([[1.0, 0.0], [2.0, 3.0]], np.float32)


def _described(here, there, results=()):
  return compare_checkouts.describe(
    compare_checkouts.compare(here, there), list(results)
  )


def test_equal_variables_are_identical():
  here = {'agent/kernel': _KERNEL, 'agent/train_step': np.int64(7)}
  there = {'agent/kernel': _KERNEL.copy(), 'agent/train_step': np.int64(7)}
  assert _described(here, there) == 'identical (2 variables)'


def test_the_largest_difference_of_any_variable_is_told():
  here = {'a': _KERNEL, 'b': _KERNEL, 'c': _KERNEL}
  there = {'a': _KERNEL, 'b': _KERNEL + 0.5, 'c': _KERNEL - [[0.25, 0], [0, 0]]}
  assert compare_checkouts.compare(here, there).differing == {
    'b': 0.5,
    'c': 0.25,
  }
  assert _described(here, there) == (
    '2 of 3 variables differ, by at most 0.5 (b)'
  )


def test_one_last_bit_is_a_difference():
  there = np.nextafter(_KERNEL, np.float32(9))
  assert 'differ' in _described({'a': _KERNEL}, {'a': there})


def test_nan_equals_nan_alone():
  with_nan = np.array([np.nan, 1.0], np.float32)
  without = np.array([0.0, 1.0], np.float32)
  assert 'identical' in _described({'a': with_nan}, {'a': with_nan.copy()})
  assert compare_checkouts.compare(
    {'a': with_nan}, {'a': without}
  ).differing == {'a': np.inf}


def test_counters_differ_by_their_distance():
  here, there = {'train_step': np.int64(7)}, {'train_step': np.int64(9)}
  assert compare_checkouts.compare(here, there).differing == {'train_step': 2.0}


def test_another_shape_is_a_difference():
  assert 'by at most inf' in _described({'a': _KERNEL}, {'a': _KERNEL[:1]})


def test_a_variable_that_moved_is_found_by_the_end_of_its_path():
  here = {
    'agent/critic_1/kernel': _KERNEL,
    'agent/critic_2/kernel': _KERNEL * 2,
  }
  there = {'nets/critic_2/kernel': _KERNEL * 2, 'nets/critic_1/kernel': _KERNEL}
  assert _described(here, there) == 'identical (2 variables)'
  there['nets/critic_1/kernel'] = _KERNEL + 1
  assert compare_checkouts.compare(here, there).differing == {
    'agent/critic_1/kernel': 1.0
  }


def test_moved_to_paths_of_equal_ends_by_the_closest_values():
  here = {'a/x/kernel': _KERNEL, 'a/y/kernel': _KERNEL * 2}
  there = {'b/1/kernel': _KERNEL * 2, 'b/2/kernel': _KERNEL}
  assert _described(here, there) == 'identical (2 variables)'


def test_variables_of_one_side_are_named():
  here = {'kernel': _KERNEL, 'bias': np.zeros(2, np.float32)}
  there = {'kernel': _KERNEL, 'scale': np.zeros(2, np.float32)}
  assert _described(here, there) == 'only here: bias; only there: scale'


def test_results_are_compared_without_their_clocks():
  line = {'env_step': 5, 'return_mean': 1.5, 'wall_seconds': 3.0}
  other = {**line, 'wall_seconds': 4.0}
  compare = compare_checkouts.differing_results
  assert compare([line], [other]) == []
  assert compare([line], [{**other, 'return_mean': 1.25}]) == ['return_mean']
  assert compare([line], [{**other, 'sparsity': 0.9}]) == ['sparsity']
  assert compare([line], []) == ['1 and 0 lines']
  text = _described({'a': _KERNEL}, {'a': _KERNEL}, ['return_mean'])
  assert text == 'results.jsonl differs: return_mean'


def test_every_run_makes_the_train_steps_asked_for():
  for agent in compare_checkouts._AGENTS:
    for method in compare_checkouts._METHODS:
      fields = compare_checkouts.fields(agent, method, 'masked', 200, 0)
      fields['hidden_units'] = (32, 32)
      config = flags.make_config(fields)
      assert config.num_train_steps == 200, (agent, method)
