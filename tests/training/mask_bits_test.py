"""Masks as text."""

import json

import numpy as np
import pytest

from tf_sparse_rl.training import mask_bits


@pytest.mark.parametrize('shape', [(1,), (3, 5), (8, 4), (2, 3, 4, 5)])
def test_a_mask_comes_back(shape):
  rng = np.random.default_rng(0)
  bits = np.packbits(rng.random(shape) < 0.3)
  texts = json.loads(json.dumps({'actor': [mask_bits.packed(bits)]}))
  like = {'actor': [np.zeros_like(bits)], 'value': []}
  [there] = mask_bits.unpacked(texts, like)['actor']
  assert there.dtype == np.uint8
  np.testing.assert_array_equal(there, bits)


def test_a_large_mask_is_a_bit_an_entry_at_most():
  bits = np.packbits(np.random.default_rng(0).random((256, 256)) < 0.5)
  assert len(mask_bits.packed(bits)) < 1.4 * bits.size


@pytest.mark.parametrize(
  'texts',
  [
    {'critic': []},
    {'actor': ['no mask']},
    {'actor': ['AAAA']},
    {'actor': [7]},
    {'actor': []},
    {'actor': [mask_bits.packed(np.packbits(np.ones(99, bool)))]},
  ],
)
def test_what_is_no_mask_of_these_is_refused(texts):
  with pytest.raises(ValueError):
    mask_bits.unpacked(texts, {'actor': [np.zeros(2, np.uint8)]})
