"""Colours, axes and reproducible files, for all figures."""

import io
import math
import re

import matplotlib
import numpy as np
from matplotlib import figure as figure_lib
from matplotlib import ticker

from tf_sparse_rl import methods
from tf_sparse_rl.report import conditions, theme

_RC = {
  'text.parse_math': False,  # Names may contain $.
  'font.size': 9,
  'text.color': theme.INK,
  'axes.titlesize': 10,
  'axes.titleweight': 'bold',
  'axes.titlecolor': theme.INK,
  'axes.labelcolor': theme.SOFT,
  'axes.edgecolor': theme.AXIS,
  'axes.facecolor': theme.CARD,
  'axes.grid': True,
  'axes.axisbelow': True,
  'axes.spines.top': False,
  'axes.spines.right': False,
  'grid.color': theme.GRID,
  'grid.linewidth': 0.7,
  'xtick.color': theme.AXIS,
  'xtick.labelcolor': theme.SOFT,
  'ytick.color': theme.AXIS,
  'ytick.labelcolor': theme.SOFT,
  'legend.frameon': False,
  'lines.linewidth': 1.6,
  'lines.markersize': 5,
  # Of the names of clip paths, for reproducible bytes.
  'svg.hashsalt': 'tf_sparse_rl',
}
_PANEL = (3.3, 2.5)  # inches
# Numbers in the paths of an SVG: two of six decimals suffice.
_PATH = re.compile(rb' d="[^"]*"')
_LONG = re.compile(rb'(\.\d\d)\d+')
# Number of whiskers of a line of many points.
_MAX_WHISKERS = 6


def settings():
  """Context manager in which figures are drawn and written."""
  return matplotlib.rc_context(_RC)


def style(method):
  """Keyword arguments of `Axes.plot` for a method."""
  row = methods.get(method)
  return {
    'color': theme.of_figure(row.color),
    'marker': row.marker,
    'linestyle': row.dashes,
    'label': row.label,
  }


def panels(rows, columns, width=1.0, height=1.0, **subplots):
  """Makes a figure of equal panels.

  Args:
    rows: number of rows.
    columns: number of columns.
    width: of a panel, in units of 3.3 inches.
    height: of a panel, in units of 2.5 inches.
    **subplots: for `Figure.subplots`.

  Returns:
    (Figure, array of Axes `[rows, columns]`).
  """
  size = (_PANEL[0] * width * columns, _PANEL[1] * height * rows + 0.3)
  figure = figure_lib.Figure(figsize=(max(size[0], 1.6 * _PANEL[0]), size[1]))
  _lay_out(figure)
  return figure, figure.subplots(rows, columns, squeeze=False, **subplots)


def _lay_out(figure):
  """Has the layout of a figure computed at the next write."""
  figure.set_layout_engine('constrained', w_pad=0.06, h_pad=0.06)


def grid(rows, columns, draw, xlabel, ylabel, height=1.0, **subplots):
  """Makes a figure with a legend and a panel for each row and column.

  Args:
    rows: sequence of values.
    columns: sequence of values.
    draw: function of (Axes, row, column).
    xlabel: of the lowest panels.
    ylabel: of the first panel of a row, unless it has one.
    height: see `panels`.
    **subplots: for `Figure.subplots`.
  """
  figure, axes = panels(len(rows), len(columns), height=height, **subplots)
  for line, row in zip(axes, rows):
    for axis, column in zip(line, columns):
      draw(axis, row, column)
    line[0].set_ylabel(line[0].get_ylabel() or ylabel)
  for axis in axes[-1]:
    axis.set_xlabel(xlabel)
  legend(figure)
  return figure


def wrapped(values, draw, xlabel, ylabel, **subplots):
  """Makes a figure with a legend and a panel for each value, three per row.

  Args:
    values: sequence.
    draw: function of (Axes, value).
    xlabel: of every panel.
    ylabel: of the first panel.
    **subplots: for `panels`.
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
  """Draws a line in the style of a method, with its interval as a band.

  For panels of one method, since bands that overlap hide each other.

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


def with_whiskers(axis, xs, estimates, method, **changes):
  """Draws a thin line of points in the style of a method, with whiskers.

  Args:
    axis: an Axes.
    xs: sequence of numbers, dodged if several lines share them.
    estimates: sequence of Estimate; NaN bounds draw no whisker.
    method: one of conditions.METHODS.
    **changes: of the style.
  """
  look = {**style(method), 'linewidth': 1.0, **changes}
  axis.plot(xs, [e.value for e in estimates], **look)
  count = len(estimates)
  # Lines of many points get a few whiskers, including the last point.
  every = max(1, math.ceil(count / _MAX_WHISKERS))
  for i in range(count - 1, -1, -every):
    if not math.isnan(estimates[i].low):
      bounds = (estimates[i].low, estimates[i].high)
      axis.vlines(xs[i], *bounds, color=look['color'], linewidth=1.4)


def dodged(xs, index, count, step):
  """Shifts the x values of a line, so that several lines do not overlap.

  Args:
    xs: sequence of numbers.
    index: of the line.
    count: number of lines.
    step: distance between lines.

  Returns:
    Array of numbers.
  """
  return np.asarray(xs, float) + (index - (count - 1) / 2) * step


def dense_line(axis, estimate):
  """Draws a horizontal line at the value of dense networks."""
  axis.axhline(
    estimate.value, **{**style('dense'), 'marker': '', 'linewidth': 1.0}
  )


def legend(figure):
  """Draws one legend above all panels, if there are labels."""
  entries = {}
  for axis in figure.axes:
    for handle, label in zip(*axis.get_legend_handles_labels()):
      entries.setdefault(label, handle)
  if not entries:
    return
  names = list(conditions.METHOD_NAMES.values())
  order = sorted(
    entries, key=lambda x: (names.index(x) if x in names else len(names), x)
  )
  # Inches: of the line sample and of the longest name.
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
  """Formats the ticks of the horizontal axis as 20k, 1M."""
  axis.xaxis.set_major_formatter(ticker.EngFormatter(sep=''))


def stack(figure):
  """Stacks the panels of a figure, for narrow screens.

  Args:
    figure: a Figure, changed in place.

  Returns:
    Whether there were panels side by side.
  """
  axes = figure.axes
  places = [axis.get_subplotspec() for axis in axes]
  if len({place.colspan.start for place in places}) < 2:
    return False
  titles = {
    place.colspan.start: axis.get_title()
    for axis, place in zip(axes, places)
    if place.rowspan.start == 0
  }
  height = min(axis.get_position().height for axis in axes)
  height = max(1.3, 0.9 * height * figure.get_figheight())
  xlabel, ylabel = axes[-1].get_xlabel(), ''
  below = figure.add_gridspec(len(axes), 1)
  for spot, axis, place in zip(below, axes, places):
    ylabel = axis.get_ylabel() or ylabel
    axis.set_xlabel(axis.get_xlabel() or xlabel)
    axis.set_ylabel(ylabel)
    axis.set_title(axis.get_title() or titles[place.colspan.start])
    axis.tick_params(labelbottom=True, labelleft=True)
    axis.set_subplotspec(spot)
  for old in figure.legends:
    old.remove()
  _lay_out(figure)
  # The labels of an axis take about 0.75 inches.
  figure.set_size_inches(_PANEL[0] * 1.1, (height + 0.75) * len(axes))
  legend(figure)
  return True


def to_bytes(figure, form):
  """Renders a figure as 'svg' or 'png', reproducibly.

  The layout is computed at the first call only, a third of the time.
  """
  file = io.BytesIO()
  # Without date and version of Matplotlib.
  undated = {'svg': {'Date': None, 'Creator': None}, 'png': {'Software': None}}
  figure.savefig(
    file, format=form, dpi=120, metadata=undated[form], facecolor=theme.CARD
  )
  figure.set_layout_engine('none')
  content = file.getvalue()
  if form == 'svg':
    content = _PATH.sub(lambda path: _LONG.sub(rb'\1', path[0]), content)
    defs = b'<defs>'
    content = content.replace(defs, defs + theme.svg_style().encode(), 1)
  return content
