"""The picture of the sparsity of layers."""

import numpy as np
import pytest

from tf_sparse_rl.sparsity import counting
from tf_sparse_rl.training import layer_picture

_ACTIVE, _ABSENT = (59, 111, 182), (220, 220, 220)


def _layer(name, size, nonzero):
  return counting.LayerCount(name, (size, 1), size, nonzero, 1, 0)


def _bars(picture):
  """[(pixels that are active, that are not)] of each bar, from the top."""
  is_active = (picture == _ACTIVE).all(axis=-1).sum(axis=1)
  is_absent = (picture == _ABSENT).all(axis=-1).sum(axis=1)
  is_bar = is_active + is_absent >= 320  # The edges of letters are grey too.
  tops = np.flatnonzero(is_bar[1:] & ~is_bar[:-1]) + 1
  return [(is_active[row], is_absent[row]) for row in tops]


def test_a_bar_is_as_long_as_the_share_that_is_active():
  picture = layer_picture.draw(
    'q_network',
    [_layer('a', 1000, 250), _layer('b', 10, 10), _layer('c', 64, 0)],
  )
  assert picture.dtype == np.uint8
  assert _bars(picture) == [(80, 240), (320, 0), (0, 320)]


def test_what_has_no_kernel_is_left_out():
  norm = counting.LayerCount('norm', (8,), 0, 0, 8, 0)
  both = layer_picture.draw('actor', [_layer('a', 4, 2), norm])
  np.testing.assert_array_equal(
    both, layer_picture.draw('actor', [_layer('a', 4, 2)])
  )


@pytest.mark.parametrize('name', ['x', 'stack_2_block_1_conv_1' * 3])
def test_long_names_widen_the_picture(name):
  picture = layer_picture.draw('q', [_layer(name, 10, 5)])
  # Nothing is drawn at the edges: what is there is there in full.
  edges = np.concatenate([picture[:, :4], picture[:, -4:]], axis=1)
  assert (edges == 255).all()
