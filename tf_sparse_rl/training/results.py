"""What a run writes down of itself: lines of results.jsonl, summary.json."""

import numpy as np

from tf_sparse_rl.training import cost


def line(config, now, agent, outcome):
  """One line of results.jsonl.

  Args:
    config: a Config.
    now: a State.
    agent: a `base.Agent`.
    outcome: Returns of the evaluation.

  Returns:
    dict of JSON types.
  """
  count = cost.total(agent)
  diagnosis = {'diagnosis': now.diagnosis} if config.diagnostics else {}
  return {
    'env_step': now.env_step,
    'train_step': agent.train_step,
    'return_mean': float(np.mean(outcome.returns)),
    'returns': outcome.returns,
    'sparsity': count.sparsity,
    'nonzero': count.nonzero,
    'train_step_flops': cost.train_step_flops(agent, config.batch_size),
    **outcome.stopped,
    **diagnosis,
    **now.clock.figures(),
  }


def totals(now, agent):
  """What summary.json says besides the returns.

  Args:
    now: a State, at the end.
    agent: a `base.Agent`.

  Returns:
    dict of JSON types.
  """
  count = cost.total(agent)
  return {
    'env_steps': now.env_step,
    'train_steps': agent.train_step,
    'sparsity': count.sparsity,
    'nonzero': count.nonzero,
    'parameters': count.parameters,
    'inference_flops': cost.inference_flops(agent),
    'train_flops': cost.train_flops(now.results),
    'peak_memory_mib': cost.peak_memory_mib(),
    **now.clock.figures(),
  }
