"""Sparse Keras layers and the optimizer that updates their masks."""

from tf_sparse_rl import quiet

quiet.import_tensorflow()

from tf_sparse_rl.sparsity import keras_check

keras_check.check_legacy_keras()

# The check must come before anything that uses Keras.
# ruff: noqa: E402
from tf_sparse_rl.native.backend import set_backend
from tf_sparse_rl.sparsity import (
  counting,
  distributions,
  mask_ops,
  schedules,
)
from tf_sparse_rl.sparsity.callback import SparsityCallback
from tf_sparse_rl.sparsity.counting import summary
from tf_sparse_rl.sparsity.kinds import Weight, register_layer
from tf_sparse_rl.sparsity.layers import (
  SparseLayer,
  sparse_layers,
  sparse_weights,
)
from tf_sparse_rl.sparsity.masked import assign_exact, mask_of
from tf_sparse_rl.sparsity.one_shot import grasp, load_dense, snip
from tf_sparse_rl.sparsity.optimizer import SparseOptimizer
from tf_sparse_rl.sparsity.sparsify import sparsify, sparsify_as, strip
from tf_sparse_rl.sparsity.spec import SparsitySpec
from tf_sparse_rl.sparsity.tfmot_models import take_over
from tf_sparse_rl.sparsity.updaters import (
  SET,
  GlobalMagnitudePruning,
  MagnitudePruning,
  MaskUpdater,
  NeuroplasticExpansion,
  RigL,
  SaliencyPruning,
  SRigL,
  Static,
  StraightThrough,
)

__all__ = [
  'GlobalMagnitudePruning',
  'MagnitudePruning',
  'MaskUpdater',
  'NeuroplasticExpansion',
  'RigL',
  'SET',
  'SRigL',
  'SaliencyPruning',
  'SparseLayer',
  'SparseOptimizer',
  'SparsityCallback',
  'SparsitySpec',
  'Static',
  'StraightThrough',
  'Weight',
  'assign_exact',
  'counting',
  'distributions',
  'grasp',
  'load_dense',
  'mask_of',
  'mask_ops',
  'register_layer',
  'schedules',
  'snip',
  'set_backend',
  'sparse_layers',
  'sparse_weights',
  'sparsify',
  'sparsify_as',
  'strip',
  'summary',
  'take_over',
]
