"""The pages of fields: one row each, with preset and source."""

import pytest

from tf_sparse_rl import config as config_lib
from tf_sparse_rl.config import reference


def _rows(agent):
  """{flag: (meaning, default, source)} of an agent's page."""
  lines = reference.page(agent).splitlines()
  cells = [line.strip('| ').split(' | ') for line in lines if '| `--' in line]
  return {flag.strip('`-'): rest for flag, *rest in cells}


@pytest.mark.parametrize('agent', config_lib.AGENTS)
def test_a_row_a_field(agent):
  rows = _rows(agent)
  fields = {f.name: f for f in config_lib.fields() if agent in f.agents}
  assert set(rows) == set(fields)
  for name, field in fields.items():
    assert rows[name][0] == field.meaning


def test_presets_have_their_sources():
  sac, dqn, ppo = map(_rows, ('sac', 'dqn', 'ppo'))
  assert sac['target_update_tau'][1:] == ['`0.005`', 'table 8']
  assert sac['mask_update_period'][1:] == ['`1000`, set: `250`', 'table 2']
  assert sac['critic_width'][1] == 'as `--width`'
  assert dqn['mask_update_period'][1:] == [
    'MLP: `1000`<br>images: `5000`',
    'MLP: table 1<br>images: table 4',
  ]
  assert dqn['hidden_units'][1] == 'MLP: `512,512`<br>images: `512`'
  assert dqn['network'][1] == '`mlp`, Atari: `nature_cnn`'
  assert dqn['prune_end_train_step'][1].startswith('MLP: 0.75 of the env steps')
  assert ppo['prune_end_train_step'][1] == '0.767 of the train steps'
