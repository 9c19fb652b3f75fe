"""Records: what is written is read; what does not fit is named."""

import dataclasses
import json

import hypothesis
import pytest
from hypothesis import strategies as st

from tests import tiny
from tf_sparse_rl import runs
from tf_sparse_rl.runs import records


@pytest.mark.parametrize(
  'returns, expected',
  [
    ([3], 3),
    ([1, 2], 2),
    ([0] * 8 + [9], 9),  # Below ten: the last one.
    ([0] * 9 + [9], 9),
    ([0] * 18 + [9], 9),  # floor(1.9) = 1
    ([0] * 18 + [4, 8], 6),
    ([100] * 46 + [1, 2, 3, 4, 5], 3),  # DQN of the paper: 51 -> 5.
  ],
)
def test_final_return_is_the_mean_of_the_last_tenth(returns, expected):
  assert runs.final_return(returns) == expected


def test_a_record_is_the_same_through_json():
  evaluation = tiny.evaluation(
    7, 0.1 + 0.2, diagnosis={'Rank/actor': float('inf')}, train_step_flops=9
  )
  text = json.dumps(evaluation.to_json())
  assert runs.Evaluation.from_json(json.loads(text)) == evaluation


def test_what_an_older_run_has_not_is_none_and_not_written():
  values = tiny.evaluation().to_json()
  assert 'diagnosis' not in values and 'train_step_flops' not in values
  assert runs.Evaluation.from_json(values).train_step_flops is None


def test_keys_of_a_younger_version_are_left_out():
  values = {**tiny.summary().to_json(), 'carbon': 3}
  assert runs.Summary.from_json(values) == tiny.summary()


def test_a_summary_by_hand():
  evaluations = [
    tiny.evaluation(step, value)
    for step, value in ((0, 1.0), (100, 9.0), (200, 9.0), (300, 4.0))
  ]
  summary = tiny.summary(evaluations, env_steps=300)
  assert (summary.final_return, summary.best_return) == (4.0, 9.0)
  assert (summary.best_env_step, summary.num_evaluations) == (100, 4)
  assert summary.env_steps == 300


@pytest.mark.parametrize(
  'name, value, expected',
  [
    ('env_step', True, 'env_step of type int. Received: True'),
    ('env_step', 1.0, 'env_step of type int. Received: 1.0'),
    ('env_step', 10**400, 'env_step of type int. Received: 1000'),
    ('return_mean', float('nan'), 'return_mean of type float. Received: nan'),
    ('return_mean', '1', "return_mean of type float. Received: '1'"),
    ('returns', [1.0, None], r'returns of type list\[float\]. Received: \[1.0'),
    ('diagnosis', {'a': '1'}, r'diagnosis of type dict\[str, float\] \| None'),
    ('sparsity', None, 'sparsity of type float. Received: None'),
  ],
)
def test_a_value_that_does_not_fit_is_named(name, value, expected):
  values = {**tiny.evaluation().to_json(), name: value}
  with pytest.raises(ValueError, match=expected):
    runs.Evaluation.from_json(values)


_ANY_JSON = st.recursive(
  st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
  lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
  max_leaves=5,
)


@hypothesis.given(
  st.sampled_from([f.name for f in dataclasses.fields(runs.Summary)]), _ANY_JSON
)
def test_whatever_stands_in_a_summary_fits_or_is_refused(name, value):
  values = {**tiny.summary(machine={}).to_json(), name: value}
  try:
    summary = runs.Summary.from_json(values)
  except ValueError as error:
    assert name in str(error)
  else:
    f'{summary.wall_seconds:.0f} {summary.final_return:.1f}'


@pytest.mark.parametrize(
  'lines, env_step',
  [
    ([], None),
    ([b'{"env_step": 3'], None),  # Being written.
    ([b'%(0)s', b''], 0),
    ([b'%(0)s', b'%(200)s', b''], 200),
    ([b'%(0)s', b'%(200)s', b'{"env_step": 99'], 200),
    ([b'{"env_step": 3}', b'%(200)s', b''], 200),
    ([b'{"env_step": 3}', b''], 'line 1, is damaged'),
    ([b'{"env_st', b'%(200)s', b''], 'line 1, is damaged'),
    ([b'%(0)s', b'[]', b'%(200)s', b''], 'line 2, is damaged'),
    ([b'%(0)s', b'{"\xff": 1}', b'%(200)s', b''], 'line 2, is damaged'),
  ],
)
def test_the_last_line(tmp_path, lines, env_step):
  evaluations = {
    str(step).encode(): json.dumps(tiny.evaluation(step).to_json()).encode()
    for step in (0, 200)
  }
  path = tmp_path / 'results.jsonl'
  path.write_bytes(b'\n'.join(lines) % evaluations)
  if isinstance(env_step, str):
    with pytest.raises(records.RunsError, match=env_step):
      records.read_last_line(path, records.Evaluation)
  else:
    last = records.read_last_line(path, records.Evaluation)
    assert (last and last.env_step) == env_step
  missing = tmp_path / 'none.jsonl'
  assert records.read_last_line(missing, records.Evaluation) is None


@pytest.mark.parametrize(
  'values, good',
  [
    ([], True),
    ([1.5, 2.0], True),
    ([1, 2.0], True),
    ([1.5, float('nan')], False),
    ([1.5, True], False),
    ([1.5, '2'], False),
    ([10**400], False),
    ((1.5,), False),
  ],
)
def test_lists_of_numbers(values, good):
  record = {**tiny.evaluation().to_json(), 'returns': values}
  if good:
    assert records.Evaluation.from_json(record).returns == values
  else:
    with pytest.raises(ValueError, match='returns of type list'):
      records.Evaluation.from_json(record)
