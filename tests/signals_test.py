"""Signals that ask to stop, in processes without TensorFlow."""

import os
import pty
import signal
import subprocess
import sys
import threading

import pytest

from tf_sparse_rl import modules, signals

_WAIT = """
import os, signal, sys, time
from tf_sparse_rl import callbacks, signals
with signals.noted() as received:
  print('noted', flush=True)
  while not received:
    time.sleep(0.001)
  for _ in range(3):
    callbacks._print('to whoever may read it')
  print('the same', file=sys.stderr)
  with open(sys.argv[1], 'w') as file:
    file.write(str(received[0]))
sys.exit(128 + received[0])
"""


@pytest.fixture(autouse=True)
def _nohup_is_off():
  """SIGHUP as in a terminal, though the tests were started by nohup."""
  before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
  yield
  signal.signal(signal.SIGHUP, before)


def _start(path, *prefix):
  return subprocess.Popen(
    [*prefix, sys.executable, '-c', _WAIT, str(path)],
    stdout=subprocess.PIPE,
    text=True,
  )


@pytest.mark.parametrize('number', signals.STOP)
def test_each_of_them_is_noted(tmp_path, number):
  with _start(tmp_path / 'noted') as process:
    assert process.stdout.readline() == 'noted\n'
    process.send_signal(number)
  assert process.returncode == 128 + number
  assert (tmp_path / 'noted').read_text() == str(int(number))


def test_a_closed_terminal_is_one_and_nothing_is_written_to_it(tmp_path):
  pid, terminal = pty.fork()
  if not pid:
    path = str(tmp_path / 'noted')
    os.execv(sys.executable, [sys.executable, '-c', _WAIT, path])
  assert os.read(terminal, 5) == b'noted'
  os.close(terminal)
  _, status = os.waitpid(pid, 0)
  assert os.waitstatus_to_exitcode(status) == 128 + signal.SIGHUP
  assert (tmp_path / 'noted').read_text() == str(int(signal.SIGHUP))


def test_nohup_holds(tmp_path):
  with _start(tmp_path / 'noted', 'nohup') as process:
    assert process.stdout.readline() == 'noted\n'
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGUSR1)
  assert process.returncode == 128 + signal.SIGUSR1


def test_a_reader_that_has_gone_ends_nothing(tmp_path):
  with _start(tmp_path / 'noted') as process:
    assert process.stdout.readline() == 'noted\n'
    process.stdout.close()
    process.send_signal(signal.SIGTERM)
  assert process.returncode == 128 + signal.SIGTERM


@pytest.fixture(name='ctrl_c')
def ctrl_c_fixture():
  """Ctrl-C as Python has it: what is started in the background ignores it."""
  before = signal.signal(signal.SIGINT, signal.default_int_handler)
  yield
  signal.signal(signal.SIGINT, before)


def _interrupted():
  """Whether a KeyboardInterrupt that is raised here counts as a Ctrl-C."""
  return signals.is_ctrl_c(KeyboardInterrupt())


@pytest.mark.usefixtures('ctrl_c')
def test_a_ctrl_c_is_told_from_one_that_code_raises():
  assert _interrupted() and not signals.is_ctrl_c(ValueError())
  with signals.noted() as received:
    assert not _interrupted()
    os.kill(os.getpid(), signal.SIGTERM)
    assert received == [signal.SIGTERM]
    # From here on Ctrl-C ends at once.
    with pytest.raises(KeyboardInterrupt) as raised:
      os.kill(os.getpid(), signal.SIGINT)
    assert signals.is_ctrl_c(raised.value)
  with signals.interruptible():
    assert not _interrupted()
    with pytest.raises(KeyboardInterrupt):
      os.kill(os.getpid(), signal.SIGINT)
    assert _interrupted()
  assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures('ctrl_c')
def test_no_ctrl_c_comes_in_a_thread():
  found = []
  thread = threading.Thread(target=lambda: found.append(_interrupted()))
  thread.start()
  thread.join()
  assert found == [False]


def test_other_threads_do_not_keep_the_process():
  code = (
    'import threading\n'
    'from tf_sparse_rl import signals\n'
    'never = threading.Event()\n'
    'threading.Thread(target=never.wait, name="of an environment").start()\n'
    'signals.end_with_main_thread(7, seconds=0.1)\n'
  )
  done = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, timeout=60
  )
  assert done.returncode == 7
  assert (
    done.stderr == 'warning: These threads do not end: of an environment.\n'
  )


@pytest.mark.parametrize('raised', ['SystemExit(0)', 'GeneratorExit'])
def test_a_module_that_ends_the_program_is_told(tmp_path, monkeypatch, raised):
  monkeypatch.syspath_prepend(tmp_path)
  (tmp_path / 'ends_it_all.py').write_text(f'raise {raised}\n')
  with pytest.raises(modules.UserCodeError) as error:
    modules.load('ends_it_all:Thing', '--method')
  assert str(error.value).startswith('Importing ends_it_all for --method fai')
  assert f'raise {raised}' in str(error.value)
