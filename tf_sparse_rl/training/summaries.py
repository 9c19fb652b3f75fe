"""The TensorBoard summaries of a run; `TAGS` lists all tags."""

import contextlib
import pathlib

import numpy as np
import tensorflow as tf
from tensorboard.compat.proto import summary_pb2
from tensorboard.plugins.hparams import summary_v2 as hparams
from tensorboard.plugins.image import metadata as image_metadata
from tensorboard.plugins.scalar import summary_v2 as scalar
from tensorboard.plugins.text import summary_v2 as text
from tensorboard.util import tensor_util

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import diagnoses, methods, sparsity
from tf_sparse_rl.native import resting
from tf_sparse_rl.training import event_files, layout, mask_bits, trackers

# {tag: meaning}, in the order in which they are shown. The horizontal axis is
# always the env step.
TAGS = {
  'Metrics/AverageReturn': 'mean undiscounted return: of the last 10 '
  'collection episodes (train), of one evaluation (eval)',
  'Metrics/AverageEpisodeLength': 'mean env steps of the same episodes',
  'Metrics/NumberOfEpisodes': 'collection episodes so far',
  'Metrics/replay_size': 'size of the replay buffer, with --dynamic_replay',
  'Losses/{loss}': 'a loss of the agent at this train step',
  'Sparsity/{network}/{layer}': 'fraction of zeros of a kernel',
  'Params/{network}/nonzero': 'active kernel entries of a network',
  'MaskUpdate/{network}/drop_fraction': 'current drop fraction',
  'MaskUpdate/{network}/changed_fraction': 'share of the active connections '
  'replaced or removed since the previous summary, where any were',
  'Masks/{network}/{layer}': 'the mask as an image, with --mask_images',
  'Speed/env_steps_per_sec': 'env steps per second since the previous summary',
  **diagnoses.TAGS,
  'Agent/alpha': 'SAC: temperature',
  'Agent/entropy': 'SAC, PPO: entropy of the policy on the batch, in nats',
  'Agent/q_value_1': 'SAC, TD3: mean Q-value of critic 1 over the batch',
  'Agent/q_value_2': 'SAC, TD3: mean Q-value of critic 2 over the batch',
  'Adaptive/{network}/selected': 'adaptive: index of the network selected '
  'last; 0: the sparsity stayed',
  'Adaptive/{network}/loss_{place}': 'adaptive: cumulated loss of each network '
  'at the last selection',
  'Adaptive/{network}/sparsity_{place}': 'adaptive: sparsity of each network '
  'since then; the selected one has index 0',
  'Agent/clip_fraction': 'PPO: share of the batch whose ratio of '
  'probabilities was clipped',
  'Agent/learning_rate': 'PPO: learning rate at this train step',
  'Config': 'the config as text',
}
_NO_SCALARS = ('Masks/{network}/{layer}', 'Config')


class Summaries:
  """Writes the event files in `train/` and `eval/`."""

  def __init__(self, root_dir, config, agent, state=None, tell=print):
    """Opens the files; in a new run, writes the config.

    Args:
      root_dir: directory of the run.
      config: a Config.
      agent: a `base.Agent`.
      state: State of a resumed run; summaries of later env steps are
        superseded.
      tell: function of a message, called if files cannot be written.
    """
    self._config = config
    self._agent, self._tell = agent, tell
    self._has_layout = False
    root = pathlib.Path(root_dir)
    self._masks = self._read_masks()
    self._counts = {}  # {network: its scalars that change with masks only}
    values = config_lib.to_dict(config)
    self._trackers = trackers.make(
      config.trackers_names, root, config.label, values
    )
    if state is not None and state.env_step > 0:
      # Without them the next changed_fraction counts from here.
      with contextlib.suppress(ValueError):
        self._masks.update(mask_bits.unpacked(state.masks_written, self._masks))
      self._train = event_files.EventFiles(
        root / 'train', tell, state.env_step + 1
      )
      self._eval = event_files.EventFiles(
        root / 'eval', tell, state.results[-1].env_step + 1
      )
      self._train.begin()
      self._eval.begin()
      return
    self._train = event_files.EventFiles(root / 'train', tell)
    self._eval = event_files.EventFiles(root / 'eval', tell)
    lines = '\n'.join(f'    {name}: {value}' for name, value in values.items())
    self._eval.write(0, text.text_pb('Config', lines))
    trial = _trial(config, root)
    self._eval.write(0, hparams.hparams_pb(_hparams(values), trial))

  def train(self, env_step, scalars, episodes, env_steps_per_sec):
    """Writes the summaries of collection and training.

    Args:
      env_step: env steps so far.
      scalars: `{tag: float}`; empty before the first train step.
      episodes: an Episodes.
      env_steps_per_sec: speed since the last call.
    """
    values = {**scalars, 'Speed/env_steps_per_sec': env_steps_per_sec}
    values['Metrics/NumberOfEpisodes'] = episodes.count
    if episodes.count:
      values.update(_returns(episodes.returns, episodes.lengths))
    for name, network in self._agent.networks.items():
      values.update(self._network(name, network))
    summary = _scalars(values)
    if self._config.mask_images:
      for image in self._mask_images():
        summary.MergeFrom(image)
    self._train.write(env_step, summary)
    self._track('train', env_step, values)
    if scalars and not self._has_layout:
      self._has_layout = True
      self._train.write(env_step, layout.summary(self._rows(values)))

  def values(self, env_step, values):
    """Writes further training summaries, `{tag: float}`."""
    self._train.write(env_step, _scalars(values))
    self._track('train', env_step, values)

  def evaluation(self, env_step, returns, lengths):
    """Writes an evaluation, by the return and length of each episode."""
    values = _returns(returns, lengths)
    self._eval.write(env_step, _scalars(values))
    self._track('eval', env_step, values)

  def close(self):
    """Closes the files."""
    self._train.close()
    self._eval.close()
    self._call_trackers('close')

  def _track(self, where, env_step, values):
    """Logs the scalars of `train/` or `eval/` to the trackers."""
    scalars = {f'{where}/{t}': float(v) for t, v in values.items()}
    self._call_trackers('log', env_step, scalars)

  def _call_trackers(self, method, *arguments):
    """Calls a method of each tracker; one that fails is left out from now."""
    for tracker in [*self._trackers]:
      try:
        getattr(tracker, method)(*arguments)
      except Exception as error:  # It is not our code.
        self._trackers.remove(tracker)
        name = type(tracker).__name__.lstrip('_')
        self._tell(
          f'warning: {name} failed: {error}. The run goes on without it.'
        )

  def masks_written(self):
    """Returns the masks of the last summary that have changed since then.

    Returns:
      `{name of a network: [text of each layer]}`.
    """
    return {
      name: [mask_bits.packed(mask) for mask in self._masks[name]]
      for name, masks in self._read_masks().items()
      if any((a != b).any() for a, b in zip(masks, self._masks[name]))
    }

  def _network(self, name, network):
    """`{tag: value}` of a network."""
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
      values[tag] = float(fraction(optimizer.iterations))
    if changed:  # Only after mask updates.
      values[f'MaskUpdate/{name}/changed_fraction'] = changed
    self._masks[name] = now
    return values

  def _mask_images(self):
    """Image summaries of the masks of a network."""
    for name, network in self._agent.networks.items():
      for layer in sparsity.sparse_layers(network):
        tag = f'Masks/{name}/{layer.layer.name}'
        yield _image(tag, resting.value(layer.mask))

  def _rows(self, values):
    """The tags of TAGS that this run writes."""
    kinds = [diagnoses.KINDS[name] for name in self._config.diagnostics_kinds]
    known = {tag for kind in kinds for tag in kind.tags}
    if self._config.redo_period:
      known.update(diagnoses.KINDS['dormant'].tags)
    is_sparse = any(self._masks.values())
    method = methods.get(self._config.method)
    for row in TAGS:
      group = row.partition('/')[0]
      if row in diagnoses.TAGS:
        yield from [row] if row in known else []
      elif group in ('Losses', 'Agent'):
        of_row = [row] if group == 'Agent' else values
        yield from (
          tag for tag in of_row if tag in values and tag.startswith(f'{group}/')
        )
      elif group == 'Adaptive':
        yield from [row] if method.finds_sparsity else []
      elif row == 'Metrics/replay_size':
        yield from [row] if self._config.dynamic_replay else []
      elif row not in _NO_SCALARS and (is_sparse or group != 'MaskUpdate'):
        yield row

  def _read_masks(self):
    networks = self._agent.networks.items()
    return {name: _masks_of(network) for name, network in networks}


def _masks_of(network):
  """The masks of a network, as bits."""
  masks = (layer.mask for layer in sparsity.sparse_layers(network))
  return [resting.bits(mask) for mask in masks]


def _counts(name, network):
  """Scalars of a network that depend on its masks only."""
  counts = sparsity.counting.count(network)
  return {
    **{f'Sparsity/{name}/{c.name}': c.sparsity for c in counts},
    f'Params/{name}/nonzero': sparsity.counting.total(counts).nonzero,
  }


def _scalars(values):
  """A Summary of `{tag: float}`."""
  summary = summary_pb2.Summary()
  for tag, value in values.items():
    summary.MergeFrom(scalar.scalar_pb(tag, value))
  return summary


def _returns(returns, lengths):
  return {
    'Metrics/AverageReturn': np.mean(returns),
    'Metrics/AverageEpisodeLength': np.mean(lengths),
  }


def _trial(config, root):
  """Name of the run in the HParams tab, which truncates long names."""
  return f'{config.label}, seed {config.seed}, {root.resolve()}'


def _hparams(values):
  """The config, with types that the HParams tab supports."""
  return {
    name: str(value) if isinstance(value, list) else value
    for name, value in values.items()
    if value is not None
  }


def _image(tag, mask):
  """A mask as an image: inputs vertical, units horizontal."""
  flat = mask.reshape(-1, mask.shape[-1], 1)
  png = tf.io.encode_png((255 * flat).astype(np.uint8)).numpy()
  height, width, _ = (str(size).encode() for size in flat.shape)
  value = summary_pb2.Summary.Value(
    tag=tag,
    metadata=image_metadata.create_summary_metadata(None, None),
    tensor=tensor_util.make_tensor_proto([width, height, png]),
  )
  return summary_pb2.Summary(value=[value])
