"""Normalised scores by hand; where the reference scores are from."""

import math

import numpy as np
import pytest

from tf_sparse_rl.report import conditions, scores


@pytest.mark.parametrize(
  'env_name, score, expected',
  [
    ('HalfCheetah-v5', 5605.0, 0.5),  # Half of the paper's dense SAC.
    ('Walker2d-v5', -493.0, -0.1),  # No random offset on MuJoCo.
    ('CartPole-v1', 500.0, 1.0),
    ('CartPole-v1', 22.2, 0.0),
    ('CartPole-v0', 111.1, 0.5),
    ('Acrobot-v1', -283.05, 0.5),
    ('MountainCar-v0', -200.0, 0.0),
    ('ALE/Pong-v5', 14.6, 1.0),  # A human's.
    ('PongNoFrameskip-v4', 14.6, None),
    ('Pendulum-v1', -150.0, None),
  ],
)
def test_normalized_score_by_hand(env_name, score, expected):
  reference = scores.reference(env_name)
  if expected is None:
    assert reference is None
  else:
    assert reference.normalize(score) == pytest.approx(expected, abs=1e-9)


def test_arrays_are_normalised_too():
  reference = scores.reference('CartPole-v1')
  both = reference.normalize(np.array([22.2, 500.0]))
  np.testing.assert_allclose(both, [0, 1])


def test_every_reference_score_has_a_source_and_a_range():
  found = scores.references()
  assert len({r.env for r in found}) == len(found) == 5 + 4 + 15
  for r in found:
    assert r.reference > r.random, r
    assert len(r.source) > 20 and r.reference_agent, r
  # On MuJoCo a return of nothing is a score of nothing.
  assert {r.random for r in found if r.reference_agent == 'dense SAC'} == {0}


def test_paper_values_as_printed():
  value = scores.paper_value('iqm', 'sac', 'all', 'rigl', 0.9)
  assert value == (1.094, 1.08, 1.11)
  acrobot = scores.paper_value('return', 'dqn', 'Acrobot', 'rigl', 0.9)
  assert acrobot.value == -73 and math.isnan(acrobot.ci_low)
  assert scores.paper_value('return', 'dqn', 'Acrobot', 'rigl', 0.85) is None
  assert scores.paper_value('return', 'dqn', 'Pendulum', 'rigl', 0.9) is None
  # 0.97 in a file and 0.97 computed are the same sparsity.
  assert scores.paper_value('return', 'sac', 'Hopper', 'set', 1 - 0.03)


def test_paper_has_the_methods_of_a_report():
  for method in ('dense', 'small_dense', 'static', 'set', 'rigl', 'prune'):
    assert method in conditions.METHODS
    sparsity = 0.0 if method == 'dense' else 0.9
    assert scores.paper_value('iqm', 'sac', 'all', method, sparsity), method


@pytest.mark.parametrize(
  'env_name, base',
  [
    ('HalfCheetah-v5', 'HalfCheetah'),
    ('ALE/SpaceInvaders-v5', 'SpaceInvaders'),
    ('CartPole', 'CartPole'),
  ],
)
def test_base_names(env_name, base):
  assert scores.base_name(env_name) == base
