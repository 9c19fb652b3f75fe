"""Exports a policy: `python -m tf_sparse_rl.export --root_dir=DIR --out=DIR`.

It needs the saved policy and config.json of a finished run only.
"""

import os
import sys

from absl import flags

from tf_sparse_rl import api
from tf_sparse_rl import flags as run_flags
from tf_sparse_rl import runs as runs_lib

_HELP = run_flags.Help(
  'Writes the policy of a run as a SavedModel, as TFLite or as NumPy arrays. '
  'Each file is compared with the network before it is kept.',
  'export',
  {
    'All formats': '--root_dir=runs/a --out=exported',
    'TFLite alone, of the best checkpoint': '--root_dir=runs/a --out=exported '
    '--format=tflite --checkpoint=best',
    'NumPy arrays, read by one short file': '--root_dir=runs/a --out=exported '
    '--format=npz',
  },
)


def main(argv):
  """Writes every format that agrees with Keras; prints what it came to."""
  del argv
  options = flags.FLAGS
  for name in ('root_dir', 'out'):
    if not options[name].value:
      raise run_flags.UserError(
        'Expected --root_dir, the directory of a run, and --out, that of the '
        f'exported files. Received no --{name}.'
      )
  try:
    api.check_formats(options.format)
    run = api.open_run(options.root_dir)
    checkpoint = run_flags.checkpoint()
    is_exported = checkpoint == 'last' and run.is_finished
    run_flags.tell_imports(
      run.config.policy_modules if is_exported else run.config.imported_modules,
      os.path.join(options.root_dir, 'config.json'),
    )
    print(run.export(options.out, options.format, checkpoint))
  except (ValueError, runs_lib.RunsError) as error:
    raise run_flags.UserError(str(error)) from error
  except OSError as error:
    raise run_flags.UserError(
      f'Writing to {options.out} failed: {error}.'
    ) from error


def run():
  """Entry point of the command."""
  flags.DEFINE_string('root_dir', None, 'Directory of a run.')
  flags.DEFINE_list(
    'format', list(api.DEFAULT_FORMATS), f'Any of: {", ".join(api.FORMATS)}.'
  )
  flags.DEFINE_string('out', None, 'Directory of the files, made if needed.')
  run_flags.show_in_help('root_dir', 'out', 'format')
  run_flags.define_checkpoint()
  run_flags.run_command(main, _HELP)


if __name__ == '__main__':
  sys.exit(run())
