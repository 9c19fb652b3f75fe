"""The peers' script: what can be told without the peers."""

import subprocess
import sys

import pytest

from tf_sparse_rl.benchmarks import peer_rltools, peers


@pytest.mark.parametrize(
  'flags, message',
  [
    (['--peer=rllib'], 'invalid choice'),
    (['--peer=sb3', '--num_env_steps=0'], 'num_env_steps >= 1'),
    (['--peer=sb3', '--warmup_env_steps=200'], 'warmup_env_steps > 200'),
    (['--peer=sbx', '--hidden=512,256'], 'two equal hidden layers'),
    (['--peer=sbx', '--network=nature_cnn'], 'sb3 with dqn'),
    (['--peer=sb3', '--agent=sac', '--network=nature_cnn'], 'sb3 with dqn'),
  ],
)
def test_wrong_flags_are_refused(flags, message, capsys):
  with pytest.raises(SystemExit):
    peers.parse_args(flags)
  assert message in capsys.readouterr().err


@pytest.mark.parametrize(
  'flags, message',
  [
    (['--agent=dqn'], 'invalid choice'),
    (['--warmup_env_steps=300', '--batch_size=300'], 'warmup_env_steps > 300'),
    (['--hidden=64,32'], 'layers of one width'),
  ],
)
def test_rltools_refuses_other_work(flags, message, capsys):
  with pytest.raises(SystemExit):
    peer_rltools.parse_args(flags)
  assert message in capsys.readouterr().err


@pytest.mark.parametrize(
  'script, flags, package',
  [
    (peers, ['--peer=sb3'], '"stable-baselines3==2.9.*"'),
    (peer_rltools, [], '"rltools[mkl]==2.2.*"'),
  ],
)
def test_a_missing_peer_says_how_to_get_it(script, flags, package):
  result = subprocess.run(
    [sys.executable, script.__file__, *flags],
    capture_output=True,
    text=True,
    check=False,
  )
  assert result.returncode == 1
  assert f'pip install {package}' in result.stderr
  assert 'Traceback' not in result.stderr
