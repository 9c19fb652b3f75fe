"""Standard output that cannot be written is told as what it is."""

import io
import os
import subprocess
import sys

import pytest

from tf_sparse_rl import callbacks, output


def _printed_to(monkeypatch, stream, text):
  monkeypatch.setattr(sys, 'stdout', stream)
  with output.checked():
    print(text)
  assert sys.stdout is stream


def test_text_goes_through_and_what_does_not_fit_is_escaped(monkeypatch):
  content = io.BytesIO()
  stream = io.TextIOWrapper(content, encoding='ascii')
  _printed_to(monkeypatch, stream, 'a \N{PLUS-MINUS SIGN} b')
  assert content.getvalue() == b'a \\xb1 b\n'


def test_no_standard_output_is_no_error(monkeypatch):
  _printed_to(monkeypatch, None, 'nowhere')
  assert sys.stdout is None


def test_one_that_user_code_has_taken_away_is_no_error(monkeypatch):
  stream = io.StringIO()
  monkeypatch.setattr(sys, 'stdout', stream)
  with output.checked():
    sys.stdout = None
    callbacks._print('nowhere')
  assert sys.stdout is stream and stream.getvalue() == ''


def test_one_that_user_code_has_closed_is_told(monkeypatch):
  stream = io.StringIO()
  stream.close()
  with pytest.raises(output.OutputError, match='output failed: .* closed file'):
    _printed_to(monkeypatch, stream, 'x')


def test_training_goes_on_where_nothing_can_be_printed(monkeypatch):
  left = []
  monkeypatch.setattr(callbacks.signals, 'leave', left.append)
  monkeypatch.setattr(sys, 'stdout', open('/dev/full', 'w', encoding='utf-8'))
  with pytest.raises(output.OutputError), output.checked():
    callbacks._print('a line')
  assert left == [[1]]


@pytest.mark.parametrize('closed', [(1,), (2,), (0, 1, 2)])
def test_what_is_closed_is_opened_to_nowhere(closed):
  code = (
    'import os, sys\n'
    'from tf_sparse_rl import output\n'
    'output.open_closed()\n'
    'print("x"); print("x", file=sys.stderr)\n'
    f'there = {[os.devnull]} * 3 == [os.readlink(f"/proc/self/fd/{{i}}")'
    f' for i in {closed}] * {3 // len(closed)}\n'
    'sys.exit(77 if there and os.open(".", 0) > 2 else 1)\n'
  )
  close = ' '.join(f'{i}>&-' for i in closed)
  command = f'exec "$0" -c "$1" {close}'
  done = subprocess.run(['sh', '-c', command, sys.executable, code])
  assert done.returncode == 77


def test_a_command_on_a_full_disk_says_so_in_a_line():
  with open('/dev/full', 'w', encoding='utf-8') as full:
    done = subprocess.run(
      [sys.executable, '-m', 'tf_sparse_rl.train', '--help'],
      env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
      stdout=full,
      stderr=subprocess.PIPE,
      text=True,
      check=False,
    )
  assert done.returncode == 1
  assert done.stderr == (
    'error: Writing to standard output failed: [Errno 28] No space left on '
    'device. Files are not affected.\n'
  )
