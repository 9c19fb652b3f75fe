"""Candidates are timed in turn and compared round by round."""

import os
import sys

import pytest

from tf_sparse_rl import flags
from tf_sparse_rl.benchmarks import candidates, in_turn, load


def _counting(path, speeds):
  """A command whose n-th call prints the n-th speed and leaves a trace."""
  code = (
    'import json, pathlib, sys\n'
    f'path = pathlib.Path({str(path)!r})\n'
    f'calls = path.read_text().split() if path.exists() else []\n'
    f'path.write_text(" ".join([*calls, sys.argv[1]]))\n'
    f'speed = {speeds!r}[calls.count(sys.argv[1])]\n'
    'print(json.dumps({"env_steps_per_sec": speed, "version": "1.2", '
    '"env_steps_per_cpu_sec": 2 * speed}))'
  )
  return [sys.executable, '-c', code]


def test_ratios_are_taken_in_turn(tmp_path, monkeypatch):
  trace, shares = tmp_path / 'trace', iter([0.0, 0.2, 0.01, 0.0, 0.0, 0.0])
  monkeypatch.setattr(load.Watch, 'others_share', lambda _: next(shares))
  result = in_turn.measure(
    {
      'ours': [*_counting(trace, [300, 200, 400]), 'ours'],
      'peer': [*_counting(trace, [100, 100, 50]), 'peer'],
    },
    rounds=3,
  )
  assert trace.read_text() == 'ours peer ours peer ours peer'
  assert result['candidates']['peer'] == {
    'env_steps_per_sec': [100, 100, 50],
    'median': 100,
    'env_steps_per_cpu_sec': [200, 200, 100],
    'others_share': [0.2, 0.0, 0.0],
    'ours_is_faster_by': {'min': 2.0, 'median': 3.0, 'max': 8.0},
    'ours_is_faster_by_cpu': {'min': 2.0, 'median': 3.0, 'max': 8.0},
    'version': '1.2',
  }
  assert result['candidates']['ours']['median'] == 300
  assert result['candidates']['ours']['ours_is_faster_by']['max'] == 1.0
  assert (result['rounds'], result['pinned_cores']) == (3, None)
  assert result['others_share'] == 0.2
  assert not result['quiet']  # The peer shared its cores in the first round.


def test_a_candidate_runs_on_each_pinned_core_at_the_same_time(tmp_path):
  cores = sorted(os.sched_getaffinity(0))[:2]
  code = (
    'import json, os, pathlib, time\n'
    'core, = os.sched_getaffinity(0)\n'
    f'pathlib.Path({str(tmp_path)!r}, str(core)).touch()\n'
    f'while len(os.listdir({str(tmp_path)!r})) < {len(cores)}:\n'
    '  time.sleep(0.01)\n'  # Forever, were they one after the other.
    'print(json.dumps({"env_steps_per_sec": 100 + core, '
    '"env_steps_per_cpu_sec": 100}))'
  )
  result = in_turn.measure({'ours': [sys.executable, '-c', code]}, 1, cores)
  found = result['candidates']['ours']
  assert found['env_steps_per_sec'] == [100 * len(cores) + sum(cores)]
  assert found['env_steps_per_cpu_sec'] == [100 * len(cores)]
  assert result['pinned_cores'] == cores


def test_a_failing_candidate_is_named():
  command = [sys.executable, '-c', 'raise SystemExit("no such peer")']
  with pytest.raises(in_turn.CandidateError, match='peer failed: no such peer'):
    in_turn.measure({'peer': command}, rounds=1)


def test_peer_gets_the_same_work():
  config = flags.make_config(
    {'env_name': 'Acrobot-v1', 'num_env_steps': 5000, 'batch_size': 64}
  )
  command = candidates.of_peer('sb3', '/env/python', config, 1000)
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
  command = candidates.of_peer('sb3', '/env/python', config, 1000)
  assert '--env_name=ALE/Pong-v5' in command
  assert command[-4:] == [
    '--hidden=512',
    '--batch_size=32',
    '--network=nature_cnn',
    '--train_period=4',
  ]


def test_a_pinned_peer_has_one_thread():
  config = flags.make_config({'agent': 'sac', 'env_name': 'HalfCheetah-v5'})
  [command] = candidates.of_peers(
    ['rltools=/env/python'], config, 1000, is_pinned=True
  ).values()
  assert command[0] == '/env/python'
  assert command[1].endswith('peer_rltools.py')
  assert command[-1] == '--threads=1'


@pytest.mark.parametrize(
  'peers, changes, message',
  [
    (['sb3'], {}, "'sb3'"),
    (['rllib=python'], {}, "'rllib=python'"),
    (['sb3=python'], {'num_envs': 2}, 'num_envs=2'),
    (['rltools=python'], {}, '--agent=dqn'),
  ],
)
def test_peers_that_cannot_do_the_work_are_refused(peers, changes, message):
  config = flags.make_config({'env_name': 'Acrobot-v1', **changes})
  with pytest.raises(ValueError, match=message):
    candidates.of_peers(peers, config, 1000, is_pinned=False)
