"""Extending runs: fields that stay, may change, or are refused."""

import pytest

from tests import tiny
from tf_sparse_rl import runs
from tf_sparse_rl.runs import longer

_GIVEN = {'num_env_steps': 10_000, 'seed': 3}


@pytest.fixture(name='run_dir')
def run_dir_fixture(tmp_path):
  """A run that is started, with a checkpoint at env step 6000."""
  run_dir = runs.RunDir(tmp_path)
  run_dir.start(runs.config_for(run_dir, _GIVEN))
  checkpoint = run_dir.checkpoints / 'env_step_000000006000'
  checkpoint.mkdir(parents=True)
  (checkpoint / 'manifest.json').write_text('{}')
  return run_dir


def _finish(run_dir):
  run_dir.finish(tiny.summary(env_steps=10_000))


def _asked(run_dir, **changes):
  config = runs.config_for(run_dir, {**_GIVEN, **changes})
  run_dir.check_config(config)
  return config


def test_what_follows_from_the_length_stays_unless_it_is_given(run_dir):
  new = runs.config_for(
    runs.RunDir(run_dir.path / 'new'), {'num_env_steps': 20_000}
  )
  assert new.mask_update_end_train_step == 15_000
  config = _asked(run_dir, num_env_steps=20_000)
  assert config.mask_update_end_train_step == 7_500
  assert config.prune_end_train_step == 7_500
  config = _asked(
    run_dir, num_env_steps=20_000, mask_update_end_train_step=12_000
  )
  assert config.mask_update_end_train_step == 12_000
  assert run_dir.start(config) == (
    'From env step 6,000 on: num_env_steps 10000 -> 20000, '
    'mask_update_end_train_step 7500 -> 12000.'
  )
  # And so it is when it goes on, whether that is given once more or not.
  assert _asked(run_dir, num_env_steps=20_000) == config
  assert run_dir.start(config) == ''
  assert _asked(run_dir, num_env_steps=30_000, eval_period=77) != config


@pytest.mark.parametrize('finished', [False, True])
def test_periods_may_change_as_long_as_it_goes_on(run_dir, finished):
  if finished:
    _finish(run_dir)
    with pytest.raises(runs.RunsError, match='eval_period: 2000 there, 500'):
      _asked(run_dir, eval_period=500)
    more = {'num_env_steps': 12_000}
  else:
    more = {}
  periods = dict.fromkeys(
    ('eval_period', 'checkpoint_period', 'summary_period'), 250
  )
  run_dir.start(_asked(run_dir, **more, **periods))
  [entry] = run_dir.read_history()
  assert {*entry['changed']} == {*more, *periods}
  assert entry['changed']['eval_period'] == [2000, 250]


@pytest.mark.parametrize('finished', [False, True])
@pytest.mark.parametrize(
  'changes, named',
  [
    ({'num_env_steps': 20_000, 'gamma': 0.9}, ['gamma']),
    ({'num_env_steps': 5_000}, ['num_env_steps']),
    ({'mask_update_end_train_step': 100}, ['mask_update_end_train_step']),
    ({'num_env_steps': 20_000, 'agent': 'ppo'}, ['agent', 'env_name']),
    ({'num_env_steps': 20_000, 'diagnostics': 'snr'}, ['diagnostics']),
  ],
)
def test_other_fields_are_refused_by_their_names(
  run_dir, finished, changes, named
):
  if finished:
    _finish(run_dir)
  with pytest.raises(runs.RunsError) as error:
    _asked(run_dir, **changes)
  for name in named:
    assert f'\n  {name}: ' in str(error.value)
  if 'gamma' in named:
    assert 'num_env_steps' not in str(error.value)


def test_a_longer_run_is_not_finished_by_the_summary_before(run_dir):
  _finish(run_dir)
  config = _asked(run_dir)
  assert run_dir.is_finished(config)
  config = _asked(run_dir, num_env_steps=20_000)
  assert not run_dir.is_finished(config)
  assert run_dir.read_summary() is not None  # Until it goes on.
  run_dir.start(config)
  assert run_dir.read_summary() is None
  run_dir.finish(tiny.summary(env_steps=20_000))
  assert run_dir.is_finished(config)


def test_ppo_turns_where_it_stands(tmp_path, run_dir):
  ppo = runs.RunDir(tmp_path / 'ppo')
  given = {'agent': 'ppo', 'num_env_steps': 8192}
  ppo.path.mkdir()
  ppo.start(runs.config_for(ppo, given))
  # Before the first checkpoint it starts over, as if it had been that long.
  config = runs.config_for(ppo, {**given, 'num_env_steps': 16384})
  assert config.learning_rate_turns == ()
  run_dir.checkpoints.rename(ppo.checkpoints)
  for length, turns in (
    (16384, (6000, 8192)),
    (32768, (6000, 8192, 6000, 16384)),
  ):
    config = runs.config_for(ppo, {**given, 'num_env_steps': length})
    assert config.learning_rate_turns == turns
    ppo.check_config(config)
    ppo.start(config)
    # As its own config.json says it, it is neither longer nor another.
    again = runs.config_for(ppo, {**given, 'num_env_steps': length})
    assert again == config


def test_a_sentence():
  assert longer.sentence(1500, {'a': [1, 2], 'b': [[], [3]]}) == (
    'From env step 1,500 on: a 1 -> 2, b [] -> [3].'
  )


def test_a_backend_is_the_run_s_own_unless_another_is_named(run_dir):
  assert _asked(run_dir).backend == 'auto'
  run_dir.note_machine({'cpu': 'this', 'backends': {}})
  told = _asked(run_dir, backend='masked')
  assert run_dir.start(told) == (
    'From env step 6,000 on: backend auto -> masked.'
  )
  # What it began on is noted anew.
  assert run_dir.read_machine() is None
  assert _asked(run_dir) == told
  assert _asked(run_dir, num_env_steps=20_000).backend == 'masked'
  with pytest.raises(runs.RunsError, match="backend: 'masked' there, 'auto'"):
    _asked(run_dir, backend='auto')
  _finish(run_dir)
  with pytest.raises(runs.RunsError, match="backend: 'masked' there, 'fused'"):
    _asked(run_dir, backend='fused')
