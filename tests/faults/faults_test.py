"""Runs with a fault at any change of a file end as if nothing had been.

A sample here, every change with `-m slow`: kills, torn writes, disk errors, and
power losses, after which the run is continued by the same command.
"""

import re
import shutil

import numpy as np
import pytest

from tests.faults import power_loss, runs_with_faults

_RANDOM = re.compile(r'[0-9a-f]{8}\.tmp|tempstate\d+|\.tmp[0-9a-f]{32}')
# Clocks, and hashes of what has them.
_VARIES = re.compile(
  rb'"[a-z_]*(second|per_sec|memory|date)[a-z_]*": [^,}]*|"[0-9a-f]{64}"'
)


@pytest.fixture(scope='module', name='runs')
def runs_fixture(tmp_path_factory):
  if not shutil.which('cc'):
    pytest.skip('there is no C compiler')
  runs = runs_with_faults.Runs(tmp_path_factory.mktemp('process'))
  yield runs
  runs.close()


@pytest.fixture(scope='module', name='one_process')
def one_process_fixture(tmp_path_factory):
  runs = runs_with_faults.OneProcess(tmp_path_factory.mktemp('one_process'))
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


def _content(path):
  """All of a directory but clocks and random names, as one value.

  Of TensorBoard's files, which have times inside, and of the policy's program
  the sizes.
  """
  found = []
  for entry in path.rglob('*'):
    name = _RANDOM.sub('random', str(entry.relative_to(path)))
    content = entry.is_file() and entry.read_bytes()
    if re.match(r'eval/|train/|policy.*pb', name):
      content = content and len(content)
    elif '.json' in name:
      content = _VARIES.sub(b'', content)
    found.append((name, content))
  return hash(tuple(sorted(found, key=str)))


def _sizes(path):
  """{name: bytes} of all files.

  No bytes of those with clocks, paths or random numbers inside, nor of
  TensorFlow's, which a kill may find in its buffers.
  """
  found = {}
  for entry in path.rglob('*'):
    name = _RANDOM.sub('random', str(entry.relative_to(path)))
    varies = re.search(r'^eval/|\.json|/agent|fingerprint', name)
    is_fixed = entry.is_file() and not varies
    found[name] = is_fixed and entry.stat().st_size
  return found


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


def _left(untouched, at, names):
  """The Disk before a change, number `at` + 1; None for one that repeats."""
  root, _, changes = untouched
  disk = power_loss.Disk(root)
  for change in changes[:at]:
    disk.apply(change)
  if names == 'torn':
    half = at < len(changes) and power_loss.torn(changes[at])
    if not half:
      return None  # The kill before it, or that after it.
    disk.apply(half)
  return disk


def test_the_changes_are_all_seen(untouched):
  root, _, changes = untouched
  # What the changes make is what is there, but for what TensorFlow maps.
  disk = power_loss.Disk(root)
  for change in changes:
    disk.apply(change)
  copy = root.with_name('copy')
  disk.write(copy, 'journaled')
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


def test_a_power_loss(runs, untouched, tmp_path):
  at = _of_call(untouched[2], 'rename', 5)[3]
  _left(untouched, at, 'unkind').write(tmp_path / 'run')
  _assert_continues(runs, tmp_path / 'run', untouched[1])


@pytest.mark.slow
@pytest.mark.parametrize('call', ['create', 'write', 'rename'])
@pytest.mark.parametrize('action', ['kill', 'torn'])
def test_a_kill_leaves_what_the_changes_before_it_make(
  runs, untouched, tmp_path, call, action
):
  """So the next test need not kill."""
  for number in _of_call(untouched[2], call, 5):
    root = tmp_path / str(number)
    assert runs_with_faults.was_killed(runs.run(root, number, action))
    disk = _left(untouched, number - 1, action)
    if disk is None:  # Torn after the change.
      disk = _left(untouched, number, 'kill')
    disk.write(tmp_path / 'made', 'kill')
    assert _sizes(root) == _sizes(tmp_path / 'made')
    shutil.rmtree(tmp_path / 'made')


@pytest.fixture(name='seen', scope='module')
def seen_fixture():
  """The directories that a run was continued from."""
  return set()


@pytest.mark.slow
@pytest.mark.parametrize('names', ['unkind', 'kill', 'torn', 'journaled'])
def test_what_is_left_at_any_change_continues(
  one_process, untouched, tmp_path, seen, names
):
  for at in range(len(untouched[2]) + 1):
    disk, target = _left(untouched, at, names), tmp_path / 'run'
    if disk is None:
      continue
    disk.write(target, 'kill' if names == 'torn' else names)
    _assert_continues_once(one_process, target, untouched[1], seen, at)


@pytest.mark.slow
@pytest.mark.parametrize(
  ('action', 'calls'),
  [
    ('ENOSPC', ('create', 'write', 'mkdir', 'sync')),
    ('EIO', ('create', 'write', 'mkdir', 'sync', 'rename', 'remove', 'cut')),
  ],
)
def test_an_error_at_any_change(
  one_process, untouched, tmp_path, seen, action, calls
):
  for number, change in enumerate(untouched[2], 1):
    if change.call in calls:
      root = tmp_path / str(number)
      error = one_process.run(root, number, action)
      assert not error or str(root) in error, (number, error)
      _assert_continues_once(
        one_process, root, untouched[1], seen, f'{number}: {error}'
      )


def _assert_continues_once(one_process, root, expected, seen, what):
  """Continues a run, unless it is as one that was; removes it."""
  if (content := _content(root)) not in seen:
    seen.add(content)
    assert one_process.run(root) == '', what
    runs_with_faults.assert_same(runs_with_faults.outcome(root), expected)
  print(f'{what}. Directories so far: {len(seen)}', flush=True)
  shutil.rmtree(root, ignore_errors=True)  # It may never have been made.
