"""Flags: one per field, their precedence, and the nearest valid name."""

import json

import pytest
from absl import flags as absl_flags
from absl.testing import flagsaver

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import flags, names


@pytest.fixture(name='parse')
def parse_fixture():
  """A command line of run flags -> the Config that it asks for."""
  with flagsaver.flagsaver():
    flags.define_run_flags()

    def parse(*arguments):
      absl_flags.FLAGS.unparse_flags()
      for field in config_lib.fields():
        flag = absl_flags.FLAGS[field.name]
        flag.unparse()
      absl_flags.FLAGS(['train', *arguments])
      return flags.config_from_flags()

    yield parse
  # flagsaver leaves the new ones: nothing else may see them.
  for name in ['config', *(field.name for field in config_lib.fields())]:
    if name in absl_flags.FLAGS:
      delattr(absl_flags.FLAGS, name)


def test_every_field_is_a_flag_with_a_help_text(parse):
  parse()
  for field in config_lib.fields():
    flag = absl_flags.FLAGS[field.name]
    meaning = field.meaning
    assert len(meaning) > 5
    assert meaning[1:] in flag.help
    assert ('Default: by preset.' in flag.help) == (field.default is None)


@pytest.mark.parametrize(
  'name, expected',
  [
    ('actor_sparsity', ' For sac, td3 and ppo. Default: by preset.'),
    ('parameter_budget', ' For sac and td3.'),
    ('alpha_learning_rate', ' For sac. Default: by preset.'),
    ('epsilon', ' For dqn. Default: by preset.'),
  ],
)
def test_help_tells_the_agent_of_a_field(parse, name, expected):
  parse()
  assert absl_flags.FLAGS[name].help.endswith('.' + expected)


def test_help_tells_no_agent_where_all_have_the_field(parse):
  parse()
  told = {
    field.name
    for field in config_lib.fields()
    if ' For ' in absl_flags.FLAGS[field.name].help
  }
  some = [f for f in config_lib.fields() if {*f.agents} < {*config_lib.AGENTS}]
  assert told == {field.name for field in some}
  assert {'epsilon', 'actor_sparsity', 'num_epochs', 'train_period'} <= told


def test_no_flag_gives_the_defaults(parse):
  assert parse() == flags.make_config({})


def test_flags_of_each_kind(parse):
  config = parse(
    '--env_name=Acrobot-v1',
    '--seed=3',
    '--sparsity=0.5',
    '--mask_images',
    '--nosparsity_aware_init',
    '--hidden_units=64,32',
    '--learning_rate=1e-4',
  )
  assert (config.env_name, config.seed, config.sparsity) == (
    'Acrobot-v1',
    3,
    0.5,
  )
  assert (config.mask_images, config.sparsity_aware_init) == (True, False)
  assert (config.hidden_units, config.learning_rate) == ((64, 32), 1e-4)


def test_flags_go_before_the_config_file_before_presets(parse, tmp_path):
  path = tmp_path / 'config.json'
  path.write_text(json.dumps({'seed': 5, 'batch_size': 7, 'gamma': 0.5}))
  config = parse(f'--config={path}', '--batch_size=9', '--gamma=0.99')
  assert config.seed == 5  # The file's, over the default 0.
  assert config.batch_size == 9  # The flag's, over the file's 7.
  assert config.gamma == 0.99  # The flag's, though it is the preset's value.
  assert config.eval_period == 2000  # The preset's.


def test_a_default_that_is_given_counts_as_given(parse, tmp_path):
  path = tmp_path / 'config.json'
  path.write_text(json.dumps({'method': 'set', 'sparsity': 0.5}))
  config = parse(f'--config={path}', '--method=rigl')
  assert (config.method, config.sparsity) == ('rigl', 0.5)


def test_a_config_file_repeats_a_run(parse, tmp_path):
  first = parse('--method=prune', '--num_env_steps=5000', '--width=0.5')
  path = tmp_path / 'config.json'
  values = {**config_lib.to_dict(first), 'versions': {'numpy': '2.0'}}
  path.write_text(json.dumps(values))
  assert parse(f'--config={path}') == first


@pytest.fixture(name='sac_config')
def sac_config_fixture(parse, tmp_path):
  """config.json of a SAC run with an actor of sparsity 0.5."""
  first = parse('--agent=sac', '--actor_sparsity=0.5', '--width=0.5')
  path = tmp_path / 'config.json'
  path.write_text(json.dumps(config_lib.to_dict(first)))
  return first, path


def test_a_config_file_repeats_a_sac_run(parse, sac_config):
  first, path = sac_config
  assert (first.agent, first.env_name) == ('sac', 'HalfCheetah-v5')
  assert (first.actor_sparsity, first.critic_sparsity) == (0.5, 0.9)
  assert parse(f'--config={path}') == first


def test_a_config_file_repeats_a_run_with_a_share(parse, tmp_path):
  first = parse(
    '--agent=sac', '--actor_parameter_share=0.3', '--parameter_budget=0.1'
  )
  path = tmp_path / 'config.json'
  path.write_text(json.dumps(config_lib.to_dict(first)))
  assert parse(f'--config={path}') == first


def test_a_shared_flag_goes_before_its_copies_in_the_config_file(
  parse, sac_config
):
  first, path = sac_config
  config = parse(
    f'--config={path}', '--sparsity=0.8', '--learning_rate=1e-4', '--width=2'
  )
  assert config.critic_sparsity == 0.8
  assert config.actor_sparsity == 0.5  # The file's own: no copy.
  assert (config.actor_width, config.critic_width) == (2, 2)
  assert config.actor_learning_rate == 1e-4
  assert config.critic_learning_rate == 1e-4
  assert config.alpha_learning_rate == 1e-4
  before, after = config_lib.to_dict(first), config_lib.to_dict(config)
  changed = {name for name in after if after[name] != before[name]}
  assert changed == {
    'sparsity',
    'critic_sparsity',
    'width',
    'actor_width',
    'critic_width',
    'learning_rate',
    'actor_learning_rate',
    'critic_learning_rate',
    'alpha_learning_rate',
  }


def test_a_flag_goes_before_a_copy_of_another_flag(parse, sac_config):
  _, path = sac_config
  config = parse(f'--config={path}', '--sparsity=0.8', '--critic_sparsity=0.7')
  assert (config.actor_sparsity, config.critic_sparsity) == (0.5, 0.7)


def test_values_of_a_command_go_between_file_and_flags(sac_config):
  _, path = sac_config
  absl_flags.FLAGS(['benchmark', f'--config={path}', '--num_env_steps=5000'])
  config = flags.config_from_flags(
    num_env_steps=4000, initial_collect_env_steps=200
  )
  assert config.num_env_steps == 5000  # The flag's.
  assert config.initial_collect_env_steps == 200  # Not the file's 10,000.
  assert config.actor_sparsity == 0.5  # The file's.


@pytest.mark.parametrize('agent', [None, 3, 'nothing', [], {}, [{}]])
def test_a_config_file_of_no_agent_is_a_user_error(parse, tmp_path, agent):
  path = tmp_path / 'config.json'
  path.write_text(json.dumps({'agent': agent}))
  with pytest.raises(flags.UserError, match='Unknown agent .*Valid: dqn, sac'):
    parse(f'--config={path}', '--sparsity=0.8')


@pytest.mark.parametrize(
  'arguments, expected',
  [
    (['--method=rigle'], "Unknown method 'rigle'. Did you mean 'rigl'?"),
    (['--agent=dqm'], "Unknown agent 'dqm'. Did you mean 'dqn'?"),
    (['--agent=sca'], "Unknown agent 'sca'. Did you mean 'sac'? Valid: dqn,"),
    (['--agent=sac', '--epsilon=0.1'], 'Received: epsilon=0.1, agent=sac.'),
    (['--actor_width=0.5'], 'actor_width with agent=sac, td3 or ppo only.'),
    (
      ['--agent=sac', '--actor_parameter_share=0.3'],
      'Expected actor_parameter_share and parameter_budget together.',
    ),
    (
      ['--distribution=unifrom'],
      "Unknown distribution 'unifrom'. Did you mean 'uniform'?",
    ),
    (['--hidden_units=64,x'], '--hidden_units=64,x'),
    (['--hidden_units='], 'hidden_units=()'),
    (['--sparsity=1'], 'sparsity=1.0'),
    (['--config=/no/such/file'], '/no/such/file'),
    (['--config='], 'Cannot read the config'),
  ],
)
def test_what_does_not_hold_is_a_user_error(parse, arguments, expected):
  with pytest.raises(flags.UserError) as error:
    parse(*arguments)
  assert expected in str(error.value)


@pytest.mark.parametrize(
  'given, number', [('1e5', 10**5), ('100_000', 10**5), ('2.5e3', 2500)]
)
def test_whole_numbers_as_people_write_them(parse, given, number):
  config = parse(f'--num_env_steps={given}')
  assert config.num_env_steps == number
  assert type(config.num_env_steps) is int


@pytest.mark.parametrize('given', ['1e-1', '1.5', 'inf', 'nan', '1e', ''])
def test_what_is_no_whole_number_is_refused(parse, given):
  with pytest.raises(
    absl_flags.IllegalFlagValueError, match='whole number, as in 100000 or 1e5'
  ):
    parse(f'--num_env_steps={given}')


@pytest.mark.parametrize(
  'arguments, ignored',
  [
    (['--method=rigl', '--sparsity=0.5'], ''),
    (['--method=dense'], ''),
    (['--method=dense', '--distribution=er'], '--distribution=er'),
    (['--method=dense', '--match_sparsity=0.5', '--distribution=er'], ''),
    (['--method=static', '--drop_fraction=0.1'], '--drop_fraction=0.1'),
  ],
)
def test_fields_that_a_method_ignores_are_told(
  parse, capsys, arguments, ignored
):
  config = parse(*arguments)
  flags.tell_ignored(config, flags.values_from_flags())
  said = capsys.readouterr().err
  assert bool(said) == bool(ignored)
  assert ignored in said


def test_unknown_names_with_and_without_a_near_one():
  assert names.unknown('method', 'RigL', ['set', 'rigl']) == (
    "Unknown method 'RigL'. Did you mean 'rigl'? Valid: set, rigl."
  )
  assert names.unknown('method', 'zzzz', ['set', 'rigl']) == (
    "Unknown method 'zzzz'. Valid: set, rigl."
  )
  many = [f'environment-{i}' for i in range(13)]
  assert names.unknown('environment', 'zzzz', many) == (
    "Unknown environment 'zzzz'."
  )
