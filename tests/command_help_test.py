"""`--help`, `--version` and the list of commands: in this process, as text."""

import ast
import importlib
import json
import pathlib
import re
import shlex
import subprocess
import sys

import pytest

from tf_sparse_rl import __main__ as main
from tf_sparse_rl import config as config_lib
from tf_sparse_rl.version import __version__

_ROOT = pathlib.Path(__file__).parents[1]
_OF_RUNS = ('train', 'summarize', 'benchmark')
# Every command, one after another, in one process: prints what its --help does
# at 80 and at 200 columns.
_SHOW_ALL = """
import importlib, json, sys
from absl import flags
from tf_sparse_rl import __main__, command_help
from tf_sparse_rl import flags as run_flags
shown = {}
def show(main, help_):
  flags.FLAGS.mark_as_parsed()
  texts = [command_help.text(help_, width) for width in (80, 200)]
  shown[help_.command] = {'texts': texts, 'help': help_._asdict()}
run_flags.run_command = show
for name in __main__.COMMANDS:
  module = importlib.import_module(f'tf_sparse_rl.{name}')
  flags.FLAGS.__init__()
  command_help._groups.clear()
  command_help._fields.clear()
  module.run()
assert 'tensorflow' not in sys.modules
print(json.dumps(shown))
"""


@pytest.fixture(name='shown', scope='module')
def shown_fixture():
  """`{command: its help}`."""
  done = subprocess.run(
    [sys.executable, '-c', _SHOW_ALL], capture_output=True, text=True, cwd=_ROOT
  )
  assert done.returncode == 0, done.stderr
  return json.loads(done.stdout)


@pytest.fixture(name='at_80', scope='module')
def at_80_fixture(shown):
  """`{command: the lines of its help in 80 columns}`."""
  return {name: each['texts'][0].splitlines() for name, each in shown.items()}


def test_every_command_fits_its_terminal(shown):
  assert list(shown) == list(main.COMMANDS)
  for each in shown.values():
    for text, columns in zip(each['texts'], (80, 200)):
      assert max(map(len, text.splitlines())) <= columns


def test_what_a_command_does_comes_first_then_three_examples(shown, at_80):
  for name, lines in at_80.items():
    assert lines[0].startswith(shown[name]['help']['description'][:20])
    count = 1 if name == 'install_agents' else 3
    assert len(shown[name]['help']['examples']) == count
    # They stand on the first screen.
    start = lines.index('Examples:')
    titles = [line for line in lines[start:24] if line[2:3].strip()]
    assert len(titles) >= count, name


def test_flags_of_examples_are_listed(shown, at_80):
  for name, each in shown.items():
    for arguments in each['help']['examples'].values():
      for argument in shlex.split(arguments):
        flag = argument.partition('=')[0].removeprefix('--')
        listed = [f'  --{flag}', f'  --[no]{flag}']
        assert any(
          line.split('  ')[1] in (part.strip() for part in listed)
          for line in at_80[name]
          if line.startswith('  --')
        ), (name, flag)


def test_a_flag_of_a_command_is_not_taken_for_a_field(at_80):
  text = ' '.join(' '.join(at_80['evaluate']).split())
  assert '--seed Random seed of the episodes. [1]' in text
  assert 'A preset depends on' not in text


def test_a_reader_who_has_seen_enough_is_no_error():
  command = f'{sys.executable} -m tf_sparse_rl.train --help'
  done = subprocess.run(
    ['bash', '-c', f'set -o pipefail; {command} | head -n 1'],
    capture_output=True,
    text=True,
    cwd=_ROOT,
  )
  assert (done.stdout[:6], done.stderr) == ('Trains', '')
  assert done.returncode in (0, 141)  # As of a program that SIGPIPE ends.


@pytest.mark.parametrize('name', _OF_RUNS)
def test_every_field_is_listed_once(at_80, name):
  flags = [line.split()[0] for line in at_80[name] if line[:4] == '  --']
  assert len(flags) == len(set(flags))
  for field in config_lib.fields():
    assert {f'--{field.name}', f'--[no]{field.name}'} & {*flags}


def test_groups_go_from_common_to_machine(at_80):
  groups = [
    line for line in at_80['train'] if line[-1:] == ':' and line[0] != ' '
  ]
  assert groups[:2] == ['Examples:', 'Common:']
  assert groups[-1] == 'Machine:'
  expected = {'DQN:', 'SAC:', 'TD3:', 'PPO:', 'DQN, SAC and TD3:'}
  assert expected < {*groups}
  lines = at_80['train']
  assert lines.index('SAC and TD3:') < _line_of(lines, 'critic_width')
  assert _line_of(lines, 'critic_width') < lines.index('PPO:')


def _line_of(lines, flag):
  [index] = [i for i, x in enumerate(lines) if x.startswith(f'  --{flag} ')]
  return index


def test_presets_are_shown_by_agent(at_80):
  lines = at_80['train']
  text = ' '.join(' '.join(lines).split())
  assert '[preset: dqn 128; sac, td3 256; ppo 64]' in text
  assert '[preset: dqn 0.001; sac, td3, ppo 0.0003]' in text
  assert '--gamma Discount factor. [preset: 0.99]' in text
  assert '[as --sparsity]' in text
  assert (
    '--sparsity Fraction of zeros in each network, in [0, 1). [0.9]' in text
  )


def test_a_sweep_lists_no_flag_that_it_refuses(at_80):
  flags = [line.split()[0] for line in at_80['sweep'] if line[:4] == '  --']
  assert {'--methods', '--env_names', '--agent', '--batch_size'} < {*flags}
  assert not {'--method', '--sparsity', '--env_name', '--seed'} & {*flags}


def test_lines_for_people_from_rl_zoo_have_real_flags(at_80):
  path = _ROOT / 'docs' / 'start' / 'from_stable_baselines3.md'
  page = path.read_text('utf-8')
  known = {
    line.split()[0].replace('[no]', '')
    for lines in at_80.values()
    for line in lines
    if line[:4] == '  --'
  }
  cells = [line.split(' | ')[-1] for line in page.splitlines() if '| ' in line]
  given = re.findall(r'--[a-z_]+', ' '.join(cells))
  assert len(given) > 30
  # The last is TensorBoard's.
  assert {*given} - known == {'--help', '--logdir'}
  for name in re.findall(r'`([a-z_]+) --', ' '.join(cells)):
    assert name in {*at_80, 'tensorboard'}


@pytest.mark.parametrize(
  'arguments, status, said',
  [
    ([], 0, 'Commands:\n  train '),
    (['--help'], 0, 'Commands:\n  train '),
    (['--version'], 0, f'tf_sparse_rl {__version__}\n'),
    (['trian'], 2, "error: Unknown command 'trian'. Did you mean 'train'?"),
    (['evaluate', '--help'], 0, 'Plays episodes with the policy of a run'),
    (['evaluate', '--version'], 0, f'tf_sparse_rl {__version__}\n'),
    (['export', '--helpfull'], 0, 'absl.logging:'),
    (['export'], 2, 'error: Expected --root_dir'),
  ],
)
def test_help_version_and_commands_as_words(arguments, status, said):
  done = subprocess.run(
    [sys.executable, '-m', 'tf_sparse_rl', *arguments],
    capture_output=True,
    text=True,
    cwd=_ROOT,
  )
  assert done.returncode == status
  out, other = done.stdout, done.stderr
  if status:
    out, other = other, out
  assert said in out and other == ''


def test_every_command_is_installed_and_listed():
  tree = ast.parse((_ROOT / 'setup.py').read_text('utf-8'))
  [names] = [
    ast.literal_eval(node.value)
    for node in tree.body
    if isinstance(node, ast.Assign) and node.targets[0].id == '_COMMANDS'
  ]
  assert sorted(names) == sorted(main.COMMANDS)
  for name in names:
    assert callable(importlib.import_module(f'tf_sparse_rl.{name}').run)
  assert all(len(line) <= 80 for line in main.text().splitlines())
