"""Figures and tables of speed, from the file of measurements."""

import pathlib
import statistics

from tf_sparse_rl import files, methods
from tf_sparse_rl.report import drawing

_PEERS = {'sb3': 'Stable-Baselines3', 'sbx': 'SBX', 'rltools': 'RLtools'}
_OURS, _OTHERS, _DENSE = '#d55e00', '#999999', '#555555'


def draw(measurements, directory):
  """Draws the figures and writes the tables.

  Args:
    measurements: see `measured.read`.
    directory: gets `speed.png`, `speed.md`, and `speed_AGENT_UNITS.png` for
      each network whose train step was timed against sparsity.

  Returns:
    List of the paths.
  """
  directory = pathlib.Path(directory)
  runs = [m for m in measurements.values() if m['what'] == 'training']
  content = {}
  with drawing.settings():
    if runs:
      content['speed.png'] = drawing.to_bytes(_speeds(runs), 'png')
      content['speed.md'] = '\n\n'.join(map(table, runs)) + '\n'
    for found in measurements.values():
      if found['what'] == 'sparsity':
        figure = _train_step(found)
        name = f'speed_{found["agent"]}_{_units(found)}.png'
        content[name] = drawing.to_bytes(figure, 'png')
  for name, written in content.items():
    files.write(directory / name, written)
  return [directory / name for name in content]


def table(found):
  """Formats a measurement of env steps as a Markdown table."""
  first, *_ = found['candidates']
  lines = [
    f'{work(found)}, on {condition(found)}:',
    '',
    '| | env steps per second, round by round | median '
    f'| {label(found, first)} is faster by: min, median, max |',
    '|---|---|---|---|',
  ]
  for name, candidate in found['candidates'].items():
    speeds = ', '.join(f'{s:,.0f}' for s in candidate['env_steps_per_sec'])
    spread = candidate[f'{first}_is_faster_by']
    ratios = ', '.join(f'{spread[k]:.2f}' for k in ('min', 'median', 'max'))
    lines.append(
      f'| {label(found, name)} | {speeds} | {candidate["median"]:,.0f} '
      f'| {"" if name == first else ratios} |'
    )
  return '\n'.join(lines)


def work(found):
  """Describes the task of a measurement in one line."""
  hidden = _units(found)
  networks = {None: hidden, 'mlp': hidden, 'nature_cnn': 'Nature CNN'}
  network = networks.get(found['network'], found['network'])
  batch = f'batch {found["batch_size"]}'
  return ', '.join([found['agent'].upper(), found['env_name'], network, batch])


def condition(found):
  """Describes cores, rounds and the load of others in one line."""
  cores = found['pinned_cores']
  if cores is None:
    where = f'all {found["num_cores"]} cores'
  elif len(cores) == 1:
    where = 'one pinned core'
  else:
    where = f'{len(cores)} pinned cores, a process each, summed'
  others = f'not quiet: others had up to {found["others_share"]:.0%} of that'
  rounds = found['rounds']
  turns = f'{rounds} rounds in turn' if rounds > 1 else 'one round'
  return f'{where}; {turns}, {"quiet" if found["quiet"] else others}'


def label(found, name):
  """Name of a candidate for display."""
  candidate = found['candidates'][name]
  if name in _PEERS:
    return f'{_PEERS[name]} {candidate["version"]}'
  if name == 'dense':
    return 'our dense'
  return f'{methods.get(name).label} {found["sparsity"]:g}'


def _units(found):
  return '-'.join(map(str, found['hidden_units']))


def _speeds(runs):
  """Draws a panel of labelled bars for each measurement."""
  heights = [len(found['candidates']) + 1 for found in runs]
  mean = sum(heights) / len(runs)
  figure, axes = drawing.panels(len(runs), 1, width=2.5, height=0.16 * mean)
  axes[0, 0].get_gridspec().set_height_ratios(heights)
  for axis, found in zip(axes[:, 0], runs):
    first, *_ = found['candidates']
    names = list(found['candidates'])
    for place, name in enumerate(names):
      candidate = found['candidates'][name]
      median = candidate['median']
      own = name not in _PEERS
      color = _OURS if name == first else _DENSE if own else _OTHERS
      axis.barh(place, median, height=0.6, color=color)
      ratio = candidate[f'{first}_is_faster_by']['median']
      text = f' {median:,.0f}' + ('' if name == first else f'  ({ratio:.1f} x)')
      axis.text(median, place, text, va='center', color='#333333')
    axis.set_yticks(range(len(names)), [label(found, name) for name in names])
    axis.invert_yaxis()
    axis.margins(x=0.16)
    axis.grid(visible=False)
    _head(axis, work(found), condition(found))
    axis.set_xticks([])
    axis.spines[['bottom']].set_visible(False)
  axes[-1, 0].set_xlabel(
    'env steps per second; in brackets: speedup of the first one'
  )
  return figure


def _train_step(found):
  """Draws the time of a train step against sparsity, with named lines."""
  figure, [[axis]] = drawing.panels(1, 1, width=1.7, height=1.3)
  times = {k: list(map(float, v)) for k, v in found['train_step_ms'].items()}
  sparsities = sorted({float(k.split()[1]) for k in times if ' ' in k})
  names = []
  percent = [100 * sparsity for sparsity in sparsities]
  for backend, color in (('masked', _OTHERS), ('native', _OURS)):
    rounds = [times[f'{backend} {sparsity:g}'] for sparsity in sparsities]
    middle = [statistics.median(values) for values in rounds]
    axis.plot(percent, middle, marker='o', color=color)
    low, high = list(map(min, rounds)), list(map(max, rounds))
    axis.fill_between(percent, low, high, color=color, alpha=0.2, linewidth=0)
    name = {'masked': 'zeros multiplied', 'native': 'zeros skipped'}[backend]
    names.append((middle[-1], name, color))
  native = statistics.median(times['native 0.9'])
  for name in (name for name in times if ' ' not in name):
    value = statistics.median(times[name])
    axis.axhline(value, color=_DENSE, linewidth=1, linestyle=(0, (4, 2)))
    text = 'our dense' if name == 'dense' else f'{_PEERS[name]}, dense'
    names.append((value, f'{text}: {value / native:.1f} x at 90 %', _DENSE))
  axis.set_xlim(right=100)
  axis.set_ylim(bottom=0)
  _name_lines(axis, names)
  axis.set_xlabel('sparsity of every network in %')
  axis.set_ylabel('ms per train step')
  method = methods.get(found['method']).label
  head = f'{found["agent"].upper()}, {method}, {_units(found)}'
  _head(axis, head, condition(found))
  return figure


def _head(axis, title, below):
  """Writes a title, and a line below it in smaller letters."""
  axis.set_title(f'{title}\n', loc='left')
  axis.annotate(
    *(below, (0, 1)),
    xytext=(0, 6),
    xycoords='axes fraction',
    textcoords='offset points',
    color='#555555',
    fontsize='small',
    in_layout=False,
  )


def _name_lines(axis, names):
  """Writes names beside the right ends of lines, each clear of the next.

  Args:
    axis: an Axes whose vertical limits are set.
    names: list of (height of the line, text, colour).
  """
  gap = (axis.get_ylim()[1] - axis.get_ylim()[0]) / 15
  lowest = -gap
  for height, text, color in sorted(names):
    lowest = max(height, lowest + gap)
    axis.annotate(
      *(text, (1.0, lowest)),
      xytext=(6, 0),
      xycoords=('axes fraction', 'data'),
      textcoords='offset points',
      va='center',
      color=color,
      annotation_clip=False,
    )
