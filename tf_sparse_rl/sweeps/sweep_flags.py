"""The flags of the command `sweep`, beside those of a run."""

from absl import flags

from tf_sparse_rl import flags as run_flags
from tf_sparse_rl import methods

# Flags that list runs.
LISTS = ('methods', 'sparsities', 'env_names', 'seeds', 'grid')
# Flags of how runs are executed.
ENGINE = (
  'engine',
  'max_parallel',
  'max_retries',
  'index',
  'ray_address',
  'cpus_per_run',
  'gpus_per_run',
  'run_timeout',
  'stall_timeout',
)
# A field of a run that the lists set: the flag that does it.
INSTEAD = {
  'method': '--methods=rigl,static',
  'sparsity': '--sparsities=0.8,0.9',
  'match_sparsity': '--methods=small_dense with --sparsities',
  'env_name': '--env_names=CartPole-v1,Acrobot-v1',
  'seed': '--seeds=3, their number',
}
_MODES = ('dry_run', 'list_only', 'status')


def define():
  """Declares them and the flags of a run, in the order of `--help`."""
  run_flags.show_in_help('sweep_dir', *LISTS)
  run_flags.show_in_help(*_MODES, *ENGINE, group='How runs are executed')
  run_flags.define_run_flags(without=INSTEAD)
  flags.DEFINE_string(
    'sweep_dir', None, 'Directory of the sweep, made if needed.'
  )
  _define_lists()
  _define_engine()
  _define_modes()


def _define_lists():
  flags.DEFINE_list(
    'methods',
    list(methods.OF_THE_PAPER),
    f'Some of: {", ".join(methods.METHODS)}, {methods.SMALL_DENSE}.',
  )
  flags.DEFINE_list('sparsities', ['0.9'], 'Fractions of zeros, in [0, 1).')
  flags.DEFINE_list('env_names', None, 'Gymnasium ids. Default: by preset.')
  run_flags.define_integer('seeds', 3, 'Number of seeds: 0, 1, ...', 1, 100_000)
  flags.DEFINE_string(
    'grid',
    None,
    'Lists of values of any fields, as in learning_rate=1e-3,1e-4;'
    'batch_size=64,128. Lists of a field that is one: 64,64|256,256.',
  )
  run_flags.define_integer(
    'optuna', None, 'Number of trials of a search; needs --space.', 1
  )
  flags.DEFINE_string(
    'space', None, 'The space of a search, a JSON file; docs/tuning.md.'
  )


def _define_engine():
  flags.DEFINE_enum(
    'engine', 'local', ['local', 'ray'], 'Executes the queued runs: local, ray.'
  )
  run_flags.define_integer(
    'max_parallel', None, 'Runs at a time. Default: one per core.', 1, 10_000
  )
  run_flags.define_integer(
    'max_retries', 2, 'How often a run that fails is tried again.', 0
  )
  run_flags.define_integer(
    'index',
    None,
    'Execute this line of runs.jsonl only, from 0: for arrays.',
    0,
  )
  flags.DEFINE_string(
    'ray_address',
    None,
    "Ray: address of a cluster, or 'auto'. Default: starts one here.",
  )
  flags.DEFINE_float('cpus_per_run', 1.0, 'Ray: CPUs reserved for a run.', 0)
  flags.DEFINE_float(
    'gpus_per_run', 0.0, 'Ray: GPUs reserved for a run; 0.25 for a quarter.', 0
  )
  flags.DEFINE_float(
    'run_timeout',
    None,
    'Seconds after which an attempt of a run is ended; it counts as failed, '
    'and the next one goes on from its checkpoint. Default: none.',
    1,
  )
  flags.DEFINE_float(
    'stall_timeout',
    None,
    'The same after so many seconds without an env step. Default: none.',
    60,
  )


def _define_modes():
  flags.DEFINE_boolean(
    'dry_run', False, 'Print the runs with their commands; write nothing.'
  )
  flags.DEFINE_boolean(
    'list_only', False, 'Write runs.jsonl and start nothing: for arrays.'
  )
  flags.DEFINE_boolean(
    'status', False, 'Print what is finished, running, failed and missing.'
  )
