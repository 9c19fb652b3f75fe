"""The colours of figures and pages by day, and by night in CSS.

Figures are drawn for the day. A style sheet inside each SVG puts another colour
in the place of each at night, by the reader's `prefers-color-scheme`.
"""

INK, SOFT, AXIS = '#1d232b', '#5c6773', '#8a929b'
GRID, CARD, GHOST = '#e6e8eb', '#ffffff', '#c3c9d0'

# {by day: by night}, of the same contrast with the page.
_NIGHT = {
  INK: '#e4e8ec',
  SOFT: '#9aa6b2',
  AXIS: '#6f7a86',
  GRID: '#2d353e',
  CARD: '#1c2229',
  GHOST: '#4b5560',
  # Methods, and those of the user's own; the others serve at night too.
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
  """A method's colour in figures: black is ink, as all that is black."""
  return INK if color == _BLACK else color


def svg_style():
  """A style sheet for SVGs of Matplotlib, whose colours are inline styles."""
  rules = ''.join(
    f'[style*="{what}: {day}"]{{{what}:{night}!important}}'
    for day, night in _NIGHT.items()
    for what in ('fill', 'stroke')
  )
  return f'<style>@media (prefers-color-scheme:dark){{{rules}}}</style>'


def swatch_style():
  """The same for the swatches of methods in tables."""
  night = {_BLACK: _NIGHT[INK], **_NIGHT}
  rules = ''.join(
    f'td i[style*="{a}"]{{background:{b}!important}}' for a, b in night.items()
  )
  return f'@media (prefers-color-scheme: dark) {{{rules}}}\n'
