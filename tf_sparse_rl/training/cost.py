"""The cost of a run: parameters, FLOPs and memory."""

import resource
import sys

from tf_sparse_rl import sparsity


def total(agent):
  """The `LayerCount` of all networks that are trained.

  Both critics count, targets do not, as in the paper.
  """
  return _total(list(agent.networks.values()))


def inference_flops(agent):
  """FLOPs of one greedy action, zeros left out, an int."""
  return _total(agent.policy_layers).flops


def train_step_flops(agent, batch_size):
  """FLOPs of one train step with the masks as they are, zeros left out, an int.

  What the algorithm needs: the masked path multiplies the zeros too.
  The dense gradients of RigL's mask updates, one in hundreds of train steps,
  are left out, as are optimizers and losses.
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
    results: list of Evaluation; between two of them a train step costs
      the mean of both, for pruning makes networks smaller.

  Returns:
    int, or None if one does not say what a train step costs.
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
  """The most memory this process has had, in MiB, a float."""
  kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  unit = 1 if sys.platform == 'darwin' else 1024
  return round(kilobytes * unit / 2**20, 1)


def _total(networks):
  return sparsity.counting.total(sparsity.counting.count(networks))
