"""The file of a search's space: what it may say."""

import json

import pytest

from tf_sparse_rl.sweeps import space


def _read(tmp_path, values):
  path = tmp_path / 'space.json'
  path.write_text(
    values if isinstance(values, str) else json.dumps(values), 'utf-8'
  )
  return space.read(path)


def test_a_space_by_hand(tmp_path):
  found = _read(
    tmp_path,
    {
      'learning_rate': {'low': 1e-5, 'high': 1e-2, 'log': True},
      'hidden_units': {'choices': [[64, 64], [256]]},
      'mask_update_period': {'low': 100, 'high': 1000, 'step': 100},
    },
  )
  rate, units, period = found
  assert (rate.field, rate.low, rate.high, rate.log) == (
    *('learning_rate', 1e-5, 1e-2, True),
  )
  assert rate.ends == [1e-5, 1e-2] and units.ends == [[64, 64], [256]]
  assert period.step == 100 and not period.log


@pytest.mark.parametrize(
  'values, message',
  [
    ('{', 'Cannot read --space='),
    ('[]', 'Expected an object of fields'),
    ({'lerning_rate': {'choices': [1]}}, 'learning_rate'),
    ({'gamma': 0.9}, 'Expected choices, or low and high. Received: gamma: 0.9'),
    ({'gamma': {'choices': []}}, 'a list of choices'),
    ({'gamma': {'low': 0.1}}, 'choices, or low and high'),
    ({'gamma': {'low': 0.1, 'high': 0.9, 'lgo': True}}, 'low and high'),
    ({'gamma': {'low': 0.9, 'high': 0.1}}, 'low below high'),
    ({'gamma': {'low': '0', 'high': 1}}, 'Expected numbers'),
    ({'gamma': {'low': 0, 'high': 1, 'log': True}}, 'low above 0'),
    ({'gamma': {'low': 0, 'high': 1, 'log': 1}}, 'true or false'),
    ({'gamma': {'low': 0, 'high': 1, 'step': 0}}, 'a step above 0'),
    ({'batch_size': {'low': 1.5, 'high': 9}}, 'Expected whole numbers'),
    ({'method': {'low': 1, 'high': 9}}, 'it is no number'),
  ],
)
def test_mistakes_are_told(tmp_path, values, message):
  with pytest.raises(ValueError, match=message):
    _read(tmp_path, values)
