"""Whole files: after a kill, a full disk, an error in between."""

import json
import os
import stat
import threading

import pytest

from tf_sparse_rl import files


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
