"""Masks as compressed bits in text, for JSON."""

import base64
import zlib

import numpy as np


def packed(bits):
  """Encodes a mask.

  Args:
    bits: `np.packbits` of the mask.
  """
  return base64.b64encode(zlib.compress(bits.tobytes())).decode()


def unpacked(texts, masks):
  """Decodes masks of `packed`.

  Args:
    texts: `{name of a network: [text of each layer]}`.
    masks: `{name of a network: [bits of a mask]}`, for their sizes.

  Returns:
    `{name of a network: [bits of a mask]}`.

  Raises:
    ValueError: for invalid text, or masks of other networks.
  """
  if not texts.keys() <= masks.keys():
    raise ValueError(f'Expected networks of {[*masks]}. Received: {[*texts]}.')
  return {
    name: [_unpacked(*pair) for pair in zip(each, masks[name], strict=True)]
    for name, each in texts.items()
  }


def _unpacked(text, like):
  try:
    bits = zlib.decompress(base64.b64decode(text))
  except (zlib.error, TypeError) as error:
    raise ValueError(f'Expected a mask. Received: {text!r:.40}') from error
  if len(bits) != len(like):
    raise ValueError(
      f'Expected {len(like)} bytes of a mask. Received: {len(bits)}.'
    )
  return np.frombuffer(bits, np.uint8)
