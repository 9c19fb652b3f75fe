"""The page of one run: returns, layers, masks, diagnostics, speed."""

from typing import NamedTuple

import numpy as np

from tf_sparse_rl import diagnoses, methods
from tf_sparse_rl.report import (
  aggregates,
  drawing,
  events,
  headline,
  origins,
  tables,
  theme,
)
from tf_sparse_rl.report.tables import Column

_NUM_RESAMPLES = 2000
_MOST_PANELS = 12  # Of one figure.


class Picture(NamedTuple):
  """A figure of the run, with title and caption."""

  name: str
  title: str
  caption: str
  figure: object  # a Figure


class _Run(NamedTuple):
  """A Run and its TensorBoard scalars."""

  run: object
  train: dict  # {tag: (env steps, values)}

  @property
  def method(self):
    """The method, as named in reports."""
    config = self.run.config
    small = config.method == 'dense' and config.match_sparsity
    return methods.SMALL_DENSE if small else config.method

  def tags(self, first):
    """Returns `{rest of the tag: points}` of the tags with a prefix."""
    begin = f'{first}/'
    found = self.train.items()
    return {t.removeprefix(begin): p for t, p in found if t.startswith(begin)}


def build(run):
  """Makes (Headline, list of Picture, list of Table) of a Run."""
  whole = _Run(run, events.scalars(run.path / 'train'))
  with drawing.settings():
    made = [
      draw(whole) for draw in (_returns, _layers, _masks, *_KINDS, _speed)
    ]
  found = [_layer_table(whole), _evaluation_table(run)]
  return (
    _headline(run),
    [picture for picture in made if picture is not None],
    [table for table in found if table is not None],
  )


def _headline(run):
  last = run.results[-1] if run.results else None
  summary, length = run.summary, run.config.num_env_steps
  warnings = []
  if summary is None:
    at = f'{last.env_step:,}' if last else '0'
    warnings.append(f'Not finished: at env step {at} of {length:,}.')
  tiles = [(f'{last.env_step if last else 0:,}', 'env steps')]
  if summary is not None:
    tiles += [
      (f'{summary.final_return:,.1f}', 'final return'),
      (f'{summary.best_return:,.1f}', 'best return'),
    ]
  if last is not None:
    tiles += [
      (f'{last.sparsity:.3g}', 'sparsity'),
      (f'{last.nonzero:,}', 'non-zeros'),
      (f'{last.env_steps_per_sec:,.0f}', 'env steps/s'),
      (f'{last.wall_seconds / 60:,.1f}', 'minutes'),
    ]
  words = ['One run: other seeds may give other returns.'] if last else []
  title = f'{run.config.label}, seed {run.config.seed}'
  return headline.Headline(title, words, tiles, warnings, origins.of([run]))


def _returns(whole):
  """Returns of evaluations and of collection episodes."""
  results = whole.run.results
  if not results:
    return None
  figure, [[axis]] = drawing.panels(1, 1, width=1.8, height=1.2)
  collected = whole.train.get('Metrics/AverageReturn')
  if collected is not None:
    axis.plot(
      *collected, color=theme.GHOST, linewidth=1, label='Collection episodes'
    )
  estimates = [aggregates.mean(r.returns, _NUM_RESAMPLES) for r in results]
  steps = [r.env_step for r in results]
  drawing.with_interval(
    axis, steps, estimates, whole.method, label='Evaluations'
  )
  _finish(figure, [axis], 'return')
  return Picture(
    'returns',
    'Return',
    'Mean return of each evaluation with its 95 % bootstrap interval over '
    'episodes, and the mean return of the last ten collection episodes.',
    figure,
  )


def _layers(whole):
  """Sparsity of each layer over env steps, a panel per network."""
  return _by_network(
    whole.tags('Sparsity'),
    'sparsity',
    Picture(
      'layers',
      'Layers',
      'Fraction of zeros of the kernel of each layer.',
      None,
    ),
  )


def _masks(whole):
  """Changes by mask updates over env steps, a panel per network."""
  return _by_network(
    whole.tags('MaskUpdate'),
    'share',
    Picture(
      'masks',
      'Masks over time',
      'Share of the active connections replaced or removed since the previous '
      'summary (changed_fraction), and the current drop fraction.',
      None,
    ),
  )


def _diagnosis(kind):
  """Makes a function that draws one kind of diagnostics."""
  firsts = dict.fromkeys(tag.split('/')[0] for tag in kind.tags)

  def draw(whole):
    found = {}
    for first in firsts:
      for rest, points in whole.tags(first).items():
        network, *names = rest.split('/')
        if len(names) < 2:  # Not of each layer.
          label = '/'.join([first, *names] if len(firsts) > 1 else names)
          found[f'{network}/{label}'] = points
    caption = '; '.join(
      f'{tag.replace("{network}/", "")}: {meaning}'
      for tag, meaning in kind.tags.items()
      if '{layer}' not in tag
    )
    title = kind.figure.title if kind.figure else kind.name.capitalize()
    words = Picture(f'diagnosis_{kind.name}', title, f'{caption}.', None)
    return _by_network(found, '', words)

  return draw


_KINDS = tuple(_diagnosis(kind) for kind in diagnoses.KINDS.values())


def _speed(whole):
  """Env steps per second over env steps."""
  points = whole.train.get('Speed/env_steps_per_sec')
  if points is None:
    return None
  figure, [[axis]] = drawing.panels(1, 1, width=1.8)
  axis.plot(*points, color=theme.SOFT, linewidth=1.2)
  axis.set_ylim(0, 2 * float(np.median(points[1])) or None)
  _finish(figure, [axis], 'env steps/s')
  return Picture(
    'speed',
    'Speed',
    'Env steps per second since the previous summary, without evaluations. '
    'Collection before training is faster and may be cut off.',
    figure,
  )


def _by_network(found, ylabel, words):
  """Draws a panel per network with a line per name; None without data.

  Args:
    found: `{network/name: (env steps, values)}`.
    ylabel: of the panels.
    words: a Picture without its figure.
  """
  by_network = {}
  for tag, points in found.items():
    network, _, name = tag.partition('/')
    by_network.setdefault(network, {})[name] = points
  networks = sorted(by_network)[:_MOST_PANELS]
  if not networks:
    return None
  names = sorted({name for lines in by_network.values() for name in lines})
  looks = [methods.get(name) for name in methods.COMPARED]

  def panel(axis, network):
    for name, points in by_network[network].items():
      look = looks[names.index(name) % len(looks)]
      dash = ('solid', (0, (4, 2)), (0, (1, 1)))[
        names.index(name) // len(looks) % 3
      ]
      axis.plot(
        *points,
        color=theme.of_figure(look.color),
        linestyle=dash,
        linewidth=1.3,
        marker='o' if len(points[0]) < 30 else '',
        markersize=3,
        label=name,
      )
    axis.set_title(network)
    drawing.thousands(axis)

  figure = drawing.wrapped(networks, panel, 'env steps', ylabel)
  return words._replace(figure=figure)


def _finish(figure, axes, ylabel):
  for axis in axes:
    axis.set_xlabel('env steps')
    axis.set_ylabel(ylabel)
    drawing.thousands(axis)
  drawing.legend(figure)


def _layer_table(whole):
  """Sparsity of each layer at the start and at the end."""
  rows = []
  for tag, (_, values) in whole.tags('Sparsity').items():
    network, _, layer = tag.partition('/')
    rows.append((network, layer, float(values[0]), float(values[-1])))
  columns = (
    *(Column('network'), Column('layer')),
    *(Column('initial sparsity', 3), Column('final sparsity', 3)),
  )
  if not rows:
    return None
  return tables.Table('layer_sparsities', 'Sparsity of layers', columns, rows)


def _evaluation_table(run):
  """Every evaluation of the run."""
  columns = (
    Column('env step', 0),
    Column('train step', 0),
    Column('return', 1),
    Column('min', 1),
    Column('max', 1),
    Column('episodes', 0),
    Column('sparsity', 3),
    Column('env steps/s', 0),
  )
  rows = [
    (
      *(r.env_step, r.train_step),
      aggregates.mean(r.returns, _NUM_RESAMPLES),
      *(float(np.min(r.returns)), float(np.max(r.returns)), len(r.returns)),
      *(r.sparsity, r.env_steps_per_sec),
    )
    for r in run.results
  ]
  note = 'Returns with 95 % bootstrap intervals over the episodes.'
  if not rows:
    return None
  return tables.Table('evaluations', 'Evaluations', columns, rows, note)
