"""The cost of a run: parameters, FLOPs and memory."""

import resource
import sys

from tf_sparse_rl import sparsity


def total(agent):
  """Sums the `LayerCount` of all trained networks.

  Both critics count, target networks do not, as in the paper.
  """
  return _total(list(agent.networks.values()))


def inference_flops(agent):
  """FLOPs of one greedy action without zeros, an int."""
  return _total(agent.policy_layers).flops


def train_step_flops(agent, batch_size):
  """FLOPs of one train step with the current masks without zeros, an int.

  These are the FLOPs of the algorithm: the masked backend multiplies zeros too.
  The dense gradients of mask updates, optimizers and losses are not counted.
  """
  per_transition = sum(
    agent.train_passes[name] * _total([network]).flops
    for name, network in agent.networks.items()
  )
  for candidates in agent.candidates.values():
    # Forward, and backward to the weights and through them.
    per_transition += 3 * _total(candidates.networks[1:]).flops
  return round(batch_size * per_transition)


def train_flops(results):
  """FLOPs of all train steps of a run.

  Args:
    results: list of Evaluation; train steps between two of them count with the
      mean of both, since masks may change.

  Returns:
    int; None if an evaluation has no train_step_flops.
  """
  if any(result.train_step_flops is None for result in results):
    return None
  return round(
    sum(
      (b.train_step - a.train_step)
      * (a.train_step_flops + b.train_step_flops)
      / 2
      for a, b in zip(results, results[1:])
    )
  )


def peak_memory_mib():
  """Peak memory of this process in MiB, a float."""
  kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  unit = 1 if sys.platform == 'darwin' else 1024
  return round(kilobytes * unit / 2**20, 1)


def _total(networks):
  return sparsity.counting.total(sparsity.counting.count(networks))
