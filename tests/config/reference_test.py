"""The reference of fields: a line each, with presets and sources."""

from tf_sparse_rl import config as config_lib
from tf_sparse_rl.config import reference


def test_a_line_a_field():
  _, _, *lines = reference.markdown().split('\n')
  for field, line in zip(config_lib.fields(), lines, strict=True):
    assert line.startswith(f'| `--{field.name}` | {field.meaning} | ')
    assert line.count(' | ') == 3


def test_presets_have_their_sources():
  lines = reference.markdown().split('\n')
  [width] = [line for line in lines if line.startswith('| `--width`')]
  assert width.endswith(' | dqn, sac, td3, ppo | `1.0` |')
  [tau] = [line for line in lines if '--target_update_tau' in line]
  sac = 'dqn: `1.0` (table 6)<br>sac: `0.005` (table 8)'
  assert tau.endswith(f'{sac}<br>td3: `0.005` (TD3) |')
  [period] = [line for line in lines if '--mask_update_period' in line]
  assert 'dqn: mlp `1000` (table 1), images `5000` (table 4)<br>' in period
  assert "sac: value `1000`, methods `{'set': 250}` (table 2)" in period
