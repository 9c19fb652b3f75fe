"""How an attempt ended: from wait statuses and logs that are written here."""

import pytest

from tf_sparse_rl.sweeps import outcome


@pytest.mark.parametrize(
  'text, words',
  [
    ('error: no such thing.\n', 'error: no such thing.'),
    (
      'Traceback (most recent call last):\n  File "a"\nValueError: bad\n',
      'ValueError: bad',
    ),
    ('error: the first\nStopped in between\nerror: last\n\n', 'error: last'),
    ('Segmentation fault\n', 'Segmentation fault'),
    ('', 'it printed nothing'),
  ],
)
def test_last_words(tmp_path, text, words):
  (tmp_path / 'log').write_text('x' * 10_000 + '\n' + text if text else '')
  assert outcome.last_words(tmp_path / 'log') == words


def test_earlier_attempts_do_not_count(tmp_path):
  before = 'error: of an earlier attempt\n'
  (tmp_path / 'log').write_text(before + 'Stopped at env step 5\n')
  ended = outcome.of_status(143 << 8, tmp_path / 'log', len(before))
  assert ended.reason == 'exit code 143: Stopped at env step 5'


def test_no_log(tmp_path):
  assert outcome.last_words(tmp_path / 'log') == 'it left no log'


@pytest.mark.parametrize(
  'status, code, reason, stopped',
  [
    (0, 0, '', False),
    (2 << 8, 2, 'exit code 2: error: why', False),
    (143 << 8, 143, 'exit code 143: error: why', True),
    (130 << 8, 130, 'exit code 130: error: why', True),
    (9, None, 'killed by SIGKILL', False),
    (11, None, 'killed by SIGSEGV', False),
  ],
)
def test_of_status(tmp_path, status, code, reason, stopped):
  (tmp_path / 'log').write_text('error: why\n')
  ended = outcome.of_status(status, tmp_path / 'log')
  assert ended == outcome.Outcome(code, reason)
  assert (ended.finished, ended.stopped) == (code == 0, stopped)
