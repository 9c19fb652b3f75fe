"""Seconds that `sweep --status` takes for many runs.

    python -m tests.sweeps.status_time 10000

Half of the runs are finished, the others are at one of 100 evaluations of ten
episodes each. One line per round has the wall clock, the CPU time of the
process, and the load average of one minute before it: how many processes
wanted a core.
"""

import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

from tests import tiny
from tf_sparse_rl import config
from tf_sparse_rl.sweeps import grid

_ROOT = pathlib.Path(__file__).parents[2]
_ROUNDS = 7
_LENGTH = 100_000


def make(path, num_runs):
  """Writes a sweep of so many runs, half of them finished."""
  methods = ('dense', 'static', 'set', 'rigl', 'prune')
  listed = grid.make_runs(
    *(methods, (0.9,), ('CartPole-v1', 'Acrobot-v1'), num_runs // 10),
    {'num_env_steps': _LENGTH},
  )
  lines = (json.dumps(run.to_json()) + '\n' for run in listed)
  (path / 'runs.jsonl').write_text(''.join(lines))
  every = [
    tiny.evaluation(i, returns=[1.5] * 10) for i in range(0, _LENGTH, 1000)
  ]
  text = [json.dumps(e.to_json()) + '\n' for e in every]
  summary = json.dumps(tiny.summary(every).to_json())
  values = {}  # Only the seed differs within a kind.
  for i, run in enumerate(listed):
    root = path / 'runs' / run.id
    root.mkdir(parents=True)
    kind = run.flags['env_name'], run.flags['method']
    if kind not in values:
      values[kind] = config.to_dict(run.config())
    whole = {**values[kind], 'seed': run.flags['seed'], 'versions': {}}
    (root / 'config.json').write_text(json.dumps(whole))
    (root / '.lock').touch()
    (root / 'results.jsonl').write_text(''.join(text[: 1 + i // 2 % 100]))
    if i % 2:
      (root / 'summary.json').write_text(summary)
  return len(listed)


def measure(path):
  """(wall-clock seconds, CPU seconds, what it printed) of a status."""
  command = ['-m', 'tf_sparse_rl.sweep', f'--sweep_dir={path}', '--status']
  before = resource.getrusage(resource.RUSAGE_CHILDREN)
  begin = time.perf_counter()
  done = subprocess.run(
    [sys.executable, *command],
    cwd=_ROOT,
    capture_output=True,
    text=True,
    check=True,
  )
  seconds = time.perf_counter() - begin
  after = resource.getrusage(resource.RUSAGE_CHILDREN)
  used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
  return seconds, used, done.stdout


def main(num_runs):
  """Prints one line per round."""
  with tempfile.TemporaryDirectory() as directory:
    made = make(pathlib.Path(directory), num_runs)
    for _ in range(_ROUNDS):
      load = os.getloadavg()[0]
      seconds, used, _ = measure(directory)
      print(
        f'{made:,} runs: {seconds:.2f} s, {used:.2f} s of CPU, load {load:.1f}',
        flush=True,
      )


if __name__ == '__main__':
  main(int(sys.argv[1]))
