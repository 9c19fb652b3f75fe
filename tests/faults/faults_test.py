"""Runs with a fault at any change of a file end as if nothing had been.

A sample here, every change with `-m slow`: kills, torn writes, disk errors, and
power losses, after which the run is continued by the same command.
"""

import shutil

import numpy as np
import pytest

from tests.faults import power_loss, runs_with_faults

_NAMES = ('journaled', 'unkind')


@pytest.fixture(scope='module', name='runs')
def runs_fixture(tmp_path_factory):
  if not shutil.which('cc'):
    pytest.skip('there is no C compiler')
  runs = runs_with_faults.Runs(tmp_path_factory.mktemp('process'))
  yield runs
  runs.close()


@pytest.fixture(scope='module', name='untouched')
def untouched_fixture(runs, tmp_path_factory):
  """(directory, outcome, changes) of a run that was left alone."""
  directory = tmp_path_factory.mktemp('untouched')
  root, trace = directory / 'run', directory / 'trace'
  ended = runs.run(root, trace=trace)
  assert ended.status == 0, ended.output
  return root, runs_with_faults.outcome(root), power_loss.read(trace)


def _of_call(changes, call, count):
  """Numbers of some changes of a kind, spread over all."""
  found = [i for i, c in enumerate(changes, 1) if c.call == call]
  places = np.linspace(0, len(found) - 1, min(count, len(found)))
  return [found[int(place)] for place in places]


def _numbers(changes, action):
  """Numbers of the changes at which a fault leaves something of its own.

  A kill before a change leaves what those before it made: the same as before a
  `sync` that goes first. A torn call that writes nothing is a kill before the
  next one.
  """
  numbers = range(1, len(changes) + 1)
  if action == 'torn':
    return [n for n in numbers if len(changes[n - 1].data) > 1]
  if action == 'kill':
    return [n for n in numbers if n == 1 or changes[n - 2].call != 'sync']
  return numbers


def _content(path):
  """All of a directory, as one value."""
  found = sorted(path.rglob('*'))
  parts = [(p.relative_to(path), p.is_file() and p.read_bytes()) for p in found]
  return hash(tuple(parts))


def _assert_continues(runs, root, expected):
  ended = runs.run(root)
  assert ended.status == 0, ended.output
  assert 'Traceback' not in ended.output, ended.output
  runs_with_faults.assert_same(runs_with_faults.outcome(root), expected)


def _assert_holds(runs, untouched, root, at, action):
  """A fault at one change, then the same command again."""
  _, expected, _ = untouched
  ended = runs.run(root, at, action)
  if action in ('kill', 'torn'):
    assert runs_with_faults.was_killed(ended), (at, ended)
  else:
    # It may be survived: of a file that only TensorBoard reads.
    assert 'Traceback' not in ended.output, (at, ended.output)
    assert ended.status in (0, 1, 2), (at, ended)
    if ended.status:
      assert str(root) in ended.output, (at, ended.output)
  _assert_continues(runs, root, expected)


def _assert_survives_power_loss(runs, untouched, target, at, names, seen=None):
  root, expected, changes = untouched
  disk = power_loss.Disk(root)
  for change in changes[:at]:
    disk.apply(change)
  disk.write(target, journaled=names == 'journaled')
  if seen is not None:
    if (content := _content(target)) in seen:
      return
    seen.add(content)
  _assert_continues(runs, target, expected)


def test_the_changes_are_all_seen(untouched):
  root, _, changes = untouched
  # What the changes make is what is there, but for what TensorFlow maps.
  disk = power_loss.Disk(root)
  for change in changes:
    disk.apply(change)
  copy = root.with_name('copy')
  disk.write(copy, journaled=True)
  names = {p.relative_to(root) for p in root.rglob('*')}
  assert {p.relative_to(copy) for p in copy.rglob('*')} == names
  assert len(changes) > 100
  for call in ('create', 'write', 'sync', 'rename', 'mkdir', 'remove'):
    assert _of_call(changes, call, 1), call
  # Everything that a finished run promises is on the disk.
  for name in names:
    path = root / name
    if path.is_file() and name.parts[0] not in ('train', 'eval', '.lock'):
      assert (copy / name).read_bytes() == path.read_bytes(), name


def test_a_power_loss_after_the_end_loses_nothing(untouched):
  """The names too: `summary.json` says finished, and it is."""
  root, expected, changes = untouched
  disk = power_loss.Disk(root)
  for change in changes:
    disk.apply(change)
  copy = root.with_name('after_the_end')
  disk.write(copy)
  runs_with_faults.assert_same(runs_with_faults.outcome(copy), expected)


@pytest.mark.parametrize(
  ('call', 'action'),
  [
    ('write', 'torn'),
    ('sync', 'EIO'),
    pytest.param('rename', 'kill', marks=pytest.mark.slow),
    pytest.param('create', 'ENOSPC', marks=pytest.mark.slow),
  ],
)
def test_a_fault(runs, untouched, tmp_path, call, action):
  at = _of_call(untouched[2], call, 5)[2]
  _assert_holds(runs, untouched, tmp_path / 'run', at, action)


@pytest.mark.parametrize('names', ['unkind'])
def test_a_power_loss(runs, untouched, tmp_path, names):
  at = _of_call(untouched[2], 'rename', 5)[3]
  target = tmp_path / 'run'
  _assert_survives_power_loss(runs, untouched, target, at, names)


@pytest.mark.slow
@pytest.mark.parametrize('action', ['kill', 'torn', 'EIO', 'ENOSPC'])
def test_a_fault_at_every_change(runs, untouched, tmp_path, action):
  for at in _numbers(untouched[2], action):
    root = tmp_path / str(at)
    _assert_holds(runs, untouched, root, at, action)
    shutil.rmtree(root)


@pytest.mark.slow
@pytest.mark.parametrize('names', _NAMES)
def test_a_power_loss_at_every_change(runs, untouched, tmp_path, names):
  seen = set()
  for at in range(len(untouched[2]) + 1):
    target = tmp_path / str(at)
    _assert_survives_power_loss(runs, untouched, target, at, names, seen)
    shutil.rmtree(target)
