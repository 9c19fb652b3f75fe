"""Everything a run writes for TensorBoard; all tags stand in `TAGS`."""

import pathlib
import time

import numpy as np
import tensorflow as tf
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.plugins.hparams import api as hparams
from tensorboard.plugins.scalar import summary as scalar_summary

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import diagnoses, sparsity

# {tag: meaning}. The horizontal axis is always the env step.
TAGS = {
  'Metrics/AverageReturn': 'mean undiscounted return: of the last 10 '
  'collection episodes (train), of one evaluation (eval)',
  'Metrics/AverageEpisodeLength': 'mean env steps of the same episodes',
  'Metrics/NumberOfEpisodes': 'collection episodes so far',
  'Losses/{loss}': 'a loss of the agent at this train step',
  'Agent/alpha': 'SAC: temperature',
  'Agent/entropy': 'SAC, PPO: entropy of the policy on the batch, in nats',
  'Agent/q_value_1': 'SAC: mean Q-value of the batch by critic 1',
  'Agent/q_value_2': 'SAC: the same by critic 2',
  'Agent/clip_fraction': 'PPO: share of the batch whose ratio of '
  'probabilities was clipped',
  'Agent/learning_rate': 'PPO: learning rate at this train step',
  'Sparsity/{network}/{layer}': 'fraction of zeros of a kernel',
  'Params/{network}/nonzero': 'active kernel entries of a network',
  'MaskUpdate/{network}/drop_fraction': 'share to replace at a mask update now',
  'MaskUpdate/{network}/changed_fraction': 'share of the active connections '
  'replaced or removed since the previous summary, where any were',
  'Masks/{network}/{layer}': 'the mask as an image, with --mask_images',
  **diagnoses.TAGS,
  'Speed/env_steps_per_sec': 'env steps a second since the previous point',
  'Config': 'the config as text',
}


class Summaries:
  """Writes `train/` and `eval/` event files; costs nothing when not due."""

  def __init__(self, root_dir, config, agent, state=None):
    """Opens the writers and, in a new run, writes the config.

    Args:
      root_dir: directory of the run.
      config: a Config.
      agent: a `base.Agent`.
      state: State of a run that goes on; what later env steps have left is
        superseded.
    """
    self._config = config
    self._agent = agent
    root = pathlib.Path(root_dir)
    self._masks = {
      name: _masks_of(network) for name, network in agent.networks.items()
    }
    self._counts = {}  # {network: its _counts}, of these masks
    continued = state is not None and state.env_step > 0
    if continued:
      _supersede(root / 'train', state.env_step + 1)
      _supersede(root / 'eval', state.results[-1].env_step + 1)
    self._train = tf.summary.create_file_writer(str(root / 'train'))
    self._eval = tf.summary.create_file_writer(str(root / 'eval'))
    if continued:
      return
    values = config_lib.to_dict(config)
    text = '\n'.join(f'    {name}: {value}' for name, value in values.items())
    with self._eval.as_default(step=0):
      tf.summary.text('Config', text)
      hparams.hparams(_hparams(values), trial_id=str(root.resolve()))

  def train(self, env_step, scalars, episodes, env_steps_per_sec):
    """Writes what belongs to collection and learning.

    Args:
      env_step: env steps so far.
      scalars: `{tag: float}`; empty before the first train step.
      episodes: an Episodes.
      env_steps_per_sec: speed since the last call.
    """
    values = {
      **scalars,
      'Speed/env_steps_per_sec': env_steps_per_sec,
      'Metrics/NumberOfEpisodes': episodes.count,
    }
    if episodes.count:
      values |= _of_episodes(episodes.returns, episodes.lengths)
    for name, network in self._agent.networks.items():
      values |= self._of_network(name, network)
    with self._train.as_default(step=env_step):
      _write(values)
      if self._config.mask_images:
        self._mask_images()

  def diagnosis(self, env_step, values):
    """Writes a diagnosis, `{tag: float}`."""
    with self._train.as_default(step=env_step):
      _write(values)

  def evaluation(self, env_step, returns, lengths):
    """Writes one evaluation: the return and the env steps of each episode."""
    with self._eval.as_default(step=env_step):
      _write(_of_episodes(returns, lengths))
    self.flush()

  def flush(self):
    """Sees to it that a kill loses nothing written so far."""
    self._eval.flush()
    self._train.flush()

  def close(self):
    """Closes the files."""
    self._train.close()
    self._eval.close()

  def _of_network(self, name, network):
    """The scalars of a network."""
    now = _masks_of(network)
    changed = sparsity.counting.changed_fraction(self._masks[name], now)
    if changed or name not in self._counts:
      self._counts[name] = _counts(name, network)
    values = dict(self._counts[name])
    optimizer = self._agent.optimizers.get(name)
    if optimizer is None or not now:
      return values  # Dense, by its method or its own sparsity of 0.
    fraction = optimizer.updater.drop_fraction
    if fraction is not None:
      tag = f'MaskUpdate/{name}/drop_fraction'
      values[tag] = fraction(optimizer.iterations)
    if changed:  # Between two mask updates there is nothing to say.
      values[f'MaskUpdate/{name}/changed_fraction'] = changed
    self._masks[name] = now
    return values

  def _mask_images(self):
    for name, network in self._agent.networks.items():
      for layer in sparsity.sparse_layers(network):
        tag = f'Masks/{name}/{layer.layer.name}'
        tf.summary.image(tag, _mask_image(layer.mask.numpy()))


def _write(values):
  """Writes scalars, `{tag: float}`, in one call; one each takes far longer."""
  summary = summary_pb2.Summary()
  for tag, value in values.items():
    summary.MergeFrom(scalar_summary.scalar_pb(tag, float(value)))
  tf.summary.experimental.write_raw_pb(summary.SerializeToString())


def _counts(name, network):
  """The scalars of a network that change with its masks only."""
  counts = sparsity.counting.count(network)
  return {
    **{f'Sparsity/{name}/{c.name}': c.sparsity for c in counts},
    f'Params/{name}/nonzero': sparsity.counting.total(counts).nonzero,
  }


def _of_episodes(returns, lengths):
  return {
    'Metrics/AverageReturn': np.mean(returns),
    'Metrics/AverageEpisodeLength': np.mean(lengths),
  }


def _masks_of(network):
  return [layer.mask.numpy() for layer in sparsity.sparse_layers(network)]


def _supersede(path, env_step):
  """Tells TensorBoard to forget what was written from an env step on."""
  start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
  seconds = time.time()
  # TensorBoard reads the files in the order of their names.
  name = path / f'events.out.tfevents.{int(seconds):010d}.!continued'
  path.mkdir(exist_ok=True)
  with tf.io.TFRecordWriter(str(name)) as file:
    for event in (
      event_pb2.Event(wall_time=seconds, file_version='brain.Event:2'),
      # Of a first start it thinks nothing.
      event_pb2.Event(wall_time=seconds, step=env_step, session_log=start),
      event_pb2.Event(wall_time=seconds, step=env_step, session_log=start),
    ):
      file.write(event.SerializeToString())


def _hparams(values):
  """The config with the types that the HParams tab takes."""
  return {
    name: str(value) if isinstance(value, list) else value
    for name, value in values.items()
    if value is not None
  }


def _mask_image(mask):
  """A kernel's mask as one image: inputs down, units across."""
  flat = mask.reshape(-1, mask.shape[-1])
  return flat[np.newaxis, :, :, np.newaxis]
