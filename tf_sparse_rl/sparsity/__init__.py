"""Sparse Keras layers and the optimizer that moves their masks; no RL here."""

from tf_sparse_rl.sparsity import keras_check

keras_check.check_legacy_keras()

# The check must precede whatever builds on Keras.
# pylint: disable=g-import-not-at-top
from tf_sparse_rl.sparsity import counting  # noqa: E402
from tf_sparse_rl.sparsity import distributions  # noqa: E402
from tf_sparse_rl.sparsity import mask_ops  # noqa: E402
from tf_sparse_rl.sparsity import schedules  # noqa: E402
from tf_sparse_rl.sparsity.counting import summary  # noqa: E402
from tf_sparse_rl.sparsity.layers import SparseLayer  # noqa: E402
from tf_sparse_rl.sparsity.layers import sparse_layers  # noqa: E402
from tf_sparse_rl.sparsity.optimizer import SparseOptimizer  # noqa: E402
from tf_sparse_rl.sparsity.sparsify import sparsify  # noqa: E402
from tf_sparse_rl.sparsity.sparsify import strip  # noqa: E402
from tf_sparse_rl.sparsity.updaters import SET  # noqa: E402
from tf_sparse_rl.sparsity.updaters import MagnitudePruning  # noqa: E402
from tf_sparse_rl.sparsity.updaters import MaskUpdater  # noqa: E402
from tf_sparse_rl.sparsity.updaters import RigL  # noqa: E402
from tf_sparse_rl.sparsity.updaters import Static  # noqa: E402

__all__ = [
  'MagnitudePruning',
  'MaskUpdater',
  'RigL',
  'SET',
  'SparseLayer',
  'SparseOptimizer',
  'Static',
  'counting',
  'distributions',
  'mask_ops',
  'schedules',
  'sparse_layers',
  'sparsify',
  'strip',
  'summary',
]
