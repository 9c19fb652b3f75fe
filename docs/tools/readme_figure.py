"""Draws README's picture: `python docs/tools/readme_figure.py`.

Left, the time of a SAC train step against sparsity, as `benchmark
--what=sparsity --agent=sac --results=docs/results/speed.json` has measured it.
Right, the IQM by method of a study.
"""

import csv
import pathlib
import statistics
import sys

from tf_sparse_rl import methods
from tf_sparse_rl.benchmarks import measured
from tf_sparse_rl.report import drawing, theme

_ROOT = pathlib.Path(__file__).parents[2]
_RESULTS = _ROOT / 'docs' / 'results'
_STUDY = _RESULTS / 'ppo' / 'tables' / 'ppo_aggregates.csv'
_STUDY_NAME = 'PPO, HalfCheetah-v5, 5 seeds'
_SPARSITY = '0.9'
_OURS = '#d55e00'


def draw():
  """The picture: two panels."""
  figure, [[left, right]] = drawing.panels(1, 2, width=1.35, height=0.95)
  _lines(left, _train_step_times())
  _intervals(right)
  return figure


def _train_step_times():
  """The measurement of train steps of the paper's SAC against sparsity."""
  wanted = {'what': 'sparsity', 'agent': 'sac', 'hidden_units': [256, 256]}
  kinds = measured.read(_RESULTS / 'speed.json').values()
  [found] = [m for m in kinds if wanted.items() <= m.items()]
  return found


def _lines(axis, found):
  """A train step's time against sparsity, and those of dense networks."""
  times = {k: statistics.median(v) for k, v in found['train_step_ms'].items()}
  sparsities = sorted({k.split()[1] for k in times if ' ' in k}, key=float)
  rounds = [found['train_step_ms'][f'native {s}'] for s in sparsities]
  percents = [100 * float(sparsity) for sparsity in sparsities]
  axis.fill_between(
    percents, [*map(min, rounds)], [*map(max, rounds)], color=_OURS, alpha=0.2
  )
  axis.plot(percents, [*map(statistics.median, rounds)], 'o-', color=_OURS)
  _name(axis, percents[1], max(rounds[1]), 'RigL', _OURS)
  ours = times[f'native {_SPARSITY}']
  for name, label in (
    ('dense', 'our dense'),
    ('sb3', 'Stable-Baselines3, dense'),
  ):
    if name in times:
      axis.axhline(times[name], color=theme.SOFT, linestyle=(0, (4, 2)))
      words = f'{label}: {times[name] / ours:.1f} x RigL at 90 %'
      _name(axis, percents[0], times[name], words, theme.SOFT)
  axis.set_ylim(0, 1.15 * max(times[n] for n in times if ' ' not in n))
  axis.set_xlabel('sparsity in %')
  axis.set_ylabel('ms per train step')
  axis.set_title(f'SAC, {found["env_name"]}: a train step', loc='left')


def _name(axis, x, y, words, color):
  """Writes a name above the left end of a line."""
  axis.annotate(
    *(words, (x, y)),
    xytext=(0, 4),
    textcoords='offset points',
    color=color,
  )


def _intervals(axis):
  """IQM by method with its interval, dense as a band."""
  with open(_STUDY, encoding='utf-8') as file:
    rows = [
      row for row in csv.DictReader(file) if row['sparsity'] in (_SPARSITY, '0')
    ]
  looks = {row.label: row for row in methods.COMPARED.values()}
  for place, row in enumerate(rows):
    look = looks[row['method']]
    color = theme.of_figure(look.color)
    value, low, high = (float(row[f'IQM{k}']) for k in ('', ' low', ' high'))
    axis.hlines(place, low, high, color=color, linewidth=2)
    axis.plot([value], [place], look.marker, color=color, markersize=7)
    if row['sparsity'] == '0':
      axis.axvspan(low, high, color=color, alpha=0.08, linewidth=0)
  names = [
    row['method'] if row['sparsity'] == '0' else f'{row["method"]} {_SPARSITY}'
    for row in rows
  ]
  axis.set_yticks(range(len(rows)), names)
  axis.invert_yaxis()
  axis.grid(visible=False, axis='y')
  axis.set_xlabel("IQM of returns (1: the paper's dense SAC)")
  axis.set_title(f'{_STUDY_NAME}: return', loc='left')


def main(directory):
  """Writes the picture, for README and for the site."""
  for form in ('png', 'svg'):
    with drawing.settings():
      content = drawing.to_bytes(draw(), form)
    (directory / f'readme.{form}').write_bytes(content)


if __name__ == '__main__':
  default = _ROOT / 'docs' / 'figures'
  main(pathlib.Path(sys.argv[1]) if sys.argv[1:] else default)
