"""Progress of a sweep, from directories written by hand."""

import subprocess
import sys

import pytest

from tests import tiny
from tf_sparse_rl.runs import ListedRun
from tf_sparse_rl.sweeps import status as status_lib
from tf_sparse_rl.sweeps import sweep_dir as sweep_dir_lib

_HOLD = """
import sys, time
from tf_sparse_rl.runs import run_dir
with run_dir.RunDir(sys.argv[1]).locked():
  print('held', flush=True)
  time.sleep(600)
"""


def _results(sweep_dir, run, *lines):
  run_dir = sweep_dir.run_dir(run)
  run_dir.path.mkdir(parents=True, exist_ok=True)
  for step, seconds in lines:
    run_dir.append_result(tiny.evaluation(step, wall_seconds=seconds))
  # A line that was being written does not count.
  with open(run_dir.path / 'results.jsonl', 'a', encoding='utf-8') as file:
    file.write('{"env_step": 99')


def _summary(sweep_dir, run, seconds):
  run_dir = sweep_dir.run_dir(run)
  run_dir.path.mkdir(parents=True, exist_ok=True)
  run_dir.finish(
    tiny.summary([tiny.evaluation(600, 7.5)], wall_seconds=seconds)
  )


def _read(sweep_dir, run):
  [status] = status_lib.read(sweep_dir, [run])
  return status


@pytest.fixture(name='run')
def run_fixture(make_runs):
  return make_runs()[1]


def test_not_started(sweep_dir, run):
  assert _read(sweep_dir, run) == status_lib.RunStatus(
    run, 'missing', 'not started', 0, 600, 0.0, None
  )
  assert not sweep_dir.path.exists()


def test_finished(sweep_dir, run):
  _results(sweep_dir, run, (0, 1.0), (600, 9.0))
  _summary(sweep_dir, run, 10.0)
  assert _read(sweep_dir, run) == status_lib.RunStatus(
    run, 'finished', '', 600, 600, 10.0, 7.5
  )


def test_finished_after_a_failure(sweep_dir, run):
  sweep_dir.note(run, event='end', exit_code=None, reason='killed by SIGKILL')
  _summary(sweep_dir, run, 10.0)
  assert _read(sweep_dir, run).state == 'finished'


def test_a_damaged_run_is_one_row_of_many(sweep_dir, make_runs):
  finished, torn, planned = make_runs(methods=['rigl'], num_seeds=3)
  planned = ListedRun(planned.id, {**planned.flags, 'sparsity': 9})
  _summary(sweep_dir, finished, 60.0)
  _results(sweep_dir, torn, (0, 1.0))
  path = sweep_dir.run_dir(torn).path / 'results.jsonl'
  path.write_text('{"env_st\n')
  statuses = status_lib.read(sweep_dir, [finished, torn, planned])
  assert [s.state for s in statuses] == ['finished', 'damaged', 'damaged']
  assert statuses[1].reason.startswith(f'{path}, line 1, is damaged: ')
  assert 'sparsity=9' in statuses[2].reason
  table = status_lib.table(statuses, 1).splitlines()
  assert table[0].split()[-1] == 'damaged'
  assert table[-4 - 1].split()[-1] == 'damaged'
  assert f'  {torn.id}  {statuses[1].reason}' in table


@pytest.mark.parametrize(
  'flags',
  [
    {name: value}
    for name in ('sparsity', 'method', 'env_name', 'match_sparsity', 'seed')
    for value in (
      None,
      'x',
      [],
      [[]],
      {},
      True,
      10**400,
      float('nan'),
      '\ud800',
    )
  ],
)
def test_flags_of_a_damaged_run_are_shown(sweep_dir, flags):
  [status] = status_lib.read(sweep_dir, [ListedRun('a', flags)])
  shown = status_lib.table([status], 1)
  assert status.state in ('damaged', 'missing')
  assert shown.encode() and shown.replace('\n', '').isprintable()


@pytest.mark.parametrize(
  'name', ['runs', 'runs/{}', 'logs', 'attempts/{}.jsonl']
)
def test_a_link_is_damage_and_nothing_is_written_through_it(
  sweep_dir, run, tmp_path, name
):
  path = sweep_dir.path / name.format(run.id)
  path.parent.mkdir(parents=True)
  target = tmp_path / 'target'
  target.mkdir()
  path.symlink_to(target)
  status = _read(sweep_dir, run)
  assert status.state == 'damaged'
  assert f'{path}, a link to {target}, ' in status.reason
  with pytest.raises(OSError, match='a link to'):
    sweep_dir.note(run, event='begin')
  assert list(target.iterdir()) == []


@pytest.mark.parametrize(
  'content',
  [b'', b'[]', b'\xff\n', b'[' * 100_000, b'{"event": 3}', None],
)
def test_damaged_attempts_are_left_out(sweep_dir, run, content):
  path = sweep_dir.path / 'attempts' / f'{run.id}.jsonl'
  path.parent.mkdir(parents=True)
  path.mkdir() if content is None else path.write_bytes(content)
  assert sweep_dir.events(run) == []
  assert _read(sweep_dir, run).state == 'missing'


def test_running_is_who_holds_the_directory(sweep_dir, run):
  _results(sweep_dir, run, (0, 1.0), (200, 3.0))
  path = str(sweep_dir.run_dir(run).path)
  with subprocess.Popen(
    [sys.executable, '-c', _HOLD, path], stdout=subprocess.PIPE
  ) as process:
    assert process.stdout.readline() == b'held\n'
    sweep_dir.note(run, event='begin')
    status = _read(sweep_dir, run)
    process.kill()
  assert (status.state, status.env_step, status.seconds) == ('running', 200, 3)
  assert status.reason.startswith('at env step 200 of 600 on ')
  after = _read(sweep_dir, run)
  assert after.state == 'missing'
  assert after.reason.startswith('lost on ')


@pytest.mark.parametrize(
  'exit_code, reason, state, text',
  [
    (2, 'exit code 2: bad', 'failed', 'exit code 2: bad (attempt 2, at env'),
    (None, 'killed by SIGKILL', 'failed', 'killed by SIGKILL (attempt 2, at'),
    (143, 'exit code 143: -', 'missing', 'stopped at env step 200 of 600'),
  ],
)
def test_the_last_attempt_counts(
  sweep_dir, run, exit_code, reason, state, text
):
  for code, why in ((1, 'exit code 1: other'), (exit_code, reason)):
    sweep_dir.note(run, event='begin')
    sweep_dir.note(run, event='end', exit_code=code, reason=why)
  _results(sweep_dir, run, (0, 1.0), (200, 3.0))
  status = _read(sweep_dir, run)
  assert status.state == state
  assert status.reason.startswith(text)


def test_a_reason_moves_no_cursor(sweep_dir, run):
  sweep_dir.note(run, event='begin')
  sweep_dir.note(run, event='end', exit_code=1, reason='\x1b[2J\nwhy')
  shown = status_lib.table([_read(sweep_dir, run)], 1)
  assert '\\x1b[2J why (attempt 1)' in shown and '\x1b' not in shown


def test_a_run_that_train_was_given_by_hand(sweep_dir, run):
  _results(sweep_dir, run, (0, 1.0), (400, 3.0))
  status = _read(sweep_dir, run)
  assert (status.state, status.reason) == (
    'missing',
    'interrupted at env step 400 of 600',
  )


def _status(name, state, env_step, seconds, **flags):
  run = ListedRun(name, flags)
  return status_lib.RunStatus(run, state, '', env_step, 1000, seconds, None)


def test_time_left_is_by_kind_of_run():
  statuses = [
    _status('a', 'finished', 1000, 100.0, env_name='A'),  # 0.1 s an env step
    _status('b', 'running', 200, 200.0, env_name='B'),  # 1 s an env step
    _status('c', 'missing', 0, 0.0, env_name='A'),  # 100 s
    _status('d', 'missing', 0, 0.0, env_name='B'),  # 1000 s
    _status('e', 'failed', 0, 0.0, env_name='C'),  # 250 s, by 300 / 1200
  ]
  left = 800 + 100 + 1000 + 250
  assert status_lib.seconds_left(statuses, 1) == pytest.approx(left)
  assert status_lib.seconds_left(statuses, 2) == pytest.approx(left / 2)
  # Only four can run at a time.
  assert status_lib.seconds_left(statuses, 100) == pytest.approx(left / 4)


def test_time_left_is_not_known_before_anything_was_measured():
  assert status_lib.seconds_left([_status('a', 'running', 0, 2.0)], 2) is None


def test_nothing_is_left_at_the_end():
  assert status_lib.seconds_left([_status('a', 'finished', 1000, 5.0)], 2) == 0


def test_table(sweep_dir, make_runs):
  runs = make_runs(methods=('dense', 'rigl', 'small_dense'), num_seeds=2)
  dense_0, rigl_0, _, dense_1, rigl_1, _ = runs
  _summary(sweep_dir, dense_0, 60.0)
  _summary(sweep_dir, dense_1, 60.0)
  sweep_dir.note(rigl_0, event='begin')
  sweep_dir.note(rigl_0, event='end', exit_code=2, reason='exit code 2: bad')
  _results(sweep_dir, rigl_1, (0, 1.0), (300, 30.0))
  statuses = status_lib.read(sweep_dir, runs)
  assert status_lib.table(statuses, 2).splitlines() == [
    'env_name     method       sparsity  finished  running  failed  missing',
    '----------------------------------------------------------------------',
    'CartPole-v1  dense                         2        0       0        0',
    'CartPole-v1  rigl         0.9              0        0       1        1',
    'CartPole-v1  small_dense  0.9              0        0       0        2',
    '----------------------------------------------------------------------',
    'total                                      2        0       1        3',
    '',
    'failed',
    '  CartPole-v1-rigl-0.9-seed0  exit code 2: bad (attempt 1)',
    '',
    'missing',
    '  CartPole-v1-rigl-0.9-seed1  interrupted at env step 300 of 600',
    '  2 not started',
    '',
    # 600 + 300 steps of RigL, 1200 of small dense, 0.1 s each.
    'Time left: about 2 min with 2 at a time.',
  ]


def test_table_of_a_finished_sweep(sweep_dir, make_runs):
  [run] = make_runs(methods=['dense'])
  _summary(sweep_dir, run, 60.0)
  table = status_lib.table(status_lib.read(sweep_dir, [run]), 2)
  assert table.splitlines()[-1] == 'All runs are finished.'


def test_what_a_list_by_hand_may_have_is_a_row(sweep_dir):
  flags = {'sparsity': 10**400, 'method': ['rigl'], 'env_name': {'a': 1}}
  runs = [
    ListedRun('a', flags),
    ListedRun('b', {'sparsity': 'much'}),
    ListedRun('c', {'seed': 10**400}),
    ListedRun('d', {'seed': 1}),
    ListedRun('e', {'seed': 2**31}),
    ListedRun('f', {'seed': 'one'}),
  ]
  statuses = status_lib.read(sweep_dir, runs)
  assert [s.state for s in statuses] == [
    *('damaged', 'damaged', 'damaged', 'missing', 'damaged', 'damaged')
  ]
  assert f'  f  {statuses[5].reason}' in status_lib.table(statuses, 1)


def test_runs_of_a_grid_are_told_apart_with_their_returns(tmp_path):
  directory = sweep_dir_lib.SweepDir(tmp_path)
  listed = [
    ListedRun(
      f'{rate}-{seed}',
      {'method': 'rigl', 'sparsity': 0.9, 'learning_rate': rate, 'seed': seed},
    )
    for rate in (1e-3, 1 / 3000)
    for seed in (0, 1)
  ]
  for run, value in zip(listed, (3.0, 5.0)):
    run_dir = directory.run_dir(run)
    run_dir.path.mkdir(parents=True)
    run_dir.start(run.config())
    run_dir.finish(tiny.summary([tiny.evaluation(return_mean=value)]))
  lines = status_lib.table(status_lib.read(directory, listed), 1).splitlines()
  assert lines[0].split('  ')[-1] == 'final return'
  assert lines[2].split() == [
    *('rigl', '0.9', 'learning_rate=0.001', '2', '0', '0', '0', '4.0'),
  ]
  assert lines[3].split() == [
    *('rigl', '0.9', 'learning_rate=0.0003333', '0', '0', '0', '2'),
  ]
