"""The page of one run, and the scalars that it is drawn from."""

import os
import struct

import pytest
from tensorboard.compat.proto import event_pb2

from tests.report import studies
from tf_sparse_rl import runs
from tf_sparse_rl.report import events, run_page, writing


def _write(directory, name, *made):
  """Writes an event file without checksums."""
  directory.mkdir(exist_ok=True)
  with open(directory / f'events.out.tfevents.{name}', 'wb') as file:
    for event in made:
      content = event.SerializeToString()
      file.write(struct.pack('<QI', len(content), 0))
      file.write(content + bytes(4))


def _event(step, **scalars):
  event = event_pb2.Event(step=step)
  for tag, value in scalars.items():
    event.summary.value.add(tag=tag.replace('__', '/'), simple_value=value)
  return event


def _restart(step):
  event = event_pb2.Event(step=step)
  event.session_log.status = event.session_log.START
  return event


@pytest.fixture(name='run')
def run_fixture(tmp_path):
  """A finished SAC run with events of two starts, one of them torn."""
  path = tmp_path / 'run'
  studies.make_run(
    path, [-9.0, -5.0], agent='sac', env_name='Walker2d-v5', seed=3
  )
  tags = {
    'Sparsity__actor__hidden_0': 0.5,
    'Sparsity__critic_1__hidden_0': 0.75,
    'MaskUpdate__actor__drop_fraction': 0.5,
    'SNR__actor__active': 0.125,
    'SNR__actor__hidden_0__active': 7.0,
    'Speed__env_steps_per_sec': 60.0,
  }
  _write(path / 'train', '1', *(_event(s, **tags) for s in (100, 200, 300)))
  tags['MaskUpdate__actor__drop_fraction'] = 0.25
  _write(path / 'train', '2', _restart(250), _event(300, **tags))
  last = path / 'train' / 'events.out.tfevents.2'
  last.write_bytes(last.read_bytes() + struct.pack('<QI', 99, 0) + b'torn')
  return path


def test_a_second_start_supersedes_what_came_after_its_checkpoint(run):
  found = events.scalars(run / 'train')
  steps, values = found['MaskUpdate/actor/drop_fraction']
  assert steps.tolist() == [100, 200, 300]
  assert values.tolist() == [0.5, 0.5, 0.25]
  assert events.scalars(run / 'eval') == {}


def test_figures_and_tables_of_a_run(run):
  summary, pictures, tables = run_page.build(runs.read_run(run))
  assert summary.title == 'sac Walker2d-v5 rigl 0.9, seed 3'
  assert ('-5.0', 'final return') in summary.tiles
  assert summary.warnings == []
  drawn = {picture.name: picture.figure for picture in pictures}
  assert [*drawn] == ['returns', 'layers', 'masks', 'diagnosis_snr', 'speed']
  [axis] = drawn['returns'].axes
  assert axis.get_lines()[0].get_ydata().tolist() == [-9, -5]
  actor, critic = drawn['layers'].axes
  assert (actor.get_title(), critic.get_title()) == ('actor', 'critic_1')
  assert critic.get_lines()[0].get_ydata().tolist() == [0.75] * 3
  # Networks as a whole, not each layer.
  [line] = drawn['diagnosis_snr'].axes[0].get_lines()
  assert line.get_ydata().tolist() == [0.125] * 3
  layers, evaluations = tables
  assert layers.rows[0] == ('actor', 'hidden_0', 0.5, 0.5)
  assert studies.column(evaluations, 'env step') == [0, 1_000_000]


def test_a_run_that_has_just_begun_has_a_page(tmp_path):
  path = tmp_path / 'run'
  studies.make_run(path, [9.0], finished=False)
  (path / 'results.jsonl').unlink()
  index = writing.write_run(runs.read_run(path), path / 'report')
  text = index.read_text('utf-8')
  assert 'Not finished: at env step 0 of 100,000.' in text
  assert '<h1>dqn CartPole-v1 rigl 0.9, seed 0</h1>' in text
  assert 'Config' in text
  again = writing.write_run(runs.read_run(path), path / 'report')
  assert again.read_text('utf-8') == text


@pytest.mark.parametrize('link', ['figures', 'figures/returns.svg', 'tables'])
def test_links_in_the_page_of_a_run_are_refused(tmp_path, link):
  path, out = tmp_path / 'run', tmp_path / 'out'
  studies.make_run(path, [9.0], finished=False)
  outside = tmp_path / 'dqn_mine.svg'  # A name of ours.
  outside.write_text('mine')
  writing.write_run(runs.read_run(path), out)
  (out / link).rename(tmp_path / 'aside')
  is_file = (tmp_path / 'aside').is_file()
  (out / link).symlink_to(outside if is_file else tmp_path)
  with pytest.raises(OSError, match=f'{link}, a link to'):
    writing.write_run(runs.read_run(path), out)
  assert outside.read_text() == 'mine'


def test_damaged_events_are_left_out_and_what_is_no_file_is_told(run):
  last = run / 'train' / 'events.out.tfevents.2'
  # The first byte of an event is the kind of its first field.
  last.write_bytes(struct.pack('<QI', 2, 0) + b'\xff\xff' + bytes(4))
  steps, _ = events.scalars(run / 'train')['MaskUpdate/actor/drop_fraction']
  assert steps.tolist() == [100, 200, 300]
  last.unlink()
  os.mkfifo(last)
  with pytest.raises(runs.RunsError, match='Cannot read .*tfevents.2: Is no'):
    events.scalars(run / 'train')
