"""Checkpoints: whole or not there, whatever happens to a run and its disk."""

import dataclasses
import errno
import functools
import hashlib
import io
import json
import os
import pathlib
import pickle
import shutil
import types

import numpy as np
import pytest
import tensorflow as tf

from tests import tiny
from tf_sparse_rl import envs, files, replay
from tf_sparse_rl.agents import registry
from tf_sparse_rl.envs import gymnasium_env
from tf_sparse_rl.training import checkpoints, metrics, state


class _Run:
  """A small run state for checkpoints, a function of the env step."""

  def __init__(self, path, capacity=50):
    self.agent = tf.Module()
    self.agent.weights = tf.Variable(tf.zeros([3]))
    self.agent.train_step = tf.Variable(0, dtype=tf.int64)
    self.buffer = replay.Replay(capacity, envs.EnvSpec('Made-v0', 1, 3, None))
    self.path = path
    self.checkpoints = checkpoints.Checkpoints(
      path, {'agent': self.agent}, self.buffer
    )
    self.told = []

  def train_to(self, env_step):
    for i in range(self.buffer.num_added, env_step):
      step = gymnasium_env.Step(np.float32([i + 1]), i / 7, i % 5 == 0, False)
      self.buffer.add(np.float32([i]), i % 3, step)
    self.agent.weights.assign([env_step / 3, 0.0, -float(env_step)])
    self.agent.train_step.assign(env_step)
    return self

  def save(self, *env_steps):
    for env_step in env_steps:
      self.train_to(env_step)
      self.checkpoints.save(env_step, _state(env_step))
    return self

  def restore(self):
    """The env step restored, or None; everything else must belong to it."""
    restored = self.checkpoints.restore(self.told.append)
    if restored is None:
      return None
    env_step = restored['env_step']
    assert restored == _state(env_step)
    expected = _Run('unused', self.buffer.capacity).train_to(env_step)
    for name in ('weights', 'train_step'):
      np.testing.assert_array_equal(
        getattr(self.agent, name), getattr(expected.agent, name)
      )
    assert self.buffer.num_added == env_step
    begin = env_step - len(self.buffer)
    np.testing.assert_array_equal(
      self.buffer.rows(begin, env_step), expected.buffer.rows(begin, env_step)
    )
    return env_step

  def names(self):
    return sorted(entry.name for entry in self.path.iterdir())


def _state(env_step):
  return {'env_step': env_step, 'x': [env_step / 7, None, 'a']}


def _checkpoint(path, env_step):
  return path / f'env_step_{env_step:012d}'


def _segment(begin, end):
  return f'replay_{begin:012d}_{end:012d}.npy'


def _content(path):
  """{path: (bytes, time of the last change)} of all files."""
  return {
    str(file): (file.read_bytes(), file.stat().st_mtime_ns)
    for file in sorted(path.rglob('*'))
    if file.is_file()
  }


def _digest(content):
  return hashlib.sha256(content).hexdigest()


def _rehash(checkpoint):
  """Makes the manifest say what the files now are, as if written so."""
  path = checkpoint / 'manifest.json'
  manifest = json.loads(path.read_text('utf-8'))
  manifest['files'] = {
    file.name: _digest(file.read_bytes())
    for file in sorted(checkpoint.iterdir())
    if file != path
  }
  for segment in manifest['segments']:
    content = (checkpoint.parent / segment['name']).read_bytes()
    segment['sha256'] = _digest(content)
  _write_manifest(path, manifest)


def _write_manifest(path, manifest):
  manifest.pop('sha256', None)
  manifest['sha256'] = _digest(json.dumps(manifest).encode())
  path.write_text(json.dumps(manifest), 'utf-8')


@pytest.fixture(name='path')
def path_fixture(tmp_path):
  return tmp_path / 'checkpoints'


def test_nothing_is_restored_from_nothing(path):
  run = _Run(path)
  assert run.restore() is None
  assert run.told == []
  assert not path.exists()


@pytest.mark.parametrize('env_step', [1, 20, 49, 50, 51, 100, 120])
def test_what_was_saved_is_restored(path, env_step):
  _Run(path).save(env_step)
  assert _Run(path).restore() == env_step


@pytest.mark.parametrize('env_step', [68, 69, 70, 71])
def test_a_segment_stays_until_its_last_transition_is_gone(path, env_step):
  _Run(path, capacity=50).save(20, env_step)
  segments = json.loads(
    (_checkpoint(path, env_step) / 'manifest.json').read_text('utf-8')
  )['segments']
  # At 69 the ring begins with transition 19, the last of the first segment.
  begins = {68: [0, 20], 69: [0, 20], 70: [20], 71: [21]}[env_step]
  assert [segment['begin'] for segment in segments] == begins
  assert _Run(path, capacity=50).restore() == env_step


def test_a_manifest_tells_all_files_by_their_hashes(path):
  _Run(path).save(20, 30)
  checkpoint = _checkpoint(path, 30)
  manifest = json.loads((checkpoint / 'manifest.json').read_text('utf-8'))
  names = ['agent.data-00000-of-00001', 'agent.index', 'state.json']
  assert {p.name for p in checkpoint.iterdir()} == {*names, 'manifest.json'}
  assert (manifest['format'], manifest['env_step']) == (3, 30)
  assert manifest['num_added'] == 30
  assert manifest['files'] == {
    name: _digest((checkpoint / name).read_bytes()) for name in names
  }
  assert manifest['segments'] == [
    {
      'name': _segment(begin, end),
      'begin': begin,
      'end': end,
      'sha256': _digest((path / _segment(begin, end)).read_bytes()),
    }
    for begin, end in [(0, 20), (20, 30)]
  ]


def test_a_segment_has_the_new_transitions_and_no_others(path):
  run = _Run(path, capacity=50).save(20, 21, 40, 60, 200)
  rows = np.load(path / _segment(21, 40))
  np.testing.assert_array_equal(rows[:, 0], np.arange(21, 40))
  # 19 rows of 6 float32 and the 128 bytes that NumPy puts in front.
  assert (path / _segment(21, 40)).stat().st_size == 19 * 6 * 4 + 128
  # Across the end of the ring.
  rows = np.load(path / _segment(40, 60))
  np.testing.assert_array_equal(rows[:, 0], np.arange(40, 60))
  # The ring has forgotten 60 to 149.
  assert _segment(150, 200) in run.names()


def test_the_last_three_stay_with_the_segments_they_need(path):
  run = _Run(path, capacity=50).save(*range(20, 201, 20))
  # Transitions 110 to 159 are in the replay of 160.
  assert run.names() == [
    *(_checkpoint(path, n).name for n in (160, 180, 200)),
    *(_segment(n, n + 20) for n in (100, 120, 140, 160, 180)),
  ]


def test_the_best_stays_until_there_is_a_better_one(path):
  run = _Run(path, capacity=50).save(20, 40)
  run.checkpoints.evaluated(20, -5.0)
  run.checkpoints.evaluated(40, -2.0)
  run.save(60, 80, 100)
  run.checkpoints.evaluated(100, -2.0)  # As good is not better.
  run.save(120)
  newest = [_checkpoint(path, n).name for n in (80, 100, 120)]
  assert run.names()[:4] == [_checkpoint(path, 40).name, *newest]
  assert {_segment(0, 20), _segment(20, 40)} <= set(run.names())

  # The same after a restart.
  run = _Run(path, capacity=50)
  assert run.restore() == 120
  run.checkpoints.evaluated(120, -3.0)
  run.save(140, 160, 180, 200)
  assert _checkpoint(path, 40).exists()
  run.checkpoints.evaluated(200, -1.0)
  run.save(220)
  assert not _checkpoint(path, 40).exists()
  run.save(240, 260, 280)
  kept = [_checkpoint(path, n).name for n in (200, 240, 260, 280)]
  # 150 to 199 are in the replay of 200, 190 to 239 in that of 240.
  segments = [_segment(n, n + 20) for n in range(140, 280, 20)]
  assert run.names() == [*kept, *segments]


def test_the_best_can_be_restored(path):
  run = _Run(path).save(20)
  run.checkpoints.evaluated(20, 1.0)
  run.save(*range(40, 201, 20))
  for env_step in (160, 180, 200):
    shutil.rmtree(_checkpoint(path, env_step))
  assert _Run(path).restore() == 20


def test_an_evaluation_without_a_checkpoint_is_no_best(path):
  run = _Run(path).save(20)
  run.checkpoints.evaluated(30, 100.0)
  run.checkpoints.evaluated(20, 1.0)
  run.save(40, 60, 80, 100)
  assert _checkpoint(path, 20).exists()


def test_what_is_complete_is_never_touched(path):
  run = _Run(path).save(20, 40)
  before = _content(path)
  run.save(40)
  run.checkpoints.save(40, {'something': 'else'})
  assert _content(path) == before


def test_a_restored_run_saves_what_an_untouched_one_does(path, tmp_path):
  untouched = _Run(tmp_path / 'untouched').save(20, 40, 60, 80, 100)
  run = _Run(path).save(20, 40)
  for env_steps in [(60, 80), (100,)]:
    run = _Run(path)
    run.restore()
    run.save(*env_steps)
  assert run.names() == untouched.names()
  for name in untouched.names():
    if name.endswith('.npy'):
      assert (path / name).read_bytes() == (
        untouched.path / name
      ).read_bytes(), name


def test_what_was_not_completed_is_neither_loaded_nor_kept(path):
  _Run(path).save(20, 40)
  torn = _checkpoint(path, 60)
  shutil.copytree(_checkpoint(path, 40), torn)
  (torn / 'manifest.json').rename(torn / 'manifest.json.0a1b2c3d.tmp')
  shutil.copytree(torn, path / f'{_checkpoint(path, 80).name}.tmp')
  (path / f'{_segment(40, 60)}.0a1b2c3d.tmp').write_bytes(b'torn')
  (path / _segment(40, 60)).write_bytes(b'needed by none')
  run = _Run(path)
  assert run.restore() == 40
  assert run.told == []
  run.save(60)
  assert run.names() == [
    *(_checkpoint(path, n).name for n in (20, 40, 60)),
    *(_segment(n, n + 20) for n in (0, 20, 40)),
  ]
  assert _Run(path).restore() == 60


_NOTES = (
  'notes.txt',
  'backup/env_step_000000000020/agent.index',
  'env_step_20/mine',
  'env_step_000000000020/mine',
  'env_step_000000000020.bak/state.json',
  'replay.npy',
  'replay_0_20.npy',
)


def test_what_is_not_of_ours_stays(path):
  run = _Run(path, capacity=50).save(20)
  for name in _NOTES:
    (path / name).parent.mkdir(parents=True, exist_ok=True)
    (path / name).write_text('mine')
  run.save(40, 60, 80, 100, 120)
  kept = [str(p.relative_to(path)) for p in path.rglob('*') if p.is_file()]
  assert {name for name in kept if 'env_step_000000000020/' in name} == {
    'env_step_000000000020/mine',
    'backup/env_step_000000000020/agent.index',
  }
  assert all((path / name).read_text() == 'mine' for name in _NOTES)
  assert _Run(path, capacity=50).restore() == 120


def test_a_checkpoint_of_where_something_else_stayed(path):
  _Run(path).save(20, 40)
  (_checkpoint(path, 40) / 'mine').write_text('mine')
  (_checkpoint(path, 40) / 'manifest.json').unlink()
  run = _Run(path)
  assert run.restore() == 20
  run.save(40)
  assert (_checkpoint(path, 40) / 'mine').read_text() == 'mine'
  assert _Run(path).restore() == 40


@pytest.mark.parametrize(
  'name',
  [
    '',
    'env_step_000000000020',
    'env_step_000000000060.tmp',
    'damaged_env_step_000000000020',
    _segment(0, 20),
    f'{_segment(20, 40)}.0a1b2c3d.tmp',
  ],
)
@pytest.mark.parametrize('there', [True, False])
def test_links_are_refused_and_nothing_is_changed(path, tmp_path, name, there):
  _Run(path).save(20, 40)
  target = tmp_path / 'target'
  if (path / name).exists():
    (path / name).rename(target)
    if not there:
      target.rename(tmp_path / 'moved')
  elif there:
    target.mkdir()
    (target / 'state.json').write_text('mine')
  (path / name).symlink_to(target)
  before = _content(tmp_path)
  run = _Run(path).train_to(60)
  for act in (run.checkpoints.restore, lambda: run.save(60)):
    with pytest.raises(files.LinkError, match=f'a link to {target}, which is'):
      act()
  assert _content(tmp_path) == before


class _Kill(BaseException):
  """The end of a process, which nothing in it can handle."""


class _Saboteur:
  """Raises at the k-th change that a save makes on the disk."""

  def __init__(self, monkeypatch, path, k, after, error):
    self._path, self._k, self._error = path, k, error
    self._after = after  # The change is still made.
    self.calls = []
    # What is on the disk for good, by inode; all files at first.
    self._synced = {file.stat().st_ino for file in path.rglob('*')}
    for owner, name in [
      (os, 'fsync'),
      (os, 'replace'),
      (np, 'save'),
      (shutil, 'rmtree'),
      (tf.train.Checkpoint, 'write'),
      (pathlib.Path, 'mkdir'),
      (pathlib.Path, 'rename'),
      (pathlib.Path, 'unlink'),
    ]:
      original = getattr(owner, name)
      monkeypatch.setattr(owner, name, self._wrapped(name, original))

  def _wrapped(self, name, original):
    def function(*args, **kwargs):
      self.calls.append(name)
      if len(self.calls) < self._k:
        result = original(*args, **kwargs)
        if name == 'fsync':
          self._synced.add(os.fstat(args[0]).st_ino)
        return result
      if self._after and len(self.calls) == self._k:
        original(*args, **kwargs)
      raise self._error

    return function

  def lose_power(self):
    """Tears the files that were not synced."""
    for file in self._path.rglob('*'):
      if file.is_file() and file.stat().st_ino not in self._synced:
        os.truncate(file, file.stat().st_size // 2)


def _names_given(calls):
  """Renames so far; a save has four: segment, state, directory, manifest."""
  return calls.count('replace') + calls.count('rename')


def test_what_tensorflow_could_not_remove_is_no_part(tmp_path, monkeypatch):
  run = _Run(tmp_path)
  write = run.checkpoints._variables.write

  def leave_some(prefix):
    write(prefix)
    pathlib.Path(f'{prefix}_temp').mkdir()

  monkeypatch.setattr(run.checkpoints._variables, 'write', leave_some)
  run.save(20)
  assert _Run(tmp_path).restore() == 20
  assert not list(tmp_path.rglob('agent_temp'))


@pytest.mark.parametrize(
  'error, after',
  [(OSError(errno.ENOSPC, 'No space left on device'), False), (_Kill(), True)],
)
def test_a_save_cut_short_anywhere_leaves_the_old_or_the_new(
  tmp_path, error, after
):
  original = _Run(tmp_path / 'original').save(20)
  original.checkpoints.evaluated(20, 1.0)
  original.save(40, 60, 80)
  for k in range(1, 1000):
    path = tmp_path / str(k)
    shutil.copytree(original.path, path)
    run = _Run(path)
    assert run.restore() == 80
    run.train_to(100)
    with pytest.MonkeyPatch.context() as monkeypatch:
      saboteur = _Saboteur(monkeypatch, path, k, after, error)
      try:
        run.checkpoints.save(100, _state(100))
        break  # There is no k-th change.
      except type(error):
        pass
    saboteur.lose_power()

    run = _Run(path)
    restored = run.restore()
    assert run.told == [], saboteur.calls
    # It is the new one from the moment on at which its manifest has its name.
    done = saboteur.calls[: k if after else k - 1]
    assert restored == (100 if _names_given(done) == 4 else 80), saboteur.calls
    run.save(100, 120)
    # Both segments of the torn save and its temporary files are gone.
    assert run.names() == [
      *(_checkpoint(path, n).name for n in (20, 80, 100, 120)),
      *(_segment(n, n + 20) for n in range(0, 120, 20)),
    ], saboteur.calls
    assert _Run(path).restore() == 120
    shutil.rmtree(path)
  # Of a save that was not cut short: it came to its end, and there was a lot
  # to cut.
  assert k > 15
  assert _names_given(saboteur.calls) == 4
  # All the files are on the disk before the mark of completeness, and it too.
  last_but_one = saboteur.calls.index('unlink')
  assert saboteur.calls[last_but_one - 3 : last_but_one] == [
    'fsync',
    'replace',
    'fsync',
  ]
  assert _Run(path).restore() == 100


def _truncate(file):
  os.truncate(file, file.stat().st_size // 2)


def _empty(file):
  os.truncate(file, 0)


def _flip(file):
  content = bytearray(file.read_bytes())
  content[len(content) // 2] ^= 1
  file.write_bytes(content)


def _zeros(file):
  """Fills a file with zeros, as some file systems do at a power failure."""
  file.write_bytes(bytes(file.stat().st_size))


def _remove(file):
  file.unlink()


_DAMAGES = (_truncate, _empty, _flip, _zeros, _remove)
_FILES = (
  'agent.data-00000-of-00001',
  'agent.index',
  'state.json',
  'manifest.json',
  f'../{_segment(40, 60)}',
)


def _told(env_step):
  return (
    'A damaged checkpoint is set aside. '
    f'{_checkpoint(pathlib.Path(), env_step).name}: '
  )


@pytest.mark.parametrize(
  'name, damage',
  [
    (name, damage)
    for name in _FILES
    for damage in _DAMAGES
    # Without its mark it is not complete; that is another test.
    if (name, damage) != ('manifest.json', _remove)
  ],
)
def test_from_a_damaged_checkpoint_it_falls_back_and_says_so(
  path, name, damage
):
  _Run(path).save(20, 40, 60)
  damage(_checkpoint(path, 60) / name)
  run = _Run(path)
  assert run.restore() == 40
  [told] = run.told
  assert told.startswith(_told(60))
  assert pathlib.Path(name).name in told
  # The damaged one is out of the way, the run goes on as ever.
  run.save(60, 80)
  run = _Run(path)
  assert run.restore() == 80
  assert run.told == []
  assert (path / f'damaged_{_checkpoint(path, 60).name}').is_dir()


def test_two_damaged_checkpoints_are_passed_over(path):
  _Run(path).save(20, 40, 60)
  _flip(_checkpoint(path, 60) / 'state.json')
  _truncate(_checkpoint(path, 40) / 'agent.index')
  run = _Run(path)
  assert run.restore() == 20
  assert [told.partition('. ')[2][:21] for told in run.told] == [
    'env_step_000000000060',
    'env_step_000000000040',
  ]


def test_a_checkpoint_may_be_damaged_again(path):
  _Run(path).save(20, 40)
  for _ in range(3):
    _flip(_checkpoint(path, 40) / 'state.json')
    run = _Run(path)
    assert run.restore() == 20
    assert len(run.told) == 1
    run.save(40)
  assert _Run(path).restore() == 40


@pytest.mark.parametrize('damage', _DAMAGES)
def test_a_damaged_older_checkpoint_does_not_stop_a_run(path, damage):
  _Run(path).save(20, 40, 60)
  damage(_checkpoint(path, 40) / 'manifest.json')
  run = _Run(path)
  assert run.restore() == 60
  run.save(80, 100, 120)
  assert _Run(path).restore() == 120


def test_every_bit_of_a_manifest_counts(path):
  _Run(path, capacity=10).save(20, 40)
  manifest = _checkpoint(path, 40) / 'manifest.json'
  content = manifest.read_bytes()
  for i in range(0, len(content), 3):
    flipped = bytearray(content)
    flipped[i] ^= 1 << (i % 7)
    manifest.write_bytes(flipped)
    run = _Run(path, capacity=10)
    # Either it is passed over or, like a space for a tab, it says the same.
    assert run.restore() == (20 if run.told else 40), flipped[: i + 1]
    if run.told:
      damaged = path / f'damaged_{_checkpoint(path, 40).name}'
      damaged.rename(_checkpoint(path, 40))


@pytest.mark.parametrize('name', _FILES)
def test_without_a_good_checkpoint_it_refuses_and_changes_nothing(path, name):
  _Run(path).save(20, 40, 60)
  for env_step in (20, 40, 60):
    file = _checkpoint(path, env_step) / name
    if '..' in name:
      file = path / _segment(env_step - 20, env_step)
    _flip(file)
  before = _content(path)
  run = _Run(path).train_to(7)
  with pytest.raises(checkpoints.CheckpointError) as error:
    run.checkpoints.restore(run.told.append)
  assert _content(path) == before
  assert run.told == []
  # Nothing of a file that is not as it was written has reached the run.
  assert run.agent.train_step == 7
  assert run.buffer.num_added == 7
  lines = str(error.value).splitlines()
  assert lines[0] == f'None of the checkpoints in {path} can be used:'
  for line, env_step in zip(lines[1:4], (60, 40, 20)):
    assert line.startswith(f'  {_checkpoint(path, env_step).name}: ')
  assert 'Nothing was changed.' in lines[4] and '--root_dir' in lines[4]


def _change_format(checkpoint):
  manifest = json.loads((checkpoint / 'manifest.json').read_text('utf-8'))
  manifest['format'] = 4
  _write_manifest(checkpoint / 'manifest.json', manifest)


def test_another_format_version_is_told(path):
  _Run(path).save(20, 40)
  _change_format(_checkpoint(path, 40))
  run = _Run(path)
  assert run.restore() == 20
  assert run.told == [
    _told(40) + 'its format is 4, where 3 was expected: it is of another '
    'version of tf_sparse_rl.'
  ]
  _change_format(_checkpoint(path, 20))
  with pytest.raises(checkpoints.CheckpointError, match='its format is 4'):
    _Run(path).restore()


class _Payload:
  """Unpickled, it creates a file."""

  def __init__(self, path):
    self._path = path

  def __reduce__(self):
    return (pathlib.Path.touch, (self._path,))


def _object_array(payload):
  file = io.BytesIO()
  np.save(file, np.array([[payload]], object), allow_pickle=True)
  return file.getvalue()


def _archive(payload):
  file = io.BytesIO()
  np.savez(file, rows=np.array([[payload]], object))
  return file.getvalue()


@pytest.mark.parametrize(
  'content',
  [_object_array, pickle.dumps, _archive, lambda _: b'', lambda _: b'\x93NU'],
)
@pytest.mark.parametrize('others', [True, False])
def test_a_segment_cannot_bring_code(path, tmp_path, content, others):
  _Run(path).save(*([20, 40] if others else [40]))
  segment = path / _segment(20 if others else 0, 40)
  segment.write_bytes(content(_Payload(tmp_path / 'executed')))
  _rehash(_checkpoint(path, 40))
  run = _Run(path)
  if others:
    assert run.restore() == 20
    assert len(run.told) == 1
  else:
    before = _content(path)
    with pytest.raises(checkpoints.CheckpointError):
      run.restore()
    assert _content(path) == before
  assert not (tmp_path / 'executed').exists()


@pytest.mark.parametrize(
  'rows',
  [
    np.zeros([20, 7], np.float32),
    np.zeros([19, 6], np.float32),
    np.zeros([100], np.float32),
    np.zeros([], np.float32),
    np.full([20, 6], 'text'),
    np.zeros([20, 6], [('a', np.float32), ('b', np.int32)]),
  ],
)
def test_a_segment_of_another_shape_is_told(path, rows):
  _Run(path).save(20, 40)
  np.save(path / _segment(20, 40), rows)
  _rehash(_checkpoint(path, 40))
  run = _Run(path)
  assert run.restore() == 20
  assert run.told[0].startswith(_told(40) + 'it does not fit this run (')


def _agent(tiny_config, **changes):
  spec = envs.EnvSpec('CartPole-v1', 4, 2, 500)
  return registry.build(tiny_config(**changes), spec).tf_agent


@pytest.fixture(name='agents', scope='module')
def agents_fixture(tiny_config):
  """Agents of DQN that differ in what they have to restore."""
  return {
    'usual': _agent(tiny_config),
    'smaller': _agent(tiny_config, hidden_units=(32, 16)),
    'deeper': _agent(tiny_config, hidden_units=(32, 32, 32)),
    'dense': _agent(tiny_config, method='dense'),
  }


@pytest.mark.parametrize('other', ['smaller', 'deeper', 'dense'])
def test_an_agent_of_another_run_is_refused(path, agents, other):
  def keeper(name, path):
    buffer = replay.Replay(50, envs.EnvSpec('CartPole-v1', 4, 2, 500))
    return checkpoints.Checkpoints(path, {'agent': agents[name]}, buffer)

  keeper('usual', path).save(20, {'from': 20})
  keeper('usual', path).save(40, {'from': 40})
  weights = [v.numpy() for v in agents['usual'].variables]
  keeper(other, path.with_name('other')).save(40, {'from': 40})
  for file in _checkpoint(path.with_name('other'), 40).glob('agent.*'):
    shutil.copy(file, _checkpoint(path, 40))
  _rehash(_checkpoint(path, 40))
  told = []
  assert keeper('usual', path).restore(told.append) == {'from': 20}
  assert len(told) == 1
  assert told[0].startswith(_told(40) + 'it does not fit this run (')
  # What had been loaded of the other one is no longer there.
  for variable, value in zip(agents['usual'].variables, weights):
    np.testing.assert_array_equal(variable, value)

  for file in _checkpoint(path.with_name('other'), 40).glob('agent.*'):
    shutil.copy(file, _checkpoint(path, 20))
  _rehash(_checkpoint(path, 20))
  before = _content(path)
  with pytest.raises(checkpoints.CheckpointError, match='does not fit'):
    keeper('usual', path).restore(told.append)
  assert _content(path) == before


_RESULT = tiny.evaluation(0, 0.1 + 0.2, returns=[0.1, 1e300])


@pytest.mark.parametrize(
  'actions',
  [
    np.array([3]),
    np.int32([2, 0]),
    np.float32([[0.1, -1 / 3]]),
    np.zeros([1, 0], np.float32),
  ],
)
def test_a_state_is_the_same_through_json(tiny_config, actions):
  here = state.State.begin(tiny_config(seed=5))
  here.env_step = 7
  here.rng.integers(3, dtype=np.int32)  # Leaves half a word for the next one.
  here.actions = actions
  here.scalars = {'Losses/loss': tf.constant(1 / 3), 'Agent/alpha': np.nan}
  here.results = [_RESULT]
  position = {'seed': 2**31 - 1, 'actions': [1, 0]}
  environments = [types.SimpleNamespace(position=position)] * len(actions)
  here.episodes = metrics.Episodes(len(actions))
  here.episodes.add(gymnasium_env.Step(None, 1 / 3, True, False))
  text = json.dumps(here.to_json(environments))
  there = state.State.from_json(json.loads(text), 7, len(actions))
  assert there.env_step == 7
  assert there.positions == [position] * len(actions)
  assert there.results == [_RESULT]
  assert there.scalars['Losses/loss'] == np.float32(1 / 3)
  assert np.isnan(there.scalars['Agent/alpha'])
  assert there.episodes.to_json() == here.episodes.to_json()
  np.testing.assert_array_equal(there.actions, actions)
  assert there.actions.shape == actions.shape
  assert there.actions.dtype == (
    np.float32 if actions.dtype == np.float32 else np.int32
  )
  for draw in (
    lambda rng: rng.integers(3, size=9, dtype=np.int32),
    lambda rng: rng.normal(size=9),
    lambda rng: rng.random(9, np.float32),
  ):
    np.testing.assert_array_equal(draw(there.rng), draw(here.rng))


_NAN = float('nan')


@pytest.mark.parametrize(
  'changes',
  [
    {'env_step': 8},
    {'env_step': '7'},
    {'env_step': None},
    {'rng': {}},
    {'rng': {'bit_generator': 'MT19937'}},
    {'rng': {'bit_generator': 'PCG64', 'state': {'state': -1, 'inc': 1}}},
    {'positions': []},
    {'positions': [{'seed': 'x', 'actions': []}]},
    {'positions': [[]]},
    {'actions': []},
    {'actions': ['left']},
    {'actions': [[1], [1, 2]]},
    {'actions': [10**40]},
    {'actions': {}},
    {'scalars': {'Losses/loss': 'low'}},
    {'scalars': []},
    {'episodes': {}},
    {'episodes': {'count': 0, 'returns': [], 'lengths': [], 'current': []}},
    {'episodes': {'count': 0, 'returns': [], 'lengths': [], 'current': [[1]]}},
    {'clock': {'wall_seconds': _NAN, 'trained_seconds': 0.0, 'env_steps': 0}},
    {'clock': [0, 0, 0]},
    {'results': []},
    {'results': [{}]},
    {'results': [tiny.evaluation(8).to_json()]},
    {'diagnosis': 3},
    {'backends': {'actor': 3}},
  ],
)
def test_a_state_of_the_right_hash_and_wrong_content(
  path, tiny_config, changes
):
  now = state.State.begin(tiny_config())
  now.actions, now.results = np.array([1]), [_RESULT]
  position = {'seed': 1, 'actions': [0]}
  environments = [types.SimpleNamespace(position=position)]
  parse = functools.partial(state.State.from_json, num_envs=1)

  run = _Run(path)
  for env_step in (5, 7):
    now.env_step = env_step
    run.train_to(env_step)
    run.checkpoints.save(env_step, now.to_json(environments))
  assert _Run(path).checkpoints.restore(parse=parse).env_step == 7

  file = _checkpoint(path, 7) / 'state.json'
  values = json.loads(file.read_text('utf-8'))
  file.write_text(json.dumps({**values, **changes}), 'utf-8')
  _rehash(_checkpoint(path, 7))
  run = _Run(path)
  restored = run.checkpoints.restore(run.told.append, parse)
  assert restored.env_step == 5
  assert run.agent.train_step == 5
  [told] = run.told
  assert told.startswith(_told(7) + 'state.json is not one: Expected '), told


@pytest.mark.parametrize('content', [b'', b'[]', b'null', b'{}', b'\xff'])
def test_a_state_that_is_none(path, tiny_config, content):
  parse = functools.partial(state.State.from_json, num_envs=1)
  run = _Run(path).save(20)
  (_checkpoint(path, 20) / 'state.json').write_bytes(content)
  _rehash(_checkpoint(path, 20))
  with pytest.raises(checkpoints.CheckpointError, match='state.json'):
    run.checkpoints.restore(parse=parse)


def test_a_state_says_all_that_it_has(tiny_config):
  here = state.State.begin(tiny_config())
  here.actions = np.array([1])
  names = [field.name for field in dataclasses.fields(state.State)]
  assert list(here.to_json([])) == names
  assert here.episodes.count == 0 and isinstance(here.clock, metrics.Clock)


def test_each_environment_begins_with_an_episode_of_its_own(tiny_config):
  now = state.State.begin(tiny_config(num_envs=3))
  seeds = [position['seed'] for position in now.positions]
  assert seeds == [state.episode_seed(tiny_config(), i) for i in range(3)]
  assert len(set(seeds)) == 3


@pytest.mark.parametrize(
  'kind',
  [
    tf.errors.ResourceExhaustedError,
    tf.errors.OutOfRangeError,
    tf.errors.UnknownError,
  ],
)
def test_disk_errors_of_tensorflow_are_those_of_the_system(kind):
  with pytest.raises(OSError, match='^/a/agent; Input/output error$'):
    with checkpoints.disk_errors():
      raise kind(
        None, None, '{{function_node SaveV2}} /a/agent; Input/output error'
      )
