"""Draws the diagrams of the concepts: `python docs/tools/diagrams.py`.

Masks, sparsities and schedules are computed by the package, the architecture is
read from BUILD; nothing is drawn by hand.
"""

import pathlib
import sys

import build_file
import numpy as np

from tf_sparse_rl import sparsity  # Before TensorFlow.
from tf_sparse_rl.report import drawing, theme
from tf_sparse_rl.sparsity import structures as structures_lib

_ROOT = pathlib.Path(__file__).parents[2]
_FIGURES = _ROOT / 'docs' / 'figures'
_ACTIVE, _DROPPED, _GROWN = '#0072b2', '#d55e00', '#009e73'
_RIGL, _PRUNE, _OTHER = '#d55e00', '#009e73', '#2f4f6f'
_NATURE_CNN = {
  'conv_0': (8, 8, 4, 32),
  'conv_1': (4, 4, 32, 64),
  'conv_2': (3, 3, 64, 64),
  'hidden_0': (7744, 512),
  'output': (512, 6),
}


def mask_update():
  """One update of RigL in four panels."""
  rng = np.random.default_rng(7)
  mask = sparsity.mask_ops.random_mask((6, 8), 32, seed=3)
  weight = rng.normal(size=mask.shape).astype(np.float32) * mask
  gradient = rng.normal(size=mask.shape).astype(np.float32)
  scores = np.abs(weight), np.abs(gradient)
  kept = sparsity.mask_ops.kept(mask, scores[0], 0.3).numpy()
  after = sparsity.mask_ops.drop_and_grow(mask, *scores, 0.3).numpy() > 0
  grown, before = after & ~kept, mask > 0
  panels = [
    ('1. Weights of a layer', [(before, _ACTIVE, np.abs(weight))]),
    (
      '2. Drop the smallest',
      [(kept, _ACTIVE, np.abs(weight)), (before & ~kept, _DROPPED, None)],
    ),
    (
      '3. Grow by gradient',
      [(~kept, _GROWN, np.abs(gradient) * 0.6), (grown, _GROWN, None)],
    ),
    (
      '4. New weights are 0',
      [(kept, _ACTIVE, np.abs(weight)), (grown, _GROWN, None)],
    ),
  ]
  figure, axes = drawing.panels(1, 4, width=0.62, height=0.72)
  for axis, (title, layers) in zip(axes[0], panels):
    _cells(axis, mask.shape, layers)
    axis.set_title(title, loc='left', fontsize=9)
  return figure


def structures():
  """Masks of one layer with each structure."""
  shape = (16, 16)
  srigl = np.zeros(shape)
  for unit in range(16):
    rows = np.random.default_rng(unit).permutation(16)[:4]
    srigl[rows, unit] = unit not in (4, 11)
  kinds = {
    'single entries': (structures_lib.make(), 0.75),
    'blocks of 4 inputs': (structures_lib.make(block_shape=(4, 1)), 0.75),
    '2:4': (structures_lib.make(n_of_m=(2, 4)), 0.5),
    'whole units': (structures_lib.make(block_shape='unit'), 0.75),
  }
  masks = {
    name: kind.random_mask(shape, share, seed=2)
    for name, (kind, share) in kinds.items()
  }
  masks['constant fan-in'] = srigl
  figure, axes = drawing.panels(1, 5, width=0.55, height=0.85)
  for axis, (name, mask) in zip(axes[0], masks.items()):
    _cells(axis, shape, [(mask > 0, _ACTIVE, None)])
    axis.set_title(name, loc='left', fontsize=9)
  axes[0, 0].set_ylabel('inputs')
  axes[0, 0].set_xlabel('units')
  return figure


def _cells(axis, shape, layers):
  """Draws a matrix of cells.

  Args:
    axis: an Axes.
    shape: (rows, columns).
    layers: list of (bool matrix, colour, strengths or None), later ones above.
  """
  from matplotlib import patches

  for row in range(shape[0]):
    for column in range(shape[1]):
      color, alpha = theme.GRID, 1.0
      for where, its_color, strength in layers:
        if where[row, column]:
          color = its_color
          alpha = 1.0
          if strength is not None:
            alpha = 0.25 + 0.75 * min(1.0, float(strength[row, column]) / 2)
      axis.add_patch(
        patches.Rectangle(
          (column + 0.06, row + 0.06), 0.88, 0.88, color=color, alpha=alpha
        )
      )
  axis.set_xlim(0, shape[1])
  axis.set_ylim(shape[0], 0)
  axis.set_aspect('equal')
  axis.grid(visible=False)
  axis.set_xticks([])
  axis.set_yticks([])
  axis.spines[['left', 'bottom']].set_visible(False)


def schedules():
  """Sparsity and drop fraction over train steps."""
  steps = np.arange(0, 1001, 5)
  cubic = sparsity.schedules.CubicSparsity(0.0, 0.9, 200, 800, 1)
  growing = sparsity.NeuroplasticExpansion(0.3, 1, 800)
  cosine = sparsity.schedules.CosineDropFraction(0.5, 800)
  lines = {
    'static, SET, RigL, SRigL': (_RIGL, [0.9 for _ in steps]),
    'pruning': (_PRUNE, [float(cubic(step)) for step in steps]),
    'Neuroplastic': (
      _OTHER,
      [1 - int(growing.num_active(100, step)) / 1000 for step in steps],
    ),
  }
  figure, [[left, right]] = drawing.panels(1, 2)
  for name, (color, values) in lines.items():
    left.plot(steps / 10, values, color=color, label=name)
  left.set_ylabel('sparsity')
  left.legend(loc='lower right', fontsize=8)
  right.plot(steps / 10, [float(cosine(s)) for s in steps], color=_RIGL)
  right.set_ylabel('drop fraction of SET, RigL')
  for axis in (left, right):
    axis.set_xlabel('train steps, % of the run')
  return figure


def distributions():
  """Sparsity of each layer of the Nature CNN."""
  figure, [[axis]] = drawing.panels(1, 1, width=1.9)
  kinds = {'uniform': theme.AXIS, 'er': '#56b4e9', 'erk': _ACTIVE}
  for place, (kind, color) in enumerate(kinds.items()):
    found = sparsity.distributions.layer_sparsities(_NATURE_CNN, 0.9, kind)
    xs = np.arange(len(found)) + 0.27 * (place - 1)
    axis.bar(xs, [*found.values()], width=0.25, color=color, label=kind)
  names = [
    f'{name}\n{" x ".join(map(str, shape))}'
    for name, shape in _NATURE_CNN.items()
  ]
  axis.set_xticks(range(len(names)), names, fontsize=8)
  axis.set_ylabel('sparsity')
  axis.grid(visible=False, axis='x')
  drawing.legend(figure)
  return figure


def architecture():
  """The targets of BUILD by level, with their deps."""
  deps = build_file.libraries(_ROOT / 'BUILD')
  levels = build_file.levels(deps)
  rows = {}
  for name, level in levels.items():
    rows.setdefault(level, []).append(name)
  figure, [[axis]] = drawing.panels(1, 1, width=2.2, height=2.1)
  places = {
    name: ((i + 1) / (len(row) + 1), level)
    for level, row in rows.items()
    for i, name in enumerate(row)
  }
  boxes = {
    name: axis.text(
      *place,
      name,
      ha='center',
      va='center',
      fontsize=9,
      color=theme.INK,
      bbox={
        'boxstyle': 'round,pad=0.45',
        'facecolor': theme.CARD,
        'edgecolor': _ACTIVE,
      },
    )
    for name, place in places.items()
  }
  arrow = {'arrowstyle': '->', 'color': theme.AXIS, 'linewidth': 0.8}
  for name, direct in build_file.reduced(deps).items():
    for dep in direct:
      ends = {
        'patchA': boxes[name].get_bbox_patch(),
        'patchB': boxes[dep].get_bbox_patch(),
      }
      axis.annotate(
        *('', places[dep]),
        xytext=places[name],
        arrowprops={**arrow, **ends, 'shrinkA': 0, 'shrinkB': 2},
        zorder=0,
      )
  axis.set_xlim(0, 1)
  axis.set_ylim(-0.5, max(rows) + 0.5)
  axis.axis('off')
  return figure


_DIAGRAMS = (mask_update, schedules, distributions, structures, architecture)


def main(directory):
  """Writes all diagrams."""
  with drawing.settings():
    for draw in _DIAGRAMS:
      content = drawing.to_bytes(draw(), 'svg')
      (directory / f'{draw.__name__}.svg').write_bytes(content)


if __name__ == '__main__':
  main(pathlib.Path(sys.argv[1]) if sys.argv[1:] else _FIGURES)
