"""Prints a summary of the networks: `python -m tf_sparse_rl.summarize`."""

import sys

from tf_sparse_rl import flags as run_flags
from tf_sparse_rl import methods, packages, quiet

_HELP = run_flags.Help(
  'Prints a summary of the networks of a run, without training it: layers, '
  'sparsities, parameters and FLOPs. Takes the flags of train.',
  'summarize',
  {
    'The default run': '',
    'SAC on HalfCheetah-v5 with another distribution': '--agent=sac '
    '--distribution=uniform',
    'The run of a directory': '--config=runs/a/config.json',
  },
)


def main(argv):
  """Builds the networks and prints their layers."""
  del argv
  config = run_flags.config_from_flags()
  run_flags.tell_ignored(config, run_flags.values_from_flags())
  packages.require('Building an agent', 'tf_agents')
  quiet.silence()
  from tf_sparse_rl import envs, sparsity
  from tf_sparse_rl.agents import registry

  try:
    env = envs.make(config)
    agent = registry.build(config, env.spec)
  except ValueError as error:
    raise run_flags.UserError(str(error)) from error
  for name, network in agent.networks.items():
    print(name)
    print(sparsity.summary(network))
  if methods.get(config.method).finds_sparsity:
    print(f'{config.method} starts dense and finds its sparsity.')
  elif methods.get(config.method).starts_dense:
    print(
      f'{config.method} starts dense and reaches its sparsity at train step '
      f'{config.prune_end_train_step:,}.'
    )


def run():
  """Entry point of the command."""
  run_flags.define_run_flags()
  run_flags.run_command(main, _HELP)


if __name__ == '__main__':
  sys.exit(run())
