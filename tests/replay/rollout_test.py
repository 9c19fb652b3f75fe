"""Rollouts: the latest env steps in their order."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.replay import walks
from tf_sparse_rl import replay
from tf_sparse_rl.replay import rows


@given(
  num_envs=st.integers(1, 3),
  steps=st.integers(1, 5),
  more=st.integers(0, 20),
  ends=st.lists(st.sampled_from([*walks.ENDS]), min_size=35, max_size=35),
)
def test_the_latest_steps_in_order(num_envs, steps, more, ends):
  spec, capacity = walks.spec(action_size=2), num_envs * steps
  buffer = replay.Rollout(capacity, spec, num_envs=num_envs)
  walk = walks.Walk(ends, num_envs, action_size=2)
  walk.add(capacity + more, buffer)
  latest = buffer.latest()
  numbers = range(more, more + capacity)
  assert latest.dtype == np.float32
  assert latest.shape == (capacity, buffer.row_size)
  expected = [[*walk.row(i), walk.over(i)] for i in numbers]
  np.testing.assert_array_equal(latest, np.float32(expected))
  columns = rows.rollout(spec).split(latest)
  over = [[float(walk.over(i))] for i in numbers]
  assert columns['over'].tolist() == over

  restored = replay.Rollout(capacity, spec, num_envs=num_envs)
  restored.restore([(more, latest)], more + capacity)
  walk.add(35, buffer, restored)
  assert restored.latest().tobytes() == buffer.latest().tobytes()
