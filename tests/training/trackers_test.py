"""Trackers get what TensorBoard gets, offline."""

import importlib.util
import os
import pathlib
import sqlite3
import struct

import pytest

import tf_sparse_rl
from tests import tiny
from tf_sparse_rl import packages
from tf_sparse_rl.report import events
from tf_sparse_rl.training import trackers


@pytest.mark.parametrize(
  'missing, message',
  [
    (
      ('wandb',),
      '--trackers=wandb,mlflow needs Weights & Biases, which is not '
      "installed. To install it: pip install 'tf_sparse_rl[wandb]'",
    ),
    (
      ('wandb', 'mlflow'),
      '--trackers=wandb,mlflow needs Weights & Biases and MLflow, which are '
      'not installed. To install them: pip install '
      "'tf_sparse_rl[wandb,mlflow]'",
    ),
  ],
)
def test_what_is_missing_is_told_in_a_line(
  tmp_path, monkeypatch, missing, message
):
  usual = importlib.util.find_spec

  def find_spec(name, *more):
    if name in ('wandb', 'mlflow'):
      return None if name in missing else 'found'
    return usual(name, *more)

  monkeypatch.setattr(importlib.util, 'find_spec', find_spec)
  with pytest.raises(packages.MissingError) as error:
    tf_sparse_rl.train(tmp_path / 'run', trackers='wandb,mlflow', **tiny.RUN)
  assert str(error.value) == message
  assert not (tmp_path / 'run').exists()


def test_without_trackers_nothing_is_made(tmp_path):
  assert trackers.make((), tmp_path, 'label', {}) == []
  assert not any(tmp_path.iterdir())


def _of_tensorboard(root_dir):
  """`{(tag, env step): value}` of train/ and eval/."""
  found = {}
  for where in ('train', 'eval'):
    for tag, points in events.scalars(root_dir / where).items():
      for env_step, value in zip(*points):
        found[f'{where}/{tag}', int(env_step)] = float(value)
  return found


def _of_mlflow(root_dir):
  """The same of MLflow's database; and the parameters and the status."""
  database = sqlite3.connect(root_dir / 'trackers' / 'mlflow.db')
  rows = database.execute('SELECT key, step, value FROM metrics').fetchall()
  params = dict(database.execute('SELECT key, value FROM params'))
  status = database.execute('SELECT status FROM runs').fetchall()
  database.close()
  return {(k, s): v for k, s, v in rows}, params, status


def _of_wandb(root_dir):
  """The same of the files of Weights & Biases."""
  from wandb.proto import wandb_internal_pb2

  found = {}
  for path in sorted((root_dir / 'trackers' / 'wandb').glob('off*/*.wandb')):
    for content in _wandb_records(path.read_bytes()):
      items = wandb_internal_pb2.Record.FromString(content).history.item
      values = {'/'.join(i.nested_key) or i.key: i.value_json for i in items}
      for tag in values.keys() - {'env_step'}:
        if not tag.startswith('_'):
          found[tag, int(values['env_step'])] = float(values[tag])
  return found


def _wandb_records(content):
  """The records of a file: of LevelDB's log format, after seven bytes."""
  position, parts = 7, []
  while position + 7 <= len(content):
    left = 2**15 - position % 2**15
    if left < 7:  # Too little for a record: it begins with the next block.
      position += left
      continue
    _, length, kind = struct.unpack_from('<IHB', content, position)
    position += 7 + length
    parts.append(content[position - length : position])
    if kind in (1, 4):  # Whole, or the last part.
      yield b''.join(parts)
      parts = []


@pytest.mark.slow
def test_files_of_both_hold_what_tensorboard_got(tmp_path, monkeypatch):
  pytest.importorskip('wandb')
  pytest.importorskip('mlflow')
  for name in ('WANDB_MODE', 'MLFLOW_TRACKING_URI'):
    monkeypatch.delenv(name, raising=False)
  root_dir = pathlib.Path(tmp_path / 'run')
  fields = {**tiny.RUN, 'trackers': 'wandb,mlflow', 'backend': 'masked'}
  tf_sparse_rl.train(root_dir, **fields)
  # It goes on in the same runs of both.
  tf_sparse_rl.train(root_dir, **{**fields, 'num_env_steps': 800})
  expected = _of_tensorboard(root_dir)
  assert ('eval/Metrics/AverageReturn', 800) in expected
  metrics, params, status = _of_mlflow(root_dir)
  assert status == [('FINISHED',)]
  assert params['method'] == 'rigl' and params['batch_size'] == '16'
  for found in (metrics, _of_wandb(root_dir)):
    assert found.keys() == expected.keys()
    for key, value in expected.items():
      assert found[key] == pytest.approx(value, rel=1e-6), key
  assert os.environ['WANDB_MODE'] == 'offline'
