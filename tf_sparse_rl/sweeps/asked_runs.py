"""The runs that the flags of the command `sweep` list."""

from absl import flags

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import flags as run_flags
from tf_sparse_rl.sweeps import field_lists, grid, sweep_flags


def read(options):
  """Reads the runs.

  Args:
    options: the flags of the command.

  Returns:
    List of ListedRun; empty if no flag is about runs.

  Raises:
    UserError: for flags of a single run, or a field that is given twice.
    ValueError: for values that do not fit.
  """
  for name, instead in sweep_flags.INSTEAD.items():
    if flags.FLAGS[name].present:
      raise run_flags.UserError(
        f'Expected {instead}, for a sweep. Received: '
        f'--{name}={flags.FLAGS[name].value}.'
      )
  fields = ('config', *(field.name for field in config_lib.fields()))
  if not any(
    flags.FLAGS[name].present for name in (*sweep_flags.LISTS, *fields)
  ):
    return []
  try:
    sparsities = [float(text) for text in options.sparsities]
  except ValueError:
    raise ValueError(
      'Expected numbers with commas, as in --sparsities=0.8,0.9. Received: '
      f'--sparsities={",".join(options.sparsities)}.'
    ) from None
  given = run_flags.values_from_flags()
  env_names = options.env_names
  if not env_names:
    known = {
      name: given[name] for name in ('agent', 'env_name') if name in given
    }
    of_preset = run_flags.make_config(known)
    env_names = [of_preset.env_name]
  combinations = field_lists.parse(options.grid, sweep_flags.INSTEAD)
  twice = sorted({*given} & {*combinations[0]})
  if twice:
    raise run_flags.UserError(
      f'Expected {twice[0]} as a flag of its own or in --grid. Received both.'
    )
  return grid.make_runs(
    options.methods,
    sparsities,
    env_names,
    options.seeds,
    given,
    combinations,
  )
