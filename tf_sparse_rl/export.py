"""Exports a policy: `python -m tf_sparse_rl.export --root_dir=DIR --out=DIR`.

For a finished run it needs only config.json and the saved policy.
"""

import os
import sys

from absl import flags

from tf_sparse_rl import api, export_formats
from tf_sparse_rl import flags as run_flags
from tf_sparse_rl import runs as runs_lib

_HELP = run_flags.Help(
  'Exports the policy of a run as SavedModel, TFLite, NPZ or ONNX. Each file '
  'is verified against the network before it is kept.',
  'export',
  {
    'All formats': '--root_dir=runs/a --out=exported',
    'TFLite alone, of the best checkpoint': '--root_dir=runs/a --out=exported '
    '--format=tflite --checkpoint=best',
    'NumPy arrays, for one short script': '--root_dir=runs/a --out=exported '
    '--format=npz',
  },
)


def main(argv):
  """Exports the policy and prints a table of sizes and latencies."""
  del argv
  options = flags.FLAGS
  for name in ('root_dir', 'out'):
    if not options[name].value:
      raise run_flags.UserError(
        'Expected --root_dir, the directory of a run, and --out, that of the '
        f'exported files. Received no --{name}.'
      )
  try:
    export_formats.check(options.format)
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
  flags.DEFINE_string('root_dir', None, 'Directory of the run.')
  flags.DEFINE_list(
    'format',
    list(export_formats.DEFAULT),
    f'Formats, any of: {", ".join(export_formats.NAMES)}.',
  )
  flags.DEFINE_string('out', None, 'Directory of the files, created if needed.')
  run_flags.show_in_help('root_dir', 'out', 'format')
  run_flags.define_checkpoint()
  run_flags.run_command(main, _HELP)


if __name__ == '__main__':
  sys.exit(run())
