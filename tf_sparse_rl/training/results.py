"""Records of a run: its evaluations and its summary."""

import numpy as np

from tf_sparse_rl import runs
from tf_sparse_rl.training import cost


def evaluation(config, now, agent, outcome):
  """Makes the record of an evaluation.

  Args:
    config: a Config.
    now: a State.
    agent: a `base.Agent`.
    outcome: EpisodeStatistics of the evaluation.

  Returns:
    An Evaluation.
  """
  count = cost.total(agent)
  return runs.Evaluation(
    env_step=now.env_step,
    train_step=agent.train_step,
    return_mean=float(np.mean(outcome.returns)),
    returns=outcome.returns,
    sparsity=count.sparsity,
    nonzero=count.nonzero,
    train_step_flops=cost.train_step_flops(agent, config.batch_size),
    num_stopped_episodes=outcome.num_stopped or None,
    diagnosis=now.diagnosis if config.diagnostics else None,
    **now.clock.figures(),
  )


def summary(now, agent, machine):
  """Makes the summary of a finished run.

  Args:
    now: a State.
    agent: a `base.Agent`.
    machine: dict of JSON types, see `machine.describe`.

  Returns:
    A Summary.
  """
  count = cost.total(agent)
  return runs.Summary.of(
    now.results,
    env_steps=now.env_step,
    train_steps=agent.train_step,
    sparsity=count.sparsity,
    nonzero=count.nonzero,
    parameters=count.parameters,
    inference_flops=cost.inference_flops(agent),
    train_flops=cost.train_flops(now.results),
    peak_memory_mib=cost.peak_memory_mib(),
    machine=machine,
    **now.clock.figures(),
  )
