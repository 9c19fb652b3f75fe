"""Everything a run writes for TensorBoard; all tags stand in `TAGS`."""

import pathlib
import time

import numpy as np
import tensorflow as tf
from tensorboard.compat.proto import event_pb2
from tensorboard.plugins.hparams import api as hparams

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import diagnoses, sparsity
from tf_sparse_rl.training import trackers

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
    self._masks = self._read_masks()
    continued = state is not None and state.env_step > 0
    if continued:
      _supersede(root / 'train', state.env_step + 1)
      _supersede(root / 'eval', state.results[-1].env_step + 1)
    self._train = tf.summary.create_file_writer(str(root / 'train'))
    self._eval = tf.summary.create_file_writer(str(root / 'eval'))
    values = config_lib.to_dict(config)
    self._trackers = trackers.make(
      config.trackers_names, root, config.label, values
    )
    self._scalars = {}  # `{tag: float}` since the trackers were told
    if continued:
      return
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
    with self._train.as_default(step=env_step):
      for tag, value in scalars.items():
        self._scalar(tag, value)
      self._scalar('Speed/env_steps_per_sec', env_steps_per_sec)
      self._scalar('Metrics/NumberOfEpisodes', episodes.count)
      if episodes.count:
        self._returns(episodes.returns, episodes.lengths)
      for name, network in self._agent.networks.items():
        self._network(name, network)
    self._track('train', env_step)

  def diagnosis(self, env_step, values):
    """Writes a diagnosis, `{tag: float}`."""
    with self._train.as_default(step=env_step):
      for tag, value in values.items():
        self._scalar(tag, value)
    self._track('train', env_step)

  def evaluation(self, env_step, returns, lengths):
    """Writes one evaluation: the return and the env steps of each episode."""
    with self._eval.as_default(step=env_step):
      self._returns(returns, lengths)
    self._track('eval', env_step)
    self.flush()

  def flush(self):
    """Sees to it that a kill loses nothing written so far."""
    self._eval.flush()
    self._train.flush()

  def close(self):
    """Closes the files."""
    self._train.close()
    self._eval.close()
    for tracker in self._trackers:
      tracker.close()

  def _scalar(self, tag, value):
    """Writes a scalar for TensorBoard, and keeps it for the trackers."""
    tf.summary.scalar(tag, value)
    self._scalars[tag] = value

  def _track(self, where, env_step):
    """Tells the trackers what was written to `train/` or `eval/`."""
    scalars = {f'{where}/{t}': float(v) for t, v in self._scalars.items()}
    self._scalars = {}
    for tracker in self._trackers:
      tracker.log(env_step, scalars)

  def _returns(self, returns, lengths):
    self._scalar('Metrics/AverageReturn', np.mean(returns))
    self._scalar('Metrics/AverageEpisodeLength', np.mean(lengths))

  def _network(self, name, network):
    counts = sparsity.counting.count(network)
    for layer in counts:
      self._scalar(f'Sparsity/{name}/{layer.name}', layer.sparsity)
    nonzero = sparsity.counting.total(counts).nonzero
    self._scalar(f'Params/{name}/nonzero', nonzero)
    self._mask_update(name)
    if self._config.mask_images:
      for layer in sparsity.sparse_layers(network):
        tag = f'Masks/{name}/{layer.layer.name}'
        tf.summary.image(tag, _mask_image(layer.mask.numpy()))

  def _mask_update(self, name):
    optimizer = self._agent.optimizers.get(name)
    if optimizer is None or not self._masks[name]:
      return  # Dense, by its method or its own sparsity of 0.
    fraction = optimizer.updater.drop_fraction
    if fraction is not None:
      self._scalar(
        f'MaskUpdate/{name}/drop_fraction', fraction(optimizer.iterations)
      )
    now = self._read_masks()[name]
    changed = sparsity.counting.changed_fraction(self._masks[name], now)
    if changed:  # Between two mask updates there is nothing to say.
      self._scalar(f'MaskUpdate/{name}/changed_fraction', changed)
    self._masks[name] = now

  def _read_masks(self):
    return {
      name: [layer.mask.numpy() for layer in sparsity.sparse_layers(network)]
      for name, network in self._agent.networks.items()
    }


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
