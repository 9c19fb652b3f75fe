"""A run server whose runs are no training: they do what their flag says."""

import itertools
import os
import pathlib
import sys
import time

from tests import tiny
from tf_sparse_rl import runs, signals
from tf_sparse_rl.sweeps import run_server


def _finish(run_dir):
  run_dir.finish(tiny.summary([tiny.evaluation(600, 7.5)]))


def _save_and_stop(received):
  while not received:
    time.sleep(0.01)
  print('Stopped at env step 5')
  sys.exit(128 + received[0])


def _train(*unused, **also_unused):
  """In the place of the train command."""
  flags = dict(flag.removeprefix('--').split('=', 1) for flag in sys.argv[1:])
  run_dir, do = runs.RunDir(flags['root_dir']), flags['do']
  with run_dir.locked():
    received = signals.note()
    run_dir.heartbeat()()
    pathlib.Path(flags['pid']).write_text(str(os.getpid()))
    print('it began', flush=True)
    if do == 'hang':
      while True:
        time.sleep(60)
    elif do == 'hang in C':
      sum(itertools.repeat(1))
    elif do == 'save':
      _save_and_stop(received)
    elif do == 'finish and hang':
      _finish(run_dir)
      while True:
        time.sleep(60)
    elif do == 'finish and fail':
      _finish(run_dir)
      sys.exit(3)
    elif do == 'exit 0':
      os._exit(0)
    elif do == 'exit 0, then finish':
      if not os.path.exists(flags['pid'] + '.again'):
        pathlib.Path(flags['pid'] + '.again').touch()
        sys.exit(0)
      _finish(run_dir)


if __name__ == '__main__':
  run_server._PRELOADED = ()
  run_server.quiet.silence = lambda: None
  run_server.runpy.run_module = _train
  run_server.main()
