"""Draws README's badges from setup.py: `python docs/tools/badges.py`."""

import pathlib
import re
import sys

_ROOT = pathlib.Path(__file__).parents[2]
_BADGE = (
  '<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" '
  'role="img" aria-label="{label}: {value}">\n'
  '<rect width="{width}" height="20" rx="3" fill="#455a64"/>\n'
  '<path d="M{middle} 0h{rest}a3 3 0 0 1 3 3v14a3 3 0 0 1 -3 3h-{rest}z" '
  'fill="#0072b2"/>\n'
  '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" '
  'font-size="11" text-anchor="middle">\n'
  '<text x="{left_x}" y="14">{label}</text>\n'
  '<text x="{right_x}" y="14">{value}</text>\n</g>\n</svg>\n'
)


def badges():
  """`{file name: SVG}`."""
  setup = (_ROOT / 'setup.py').read_text('utf-8')
  pythons = re.findall(r'Python :: (3\.\d+)', setup)
  tensorflow = re.search(r"'tensorflow==(\d+\.\d+)", setup)[1]
  licence = re.search(r"license='(.+?)'", setup)[1]
  values = {
    'python': ('CPython', f'{pythons[0]} to {pythons[-1]}'),
    'tensorflow': ('TensorFlow', tensorflow),
    'licence': ('licence', licence),
  }
  return {f'badge_{name}.svg': _badge(*pair) for name, pair in values.items()}


def _badge(label, value):
  left, right = (round(6.6 * len(text) + 12) for text in (label, value))
  return _BADGE.format(
    label=label,
    value=value,
    width=left + right,
    middle=left,
    rest=right - 3,
    left_x=left / 2,
    right_x=left + right / 2,
  )


def main(directory):
  """Writes the badges."""
  for name, svg in badges().items():
    (directory / name).write_text(svg, 'utf-8')


if __name__ == '__main__':
  default = _ROOT / 'docs' / 'figures'
  main(pathlib.Path(sys.argv[1]) if sys.argv[1:] else default)
