"""The command in processes of its own: its bytes, its mistakes."""

import csv
import os
import pathlib
import subprocess
import sys

import pytest

from tests.report import studies
from tf_sparse_rl import runs
from tf_sparse_rl.report import conditions, raw_results, writing

_ROOT = pathlib.Path(__file__).parents[2]
# No TensorFlow, and no packages of the extra if they are asked to be hidden.
_WATCHED = """
import importlib.machinery, runpy, sys
finder = importlib.machinery.PathFinder
find_spec = finder.find_spec
def hiding(name, path=None, target=None):
  if name.split('.')[0] not in {hidden!r}:
    return find_spec(name, path, target)
finder.find_spec = hiding
runpy.run_module('tf_sparse_rl.report', run_name='__main__')
"""


def _report(*flags, hidden=(), **environment):
  hidden = ('tensorflow', 'tf_keras', *hidden)
  return subprocess.run(
    [sys.executable, '-c', _WATCHED.format(hidden=hidden), *flags],
    env={**os.environ, 'PYTHONPATH': str(_ROOT), **environment},
    capture_output=True,
    text=True,
    check=False,
  )


def _files(path):
  return {
    str(p.relative_to(path)): p.read_bytes()
    for p in sorted(path.rglob('*'))
    if p.is_file()
  }


def test_same_runs_same_bytes(dqn_runs, report, tmp_path):
  process = _report(
    f'--sweep_dir={dqn_runs}',
    f'--out={tmp_path}/out',
    '--num_resamples=100',
    PYTHONHASHSEED='1',
  )
  assert process.returncode == 0, process.stderr
  assert process.stdout == f'Report: {tmp_path}/out/index.html\n'
  assert process.stderr == ''
  first, second = _files(report.parent), _files(tmp_path / 'out')
  assert len(first) == 1 + 8 * 2 + 9 * 2
  assert first.keys() == second.keys()
  for name, content in first.items():
    assert content == second[name], name


def test_damaged_runs_are_rows_and_warnings(commands, tmp_path):
  for seed in (0, 1, 2):
    studies.make_run(tmp_path / 'runs' / str(seed), [400.0], seed=seed)
  (tmp_path / 'runs' / '1' / 'config.json').write_text('{"agent": "dq')
  (tmp_path / 'runs' / '2' / 'results.jsonl').write_text('[]\n')
  process = commands.run(
    'report',
    f'--sweep_dir={tmp_path}/runs',
    f'--out={tmp_path}/out',
    '--num_resamples=100',
    '--allow_unfinished',
  )
  assert (process.returncode, process.stderr) == (0, '')
  text = (tmp_path / 'out' / 'tables' / 'runs.csv').read_text('utf-8')
  rows = {r[0].split('/')[-1]: r for r in csv.reader(text.splitlines())}
  assert rows['0'][1] == 'finished'
  assert rows['1'][1].startswith('damaged: Cannot read the config ')
  assert rows['2'][1].startswith(f'damaged: {tmp_path}/runs/2/results.jsonl')
  page = (tmp_path / 'out' / 'index.html').read_text('utf-8')
  assert '1 of 3' in page
  for seed in (1, 2):
    assert f'Damaged and left out: {seed}. ' in page


def test_what_is_not_of_a_report_stays_and_links_are_refused(
  dqn_runs, tmp_path
):
  every = conditions.group(runs.read(dqn_runs))
  out = tmp_path / 'out'
  writing.write(every[:2], out, 100)
  before = _files(out)
  mine = ('figures/mine.png', 'tables/notes.md', 'notes')
  for name in (*mine, 'tables/dqn_older.csv', 'figures/sac_iqm.svg'):
    (out / name).write_text('mine')
  writing.write(every[:2], out, 100)
  assert _files(out) == {**before, **dict.fromkeys(mine, b'mine')}
  (tmp_path / 'target').mkdir()
  (out / 'tables').rename(tmp_path / 'tables')
  (out / 'tables').symlink_to(tmp_path / 'target')
  with pytest.raises(OSError, match='tables, a link to'):
    writing.write(every[:2], out, 100)
  assert not list((tmp_path / 'target').iterdir())


def test_raw_results_and_the_page_of_one_run(commands, tmp_path):
  for seed in (0, 1):
    studies.make_run(tmp_path / 'runs' / f'a{seed}', [400.0], seed=seed)
  studies.make_run(tmp_path / 'runs' / 'b', [9.0], method='set')
  runs.note_command(tmp_path / 'runs', 'the command')
  process = commands.run(
    'report', f'--sweep_dir={tmp_path}/runs', f'--raw_out={tmp_path}/raw'
  )
  assert (process.returncode, process.stderr) == (0, '')
  assert process.stdout.splitlines() == [
    'Not finished, left out: dqn CartPole-v1 SET 0.9',
    f'Raw results of 1 condition: {tmp_path}/raw',
  ]
  # Continued, as on another machine.
  studies.make_run(tmp_path / 'more' / 'c0', [7.0], seed=0, method='static')
  studies.make_run(tmp_path / 'more' / 'c1', [7.0], seed=1, method='static')
  process = commands.run(
    'report',
    f'--sweep_dir={tmp_path}/more',
    f'--results={tmp_path}/raw',
    f'--raw_out={tmp_path}/raw',
  )
  assert (process.returncode, process.stderr) == (0, '')
  found, _ = raw_results.read(tmp_path / 'raw')
  assert [run.name for run in found] == ['a0', 'a1', 'c0', 'c1']
  # Without --out the report lies beside what it is of.
  process = commands.run(
    'report', f'--results={tmp_path}/raw', '--num_resamples=100'
  )
  assert process.stdout == f'Report: {tmp_path}/raw/index.html\n'
  page = (tmp_path / 'raw' / 'index.html').read_text('utf-8')
  assert '<pre>the command</pre>' in page
  process = commands.run('report', f'--root_dir={tmp_path}/runs/b')
  assert process.stdout == f'Report: {tmp_path}/runs/b/report/index.html\n'


def test_only_damaged_runs_are_told(commands, tmp_path):
  studies.make_run(tmp_path / 'runs' / '0', [400.0])
  (tmp_path / 'runs' / '0' / 'config.json').write_text('')
  process = commands.run(
    'report', f'--sweep_dir={tmp_path}/runs', f'--out={tmp_path}/out'
  )
  assert process.returncode == 2
  assert process.stderr.startswith('error: Cannot read the config ')
  assert process.stderr.count('\n') == 1


@pytest.mark.parametrize(
  'flags, message',
  [
    ((), 'Expected --sweep_dir, the directory of the runs; or --results'),
    (('--sweep_dir={}/runs', '--results={}'), '--sweep_dir and --results'),
    (('--root_dir={}/runs',), 'Received: {}/runs, no run'),
    (('--root_dir={}/runs/0', '--raw_out={}/x'), '--raw_out with --sweep_dir'),
    (
      ('--sweep_dir={}/runs', '--raw_out={}/x', '--out={}/y'),
      'Received: --sweep_dir and --out',
    ),
    (('--results={}/none',), 'Expected raw results in {}/none'),
    (('--sweep_dir={}/runs',), 'Expected --out, the directory of the report'),
    (('--sweep_dir={}/none', '--out={}/out'), 'Received: {}/none'),
    (('--sweep_dir={}/other', '--out={}/out'), 'Found none'),
    (
      ('--sweep_dir={}/runs', '--out={}/out'),
      'dqn CartPole-v1 RigL 0.9: seed 1',
    ),
    (
      ('--sweep_dir={}/runs', '--out={}/other', '--allow_unfinished'),
      'with other files. Choose another --out',
    ),
    (
      ('--sweep_dir={}/runs', '--out={}/other/x/y', '--allow_unfinished'),
      'Writing to {}/other/x/y failed',
    ),
    (('--sweep_dirs={}/runs',), "Did you mean '--sweep_dir'"),
    (('--num_resamples=5',), 'num_resamples'),
    (('runs',), 'Expected flags only'),
  ],
)
def test_mistakes_are_told_and_leave_nothing(
  commands, tmp_path, flags, message
):
  studies.make_run(tmp_path / 'runs' / '0', [400.0], seed=0)
  studies.make_run(tmp_path / 'runs' / '1', [9.0], seed=1, finished=False)
  (tmp_path / 'other').mkdir()
  (tmp_path / 'other' / 'x').write_text('mine', 'utf-8')
  before = _files(tmp_path)
  flags = [flag.replace('{}', str(tmp_path)) for flag in flags]
  process = commands.run('report', *flags)
  assert process.returncode != 0
  assert message.replace('{}', str(tmp_path)) in process.stderr
  assert 'Traceback' not in process.stderr
  assert _files(tmp_path) == before


@pytest.mark.parametrize(
  'package, said',
  [
    ('rliable', 'A report needs rliable, which is not installed.'),
    # What a package of the extra needs.
    ('arch', "of a report cannot be imported: No module named 'arch'."),
  ],
)
def test_a_missing_extra_is_named(tmp_path, package, said):
  studies.make_run(tmp_path / 'runs' / '0', [400.0])
  process = _report(
    f'--sweep_dir={tmp_path}/runs', f'--out={tmp_path}/out', hidden=[package]
  )
  assert process.returncode == 2
  assert said in process.stderr
  assert process.stderr.endswith("pip install 'tf_sparse_rl[report]'\n")
  assert process.stderr.count('\n') == 1
  assert not (tmp_path / 'out').exists()


def test_help_lists_the_flags(commands):
  process = commands.run('report', '--help')
  for flag in ('--sweep_dir', '--out', '--[no]allow_unfinished'):
    assert flag in process.stdout
