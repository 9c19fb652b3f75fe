"""Sizes of networks: widths, the small baselines, budgets of parameters."""

import pytest

from tf_sparse_rl import envs, flags, sparsity
from tf_sparse_rl.agents import network_layers, registry
from tf_sparse_rl.networks import sizes
from tf_sparse_rl.sparsity import counting

_CARTPOLE = envs.EnvSpec('CartPole-v1', 4, 2, 500)


def _mujoco(observation_size, action_size):
  bounds = (-1.0,) * action_size, (1.0,) * action_size
  return envs.EnvSpec('HalfCheetah-v5', observation_size, None, 1000, *bounds)


_HALFCHEETAH = _mujoco(17, 6)  # And Walker2d.
_HOPPER, _ANT, _HUMANOID = _mujoco(11, 3), _mujoco(111, 8), _mujoco(376, 17)


@pytest.mark.parametrize(
  'width, expected',
  [
    (1.0, (512, 512)),
    (0.5, (256, 256)),
    (0.317, (162, 162)),  # 162.3
    (0.7079, (362, 362)),  # 362.4
    (0.1996, (102, 102)),  # 102.2
    (0.0001, (1, 1)),
    (2.0, (1024, 1024)),
  ],
)
def test_widths_are_rounded_down(width, expected):
  assert sizes.hidden_sizes((512, 512), width) == expected


def _plan(config, spec):
  """The plans of SAC's networks."""
  return network_layers.plan_actor_critic(config, spec, 2 * spec.action_size)


def test_each_hidden_layer_is_scaled():
  assert sizes.hidden_sizes((100, 50, 3), 0.5) == (50, 25, 1)


def test_parameters_of_a_dense_network():
  # 4 * 3 + 3 and 3 * 2 + 2.
  assert sizes.num_dense_parameters((4, 3, 2)) == 23
  assert sizes.num_dense_parameters((17, 256, 256, 12)) == 73_484


# The paper's classic control: sparsity, parameters of the sparse network, units
# of the dense one.
_MATCHING = [
  (0.5, 133_634, 362),
  (0.8, 54_070, 229),
  (0.9, 27_549, 162),
  (0.95, 14_289, 116),
  (0.98, 6_332, 76),
]


@pytest.mark.parametrize('sparsity_matched, parameters, units', _MATCHING)
def test_matching_units_are_the_papers(sparsity_matched, parameters, units):
  del sparsity_matched
  found = sizes.matching_units((512, 512), [(4, 2)], parameters)
  assert found == (units, units)


@pytest.mark.parametrize('sparsity_matched, parameters, units', _MATCHING)
def test_match_sparsity_builds_the_papers_small_q_network(
  sparsity_matched, parameters, units
):
  config = flags.make_config(
    {'method': 'dense', 'match_sparsity': sparsity_matched}
  )
  layers = network_layers.of_q_network(config, _CARTPOLE)
  assert [layer.units for layer in layers] == [units, units, 2]
  found = counting.total(counting.count(layers)).parameters
  assert abs(found - parameters) / parameters < 0.01


def test_whole_units_are_not_lost_to_rounding():
  assert int(29 / 100 * 100) == 28  # What has to be got around.
  # (4 + 1) * 29 + 30 * 29 + 30 * 2 = 1075 parameters.
  assert sizes.matching_units((100, 100), [(4, 2)], 1075) == (29, 29)


def test_matching_units_keep_the_proportions():
  # (4 + 1) * 40 + 41 * 20 + 21 * 2 = 1062 parameters: the network itself.
  assert sizes.matching_units((40, 20), [(4, 2)], 1062) == (40, 20)
  first, second = sizes.matching_units((40, 20), [(4, 2)], 300)
  assert abs(first - 2 * second) <= 1


def test_matching_units_count_all_networks_together():
  # (4 + 1) * 9 + 10 * 2 = 65 parameters, and (6 + 1) * 9 + 10 = 73.
  ends = [(4, 2), (6, 1), (6, 1)]
  assert sizes.matching_units((100,), ends, 65 + 73 + 73) == (9,)


def test_matching_sparsity_leaves_biases_alone():
  # 4 * 10 + 10 * 2 = 60 weights, 12 biases; a quarter of the weights stays.
  assert sizes.matching_sparsity('actor', (4, 10, 2), 27) == 0.75
  assert sizes.matching_sparsity('actor', (4, 10, 2), 72) == 0


@pytest.mark.parametrize('num_parameters', [12, 72.5])
def test_matching_sparsity_refuses_what_cannot_be(num_parameters):
  with pytest.raises(ValueError, match='more than 12 .* at most 72 '):
    sizes.matching_sparsity('actor', (4, 10, 2), num_parameters)


def _sac_config(**changes):
  return flags.make_config({'agent': 'sac', 'method': 'static', **changes})


def _sac_parameters(config, spec):
  """Active ones of actor, critic and critic, as built."""
  networks = registry.build(config, spec).networks.values()
  return [counting.total(counting.count(n)).parameters for n in networks]


def test_actor_and_critics_of_sac_have_widths_of_their_own():
  config = _sac_config(method='dense', actor_width=0.5, critic_width=2.0)
  actor, critic = _plan(config, _HOPPER)
  assert actor.sizes == (11, 128, 128, 6)
  assert critic.sizes == (14, 512, 512, 1)
  # (11 + 1) * 128 + 129 * 128 + 129 * 6, and (14 + 1) * 512 + ...
  assert _sac_parameters(config, _HOPPER) == [18_822, 270_849, 270_849]


@pytest.mark.parametrize(
  'spec, expected',  # The paper's, at sparsity 0, .5, .8, .9, .95, .98.
  [
    (_HALFCHEETAH, [217_870, 109_710, 44_823, 23_190, 12_373, 5_884]),
    (_HOPPER, [210_184, 105_864, 43_278, 22_415, 11_982, 5_725]),
    (_ANT, [292_114, 146_837, 59_675, 30_618, 16_089, 7_373]),
    (_HUMANOID, [504_868, 253_223, 102_241, 51_908, 26_744, 11_648]),
  ],
)
def test_parameters_of_sac_are_the_papers(spec, expected):
  assert [
    sum(_sac_parameters(_sac_config(sparsity=s), spec))
    for s in (0.0, 0.5, 0.8, 0.9, 0.95, 0.98)
  ] == expected


@pytest.mark.parametrize(
  'spec, network, target_sparsity, expected',  # By the paper's formula.
  [
    (_HALFCHEETAH, 'actor', 0.8, [0.0793, 0.8853, 0]),
    (_HALFCHEETAH, 'actor', 0.9, [0.5652, 0.9459, 0.3954]),
    (_HALFCHEETAH, 'critic_1', 0.9, [0.5859, 0.9317, 0]),
    (_HUMANOID, 'actor', 0.9, [0.9219, 0.9071, 0.6038]),
    (_HUMANOID, 'critic_2', 0.9, [0.9090, 0.8897, 0]),
  ],
)
def test_erk_of_sac_is_the_papers(spec, network, target_sparsity, expected):
  networks = registry.build(
    _sac_config(sparsity=target_sparsity), spec
  ).networks
  layers = sparsity.sparse_layers(networks[network])
  found = [layer.target_sparsity for layer in layers]
  assert found == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(
  'spec, expected',  # The paper's units at sparsity .5, .8, .9, .95, .98.
  [
    (_HALFCHEETAH, [178, 109, 75, 52, 33]),
    (_HOPPER, [179, 112, 78, 55, 36]),
    (_ANT, [168, 92, 56, 34, 17]),
    (_HUMANOID, [152, 72, 39, 21, 9]),
  ],
)
def test_match_sparsity_gives_sac_the_papers_widths(spec, expected):
  for matched, units in zip((0.5, 0.8, 0.9, 0.95, 0.98), expected):
    config = _sac_config(method='dense', match_sparsity=matched)
    plans = _plan(config, spec)
    assert [plan.units for plan in plans] == [(units, units)] * 2


@pytest.mark.parametrize('budget', [0.1, 0.2])
@pytest.mark.parametrize('share', [0.1, 0.34, 0.66, 0.9])
def test_sparsities_meet_the_actors_share_of_the_budget(share, budget):
  config = _sac_config(actor_parameter_share=share, parameter_budget=budget)
  actor, *critics = _sac_parameters(config, _HALFCHEETAH)
  total = actor + sum(critics)
  assert total == pytest.approx(budget * 217_870, rel=0.002)
  assert actor == pytest.approx(share * total, rel=0.002)


@pytest.mark.parametrize('budget', [0.1, 0.2, 1.0])
@pytest.mark.parametrize('share', [0.1, 0.2, 0.34, 0.5, 0.66, 0.8, 0.9])
def test_widths_meet_the_actors_share_of_the_budget(share, budget):
  config = _sac_config(
    method='dense', actor_parameter_share=share, parameter_budget=budget
  )
  plans = _plan(config, _HALFCHEETAH)
  actor, critic = (sizes.num_dense_parameters(plan.sizes) for plan in plans)
  total = actor + 2 * critic
  # To the nearest unit: one of 34 is 3 % of an actor.
  assert total == pytest.approx(budget * 217_870, rel=0.01)
  assert actor == pytest.approx(share * total, rel=0.016)


@pytest.mark.parametrize(
  'share, budget, bounds',  # The biases alone; the network at width 1.
  [
    (0.9, 1.0, 'more than 524 .* at most 73484 '),
    (0.1, 1.0, 'more than 513 .* at most 72193 '),
    (0.5, 0.001, 'more than 524 .* at most 73484 '),
    (0.99, 0.1, 'more than 513 .* at most 72193 '),
  ],
)
def test_a_share_that_sparse_networks_cannot_meet_is_refused(
  share, budget, bounds
):
  config = _sac_config(actor_parameter_share=share, parameter_budget=budget)
  with pytest.raises(ValueError, match=bounds) as error:
    _plan(config, _HALFCHEETAH)
  assert 'Choose another parameter_budget' in str(error.value)


def test_a_share_too_small_for_a_dense_network_is_refused():
  config = flags.make_config(
    {
      'agent': 'sac',
      'method': 'dense',
      'hidden_units': (24, 16),
      'actor_parameter_share': 0.9,
      'parameter_budget': 0.01,
    }
  )
  spec = envs.EnvSpec('Arm-v0', 5, None, 100, (-1.0, -1.0), (1.0, 1.0))
  with pytest.raises(ValueError, match='one unit a layer, for the critic'):
    _plan(config, spec)
