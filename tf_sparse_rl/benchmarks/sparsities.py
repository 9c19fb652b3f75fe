"""Times a train step at several sparsities: masked, native, dense, peers."""

import dataclasses
import os

from tf_sparse_rl.benchmarks import in_turn, load, training
from tf_sparse_rl.native import backend
from tf_sparse_rl.training import learner

SPARSITIES = (0.5, 0.8, 0.9, 0.95, 0.98)
# Fused train steps if the agent has them, otherwise kernels alone.
_BACKENDS = {'masked': 'masked', 'native': 'fused'}
_OF_NETWORKS = ('actor_sparsity', 'critic_sparsity', 'value_sparsity')


def measure(config, peers, rounds, cores=None, calls=100):
  """Times all candidates in turn, for several rounds.

  Args:
    config: a Config, timed at each of SPARSITIES and at its own sparsity.
    peers: `{name: command}`, see `candidates.of_peers`.
    rounds: number of repetitions.
    cores: numbers of the cores of this process; None: all.
    calls: train steps of a candidate per round.

  Returns:
    Dict of JSON types: median milliseconds of a train step by round; the ratios
    of masked and dense to native in the same round; the fraction of the cores
    used by others. Our train steps choose the next action too.

  Raises:
    in_turn.CandidateError: if a peer fails.
  """
  steps = {'dense': _train_step(config, 'dense', 0.0, 'masked')}
  sparsities = sorted({*SPARSITIES, config.sparsity})
  for sparsity in sparsities:
    for name, backend_name in _BACKENDS.items():
      steps[f'{name} {sparsity:g}'] = _train_step(
        config, config.method, sparsity, backend_name
      )
  times = {name: [] for name in [*steps, *peers]}
  peers = {k: [*v, f'--train_step_calls={calls}'] for k, v in peers.items()}
  watch = load.Watch(cores)
  for _ in range(rounds):
    for name, step in steps.items():
      times[name].append(in_turn.median_ms(step, calls))
    for name, command in peers.items():
      times[name].append(in_turn.run(name, command)['train_step_ms'])
  others_share = watch.others_share()
  ratios = {}
  for sparsity in (f'{sparsity:g}' for sparsity in sparsities):
    native = times[f'native {sparsity}']
    others = {'masked': times[f'masked {sparsity}']}
    others.update((name, times[name]) for name in ('dense', *peers))
    ratios[sparsity] = {
      f'than {name}': in_turn.spread(
        [other / ours for other, ours in zip(values, native)]
      )
      for name, values in others.items()
    }
  return {
    'agent': config.agent,
    'method': config.method,
    'pinned_cores': cores,
    'num_cores': os.cpu_count(),
    'rounds': rounds,
    **load.told(others_share),
    'train_step_ms': times,
    'native_is_faster_by': ratios,
  }


def _train_step(config, method, sparsity, backend_name):
  """Makes a function of one train step."""
  changes = dict.fromkeys(_OF_NETWORKS, sparsity)
  changes['replay_capacity'] = 2000
  # What the agent does not have stays so.
  changes = {k: v for k, v in changes.items() if getattr(config, k) is not None}
  config = dataclasses.replace(
    config, method=method, sparsity=sparsity, **changes
  )
  backend.set_backend(backend_name)
  _, agent, buffer, rng, observation = training.prepare(config)
  learn = learner.make(config, agent, buffer)
  step = training.train_step(agent, learn, buffer, rng, observation)
  for _ in range(20):
    step()
  return step
