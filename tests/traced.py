"""Runs of one config share what they trace: most of the time of a small run.

For many runs in a process whose files are the matter. A run begins with all
variables as those of the first one did.
"""

import dataclasses

import tensorflow as tf

from tf_sparse_rl.agents import registry
from tf_sparse_rl.training import learner


class _Shared:
  """Agents and learners, each made once."""

  def __init__(self):
    self._build, self._make = registry.build, learner.make
    self._agents, self._learners = {}, {}

  def build(self, config, spec):
    """Does what `registry.build` does."""
    key = dataclasses.replace(config, num_env_steps=1), spec
    if key not in self._agents:
      agent = self._build(config, spec)
      self._agents[key] = agent, _values(agent)
    agent, begin = self._agents[key]
    for variable, value in begin:
      variable.assign(value)
    return agent

  def make(self, config, agent, buffer):
    """Does what `learner.make` does."""
    if agent not in self._learners:
      made = self._make(config, agent, buffer)
      self._learners[agent] = made, _values(agent)
    made, begin = self._learners[agent]
    for variable, value in begin:  # The slots too.
      variable.assign(value)
    step = made._train_step
    step._count, step.masks_changed, step.first_huge_loss = None, 0, None
    return made


def _values(agent):
  modules = *tf.nest.flatten(agent.saved), *agent.optimizers.values()
  variables = [v for module in modules for v in module.variables]
  return [(v, v.numpy()) for v in variables]


def share(setattr=setattr):
  """Has runs share; a monkeypatch's `setattr` has it end with a test."""
  shared = _Shared()
  setattr(registry, 'build', shared.build)
  setattr(learner, 'make', shared.make)
