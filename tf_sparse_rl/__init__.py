"""Sparse training of deep-RL agents in TensorFlow.

Importing this package imports no TensorFlow; it only sees to it that
TensorFlow, when it comes, brings the Keras that TF-Agents and TFMOT need.
"""

import os

from tf_sparse_rl.version import __version__

os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')

__all__ = ['__version__']
