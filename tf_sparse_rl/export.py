"""Exports a policy: `python -m tf_sparse_rl.export --root_dir=DIR --out=DIR`.

It needs the saved policy and config.json of a finished run only.
"""

import os
import pathlib
import sys
import tempfile

from absl import flags

from tf_sparse_rl import files, names, quiet
from tf_sparse_rl import flags as run_flags
from tf_sparse_rl import runs as runs_lib

_FORMATS = ('saved_model', 'tflite', 'npz')
_NUM_OBSERVATIONS = 500
_NUM_IMAGES = 100


def main(argv):
  """Writes every format that agrees with Keras; prints what it came to."""
  del argv
  options = flags.FLAGS
  for name in ('root_dir', 'out'):
    if not options[name].value:
      raise run_flags.UserError(
        'Expected --root_dir, the directory of a finished run, and --out, that '
        f'of the exported files. Received no --{name}.'
      )
  for name in options.format:
    if name not in _FORMATS:
      raise run_flags.UserError(names.unknown('format', name, _FORMATS))
  from tf_sparse_rl import envs

  try:
    run_dir = runs_lib.RunDir(options.root_dir)
    config = run_dir.read_finished_config()
    config_path = run_dir.path / 'config.json'
    run_flags.tell_imports(config.imported_modules, config_path)
    quiet.filter_warnings()
    envs.try_out(config)
    # NumPy's products with one thread, like TFLite's: two fight over a busy
    # machine. It looks at this when it is imported.
    os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')
    # Imported late: a wrong directory is told at once.
    quiet.silence()
    rows, num_observations = _export(
      config, run_dir.policy_path, pathlib.Path(options.out)
    )
  except (ValueError, runs_lib.RunsError) as error:
    raise run_flags.UserError(str(error)) from error
  except OSError as error:
    raise run_flags.UserError(
      f'Writing to {options.out} failed: {error}.'
    ) from error
  from tf_sparse_rl.exporting import report

  print(f'Agrees with Keras on {num_observations} observations.\n')
  print(report.table(rows))
  print()
  for row in rows:
    print(report.conclusion(row))


def _export(config, policy_path, out):
  """Exports all formats or none: (report.Rows, number of observations)."""
  from tf_sparse_rl import sparsity
  from tf_sparse_rl.exporting import acceptance, formats, policy

  sparsity.set_backend('masked')
  greedy = policy.of_run(config, policy_path)
  is_image = greedy.observation_spec.shape.rank > 2
  count = _NUM_IMAGES if is_image else _NUM_OBSERVATIONS
  observations = acceptance.play(config, greedy, count, seed=0)
  out.mkdir(parents=True, exist_ok=True)
  # Beside the files that it is to become: renamed, never half there.
  with tempfile.TemporaryDirectory(dir=out, prefix='.') as staging:
    rows = [
      _export_one(name, greedy, observations, pathlib.Path(staging))
      for name in dict.fromkeys(flags.FLAGS.format)
    ]
    for row in rows:
      name = formats.FORMATS[row.name].file_name
      files.move_over(pathlib.Path(staging) / name, out / name)
  return rows, len(observations)


def _export_one(name, policy, observations, staging):
  """Writes, compares and measures one format; a report.Row."""
  import numpy as np

  from tf_sparse_rl.exporting import acceptance, formats, report
  from tf_sparse_rl.sparsity import layers

  kind = formats.FORMATS[name]
  path = staging / kind.file_name
  kind.save(policy, path)
  try:
    off = acceptance.difference(policy, kind.load(path), observations)
  except ValueError as error:
    raise ValueError(f'{name}: {error}') from error
  calls, size = [kind.call(path, observations[:1])], report.num_bytes(path)
  dense_size = None
  if kind.save_dense:
    dense_path = staging / f'dense_{kind.file_name}'
    kind.save_dense(policy, dense_path)
    dense_size = report.num_bytes(dense_path)
    calls.append(kind.call(dense_path, observations[:1]))
  microseconds = report.latencies(calls)
  return report.Row(
    name=name,
    dense_bytes=dense_size or size,
    sparse_bytes=size if kind.save_dense else None,
    gzip_bytes=report.num_bytes(path, compress=True),
    nonzero=sum(
      int(np.count_nonzero(layer.kernel))
      for layer in layers.leaf_layers(policy.layers)
      if hasattr(layer, 'kernel')
    ),
    dense_microseconds=microseconds[-1],
    sparse_microseconds=microseconds[0] if kind.save_dense else None,
    difference=off,
  )


def run():
  """Entry point of the command."""
  flags.DEFINE_string('root_dir', None, 'Directory of a finished run.')
  flags.DEFINE_list('format', list(_FORMATS), f'Any of: {", ".join(_FORMATS)}.')
  flags.DEFINE_string('out', None, 'Directory of what is written.')
  run_flags.show_in_help('root_dir', 'format', 'out')
  run_flags.run_command(main)


if __name__ == '__main__':
  sys.exit(run())
