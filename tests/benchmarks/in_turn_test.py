"""Candidates are timed in turn and compared round by round."""

import sys

import pytest

from tf_sparse_rl import flags
from tf_sparse_rl.benchmarks import in_turn


def _counting(path, speeds):
  """A command whose n-th call prints the n-th speed and leaves a trace."""
  code = (
    'import json, pathlib, sys\n'
    f'path = pathlib.Path({str(path)!r})\n'
    f'calls = path.read_text().split() if path.exists() else []\n'
    f'path.write_text(" ".join([*calls, sys.argv[1]]))\n'
    f'print(json.dumps({{"env_steps_per_sec": {speeds!r}['
    'calls.count(sys.argv[1])]}))'
  )
  return [sys.executable, '-c', code]


def test_ratios_are_taken_in_turn(tmp_path):
  trace = tmp_path / 'trace'
  result = in_turn.measure(
    {
      'ours': [*_counting(trace, [300, 200, 400]), 'ours'],
      'peer': [*_counting(trace, [100, 100, 100]), 'peer'],
    },
    rounds=3,
  )
  assert trace.read_text() == 'ours peer ours peer ours peer'
  assert result['peer']['env_steps_per_sec'] == [100, 100, 100]
  assert result['peer']['ours_is_faster_by'] == {
    'min': 2.0,
    'median': 3.0,
    'max': 4.0,
  }
  assert result['ours']['ours_is_faster_by']['max'] == 1.0


def test_a_failing_candidate_is_named():
  command = [sys.executable, '-c', 'raise SystemExit("no such peer")']
  with pytest.raises(in_turn.CandidateError, match='peer failed: no such peer'):
    in_turn.measure({'peer': command}, rounds=1)


def test_peer_gets_the_same_work():
  config = flags.make_config(
    {'env_name': 'Acrobot-v1', 'num_env_steps': 5000, 'batch_size': 64}
  )
  command = in_turn.peer_command('sb3', '/env/python', config, 1000)
  assert command[0] == '/env/python'
  assert command[1].endswith('peers.py')
  assert command[2:] == [
    '--peer=sb3',
    '--agent=dqn',
    '--env_name=Acrobot-v1',
    '--num_env_steps=4000',
    '--warmup_env_steps=1000',
    '--hidden=512,512',
    '--batch_size=64',
    '--network=mlp',
    '--train_period=1',
  ]


def test_peer_plays_the_same_game():
  config = flags.make_config({'env_name': 'Pong'})
  command = in_turn.peer_command('sb3', '/env/python', config, 1000)
  assert '--env_name=ALE/Pong-v5' in command
  assert command[-4:] == [
    '--hidden=512',
    '--batch_size=32',
    '--network=nature_cnn',
    '--train_period=4',
  ]
