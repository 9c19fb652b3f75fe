"""Masks as compressed bits in text, for JSON."""

import base64
import zlib

import numpy as np


def packed(mask):
  """Encodes a mask, an array of zeros and ones."""
  bits = np.packbits(mask.ravel() != 0).tobytes()
  return base64.b64encode(zlib.compress(bits)).decode()


def unpacked(texts, masks):
  """Decodes masks of `packed`.

  Args:
    texts: `{name of a network: [text of each layer]}`.
    masks: `{name of a network: [mask]}`, for shapes and types.

  Returns:
    `{name of a network: [mask]}`.

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
  if len(bits) != (like.size + 7) // 8:
    raise ValueError(
      f'Expected a mask of the shape {like.shape}. Received: {len(bits)} bytes.'
    )
  flat = np.unpackbits(np.frombuffer(bits, np.uint8), count=like.size)
  return flat.reshape(like.shape).astype(like.dtype)
