"""Whole files: after a kill, a full disk, an error in between."""

import errno
import json
import os
import socket
import stat
import threading

import pytest

from tf_sparse_rl import files, locks


def test_written_whole_in_the_place_of_an_older_one(tmp_path):
  path = tmp_path / 'a.txt'
  files.write(path, 'ä')
  files.write(path, b'second')
  assert path.read_bytes() == b'second'
  assert list(tmp_path.iterdir()) == [path]


def test_an_error_in_between_leaves_the_old_file_and_nothing_else(tmp_path):
  path = tmp_path / 'a.npy'
  files.write(path, b'old')
  with pytest.raises(ZeroDivisionError), files.replacing(path) as file:
    file.write(b'half')
    file.flush()
    assert path.read_bytes() == b'old'
    raise ZeroDivisionError
  assert path.read_bytes() == b'old'
  assert list(tmp_path.iterdir()) == [path]


def test_bytes_are_on_the_disk_before_the_name(tmp_path, monkeypatch):
  calls = []
  for name in ('fsync', 'replace'):
    real = getattr(os, name)
    monkeypatch.setattr(
      os, name, lambda *a, n=name, r=real: (calls.append(n), r(*a))
    )
  files.write_json(tmp_path / 'a.json', {'x': 1})
  assert calls == ['fsync', 'replace', 'fsync']  # the last of the directory
  files.append_json_line(tmp_path / 'a.jsonl', {})
  assert calls[3:] == ['fsync']


def test_the_mode_is_that_of_any_new_file(tmp_path):
  (tmp_path / 'other').write_text('x')
  files.write(tmp_path / 'a', 'x')
  modes = {stat.S_IMODE(p.stat().st_mode) for p in tmp_path.iterdir()}
  assert len(modes) == 1


def test_writers_at_a_time_do_not_mix(tmp_path):
  path = tmp_path / 'a'

  def write(letter):
    for _ in range(20):
      files.write(path, letter * 5000)
      assert len(set(path.read_bytes())) == 1

  threads = [threading.Thread(target=write, args=[x]) for x in 'abc']
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  assert path.stat().st_size == 5000
  assert list(tmp_path.iterdir()) == [path]


def test_json(tmp_path):
  path = tmp_path / 'a'
  files.write_json(path, {'x': [1]}, indent=2)
  assert path.read_text() == '{\n  "x": [\n    1\n  ]\n}\n'
  files.write_json_lines(path, [{'x': 1}, 2])
  files.append_json_line(path, 'end')
  lines = path.read_text('utf-8').splitlines()
  assert [json.loads(line) for line in lines] == [{'x': 1}, 2, 'end']


def test_moved_over_a_directory_and_over_a_file(tmp_path):
  for name in ('new', 'old'):
    (tmp_path / name).mkdir()
    (tmp_path / name / name).write_text(name)
    (tmp_path / f'{name}.txt').write_text(name)
  files.move_over(tmp_path / 'new', tmp_path / 'old')
  files.move_over(tmp_path / 'new.txt', tmp_path / 'old.txt')
  assert {p.name for p in tmp_path.iterdir()} == {'old', 'old.txt'}
  assert [p.name for p in (tmp_path / 'old').iterdir()] == ['new']
  assert (tmp_path / 'old.txt').read_text() == 'new'


_WRITES = {
  'write': lambda path: files.write(path, 'x'),
  'append': lambda path: files.append_json_line(path, {}),
  'open': lambda path: files.open_to_append(path).close(),
  'move': lambda path: files.move_over(_new(path), path),
  'directory': lambda path: _in_a_directory(path),
  'make': lambda path: files.make_directory(path),
}


def _new(path):
  new = path.with_name('new')
  new.write_text('x')
  return new


def _in_a_directory(path):
  with files.replacing_directory(path) as temporary:
    (temporary / 'a').write_text('x')


@pytest.mark.parametrize(
  'write, target',
  [
    (write, target)
    for write in _WRITES
    for target in ('file', 'directory', 'nothing')
    if (write, target) != ('make', 'directory')  # It is there.
  ],
)
def test_no_link_is_written_through(tmp_path, write, target):
  (tmp_path / 'file').write_text('mine')
  (tmp_path / 'directory').mkdir()
  path = tmp_path / 'inside' / 'link'
  path.parent.mkdir()
  path.symlink_to(tmp_path / target)
  before = set(tmp_path.rglob('*'))
  with pytest.raises(files.LinkError, match=f'link, a link to .*/{target}, wh'):
    _WRITES[write](path)
  assert set(tmp_path.rglob('*')) - {path.with_name('new')} == before
  assert (tmp_path / 'file').read_text() == 'mine'
  assert path.is_symlink()


@pytest.mark.parametrize('kind', ['pipe', 'device', 'directory', 'socket'])
def test_only_files_are_read_and_appended_to(tmp_path, kind):
  path = tmp_path / 'a'
  if kind == 'pipe':
    os.mkfifo(path)
  elif kind == 'directory':
    path.mkdir()
  elif kind == 'socket':
    socket.socket(socket.AF_UNIX).bind(str(path))
  else:
    path.symlink_to('/dev/zero')
  with pytest.raises(OSError, match='/a'):
    files.read(path)
  with pytest.raises(OSError, match='/a'):
    files.append_json_line(path, {})
  with pytest.raises(OSError, match='/a'), locks.held(path, seconds=0):
    pass
  assert not locks.is_held(path)


@pytest.mark.parametrize('write', [files.write, files.append_json_line])
def test_an_error_of_a_descriptor_names_the_file(tmp_path, monkeypatch, write):
  def fail(descriptor):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

  monkeypatch.setattr(os, 'fsync', fail)
  path = tmp_path / 'a'
  for act in (lambda: write(path, ''), lambda: files.sync(tmp_path)):
    with pytest.raises(OSError, match=f"space left on device: '{tmp_path}"):
      act()


def test_a_directory_that_cannot_be_synced_is_no_error(tmp_path, monkeypatch):
  def fail(descriptor):
    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

  (tmp_path / 'a').write_text('')
  monkeypatch.setattr(os, 'fsync', fail)
  files.sync(tmp_path)
  with pytest.raises(OSError, match="Invalid argument: '.*/a'"):
    files.sync(tmp_path / 'a')


def test_a_file_larger_than_any_of_ours_is_not_read(tmp_path):
  path = tmp_path / 'a'
  path.write_text('x')
  os.truncate(path, 2**40)
  with pytest.raises(OSError, match='too large.*/a'):
    files.read(path)


def test_a_directory_is_whole_or_not_there(tmp_path):
  path = tmp_path / 'a'
  for content in ('first', 'second'):
    with files.replacing_directory(path) as temporary:
      (temporary / 'b').write_text(content)
      assert not (path / 'b').exists() or content == 'second'
    assert (path / 'b').read_text() == content
  with (
    pytest.raises(ZeroDivisionError),
    files.replacing_directory(path) as temporary,
  ):
    (temporary / 'b').write_text('third')
    raise ZeroDivisionError
  assert [p.name for p in tmp_path.iterdir()] == ['a']
  assert (path / 'b').read_text() == 'second'


def test_a_directory_is_on_the_disk_before_its_name(tmp_path, monkeypatch):
  calls = []
  fsync, replace = os.fsync, os.replace
  monkeypatch.setattr(
    os,
    'fsync',
    lambda f: (calls.append(os.readlink(f'/proc/self/fd/{f}')), fsync(f)),
  )
  monkeypatch.setattr(
    os, 'replace', lambda a, b: (calls.append('replace'), replace(a, b))
  )
  with files.replacing_directory(tmp_path / 'a') as temporary:
    (temporary / 'c').mkdir()
    (temporary / 'c' / 'd').write_text('x')
  written = ['', '/c', '/c/d']
  assert sorted(calls[:3]) == [f'{temporary}{name}' for name in written]
  assert calls[3:] == ['replace', str(tmp_path)]


def test_directories_are_made_and_their_names_are_on_the_disk(
  tmp_path, monkeypatch
):
  synced = []
  monkeypatch.setattr(files, 'sync', synced.append)
  files.make_directory(tmp_path / 'a' / 'b')
  files.make_directory(tmp_path / 'a' / 'b')
  assert synced == [tmp_path, tmp_path / 'a']
  (tmp_path / 'file').write_text('mine')
  with pytest.raises(OSError, match='file'):
    files.make_directory(tmp_path / 'file' / 'b')
