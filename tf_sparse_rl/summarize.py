"""Prints the layer table of a run without training it."""

import sys

from tf_sparse_rl import flags as run_flags
from tf_sparse_rl import methods, quiet


def main(argv):
  """Builds the networks that the flags ask for and prints their layers."""
  del argv
  config = run_flags.config_from_flags()
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
  if methods.get(config.method).starts_dense:
    print(
      f'{config.method} starts dense and reaches its sparsity at train step '
      f'{config.prune_end_train_step:,}.'
    )


def run():
  """Entry point of the command."""
  run_flags.define_run_flags()
  run_flags.run_command(main)


if __name__ == '__main__':
  sys.exit(run())
