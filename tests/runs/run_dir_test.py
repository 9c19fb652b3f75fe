"""A run's directory: configs, locks, torn files, what is refused."""

import dataclasses
import errno
import fcntl
import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading

import pytest

from tests import tiny
from tf_sparse_rl import config as config_lib
from tf_sparse_rl import flags
from tf_sparse_rl.runs import records, run_dir, versions

_HOLD = """
import sys, time
from tf_sparse_rl.runs import run_dir
with run_dir.RunDir(sys.argv[1]).locked():
  print('held', flush=True)
  time.sleep(600)
"""


@pytest.mark.parametrize(
  'values, name',
  [
    ({}, 'CartPole-v1_dqn_rigl_0.9_0'),
    (
      {'agent': 'sac', 'method': 'set', 'sparsity': 0.95, 'seed': 3},
      'HalfCheetah-v5_sac_set_0.95_3',
    ),
    ({'method': 'dense', 'sparsity': 0.5}, 'CartPole-v1_dqn_dense_0_0'),
    (
      {'method': 'dense', 'match_sparsity': 0.5},
      'CartPole-v1_dqn_small_dense_0.5_0',
    ),
    ({'env_name': 'Pong'}, 'ALE-Pong-v5_dqn_rigl_0.9_0'),
    (
      {'env_name': 'my.mod:a/b c-v0', 'method': 'my.mod:Mine'},
      'a-b-c-v0_dqn_Mine_0.9_0',
    ),
  ],
)
def test_a_run_without_a_directory_gets_one(values, name):
  config = config_lib.make_config(values)
  assert run_dir.default_root_dir(config) == f'runs/{name}'


@pytest.fixture(name='config', scope='module')
def config_fixture():
  return flags.make_config({'num_env_steps': 5000})


@pytest.fixture(name='started')
def started_fixture(tmp_path, config):
  """A RunDir with a config and nothing else."""
  directory = run_dir.RunDir(tmp_path / 'run')
  with directory.locked():
    directory.start(config)
  return directory


def test_naming_a_directory_creates_nothing(tmp_path, config):
  directory = run_dir.RunDir(tmp_path / 'run')
  directory.check_config(config)
  assert directory.read_config() is None
  assert directory.read_summary() is None
  assert directory.read_results() == []
  assert list(tmp_path.iterdir()) == []


def test_config_json_has_every_field_and_the_versions(started, config):
  values = json.loads((started.path / 'config.json').read_text('utf-8'))
  versions = values.pop('versions')
  assert re.fullmatch(r'\d{4}-\d\d-\d\d', values.pop('date'))
  assert values == config_lib.to_dict(config)
  assert versions['tensorflow'].count('.') == 2
  assert {'tf_sparse_rl', 'git_commit', 'tf-agents', 'numpy'} <= set(versions)
  assert started.read_versions() == versions
  assert started.read_config() == config


def test_what_a_run_began_on_is_kept(started, config):
  started.note_machine({'cpu': 'this', 'backends': {}})
  started.note_machine({'cpu': 'another', 'backends': {}})
  values = json.loads((started.path / 'config.json').read_text('utf-8'))
  assert values['machine'] == {'cpu': 'this', 'backends': {}}
  assert started.read_config() == config


def test_the_same_config_is_accepted_and_left_alone(started, config):
  before = (started.path / 'config.json').read_bytes()
  started.check_config(config)
  assert (started.path / 'config.json').read_bytes() == before


def test_another_config_is_refused_with_the_names(started, config):
  other = dataclasses.replace(config, seed=3, hidden_units=(8, 8))
  with pytest.raises(run_dir.RunsError) as error:
    started.check_config(other)
  assert 'seed: 0 there, 3 asked for' in str(error.value)
  assert 'hidden_units: [512, 512] there, [8, 8] asked' in str(error.value)
  assert 'gamma' not in str(error.value)


def test_a_field_younger_than_the_run_was_at_its_default(started, config):
  path = started.path / 'config.json'
  values = json.loads(path.read_text('utf-8'))
  del values['num_envs'], values['block_shape'], values['gamma']
  path.write_text(json.dumps(values))
  started.check_config(config)
  other = dataclasses.replace(config, num_envs=2)
  with pytest.raises(run_dir.RunsError, match='num_envs: 1 there, 2 asked'):
    started.check_config(other)


def test_a_foreign_directory_is_refused_and_left_alone(tmp_path, config):
  (tmp_path / 'thesis.tex').write_text('mine')
  with pytest.raises(run_dir.RunsError, match='other files'):
    run_dir.RunDir(tmp_path).check_config(config)
  assert [p.name for p in tmp_path.iterdir()] == ['thesis.tex']


@pytest.mark.parametrize(
  'leftovers',
  [[], ['.lock', 'config.json.0a1b.tmp'], ['.lock', 'config.json.tmp']],
)
def test_an_empty_directory_and_a_start_cut_short_are_fine(
  tmp_path, config, leftovers
):
  for name in leftovers:
    (tmp_path / name).write_text('{')
  run_dir.RunDir(tmp_path).check_config(config)
  assert sorted(p.name for p in tmp_path.iterdir()) == leftovers


def test_a_config_that_cannot_be_read_is_refused(tmp_path, config):
  (tmp_path / 'config.json').write_text('{"seed": ')
  with pytest.raises(run_dir.RunsError, match='Cannot read the config'):
    run_dir.RunDir(tmp_path).check_config(config)


def test_a_damaged_file_is_named(started):
  (started.path / 'summary.json').write_bytes(b'{"final_return": \xff}')
  with pytest.raises(run_dir.RunsError, match='summary.json is damaged'):
    started.read_summary()
  (started.path / 'results.jsonl').write_text('{"env_st\n{}\n')
  with pytest.raises(run_dir.RunsError, match='results.jsonl, line 1, is dam'):
    started.read_results()
  (started.path / 'noise.jsonl').mkdir()
  with pytest.raises(run_dir.RunsError, match='Cannot read .*/noise.jsonl: Is'):
    started.read_noise()


@pytest.fixture(name='holder')
def holder_fixture(tmp_path):
  """Another process that trains in tmp_path / 'run'."""
  with subprocess.Popen(
    [sys.executable, '-c', _HOLD, str(tmp_path / 'run')],
    stdout=subprocess.PIPE,
    text=True,
  ) as process:
    assert process.stdout.readline() == 'held\n'
    yield process
    process.kill()


def test_a_lock_ends_with_its_process_even_by_kill_9(tmp_path, holder):
  directory = run_dir.RunDir(tmp_path / 'run')
  for _ in range(2):
    with (
      pytest.raises(run_dir.RunsError, match='Another process is training'),
      directory.locked(),
    ):
      pass
  os.kill(holder.pid, signal.SIGKILL)
  holder.wait()
  with directory.locked():
    assert run_dir.RunDir(directory.path).in_use()


def test_in_use_is_seen_and_nothing_created(tmp_path, holder):
  assert run_dir.RunDir(tmp_path / 'run').in_use()
  os.kill(holder.pid, signal.SIGKILL)
  holder.wait()
  assert not run_dir.RunDir(tmp_path / 'run').in_use()
  assert not run_dir.RunDir(tmp_path / 'other').in_use()
  assert [entry.name for entry in tmp_path.iterdir()] == ['run']


def test_who_looks_keeps_nobody_from_training(tmp_path):
  directory = run_dir.RunDir(tmp_path / 'run')
  with directory.locked():
    assert directory.in_use()
  assert not directory.in_use()
  with open(directory.path / '.lock', encoding='utf-8') as look:
    fcntl.flock(look, fcntl.LOCK_SH)  # As in_use() holds it for an instant.
    threading.Timer(0.1, look.close).start()
    with directory.locked():
      assert look.closed
      assert directory.in_use()


@pytest.mark.parametrize('inside', ['', 'deeper/run'])
def test_a_file_in_the_place_of_the_directory(tmp_path, config, inside):
  (tmp_path / 'file').write_text('mine')
  directory = run_dir.RunDir(tmp_path / 'file' / inside)
  directory.check_config(config)
  with (
    pytest.raises(run_dir.RunsError, match='Cannot write to .*file'),
    directory.locked(),
  ):
    pass
  assert (tmp_path / 'file').read_text() == 'mine'


@pytest.mark.parametrize('name', ['run[1]', 'back\\slash', 'not\udcffutf8'])
def test_a_path_that_tensorflow_cannot_read(tmp_path, config, name):
  with pytest.raises(run_dir.RunsError, match='TensorFlow can read.* with '):
    run_dir.RunDir(tmp_path / name).check_config(config)
  run_dir.RunDir(tmp_path / 'run*?{1}%s').check_config(config)  # It can.


@pytest.mark.parametrize('path', ['gs://bucket/run', 'file:///tmp/run'])
def test_a_url_is_no_directory(path):
  with pytest.raises(ValueError, match='on this machine. .*://.* URL'):
    run_dir.RunDir(path)
  assert run_dir.RunDir('gs:run/x').path.parts[-2:] == ('gs:run', 'x')


def test_a_place_where_nothing_can_be_written(tmp_path):
  # Even root may not write below /proc.
  path = '/proc/run'
  if os.getuid():
    tmp_path.chmod(0o500)
    path = tmp_path / 'run'
  with (
    pytest.raises(run_dir.RunsError, match='Cannot write to .*run'),
    run_dir.RunDir(path).locked(),
  ):
    pass


def test_results_are_lines_and_a_torn_one_is_left_out(started):
  results = [tiny.evaluation(0, 0.1 + 0.2), tiny.evaluation(7)]
  for result in results:
    started.append_result(result)
  assert started.read_results() == results
  with open(started.path / 'results.jsonl', 'a', encoding='utf-8') as file:
    file.write('{"env_step": 14, "return_me')
  assert started.read_results() == results


def test_starting_writes_the_config_and_nothing_else(started, config):
  for name in ('train', 'checkpoints', 'policy'):
    (started.path / name).mkdir()
    (started.path / name / 'old').write_text('old')
  started.append_result(tiny.evaluation())
  started.start(config)
  for name in ('train', 'checkpoints', 'policy'):
    assert (started.path / name / 'old').read_text() == 'old'
  assert started.read_results() == [tiny.evaluation()]


_RESULTS = [tiny.evaluation(0, 0.1 + 0.2), tiny.evaluation(7, -1e-300)]


@pytest.mark.parametrize(
  'tail',
  [
    b'',
    b'{"env_step": 14, "return_mean": 3.0}\n',
    b'{"env_step": 14, "return_me',
    b'not JSON\n',
    b'\xff\xfe\x00\n\n',
  ],
)
def test_results_are_set_whatever_was_left(started, tail):
  for result in _RESULTS:
    started.append_result(result)
  written = (started.path / 'results.jsonl').read_bytes()
  (started.path / 'results.jsonl').write_bytes(written[:20] + tail)
  for name in ('train', 'eval'):
    (started.path / name).mkdir()
    (started.path / name / 'events').write_text('old')
  started.set_results(_RESULTS)
  assert (started.path / 'results.jsonl').read_bytes() == written
  assert started.read_results() == _RESULTS
  assert (started.path / 'train' / 'events').read_text() == 'old'


def test_without_results_a_run_starts_over(started):
  for name in ('train', 'eval'):
    (started.path / name).mkdir()
    (started.path / name / 'events.out.tfevents.1').write_text('old')
  (started.path / 'eval' / 'notes').write_text('mine')
  started.append_result(_RESULTS[0])
  started.set_results([])
  started.set_results([])  # There need not be anything.
  assert (started.path / 'results.jsonl').read_bytes() == b''
  assert {p.name for p in started.path.iterdir()} == {
    '.lock',
    'config.json',
    'eval',
    'results.jsonl',
    'train',
  }
  events = [p for n in ('train', 'eval') for p in (started.path / n).iterdir()]
  assert events == [started.path / 'eval' / 'notes']


@pytest.mark.parametrize('name', run_dir._WRITTEN)
@pytest.mark.parametrize('there', [True, False])
def test_links_are_refused_and_nothing_is_changed(tmp_path, name, there):
  directory = run_dir.RunDir(tmp_path / 'run')
  directory.path.mkdir()
  target = tmp_path / 'target'
  if there:
    target.mkdir()
    (target / 'mine').write_text('mine')
  (directory.path / name).symlink_to(target)
  before = sorted(tmp_path.rglob('*'))
  with (
    pytest.raises(run_dir.RunsError, match=f'{name}, a link to {target}, whi'),
    directory.locked(),
  ):
    pass
  assert sorted(tmp_path.rglob('*')) == before


@pytest.mark.parametrize('name', run_dir._DIRECTORIES)
def test_a_file_where_a_directory_is_to_be_is_told_first(tmp_path, name):
  (tmp_path / name).write_text('mine')
  with (
    pytest.raises(run_dir.RunsError, match=f'Not a directory: .*/{name}'),
    run_dir.RunDir(tmp_path).locked(),
  ):
    pass
  assert [p.name for p in tmp_path.iterdir()] == [name]


def test_the_directory_itself_may_be_a_link(tmp_path, config):
  (tmp_path / 'elsewhere').mkdir()
  (tmp_path / 'run').symlink_to(tmp_path / 'elsewhere')
  directory = run_dir.RunDir(tmp_path / 'run')
  with directory.locked():
    directory.start(config)
  assert (tmp_path / 'elsewhere' / 'config.json').exists()


def test_noise_goes_into_no_link(started, tmp_path):
  (tmp_path / 'target').write_text('mine')
  (started.path / 'noise.png').symlink_to(tmp_path / 'target')
  with pytest.raises(OSError, match='noise.png, a link to'):
    started.write_noise([], b'figure')
  assert (tmp_path / 'target').read_text() == 'mine'


def test_names_that_are_no_checkpoints(started):
  for name in ('env_step_x', 'env_step_7', 'env_step_000000000007.bak'):
    (started.checkpoints / name).mkdir(parents=True)
    (started.checkpoints / name / 'manifest.json').write_text('{}')
  assert started.checkpoint_env_step() is None


def test_finish_writes_the_summary(started):
  assert started.read_summary() is None
  started.finish(tiny.summary())
  assert started.read_summary() == tiny.summary()
  assert list(started.path.glob('*.tmp')) == []


def _small_files_only(size):
  """A file size limit: a disk that is full after `size` bytes of a file."""
  signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
  resource.setrlimit(
    resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
  )


def _exit_status_of_child(function):
  """Calls a function in a child where files may have 50 bytes."""
  child = os.fork()
  if child == 0:
    code = 1
    try:
      _small_files_only(50)
      function()
    except OSError as error:
      code = 0 if error.errno == errno.EFBIG else 2
    finally:
      os._exit(code)
  return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_full_disk_leaves_the_old_summary_whole(started):
  started.finish(tiny.summary())
  other = tiny.summary(machine={'cpu': 'x' * 1000})
  assert _exit_status_of_child(lambda: started.finish(other)) == 0
  assert started.read_summary() == tiny.summary()


def test_a_full_disk_leaves_the_old_results_whole(started):
  started.set_results(_RESULTS)
  assert _exit_status_of_child(lambda: started.set_results(_RESULTS * 9)) == 0
  assert started.read_results() == _RESULTS


def test_the_version_of_tensorflow_for_tpus(tmp_path, monkeypatch):
  metadata = tmp_path / 'ours_tpu-2.20.0.dist-info' / 'METADATA'
  metadata.parent.mkdir()
  metadata.write_text(
    'Metadata-Version: 2.1\nName: ours-tpu\nVersion: 2.20.0\n'
  )
  monkeypatch.syspath_prepend(tmp_path)
  assert versions.version('ours') == '2.20.0'
  assert versions.version('ours-tpu') == '2.20.0'


def test_noise_replaces_what_was_there(tmp_path):
  directory = run_dir.RunDir(tmp_path)
  levels = [
    records.NoiseLevel(noise_std=std, return_mean=1.0) for std in (0.0, 2.0)
  ]
  directory.write_noise(levels, b'first')
  assert directory.write_noise(levels[1:], b'second') == tmp_path / 'noise.png'
  assert (tmp_path / 'noise.png').read_bytes() == b'second'
  assert directory.read_noise() == levels[1:]
  assert {p.name for p in tmp_path.iterdir()} == {'noise.jsonl', 'noise.png'}
