"""Whole runs with faults at a given change of a file; see faults.c.

As a program it does one run after another in a process, which is not killed
then: a line of JSON on its input has `root_dir` and variables of faults.c, one
on its output the error that the run ended with.
"""

import ctypes
import json
import os
import pathlib
import signal
import subprocess
import sys
from typing import NamedTuple

import numpy as np
import tensorflow as tf

import tf_sparse_rl
from tests import traced
from tf_sparse_rl import runs as runs_lib

_HERE = pathlib.Path(__file__).parent
# Small, with four checkpoints, of which the first is removed.
_FIELDS = {
  **{'agent': 'dqn', 'env_name': 'CartPole-v1', 'method': 'rigl'},
  **{'sparsity': 0.5, 'distribution': 'uniform', 'hidden_units': (8,)},
  **{'num_env_steps': 80, 'initial_collect_env_steps': 20, 'batch_size': 8},
  **{'replay_capacity': 20, 'mask_update_period': 20, 'eval_period': 40},
  **{'num_eval_episodes': 1, 'checkpoint_period': 20, 'summary_period': 40},
  **{'backend': 'masked'},
}
_FLAGS = runs_lib.ListedRun('', _FIELDS | {'hidden_units': [8]}).arguments()
# What the train command tells in a line.
_TOLD = (OSError, runs_lib.RunsError)
_CLOCK = ('wall_seconds', 'env_steps_per_sec', 'peak_memory_mib')


class Ended(NamedTuple):
  """A run that has ended."""

  status: int  # exit code, or minus the signal that killed it
  output: str


class Runs:
  """Starts runs, forks of one process that has imported TensorFlow.

  They are those of a sweep, `sweeps.run_server`.
  """

  def __init__(self, directory):
    """Builds faults.c and starts the process; `directory` is for the logs."""
    self._directory = pathlib.Path(directory)
    self._server = _start(directory, 'tf_sparse_rl.sweeps.run_server', '30')
    self._wait_for('ready')

  def close(self):
    """Ends the process."""
    self._server.stdin.close()
    self._server.wait(timeout=60)

  def run(self, root_dir, at=0, action='kill', trace=None):
    """Trains, or goes on; returns an Ended.

    Args:
      root_dir: directory of the run.
      at: number of the change of a file that is acted on, from 1; 0: none.
      action: see faults.c.
      trace: file that gets a record of each change.
    """
    log = self._directory / 'log'
    log.unlink(missing_ok=True)
    faults = {
      'FAULTS_ROOT': str(root_dir),
      'FAULTS_AT': str(at),
      'FAULTS_ACTION': action,
    }
    if trace:
      faults['FAULTS_TRACE'] = str(trace)
    command = {
      'start': 'run',
      'flags': list(_FLAGS),
      'root_dir': str(root_dir),
      'log': str(log),
      'cores': None,
      'env': faults,
    }
    self._server.stdin.write(json.dumps(command) + '\n')
    self._server.stdin.flush()
    ended = self._wait_for('ended')
    status = os.waitstatus_to_exitcode(ended['status'])
    return Ended(status, log.read_text('utf-8'))

  def _wait_for(self, event):
    while line := self._server.stdout.readline():
      if event in (received := json.loads(line)):
        return received
    raise AssertionError('the process has ended')


class OneProcess:
  """Does runs one after another in a process, with one agent.

  Most of the time of a small run goes by in tracing. Here it is done once: a
  run begins with all variables as they were at first.
  """

  def __init__(self, directory):
    """Builds faults.c and starts the process."""
    self._server = _start(directory, 'tests.faults.runs_with_faults')

  def close(self):
    """Ends the process."""
    self._server.stdin.close()
    self._server.wait(timeout=60)

  def run(self, root_dir, at=0, action='EIO'):
    """Trains, or goes on; returns the error in a line, or ''."""
    command = {
      'root_dir': str(root_dir),
      'FAULTS_ROOT': str(root_dir),
      'FAULTS_AT': str(at),
      'FAULTS_ACTION': action,
    }
    self._server.stdin.write(json.dumps(command) + '\n')
    self._server.stdin.flush()
    return json.loads(self._server.stdout.readline())


def _start(directory, *words):
  """Starts a module under faults.c; returns a Popen."""
  library = pathlib.Path(directory) / 'faults.so'
  source = str(_HERE / 'faults.c')
  subprocess.run(
    ['cc', '-O1', '-shared', '-fPIC', '-o', library, source, '-ldl'],
    check=True,
  )
  return subprocess.Popen(
    [sys.executable, '-m', *words],
    env={
      **os.environ,
      'LD_PRELOAD': str(library),
      'PYTHONPATH': str(_HERE.parents[1]),
    },
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
  )


def _serve():
  """Is the process of OneProcess."""
  traced.share()
  out = os.fdopen(os.dup(1), 'w', buffering=1)
  os.dup2(2, 1)
  fields = dict(_FIELDS)
  env_name = fields.pop('env_name')
  for line in sys.stdin:
    command = json.loads(line)
    root_dir = command.pop('root_dir')
    os.environ.update(command)
    ctypes.CDLL(None).faults_begin_anew()
    error = ''
    try:
      tf_sparse_rl.train(root_dir, env=env_name, **fields)
    except _TOLD as told:
      error = f'{type(told).__name__}: {told}'
    out.write(json.dumps(error) + '\n')


def outcome(root_dir):
  """All that a finished run is asked for, without its clock: to be compared.

  The results, the summary, every variable of the last checkpoint, its replay
  and its state, and the variables of the policy.
  """
  root_dir = pathlib.Path(root_dir)
  last = max((root_dir / 'checkpoints').glob('env_step_*'))
  state = _without_clock(_json(last / 'state.json'))
  state['results'] = list(map(_without_clock, state['results']))
  del state['clock']
  segments = _json(last / 'manifest.json')['segments']
  lines = (root_dir / 'results.jsonl').read_text('utf-8').splitlines()
  return {
    'results': [_without_clock(json.loads(line)) for line in lines],
    'summary': _without_clock(_json(root_dir / 'summary.json')),
    'agent': _variables(last / 'agent'),
    'policy': _variables(root_dir / 'policy' / 'variables' / 'variables'),
    'replay': np.concatenate(
      [np.load(root_dir / 'checkpoints' / s['name']) for s in segments]
    ),
    'state': state,
  }


def assert_same(found, expected):
  """Compares two outcomes, bit by bit."""
  assert found.keys() == expected.keys()
  for name in ('results', 'summary', 'state'):
    assert found[name] == expected[name], name
  np.testing.assert_array_equal(found['replay'], expected['replay'])
  for name in ('agent', 'policy'):
    assert found[name].keys() == expected[name].keys()
    for variable, value in expected[name].items():
      np.testing.assert_array_equal(found[name][variable], value, variable)


def was_killed(ended):
  """Whether a run was killed by the fault."""
  return ended.status == -signal.SIGKILL


def _json(path):
  return json.loads(path.read_text('utf-8'))


def _without_clock(values):
  return {k: v for k, v in values.items() if k not in _CLOCK}


def _variables(path):
  reader = tf.train.load_checkpoint(str(path))
  return {
    name: reader.get_tensor(name)
    for name, dtype in reader.get_variable_to_dtype_map().items()
    if dtype != tf.string
  }


if __name__ == '__main__':
  _serve()
