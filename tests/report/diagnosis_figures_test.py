"""Figures of diagnoses show what results.jsonl says."""

import pytest

from tests.report import studies
from tf_sparse_rl import diagnoses
from tf_sparse_rl.report import diagnosis_figures, drawing


@pytest.fixture(autouse=True)
def settings():
  """Figures are made as for a report."""
  with drawing.settings():
    yield


@pytest.fixture(name='study')
def study_fixture(tmp_path, read_study):
  """SAC at two sparsities, two seeds each, and a run without diagnoses."""
  for sparsity in (0.8, 0.95):
    for seed in (0, 1):
      value = sparsity + seed
      studies.make_run(
        tmp_path / f'{sparsity}-{seed}',
        [-2.0, -1.0, 0.0],
        agent='sac',
        env_name='Walker2d-v5',
        num_env_steps=20_000,
        initial_collect_env_steps=1000,
        sparsity=sparsity,
        seed=seed,
        diagnostics='snr,dormant' if seed else 'snr',
        diagnoses=[
          {},
          {'SNR/actor/active': value, 'SNR/critic_1/active': 1.0},
          {'SNR/actor/active': 2 * value, 'SNR/critic_1/active': 1.0},
        ],
      )
  studies.make_run(
    tmp_path / 'dense',
    agent='sac',
    env_name='Walker2d-v5',
    method='dense',
    num_env_steps=20_000,
    initial_collect_env_steps=1000,
  )
  return read_study(tmp_path)


def _draw(study, kind):
  return diagnosis_figures.over_time(study, diagnoses.KINDS[kind].figure)


def test_signal_to_noise_by_hand(study):
  figure = _draw(study, 'snr')
  actor, critic = figure.axes
  assert actor.get_title() == 'Walker2d-v5'
  assert actor.get_ylabel() == 'actor: SNR of active'
  assert critic.get_ylabel() == 'critic_1: SNR of active'
  # What is looked into does not set runs apart: seeds are averaged.
  lines = {x.get_label(): x.get_data() for x in actor.get_lines()}
  assert set(lines) == {'RigL 0.8', 'RigL 0.95'}
  for sparsity in (0.8, 0.95):
    env_steps, values = lines[f'RigL {sparsity}']
    # Side by side, so that whiskers do not hide each other.
    assert list(env_steps) == pytest.approx([10_000, 20_000], abs=50)
    assert list(values) == pytest.approx([sparsity + 0.5, 2 * sparsity + 1])
  styles = {x.get_linestyle() for x in actor.get_lines()}
  assert len(styles) == 2


def test_what_no_run_has_looked_into_is_not_drawn(study):
  assert _draw(study, 'dormant') is None
  assert _draw(study, 'rank') is None
