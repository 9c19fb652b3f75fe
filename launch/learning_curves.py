"""Draws the learning curves of a directory of runs, a panel an environment.

python launch/learning_curves.py RUNS_DIR OUT.png
"""

import json
import pathlib
import sys

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib import ticker  # noqa: E402

_COLORS = {
  'dense': '#777777',
  'static': '#b07aa1',
  'set': '#4e79a7',
  'rigl': '#d1495b',
  'prune': '#59a14f',
}


def read_runs(runs_dir):
  """Returns a list of (config, results), one a run, sorted by path."""
  runs = []
  for path in sorted(pathlib.Path(runs_dir).glob('**/results.jsonl')):
    config = json.loads((path.parent / 'config.json').read_text('utf-8'))
    lines = path.read_text('utf-8').splitlines()
    runs.append((config, [json.loads(line) for line in lines]))
  return runs


def draw(runs, out):
  """Writes the figure: a thin line a run, the mean return over env steps."""
  env_names = sorted({config['env_name'] for config, _ in runs})
  figure, axes = plt.subplots(
    1, len(env_names), figsize=(5 * len(env_names), 3.4), squeeze=False
  )
  for axis, env_name in zip(axes[0], env_names):
    labels = set()
    for config, results in runs:
      if config['env_name'] != env_name:
        continue
      method = config['method']
      label = method
      if method != 'dense':
        label += f', sparsity {config["sparsity"]:g}'
      axis.plot(
        [r['env_step'] for r in results],
        [r['return_mean'] for r in results],
        color=_COLORS[method],
        linewidth=1.2,
        alpha=0.8,
        label=None if label in labels else label,
      )
      labels.add(label)
    axis.set_title(env_name)
    axis.set_xlabel('env steps')
    axis.xaxis.set_major_formatter(ticker.EngFormatter(sep=''))
    axis.set_ylabel('return of an evaluation')
    axis.spines[['top', 'right']].set_visible(False)
    axis.legend(frameon=False)
  figure.tight_layout()
  figure.savefig(out, dpi=110)


def main(argv):
  """Draws; exits with a message if there is nothing to draw."""
  if len(argv) != 3:
    sys.exit(__doc__)
  runs = read_runs(argv[1])
  if not runs:
    sys.exit(f'Expected runs with a results.jsonl under {argv[1]}. Found none.')
  draw(runs, argv[2])


if __name__ == '__main__':
  main(sys.argv)
