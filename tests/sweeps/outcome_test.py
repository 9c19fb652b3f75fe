"""Outcomes of attempts, from wait statuses and logs written here."""

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


def test_last_words_move_no_cursor(tmp_path):
  (tmp_path / 'log').write_text('\x1b[2J\rerror: why\x07\n\x1b\n')
  assert outcome.last_words(tmp_path / 'log') == 'error: why'


def test_earlier_attempts_do_not_count(tmp_path):
  before = 'error: of an earlier attempt\n'
  (tmp_path / 'log').write_text(before + 'Stopped at env step 5\n')
  ended = outcome.of_status(143 << 8, False, tmp_path / 'log', len(before))
  assert ended.reason == 'exit code 143: Stopped at env step 5'


def test_no_log(tmp_path):
  assert outcome.last_words(tmp_path / 'log') == 'it left no log'


@pytest.mark.parametrize(
  'status, code, reason, stopped',
  [
    (0, 0, 'it ended without a summary.json: error: why', False),
    (2 << 8, 2, 'exit code 2: error: why', False),
    (143 << 8, 143, 'exit code 143: error: why', True),
    (130 << 8, 130, 'exit code 130: error: why', True),
    (129 << 8, 129, 'exit code 129: error: why', True),  # SIGHUP
    (131 << 8, 131, 'exit code 131: error: why', True),  # SIGQUIT
    (138 << 8, 138, 'exit code 138: error: why', True),  # SIGUSR1
    (9, None, 'killed by SIGKILL', False),
    (11, None, 'killed by SIGSEGV', False),
    (35, None, 'killed by signal 35', False),
  ],
)
@pytest.mark.parametrize('is_finished', [False, True])
def test_a_summary_alone_says_that_a_run_is_finished(
  tmp_path, status, code, reason, stopped, is_finished
):
  (tmp_path / 'log').write_text('error: why\n')
  ended = outcome.of_status(status, is_finished, tmp_path / 'log')
  assert ended == outcome.Outcome(code, '' if is_finished else reason)
  assert (ended.finished, ended.stopped) == (is_finished, stopped)
