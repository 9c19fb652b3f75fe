"""Times several candidates in turn, each in a process of its own."""

import json
import pathlib
import statistics
import subprocess
import time

from tf_sparse_rl import config as config_lib

_PEERS = pathlib.Path(__file__).with_name('peers.py')


class CandidateError(Exception):
  """A candidate failed; the message is what it printed."""


def measure(commands, rounds):
  """Runs each command once a round, so that all see the same machine.

  Args:
    commands: `{name: command}`; a command prints one JSON object with
      `env_steps_per_sec`. The first is what the others are compared with.
    rounds: how often.

  Returns:
    Dict: of each candidate its figures and, round by round, the ratio of the
    first candidate's speed to its own.

  Raises:
    CandidateError: if a command fails.
  """
  speeds = {name: [] for name in commands}
  for _ in range(rounds):
    for name, command in commands.items():
      speeds[name].append(run(name, command)['env_steps_per_sec'])
  first = next(iter(commands))
  return {
    name: {
      'env_steps_per_sec': values,
      f'{first}_is_faster_by': spread(
        [ours / theirs for ours, theirs in zip(speeds[first], values)]
      ),
    }
    for name, values in speeds.items()
  }


def peer_command(peer, python, config, warmup_env_steps):
  """The command, a list of str, that times a peer.

  Args:
    peer: 'sb3' or 'sbx'.
    python: interpreter of the peer's own environment.
    config: a Config; the peer does the same work.
    warmup_env_steps: env steps before the clock starts.
  """
  return [
    python,
    str(_PEERS),
    f'--peer={peer}',
    f'--agent={config.agent}',
    f'--env_name={config_lib.gym_id(config.env_name)}',
    f'--num_env_steps={config.num_env_steps - warmup_env_steps}',
    f'--warmup_env_steps={warmup_env_steps}',
    f'--hidden={",".join(map(str, config.hidden_units))}',
    f'--batch_size={config.batch_size}',
    f'--network={config.network or "mlp"}',
    f'--train_period={config.train_period or 1}',
  ]


def run(name, command):
  """Runs a candidate; returns its JSON. See `measure` for what it raises."""
  result = subprocess.run(command, capture_output=True, text=True, check=False)
  if result.returncode:
    raise CandidateError(f'{name} failed: {result.stderr.strip()[-2000:]}')
  return json.loads(result.stdout)


def median_ms(step, calls):
  """Median milliseconds of a call of `step`, a function."""
  times = []
  for _ in range(calls):
    begin = time.perf_counter()
    step()
    times.append(time.perf_counter() - begin)
  return round(statistics.median(times) * 1000, 4)


def spread(values):
  """Least, median and greatest of some values; a dict."""
  return {
    'min': round(min(values), 3),
    'median': round(statistics.median(values), 3),
    'max': round(max(values), 3),
  }
