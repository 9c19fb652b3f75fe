"""What all figures share: colours, axes, and files that never differ."""

import io
import math

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib import ticker  # noqa: E402

from tf_sparse_rl.report import conditions  # noqa: E402

# Okabe and Ito's colours, told apart by every kind of sight; markers and dashes
# tell them apart in black and white.
_STYLES = {
  'dense': ('#000000', 'o', (0, (5, 2))),
  'small_dense': ('#7a7a7a', 's', (0, (2, 1.5))),
  'static': ('#cc79a7', 'v', (0, (4, 1, 1, 1))),
  'set': ('#0072b2', '^', 'solid'),
  'rigl': ('#d55e00', 'D', 'solid'),
  'prune': ('#009e73', 'P', 'solid'),
}
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


def style(method):
  """Keyword arguments of a line in a method's colour.

  Args:
    method: one of conditions.METHODS.

  Returns:
    dict for `Axes.plot`.
  """
  color, marker, dashes = _STYLES[method]
  return {
    'color': color,
    'marker': marker,
    'linestyle': dashes,
    'label': conditions.METHOD_NAMES[method],
  }


def panels(rows, columns, width=1.0, **subplots):
  """A figure of equal panels.

  Args:
    rows: number of rows.
    columns: number of columns.
    width: of a panel, as a multiple of what is usual.
    **subplots: for `plt.subplots`.

  Returns:
    (Figure, array of Axes `[rows, columns]`).
  """
  with plt.rc_context(_RC):
    return plt.subplots(
      rows,
      columns,
      figsize=(_PANEL[0] * width * max(columns, 1.6), _PANEL[1] * rows + 0.55),
      squeeze=False,
      layout='constrained',
      **subplots,
    )


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
  figure.legend(
    [entries[label] for label in order],
    order,
    loc='outside upper center',
    ncols=min(len(order), 6),
    frameon=False,
    handlelength=2.6,
  )


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
  with plt.rc_context(_RC):
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
