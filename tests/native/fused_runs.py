"""Parts that runs of fused train steps, of each kind, have in common."""

import numpy as np
import tensorflow as tf


class Run:
  """Has an `agent`, its learner `learn` and the generator `rng`."""

  @property
  def variables(self):
    """All of the agent, slots and counters too."""
    variables = list(self.agent.tf_agent.variables)
    for optimizer, _ in self.agent.descents:
      inner = getattr(optimizer, 'inner_optimizer', optimizer)
      variables += inner.variables()
    return list({id(v): v for v in variables}.values())

  def values(self):
    return [v.numpy() for v in self.variables]


def assert_variables_close(ours, theirs, rtol, atol):
  """Asserts that two runs have the same variables, up to rounding."""
  for variable, a, b in zip(
    ours.variables, ours.values(), theirs.values(), strict=True
  ):
    np.testing.assert_allclose(
      a, b, rtol=rtol, atol=atol, err_msg=variable.name
    )


def go_on_from(first, second, directory):
  """Gives the second run what a checkpoint of the first holds."""
  path = tf.train.Checkpoint(agent=first.agent.tf_agent).write(
    str(directory / 'agent')
  )
  assert second.learn.is_fused  # With slots, for what is read.
  tf.train.Checkpoint(agent=second.agent.tf_agent).read(
    path
  ).assert_existing_objects_matched()
  second.rng = first.rng
