"""Layer sparsities against the released code, the paper and by hand."""

import json
import math
import pathlib

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from tf_sparse_rl.sparsity import distributions

_TESTDATA = pathlib.Path(__file__).parents[2] / 'testdata'
_CASES = json.loads((_TESTDATA / 'distributions.json').read_text())


def test_all_reference_cases_are_there():
  assert len(_CASES) == 216


@pytest.mark.parametrize('network', sorted({c['network'] for c in _CASES}))
def test_agrees_with_the_released_code(network):
  for case in _CASES:
    if case['network'] == network:
      _assert_agrees(case)


def _assert_agrees(case):
  shapes = {str(i): shape for i, shape in enumerate(case['shapes'])}
  found = distributions.layer_sparsities(
    shapes,
    case['target_sparsity'],
    case['distribution'],
    case['erk_power_scale'],
    case['custom'],
  )
  assert list(found) == list(shapes)
  np.testing.assert_allclose(
    list(found.values()), case['layer_sparsity'], atol=1e-6, rtol=0
  )
  zeros = [distributions.num_zeros(shapes[n], s) for n, s in found.items()]
  assert zeros == case['layer_zeros']


_NATURE = [[8, 8, 4, 32], [4, 4, 32, 64], [3, 3, 64, 64], [7744, 512], [512, 6]]


def _mlp(*sizes):
  return [list(pair) for pair in zip(sizes[:-1], sizes[1:])]


# ERK by the paper's formula, to four digits.
@pytest.mark.parametrize(
  ('shapes', 'target', 'expected'),
  [
    (_NATURE, 0.9, [0.7018, 0.8509, 0.8292, 0.9022, 0]),
    (_NATURE, 0.95, [0.852, 0.926, 0.9153, 0.9515, 0]),
    (_mlp(17, 256, 256, 12), 0.8, [0.0793, 0.8853, 0]),
    (_mlp(17, 256, 256, 12), 0.9, [0.5652, 0.9459, 0.3954]),
    (_mlp(23, 256, 256, 1), 0.9, [0.5859, 0.9317, 0]),
    (_mlp(376, 256, 256, 34), 0.9, [0.9219, 0.9071, 0.6038]),
    (_mlp(393, 256, 256, 1), 0.9, [0.9090, 0.8897, 0]),
    (_mlp(4, 512, 512, 2), 0.9, [0, 0.9105, 0]),
    (_mlp(17, 64, 64, 6), 0.9, [0.851, 0.938, 0.635]),
    (_mlp(17, 64, 64, 1), 0.9, [0.835, 0.931, 0]),
  ],
)
def test_erk_agrees_with_the_paper(shapes, target, expected):
  found = distributions.layer_sparsities(dict(enumerate(shapes)), target)
  digits = 3 if expected[0] in (0.851, 0.835) else 4
  tolerance = 0.51 * 10**-digits
  np.testing.assert_allclose(list(found.values()), expected, atol=tolerance)


def test_uniform_by_hand():
  found = distributions.layer_sparsities(
    {'a': [4, 8], 'b': [8, 2]}, 0.75, 'uniform', custom={'b': 0.5}
  )
  assert found == {'a': 0.75, 'b': 0.5}


def test_erk_by_hand():
  # Raw densities 4/4 and 8/16; budget (4 - 3) + (16 - 12) = 5 weights;
  # epsilon = 5 / (4 * 1 + 16 * 0.5) = 5/12: densities 5/12 and 5/24.
  found = distributions.layer_sparsities({'a': [2, 2], 'b': [4, 4]}, 0.75)
  assert found == pytest.approx({'a': 7 / 12, 'b': 19 / 24})


def test_er_looks_at_the_last_two_dimensions_only():
  shapes = {'a': [5, 5, 4, 4], 'b': [4, 4]}
  found = distributions.layer_sparsities(shapes, 0.75, 'er')
  assert found['a'] == pytest.approx(found['b'])
  found = distributions.layer_sparsities(shapes, 0.75, 'erk')
  assert found['a'] > found['b']


def test_custom_layers_do_not_share_the_budget():
  shapes = {'a': [8, 8], 'b': [16, 16], 'c': [8, 8]}
  found = distributions.layer_sparsities(shapes, 0.8, custom={'b': 0.1})
  alone = distributions.layer_sparsities({'a': [8, 8], 'c': [8, 8]}, 0.8)
  assert found == {'a': alone['a'], 'b': 0.1, 'c': alone['c']}


@pytest.mark.parametrize('distribution', distributions.DISTRIBUTIONS)
def test_zero_sparsity_is_dense(distribution):
  shapes = {'a': [3, 4], 'b': [4, 1]}
  found = distributions.layer_sparsities(shapes, 0.0, distribution)
  assert found == {'a': 0.0, 'b': 0.0}


@pytest.mark.parametrize(
  ('shape', 'sparsity', 'expected'),
  [([10], 0.9, 9), ([3, 3], 0.5, 4), ([4, 4], 0, 0), ([7], 0.99, 6)],
)
def test_num_zeros_is_the_floor(shape, sparsity, expected):
  assert distributions.num_zeros(shape, sparsity) == expected


@hypothesis.given(
  st.lists(
    st.lists(st.integers(1, 40), min_size=2, max_size=4), min_size=1, max_size=6
  ),
  st.floats(0, 0.995),
  st.sampled_from(distributions.DISTRIBUTIONS),
  st.floats(0.25, 2),
)
def test_the_network_meets_its_target(shapes, target, distribution, power):
  """Every sparsity is in [0, 1) and the budgets add up to the target's."""
  shapes = dict(enumerate(shapes))
  found = distributions.layer_sparsities(shapes, target, distribution, power)
  assert all(0 <= s < 1 for s in found.values())
  size = sum(math.prod(s) for s in shapes.values())
  zeros = sum(found[n] * math.prod(s) for n, s in shapes.items())
  # Each layer's floor may cost one connection.
  assert zeros <= target * size + 1e-6 * size
  assert zeros > target * size - len(shapes) - 1e-6 * size


@pytest.mark.parametrize(
  ('kwargs', 'message'),
  [
    ({'shapes': {}}, 'at least one layer'),
    ({'target_sparsity': 1.0}, r'\[0, 1\).*Received: target_sparsity=1.0'),
    ({'target_sparsity': -0.1}, 'Received: target_sparsity=-0.1'),
    ({'target_sparsity': float('nan')}, 'Received: target_sparsity=nan'),
    ({'distribution': 'erdos'}, "Received: distribution='erdos'"),
    ({'erk_power': 0.0}, 'Received: erk_power=0.0'),
    ({'erk_power': float('inf')}, 'Received: erk_power=inf'),
    ({'custom': {'a': 1.0}}, 'Received: a=1.0'),
    ({'custom': {'z': 0.5}}, r"among \['a'\].*Received: \['z'\]"),
  ],
)
def test_errors_say_what_was_received(kwargs, message):
  arguments = {'shapes': {'a': [4, 4]}, 'target_sparsity': 0.5, **kwargs}
  with pytest.raises(ValueError, match=message):
    distributions.layer_sparsities(**arguments)


def test_er_of_the_actor_of_rlx2_by_hand():
  shapes = dict(enumerate(_mlp(17, 256, 256, 6)))
  found = distributions.layer_sparsities(shapes, 0.9, 'er')
  active = [1 - sparsity for sparsity in found.values()]
  # Zeros are whole numbers, as in the released code.
  np.testing.assert_allclose(active, [0.44801, 0.0558, 1], rtol=5e-4)


# Observation and action sizes of the -v3 environments; sparsities of actor and
# critics, and the size of all networks relative to dense ones.
@pytest.mark.parametrize(
  ('agent', 'sizes', 'sparsities', 'expected'),
  [
    ('td3', (17, 6), (0.9, 0.85), 0.133),
    ('td3', (11, 3), (0.98, 0.95), 0.040),
    ('td3', (17, 6), (0.97, 0.95), 0.043),
    ('td3', (111, 8), (0.96, 0.88), 0.093),
    ('sac', (17, 6), (0.9, 0.8), 0.180),
    ('sac', (11, 3), (0.98, 0.95), 0.044),
    ('sac', (17, 6), (0.9, 0.9), 0.100),
    ('sac', (111, 8), (0.9, 0.75), 0.220),
  ],
)
def test_sizes_are_those_of_rlx2s_table_2(agent, sizes, sparsities, expected):
  """Kernels with their targets; SAC has no target of its actor."""
  observation, action = sizes
  outputs = action if agent == 'td3' else 2 * action
  networks = (
    (_mlp(observation, 256, 256, outputs), 2 if agent == 'td3' else 1),
    (_mlp(observation + action, 256, 256, 1), 4),
  )
  active = dense = 0
  for (kernels, copies), target in zip(networks, sparsities):
    shapes = dict(enumerate(kernels))
    found = distributions.layer_sparsities(shapes, target, 'er')
    size = sum(map(math.prod, kernels))
    zeros = sum(distributions.num_zeros(shapes[k], s) for k, s in found.items())
    active += copies * (size - zeros)
    dense += copies * size
  assert active / dense == pytest.approx(expected, abs=5.1e-4)
