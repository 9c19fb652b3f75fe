"""What all figures share: colours, axes, and files that never differ."""

import io
import math

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib import ticker  # noqa: E402

from tf_sparse_rl import methods  # noqa: E402
from tf_sparse_rl.report import conditions  # noqa: E402

_RC = {
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
  return plt.rc_context(_RC)


def style(method):
  """Keyword arguments of a line in a method's colour.

  Args:
    method: one of conditions.METHODS.

  Returns:
    dict for `Axes.plot`.
  """
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
    width: of a panel, as a multiple of what is usual.
    height: the same.
    **subplots: for `plt.subplots`.

  Returns:
    (Figure, array of Axes `[rows, columns]`).
  """
  size = (_PANEL[0] * width * columns, _PANEL[1] * height * rows + 0.3)
  figure, axes = plt.subplots(
    rows,
    columns,
    figsize=(max(size[0], 1.6 * _PANEL[0]), size[1]),
    squeeze=False,
    layout='constrained',
    **subplots,
  )
  figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06)
  return figure, axes


def wrapped(count, **subplots):
  """A figure of so many panels, at most three in a row.

  Args:
    count: number of panels.
    **subplots: for `plt.subplots`.

  Returns:
    (Figure, list of Axes).
  """
  columns = {1: 1, 2: 2, 4: 2}.get(count, 3)
  figure, axes = panels(math.ceil(count / columns), columns, **subplots)
  for axis in axes.flat[count:]:
    axis.remove()
  return figure, list(axes.flat[:count])


def with_interval(axis, xs, estimates, method, **changes):
  """A line with its interval as a band.

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


def across(axis, estimate, method='dense'):
  """A horizontal line with its interval, for what has no place on the axis.

  Args:
    axis: an Axes.
    estimate: an Estimate.
    method: one of conditions.METHODS.
  """
  look = {**style(method), 'marker': '', 'linewidth': 1.2}
  axis.axhline(estimate.value, **look)
  if not math.isnan(estimate.low):
    axis.axhspan(
      estimate.low, estimate.high, color=look['color'], alpha=0.07, linewidth=0
    )


def legend(figure):
  """One legend for all panels, above them.

  Args:
    figure: a Figure.
  """
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


def parameters_axis(axis):
  """A logarithmic horizontal axis with ticks as 20k, 1M.

  Args:
    axis: an Axes; everything is drawn already.
  """
  axis.set_xscale('log')
  low, high = axis.get_xlim()
  subs = (1,) if high > 150 * low else (1, 2, 5)
  axis.xaxis.set_major_locator(ticker.LogLocator(subs=subs, numticks=12))
  axis.xaxis.set_minor_locator(ticker.NullLocator())
  thousands(axis)


def thousands(axis):
  """Ticks of the horizontal axis as 20k, 1M.

  Args:
    axis: an Axes.
  """
  axis.xaxis.set_major_formatter(ticker.EngFormatter(sep=''))


def to_bytes(figure, form):
  """The figure as a file.

  Args:
    figure: a Figure.
    form: 'svg' or 'png'.

  Returns:
    bytes; the same for the same figure.
  """
  file = io.BytesIO()
  # Neither the date nor the version of matplotlib goes into the file.
  undated = {'svg': {'Date': None, 'Creator': None}, 'png': {'Software': None}}
  figure.savefig(
    file, format=form, dpi=160, metadata=undated[form], facecolor='white'
  )
  return file.getvalue()


def close(figure):
  """Frees the figure.

  Args:
    figure: a Figure.
  """
  plt.close(figure)
