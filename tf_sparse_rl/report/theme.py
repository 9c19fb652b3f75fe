"""Light colours of figures and pages, and dark ones in CSS.

Figures are drawn in light colours. A style sheet in each SVG replaces them by
dark ones according to the reader's `prefers-color-scheme`.
"""

INK, SOFT, AXIS = '#1d232b', '#5c6773', '#8a929b'
GRID, CARD, GHOST = '#e6e8eb', '#ffffff', '#c3c9d0'

# {light: dark}, of the same contrast with the page.
_NIGHT = {
  INK: '#e4e8ec',
  SOFT: '#9aa6b2',
  AXIS: '#6f7a86',
  GRID: '#2d353e',
  CARD: '#1c2229',
  GHOST: '#4b5560',
  # Of methods, custom ones included; the others serve in the dark too.
  '#7a7a7a': '#a3abb3',
  '#cc79a7': '#dd92bb',
  '#0072b2': '#4fa3dd',
  '#d55e00': '#f08438',
  '#009e73': '#2ebd92',
  '#882255': '#d0709f',
  '#6a3d9a': '#a98ad8',
  '#8c564b': '#c08a7e',
}
_BLACK = '#000000'


def of_figure(color):
  """Colour of a method in figures; black becomes the colour of text."""
  return INK if color == _BLACK else color


def svg_style():
  """Style sheet for SVGs of Matplotlib, whose colours are inline styles."""
  rules = ''.join(
    f'[style*="{what}: {day}"]{{{what}:{night}!important}}'
    for day, night in _NIGHT.items()
    for what in ('fill', 'stroke')
  )
  return f'<style>@media (prefers-color-scheme:dark){{{rules}}}</style>'


def swatch_style():
  """Style sheet for the swatches of methods in tables."""
  night = {_BLACK: _NIGHT[INK], **_NIGHT}
  rules = ''.join(
    f'td i[style*="{a}"]{{background:{b}!important}}' for a, b in night.items()
  )
  return f'@media (prefers-color-scheme: dark) {{{rules}}}\n'
