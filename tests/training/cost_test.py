"""FLOPs and memory of a run, counted by hand."""

from tests import tiny
from tf_sparse_rl import sparsity
from tf_sparse_rl.training import cost


def _result(train_step, flops):
  return tiny.evaluation(train_step=train_step, train_step_flops=flops)


def test_train_flops_by_hand():
  # Pruned from 100 FLOPs a train step to 20 between the first two.
  results = [_result(0, 100), _result(10, 20), _result(30, 20)]
  assert cost.train_flops(results) == 10 * (100 + 20) / 2 + 20 * 20
  assert cost.train_flops(results[:1]) == 0


def test_of_a_run_begun_by_an_older_version_it_is_not_known():
  assert cost.train_flops([_result(0, None), _result(10, 20)]) is None


def test_dqn(tiny_run):
  summary, agent = tiny_run.outcome.summary, tiny_run.outcome.agent
  # Two for each active entry of a dense kernel: multiply and add.
  assert summary.inference_flops == 2 * summary.nonzero
  # Batches of 16: the target forward, the network forward and twice backward.
  step = 16 * 4 * 2 * summary.nonzero
  assert cost.train_step_flops(agent, 16) == step
  for result in tiny_run.run_dir.read_results():
    assert result.train_step_flops == step
  assert summary.train_flops == step * summary.train_steps


def test_sac(tiny_sac_run):
  agent = tiny_sac_run.outcome.agent
  actor, *critics = (
    sum(int(x.mask.numpy().sum()) for x in sparsity.sparse_layers(network))
    for network in agent.networks.values()
  )
  assert tiny_sac_run.outcome.summary.inference_flops == 2 * actor
  assert cost.train_step_flops(agent, 16) == 16 * 2 * (
    5 * actor + 6 * sum(critics)
  )


def test_memory_is_that_of_this_process():
  before = cost.peak_memory_mib()
  # TensorFlow alone is more than 100 MiB; no machine of ours has a TiB.
  assert 100 < before < 2**20
  held = b'x' * (256 * 2**20)
  assert cost.peak_memory_mib() >= before
  assert cost.peak_memory_mib() > len(held) / 2**20
