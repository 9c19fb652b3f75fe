"""Sizes of convolutions in a row, and the attributes of operations for them."""

# The attributes that say what the convolutions of an operation are.
OPTIONS = ('image', 'layers', 'same')


def sizes_of(layers, image):
  """Sizes of convolutions in a row, nested tuples.

  Args:
    layers: list of `stacks.Layer` that fit.
    image: (height, width, channels) of the input.

  Returns:
    (image, (kernel height, kernel width, outputs, two strides, padding) of
    each).
  """
  convs = [layer.plain for layer in layers]
  return tuple(image), *(
    (*conv.kernel_size, conv.filters, *conv.strides, conv.padding)
    for conv in convs
  )


def options_of(sizes):
  """The attributes of an operation by `sizes_of`."""
  image, *layers = sizes
  return {
    'image': image,
    'layers': [number for layer in layers for number in layer[:5]],
    'same': [layer[5] == 'same' for layer in layers],
  }


def options_of_each(image, layers, same):
  """The attributes of an operation for each convolution alone."""
  found = []
  for i, is_same in enumerate(same):
    sizes = layers[5 * i : 5 * i + 5]
    found.append({'image': image, 'layers': sizes, 'same': [is_same]})
    height, width, outputs, *strides = sizes
    windows = [
      size if is_same else size - kernel + 1
      for size, kernel in zip(image, (height, width))
    ]
    image = [*(-(-w // s) for w, s in zip(windows, strides)), outputs]
  return found
