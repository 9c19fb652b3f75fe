"""What a run writes down of itself: lines of results.jsonl, summary.json."""

import numpy as np

from tf_sparse_rl.training import cost


def line(config, now, parts, outcome):
  """One line of results.jsonl.

  Args:
    config: a Config.
    now: a State.
    parts: AgentParts.
    outcome: Returns of the evaluation.

  Returns:
    dict of JSON types.
  """
  count = cost.total(parts)
  diagnosis = {'diagnosis': now.diagnosis} if config.diagnostics else {}
  return {
    'env_step': now.env_step,
    'train_step': int(parts.agent.train_step_counter.numpy()),
    'return_mean': float(np.mean(outcome.returns)),
    'returns': outcome.returns,
    'sparsity': count.sparsity,
    'nonzero': count.nonzero,
    'train_step_flops': cost.train_step_flops(parts, config.batch_size),
    **diagnosis,
    **now.clock.figures(),
  }


def totals(now, parts):
  """What summary.json says besides the returns.

  Args:
    now: a State, at the end.
    parts: AgentParts.

  Returns:
    dict of JSON types.
  """
  count = cost.total(parts)
  return {
    'env_steps': now.env_step,
    'train_steps': int(parts.agent.train_step_counter.numpy()),
    'sparsity': count.sparsity,
    'nonzero': count.nonzero,
    'parameters': count.parameters,
    'inference_flops': cost.inference_flops(parts),
    'train_flops': cost.train_flops(now.results),
    'peak_memory_mib': cost.peak_memory_mib(),
    **now.clock.figures(),
  }
