"""Damaged and hostile run directories, through all that reads and writes them.

No error but those that commands tell in a line, each naming a file of the run;
nothing outside of it is changed.
"""

import json
import os
import pathlib
import shutil
import tarfile

import pytest

import tf_sparse_rl
from tests import damaged_runs, in_process, traced
from tf_sparse_rl import runs
from tf_sparse_rl.exporting import exporter
from tf_sparse_rl.exporting import report as export_report
from tf_sparse_rl.report import conditions, tables, writing
from tf_sparse_rl.sweeps import status, sweep_dir

_ROOT = pathlib.Path(__file__).parents[1]
_CASES = damaged_runs.load()
# What status and reports do not open.
_NOT_REPORTED = ('policy', 'checkpoints/')
_REPORTING = ('sweep', 'report.command')
# What commands tell in one line.
_TOLD = (ValueError, runs.RunsError, OSError)


@pytest.fixture(name='whole', scope='module')
def whole_fixture(tmp_path_factory):
  """The directory of a finished run that is whole."""
  path = tmp_path_factory.mktemp('whole')
  with tarfile.open(_ROOT / 'testdata/old_runs/dqn_finished.tar.gz') as archive:
    archive.extractall(path, filter='data')
  return path / 'dqn_finished'


def _outside(path):
  """Writes the files that links lead to; returns their directory."""
  (path / 'directory' / 'train').mkdir(parents=True)
  for name in (
    *('file', 'directory/config.json', 'directory/notes'),
    *('directory/replay_000000000000_000000000001.npy', 'directory/train/x'),
    'directory/train/events.out.tfevents.1.mine',
  ):
    (path / name).write_text(f'{name} is mine')
  return path


def _content(path):
  """{path: bytes, target or kind} of everything below."""
  found = {}
  for entry in sorted(path.rglob('*')):
    if entry.is_symlink():
      found[str(entry)] = os.readlink(entry)
    elif entry.is_file():
      found[str(entry)] = entry.read_bytes()
    else:
      found[str(entry)] = entry.lstat().st_mode
  return found


def _damaged(case, whole, path):
  """A damaged copy of the run, beside what its links lead to; both paths."""
  outside = _outside(path / 'outside')
  run = path / 'runs' / case.name
  shutil.copytree(whole, run)
  damaged_runs.apply(case, run, outside)
  return run, outside


def _names_a_file(text, run, outside):
  """Whether a message names a file of the run."""
  paths = [run, *(run / case.path for case in _CASES)]
  return any(str(p) in text or p.name in text for p in paths) or (
    str(outside) in text
  )


def test_the_corpus_is_what_its_seed_makes():
  text = (_ROOT / 'testdata' / 'damaged_runs.jsonl').read_text('utf-8')
  assert damaged_runs.to_lines(damaged_runs.make()) == text
  assert len(_CASES) > 300
  assert len({case.name for case in _CASES}) == len(_CASES)


def test_status_and_report_of_all(whole, tmp_path):
  outside = _outside(tmp_path / 'outside')
  root = tmp_path / 'sweep'
  (root / 'runs').mkdir(parents=True)
  small = shutil.ignore_patterns('replay_*', 'agent.data*', 'policy')
  values = json.loads((whole / 'config.json').read_text('utf-8'))
  lines = []
  seen = [c for c in _CASES if not c.path.startswith(_NOT_REPORTED)]
  for seed, case in enumerate(seen):
    run = root / 'runs' / case.name
    shutil.copytree(whole, run, ignore=small)
    # Other seeds, or they would be the same run many times.
    (run / 'config.json').write_text(json.dumps({**values, 'seed': seed}))
    damaged_runs.apply(case, run, outside)
    lines.append(json.dumps({'id': case.name, 'flags': {'seed': seed}}) + '\n')
  before = _content(tmp_path)
  every = runs.read(root)  # Wherever they are.
  assert {run.name.split('/')[1] for run in every} <= {c.name for c in seen}
  (root / 'runs.jsonl').write_text(''.join(lines))
  every = runs.read(root)
  assert len(every) == len(seen)
  sweep = sweep_dir.SweepDir(root)
  statuses = status.read(sweep, sweep.read_runs())
  assert 'damaged' in status.table(statuses, 1)
  for one in statuses:
    if one.state == runs.DAMAGED:
      assert f'{root}/runs/{one.run.id}' in one.reason, one
  readable = [run for run in every if run.config is not None]
  for run in every:
    assert not run.damage or f'{root}/runs/{run.name}' in run.damage, run.damage
    tables.printable(run.damage).encode()
  grouped = [
    condition
    for run in readable
    for condition in conditions.group([run])
    if run.config.agent == 'dqn'
  ]
  writing.write(grouped[:1], tmp_path / 'out', 100)
  shutil.rmtree(tmp_path / 'out')
  (root / 'runs.jsonl').unlink()
  assert _content(tmp_path) == before


# Some of each kind.
@pytest.mark.parametrize('case', _CASES[::58], ids=lambda case: case.name)
def test_what_python_is_told(case, whole, tmp_path):
  run, outside = _damaged(case, whole, tmp_path)
  before = _content(outside)
  for act in (
    lambda: tf_sparse_rl.open_run(run).evaluate(1),
    lambda: tf_sparse_rl.open_run(run).evaluate(1, checkpoint='best'),
    lambda: tf_sparse_rl.open_run(run).export(tmp_path / 'out', ['npz']),
    lambda: tf_sparse_rl.train(
      run, config=tf_sparse_rl.open_run(whole).config, num_env_steps=440
    ),
  ):
    try:
      act()
    except _TOLD as error:
      assert _names_a_file(str(error), run, outside), error
  assert _content(outside) == before


_COMMANDS = (
  ['evaluate', '--root_dir={run}', '--num_episodes=1'],
  ['evaluate', '--root_dir={run}', '--num_episodes=1', '--checkpoint=best'],
  ['export', '--root_dir={run}', '--out={out}', '--format=npz'],
  ['sweep', '--sweep_dir={sweep}', '--status'],
  ['report.command', '--sweep_dir={run}', '--out={report}']
  + ['--num_resamples=100'],
  ['train', '--root_dir={run}', '--config={whole}/config.json']
  + ['--num_env_steps=440'],
  ['train', '--root_dir={run}', '--config={run}/config.json'],
)


@pytest.fixture(name='quick', scope='module')
def quick_fixture():
  """Little is traced, compared and timed: files are the matter."""
  with pytest.MonkeyPatch.context() as patch:
    traced.share(patch.setattr)
    patch.setattr(exporter, '_NUM_OBSERVATIONS', 2)
    patch.setattr(export_report, 'latencies', lambda calls: [1.0] * len(calls))
    yield


@pytest.mark.slow
@pytest.mark.usefixtures('quick')
@pytest.mark.parametrize('case', _CASES, ids=lambda case: case.name)
def test_what_commands_tell(case, whole, capfd, tmp_path):
  run, outside = _damaged(case, whole, tmp_path)
  line = json.dumps({'id': case.name, 'flags': {'seed': 0}})
  (tmp_path / 'runs.jsonl').write_text(line)
  before = _content(outside)
  paths = {
    **{'run': run, 'whole': whole, 'sweep': tmp_path},
    **{'out': tmp_path / 'out', 'report': tmp_path / 'report'},
  }
  for words in _COMMANDS:
    if case.path.startswith(_NOT_REPORTED) and words[0] in _REPORTING:
      continue
    code = in_process.run(*(word.format(**paths) for word in words))
    printed = ''.join(capfd.readouterr())
    assert 'Traceback' not in printed, (words, printed)
    assert code in (0, 2), (words, code, printed)
    if code:
      assert _names_a_file(printed, run, outside), (words, printed)
  assert _content(outside) == before
