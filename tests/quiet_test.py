"""Output of libraries is silenced, errors are not."""

import os
import subprocess
import sys

import pytest

from tf_sparse_rl import quiet


def test_native_chatter_is_held_back(capfd):
  with quiet.native_stderr_held_back():
    os.write(2, b'chatter of a library\n')
  os.write(2, b'after\n')
  assert capfd.readouterr().err == 'after\n'


def test_what_was_held_back_is_shown_when_loading_fails(capfd):
  with pytest.raises(ImportError), quiet.native_stderr_held_back():
    os.write(2, b'no such symbol\n')
    raise ImportError('libsomething')
  assert capfd.readouterr().err == 'no such symbol\n'
  os.write(2, b'after\n')
  assert capfd.readouterr().err == 'after\n'


@pytest.fixture(name='silence')
def silence_fixture(tmp_path):
  """Runs silence() in a process with stand-ins for the large libraries."""
  (tmp_path / 'tensorflow.py').write_text(
    'import os, warnings\n'
    'os.write(2, b"chatter\\n")\n'
    'warnings.warn("old", DeprecationWarning)\n'
    'keras = None\n'
  )
  (tmp_path / 'tf_agents.py').write_text('')
  (tmp_path / 'main.py').write_text(
    'import os\n'
    'from absl import app, logging\n'
    'from tf_sparse_rl import quiet\n'
    'def main(_):\n'
    '  getattr(quiet, os.environ.get("CALL", "silence"))()\n'
    '  level = os.environ.get("TF_CPP_MIN_LOG_LEVEL", "-")\n'
    '  print(level, logging.get_verbosity())\n'
    '  logging.warning("a warning of a library")\n'
    'app.run(main)\n'
  )

  def silence(*arguments, python=(), **variables):
    env = {k: v for k, v in os.environ.items() if not k.startswith('TF_CPP')}
    env['PYTHONPATH'] = os.pathsep.join([str(tmp_path), os.getcwd()])
    result = subprocess.run(
      [sys.executable, *python, str(tmp_path / 'main.py'), *arguments],
      env={**env, **variables},
      capture_output=True,
      text=True,
      check=True,
    )
    return result.stdout.split(), result.stderr

  return silence


def test_nothing_is_printed_by_default(silence):
  assert silence() == (['3', '-2'], '')


def test_what_the_user_set_stays(silence):
  assert silence(TF_CPP_MIN_LOG_LEVEL='0')[0] == ['0', '-2']
  (_, verbosity), stderr = silence('--verbosity=0')
  assert (verbosity, 'a warning of a library' in stderr) == ('0', True)


def test_an_import_alone_is_quiet_and_sets_nothing(silence):
  (level, verbosity), stderr = silence(CALL='import_tensorflow')
  assert (level, verbosity) == ('-', '0')
  assert 'chatter' not in stderr and 'a warning of a library' in stderr
