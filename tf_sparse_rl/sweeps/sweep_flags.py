"""The flags of the command `sweep`, besides those of a run."""

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
_SEARCH = ('optuna', 'space')
_MODES = ('dry_run', 'list_only', 'status')


def define():
  """Declares the flags of the command."""
  run_flags.show_in_help('sweep_dir', *LISTS)
  run_flags.show_in_help(*_SEARCH, group='Search')
  run_flags.show_in_help(*_MODES, *ENGINE, group='How runs are executed')
  run_flags.define_run_flags(without=INSTEAD)
  flags.DEFINE_string(
    'sweep_dir', None, 'Directory of the sweep, created if needed.'
  )
  _define_lists()
  _define_engine()
  _define_modes()


def _define_lists():
  flags.DEFINE_list(
    'methods',
    list(methods.OF_THE_PAPER),
    f'Methods, any of: {", ".join(methods.METHODS)}, {methods.SMALL_DENSE}.',
  )
  flags.DEFINE_list('sparsities', ['0.9'], 'Sparsities, in [0, 1).')
  flags.DEFINE_list(
    'env_names', None, 'Gymnasium environment ids. Default: by preset.'
  )
  run_flags.define_integer('seeds', 3, 'Number of seeds: 0, 1, ...', 1, 100_000)
  flags.DEFINE_string(
    'grid',
    None,
    'Grid over any fields, as in learning_rate=1e-3,1e-4;batch_size=64,128. '
    'Values that are lists are separated by |, as in '
    'hidden_units=64,64|256,256.',
  )
  run_flags.define_integer(
    'optuna',
    None,
    'Number of trials of a hyperparameter search; needs --space.',
    1,
  )
  flags.DEFINE_string(
    'space', None, 'Search space, a JSON file; see docs/guides/tuning.md.'
  )


def _define_engine():
  flags.DEFINE_enum(
    'engine',
    'local',
    ['local', 'ray'],
    'Executes the queued runs: local or ray.',
  )
  run_flags.define_integer(
    'max_parallel',
    None,
    'Maximum number of parallel runs. Default: one per core.',
    1,
    10_000,
  )
  run_flags.define_integer(
    'max_retries', 2, 'Maximum number of retries of a run that fails.', 0
  )
  run_flags.define_integer(
    'index',
    None,
    'Train only this line of runs.jsonl, counted from 0; for job arrays.',
    0,
  )
  flags.DEFINE_string(
    'ray_address',
    None,
    "Ray: address of the cluster, or 'auto'. Default: starts a local one.",
  )
  flags.DEFINE_float('cpus_per_run', 1.0, 'Ray: CPUs per run.', 0)
  flags.DEFINE_float(
    'gpus_per_run', 0.0, 'Ray: GPUs per run; may be a fraction.', 0
  )
  flags.DEFINE_float(
    'run_timeout',
    None,
    'Timeout of one attempt of a run, in seconds. The attempt counts as failed '
    'and the next one resumes from its checkpoint. Default: none.',
    1,
  )
  flags.DEFINE_float(
    'stall_timeout',
    None,
    'Timeout without an env step, in seconds. Default: none.',
    60,
  )


def _define_modes():
  flags.DEFINE_boolean(
    'dry_run', False, 'Print the runs and their commands; write nothing.'
  )
  flags.DEFINE_boolean(
    'list_only', False, 'Write runs.jsonl and train nothing; for job arrays.'
  )
  flags.DEFINE_boolean(
    'status',
    False,
    'Print which runs are finished, running, failed and missing.',
  )
