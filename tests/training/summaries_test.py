"""Event files of a run, read back as TensorBoard reads them."""

import errno
import json
import math
import re
import resource
import time
import urllib.request

import numpy as np
import pytest
import tensorflow as tf
from tensorboard import program
from tensorboard.backend.event_processing import plugin_event_accumulator
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import plugin_data_pb2

from tests import tiny
from tf_sparse_rl import config as config_lib
from tf_sparse_rl import envs, sparsity
from tf_sparse_rl.agents import registry
from tf_sparse_rl.training import event_files, metrics, state, summaries

_HPARAMS_TAG = '_hparams_/session_start_info'
_LAYOUT_TAG = 'custom_scalars__config__'


def _read(path):
  everything = {plugin_event_accumulator.TENSORS: 0}
  events = plugin_event_accumulator.EventAccumulator(str(path), everything)
  events.Reload()
  return events


@pytest.fixture(name='events', scope='module')
def events_fixture(tiny_run):
  """{'train' or 'eval': what the tiny run wrote there}."""
  return {n: _read(tiny_run.run_dir.path / n) for n in ('train', 'eval')}


def _tags(events):
  return events.Tags()['tensors']


def _points(events, tag):
  """[(env_step, value)] of a scalar."""
  assert events.SummaryMetadata(tag).plugin_data.plugin_name == 'scalars'
  return [
    (e.step, float(tf.make_ndarray(e.tensor_proto)))
    for e in events.Tensors(tag)
  ]


def _pattern(tag):
  return re.sub(r'\\{\w+\\}', '[^/]+', re.escape(tag)) + '$'


@pytest.fixture(name='sac_events', scope='module')
def sac_events_fixture(tiny_sac_run):
  """Events that the tiny run of SAC wrote to train/."""
  return _read(tiny_sac_run.run_dir.path / 'train')


@pytest.fixture(name='ppo_events', scope='module')
def ppo_events_fixture(tiny_ppo_run):
  """The same of PPO."""
  return _read(tiny_ppo_run.run_dir.path / 'train')


def test_every_tag_stands_in_the_table_and_every_row_is_written(
  events, sac_events, ppo_events, tiny_adaptive_run
):
  adaptive = _read(tiny_adaptive_run.run_dir.path / 'train')
  written = {*_tags(events['train']), *_tags(events['eval'])} - {_HPARAMS_TAG}
  written.update(_tags(sac_events), _tags(ppo_events), _tags(adaptive))
  written.remove(_LAYOUT_TAG)
  for tag in written:
    assert any(re.match(_pattern(row), tag) for row in summaries.TAGS), tag
  for row in summaries.TAGS:
    assert any(re.match(_pattern(row), tag) for tag in written), row


@pytest.mark.parametrize(
  'run, tags, env_steps',
  [
    ('sac', 'sac_events', [150, 300, 450, 600]),
    # The ends of rollouts of 64 env steps: the next ones.
    ('ppo', 'ppo_events', [192, 320, 512]),
  ],
)
def test_diagnoses_come_at_their_period(request, run, tags, env_steps):
  events = request.getfixturevalue(tags)
  finished = request.getfixturevalue(f'tiny_{run}_run')
  last = finished.run_dir.read_results()[-1].diagnosis
  groups = {tag.split('/')[0] for tag in last}
  assert groups >= {'SNR', 'DeadGradients', 'Dormant', 'Rank', 'Churn'}
  assert {tag.split('/')[1] for tag in last} == set(
    finished.outcome.agent.networks
  )
  for tag, value in last.items():
    points = _points(events, tag)
    assert [step for step, _ in points] == env_steps, tag
    assert points[-1][1] == pytest.approx(value, rel=1e-5), tag


def test_without_diagnostics_there_is_nothing_of_them(events, tiny_run):
  assert not {tag for tag in _tags(events['train']) if 'SNR' in tag}
  assert tiny_run.run_dir.read_results()[-1].diagnosis is None


def test_evaluations_are_those_of_the_results(events, tiny_run):
  results = tiny_run.run_dir.read_results()
  returns = _points(events['eval'], 'Metrics/AverageReturn')
  assert [step for step, _ in returns] == [0, 200, 400, 600]
  np.testing.assert_allclose(
    [value for _, value in returns],
    [result.return_mean for result in results],
    rtol=1e-6,
  )
  # CartPole gives 1 a step.
  assert returns == _points(events['eval'], 'Metrics/AverageEpisodeLength')


def test_training_is_written_at_the_summary_period(events):
  steps = [100, 200, 300, 400, 500, 600]
  speeds = _points(events['train'], 'Speed/env_steps_per_sec')
  assert [step for step, _ in speeds] == steps
  assert all(speed > 0 for _, speed in speeds)
  counts = _points(events['train'], 'Metrics/NumberOfEpisodes')
  assert [step for step, _ in counts] == steps
  values = [value for _, value in counts]
  assert values == sorted(values) and values[-1] > values[0] > 0
  # At 100 nothing has been trained yet.
  for tag in ('Losses/td_loss', 'Losses/total_loss'):
    losses = _points(events['train'], tag)
    assert [step for step, _ in losses] == steps[1:]
    assert all(math.isfinite(loss) and loss > 0 for _, loss in losses)


def test_sparsity_is_that_of_the_layers(events, tiny_run):
  network = tiny_run.outcome.agent.networks['q_network']
  for layer in sparsity.sparse_layers(network):
    tag = f'Sparsity/q_network/{layer.layer.name}'
    expected = 1 - float(np.mean(layer.mask))
    values = [value for _, value in _points(events['train'], tag)]
    assert values == pytest.approx([expected] * 6, abs=1e-6)
  nonzero = _points(events['train'], 'Params/q_network/nonzero')
  assert {value for _, value in nonzero} == {tiny_run.outcome.summary.nonzero}


def test_sac_writes_each_network_and_what_its_policy_does(sac_events):
  steps = [200, 300, 400, 500, 600]  # At 100 nothing has been trained yet.
  for tag in (
    'Losses/critic_loss',
    'Losses/actor_loss',
    'Losses/alpha_loss',
    'Agent/alpha',
    'Agent/entropy',
    'Agent/q_value_1',
    'Agent/q_value_2',
  ):
    assert [step for step, _ in _points(sac_events, tag)] == steps, tag
  alphas = [value for _, value in _points(sac_events, 'Agent/alpha')]
  # It starts at 1; each train step changes its logarithm by 3e-4 or so.
  assert all(0.8 < alpha < 1.2 and alpha != 1 for alpha in alphas)
  for network in ('actor', 'critic_1', 'critic_2'):
    for layer in ('hidden_0', 'hidden_1', 'output'):
      assert len(_points(sac_events, f'Sparsity/{network}/{layer}')) == 6
    assert _points(sac_events, f'MaskUpdate/{network}/changed_fraction')


def test_mask_updates_follow_the_cosine(events, tiny_run):
  end = tiny_run.config.mask_update_end_train_step
  assert end == 450
  for env_step, value in _points(
    events['train'], 'MaskUpdate/q_network/drop_fraction'
  ):
    train_step = min(env_step - 100, end)
    expected = 0.25 * (1 + math.cos(math.pi * train_step / end))
    assert value == pytest.approx(expected, abs=1e-6)
  changed = _points(events['train'], 'MaskUpdate/q_network/changed_fraction')
  assert changed[0][0] == 200  # The first train step is after 100.
  assert {step for step, _ in changed} <= {200, 300, 400, 500, 600}
  # Two updates between points replace at most half each.
  assert all(0 < value <= 0.75 for _, value in changed)


def test_mask_images_are_the_masks(events, tiny_run):
  network = tiny_run.outcome.agent.networks['q_network']
  for layer in sparsity.sparse_layers(network):
    tag = f'Masks/q_network/{layer.layer.name}'
    metadata = events['train'].SummaryMetadata(tag)
    assert metadata.plugin_data.plugin_name == 'images'
    last = events['train'].Tensors(tag)[-1]
    assert last.step == 600
    _, _, png = tf.make_ndarray(last.tensor_proto)
    image = tf.io.decode_png(png, channels=1).numpy()[:, :, 0]
    np.testing.assert_array_equal(image, 255 * layer.mask.numpy())


def test_the_config_is_there_as_text_and_as_hparams(events, tiny_run):
  [event] = events['eval'].Tensors('Config')
  text = tf.make_ndarray(event.tensor_proto).item().decode()
  assert '    method: rigl\n' in text
  assert '    hidden_units: [32, 32]\n' in text
  metadata = events['eval'].SummaryMetadata(_HPARAMS_TAG)
  data = plugin_data_pb2.HParamsPluginData.FromString(
    metadata.plugin_data.content
  )
  hparams = data.session_start_info.hparams
  assert hparams['method'].string_value == 'rigl'
  assert hparams['sparsity'].number_value == 0.9
  assert hparams['mask_images'].bool_value
  assert hparams['hidden_units'].string_value == '[32, 32]'
  values = config_lib.to_dict(tiny_run.config).values()
  assert len(hparams) == sum(value is not None for value in values)


def test_dense_writes_nothing_about_masks(tmp_path, tiny_config):
  config = tiny_config(method='dense', mask_images=True)
  spec = envs.EnvSpec('CartPole-v1', 4, 2, 500)
  agent = registry.build(config, spec)
  writer = summaries.Summaries(tmp_path, config, agent)
  writer.train(10, {'Losses/total_loss': 1.5}, metrics.Episodes(), 100.0)
  writer.close()
  events = _read(tmp_path / 'train')
  assert _points(events, 'Losses/total_loss') == [(10, 1.5)]
  assert _points(events, 'Sparsity/q_network/hidden_0') == [(10, 0.0)]
  assert not [t for t in _tags(events) if t.startswith(('Mask', 'Metrics/Av'))]


def test_masks_are_images_only_when_asked_for(tmp_path, tiny_config):
  config = tiny_config()
  spec = envs.EnvSpec('CartPole-v1', 4, 2, 500)
  agent = registry.build(config, spec)
  writer = summaries.Summaries(tmp_path, config, agent)
  writer.train(10, {}, metrics.Episodes(), 100.0)
  writer.close()
  tags = _tags(_read(tmp_path / 'train'))
  assert 'Sparsity/q_network/hidden_0' in tags
  assert not [tag for tag in tags if tag.startswith('Masks/')]


_SPEC = envs.EnvSpec('CartPole-v1', 4, 2, 500)


def _write(writer, train, evaluations):
  """Writes points at env steps; the values tell them apart."""
  for env_step, loss in train:
    scalars = {'Losses/total_loss': loss}
    writer.train(env_step, scalars, metrics.Episodes(), 100.0)
  for env_step, value in evaluations:
    writer.evaluation(env_step, [value], [int(value)])


def _state(config, env_step, *evaluated):
  now = state.State.begin(config)
  now.env_step = env_step
  now.results = [tiny.evaluation(n) for n in evaluated]
  return now


def test_a_continued_run_replaces_what_came_after_its_checkpoint(
  tmp_path, tiny_config
):
  config = tiny_config()
  agent = registry.build(config, _SPEC)
  writer = summaries.Summaries(tmp_path, config, agent)
  _write(writer, [(50, 1), (100, 2), (150, 3)], [(0, 4), (100, 5), (200, 6)])
  writer.close()
  # The checkpoint at 100 is from before its evaluation.
  now = _state(config, 100, 0)
  writer = summaries.Summaries(tmp_path, config, agent, now)
  _write(writer, [(150, 7), (200, 8), (250, 9)], [(100, 10), (200, 11)])
  del writer  # And killed.
  # That at 200 has its evaluation.
  now = _state(config, 200, 0, 100, 200)
  writer = summaries.Summaries(tmp_path, config, agent, now)
  _write(writer, [(250, 12)], [(300, 13)])
  writer.close()

  train, evaluations = (_read(tmp_path / name) for name in ('train', 'eval'))
  assert _points(train, 'Losses/total_loss') == [
    (50, 1),
    (100, 2),
    (150, 7),
    (200, 8),
    (250, 12),
  ]
  assert _points(evaluations, 'Metrics/AverageReturn') == [
    (0, 4),
    (100, 10),
    (200, 11),
    (300, 13),
  ]
  assert len(evaluations.Tensors('Config')) == 1


def test_a_reader_that_was_there_before_sees_the_same(tmp_path, tiny_config):
  config = tiny_config()
  agent = registry.build(config, _SPEC)
  writer = summaries.Summaries(tmp_path, config, agent)
  _write(writer, [(50, 1), (100, 2), (150, 3)], [])
  events = _read(tmp_path / 'train')
  assert len(_points(events, 'Losses/total_loss')) == 3
  now = _state(config, 70, 0)
  writer = summaries.Summaries(tmp_path, config, agent, now)
  _write(writer, [(100, 4)], [])
  writer.close()
  events.Reload()
  assert _points(events, 'Losses/total_loss') == [(50, 1), (100, 4)]


def test_files_are_numbered_whatever_the_clock_says(
  tmp_path, tiny_config, monkeypatch
):
  config = tiny_config()
  agent = registry.build(config, _SPEC)
  # TensorFlow's own writer named it by the second.
  writer = tf.summary.create_file_writer(str(tmp_path / 'train'))
  with writer.as_default(step=50):
    tf.summary.scalar('Losses/total_loss', 1.0)
    tf.summary.scalar('Losses/total_loss', 2.0, step=100)
  writer.close()
  (first,) = (tmp_path / 'train').iterdir()
  for env_step, hours, value in ((60, -50, 3), (80, -90, 4)):
    now = time.time() + 3600 * hours
    monkeypatch.setattr(time, 'time', lambda now=now: now)
    going_on = _state(config, env_step, 0)
    writer = summaries.Summaries(tmp_path, config, agent, going_on)
    _write(writer, [(env_step + 30, value)], [])
    writer.close()
  points = _points(_read(tmp_path / 'train'), 'Losses/total_loss')
  assert points == [(50, 1), (110, 4)]
  names = sorted(path.name for path in (tmp_path / 'train').iterdir())
  assert names[0] == first.name
  second = int(re.search(r'\d{10}', first.name)[0])
  assert names[1:] == [
    f'events.out.tfevents.{second + more:010d}' for more in (1, 2)
  ]


@pytest.fixture(name='few_bytes')
def few_bytes_fixture():
  """Files may have 3,000 bytes, as if a disk or a quota were full."""
  before = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (3000, before[1]))
  yield
  resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures('few_bytes')
def test_a_file_that_cannot_be_written_is_followed_by_another(
  tmp_path, tiny_config
):
  config, told = tiny_config(), []
  agent = registry.build(config, _SPEC)
  writer = summaries.Summaries(tmp_path, config, agent, tell=told.append)
  points = [(env_step, env_step / 10) for env_step in range(10, 100, 10)]
  _write(writer, [], points)
  _write(writer, points, [])
  writer.close()
  read = _points(_read(tmp_path / 'train'), 'Losses/total_loss')
  assert read == points
  assert len([*(tmp_path / 'train').iterdir()]) > 1
  assert told[0].startswith(f'warning: Writing to {tmp_path}')
  assert all('File too large' in text for text in told)


def test_a_tracker_that_fails_is_told_and_left_out(
  tmp_path, tiny_config, monkeypatch
):
  class Failing:
    def log(self, env_step, scalars):
      raise RuntimeError('its server has gone')

  config, told = tiny_config(), []
  monkeypatch.setattr(summaries.trackers, 'make', lambda *_: [Failing()])
  agent = registry.build(config, _SPEC)
  writer = summaries.Summaries(tmp_path, config, agent, tell=told.append)
  for env_step in (10, 20):
    writer.values(env_step, {'Losses/total_loss': 1.0})
  writer.close()
  [text] = told
  assert text.startswith('warning: Failing failed: its server has gone.')


def test_what_fails_is_told_once_and_tried_again(tmp_path, monkeypatch):
  told = []
  files = event_files.EventFiles(tmp_path / 'train', told.append)
  write = event_files._Whole.write

  def fail(self, content):
    self._file.write(content[:5])
    raise OSError(errno.ENOSPC, 'No space left on device')

  def point(env_step):
    files.write(env_step, summaries._scalars({'Losses/total_loss': 1.0}))

  point(10)
  for env_steps in ((20, 30), (50, 60)):
    monkeypatch.setattr(event_files._Whole, 'write', fail)
    for env_step in env_steps:
      point(env_step)
    monkeypatch.setattr(event_files._Whole, 'write', write)
    point(env_steps[-1] + 10)
  files.close()
  assert len(told) == 2 and 'No space left on device' in told[0]
  points = _points(_read(tmp_path / 'train'), 'Losses/total_loss')
  assert points == [(10, 1), (40, 1), (70, 1)]
  assert len([*(tmp_path / 'train').iterdir()]) == 3


def _swap(agent):
  """Moves a connection in every mask."""
  for layer in sparsity.sparse_layers(agent.networks['q_network']):
    mask = layer.mask.numpy().ravel()
    mask[np.flatnonzero(mask)[0]], mask[np.flatnonzero(mask == 0)[-1]] = 0, 1
    layer.mask.assign(mask.reshape(layer.mask.shape))


def test_the_first_change_after_a_stop_is_since_the_summary_before(
  tmp_path, tiny_config
):
  config = tiny_config()
  agent = registry.build(config, _SPEC)
  tag = 'MaskUpdate/q_network/changed_fraction'
  episodes, losses = metrics.Episodes(), {'Losses/total_loss': 1.0}
  for name, is_stopped in (('stopped', True), ('untouched', False)):
    agent = registry.build(config, _SPEC)
    (tmp_path / name).mkdir()
    writer = summaries.Summaries(tmp_path / name, config, agent)
    writer.train(100, losses, episodes, 1.0)
    assert writer.masks_written() == {}
    _swap(agent)
    if is_stopped:
      now = _state(config, 130, 0)
      now.masks_written = json.loads(json.dumps(writer.masks_written()))
      writer.close()
      writer = summaries.Summaries(tmp_path / name, config, agent, now)
    _swap(agent)
    writer.train(200, losses, episodes, 1.0)
    writer.train(300, losses, episodes, 1.0)
    writer.close()
  stopped, untouched = (
    _points(_read(tmp_path / name / 'train'), tag)
    for name in ('stopped', 'untouched')
  )
  assert [step for step, _ in untouched] == [200]
  assert stopped == untouched


def test_a_run_goes_on_without_the_event_files_of_before(tmp_path, tiny_config):
  config = tiny_config()
  agent = registry.build(config, _SPEC)
  now = _state(config, 100, 0)
  writer = summaries.Summaries(tmp_path, config, agent, now)
  _write(writer, [(150, 7)], [(200, 8)])
  writer.close()
  events = _read(tmp_path / 'train')
  assert _points(events, 'Losses/total_loss') == [(150, 7)]


@pytest.fixture(name='server', scope='module')
def server_fixture(tiny_run):
  """Function: path of a TensorBoard on loopback -> its answer."""
  board = program.TensorBoard()
  board.configure(
    logdir=str(tiny_run.run_dir.path),
    host='127.0.0.1',
    port=0,
    load_fast='false',
    reload_interval=0,
  )
  url = board.launch()
  opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

  def ask(path, data=None):
    request = urllib.request.Request(
      url + path, data, {'Content-Type': 'application/json'}
    )
    with opener.open(request, timeout=60) as answer:
      return json.loads(answer.read())

  return ask


def test_tensorboard_shows_the_run(server):
  assert sorted(server('data/runs')) == ['eval', 'train']
  scalars = server('data/plugin/scalars/tags')
  assert set(scalars['eval']) == {
    'Metrics/AverageReturn',
    'Metrics/AverageEpisodeLength',
  }
  assert {
    'Losses/td_loss',
    'MaskUpdate/q_network/changed_fraction',
    'Params/q_network/nonzero',
    'Sparsity/q_network/hidden_1',
    'Speed/env_steps_per_sec',
  } <= set(scalars['train'])
  points = server(
    'data/plugin/scalars/scalars?run=train&tag=Params/q_network/nonzero'
  )
  assert [step for _, step, _ in points] == [100, 200, 300, 400, 500, 600]
  images = server('data/plugin/images/tags')
  layers = ('hidden_0', 'hidden_1', 'output')
  masks = {f'Masks/q_network/{name}' for name in layers}
  assert set(images['train']) == masks
  assert server('data/plugin/text/tags') == {'eval': ['Config']}


def test_tensorboard_has_returns_first_and_the_agent_last(
  server, sac_events, tiny_sac_run
):
  layout = server('data/plugin/custom_scalars/layout')['category']
  groups = [category['title'] for category in layout]
  first = ['Metrics', 'Losses', 'Sparsity', 'Params', 'MaskUpdate', 'Speed']
  assert groups == first
  # Every tag of SAC, whose diagnoses are all there, is in one chart.
  [event] = sac_events.Tensors(_LAYOUT_TAG)
  layout = layout_pb2.Layout.FromString(
    tf.make_ndarray(event.tensor_proto).item()
  )
  groups = [category.title for category in layout.category]
  assert groups[:6] == first and groups[-1] == 'Agent' and len(groups) > 10
  patterns = [
    chart.multiline.tag[0]
    for category in layout.category
    for chart in category.chart
  ]
  assert len(patterns) == len({*patterns})
  tags = [tag for tag in _tags(sac_events) if tag != _LAYOUT_TAG]
  for tag in tags:
    count = sum(bool(re.match(pattern, tag)) for pattern in patterns)
    assert count == (not tag.startswith('Masks/')), tag
  for pattern in patterns:
    assert any(re.match(pattern, tag) for tag in tags), pattern


def test_runs_are_told_apart_by_the_first_words(events, tiny_run):
  metadata = events['eval'].SummaryMetadata(_HPARAMS_TAG)
  data = plugin_data_pb2.HParamsPluginData.FromString(
    metadata.plugin_data.content
  )
  assert data.session_start_info.group_name == (
    f'dqn CartPole-v1 rigl 0.9, seed 0, {tiny_run.run_dir.path.resolve()}'
  )


def test_tensorboard_lists_the_hparams(server):
  experiment = server(
    'data/plugin/hparams/experiment', b'{"experimentName": ""}'
  )
  names = {info['name'] for info in experiment['hparamInfos']}
  assert {'method', 'sparsity', 'learning_rate', 'hidden_units'} <= names
