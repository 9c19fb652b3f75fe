"""The sparsity of each layer of a network as a picture."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_FONT_SIZE, _ROW = 15, 26  # pixels
_MARGIN, _BAR = 12, 320
_INK, _ACTIVE, _ABSENT = '#222222', '#3b6fb6', '#dcdcdc'


def draw(name, counts):
  """Draws a bar a layer, whose filled part is the share that is active.

  Args:
    name: of the network.
    counts: list of `counting.LayerCount`.

  Returns:
    uint8 `[height, width, 3]`.
  """
  rows = [
    (
      layer.name,
      layer.sparsity,
      f'{layer.sparsity:.1%} zeros, {layer.nonzero:,} of {layer.size:,} active',
    )
    for layer in counts
    if layer.size
  ]
  font = ImageFont.load_default(_FONT_SIZE)
  title = f'{name}: sparsity of each layer'
  label = max(font.getlength(text) for text, _, _ in rows)
  note = max(font.getlength(text) for _, _, text in rows)
  bar = _MARGIN + round(label) + _MARGIN
  width = bar + _BAR + _MARGIN + round(note) + _MARGIN
  height = _ROW * (len(rows) + 1) + 2 * _MARGIN
  image = Image.new('RGB', (width, height), 'white')
  pen = ImageDraw.Draw(image)
  pen.text((_MARGIN, _MARGIN), title, _INK, font)
  for i, (text, sparsity, numbers) in enumerate(rows, start=1):
    top = _MARGIN + i * _ROW
    pen.text((_MARGIN, top), text, _INK, font)
    # Active to the left, what is absent to the right: the bar is the kernel.
    box = [bar, top, bar + _BAR - 1, top + _FONT_SIZE]
    pen.rectangle(box, _ABSENT)
    active = round(_BAR * (1 - sparsity))
    if active:
      pen.rectangle([*box[:2], bar + active - 1, box[3]], _ACTIVE)
    pen.text((bar + _BAR + _MARGIN, top), numbers, _INK, font)
  return np.asarray(image)
