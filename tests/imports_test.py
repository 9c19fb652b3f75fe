"""Imports of large libraries."""

import gc
import subprocess
import sys

import pytest

from tf_sparse_rl import imports


@pytest.mark.parametrize('was_enabled', [True, False])
def test_the_collector_is_as_it_was(was_enabled):
  before = gc.isenabled()
  try:
    (gc.enable if was_enabled else gc.disable)()
    with pytest.raises(ImportError), imports.uncollected():
      assert not gc.isenabled()
      raise ImportError
    assert gc.isenabled() == was_enabled
  finally:
    (gc.enable if before else gc.disable)()


def test_nothing_is_looked_through_again_and_again():
  # Full collections, while TensorFlow and the sparse layers are imported.
  code = (
    'import gc, sys\n'
    'full = []\n'
    'gc.callbacks.append(lambda phase, info: full.append(info["generation"]))\n'
    'from tf_sparse_rl import scopes\n'
    'with scopes.tensorflow():\n'
    '  assert "tensorflow" in sys.modules\n'
    '  print(full.count(2), gc.isenabled())\n'
  )
  done = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, check=True
  )
  assert done.stdout == '0 True\n', done.stdout + done.stderr
