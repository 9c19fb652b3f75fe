"""A sweep's directory: the list grows and never changes; who may work."""

import json
import subprocess
import sys

import pytest

from tf_sparse_rl import runs as runs_lib
from tf_sparse_rl.sweeps import sweep_dir as sweep_dir_lib

_ADD = """
import sys
from tf_sparse_rl.sweeps import grid, sweep_dir
runs = grid.make_runs(['dense'], [], ['CartPole-v1'], 100)
begin = int(sys.argv[2])
sweep_dir.SweepDir(sys.argv[1]).add(runs[begin : begin + 50])
"""


def test_a_line_is_a_run(sweep_dir, make_runs):
  runs = make_runs()
  assert sweep_dir.add(runs) == runs
  lines = (sweep_dir.path / 'runs.jsonl').read_text('utf-8').splitlines()
  assert [json.loads(line) for line in lines] == [
    {'id': run.id, 'flags': run.flags} for run in runs
  ]
  assert sweep_dir.read_runs() == runs
  path = sweep_dir.path / 'runs' / 'CartPole-v1-rigl-0.9-seed0'
  assert sweep_dir.run_dir(runs[1]).path == path


def test_the_same_again_adds_nothing(sweep_dir, make_runs):
  sweep_dir.add(make_runs())
  before = sweep_dir.list_path.stat()
  assert sweep_dir.add(make_runs()) == []
  after = sweep_dir.list_path.stat()
  assert (after.st_ino, after.st_mtime_ns) == (
    before.st_ino,
    before.st_mtime_ns,
  )


def test_more_runs_come_last_so_lines_keep_their_numbers(sweep_dir, make_runs):
  first = make_runs(num_seeds=2)
  sweep_dir.add(first)
  more = make_runs(methods=('static', 'rigl'), num_seeds=3)
  added = sweep_dir.add(more)
  assert [run.id for run in added] == [
    'CartPole-v1-static-0.9-seed0',
    'CartPole-v1-static-0.9-seed1',
    'CartPole-v1-static-0.9-seed2',
    'CartPole-v1-rigl-0.9-seed2',
  ]
  assert sweep_dir.read_runs() == first + added


def test_other_flags_are_refused_by_name(sweep_dir, make_runs):
  sweep_dir.add(make_runs())
  before = sweep_dir.list_path.read_bytes()
  others = make_runs(methods=('static', 'rigl'), num_env_steps=700)
  with pytest.raises(runs_lib.RunsError) as error:
    sweep_dir.add(others)
  assert 'a run CartPole-v1-rigl-0.9-seed0 with other flags' in str(error.value)
  assert 'num_env_steps: 600 there, 700 asked' in str(error.value)
  assert 'hidden_units' not in str(error.value)
  assert sweep_dir.list_path.read_bytes() == before


def test_two_processes_add_at_once(sweep_dir):
  processes = [
    subprocess.Popen(
      [sys.executable, '-c', _ADD, str(sweep_dir.path), str(begin)]
    )
    for begin in (0, 25)
  ]
  assert [process.wait() for process in processes] == [0, 0]
  ids = [run.id for run in sweep_dir.read_runs()]
  assert sorted(ids) == sorted(f'CartPole-v1-dense-seed{i}' for i in range(75))


@pytest.mark.parametrize(
  'line',
  [
    '{"id": "a"',
    '{"id": "a"}',
    '{"id": "a", "flags": {}, "b": 1}',
    '7',
    '{"id": "../a", "flags": {}}',
  ],
)
def test_a_line_that_is_no_run_is_named(sweep_dir, make_runs, line):
  sweep_dir.add(make_runs())
  with open(sweep_dir.list_path, 'a', encoding='utf-8') as file:
    file.write(line + '\n')
  with pytest.raises(runs_lib.RunsError, match='line 3, is damaged'):
    sweep_dir.read_runs()


def test_a_list_with_an_id_twice_is_refused(sweep_dir, make_runs):
  sweep_dir.add(make_runs())
  text = sweep_dir.list_path.read_text('utf-8')
  sweep_dir.list_path.write_text(text + text.splitlines()[0] + '\n')
  with pytest.raises(
    runs_lib.RunsError, match='twice: CartPole-v1-dense-seed0'
  ):
    sweep_dir.read_runs()


def test_one_engine_at_a_time(sweep_dir, make_runs):
  sweep_dir.add(make_runs())
  other = sweep_dir_lib.SweepDir(sweep_dir.path)
  with (
    sweep_dir.worked_on(),
    pytest.raises(runs_lib.RunsError, match='Another process works'),
    other.worked_on(),
  ):
    pass
  with other.worked_on():
    pass


def test_a_place_where_nothing_can_be_written(tmp_path, make_runs):
  (tmp_path / 'file').write_text('mine')
  with pytest.raises(runs_lib.RunsError, match='Cannot write to'):
    sweep_dir_lib.SweepDir(tmp_path / 'file').add(make_runs())


def test_events_of_attempts_survive_a_torn_line(sweep_dir, make_runs):
  [run, _] = make_runs()
  assert sweep_dir.events(run) == []
  sweep_dir.note(run, event='begin')
  path = sweep_dir.path / 'attempts' / f'{run.id}.jsonl'
  with open(path, 'a', encoding='utf-8') as file:
    file.write('{"event": "en\n[]\n')
  sweep_dir.note(run, event='begin')
  events = sweep_dir.events(run)
  assert [event.event for event in events] == ['begin', 'begin']
  assert all(event.host and event.time > 0 for event in events)
