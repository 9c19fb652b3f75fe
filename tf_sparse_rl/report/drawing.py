"""Shared by all figures: colours, axes, and files that never differ."""

import io
import math

import matplotlib
from matplotlib import figure as figure_lib
from matplotlib import ticker

from tf_sparse_rl import methods
from tf_sparse_rl.report import conditions

_RC = {
  'text.parse_math': False,  # Names may have a $.
  'font.size': 9,
  'axes.titlesize': 10,
  'axes.titleweight': 'bold',
  'axes.labelcolor': '#333333',
  'axes.edgecolor': '#888888',
  'axes.grid': True,
  'axes.axisbelow': True,
  'axes.spines.top': False,
  'axes.spines.right': False,
  'grid.color': '#e6e6e6',
  'grid.linewidth': 0.7,
  'xtick.color': '#555555',
  'ytick.color': '#555555',
  'legend.frameon': False,
  'lines.linewidth': 1.6,
  'lines.markersize': 5,
  # Names of clip paths; the same input gives the same bytes.
  'svg.hashsalt': 'tf_sparse_rl',
}
_PANEL = (3.3, 2.5)  # inches


def settings():
  """A context in which figures are made and written."""
  return matplotlib.rc_context(_RC)


def style(method):
  """Keyword arguments of `Axes.plot` for one of conditions.METHODS."""
  row = methods.get(method)
  return {
    'color': row.color,
    'marker': row.marker,
    'linestyle': row.dashes,
    'label': row.label,
  }


def panels(rows, columns, width=1.0, height=1.0, **subplots):
  """A figure of equal panels.

  Args:
    rows: number of rows.
    columns: number of columns.
    width: of a panel, as a multiple of the usual 3.3 inches.
    height: the same, of 2.5 inches.
    **subplots: for `Figure.subplots`.

  Returns:
    (Figure, array of Axes `[rows, columns]`).
  """
  size = (_PANEL[0] * width * columns, _PANEL[1] * height * rows + 0.3)
  figure = figure_lib.Figure(
    figsize=(max(size[0], 1.6 * _PANEL[0]), size[1]), layout='constrained'
  )
  figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06)
  return figure, figure.subplots(rows, columns, squeeze=False, **subplots)


def grid(rows, columns, draw, xlabel, ylabel, **subplots):
  """A figure with a legend, and a panel for each pair of a row and a column.

  Args:
    rows: sequence of values.
    columns: sequence of values.
    draw: function of (Axes, row, column).
    xlabel: of the lowest panels.
    ylabel: of the first panel of a row.
    **subplots: for `Figure.subplots`.
  """
  figure, axes = panels(len(rows), len(columns), **subplots)
  for line, row in zip(axes, rows):
    for axis, column in zip(line, columns):
      draw(axis, row, column)
    line[0].set_ylabel(ylabel)
  for axis in axes[-1]:
    axis.set_xlabel(xlabel)
  legend(figure)
  return figure


def wrapped(values, draw, xlabel, ylabel, **subplots):
  """A figure with a legend, and a panel for each value, three in a row.

  Args:
    values: sequence.
    draw: function of (Axes, value).
    xlabel: of every panel.
    ylabel: of the first panel.
    **subplots: for `Figure.subplots`.
  """
  count = len(values)
  columns = {1: 1, 2: 2, 4: 2}.get(count, 3)
  figure, axes = panels(math.ceil(count / columns), columns, **subplots)
  for axis in axes.flat[count:]:
    axis.remove()
  for axis, value in zip(axes.flat, values):
    draw(axis, value)
    axis.set_xlabel(xlabel)
  axes[0, 0].set_ylabel(ylabel)
  legend(figure)
  return figure


def with_interval(axis, xs, estimates, method, **changes):
  """A line in a method's style with its interval as a band.

  Args:
    axis: an Axes.
    xs: sequence of numbers.
    estimates: sequence of Estimate; NaN bounds draw no band.
    method: one of conditions.METHODS.
    **changes: of the style.
  """
  look = {**style(method), **changes}
  axis.plot(xs, [e.value for e in estimates], **look)
  low, high = [e.low for e in estimates], [e.high for e in estimates]
  if not all(map(math.isnan, low)):
    axis.fill_between(
      xs, low, high, color=look['color'], alpha=0.15, linewidth=0
    )


def dense_line(axis, estimate):
  """A horizontal line of dense networks, with its interval as a band."""
  look = {**style('dense'), 'marker': '', 'linewidth': 1.2}
  axis.axhline(estimate.value, **look)
  if not math.isnan(estimate.low):
    axis.axhspan(
      estimate.low, estimate.high, color=look['color'], alpha=0.07, linewidth=0
    )


def legend(figure):
  """One legend for all panels, above them."""
  entries = {}
  for axis in figure.axes:
    for handle, label in zip(*axis.get_legend_handles_labels()):
      entries.setdefault(label, handle)
  names = list(conditions.METHOD_NAMES.values())
  order = sorted(
    entries, key=lambda x: (names.index(x) if x in names else len(names), x)
  )
  # Inches: the line's sample, and the letters of the longest name.
  longest = 0.6 + 0.085 * max(map(len, order))
  columns = max(1, min(len(order), int(figure.get_figwidth() / longest)))
  rows = math.ceil(len(order) / columns)
  figure.set_figheight(figure.get_figheight() + 0.2 * rows)
  figure.legend(
    [entries[label] for label in order],
    order,
    loc='outside upper center',
    ncols=columns,
    frameon=False,
    handlelength=2.6,
  )


def thousands(axis):
  """Ticks of the horizontal axis as 20k, 1M."""
  axis.xaxis.set_major_formatter(ticker.EngFormatter(sep=''))


def to_bytes(figure, form):
  """The figure's bytes as 'svg' or 'png', the same each time."""
  file = io.BytesIO()
  # Neither the date nor the version of matplotlib goes into the file.
  undated = {'svg': {'Date': None, 'Creator': None}, 'png': {'Software': None}}
  figure.savefig(
    file, format=form, dpi=160, metadata=undated[form], facecolor='white'
  )
  return file.getvalue()
