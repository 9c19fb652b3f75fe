"""The choice of backends is part of a run, whatever its machine measures."""

import json

import numpy as np
import pytest

from tests import tiny
from tf_sparse_rl import runs
from tf_sparse_rl.native import backend, library
from tf_sparse_rl.training import loop, machine

_NATIVE, _MASKED = [2.0, 1.0, 1.0], [1.0, 2.0, 2.0]
_FIELDS = {'num_env_steps': 200, 'eval_period': 200, 'summary_period': 200}


@pytest.fixture(autouse=True)
def kernels():
  if library.load() is None:
    pytest.skip(library.problem())


class _Stop(tiny.Recorder):
  """Stops at an env step."""

  def __init__(self, at=None):
    super().__init__()
    self._at = at

  def on_env_step(self, training):
    if training.env_step == self._at:
      training.stop()


def _train(path, config, measured, at=None):
  """Trains where layers are measured so; (the agent's weights, messages)."""
  directory, recorder = runs.RunDir(path), _Stop(at)
  with pytest.MonkeyPatch.context() as patch, directory.locked():
    patch.setattr(backend, '_of_machine', lambda *_: measured)
    machine.configure(config)
    directory.check_config(config)
    try:
      outcome = loop.train(config, directory, [recorder])
    except loop.callbacks_lib.StoppedError:
      return None, recorder.messages
  weights = outcome.agent.networks['q_network'].variables
  return [w.numpy() for w in weights], recorder.messages


def _backends(path):
  values = json.loads((path / 'config.json').read_text('utf-8'))
  return {n: b['backend'] for n, b in values['machine']['backends'].items()}


@pytest.fixture(name='stopped')
def stopped_fixture(tmp_path, tiny_config):
  """(directory, Config) of a run that was fused and has stopped."""
  config = tiny_config(**_FIELDS)
  _train(tmp_path / 'run', config, _NATIVE, at=150)
  return tmp_path / 'run', config


def test_a_run_goes_on_with_the_backend_it_began_with(
  stopped, tmp_path, tiny_config
):
  path, config = stopped
  expected, _ = _train(tmp_path / 'untouched', config, _NATIVE)
  # As where the cache says otherwise, or was lost.
  found, messages = _train(path, config, _MASKED)
  assert any(text.startswith('Backends: q_network fused') for text in messages)
  assert _backends(path) == {'q_network': 'fused'}
  for weight, other in zip(found, expected, strict=True):
    np.testing.assert_array_equal(weight, other)
  [state] = path.glob('checkpoints/env_step_*200/state.json')
  assert json.loads(state.read_text())['backends'] == {'q_network': 'fused'}


def test_another_backend_is_refused_unless_it_is_told(
  stopped, tiny_config, monkeypatch
):
  path, config = stopped
  before = {p: p.read_bytes() for p in path.rglob('*') if p.is_file()}
  with monkeypatch.context() as patch:
    patch.setattr(backend.library, 'load', lambda: None)
    patch.setattr(backend.library, 'problem', lambda: 'No compiler.')
    patch.setattr(machine.library, 'instruction_set', lambda: None)
    with pytest.raises(
      ValueError,
      match='q_network fused. Received: q_network masked. No compiler. Contin',
    ):
      _train(path, config, _NATIVE)
  assert {p: p.read_bytes() for p in path.rglob('*') if p.is_file()} == before
  told = tiny_config(**_FIELDS, backend='masked')
  weights, messages = _train(path, told, _NATIVE)
  assert weights
  assert 'From env step 150 on: backend auto -> masked.' in messages
  assert _backends(path) == {'q_network': 'masked'}
  # From here on it is the run's own.
  assert runs.config_for(runs.RunDir(path), tiny.RUN | _FIELDS) == told


def test_a_checkpoint_of_before_has_the_backends_of_its_config(
  stopped, tiny_config
):
  path, config = stopped
  described = {'cpu': 'x', 'backends': {'q_network': {'backend': 'masked'}}}
  known = runs.Machine(
    cpu='this',
    instruction_set='avx9',
    backends={'q_network': {'backend': 'native'}},
  )
  with pytest.raises(ValueError, match='q_network native. Received: q_network'):
    machine.difference(known, described, {}, config)
  assert machine.difference(None, described, {}, config) == ''
  here = {'backends': known.backends, 'instruction_set': 'avx2'}
  assert machine.difference(known, here, {}, config) == (
    'The run began with the kernels for avx9 on this; here they are for avx2: '
    'sums are rounded otherwise.'
  )


@pytest.mark.parametrize(
  'damage',
  [7, {}, {'cpu': 3}, {'cpu': 'x', 'backends': {'q_network': {}}}]
  + [
    {'cpu': 'x', 'backends': {}, 'measurements': [each]}
    for each in ({}, 3, {'batch': 1, 'sizes': 'x', 'sparsities': []})
  ],
)
def test_a_damaged_machine_is_told(tmp_path, tiny_config, damage):
  directory = runs.RunDir(tmp_path)
  directory.start(tiny_config())
  path = tmp_path / 'config.json'
  values = json.loads(path.read_text('utf-8'))
  path.write_text(json.dumps({**values, 'machine': damage}), 'utf-8')
  with pytest.raises(runs.RunsError, match='config.json is damaged'):
    directory.read_machine()
