"""Times a train step at several sparsities: masked, native, dense, peers."""

import dataclasses
import statistics

import tensorflow as tf

from tf_sparse_rl.benchmarks import in_turn, training
from tf_sparse_rl.native import backend

SPARSITIES = (0.5, 0.8, 0.9, 0.95, 0.98)
_BACKENDS = ('masked', 'native')
_OF_NETWORKS = ('actor_sparsity', 'critic_sparsity', 'value_sparsity')


def measure(config, peers, rounds, calls=100):
  """Times all candidates in turn, round by round.

  Args:
    config: a Config; of its method, at each of SPARSITIES.
    peers: `{name: command}`, see `in_turn.peer_command`.
    rounds: how often.
    calls: train steps of a candidate in a round.

  Returns:
    Dict of JSON types: milliseconds of a train step without mask update, the
    median of a round's calls, for each round; and by what factor native was
    faster than masked, and than dense, in the same round.

  Raises:
    in_turn.CandidateError: if a peer fails.
  """
  steps = {'dense': _train_step(config, 'dense', 0.0, 'masked')}
  for sparsity in SPARSITIES:
    for name in _BACKENDS:
      steps[f'{name} {sparsity:g}'] = _train_step(
        config, config.method, sparsity, name
      )
  times = {name: [] for name in [*steps, *peers]}
  peers = {k: [*v, f'--train_step_calls={calls}'] for k, v in peers.items()}
  for _ in range(rounds):
    for name, step in steps.items():
      times[name].append(in_turn.median_ms(step, calls))
    for name, command in peers.items():
      times[name].append(in_turn.run(name, command)['train_step_ms'])
  ratios = {}
  for sparsity in (f'{sparsity:g}' for sparsity in SPARSITIES):
    native = times[f'native {sparsity}']
    others = {'masked': times[f'masked {sparsity}']}
    others.update((name, times[name]) for name in ('dense', *peers))
    ratios[sparsity] = {
      f'than {name}': in_turn.spread(
        [other / ours for other, ours in zip(values, native)]
      )
      for name, values in others.items()
    }
  return {
    'agent': config.agent,
    'method': config.method,
    'train_step_ms': times,
    'native_is_faster_by': ratios,
  }


def _train_step(config, method, sparsity, backend_name):
  """A function that makes one train step."""
  changes = dict.fromkeys(_OF_NETWORKS, sparsity)
  changes['replay_capacity'] = 2000
  # What the agent does not have stays so.
  changes = {k: v for k, v in changes.items() if getattr(config, k) is not None}
  config = dataclasses.replace(
    config, method=method, sparsity=sparsity, **changes
  )
  backend.set_backend(backend_name)
  _, agent, buffer, rng, _ = training.prepare(config)
  rows = training.trainable_rows(config, agent, buffer, rng)
  if agent.rollouts is not None:
    rows = rows[: config.batch_size]
  rows = tf.nest.map_structure(tf.constant, rows)

  def train(rows):
    return agent.train(rows, masks_may_change=False)['Losses/total_loss']

  function = tf.function(train, autograph=False).get_concrete_function(rows)
  for _ in range(20):
    function(rows)
  return lambda: function(rows)


def draw(result, path):
  """Draws a train step's time against sparsity.

  Args:
    result: what `measure` returned.
    path: of the picture; its ending is its format.
  """
  from matplotlib import figure as figure_lib

  times = result['train_step_ms']
  figure = figure_lib.Figure(figsize=(7.6, 3.4))
  axis = figure.subplots()
  at = [100 * sparsity for sparsity in SPARSITIES]
  looks = {'masked': ('#777777', 's'), 'native': ('#d55e00', 'o')}
  for name, (color, marker) in looks.items():
    rounds = [times[f'{name} {sparsity:g}'] for sparsity in SPARSITIES]
    middle = [statistics.median(values) for values in rounds]
    axis.plot(at, middle, color=color, marker=marker, label=f'ours, {name}')
    axis.fill_between(
      at, list(map(min, rounds)), list(map(max, rounds)), color=color, alpha=0.2
    )
  flat = [name for name in times if ' ' not in name]
  for name, style in zip(flat, ('-', '--', ':')):
    label = {'dense': 'ours, dense', 'sb3': 'Stable-Baselines3, dense'}
    label = label.get(name, f'{name.upper()}, dense')
    axis.axhline(
      statistics.median(times[name]),
      color='black',
      linestyle=style,
      linewidth=1,
      label=label,
    )
  axis.set_ylim(bottom=0)
  axis.set_xlabel('sparsity of every network in %')
  axis.set_ylabel('ms a train step')
  axis.set_title(f'{result["agent"].upper()}, {result["method"]}')
  axis.spines[['top', 'right']].set_visible(False)
  axis.legend(
    frameon=False, fontsize='small', loc='center left', bbox_to_anchor=(1, 0.5)
  )
  figure.tight_layout()
  figure.savefig(path, dpi=110)
