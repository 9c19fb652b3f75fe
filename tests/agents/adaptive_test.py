"""Adaptive pruning of DQN and of SAC's critics: who is chosen, what follows."""

from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import envs, sparsity
from tf_sparse_rl.agents import adaptive, registry
from tf_sparse_rl.sparsity import optimizer_slots
from tf_sparse_rl.training import cost

_SPEC = envs.EnvSpec('CartPole-v1', 4, 2, 500)
_BATCH, _PERIOD = 16, 4


def _config(**changes):
  values = {
    'num_env_steps': 400,
    'initial_collect_env_steps': 100,
    'hidden_units': (16, 12),
    'batch_size': _BATCH,
    'target_update_period': _PERIOD,
    'method': 'adaptive',
    'num_networks': 3,
    'max_sparsity_step': 0.2,
    'max_sparsity_power': 20.0,
    'weight_decay': 1e-3,
    'gamma': 0.9,
  }
  return config_lib.make_config({**values, **changes})


def _rows(rng):
  """A batch as the replay stores it: observation, action, reward, ..."""
  rows = rng.normal(size=(_BATCH, 11)).astype(np.float32)
  rows[:, 4] = rng.integers(2, size=_BATCH)
  rows[:, 6] = rng.random(_BATCH) < 0.7  # Discount: 0 if terminated.
  return rows


class _Network(NamedTuple):
  """Arrays of a network by variable; slots two a variable."""

  values: list
  masks: list
  slots: list


class _Dqn:
  """An agent in training, eagerly, on rows that are always the same."""

  def __init__(self, **changes):
    self.agent = registry.build(_config(**changes), _SPEC)
    self.rng = np.random.default_rng(0)
    self.candidates = self.agent.candidates.get('q_network')

  def train(self, num_train_steps):
    """Trains; returns the last batch and its scalars."""
    for _ in range(num_train_steps):
      rows = _rows(self.rng)
      scalars = self.agent.train(tf.constant(rows))
    return rows, {tag: float(value) for tag, value in scalars.items()}

  def select(self, losses):
    """Selects by cumulated losses, without a train step."""
    self.candidates.losses.assign(losses)
    no_losses = 3 * [tf.zeros([_BATCH])]
    step = tf.constant(3 * _PERIOD, tf.int64)
    return self.candidates.select(no_losses, step, masks_may_change=True)

  def networks(self):
    """The _Network of each candidate."""
    networks = self.candidates.networks
    variables = [v for each in networks for v in each.trainable_variables]
    [(optimizer, _)] = self.agent.descents
    slots = optimizer_slots.find(optimizer.inner_optimizer, variables)
    size = len(variables) // len(networks)
    return [
      _read(variables[i : i + size], slots[i : i + size])
      for i in range(0, len(variables), size)
    ]

  @property
  def target(self):
    """The _Network that is the target."""
    network = self.agent.tf_agent._target_q_network
    return _read(network.trainable_variables, [])


def _read(variables, slots):
  masks = [sparsity.mask_of(v) for v in variables]
  return _Network(
    [v.numpy() for v in variables],
    [m if m is None else m.numpy() for m in masks],
    [slot.numpy() for row in slots for slot in row],
  )


def _assert_equal(a, b):
  for x, y in zip((*a.values, *a.slots), (*b.values, *b.slots), strict=True):
    np.testing.assert_array_equal(x, y)
  for x, y in zip(a.masks, b.masks, strict=True):
    np.testing.assert_array_equal(x, y)


def _largest(value, mask, num_zeros):
  """NumPy's answer: the mask of the entries of largest magnitude."""
  if mask is None:
    return None
  scores = np.where(mask > 0, np.abs(value), -1.0).ravel()
  kept = np.zeros(scores.size, np.float32)
  kept[np.argsort(-scores, kind='stable')[: scores.size - num_zeros]] = 1
  return kept.reshape(mask.shape)


def _pruned(network, wanted):
  """NumPy's copy of a network at a sparsity, ERK over its kernels."""
  kernels = {i: m.shape for i, m in enumerate(network.masks) if m is not None}
  shares = sparsity.distributions.layer_sparsities(kernels, wanted)
  masks = []
  for i, (value, mask) in enumerate(zip(network.values, network.masks)):
    zeros = 0
    if mask is not None:
      zeros = max(int(shares[i] * mask.size + 1e-3), int(np.sum(mask == 0)))
    masks.append(_largest(value, mask, zeros))
  by_slot = [mask for mask in masks for _ in range(2)]
  return _Network(
    [v if m is None else v * m for v, m in zip(network.values, masks)],
    masks,
    [s if m is None else s * m for s, m in zip(network.slots, by_slot)],
  )


def _assert_about_pruned(copy, winner, wanted):
  """A copy is that of NumPy, but for a rounded entry of a layer's budget."""
  expected = _pruned(winner, wanted)
  for i, mask in enumerate(copy.masks):
    if mask is None:
      np.testing.assert_array_equal(copy.values[i], winner.values[i])
      continue
    assert np.abs(np.sum(mask) - np.sum(expected.masks[i])) <= 2
    zeros = int(np.sum(mask == 0))
    best = _largest(winner.values[i], winner.masks[i], zeros)
    np.testing.assert_array_equal(mask, best)
    np.testing.assert_array_equal(copy.values[i], winner.values[i] * best)
    for slot in (2 * i, 2 * i + 1):
      np.testing.assert_array_equal(copy.slots[slot], winner.slots[slot] * best)


@pytest.fixture(scope='module', name='begun')
def begun_fixture():
  """A DQN before its first train step; nobody trains it."""
  return _Dqn()


@pytest.fixture(scope='module', name='trained')
def trained_fixture():
  """A DQN after three periods, and its networks and target at each step."""
  dqn = _Dqn()
  dqn.history, dqn.targets, dqn.scalars = [dqn.networks()], [dqn.target], []
  for step in range(3 * _PERIOD):
    if step == _PERIOD - 1:  # The second is to be the best.
      dqn.candidates.losses.assign([90.0, 1.0, 90.0])
    _, scalars = dqn.train(1)
    dqn.scalars.append(scalars)
    dqn.history.append(dqn.networks())
    dqn.targets.append(dqn.target)
  return dqn


def test_it_begins_with_a_dense_network_and_pruned_copies_of_it(begun):
  first, *copies = begun.networks()
  sparsities = begun.candidates.sparsities.numpy()
  assert all(mask is None or mask.all() for mask in first.masks)
  assert sparsities[0] == 0
  assert len({*sparsities}) == 3 and sparsities.max() <= 0.2 + 1e-6
  for copy, wanted in zip(copies, sparsities[1:]):
    _assert_about_pruned(copy, first, wanted)
    zeros = sum(np.sum(m == 0) for m in copy.masks if m is not None)
    size = sum(m.size for m in copy.masks if m is not None)
    assert zeros / size == pytest.approx(wanted, abs=0.01)


def _forward(network, observations):
  """The Q-values of a _Network, by NumPy."""
  *hidden, (kernel, bias) = zip(network.values[::2], network.values[1::2])
  for weights, biases in hidden:
    observations = np.maximum(observations @ weights + biases, 0)
  return observations @ kernel + bias


def test_losses_are_td_errors_against_the_one_target(begun, trained):
  for ours, theirs in zip(begun.networks(), trained.history[0], strict=True):
    _assert_equal(ours, theirs)
  fresh = _Dqn()
  rows, scalars = fresh.train(1)
  following = _forward(begun.target, rows[:, 7:]).max(1)
  targets = rows[:, 5] + 0.9 * rows[:, 6] * following
  expected = []
  for network in begun.networks():
    values = _forward(network, rows[:, :4])
    chosen = values[np.arange(_BATCH), rows[:, 4].astype(int)]
    expected.append(np.mean((targets - chosen) ** 2))
  np.testing.assert_allclose(fresh.candidates.losses, expected, rtol=1e-5)
  assert scalars['Losses/td_loss'] == pytest.approx(expected[0], rel=1e-5)
  decay = 1e-3 * sum(
    np.sum(kernel**2) for n in begun.networks() for kernel in n.values[:4:2]
  )
  total = sum(expected) + decay
  assert scalars['Losses/total_loss'] == pytest.approx(total, rel=1e-5)


def test_the_first_learns_as_one_alone_until_a_selection(trained):
  alone = _Dqn(method='dense')
  alone.train(_PERIOD - 1)
  network = alone.agent.networks['q_network']
  first = trained.history[_PERIOD - 1][0]
  for value, ours in zip(network.trainable_variables, first.values):
    np.testing.assert_allclose(value, ours, rtol=1e-5, atol=1e-7)


def test_the_best_comes_first_and_the_others_are_its_pruned_copies():
  dqn = _Dqn()
  dqn.train(_PERIOD - 1)
  for best in (1, 0, 2):
    before, wanted = dqn.networks(), dqn.candidates.sparsities.numpy()
    losses = np.full(3, 9.0, np.float32)
    losses[best] = 8.0
    scalars = dqn.select(losses)
    after, sparsities = dqn.networks(), dqn.candidates.sparsities.numpy()
    _assert_equal(after[0], before[best])
    assert sparsities[0] == wanted[best]
    assert (sparsities[1:] > sparsities[0]).all()
    assert (sparsities[1:] <= sparsities[0] + 0.2 + 1e-6).all()
    for copy, of_copy in zip(after[1:], sparsities[1:]):
      _assert_about_pruned(copy, before[best], of_copy)
    np.testing.assert_array_equal(dqn.candidates.losses, np.zeros(3))
    tag = 'Adaptive/q_network'
    assert scalars[f'{tag}/selected'] == best
    for place in range(3):
      assert scalars[f'{tag}/loss_{place}'] == losses[place]
      assert scalars[f'{tag}/sparsity_{place}'] == sparsities[place]


def test_a_selection_comes_before_the_copy_to_the_target(trained):
  tag = 'Adaptive/q_network/selected'
  chosen = [scalars[tag] for scalars in trained.scalars]
  assert chosen[:_PERIOD] == [0, 0, 0, 1]
  for step in range(1, 3 * _PERIOD + 1):
    target, first = trained.targets[step], trained.history[step][0]
    if step % _PERIOD:
      _assert_equal(target, trained.targets[step - 1])
    else:
      _assert_equal(target, first._replace(slots=[]))
  # What the second had been pruned to is what the first is from then on.
  second, first = trained.history[_PERIOD - 1][1], trained.history[_PERIOD][0]
  assert any(m is not None and not m.all() for m in second.masks)
  for mask, of_second in zip(first.masks, second.masks):
    np.testing.assert_array_equal(mask, of_second)


def test_masks_nest_and_hide_exact_zeros(trained):
  for networks in trained.history:
    for network in networks:
      for i, (value, mask) in enumerate(zip(network.values, network.masks)):
        for each in (value, *network.slots[2 * i : 2 * i + 2]):
          assert mask is None or not each[mask == 0].any()
  for earlier, later in zip(trained.history, trained.history[1:]):
    for mask, now in zip(earlier[0].masks, later[0].masks):
      assert mask is None or (now <= mask).all()
  due = trained.agent.updates_masks_at(np.arange(9)).tolist()
  assert due == [t % _PERIOD == _PERIOD - 1 for t in range(9)]


def test_who_acts_by_hand(trained):
  dqn = trained
  dqn.candidates.losses.assign([1.0, 3.0, 1.0])
  np.testing.assert_allclose(
    dqn.candidates.probabilities(), [3 / 7, 1 / 7, 3 / 7], rtol=1e-5
  )
  observations = dqn.rng.normal(size=(50, 4)).astype(np.float32)
  networks = dqn.networks()
  for uniform, who in [(0, 0), (0.42, 0), (0.43, 1), (0.57, 1), (0.58, 2)]:
    found = dqn.candidates.outputs_of_one(
      observations, tf.constant(float(uniform))
    )
    expected = _forward(networks[who], observations)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    # Without epsilon: the second number is not looked at.
    noise = np.full((50, 3), [1.0, 0.0, uniform], np.float32)
    actions = dqn.agent.act(tf.constant(observations), tf.constant(noise))
    np.testing.assert_array_equal(actions, expected.argmax(1))
  greedy = dqn.agent.act_greedily(observations)
  first = _forward(networks[0], observations).argmax(1)
  np.testing.assert_array_equal(greedy, first)
  # Before the first loss all are as likely; noise has a column for it.
  dqn.candidates.losses.assign(tf.zeros(3))
  np.testing.assert_allclose(dqn.candidates.probabilities(), [1 / 3] * 3)
  assert dqn.agent.noise(dqn.rng, 2).shape == (2, 3)
  assert _Dqn(method='dense').agent.noise_size == 2


def test_a_train_step_costs_what_all_networks_cost(trained):
  dqn = trained
  flops = [
    sparsity.counting.total(sparsity.counting.count(n)).flops
    for n in dqn.candidates.networks
  ]
  expected = _BATCH * (4 * flops[0] + 3 * sum(flops[1:]))
  assert cost.train_step_flops(dqn.agent, _BATCH) == expected
  assert cost.inference_flops(dqn.agent) == flops[0]


def test_networks_and_their_copies_in_turn():
  class _Candidates(NamedTuple):
    networks: list

  found = adaptive.all_of('ab', [_Candidates('aAx'), _Candidates('bBy')])
  assert found == ['a', 'b', 'A', 'B', 'x', 'y']
  assert adaptive.all_of('ab', []) == ['a', 'b']


@pytest.mark.parametrize(
  'changes, expected',
  [
    ({'selection_period': 300}, 'selection_period within the run'),
    ({'num_networks': 1}, 'from 2 to 100 networks'),
    ({'num_gpus': 2}, 'num_gpus of at most 1'),
    ({'max_sparsity_step': 0.0}, 'a step in'),
    ({'custom_sparsity': 'output=0'}, 'no custom_sparsity or n_of_m for'),
    (
      {'agent': 'td3', 'env_name': 'Pendulum-v1', 'num_networks': 5},
      'agent=dqn or agent=sac for adaptive',
    ),
  ],
)
def test_what_does_not_fit_is_refused(changes, expected):
  if changes.get('agent'):
    values = {'method': 'adaptive', 'agent': changes['agent']}
    with pytest.raises(ValueError, match=expected):
      config_lib.make_config(values)
    return
  with pytest.raises(ValueError, match=expected):
    _config(**changes)


def _sac():
  config = config_lib.make_config(
    {
      'agent': 'sac',
      'env_name': 'Pendulum-v1',
      'method': 'adaptive',
      'num_networks': 3,
      'max_sparsity_step': 0.2,
      'max_sparsity_power': 20.0,
      'selection_period': 2,
      'num_env_steps': 400,
      'initial_collect_env_steps': 100,
      'hidden_units': (16, 12),
      'batch_size': _BATCH,
    }
  )
  env = envs.make(config)
  env.close()
  return registry.build(config, env.spec)


@pytest.mark.slow
def test_each_critic_of_sac_selects_by_itself():
  agent = _sac()
  rows = np.random.default_rng(0).normal(size=(_BATCH, 9)).astype(np.float32)
  rows = tf.constant(np.where(np.arange(9) == 5, 1, rows), tf.float32)
  assert not sparsity.sparse_layers(agent.networks['actor'])
  assert [*agent.candidates] == ['critic_1', 'critic_2'] == [*agent.optimizers]
  one, other = agent.candidates.values()
  assert not np.array_equal(one.sparsities, other.sparsities)

  transition = agent.experience(rows)
  inputs = transition.time_step.observation, transition.action_step.action
  targets = agent.tf_agent.td_targets(transition)
  expected = [
    np.mean((network(inputs)[0] - targets) ** 2) for network in one.networks
  ]
  scalars = agent.train(rows)
  np.testing.assert_allclose(one.losses, expected, rtol=1e-5)

  one.losses.assign([9.0, 9.0, 0.0])
  other.losses.assign([0.0, 9.0, 9.0])
  wanted = one.sparsities.numpy()[2]
  scalars = agent.train(rows)
  assert scalars['Adaptive/critic_1/selected'] == 2
  assert scalars['Adaptive/critic_2/selected'] == 0
  assert one.sparsities.numpy()[0] == wanted > 0
  assert other.sparsities.numpy()[0] == 0
  tf_agent = agent.tf_agent
  for critic, target, found in (
    (tf_agent._critic_network_1, tf_agent._target_critic_network_1, one),
    (tf_agent._critic_network_2, tf_agent._target_critic_network_2, other),
  ):
    assert critic is found.networks[0]
    for ours, theirs in zip(*map(sparsity.sparse_layers, (critic, target))):
      np.testing.assert_array_equal(ours.mask, theirs.mask)
      assert not theirs.kernel.numpy()[theirs.mask.numpy() == 0].any()
    counts = map(sparsity.counting.count, found.networks)
    reached = [sparsity.counting.total(each).sparsity for each in counts]
    np.testing.assert_allclose(reached, found.sparsities, atol=0.02)


@pytest.mark.slow
def test_convolutions_are_pruned_too():
  shape = (16, 16, 4)
  spec = envs.EnvSpec('ALE/Pong-v5', 1024, 3, None, observation_shape=shape)
  config = _config(
    **{'network': 'nature_cnn', 'width': 0.07, 'hidden_units': (512,)},
    **{'env_name': 'Pong', 'selection_period': 1, 'train_period': 1},
  )
  agent = registry.build(config, spec)
  rng = np.random.default_rng(0)
  images = rng.integers(256, size=(2, _BATCH, *shape), dtype=np.uint8)
  numbers = rng.normal(size=(2, _BATCH)).astype(np.float32)
  actions = rng.integers(3, size=_BATCH, dtype=np.int32)
  rows = (images[0], actions, *numbers, images[1])
  candidates = agent.candidates['q_network']
  candidates.losses.assign([9.0, 0.0, 9.0])
  wanted = candidates.sparsities.numpy()[1]
  agent.train(tuple(map(tf.constant, rows)))
  network = agent.networks['q_network']
  counts = sparsity.counting.count(network)
  reached = sparsity.counting.total(counts).sparsity
  assert reached == pytest.approx(wanted, abs=0.01)
  layers = {layer.name: layer.sparsity for layer in counts}
  shapes = {layer.name: layer.shape for layer in counts}
  expected = sparsity.distributions.layer_sparsities(shapes, float(wanted))
  for name, share in expected.items():
    entries = np.prod(shapes[name])
    assert layers[name] == pytest.approx(share, abs=2 / entries + 1e-6), name
