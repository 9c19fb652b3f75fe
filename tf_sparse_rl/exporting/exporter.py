"""Exports a policy in several formats, each verified against Keras."""

import pathlib
import tempfile

import numpy as np

from tf_sparse_rl import files
from tf_sparse_rl.exporting import acceptance, formats, report
from tf_sparse_rl.sparsity import layers

_NUM_OBSERVATIONS = 500
_NUM_IMAGES = 100
# All that TensorFlow writes into the directory of a SavedModel.
_SAVED_MODEL = {'saved_model.pb', 'fingerprint.pb', 'variables', 'assets'}


def export(greedy, config, names, out):
  """Exports all formats or none.

  Args:
    greedy: a GreedyPolicy.
    config: a Config, whose environment provides observations to compare on.
    names: keys of `formats.FORMATS`.
    out: directory of the files, created if needed.

  Returns:
    A Report.

  Raises:
    ValueError: if a format does not agree with Keras, or files other than an
      exported policy would be replaced.
  """
  out = files.local(out)
  check_out(out, names)
  is_image = greedy.observation_spec.shape.rank > 2
  count = _NUM_IMAGES if is_image else _NUM_OBSERVATIONS
  observations = acceptance.play(config, greedy, count, seed=0)
  files.make_directory(out)
  file_names = [formats.FORMATS[name].file_name for name in names]
  files.refuse_links(*(out / name for name in file_names))
  # Beside the target, so that a rename makes it complete.
  with tempfile.TemporaryDirectory(dir=out, prefix='.') as staging:
    rows = [
      _export_one(name, greedy, observations, pathlib.Path(staging))
      for name in dict.fromkeys(names)
    ]
    for row in rows:
      name = formats.FORMATS[row.name].file_name
      files.move_over(pathlib.Path(staging) / name, out / name)
  return report.Report(rows, len(observations))


def check_out(out, names):
  """Checks that only exported policies would be replaced in a directory.

  Args:
    out: path of the directory; other files in it stay.
    names: see `export`.

  Raises:
    ValueError: if it is that of a run, or has other files with our names, or
      TensorFlow cannot read there.
  """
  files.check_for_tensorflow(out)
  if (out / 'config.json').exists():
    raise ValueError(
      f'Expected another directory to export to. Received: {out}, that of a '
      'run, whose own policy would be replaced.'
    )
  for name in names:
    target = out / formats.FORMATS[name].file_name
    is_model = name == 'saved_model'
    is_other = target.exists() and target.is_dir() != is_model
    if not is_other and is_model and target.is_dir():
      is_other = {entry.name for entry in target.iterdir()} - _SAVED_MODEL
    if is_other or target.is_symlink():
      raise ValueError(
        f'Expected {target} to be free, or an exported policy. Received '
        'something else, which would be replaced. Choose another directory.'
      )


def _export_one(name, policy, observations, staging):
  """Writes, verifies and measures one format; returns a report.Row."""
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
